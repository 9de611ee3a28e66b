"""The simulated market: the same whoever asks and in whatever order, and shaped like a real one."""

import asyncio
import math
import random
import statistics
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from brokers.market.simulated import SimulatedFeed, SimulatedMarket, SimulatedTape
from brokers.paper.records import PaperOptions
from engine.inputs import Bar, MarketItem, MarketTrade, Quote

SECOND_NS = 10 ** 9
COIN, SHARE = "BTC/USD@paper", "AAPL@paper"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


WEDNESDAY_NOON_NS = at("2026-03-04 17:00")


def test_quotes_do_not_depend_on_the_order_of_the_questions() -> None:
    times = [at("2025-06-01 00:00") + n * 977_777_777_777 for n in range(300)]
    asked = [(name, at_ns) for at_ns in times for name in (COIN, SHARE)]
    first = {key: SimulatedMarket(7).quote(*key) for key in asked[:20]}
    market = SimulatedMarket(7)
    shuffled = asked.copy()
    random.Random(1).shuffle(shuffled)
    second = {key: market.quote(*key) for key in shuffled}
    third = {key: market.quote(*key) for key in reversed(asked)}
    assert second == third
    assert all(second[key] == quote for key, quote in first.items())


def bars_of(market: SimulatedMarket, names: list[str]) -> list[list[Bar]]:
    return [market.history(name, 60, 4, WEDNESDAY_NOON_NS) for name in names]


def quotes_of(market: SimulatedMarket, names: list[str]) -> list[Quote | None]:
    return [market.quote(name, WEDNESDAY_NOON_NS) for name in names]


def test_prices_do_not_depend_on_how_many_threads_ask() -> None:
    """At a start one thread asks for history while another asks for quotes: both are the first to draw the days."""
    names = [instrument.instrument_id for instrument in SimulatedMarket(7).instruments()]
    bars, quotes = bars_of(SimulatedMarket(7), names), quotes_of(SimulatedMarket(7), names)
    for _ in range(5):
        market = SimulatedMarket(7)
        with ThreadPoolExecutor(2) as threads:
            asked = threads.submit(bars_of, market, names), threads.submit(quotes_of, market, names)
        assert asked[0].result() == bars
        assert asked[1].result() == quotes


def test_another_seed_is_another_market() -> None:
    assert SimulatedMarket(1).quote(COIN, WEDNESDAY_NOON_NS) != SimulatedMarket(2).quote(COIN, WEDNESDAY_NOON_NS)


def test_spreads_are_positive_and_prices_continuous() -> None:
    market = SimulatedMarket(3)
    quotes = [quote for n in range(3_000) if (quote := market.quote(COIN, WEDNESDAY_NOON_NS + n * SECOND_NS))]
    assert len(quotes) == 3_000
    assert all(0 < quote.bid_ticks < quote.ask_ticks and quote.bid_lots > 0 and quote.ask_lots > 0 for quote in quotes)
    steps = [abs(math.log(after.bid_ticks / before.bid_ticks)) for before, after in pairwise(quotes)]
    assert max(steps) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", [COIN, SHARE])
def test_returns_have_fat_tails_and_clustered_sizes(name: str) -> None:
    bars = SimulatedMarket(11).history(name, 60, 4_000, WEDNESDAY_NOON_NS)
    returns = [math.log(bar.close_ticks / bar.open_ticks) for bar in bars]
    mean, variance = statistics.fmean(returns), statistics.pvariance(returns)
    kurtosis = statistics.fmean((each - mean) ** 4 for each in returns) / variance ** 2
    sizes = [abs(each) for each in returns]
    clustering = [statistics.correlation(sizes[:-lag], sizes[lag:]) for lag in (1, 5, 20)]
    assert kurtosis > 3.5
    assert min(clustering) > 0.03
    assert abs(statistics.correlation(returns[:-1], returns[1:])) < 0.1


def test_bars_hold_the_quotes_they_span_and_join() -> None:
    market = SimulatedMarket(5)
    bars = market.minute_bars(COIN, WEDNESDAY_NOON_NS, WEDNESDAY_NOON_NS + 1_800 * SECOND_NS)
    assert len(bars) == 30
    for bar in bars:
        assert bar.low_ticks <= min(bar.open_ticks, bar.close_ticks) <= bar.high_ticks
        for n in range(60):
            quote = market.quote(COIN, bar.open_ns + n * SECOND_NS)
            assert quote is not None
            middle = (quote.bid_ticks + quote.ask_ticks) / 2
            assert bar.low_ticks - 2 <= middle <= bar.high_ticks + 2
    assert all((one.close_ticks, one.close_ns) == (two.open_ticks, two.open_ns) for one, two in pairwise(bars))


@pytest.mark.parametrize(("moment", "is_open"), [
    ("2026-03-06 14:29", False), ("2026-03-06 14:30", True), ("2026-03-06 20:59", True), ("2026-03-06 21:00", False),
    ("2026-03-07 16:00", False), ("2026-03-09 13:29", False), ("2026-03-09 13:30", True), ("2026-12-25 16:00", False),
    ("2026-11-27 18:30", False), ("2026-07-03 16:00", False),
])
def test_shares_keep_the_hours_of_new_york(moment: str, is_open: bool) -> None:
    market = SimulatedMarket(1)
    assert (market.quote(SHARE, at(moment)) is not None) is is_open
    assert market.quote(COIN, at(moment)) is not None
    assert SimulatedMarket(1, always_open=True).quote(SHARE, at(moment)) is not None


def test_shares_gap_over_night_and_open_with_wide_spreads() -> None:
    market = SimulatedMarket(1)
    gaps, widths = [], []
    for before, after in pairwise(f"2026-03-{day:02}" for day in (9, 10, 11, 12, 13)):
        closed, opened = market.quote(SHARE, at(f"{before} 19:59:59")), market.quote(SHARE, at(f"{after} 13:30"))
        later = market.quote(SHARE, at(f"{after} 17:00"))
        assert closed is not None
        assert opened is not None
        assert later is not None
        gaps.append(abs(math.log(opened.bid_ticks / closed.bid_ticks)))
        widths.append((opened.ask_ticks - opened.bid_ticks) / (later.ask_ticks - later.bid_ticks))
    assert max(gaps) > 0.001
    assert statistics.fmean(widths) > 1.5


def test_history_skips_closed_hours_and_ends_before_now() -> None:
    bars = SimulatedMarket(1).history(SHARE, 60, 500, at("2026-03-09 13:40"))
    assert len(bars) == 500
    assert bars[-1].close_ns == at("2026-03-09 13:40")
    assert bars[-11].close_ns == at("2026-03-06 21:00")
    assert all(before.close_ns <= after.open_ns for before, after in pairwise(bars))
    assert all(bar.volume_lots > 0 for bar in bars)


def test_catching_up_shows_quotes_before_bars_in_time_order() -> None:
    market = SimulatedMarket(1)
    items = list(market.catch_up(at("2026-03-09 13:25") + 5, at("2026-03-09 13:35")))
    times = [item.close_ns if isinstance(item, Bar) else item.at_ns for item in items]
    assert times == sorted(times)
    assert sum(isinstance(item, Bar) for item in items if item.instrument_id == SHARE) == 5
    assert sum(isinstance(item, Bar) for item in items if item.instrument_id == COIN) == 9


def test_the_tape_is_the_market_and_repeats() -> None:
    tape = SimulatedTape(SimulatedMarket(4), WEDNESDAY_NOON_NS, 150, step=5)
    items = list(tape.items())
    assert items == list(tape.items())
    assert sum(isinstance(item, Bar) for item in items) == 2 * 12
    quotes = [item for item in items if isinstance(item, Quote)]
    assert quotes[0] == SimulatedMarket(4).quote(quotes[0].instrument_id, WEDNESDAY_NOON_NS)
    assert [bar.close_ns for bar in tape.history(COIN, 3)][-1] == WEDNESDAY_NOON_NS


def test_the_twelve_fit_a_paper_account() -> None:
    instruments = SimulatedMarket(1).instruments()
    assert len(instruments) == 12
    assert {instrument.quote_currency for instrument in instruments} == {PaperOptions().currency}
    assert len({instrument.instrument_id for instrument in instruments}) == 12


async def test_the_feed_quotes_and_closes_cleanly() -> None:
    now = [WEDNESDAY_NOON_NS - SECOND_NS]
    seen: list[MarketItem] = []
    enough = asyncio.Event()

    def clock_now_ns() -> int:
        now[0] += SECOND_NS // 20
        return now[0]

    def sink(item: MarketItem) -> None:
        seen.append(item)
        if len(seen) > 60:
            enough.set()

    feed = SimulatedFeed(SimulatedMarket(1), clock_now_ns, quotes_per_second=2_000.0)
    running = asyncio.create_task(feed.run(sink))
    async with asyncio.timeout(60):
        await enough.wait()
        await feed.close()
        await running
    assert {type(item) for item in seen} == {Quote, MarketTrade, Bar}
    assert {item.close_ns for item in seen if isinstance(item, Bar)} == {WEDNESDAY_NOON_NS}
    assert len({item.instrument_id for item in seen[:20] if isinstance(item, Quote)}) == 12
    assert len(feed.history(COIN, 10)) == 10
