"""What a soak happens in: a journal that can be full or killed, prices, and a service that takes notices."""

import threading
import time
from collections import deque
from pathlib import Path
from random import Random

from brokers.notifiers.desk import NotifyDesk
from brokers.notifiers.outbox import Outbox, Terms
from brokers.notifiers.routes import Route
from engine.effects import Notify
from engine.errors import JournalUnwritable
from engine.inputs import Bar, Quote
from engine.service import AlertLevel
from engine.units import NS_PER_SECOND, Nanoseconds
from store.journal import SqliteJournal
from store.memory import JournalCrashed
from tests.unit.engine_desk import COIN, OTHER

BAR_NS = 900 * NS_PER_SECOND
KEPT_BARS = 200


class SoakJournal(SqliteJournal):
    """The journal on disk, which can be full for a while, and a process that can be killed at a row, before or after it lasts."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, inline=True, relaxed=True, engine_id="soak")
        self.full = False
        self.fatal_seq = 0
        self.loses = False

    async def wait_durable(self) -> None:
        if self.full:
            raise JournalUnwritable("database or disk is full")
        fatal = bool(self.fatal_seq and self._pending and self._pending[-1].seq >= self.fatal_seq)
        if fatal and self.loses:
            self._pending = []
        self._commit_inline()
        if fatal:
            raise JournalCrashed(f"killed at row {self.fatal_seq}")

    async def retry(self) -> None:
        await self.wait_durable()

    def kill(self) -> None:
        """What was not on disk is gone."""
        self._pending = []
        self.close()


class Prices:
    """A walk of two instruments, with jumps and, for a while, silence."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._ticks = {COIN.instrument_id: 10_000, OTHER.instrument_id: 5_000}
        self._opens = dict(self._ticks)
        self._reach = {key: [ticks, ticks] for key, ticks in self._ticks.items()}
        self.bars: dict[str, deque[Bar]] = {key: deque(maxlen=KEPT_BARS) for key in self._ticks}

    def quotes(self, at_ns: Nanoseconds) -> list[Quote]:
        found = []
        for key, ticks in self._ticks.items():
            jump = self._random.choice((-0.03, 0.03)) if self._random.random() < 0.0004 else 0.0
            pull = 0.0004 * (1 - ticks / (10_000 if key == COIN.instrument_id else 5_000))
            now = max(1_000, round(ticks * (1 + self._random.gauss(0, 0.0006) + jump + pull)))
            self._ticks[key] = now
            reach = self._reach[key]
            reach[0], reach[1] = min(reach[0], now), max(reach[1], now + 1)
            found.append(Quote(key, now, now + 1, 100_000, 100_000, at_ns))
        return found

    def closed_bars(self, at_ns: Nanoseconds) -> list[Bar]:
        found = []
        for key, ticks in self._ticks.items():
            low, high = self._reach[key]
            opened = self._opens[key]
            bar = Bar(key, at_ns - BAR_NS, at_ns, opened, max(high, opened), min(low, opened), ticks, 50_000)
            self._opens[key], self._reach[key] = ticks, [ticks, ticks]
            self.bars[key].append(bar)
            found.append(bar)
        return found

    def price(self, key: str) -> int:
        return self._ticks[key]


class Told:
    """A desk of notices with a service that takes everything, and how long each took to get there."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()
        outbox = Outbox([Route("phone", AlertLevel.WARN)], Terms(repeat_seconds=0))
        self.desk = NotifyDesk(outbox, {"phone": "soak"}, "PAPER", lambda _: None, self._send, lambda: None)
        self.desk.start(tuple)

    def notify(self, notice: Notify) -> None:
        with self._lock:
            self._asked.setdefault(notice.text, time.perf_counter())
        self.desk.notify(notice)

    def _send(self, _address: str, _level: AlertLevel, _title: str, text: str) -> str:
        with self._lock:
            asked = self._asked.pop(text.partition(" · raised ")[0], None)  # the simulated day is long ago by the desk's clock
            if asked is not None:
                self.latencies.append(time.perf_counter() - asked)
            elif len(self._asked) > 1_000:
                self._asked.clear()
        return ""
