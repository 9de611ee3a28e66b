"""What the market looks like now: newest quotes, last prices, bars and their ATR. Owned by the loop, never journaled.

A decision that depended on any of it carries the number in its event, so the journal alone still explains it.
"""

from collections import deque
from collections.abc import Callable, Hashable
from itertools import takewhile
from typing import NamedTuple, cast

from engine.alert_bands import AlertMemo
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.kernel.indicators import atr_grow, true_range
from engine.trading_hours import SessionLookup, only_always_open
from engine.units import NS_PER_SECOND, Nanoseconds, Ticks

ATR_BARS = 14
KEPT_BARS = 2_000
KEPT_MEMORIES = 4_096
VOLUME_BARS = 20
JUMP_PARTS = 5
SAME_MOMENT_NS = NS_PER_SECOND // 1_000  # a bar's own opening quote is of that moment
JUMP_MEMORY_NS = 60 * NS_PER_SECOND
NS_PER_DAY = 86_400 * NS_PER_SECOND
DAY_LOOK_NS = 900 * NS_PER_SECOND  # midnight of every zone falls on a quarter of an hour


class Reach:
    """The lowest and highest price at which a position could have left since it was opened."""

    __slots__ = ("high", "low", "sign", "since_ns")

    def __init__(self, sign: int, since_ns: Nanoseconds, low: Ticks, high: Ticks) -> None:
        self.sign, self.since_ns, self.low, self.high = sign, since_ns, low, high

    def stretch(self, low: Ticks, high: Ticks) -> None:
        self.low = min(self.low or low, low)
        self.high = max(self.high, high)


class Mark(NamedTuple):
    """The newest price of an instrument; `at_ns` is when the engine received it."""

    bid_ticks: Ticks
    ask_ticks: Ticks
    last_ticks: Ticks
    at_ns: Nanoseconds

    def value_ticks(self, sign: int) -> Ticks:
        """The price at which a position of that sign could leave: a long sells at the bid, a short buys at the ask."""
        return self.bid_ticks if sign >= 0 else self.ask_ticks

    def take_ticks(self, sign: int) -> Ticks:
        """The price at which an order of that sign would execute: a buy takes the ask, a sell the bid."""
        return self.ask_ticks if sign > 0 else self.bid_ticks


def _near(quote: Quote, known: Mark | Quote) -> bool:
    """Whether neither side jumped by more than a fifth."""
    return (abs(quote.bid_ticks - known.bid_ticks) * JUMP_PARTS <= known.bid_ticks
            and abs(quote.ask_ticks - known.ask_ticks) * JUMP_PARTS <= known.ask_ticks)


class MarketView:
    """The loop's picture of the market. `see` keeps it; everything else reads it."""

    def __init__(self, day_number: Callable[[Nanoseconds], int] = lambda at_ns: at_ns // NS_PER_DAY,
                 sessions: SessionLookup = only_always_open) -> None:
        self.marks: dict[str, Mark] = {}
        self._quoted_ns: dict[str, Nanoseconds] = {}
        self._closed_ns: dict[str, Nanoseconds] = {}  # when a mark was made of a bar without quotes inside
        self._void_ns: dict[str, Nanoseconds] = {}  # bars closed until then tell no price any more
        self.day_number = day_number
        self.session_bounds = sessions
        self.rejected_items = 0
        self._suspects: dict[str, Quote] = {}
        self._bars: dict[str, deque[Bar]] = {}
        self._reaches: dict[str, dict[str, Reach]] = {}
        self._memory: dict[Hashable, tuple[Hashable, object]] = {}
        self._atr: dict[str, tuple[int, float]] = {}
        self._day = 0
        self._day_due_ns: Nanoseconds = 0
        self._day_open: dict[str, tuple[int, Ticks]] = {}
        self.alert_memo = AlertMemo()
        self.longer_bars: dict[tuple[str, Nanoseconds], int] = {}  # how many a strategy on longer bars knows, by their length

    def session_open(self, session: str, at_ns: Nanoseconds) -> bool:
        """Whether a market trades at a moment."""
        return self.session_bounds(session, at_ns).holds(at_ns)

    def see(self, item: MarketItem, at_ns: Nanoseconds) -> bool:
        """Take an item in; False where it is absurd (crossed, not positive, a lone jump, a bar of before the last one) and must
        not be acted on."""
        if at_ns >= self._day_due_ns:
            self._day = self.day_number(at_ns)
            self._day_due_ns = at_ns - at_ns % DAY_LOOK_NS + DAY_LOOK_NS
        if type(item) is Quote:
            return self._see_quote(item, at_ns)
        if type(item) is Bar:
            return self._see_bar(item, at_ns)
        return self._see_print(item, at_ns)  # type: ignore[arg-type]

    def _see_quote(self, quote: Quote, at_ns: Nanoseconds) -> bool:
        bid, ask = quote.bid_ticks, quote.ask_ticks
        if bid <= 0 or ask < bid:
            self.rejected_items += 1
            return False
        known = self.marks.get(quote.instrument_id)
        if known is not None and self._is_lone_jump(quote, known, at_ns):
            self.rejected_items += 1
            return False
        self._open_day(quote.instrument_id, bid)
        last = known.last_ticks if known and bid <= known.last_ticks <= ask else (bid + ask) // 2
        self.marks[quote.instrument_id] = Mark(bid, ask, last, at_ns)
        self._quoted_ns[quote.instrument_id] = quote.at_ns
        reaches = self._reaches.get(quote.instrument_id)
        if reaches:
            for reach in reaches.values():
                if quote.at_ns >= reach.since_ns:
                    price = bid if reach.sign > 0 else ask
                    reach.stretch(price, price)
        return True

    def _is_lone_jump(self, quote: Quote, known: Mark, at_ns: Nanoseconds) -> bool:
        """A jump of more than a fifth within a minute waits for a second quote that says the same (a fat finger does not
        come twice); a gap after silence is taken at once, and so is the open after a bar that no quote came in."""
        if _near(quote, known) or at_ns - known.at_ns > JUMP_MEMORY_NS \
                or known.at_ns == self._closed_ns.get(quote.instrument_id):
            if self._suspects:
                self._suspects.pop(quote.instrument_id, None)
            return False
        suspect = self._suspects.get(quote.instrument_id)
        if suspect is not None and _near(quote, suspect):
            del self._suspects[quote.instrument_id]
            return False
        self._suspects[quote.instrument_id] = quote
        return True

    def _see_print(self, item: MarketTrade, at_ns: Nanoseconds) -> bool:
        if item.price_ticks <= 0:
            self.rejected_items += 1
            return False
        self._open_day(item.instrument_id, item.price_ticks)
        known = self.marks.get(item.instrument_id)
        if known is None:
            self.marks[item.instrument_id] = Mark(item.price_ticks, item.price_ticks, item.price_ticks, at_ns)
        else:
            self.marks[item.instrument_id] = known._replace(last_ticks=item.price_ticks)
        return True

    def _see_bar(self, bar: Bar, at_ns: Nanoseconds) -> bool:
        if bar.low_ticks <= 0 or not bar.low_ticks <= bar.close_ticks <= bar.high_ticks:
            self.rejected_items += 1
            return False
        bars = self._bars.setdefault(bar.instrument_id, deque(maxlen=KEPT_BARS))
        if bars and bar.close_ns <= bars[-1].close_ns:  # told again, or late: its time is over, and would count twice
            self.rejected_items += 1
            return False
        self._step_atr(bar, bars[-1].close_ticks if bars else bar.open_ticks)
        bars.append(bar)
        known = self.marks.get(bar.instrument_id)
        if known is None or known.at_ns < bar.close_ns:
            half = (known.ask_ticks - known.bid_ticks) // 2 if known else 0
            bid = max(1, bar.close_ticks - half)
            self.marks[bar.instrument_id] = Mark(bid, bar.close_ticks + half, bar.close_ticks, at_ns)
            if not self.quoted_inside(bar):
                self._closed_ns[bar.instrument_id] = at_ns
        self._open_day(bar.instrument_id, bar.close_ticks)
        for reach in self._reaches.get(bar.instrument_id, {}).values():
            if bar.open_ns + SAME_MOMENT_NS >= reach.since_ns and not self.quoted_inside(bar):
                reach.stretch(bar.low_ticks, bar.high_ticks)
            elif bar.close_ns >= reach.since_ns:
                reach.stretch(bar.close_ticks, bar.close_ticks)
        return True

    def follow(self, key: str, instrument_id: str, sign: int, since_ns: Nanoseconds, known: tuple[Ticks, Ticks]) -> None:
        """Keep the extremes of a position from its opening on; one that is kept already goes on."""
        reaches = self._reaches.setdefault(instrument_id, {})
        kept = reaches.get(key)
        if kept is None or (kept.sign, kept.since_ns) != (sign, since_ns):
            reaches[key] = Reach(sign, since_ns, *known)

    def forget(self, key: str, instrument_id: str) -> None:
        """A position is gone: its extremes are kept no longer."""
        self._reaches.get(instrument_id, {}).pop(key, None)

    def reach(self, key: str, instrument_id: str) -> tuple[Ticks, Ticks] | None:
        """The lowest and highest price that a position has seen; None where nothing was kept."""
        kept = self._reaches.get(instrument_id, {}).get(key)
        return (kept.low, kept.high) if kept is not None and kept.low else None

    def quoted_inside(self, bar: Bar) -> bool:
        """Whether quotes from inside the bar were judged already, so that its range says nothing new of the exits."""
        return self._quoted_ns.get(bar.instrument_id, 0) > bar.open_ns + SAME_MOMENT_NS

    def _step_atr(self, bar: Bar, previous_close: Ticks) -> None:
        seen, value = self._atr.get(bar.instrument_id, (0, 0.0))
        reach = true_range(bar.high_ticks, bar.low_ticks, previous_close)
        self._atr[bar.instrument_id] = atr_grow(seen, value, ATR_BARS, reach)

    def _open_day(self, instrument_id: str, ticks: Ticks) -> None:
        known = self._day_open.get(instrument_id)
        if known is None or known[0] != self._day:
            self._day_open[instrument_id] = (self._day, ticks)

    def warm(self, bars: list[Bar]) -> None:
        """Closed bars of one instrument from before those seen so far, oldest first: for ATR and charts; marks stay."""
        if not bars:
            return
        instrument_id = bars[0].instrument_id
        seen = list(self._bars.get(instrument_id, ()))
        older = [bar for bar in bars if not seen or bar.close_ns <= seen[0].open_ns]
        kept = self._bars[instrument_id] = deque(maxlen=KEPT_BARS)
        self._atr.pop(instrument_id, None)
        for bar in (*older, *seen):
            self._step_atr(bar, kept[-1].close_ticks if kept else bar.open_ticks)
            kept.append(bar)

    def bars(self, instrument_id: str, limit: int) -> list[Bar]:
        """The newest closed bars, oldest first."""
        kept = self._bars.get(instrument_id, ())
        return list(kept)[-limit:]

    def last_close_ticks(self, instrument_id: str) -> Ticks | None:
        """The close of the newest closed bar; None where that is no price any more."""
        kept = self._bars.get(instrument_id)
        if not kept or kept[-1].close_ns <= self._void_ns.get(instrument_id, 0):
            return None
        return kept[-1].close_ticks

    def void_price(self, instrument_id: str) -> None:
        """What was seen so far is no price any more, as after a split: nothing is worth anything known until a new one comes."""
        self.marks.pop(instrument_id, None)
        self._void_ns[instrument_id] = self.bars_stamp(instrument_id)[0]

    def bars_stamp(self, instrument_id: str) -> tuple[Nanoseconds, int]:
        """What changes with an instrument's bars: when the newest closed, and how many there are."""
        kept = self._bars.get(instrument_id)
        return (kept[-1].close_ns, len(kept)) if kept else (0, 0)

    def remembered[T](self, key: Hashable, stamp: Hashable, work: Callable[[], T]) -> T:
        """What `work` gave for this key, worked out again once the stamp has changed; for costly views of the bars."""
        known = self._memory.get(key)
        if known is None or known[0] != stamp:
            if len(self._memory) >= KEPT_MEMORIES:
                self._memory.clear()
            known = self._memory[key] = (stamp, work())
        return cast("T", known[1])

    def closes(self, instrument_id: str) -> list[tuple[Nanoseconds, Ticks]]:
        """When each bar closed, and where; oldest first."""
        return [(bar.close_ns, bar.close_ticks) for bar in self._bars.get(instrument_id, ())]

    def volume_since_lots(self, instrument_id: str, since_ns: Nanoseconds) -> int | None:
        """The volume of the closed bars that opened at or after a time; None where no bar is known."""
        kept = self._bars.get(instrument_id)
        if not kept:
            return None
        return sum(bar.volume_lots for bar in takewhile(lambda bar: bar.open_ns >= since_ns, reversed(kept)))

    def daily_volume_lots(self, instrument_id: str, day_ns: Nanoseconds) -> float | None:
        """The average volume of a trading day of that length, by the closed bars; None until there are enough of them."""
        return self.remembered(("volume", instrument_id, day_ns), self.bars_stamp(instrument_id),
                               lambda: self._measured_volume(instrument_id, day_ns))

    def _measured_volume(self, instrument_id: str, day_ns: Nanoseconds) -> float | None:
        kept = self._bars.get(instrument_id, ())
        if len(kept) < VOLUME_BARS:
            return None
        volume = sum(bar.volume_lots for bar in kept)
        covered_ns = sum(bar.close_ns - bar.open_ns for bar in kept)
        return volume / len(kept) * max(1.0, day_ns * len(kept) / covered_ns) if covered_ns else None

    def atr_ticks(self, instrument_id: str) -> float | None:
        """Wilder's average true range over 14 bars, in ticks; None until there are that many."""
        seen, value = self._atr.get(instrument_id, (0, 0.0))
        return value if seen >= ATR_BARS else None

    def day_open_ticks(self, instrument_id: str) -> Ticks | None:
        """The first price of the newest day on which there was one."""
        known = self._day_open.get(instrument_id)
        return known[1] if known else None
