"""Alpaca's market data through the real alpaca-py: shares and coins, live and past."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence

import msgpack
import pytest

from brokers.alpaca import streams
from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.feed import DAY_NS, MINUTE_NS, AlpacaFeed
from brokers.sessions import session_bounds
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import SESSION_NS
from tests.conformance.alpaca_desk import endpoints_at, until
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.alpaca_server.server import KEY, AlpacaServer, bar_row, quote_message
from tests.conformance.desk import ACCOUNT, START_NS


class Watch:
    """A feed that runs, and what it handed on."""

    def __init__(self, server: AlpacaServer, feed: AlpacaFeed) -> None:
        self.server = server
        self.feed = feed
        self.items: list[MarketItem] = []

    async def send(self, *messages: dict[str, object]) -> None:
        await self.server.send_market(*messages)

    async def expect(self, *items: MarketItem) -> None:
        await until(lambda: len(self.items) >= len(items))
        assert self.items == list(items)


@pytest.fixture
async def watch(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AsyncIterator[Watch]:
    monkeypatch.setattr(streams, "LONGEST_WAIT_SECONDS", 0.02)
    server = AlpacaServer([share("AAPL"), share("MSFT"), coin("BTC/USD")], START_NS)
    await server.open()
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL", "BTC/USD"], endpoints=endpoints_at(server))
    await broker.connect(lambda _message: None)
    hours = getattr(request, "param", None)
    feed = AlpacaFeed(lambda: KEY, paper=True, instruments=broker.instruments, endpoints=endpoints_at(server),
                      **({"sessions": hours} if hours else {}))
    watch = Watch(server, feed)
    task = asyncio.create_task(feed.run(watch.items.append))
    await until(lambda: len(server.market_listeners) == 2)
    yield watch
    await feed.close()
    await task
    await broker.close()
    await server.close()


def print_message(symbol: str, price: float, size: float, **more: object) -> dict[str, object]:
    return {"T": "t", "S": symbol, "p": price, "s": size, "t": msgpack.Timestamp.from_unix_nano(START_NS), **more}


async def test_quotes_of_both_kinds(watch: Watch) -> None:
    await watch.send(quote_message("AAPL", "99.9", "100.1", START_NS + 1))
    await watch.expect(Quote("AAPL@alpaca", 9_990, 10_010, 0, 0, START_NS + 1))
    watch.items.clear()
    await watch.send({**quote_message("BTC/USD", "64000.01", "64000.02", START_NS + 2), "bs": 0.5, "as": 0.019})
    await watch.expect(Quote("BTC/USD@alpaca", 6_400_001, 6_400_002, 50, 1, START_NS + 2))


async def test_prints_and_bars(watch: Watch) -> None:
    await watch.send(print_message("AAPL", 100.005, 7, c=["@"]), print_message("BTC/USD", 64_000.01, 0.25, tks="S"),
                     {"T": "b", "S": "AAPL", "o": 1.0, "h": 2.01, "l": 0.99, "c": 1.5, "v": 1_200,
                      "t": msgpack.Timestamp.from_unix_nano(START_NS)})
    await until(lambda: len(watch.items) == 3)
    assert set(watch.items) == {
        MarketTrade("AAPL@alpaca", 10_000, 7, 0, START_NS), MarketTrade("BTC/USD@alpaca", 6_400_001, 25, -1, START_NS),
        Bar("AAPL@alpaca", START_NS, START_NS + MINUTE_NS, 100, 201, 99, 150, 1_200)}


async def test_what_is_no_price_is_left_out(watch: Watch) -> None:
    await watch.send(quote_message("AAPL", "0", "100.1", START_NS), quote_message("AAPL", "99.9", "0", START_NS),
                     print_message("AAPL", 90.0, 100, c=["@", "W"]), print_message("AAPL", 90.0, 0.4),
                     {"T": "error", "code": 405, "msg": "symbol limit exceeded"}, {"T": "something new"},
                     quote_message("AAPL", "99.9", "100.1", START_NS + 5))
    await watch.expect(Quote("AAPL@alpaca", 9_990, 10_010, 0, 0, START_NS + 5))


@pytest.mark.parametrize("watch", [session_bounds], indirect=True)
async def test_outside_its_session_a_share_has_no_price_and_a_coin_has(watch: Watch) -> None:
    friday = session_bounds("XNYS", START_NS - DAY_NS)
    inside, evening = friday.close_ns - 1, friday.close_ns
    await watch.send(quote_message("AAPL", "99.9", "100.1", inside), quote_message("AAPL", "91.2", "108.5", evening),
                     quote_message("AAPL", "91.2", "108.5", friday.open_ns - 1), print_message("AAPL", 92.0, 100),
                     {"T": "b", "S": "AAPL", "o": 1.0, "h": 2.01, "l": 0.99, "c": 1.5, "v": 1_200,
                      "t": msgpack.Timestamp.from_unix_nano(evening)},
                     quote_message("AAPL", "99.8", "100.0", friday.open_ns))
    await until(lambda: len(watch.items) == 2)
    assert watch.items == [Quote("AAPL@alpaca", 9_990, 10_010, 0, 0, inside),
                           Quote("AAPL@alpaca", 9_980, 10_000, 0, 0, friday.open_ns)]
    await watch.send(quote_message("BTC/USD", "64000.01", "64000.02", evening))
    await until(lambda: len(watch.items) == 3)


@pytest.mark.parametrize("watch", [session_bounds], indirect=True)
async def test_the_past_of_a_share_is_that_of_its_sessions(watch: Watch) -> None:
    friday = session_bounds("XNYS", START_NS - DAY_NS)
    half_ns = 30 * MINUTE_NS
    opens = [friday.open_ns + place * half_ns for place in range(-8, 21)]
    watch.server.bars["AAPL"] = [bar_row(open_ns, 100.0, 101.5, 99.25, 100.01) for open_ns in opens]
    bars = await asyncio.to_thread(watch.feed.half_hours, "AAPL@alpaca", 13)
    assert (bars[0].open_ns, bars[-1].close_ns, len(bars)) == (friday.open_ns, friday.close_ns, 13)


async def test_a_dropped_stream_comes_back_with_its_symbols(watch: Watch) -> None:
    assert watch.feed.streams_up() == {"shares": True, "coins": True}
    await watch.server.disconnect()
    await until(lambda: len(watch.server.market_listeners) == 2)
    await watch.send(quote_message("AAPL", "99.9", "100.1", START_NS + 9))
    await watch.expect(Quote("AAPL@alpaca", 9_990, 10_010, 0, 0, START_NS + 9))


async def test_a_message_that_cannot_be_read_stops_nothing(watch: Watch) -> None:
    for socket in list(watch.server.market_listeners):
        await socket.send_bytes(b"\xc1")
        await socket.send_bytes(msgpack.packb([{"T": "q", "S": "AAPL"}]))
    await watch.send(quote_message("AAPL", "99.9", "100.1", START_NS + 9))
    await watch.expect(Quote("AAPL@alpaca", 9_990, 10_010, 0, 0, START_NS + 9))


@pytest.mark.parametrize("cancelled", [False, True])
async def test_an_end_leaves_no_stream_behind(watch: Watch, cancelled: bool) -> None:
    feed = AlpacaFeed(lambda: KEY, paper=True, instruments=watch.feed._instruments, endpoints=endpoints_at(watch.server))
    task = asyncio.create_task(feed.run(watch.items.append))
    await until(lambda: len(watch.server.market_listeners) == 4)
    if cancelled:
        task.cancel()
    else:
        await feed.close()
    await asyncio.gather(task, return_exceptions=True)
    await until(lambda: len(watch.server.market_listeners) == 2)


@pytest.fixture
def now_ns(monkeypatch: pytest.MonkeyPatch) -> int:
    """The wall clock stands still: a minute that ends meanwhile would be one more closed bar."""
    moment_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: moment_ns)
    return moment_ns


async def past(watch: Watch, instrument_id: str, limit: int) -> Sequence[Bar]:
    return await asyncio.to_thread(watch.feed.history, instrument_id, limit)


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
async def test_the_past_ends_with_the_last_closed_bar(watch: Watch, now_ns: int, symbol: str) -> None:
    now = now_ns // MINUTE_NS * MINUTE_NS
    watch.server.bars[symbol] = [bar_row(now + offset * MINUTE_NS, 100.0, 101.5, 99.25, 100.01, volume=5)
                                 for offset in range(-6, 1)]
    bars = await past(watch, f"{symbol}@alpaca", 4)
    offsets = (-3, -2, -1, 0) if symbol == "AAPL" else (-2, -1, 0)  # of a share more is asked for: the hours without a session
    assert [bar.close_ns for bar in bars] == [now + offset * MINUTE_NS for offset in offsets]
    assert bars[0][3:7] == (10_000, 10_150, 9_925, 10_001)


@pytest.mark.parametrize(("status", "body"), [(500, "{}"), (403, '{"message": "not in your plan"}'), (200, "nonsense"),
                                              (200, '{"bars": null}'), (200, '{"bars": {"AAPL": [{"t": "x"}]}}')])
async def test_no_past_is_no_reason_to_stop(watch: Watch, status: int, body: str) -> None:
    watch.server.fail_next("GET", "/v2/stocks/bars", status, body=body)
    assert await past(watch, "AAPL@alpaca", 5) == []
    assert watch.server.count("GET", "/v2/stocks/bars") == 1


async def test_the_past_of_what_is_not_listed_is_empty(watch: Watch) -> None:
    assert await past(watch, "NOPE@alpaca", 5) == []


@pytest.mark.parametrize("symbol", ["AAPL", "BTC/USD"])
async def test_half_hours_end_with_the_last_that_is_over(watch: Watch, now_ns: int, symbol: str) -> None:
    half_ns = 30 * MINUTE_NS
    now = now_ns // half_ns * half_ns
    watch.server.bars[symbol] = [bar_row(now + offset * half_ns, 100.0, 101.5, 99.25, 100.01, volume=5)
                                 for offset in range(-6, 1)]
    bars = await asyncio.to_thread(watch.feed.half_hours, f"{symbol}@alpaca", 1_000)
    assert [(bar.open_ns, bar.close_ns) for bar in bars] == [
        (now + offset * half_ns, now + (offset + 1) * half_ns) for offset in range(-6, 0)]


async def test_shares_have_days_of_a_session_and_the_running_one_is_not_told(watch: Watch, now_ns: int) -> None:
    today = now_ns // DAY_NS * DAY_NS
    watch.server.bars["AAPL"] = [bar_row(today + back * DAY_NS + 4 * 3_600 * 10 ** 9, 100.0 + back, 111.5, 99.25, 110.01)
                                 for back in range(-4, 2)]
    bars = await asyncio.to_thread(watch.feed.daily_bars, "AAPL@alpaca", 10)
    assert [bar.open_ticks for bar in bars] == [9_600, 9_700, 9_800, 9_900, *([10_000] if len(bars) == 5 else [])]
    assert all(bar.close_ns - bar.open_ns in (SESSION_NS, SESSION_NS - 3 * 3_600 * 10 ** 9) for bar in bars)
    assert all(bar.close_ns <= now_ns for bar in bars)


async def test_a_coin_has_days_of_a_full_turn(watch: Watch, now_ns: int) -> None:
    today = now_ns // DAY_NS * DAY_NS
    watch.server.bars["BTC/USD"] = [bar_row(today + back * DAY_NS, 100.0, 101.5, 99.25, 100.01) for back in (-2, -1, 0)]
    bars = await asyncio.to_thread(watch.feed.daily_bars, "BTC/USD@alpaca", 10)
    assert [(bar.open_ns, bar.close_ns) for bar in bars] == [(today - 2 * DAY_NS, today - DAY_NS), (today - DAY_NS, today)]
