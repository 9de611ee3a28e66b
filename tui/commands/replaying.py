"""Replays: recorded tapes through the same engine, each in a home of its own, continued where it was left."""

import hashlib
import math
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import QuarterdeckError, UsageError
from tui.commands.parsing import positive
from tui.formats import duration, moment, money, number, percent
from tui.printing import numbers, print_error, print_facts, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.config import Config
    from store.home import Home
    from tui.compose_replay import ReplayRun
    from tui.replay_report import ReplayReport

SCREEN_SPEED = 60.0
POLL_SECONDS = 0.1
NS_PER_SECOND = 1_000_000_000


class Wish(NamedTuple):
    """What a replay was asked to be; `speed` None is the default: as fast as it goes without a screen."""

    files: tuple[Path, ...]
    speed: float | None
    headless: bool
    script: Path | None
    on_bad: str
    symbol: str | None
    cash: "Decimal | None"
    fresh: bool
    report: Path | None
    as_json: bool

    @property
    def pace(self) -> float:
        if self.speed is not None:
            return self.speed
        return math.inf if self.headless else SCREEN_SPEED


class Played(msgspec.Struct, frozen=True):
    """What a replay home was made from; another tape needs another home."""

    tapes: tuple[str, ...]
    script: str
    on_bad: str
    symbol: str
    cash: str


def speed_of(text: str | None) -> float | None:
    """`max`, or how many times as fast as it was recorded; raises `UsageError`."""
    if text is None:
        return None
    return math.inf if text.lower() == "max" else float(positive(text.lower().removesuffix("x"), "--speed"))


def inspect_tapes(files: Sequence[Path], *, symbol: str | None, as_json: bool) -> int:
    """Say what each tape holds; 1 where one has bad rows."""
    from brokers.market.recorded import inspect

    reports = [inspect(path, symbol=symbol) for path in files]
    if as_json:
        print_json(reports)
        return 1 if any(report.bad_count for report in reports) else 0
    for report in reports:
        bars = f"{report.kind} of {duration(report.bar_seconds)}" if report.bar_seconds else report.kind
        longest = duration(report.longest_gap_ns / NS_PER_SECOND)
        gaps = f"{report.gaps}, the longest {longest}" if report.gaps else "none"
        print_facts([
            ("tape", report.path), ("symbol", report.symbol), ("holds", f"{report.rows} {bars}"),
            ("from", f"{moment(report.first_ns)} UTC"), ("to", f"{moment(report.last_ns)} UTC"),
            ("tick, lot", f"{report.tick_size:f}, {report.lot_size:f}"), ("gaps", gaps),
            ("bad rows", str(report.bad_count)),
        ])
        for line in report.bad_rows:
            print_error(f"{report.path}: {line}")
    return 1 if any(report.bad_count for report in reports) else 0


def replay(home_path: Path, wish: Wish, *, own_home: bool) -> int:
    """Play the tapes; with `own_home` the given home is the replay's, else it gets one under replays/."""
    from tui.compose_replay import open_replay, open_tapes
    from tui.compose_strategies import user_strategies
    from tui.replay_report import replay_report

    played = _played(wish)
    if not wish.headless:
        from tui.commands.running import require_terminal

        require_terminal("quarterdeck replay --headless")
    tapes = open_tapes(wish)
    home, config = _replay_home(home_path, wish, played, own_home=own_home)
    run = open_replay(home, config, wish, tapes, user_strategies(home_path, config))
    with run.running as running:
        if wish.headless:
            _wait_for_end(run)
        else:
            from tui.commands.running import show_screen

            show_screen(running.engine, home, config, ends_engine=True)
            running.engine.stop()
            running.engine.join()
        if running.engine.failure:
            raise QuarterdeckError(running.engine.failure)
        report = replay_report(home, running.engine.latest())
    _tell(report, wish)
    return 0


def _played(wish: Wish) -> Played:
    for path in wish.files:
        if not path.is_file():
            raise UsageError(f"{path}: no such file")
    if wish.on_bad not in ("refuse", "skip"):
        raise UsageError(f"--on-bad {wish.on_bad}: must be refuse or skip")
    script = hashlib.sha256(wish.script.read_bytes()).hexdigest() if wish.script and wish.script.is_file() else ""
    return Played(tuple(str(path.resolve()) for path in wish.files), script, wish.on_bad, wish.symbol or "",
                  str(wish.cash or ""))


def _replay_home(home_path: Path, wish: Wish, played: Played, *, own_home: bool) -> tuple["Home", "Config"]:
    """The replay's home, made or found again, and the configuration that applies to it.

    A home that another replay or a paper account lives in is refused, so that a replay never touches either.
    """
    from engine.config import load_config
    from store.home import Home, open_home
    from tui.folding import REPLAY_MARKER

    path = home_path
    if not own_home:
        digest = hashlib.sha256(msgspec.json.encode(played)).hexdigest()[:8]
        path = home_path / "replays" / f"{wish.files[0].name.split('.')[0]}-{digest}"
    marker = path / REPLAY_MARKER
    if not marker.is_file() and (path / "journal.db").exists():
        raise UsageError(f"{path}: holds an account that is no replay's; name an empty home, or leave --home out")
    config = load_config(home_path / "config.toml")
    home = open_home(path)
    if marker.is_file():
        if wish.fresh:
            _clear(home)
        elif msgspec.json.decode(marker.read_bytes(), type=Played) != played:
            raise UsageError(f"{path}: holds a replay of other files or terms; --fresh starts it anew")
    marker.write_bytes(msgspec.json.encode(played))
    return Home(path), config


def _clear(home: "Home") -> None:
    """Forget a replay; only ever called for a home that bears a replay's mark."""
    from store.research_archive import ARCHIVE_FILE

    with home.lock():
        for database in (home.journal, home.paper, home.path / ARCHIVE_FILE):
            for suffix in ("", "-wal", "-shm"):
                database.with_name(database.name + suffix).unlink(missing_ok=True)
        for snapshot in home.snapshots.glob("*.snapshot"):
            snapshot.unlink()


def _wait_for_end(run: "ReplayRun") -> None:
    """Return once the tape has been played to its end, the engine stopped, or somebody said so."""
    stop = threading.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, lambda *_: stop.set())
    while not run.running.engine.finished.wait(POLL_SECONDS):
        if stop.is_set():
            print_note("stopped before the tape's end; the same command goes on from here")
        if stop.is_set() or run.tape_played.is_set():
            run.running.engine.stop()


def _tell(report: "ReplayReport", wish: Wish) -> None:
    if wish.report is not None:
        try:
            wish.report.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        except OSError as error:
            raise QuarterdeckError(f"{wish.report}: the report cannot be written: {error.strerror}") from error
    if wish.as_json:
        print_json(report)
    else:
        _print_report(report)


def _print_report(report: "ReplayReport") -> None:
    facts = [("replay", report.home), ("until", f"{moment(report.ended_at_ns)} UTC")]
    for one in report.portfolios:
        decimals = one.money_decimals
        worth = (f"{one.trading_state.value}, equity {money(one.equity, decimals, one.currency)} from "
                 f"{money(one.start_cash, decimals)} ({percent(one.return_percent, signed=True)}), realized "
                 f"{money(one.realized, decimals, signed=True)} after fees of {money(one.fees, decimals)}")
        facts.append((f"portfolio {one.portfolio}", worth))
    share = percent(report.win_rate_percent) if report.win_rate_percent is not None else "-"
    facts += [
        ("fills", str(report.fills)), ("round trips", f"{report.round_trips}, {report.winners} won ({share})"),
        ("refused", str(report.refused)), ("alerts", str(report.alerts)),
        ("longest bare", duration(report.longest_unprotected_seconds)),
        ("journal", f"{report.journal_rows} rows, last hash {report.journal_hash}"),
    ]
    print_facts(facts)
    rows = [[one.symbol, one.side, number(one.quantity), number(one.entry), number(one.mark), number(one.stop),
             number(one.pnl, signed=True)] for one in report.positions]
    columns = (*words("symbol", "side"), *numbers("quantity", "entry", "mark", "stop", "p&l"))
    print_table(columns, rows, empty="no open positions at the end")
