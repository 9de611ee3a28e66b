"""A market that needs no network: invented prices that can be asked for at any time, and always the same ones."""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from brokers.market.listing import DEFAULT_TWELVE, SimulatedInstrument
from brokers.market.walk import (
    FIRST_DAY,
    KEPT_DAYS,
    NIGHT_SHARE,
    NODES,
    WEEKEND_VOLATILITY,
    Bridge,
    DailyWalk,
    StretchCache,
    noise,
)
from brokers.sessions import NS_PER_DAY, bounds_of_day, session_bounds
from engine.errors import InstrumentError
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.trading_hours import SessionBounds, day_of_utc
from engine.units import NS_PER_SECOND, Nanoseconds, Ticks

MINUTE_NS = 60 * NS_PER_SECOND
FINE_BARS_NS = 3_600 * NS_PER_SECOND  # shorter bars are drawn from the finest points
OPENING_NS = 300 * NS_PER_SECOND
LONGEST_LOOK_BACK_DAYS = 3_000


class SimulatedMarket:
    """Invented prices of some instruments; everything is a pure function of seed, instrument and time, whatever thread asks.

    Shares trade in their session (always, with `always_open`), gap over night and open with wide spreads; coins trade
    round the clock. Prices begin with 2018; before that there is no quote.
    """

    def __init__(self, seed: int, instruments: Sequence[SimulatedInstrument] = DEFAULT_TWELVE, *,
                 always_open: bool = False) -> None:
        self.seed = seed
        self._listed: dict[str, SimulatedInstrument] = {}
        self._walks: dict[str, DailyWalk] = {}
        for listed in instruments:
            instrument = listed.instrument
            if always_open and instrument.session != ALWAYS_OPEN:
                instrument = msgspec.structs.replace(instrument, session=ALWAYS_OPEN)
            self._listed[instrument.instrument_id] = listed._replace(instrument=instrument)
            self._walks[instrument.instrument_id] = DailyWalk(
                f"{seed}|{instrument.symbol}", f"{seed}|{instrument.asset_class}", listed.daily_volatility,
                listed.common_share)
        self._bridge_of = lru_cache(KEPT_DAYS)(self._new_bridge)
        self._stretches = StretchCache()

    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(listed.instrument for listed in self._listed.values())

    def is_open(self, instrument_id: str, at_ns: Nanoseconds) -> bool:
        """Whether there is a market in the instrument at that time."""
        return self._bridge_at(self._of(instrument_id), at_ns) is not None

    def quote(self, instrument_id: str, at_ns: Nanoseconds) -> Quote | None:
        """Best bid and ask; None outside the session."""
        listed = self._of(instrument_id)
        bridge = self._bridge_at(listed, at_ns)
        if bridge is None:
            return None
        mid = self._price(listed, self._stretches.level(bridge, at_ns))
        half = mid * self._spread_bps(listed, bridge, at_ns) / 20_000.0
        tick = float(listed.instrument.tick_size)
        bid_ticks = max(1, math.floor((mid - half) / tick))
        ask_ticks = max(bid_ticks + 1, math.ceil((mid + half) / tick))
        bits = noise(f"{self.seed}|size|{instrument_id}|{at_ns}")
        return Quote(instrument_id, bid_ticks, ask_ticks, self._size(listed, bits & 0xFFFF),
                     self._size(listed, bits >> 16 & 0xFFFF), at_ns)

    def market_trade(self, instrument_id: str, at_ns: Nanoseconds) -> MarketTrade | None:
        """The print that somebody else makes at that time, at the bid or the ask; None outside the session."""
        quote = self.quote(instrument_id, at_ns)
        if quote is None:
            return None
        bits = noise(f"{self.seed}|print|{instrument_id}|{at_ns}")
        aggressor = 1 if bits & 1 else -1
        lots = max(1, self._size(self._of(instrument_id), bits >> 8 & 0xFFFF) // 4)
        return MarketTrade(instrument_id, quote.ask_ticks if aggressor > 0 else quote.bid_ticks, lots, aggressor, at_ns)

    def bar(self, instrument_id: str, open_ns: Nanoseconds, close_ns: Nanoseconds) -> Bar | None:
        """The bar of the mid price over `[open_ns, close_ns)` as far as the market was open; None where it was not."""
        listed = self._of(instrument_id)
        bridge = self._bridge_at(listed, open_ns)
        if bridge is None:
            start_ns = session_bounds(listed.instrument.session, open_ns).open_ns
            bridge = self._bridge_at(listed, start_ns) if start_ns < close_ns else None
            if bridge is None:
                return None
        first_ns, last_ns = max(open_ns, bridge.start_ns), min(close_ns, bridge.end_ns)
        fine = close_ns - open_ns < FINE_BARS_NS
        low, high = self._stretches.extremes(bridge, first_ns, last_ns, fine=fine)
        opened, closed = (self._ticks(listed, self._stretches.level(bridge, at_ns)) for at_ns in (first_ns, last_ns))
        share = (last_ns - first_ns) / NS_PER_DAY
        bits = noise(f"{self.seed}|volume|{instrument_id}|{open_ns}|{close_ns}")
        busy = 1.0 + 40.0 * (high - low) / listed.daily_volatility
        volume_lots = int(listed.typical_lots * 6_000 * share * busy * (0.5 + (bits & 0xFFFF) / 0xFFFF))
        return Bar(instrument_id, open_ns, close_ns, opened, max(self._ticks(listed, high), opened, closed),
                   min(self._ticks(listed, low), opened, closed), closed, volume_lots)

    def history(self, instrument_id: str, bar_seconds: int, limit: int, until_ns: Nanoseconds) -> list[Bar]:
        """The last `limit` closed bars before `until_ns`, oldest first; bars begin on multiples of their length.

        Bars of an hour or more see the coarse points only, so a long bar's extremes may be a little inside those of
        the short bars it spans.
        """
        length_ns = bar_seconds * NS_PER_SECOND
        session = self._of(instrument_id).instrument.session
        bars: list[Bar] = []
        close_ns = until_ns // length_ns * length_ns
        earliest_ns = max(FIRST_DAY * NS_PER_DAY, until_ns - LONGEST_LOOK_BACK_DAYS * NS_PER_DAY)
        while len(bars) < limit and close_ns - length_ns >= earliest_ns:
            bar = self.bar(instrument_id, close_ns - length_ns, close_ns)
            if bar is not None:
                bars.append(bar)
                close_ns -= length_ns
            else:
                close_ns = self._last_close(session, close_ns, length_ns)
        bars.reverse()
        return bars

    def daily_bars(self, instrument_id: str, limit: int, until_ns: Nanoseconds) -> list[Bar]:
        """The last `limit` whole sessions that are over by `until_ns`, oldest first; their extremes are those of the coarse
        points."""
        listed = self._of(instrument_id)
        bars: list[Bar] = []
        day = until_ns // NS_PER_DAY
        while len(bars) < limit and day >= FIRST_DAY:
            bounds = bounds_of_day(listed.instrument.session, day) if listed.instrument.session != ALWAYS_OPEN else (
                day_of_utc(day * NS_PER_DAY))
            if bounds is not None and bounds.close_ns <= until_ns:
                bars.append(self._whole_session(listed, day, bounds))
            day -= 1
        bars.reverse()
        return bars

    def minute_bars(self, instrument_id: str, since_ns: Nanoseconds, until_ns: Nanoseconds) -> list[Bar]:
        """The whole minutes between two times in which the market was open, oldest first."""
        return list(self._bars_between(instrument_id, since_ns, until_ns))

    def catch_up(self, since_ns: Nanoseconds, until_ns: Nanoseconds) -> Iterator[MarketItem]:
        """What a tape of minute bars would have shown of all instruments: quotes at the opens, bars at the closes."""
        open_ns = -(-since_ns // MINUTE_NS) * MINUTE_NS
        while open_ns + MINUTE_NS <= until_ns:
            bars = [bar for instrument_id in self._listed
                    if (bar := self.bar(instrument_id, open_ns, open_ns + MINUTE_NS)) is not None]
            for bar in bars:
                quote = self.quote(bar.instrument_id, open_ns)
                if quote is not None:
                    yield quote
            yield from bars
            open_ns = open_ns + MINUTE_NS if bars else self._next_open(open_ns + MINUTE_NS)

    # ---- inside ----

    def _whole_session(self, listed: SimulatedInstrument, day: int, bounds: SessionBounds) -> Bar:
        bridge = self._new_bridge(listed.instrument.instrument_id, day, *bounds)
        levels = [level + bridge.jump if at / NODES >= bridge.jump_at else level for at, level in enumerate(bridge.levels)]
        ticks = [self._ticks(listed, level) for level in (levels[0], max(levels), min(levels), levels[-1])]
        bits = noise(f"{self.seed}|volume|{listed.instrument.instrument_id}|{day}")
        share = (bounds.close_ns - bounds.open_ns) / NS_PER_DAY
        busy = 1.0 + 40.0 * (max(levels) - min(levels)) / listed.daily_volatility
        volume_lots = int(listed.typical_lots * 6_000 * share * busy * (0.5 + (bits & 0xFFFF) / 0xFFFF))
        return Bar(listed.instrument.instrument_id, *bounds, ticks[0], ticks[1], ticks[2], ticks[3], volume_lots)

    def _bars_between(self, instrument_id: str, since_ns: Nanoseconds, until_ns: Nanoseconds) -> Iterator[Bar]:
        open_ns = -(-since_ns // MINUTE_NS) * MINUTE_NS
        while open_ns + MINUTE_NS <= until_ns:
            bar = self.bar(instrument_id, open_ns, open_ns + MINUTE_NS)
            if bar is not None:
                yield bar
                open_ns += MINUTE_NS
            else:
                session = self._of(instrument_id).instrument.session
                open_ns = max(open_ns + MINUTE_NS, session_bounds(session, open_ns).open_ns // MINUTE_NS * MINUTE_NS)

    def _next_open(self, at_ns: Nanoseconds) -> Nanoseconds:
        opens = [session_bounds(listed.instrument.session, at_ns).open_ns for listed in self._listed.values()]
        return max(at_ns, min(opens) // MINUTE_NS * MINUTE_NS)

    @staticmethod
    def _last_close(session: str, before_ns: Nanoseconds, length_ns: Nanoseconds) -> Nanoseconds:
        """The end of the last bar that could hold trading before `before_ns`."""
        if session == ALWAYS_OPEN:
            return before_ns - length_ns
        day = (before_ns - length_ns) // NS_PER_DAY
        while (bounds := bounds_of_day(session, day)) is None or bounds.open_ns >= before_ns - length_ns:
            day -= 1
        last_ns = -(-min(bounds.close_ns, before_ns) // length_ns) * length_ns
        return min(last_ns, before_ns - length_ns)

    def _of(self, instrument_id: str) -> SimulatedInstrument:
        listed = self._listed.get(instrument_id)
        if listed is None:
            raise InstrumentError(f"{instrument_id} is not part of the simulated market")
        return listed

    def _bridge_at(self, listed: SimulatedInstrument, at_ns: Nanoseconds) -> Bridge | None:
        """The stretch of trading that holds an instant."""
        session = listed.instrument.session
        day = at_ns // NS_PER_DAY
        if day < FIRST_DAY:
            return None
        bounds = session_bounds(session, at_ns)
        if at_ns < bounds.open_ns:
            return None
        day = bounds.open_ns // NS_PER_DAY
        return self._bridge_of(listed.instrument.instrument_id, day, bounds.open_ns, bounds.close_ns)

    def _new_bridge(self, instrument_id: str, day: int, open_ns: Nanoseconds, close_ns: Nanoseconds) -> Bridge:
        instrument = self._of(instrument_id).instrument
        walk = self._walks[instrument.instrument_id]
        today = walk.day(day)
        variance = today.volatility ** 2
        key = f"{self.seed}|{instrument.symbol}|{day}"
        if instrument.session == ALWAYS_OPEN:
            weekend = WEEKEND_VOLATILITY if (day + 3) % 7 >= 5 else 1.0
            variance *= weekend ** 2
            return Bridge(key, open_ns, close_ns, (today.before, today.after), variance, opens_wild=False)
        previous = day - 1
        while previous > FIRST_DAY and bounds_of_day(instrument.session, previous) is None:
            previous -= 1
        closed = walk.day(previous).after
        gap = NIGHT_SHARE * (today.after - closed) + today.volatility * 0.4 * _unit(noise(f"{key}|gap"))
        variance *= 1.0 - NIGHT_SHARE
        return Bridge(key, open_ns, close_ns, (closed + gap, today.after), variance, opens_wild=True)

    def _spread_bps(self, listed: SimulatedInstrument, bridge: Bridge, at_ns: Nanoseconds) -> float:
        """Wider when this part of the day is wild, and just after the open."""
        index = min(NODES - 1, int(bridge.place(at_ns) * NODES))
        usual = listed.daily_volatility ** 2 / NODES
        wild = math.sqrt(bridge.variances[index] / usual)
        opening = 3.0 * math.exp((bridge.start_ns - at_ns) / OPENING_NS) if listed.instrument.session != ALWAYS_OPEN else 0.0
        return listed.spread_bps * (0.6 + 0.6 * wild + opening)

    @staticmethod
    def _price(listed: SimulatedInstrument, level: float) -> float:
        return listed.base_price * math.exp(level)

    def _ticks(self, listed: SimulatedInstrument, level: float) -> Ticks:
        return max(1, round(self._price(listed, level) / float(listed.instrument.tick_size)))

    @staticmethod
    def _size(listed: SimulatedInstrument, bits: int) -> int:
        return max(1, int(listed.typical_lots * math.exp(1.6 * (bits / 0xFFFF - 0.5))))


def _unit(bits: int) -> float:
    """Bits as a number between -1 and 1."""
    return bits / float(1 << 63) - 1.0
