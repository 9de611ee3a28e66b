"""`python -m tests.crash --attached 30`: signals to an engine under attached clients (tests.crash.attached).
`python -m tests.crash --kills 200`: replay a tape, kill the process at random moments, start it again, compare the ends.

The tape is made here (a seeded walk of five-minute bars) unless one is given; the orders are brackets, limits, stops and
trails whose exits fire all along it. Compared are cash, equity, positions with their protection, and every fill with its
time, price, quantity and fee; besides, the journal must verify, no order may exist twice, and nothing may ever have been bare.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BAR_SECONDS = 300
START = 1_704_067_200


def write_tape(path: Path, bars: int, seed: int) -> None:
    """Five-minute bars of one coin: a walk with clustered volatility, enough to fire stops, targets and trails."""
    walk = random.Random(seed)
    price, volatility = 2_000.0, 0.002
    with path.open("w", encoding="utf-8") as file:
        file.write("timestamp,open,high,low,close,volume\n")
        for place in range(bars):
            volatility = max(0.0005, min(0.01, volatility * walk.uniform(0.9, 1.11)))
            opened = price
            price = max(100.0, price * (1 + walk.gauss(0, volatility)))
            high = max(opened, price) * (1 + abs(walk.gauss(0, volatility / 2)))
            low = min(opened, price) * (1 - abs(walk.gauss(0, volatility / 2)))
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(START + place * BAR_SECONDS))
            file.write(f"{stamp},{opened:.2f},{high:.2f},{low:.2f},{price:.2f},{walk.uniform(50, 500):.3f}\n")


def write_script(path: Path, tape: Path, orders: int, seed: int) -> None:
    """Entries of every kind along the tape, each with exits near enough to fire."""
    choose = random.Random(seed)
    rows = tape.read_text(encoding="utf-8").splitlines()[1:]
    with path.open("w", encoding="utf-8") as file:
        for number, place in enumerate(sorted(choose.sample(range(20, len(rows) - 20), orders))):
            close = rows[place].split(",")[4]
            command = _entry(choose, float(close)) | {"type": "PlaceOrder", "command_id": f"crash-{number}", "symbol": "ETH/USD"}
            at_ns = (START + (place + 1) * BAR_SECONDS) * 1_000_000_000 + number
            file.write(json.dumps({"at": at_ns, "command": command}) + "\n")


def _entry(choose: random.Random, close: float) -> dict[str, Any]:
    sign = choose.choice((1, 1, -1))
    entry: dict[str, Any] = {"side": "BUY" if sign > 0 else "SELL", "quantity": f"{choose.uniform(0.2, 6):.3f}",
                             "stop": f"{close * (1 - sign * choose.uniform(0.008, 0.03)):.2f}"}
    if choose.random() < 0.6:
        entry["target"] = f"{close * (1 + sign * choose.uniform(0.01, 0.05)):.2f}"
    if choose.random() < 0.5:
        entry["trail"] = choose.choice(({"percent": "1.5"}, {"price": "25.00"}, {"atr": "3"}))
    if choose.random() < 0.3:
        entry |= {"kind": "limit", "limit": f"{close * (1 - sign * 0.003):.2f}"}
    elif choose.random() < 0.2:
        entry |= {"kind": "stop", "trigger": f"{close * (1 + sign * 0.004):.2f}"}
    if choose.random() < 0.2:
        entry["max_hold_seconds"] = 6 * 3600
    return entry


class Replay:
    """One replay by the command line, in a home of its own."""

    def __init__(self, home: Path, tape: Path, script: Path | None) -> None:
        self.home = home
        self._tape = tape
        self._script = script
        self._command = [sys.executable, "-m", "tui.cli", "--home", str(home), "replay", str(tape), "--headless",
                         "--speed", "max", "--json", *(["--script", str(script)] if script else [])]

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                start_new_session=True)

    def finish(self) -> dict[str, Any]:
        """Run to the end; the report."""
        out, err = (process := self.start()).communicate()
        if process.returncode != 0:
            raise SystemExit(f"the replay ended with {process.returncode}: {err.strip() or out.strip()}")
        report: dict[str, Any] = json.loads(out)
        return report

    def finish_timed(self) -> tuple[dict[str, Any], float]:
        """The report, and the seconds that a run of this kind takes once bytecode and disk are warm."""
        Replay(self.home.with_name(f"{self.home.name}-warm"), self._tape, self._script).finish()
        began = time.monotonic()
        report = self.finish()
        return report, time.monotonic() - began

    def journal(self) -> Path:
        return next(self.home.rglob("journal.db"))


def end_state(replay: Replay, report: dict[str, Any]) -> dict[str, Any]:
    """What must be equal: money, positions, and every fill; ids differ, since they are made of journal rows."""
    with sqlite3.connect(f"file:{replay.journal()}?mode=ro", uri=True) as connection:
        fills = [json.loads(payload)["fill"] for (payload,) in connection.execute(
            "SELECT payload FROM journal WHERE kind = 'OrderFilled' ORDER BY seq")]
    shown = ("symbol", "side", "quantity", "entry", "stop", "target", "trail", "stop_home", "unprotected_seconds", "pnl")
    return {
        "portfolios": [{key: value for key, value in one.items() if key != "start_cash"} for one in report["portfolios"]],
        "positions": [{key: one[key] for key in shown} for one in report["positions"]],
        "fills": sorted((fill["at_ns"], fill["side"], fill["last_lots"], fill["last_ticks"], fill["fee_minor"])
                        for fill in fills),
        "round_trips": report["round_trips"], "longest_bare": report["longest_unprotected_seconds"]}


def doubled_orders(journal: Path) -> list[str]:
    """Entries of one command that exist more than once, and fills that were counted twice."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
        intended = [json.loads(payload) for (payload,) in connection.execute(
            "SELECT payload FROM journal WHERE kind = 'OrderIntended'")]
        fills = [json.loads(payload)["fill"]["trade_id"] for (payload,) in connection.execute(
            "SELECT payload FROM journal WHERE kind = 'OrderFilled'")]
    entries = [one["command_id"] for one in intended if one["intent"]["purpose"] == "entry"]
    return [f"two entries of {name}" for name in sorted({name for name in entries if entries.count(name) > 1})] + [
        f"fill {name} twice" for name in sorted({name for name in fills if fills.count(name) > 1})]


def kills(replay: Replay, run_seconds: float, choose: random.Random, wanted: int) -> Iterator[float]:
    """Kill the replay at random moments of its life; a run that ended by itself does not count. Yields each delay."""
    killed = 0
    while killed < wanted:
        process = replay.start()
        delay = choose.uniform(0.15, 0.95) * run_seconds
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
            yield delay
            continue
        process.communicate()
        return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bars", type=int, default=6_000)
    parser.add_argument("--orders", type=int, default=60)
    parser.add_argument("--tape", type=Path, help="a recorded tape instead of the made one; needs --script")
    parser.add_argument("--script", type=Path)
    parser.add_argument("--attached", type=int, default=0, help="so many signals to an engine with clients, instead")
    options = parser.parse_args()
    choose = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="quarterdeck-crash-") as folder:
        if options.attached:
            return _signals(Path(folder), options.attached, options.seed)
        return _run(Path(folder), options, choose)


def _signals(folder: Path, count: int, seed: int) -> int:
    from tests.crash.attached import run_attached

    began = time.monotonic()
    run = run_attached(folder, count, seed, lambda line: print(line, flush=True))
    print(f"{dict(run.done)} in {time.monotonic() - began:.0f} s: {len(run.acknowledged)} commands acknowledged, "
          f"{run.snapshots_seen} snapshots seen, {len(run.problems)} problems")
    for line in run.problems:
        print(f"PROBLEM {line}")
    return 1 if run.problems else 0


def _run(folder: Path, options: argparse.Namespace, choose: random.Random) -> int:
    tape, script = options.tape, options.script
    if tape is None:
        tape, script = folder / "ETH-USD_5m.csv", folder / "orders.jsonl"
        write_tape(tape, options.bars, options.seed)
        write_script(script, tape, options.orders, options.seed)
    calm = Replay(folder / "calm", tape, script)
    began = time.monotonic()
    report, run_seconds = calm.finish_timed()
    wanted = end_state(calm, report)
    print(f"undisturbed: {run_seconds:.1f} s, {len(wanted['fills'])} fills, {wanted['round_trips']} round trips")
    done = runs = 0
    failures: list[str] = []
    while done < options.kills:
        runs += 1
        disturbed = Replay(folder / f"run-{runs}", tape, script)
        delays = list(kills(disturbed, run_seconds, choose, min(options.kills - done, choose.randint(1, 12))))
        done += len(delays)
        found = end_state(disturbed, disturbed.finish())
        problems = doubled_orders(disturbed.journal())
        problems += [f"{key} differs" for key in wanted if found[key] != wanted[key]]
        if subprocess.run([sys.executable, "-m", "tui.cli", "--home", str(disturbed.journal().parent), "journal", "verify"],
                          capture_output=True, check=False).returncode:
            problems.append("the journal does not verify")
        if problems:
            kept = Path(tempfile.gettempdir()) / f"quarterdeck-crash-failed-{runs}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(disturbed.home, kept)
            failures.append(f"run {runs} after {len(delays)} kills at {[round(delay, 3) for delay in delays]}: "
                            f"{'; '.join(problems)} (kept in {kept})")
            print(failures[-1])
    print(f"{done} kills in {runs} runs, {time.monotonic() - began:.0f} s: {len(failures)} runs ended differently")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
