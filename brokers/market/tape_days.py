"""The past in days of a tape that is being played: its bars or prints gathered up to now, never beyond."""

from collections.abc import Callable, Iterator, Sequence
from threading import Lock

from engine.inputs import Bar, MarketItem, Quote
from engine.instruments import DAY_NS, SESSION_NS
from engine.ports import Tape
from engine.trading_hours import SessionLookup
from engine.units import Nanoseconds

EVERY_BAR = 1 << 31
LATE_SHARE = 10  # a first day that begins later than a tenth into its session is no whole day
WHOLE_DAYS_NS = (DAY_NS, SESSION_NS)  # a coin's day; a share's, whose rows are stamped with a date


class TapeDays:
    """Daily bars out of a tape, its warm-up included. A day counts once its session is over by the clock of the replay, the first
    one where the tape has its beginning; a file of daily bars is told as it is. The tape is read once, in a stream of its own,
    and only as far as the clock is."""

    def __init__(self, tape: Tape, now_ns: Callable[[], Nanoseconds], sessions: SessionLookup) -> None:
        self._tape = tape
        self._now_ns = now_ns
        self._sessions = sessions
        self._instruments = {one.instrument_id: one for one in tape.instruments()}
        self._days: dict[str, list[Bar]] = {name: [] for name in self._instruments}
        self._items: Iterator[MarketItem] | None = None
        self._next: MarketItem | None = None
        self._lock = Lock()

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The newest `limit` days that are over, oldest first. Blocks while the tape is read; any thread."""
        if instrument_id not in self._instruments or limit < 1:
            return ()
        with self._lock:
            now_ns = self._now_ns()
            self._read_until(now_ns)
            return [bar for bar in self._days[instrument_id] if bar.close_ns <= now_ns][-limit:]

    def _read_until(self, now_ns: Nanoseconds) -> None:
        if self._items is None:
            for name in self._instruments:
                for bar in self._tape.history(name, EVERY_BAR):
                    self._count(bar)
            self._items = iter(self._tape.items())
            self._next = next(self._items, None)
        while self._next is not None and _known_ns(self._next) <= now_ns:
            self._count(self._next)
            self._next = next(self._items, None)

    def _count(self, item: MarketItem) -> None:
        if isinstance(item, Quote):
            return
        if isinstance(item, Bar):
            seen = item
        else:
            price = item.price_ticks
            seen = Bar(item.instrument_id, item.at_ns, item.at_ns, price, price, price, price, item.lots)
        days = self._days[item.instrument_id]
        if seen.close_ns - seen.open_ns in WHOLE_DAYS_NS:
            days.append(seen)
            return
        bounds = self._sessions(self._instruments[item.instrument_id].session, seen.open_ns)
        if days and days[-1].open_ns == bounds.open_ns:
            days[-1] = _joined(days[-1], seen)
        elif not days and seen.open_ns - bounds.open_ns > (bounds.close_ns - bounds.open_ns) // LATE_SHARE:
            return  # the tape began in the middle of it
        else:
            days.append(seen._replace(open_ns=bounds.open_ns, close_ns=max(bounds.close_ns, seen.close_ns)))


def _joined(day: Bar, seen: Bar) -> Bar:
    return day._replace(high_ticks=max(day.high_ticks, seen.high_ticks), low_ticks=min(day.low_ticks, seen.low_ticks),
                        close_ticks=seen.close_ticks, close_ns=max(day.close_ns, seen.close_ns),
                        volume_lots=day.volume_lots + seen.volume_lots)


def _known_ns(item: MarketItem) -> Nanoseconds:
    return item.close_ns if isinstance(item, Bar) else item.at_ns
