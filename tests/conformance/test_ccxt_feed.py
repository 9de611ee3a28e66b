"""The ccxt feed on local venues: best prices, prints, bars of the past, and beginning again after a break."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import groupby

import pytest

from brokers.ccxt_venue import feed
from brokers.ccxt_venue.feed import CcxtFeed
from brokers.ccxt_venue.session import Endpoints
from engine.inputs import MarketItem, MarketTrade, Quote
from engine.instruments import DAY_NS
from tests.conformance.ccxt_server.backing import COIN, Backing, LocalVenue
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.coinbase import CoinbaseVenue
from tests.conformance.ccxt_server.desks import until
from tests.conformance.ccxt_server.kraken import KrakenVenue

VENUES: dict[str, type[LocalVenue]] = {"binance": BinanceVenue, "kraken": KrakenVenue, "coinbase": CoinbaseVenue}


class FeedDesk:
    """A running feed on a venue whose market a test moves."""

    def __init__(self, exchange_id: str) -> None:
        self.backing = Backing()
        self.venue = VENUES[exchange_id](self.backing)
        self.exchange_id = exchange_id
        self.items: list[MarketItem] = []

    async def open(self) -> None:
        await self.venue.start()
        self.feed = CcxtFeed(self.exchange_id, instruments=lambda: [COIN], rate_limit_ms=1, poll_seconds=0.02,
                             endpoints=Endpoints(self.venue.rest_url, self.venue.stream_url))
        self._running = asyncio.create_task(self.feed.run(self.items.append))

    async def close(self) -> None:
        await self.feed.close()
        await self._running
        await self.venue.stop()

    def quotes(self) -> list[tuple[int, int]]:
        return [(item.bid_ticks, item.ask_ticks) for item in self.items if isinstance(item, Quote)]

    async def quote(self, bid_ticks: int, ask_ticks: int) -> None:
        """The market moves, again and again until the feed tells it: streams begin when they begin."""
        self.backing.quote(bid_ticks, ask_ticks, lots=5)

        def told() -> bool:
            self.venue.on_quote()
            return (bid_ticks, ask_ticks) in self.quotes()

        await until(told, f"the quote {bid_ticks}/{ask_ticks}")


@pytest.fixture(params=sorted(VENUES))
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[FeedDesk]:
    desk = FeedDesk(request.param)
    await desk.open()
    yield desk
    await desk.close()


@pytest.fixture
async def binance() -> AsyncIterator[FeedDesk]:
    desk = FeedDesk("binance")
    await desk.open()
    yield desk
    await desk.close()


async def test_best_prices_come_once_each_with_sizes_and_time(desk: FeedDesk) -> None:
    await desk.quote(9_990, 10_010)
    await desk.quote(9_995, 10_005)
    assert [price for price, _ in groupby(desk.quotes())] == [(9_990, 10_010), (9_995, 10_005)]
    quotes = [item for item in desk.items if isinstance(item, Quote)]
    assert {(quote.bid_lots, quote.ask_lots) for quote in quotes} == {(5, 5)}
    assert all(quote.instrument_id == COIN.instrument_id and quote.at_ns > 0 for quote in quotes)


async def test_a_price_that_the_venue_says_again_is_fresh_again(desk: FeedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SAME_AGAIN_SECONDS", 0.0)
    await desk.quote(9_990, 10_010)

    def told_again() -> bool:
        desk.venue.on_quote()
        return desk.quotes().count((9_990, 10_010)) > 2

    await until(told_again, "the same quote once more")


def test_what_lies_in_a_cache_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "SAME_AGAIN_SECONDS", 0.0)
    items: list[MarketItem] = []
    unserved = CcxtFeed("binance", instruments=lambda: [COIN])
    unserved._scales = {COIN.symbol: feed.Scale(COIN.instrument_id, 100.0, 100.0)}
    unserved._sink = items.append
    ticker = {"symbol": COIN.symbol, "bid": 99.9, "ask": 100.1}
    for cached, count in ((False, 1), (True, 1), (False, 2), (True, 2)):
        unserved._take_ticker(ticker, cached=cached)
        assert len(items) == count


async def test_a_crossed_price_is_left_out(desk: FeedDesk) -> None:
    await desk.quote(9_990, 10_010)
    desk.backing.quote(10_020, 10_000)
    desk.venue.on_quote()
    await desk.quote(9_980, 10_000)
    assert (10_020, 10_000) not in desk.quotes()


async def test_a_broken_stream_is_begun_again(desk: FeedDesk) -> None:
    await desk.quote(9_990, 10_010)
    lines, desk.venue.market_lines[:] = list(desk.venue.market_lines), []
    for line in lines:
        await line.close()
    await desk.quote(9_995, 10_005)


async def test_prints_come_with_their_side(binance: FeedDesk) -> None:
    assert isinstance(binance.venue, BinanceVenue)
    await until(lambda: len(binance.venue.market_lines) == 2, "both streams")
    venue = binance.venue

    def told() -> bool:
        venue.on_print("100.05", "0.30", buyer_is_maker=True)
        return any(isinstance(item, MarketTrade) for item in binance.items)

    await until(told, "a print")
    first = next(item for item in binance.items if isinstance(item, MarketTrade))
    assert (first.price_ticks, first.lots, first.aggressor) == (10_005, 30, -1)


HALF_HOUR_NS = 1_800 * 10 ** 9


@pytest.fixture
def now_ns(monkeypatch: pytest.MonkeyPatch) -> int:
    """The wall clock stands still: a half hour that ends meanwhile would be one more closed bar."""
    moment_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: moment_ns)
    return moment_ns


async def test_the_past_comes_in_closed_bars_oldest_first(binance: FeedDesk) -> None:
    bars = await asyncio.to_thread(binance.feed.history, COIN.instrument_id, 50)
    assert len(bars) == 50
    assert all(bar.close_ns - bar.open_ns == 60 * 10 ** 9 for bar in bars)
    assert [bar.open_ns for bar in bars] == sorted(bar.open_ns for bar in bars)
    assert bars[0][3:] == (10_000, 10_100, 9_900, 10_050, 300)
    assert binance.feed.history("NOPE@binance", 50) == []


async def test_days_are_those_of_utc_that_are_over(binance: FeedDesk, now_ns: int) -> None:
    bars = await asyncio.to_thread(binance.feed.daily_bars, COIN.instrument_id, 20)
    assert len(bars) == 20
    assert all((bar.open_ns % DAY_NS, bar.close_ns - bar.open_ns) == (0, DAY_NS) for bar in bars)
    assert bars[-1].close_ns == now_ns // DAY_NS * DAY_NS


async def test_half_hours_are_those_that_are_over(binance: FeedDesk, now_ns: int) -> None:
    bars = await asyncio.to_thread(binance.feed.half_hours, COIN.instrument_id, 60)
    assert len(bars) == 60
    assert all((bar.open_ns % HALF_HOUR_NS, bar.close_ns - bar.open_ns) == (0, HALF_HOUR_NS) for bar in bars)
    assert bars[-1].close_ns == now_ns // HALF_HOUR_NS * HALF_HOUR_NS


async def test_without_a_venue_there_is_no_past_and_no_harm(binance: FeedDesk) -> None:
    unserved = CcxtFeed("binance", instruments=lambda: [COIN], endpoints=Endpoints("http://127.0.0.1:9", "ws://127.0.0.1:9"))
    assert await asyncio.to_thread(unserved.history, COIN.instrument_id, 10) == []
