"""The simulated market as a live feed and as a tape."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from brokers.market.invented import MINUTE_NS, SimulatedMarket
from brokers.market.listing import DEFAULT_TWELVE, SimulatedInstrument
from brokers.market.walk import seeded
from engine.inputs import Bar, MarketItem
from engine.instruments import Instrument
from engine.units import NS_PER_SECOND, Nanoseconds

__all__ = ["DEFAULT_TWELVE", "SimulatedFeed", "SimulatedInstrument", "SimulatedMarket", "SimulatedTape"]

DEFAULT_QUOTES_PER_SECOND = 24.0
PRINT_CHANCE = 0.3
LONGEST_WAIT_SECONDS = 1.0


class SimulatedFeed:
    """Quotes and prints in real time, `quotes_per_second` over all instruments together at uneven intervals, and a
    one-minute bar of each open instrument at the minute's end."""

    def __init__(self, market: SimulatedMarket, clock_now_ns: Callable[[], Nanoseconds],
                 quotes_per_second: float = DEFAULT_QUOTES_PER_SECOND) -> None:
        self._market = market
        self._now_ns = clock_now_ns
        self._rate = max(0.001, quotes_per_second)
        self._random = seeded(f"{market.seed}|feed")
        self._closed = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        """Hand items to `sink` until `close`; every open instrument is quoted at once when it begins."""
        names = [instrument.instrument_id for instrument in self._market.instruments()]
        for instrument_id in names:
            self._quote(instrument_id, sink)
        minute = self._now_ns() // MINUTE_NS
        while not self._closed.is_set():
            await self._wait(self._random.expovariate(self._rate))
            if self._closed.is_set():
                break
            current = self._now_ns() // MINUTE_NS
            if current != minute:
                self._bars(names, current * MINUTE_NS, sink)
                minute = current
            self._quote(self._random.choice(names), sink)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed one-minute bars before now."""
        return self._market.history(instrument_id, 60, limit, self._now_ns())

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed bars of half an hour before now. Blocks; any thread."""
        return self._market.history(instrument_id, 1_800, limit, self._now_ns()) if self._knows(instrument_id) else ()

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last whole sessions before now. Blocks; any thread."""
        return self._market.daily_bars(instrument_id, limit, self._now_ns()) if self._knows(instrument_id) else ()

    def _knows(self, instrument_id: str) -> bool:
        return any(one.instrument_id == instrument_id for one in self._market.instruments())

    async def close(self) -> None:
        """End `run` at once."""
        self._closed.set()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._closed.wait(), min(seconds, LONGEST_WAIT_SECONDS))
        except TimeoutError:
            return

    def _quote(self, instrument_id: str, sink: Callable[[MarketItem], None]) -> None:
        at_ns = self._now_ns()
        quote = self._market.quote(instrument_id, at_ns)
        if quote is None:
            return
        sink(quote)
        if self._random.random() < PRINT_CHANCE:
            market_trade = self._market.market_trade(instrument_id, at_ns)
            if market_trade is not None:
                sink(market_trade)

    def _bars(self, names: Sequence[str], close_ns: Nanoseconds, sink: Callable[[MarketItem], None]) -> None:
        for instrument_id in names:
            bar = self._market.bar(instrument_id, close_ns - MINUTE_NS, close_ns)
            if bar is not None:
                sink(bar)


class SimulatedTape:
    """A stretch of the simulated market as a tape: each instrument quoted every `step` seconds, and minute bars."""

    def __init__(self, market: SimulatedMarket, start_ns: Nanoseconds, seconds: int, step: float = 1.0) -> None:
        self._market = market
        self._start_ns = start_ns
        self._end_ns = start_ns + seconds * NS_PER_SECOND
        self._step_ns = max(1, round(step * NS_PER_SECOND))

    def instruments(self) -> tuple[Instrument, ...]:
        return self._market.instruments()

    def items(self) -> Iterator[MarketItem]:
        names = [instrument.instrument_id for instrument in self._market.instruments()]
        at_ns = self._start_ns
        bar_close_ns = (self._start_ns // MINUTE_NS + 1) * MINUTE_NS
        while at_ns < self._end_ns:
            while bar_close_ns <= at_ns:
                yield from self._bars(names, bar_close_ns)
                bar_close_ns += MINUTE_NS
            for instrument_id in names:
                quote = self._market.quote(instrument_id, at_ns)
                if quote is not None:
                    yield quote
            at_ns += self._step_ns

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self._market.history(instrument_id, 60, limit, self._start_ns)

    def _bars(self, names: Sequence[str], close_ns: Nanoseconds) -> Iterator[Bar]:
        for instrument_id in names:
            bar = self._market.bar(instrument_id, close_ns - MINUTE_NS, close_ns)
            if bar is not None:
                yield bar
