"""Signals under attached clients: a real unattended engine, clients on its socket that look and one that trades, and a process
that is killed, stopped and continued, or ended at random moments.

After each: the journal verifies, every command that was acknowledged is in it, what a client was shown was on disk, ours is the
venue's, every position is guarded, no order exists twice; the clients heard one clear line and are there again.
"""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from engine.errors import EngineUnreachable, QuarterdeckError
from engine.inputs import ClosePosition, PlaceOrder, SetTradingState, TradingState
from engine.orders import Side
from engine.service import Snapshot, StopHome
from store.home import Home, open_home
from store.verify import verify
from tests.crash.__main__ import doubled_orders
from tui.control_client import ControlClient
from tui.folding import restored_state
from tui.version import VERSION

DEADLINE_SECONDS = 60.0
POLL_SECONDS = 0.05
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/USD")
CONFIG = """
[health]
port = 0

[market]
quotes_per_second = 60.0

[engine]
reconcile_seconds = 5.0

[[portfolio]]
limits = { orders_per_minute = 5000, max_orders_per_day = 0, max_daily_notional_fraction = 0.0 }
"""
KILL, STOP, TERM = "kill -9", "stop and continue", "terminate"


class Looker(threading.Thread):
    """A client that reads the stream of snapshots, and comes back whenever the engine does."""

    def __init__(self, home: Home) -> None:
        super().__init__(daemon=True)
        self._home = home
        self.ending = threading.Event()
        self.connected = threading.Event()
        self.seen = 0
        self.newest_seq = 0
        self.lost: list[str] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self.ending.is_set():
            try:
                client = ControlClient(self._home.socket, VERSION)
            except EngineUnreachable:
                self.ending.wait(POLL_SECONDS)
                continue
            try:
                asyncio.run(self._look(client))
            except EngineUnreachable as error:
                self.lost.append(str(error))
                if "\n" in str(error) or not str(error):
                    self.wrong.append(f"a client heard {str(error)!r}")
            finally:
                self.connected.clear()
                client.close()

    async def _look(self, client: ControlClient) -> None:
        first = True
        async for snapshot in client.snapshots():
            seq = snapshot.health.journal_seq
            if first and seq < self.newest_seq:
                self.wrong.append(f"row {self.newest_seq} was shown, and after a restart there are {seq}")
            first, self.newest_seq = False, max(self.newest_seq, seq)
            self.seen += 1
            self.connected.set()
            if self.ending.is_set():
                return


class Trader(threading.Thread):
    """A client that sends orders and remembers which were acknowledged; it waits while it is told to."""

    def __init__(self, home: Home, seed: int) -> None:
        super().__init__(daemon=True)
        self._home, self._choose = home, random.Random(seed)
        self.ending, self.working = threading.Event(), threading.Event()
        self.idle = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._number = 0

    def run(self) -> None:
        while not self.ending.is_set():
            if not self.working.wait(POLL_SECONDS):
                self.idle.set()
                continue
            self.idle.clear()
            try:
                self._trade()
            except EngineUnreachable as error:
                if "\n" in str(error):
                    self.wrong.append(f"the trader heard {str(error)!r}")
                self.ending.wait(POLL_SECONDS)
            except QuarterdeckError as error:
                self.wrong.append(f"the trader heard {error}")
        self.idle.set()

    def _trade(self) -> None:
        client = ControlClient(self._home.socket, VERSION, call_seconds=30.0)
        try:
            while self.working.is_set() and not self.ending.is_set():
                command = self._command(client.snapshot_now())
                receipt = client.send_now(command) if command is not None else None
                if receipt is not None and receipt.refusal is not None:
                    self.refused[receipt.refusal.check] += 1
                elif receipt is not None:
                    self.acknowledged.append(receipt.command_id)
                self.ending.wait(self._choose.uniform(0.0, 0.05))
        finally:
            client.close()

    def _command(self, snapshot: Snapshot) -> PlaceOrder | ClosePosition | SetTradingState | None:
        """An entry with a stop, of a size of its own; now and then a close; and a brake that latched is let go."""
        self._number += 1
        symbol, name = self._choose.choice(SYMBOLS), f"crash-{self._number}"
        if snapshot.accounts[0].trading_state is not TradingState.ACTIVE:
            return SetTradingState(name, TradingState.ACTIVE)
        if len(snapshot.positions) > 1 and self._choose.random() < 0.3:
            return ClosePosition(name, self._choose.choice(snapshot.positions).symbol)
        quote = next((one for one in snapshot.quotes if one.symbol == symbol), None)
        if quote is None or quote.ask is None:
            return None
        away = Decimal(str(self._choose.uniform(0.0005, 0.02)))
        lots = round(Decimal(self._choose.randint(100, 400)) / quote.ask / quote.quantity_step)
        stop = (quote.ask * (1 - away) / quote.tick_size).to_integral_value() * quote.tick_size
        return PlaceOrder(name, symbol, Side.BUY, quantity=max(1, lots) * quote.quantity_step, stop=stop)


class Attached:
    """One home through so many signals."""

    def __init__(self, folder: Path, seed: int, say: Callable[[str], None]) -> None:
        self._choose, self._say = random.Random(seed), say
        (folder / "h").mkdir(mode=0o700)
        (folder / "h" / "config.toml").write_text(CONFIG, encoding="utf-8")
        self._home = open_home(folder / "h")
        self.problems: list[str] = []
        self.done: Counter[str] = Counter()
        self._lookers = [Looker(self._home), Looker(self._home)]
        self._trader = Trader(self._home, seed + 1)
        self._process = self._started()
        for one in (*self._lookers, self._trader):
            one.start()

    def _started(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen([sys.executable, "-m", "tui.cli", "--home", str(self._home.path), "run", "--headless"],
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if "ready" not in line:
            raise SystemExit(f"the engine did not start: {line or process.wait(5)}")
        return process

    def run(self, signals: list[str]) -> None:
        try:
            for place, what in enumerate(signals):
                self._one(place, what)
        finally:
            clients: tuple[Looker | Trader, ...] = (*self._lookers, self._trader)
            for one in clients:
                one.ending.set()
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.terminate()
            self._process.communicate(timeout=DEADLINE_SECONDS)
            for one in clients:
                one.join(DEADLINE_SECONDS)
                self.problems += one.wrong

    @property
    def acknowledged(self) -> list[str]:
        return self._trader.acknowledged

    @property
    def snapshots_seen(self) -> int:
        return sum(one.seen for one in self._lookers)

    def _one(self, place: int, what: str) -> None:
        """Let the clients work, send the signal at a random moment, and see what is left."""
        self._until(lambda: all(one.connected.is_set() for one in self._lookers), "a client did not come back")
        before = [len(one.lost) for one in self._lookers]
        self._trader.working.set()
        time.sleep(self._choose.uniform(0.2, 1.5))
        if what == STOP:
            self._stop_and_continue()
        else:
            self._end(what)
            self._until(lambda: all(len(one.lost) > count for one, count in zip(self._lookers, before, strict=True)),
                        "a client was not told that the engine is gone")
            self._process = self._started()
        self._trader.working.clear()
        self._until(self._trader.idle.is_set, "the trader hangs")
        self._until(lambda: all(one.connected.is_set() for one in self._lookers), "a client did not come back")
        self.done[what] += 1
        found = self._found()
        self.problems += [f"signal {place}, {what}: {line}" for line in found]
        self._say(f"{place}: {what}; {len(self.acknowledged)} acknowledged, refused {dict(self._trader.refused)}, "
                  f"{'; '.join(found) or 'all there'}")

    def _stop_and_continue(self) -> None:
        os.kill(self._process.pid, signal.SIGSTOP)
        time.sleep(self._choose.choice((0.2, 1.0, 3.0, 11.0)))  # from ten seconds on it counts as a sleep
        os.kill(self._process.pid, signal.SIGCONT)
        seen = self.snapshots_seen
        self._until(lambda: self.snapshots_seen > seen + 2, "no snapshot came after the engine was continued")

    def _end(self, what: str) -> None:
        self._process.send_signal(signal.SIGKILL if what == KILL else signal.SIGTERM)
        self._process.communicate(timeout=DEADLINE_SECONDS)
        if what == TERM and self._process.returncode != 0:
            self.problems.append(f"SIGTERM ended the engine with {self._process.returncode}")

    def _until(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(otherwise)
            time.sleep(POLL_SECONDS)

    # ---- what must hold ----

    def _found(self) -> list[str]:
        """What is wrong once the engine has come to rest, which it may take a moment for; empty where nothing is."""
        deadline = time.monotonic() + DEADLINE_SECONDS / 2
        while (found := self._unsettled()) and time.monotonic() < deadline:
            time.sleep(4 * POLL_SECONDS)
        report = verify(self._home.journal)
        if not report.sound:
            found.append(f"the journal is damaged: {report.damaged[0]}")
        return found + self.lost(self._trader.acknowledged) + doubled_orders(self._home.journal)

    def lost(self, acknowledged: list[str]) -> list[str]:
        """Commands that the journal does not know, in words."""
        known = restored_state(self._home).commands
        unknown = [name for name in acknowledged if name not in known]
        return [f"acknowledged and not in the journal: {unknown[:3]}"] if unknown else []

    def _unsettled(self) -> list[str]:
        client = ControlClient(self._home.socket, VERSION)
        try:
            snapshot = client.snapshot_now()
        finally:
            client.close()
        ours = {one.instrument_id: one.lots for one in restored_state(self._home).positions.values()}
        found = [f"ours {ours}, the venue's {theirs}"] if ours != (theirs := self._held_at_venue()) else []
        found += [f"{one.symbol} is not guarded: {one.stop_home}" for one in snapshot.positions
                  if one.unprotected_now or one.stop_home not in (StopHome.VENUE, StopHome.ENGINE)]
        return found + [f"drift: {line}" for account in snapshot.accounts for line in account.drift]

    def _held_at_venue(self) -> dict[str, int]:
        with sqlite3.connect(f"file:{self._home.paper}?mode=ro", uri=True) as connection:
            return dict(connection.execute("SELECT instrument_id, lots FROM holdings WHERE lots != 0"))


def signals_of(count: int, seed: int) -> list[str]:
    """So many signals: each kind once, then by chance."""
    choose = random.Random(seed)
    kinds = [KILL, STOP, TERM]
    choose.shuffle(kinds)
    return [*kinds, *(choose.choice((KILL, KILL, STOP, TERM)) for _ in range(count))][:count]


def run_attached(folder: Path, count: int, seed: int, say: Callable[[str], None] = lambda _: None) -> Attached:
    """Send so many signals to an engine with clients; `problems` says what was wrong."""
    run = Attached(folder, seed, say)
    run.run(signals_of(count, seed))
    return run
