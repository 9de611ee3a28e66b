"""`python -m tests.bench.engine`: what a quote costs with 50 positions open, and how many a second go through the whole loop.

Aims: at most 3 µs (p50) from a quote to the decision on its instrument's exits; cost independent of positions elsewhere.
Printed beside the cost of an empty dictionary lookup and call, the least that any such check needs on this machine.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from random import Random
from statistics import median, quantiles

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.clocks import VirtualClock
from engine.decide import decide
from engine.inputs import AutomationLevel, Bar, Command, Limits, MarketItem, PlaceOrder, PortfolioSettings, Quote, Settings
from engine.instruments import AssetClass, Instrument
from engine.orders import Side
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.turn import Stamped
from engine.units import NS_PER_SECOND
from store.memory import MemoryJournal

POSITIONS = 50
ROUNDS = 200_000


def instruments(count: int) -> tuple[Instrument, ...]:
    return tuple(Instrument(f"S{place:03}@paper", f"S{place:03}", "paper", AssetClass.EQUITY, f"S{place:03}", "USD",
                            Decimal("0.01"), Decimal(1), 2, 10_000_000, 1_000_000) for place in range(count))


class WalkTape:
    """Quotes of many instruments in turn, each a gentle walk that stays inside its stops."""

    def __init__(self, listed: Sequence[Instrument], items: int) -> None:
        self._listed = tuple(listed)
        self._items = items

    def instruments(self) -> tuple[Instrument, ...]:
        return self._listed

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        random = Random(1)
        prices = {one.instrument_id: 10_000 for one in self._listed}
        names = list(prices)
        for place in range(self._items):
            name = names[place % len(names)]
            prices[name] = min(10_050, max(9_950, prices[name] + random.choice((-1, 0, 1))))
            bid = prices[name]
            yield Quote(name, bid, bid + 1, 1_000, 1_000, (place + 1) * 2_000_000)


def settings() -> Settings:
    limits = Limits(max_heat_fraction=0.9, max_position_fraction=0.9, orders_per_minute=1_000, stale_quote_seconds=60)
    return Settings((PortfolioSettings("main", "bench", "USD", 2, AutomationLevel.SUGGEST_ONLY, limits),),
                    reconcile_seconds=86_400)


def engine_with_positions(positions: int, items: int) -> Engine:
    """An engine that has bought `positions` instruments, each with a stop and a target resting at the venue."""
    listed = instruments(max(positions, 50))
    broker = PaperBroker("bench", None, PaperOptions(initial_cash_minor=100_000_000), listed)
    script: list[tuple[int, Command]] = [
        (NS_PER_SECOND + place, PlaceOrder(f"c{place}", one.symbol, Side.BUY, quantity=Decimal(100), stop=Decimal(95),
                                           target=Decimal(110))) for place, one in enumerate(listed[:positions])]
    engine = Engine(EngineParts(VirtualClock(), MemoryJournal(), "bench", "bench", Mode.REPLAY, settings(), (broker,),
                                tape=WalkTape(listed, items), script=tuple(script)))
    asyncio.run(engine.run())
    assert len(engine.state.positions) == positions, engine.state.positions
    return engine


def timed(work: Callable[[int], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median and 99th percentile of one call, in microseconds, from blocks of 100 calls."""
    blocks = []
    for block in range(rounds // 100):
        began = time.perf_counter_ns()
        for place in range(100):
            work(block * 100 + place)
        blocks.append((time.perf_counter_ns() - began) / 100 / 1_000)
    return median(blocks), quantiles(blocks, n=100)[98]


def tick_to_decision(positions: int) -> tuple[float, float]:
    """A quote of a held instrument through the market view and `decide`."""
    engine = engine_with_positions(positions, 2_000)
    state, market = engine.state, engine.market
    now = state.at_ns + NS_PER_SECOND
    quotes = [Quote(f"S{place % max(1, positions):03}@paper", 10_000 + place % 7, 10_001 + place % 7, 100, 100, now)
              for place in range(1_000)]

    def one(place: int) -> object:
        quote = quotes[place % 1_000]
        market.see(quote, now)
        return decide(state, Stamped(now, quote, market))

    return timed(one)


def floor() -> float:
    table = {f"S{place:03}@paper": (place, place) for place in range(50)}
    keys = list(table)
    return timed(lambda place: table.get(keys[place % 50]))[0]


def through_the_loop(items: int) -> float:
    """Quotes a second through venue, market view, decision and beat, 50 positions held, stops resting at the venue."""
    began = time.perf_counter()
    engine_with_positions(POSITIONS, items)
    return items / (time.perf_counter() - began)


def main() -> None:
    least = floor()
    print(f"least (a lookup and a call)              {least:7.2f} us")
    for positions in (1, POSITIONS):
        p50, p99 = tick_to_decision(positions)
        print(f"quote to decision, {positions:3} positions: p50 {p50:6.2f} us  p99 {p99:6.2f} us  "
              f"({p50 / least:.1f}x least; aim 3 us)")
    rates = [through_the_loop(200_000) for _ in range(3)]
    print(f"whole loop, {POSITIONS} positions, venue included: {median(rates):,.0f} quotes a second (median of 3)")


if __name__ == "__main__":
    main()
