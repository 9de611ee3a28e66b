"""What goes wrong between us and a crypto venue, and what the adapter makes of it. The venue speaks binance."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from brokers.ccxt_venue import broker as broker_module
from brokers.ccxt_venue import session
from brokers.ccxt_venue.broker import CcxtBroker, Tuning
from brokers.ccxt_venue.session import Endpoints
from engine.errors import ConfigError, InstrumentError, VenueUnreachable
from engine.inputs import (
    Accepted,
    CancelRefused,
    ConnectionChanged,
    Duplicate,
    FillReported,
    NotSent,
    OrderMissing,
    OrderReport,
    Refused,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.orders import FillSource, OrderIntent, OrderKind, Side
from tests.conformance.ccxt_server.backing import API_KEY, SECRET, Backing
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.desks import CcxtDesk, key_source, opened, until
from tests.conformance.desk import intent

ORDER = ("POST", "/api/v3/order")


@pytest.fixture
async def desk() -> AsyncIterator[CcxtDesk]:
    async with opened() as desk:
        yield desk


async def sent_impatiently(desk: CcxtDesk, order: OrderIntent) -> SubmitAnswer:
    """Send an order that is given up soon; what follows has all its time."""
    exchange = desk.broker._session.exchange
    usual, exchange.timeout = exchange.timeout, 100
    (answer,) = await desk.broker.submit([order])
    exchange.timeout = usual
    return answer


def connections(desk: CcxtDesk) -> list[bool]:
    return [message.up for message in desk.messages if isinstance(message, ConnectionChanged)]


# ---- sending ---------------------------------------------------------------------------------------------------------


async def test_a_time_out_after_the_venue_took_it_is_unanswered_and_found_by_our_id(desk: CcxtDesk) -> None:
    desk.backing.fail(*ORDER, acts=True, hangs=True)
    order = intent("late", kind=OrderKind.LIMIT, limit_ticks=9_000)
    assert isinstance(await sent_impatiently(desk, order), Unanswered)
    found = await desk.broker.order("late")
    assert isinstance(found, OrderReport)
    assert (found.order_lots, found.cum_lots, found.closed_as) == (10, 0, None)
    assert await desk.broker.submit([order]) == [Duplicate()]
    assert (desk.backing.calls(*ORDER), len(desk.backing.orders)) == (1, 1)


async def test_a_time_out_before_the_venue_took_it_may_be_sent_again_under_its_id(desk: CcxtDesk) -> None:
    desk.backing.fail(*ORDER, hangs=True)
    assert isinstance(await sent_impatiently(desk, intent("lost")), Unanswered)
    (answer,) = await desk.broker.submit([intent("lost")])
    assert isinstance(answer, Accepted)
    await desk.settle()
    assert [fill.last_lots for fill in desk.fills("lost")] == [10]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 520])
async def test_a_server_error_is_unanswered_and_the_order_is_never_sent_twice(desk: CcxtDesk, status: int) -> None:
    desk.backing.fail(*ORDER, status=status, body="<html>bad gateway</html>", acts=True)
    (answer,) = await desk.broker.submit([intent("once")])
    assert isinstance(answer, Unanswered)
    await desk.settle()
    assert desk.backing.calls(*ORDER) == 1
    assert await desk.lots_held() == 10


@pytest.mark.parametrize(("status", "seconds"), [(429, "7"), (418, "120")])
async def test_a_ban_is_obeyed_by_orders_and_cancels_alike(desk: CcxtDesk, status: int, seconds: str) -> None:
    desk.backing.fail(*ORDER, status=status, body='{"code":-1003,"msg":"Too many."}', headers=(("Retry-After", seconds),))
    (first,) = await desk.broker.submit([intent("banned")])
    assert isinstance(first, NotSent)
    (second,) = await desk.broker.submit([intent("waits")])
    assert isinstance(second, NotSent)
    assert "wait" in second.cause
    assert isinstance(await desk.broker.cancel("banned", ""), NotSent)
    assert desk.backing.calls(*ORDER) == 1


async def test_no_connection_means_that_nothing_was_sent(desk: CcxtDesk) -> None:
    await desk.venue.stop()
    (answer,) = await desk.broker.submit([intent("nobody")])
    assert isinstance(answer, NotSent)
    assert isinstance(await desk.broker.report(0, ()), Unanswered)
    assert isinstance(await desk.broker.order("nobody"), Unanswered)
    assert isinstance(await desk.broker.cancel_all(), Unanswered)


async def test_a_line_cut_after_sending_is_unanswered(desk: CcxtDesk) -> None:
    desk.backing.fail(*ORDER, acts=True)
    (answer,) = await desk.broker.submit([intent("cut")])
    assert isinstance(answer, Unanswered)
    await desk.settle()
    assert await desk.lots_held() == 10


async def test_an_answer_that_makes_no_sense_is_unanswered(desk: CcxtDesk) -> None:
    desk.backing.fail(*ORDER, status=200, body="<html>hello</html>", acts=True)
    desk.backing.fail(*ORDER, status=200, body="{}", acts=True)
    answers = await desk.broker.submit([intent("a"), intent("b")])
    assert [type(answer) for answer in answers] == [Unanswered, Unanswered]


async def test_another_process_that_sent_the_same_id_is_a_duplicate_not_a_refusal(desk: CcxtDesk) -> None:
    order = intent("twice", kind=OrderKind.LIMIT, limit_ticks=9_000)
    await desk.broker.submit([order])
    other = desk.made()
    await other.connect(lambda _: None)
    assert await other.submit([order]) == [Duplicate()]
    await other.close()
    assert len(desk.backing.orders) == 1


async def test_a_refusal_tells_the_venues_reason_and_code(desk: CcxtDesk) -> None:
    (answer,) = await desk.broker.submit([intent("rich", order_lots=9_000_000)])
    assert isinstance(answer, Refused)
    assert "insufficient balance" in answer.reason


async def test_what_the_venue_would_refuse_by_its_limits_is_refused_here_with_the_numbers(desk: CcxtDesk) -> None:
    few = intent("few", order_lots=1)
    cheap = intent("cheap", order_lots=2, kind=OrderKind.LIMIT, limit_ticks=100)
    answers = await desk.broker.submit([few, cheap])
    assert [answer.code for answer in answers if isinstance(answer, Refused)] == ["min_lots", "min_notional"]
    assert desk.backing.calls(*ORDER) == 0


# ---- clocks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skew_ms", [3_600_000, -3_600_000])
async def test_a_clock_that_is_an_hour_off_is_corrected(skew_ms: int) -> None:
    async with opened(backing=Backing(skew_ms=skew_ms)) as desk:
        (answer,) = await desk.broker.submit([intent("m")])
        assert isinstance(answer, Accepted)
        await desk.settle()
        assert await desk.lots_held() == 10
        told = (await desk.report()).clock_ahead_ns
        assert abs(told + skew_ms * 10 ** 6) < 60 * 10 ** 9, "and told to the engine"


async def test_a_clock_that_jumps_turns_an_order_away_and_is_measured_at_once(desk: CcxtDesk) -> None:
    desk.backing.skew_ms = 60_000
    before = desk.broker._session.skew_ms
    (answer,) = await desk.broker.submit([intent("m")])
    assert isinstance(answer, NotSent)
    assert "InvalidNonce" in answer.cause
    await until(lambda: abs(desk.broker._session.skew_ms - before) > 30_000)  # without a report or a failed look
    (answer,) = await desk.broker.submit([intent("n")])
    assert isinstance(answer, Accepted)


# ---- streams ---------------------------------------------------------------------------------------------------------


async def test_a_dropped_stream_is_told_and_what_happened_meanwhile_is_fetched(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await desk.venue.drop_streams()
    desk.backing.quote(9_880, 9_900)
    await desk.settle()
    await until(lambda: desk.broker._account.watch.stream.up, "the stream again")
    assert [fill.last_lots for fill in desk.fills("l")] == [10]
    assert connections(desk)[0] is False
    assert connections(desk)[-1] is True


async def test_while_no_stream_can_be_had_the_venue_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "STREAM_SECONDS", 0.05)
    desk = CcxtDesk()
    desk.venue.refuses_streams = True
    await desk.venue.start()
    desk.backing.quote(9_990, 10_010)
    await desk.open()
    assert isinstance((await desk.broker.submit([intent("m")]))[0], Accepted)
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await desk.quote(9_880, 9_900, lots=4)
    await desk.broker.cancel("l", "")
    await desk.settle()
    assert [(fill.client_order_id, fill.last_lots) for fill in desk.fills()] == [("m", 10), ("l", 4)]
    assert len(desk.closings("l")) == 1
    await desk.close()
    await desk.venue.stop()


async def test_duplicates_in_any_order_are_told_once(desk: CcxtDesk) -> None:
    (line,) = desk.venue.lines
    line.hold()
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    desk.backing.quote(9_880, 9_900, lots=4)
    desk.backing.quote(9_870, 9_890, lots=3)
    await desk.broker.cancel("l", "")
    line.release(lambda held: [*reversed(held), *held])
    await desk.settle()
    await asyncio.sleep(0)
    assert sorted(fill.last_lots for fill in desk.fills("l")) == [3, 4]
    assert len(desk.closings("l")) == 1
    assert await desk.lots_held() == 7


async def test_a_frame_that_the_stream_lost_is_found_by_looking(desk: CcxtDesk) -> None:
    (line,) = desk.venue.lines
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    line.hold()
    desk.backing.quote(9_880, 9_900)
    line.release(lambda _: [])
    await desk.settle()
    assert [fill.last_lots for fill in desk.fills("l")] == [10]


async def test_a_message_that_ccxt_chokes_on_ends_the_connection_not_the_stream(desk: CcxtDesk) -> None:
    (line,) = desk.venue.lines
    line.send({"subscriptionId": 0, "event": {"e": "executionReport", "x": "TRADE", "s": None}})
    await until(lambda: False in connections(desk), "the drop")
    await until(lambda: desk.broker._account.watch.stream.up, "the stream again")
    await desk.broker.submit([intent("m")])
    await desk.settle()
    assert [fill.last_lots for fill in desk.fills("m")] == [10]


async def test_a_fill_that_overtakes_the_answer_to_its_order_carries_our_id(desk: CcxtDesk) -> None:
    """The stream is written before the answer, so every market order is this case; the names must be ours."""
    await desk.broker.submit([intent(f"m{number}") for number in range(5)])
    await desk.settle()
    assert [fill.client_order_id for fill in desk.fills()] == [f"m{number}" for number in range(5)]


# ---- the whole account -----------------------------------------------------------------------------------------------


async def test_fills_are_read_page_by_page_to_the_end(desk: CcxtDesk) -> None:
    for number in range(11):
        await desk.broker.submit([intent(f"m{number}")])
    await desk.settle()
    desk.broker._account.watch.queries.page_limit = 3
    for left_out in (0, 4):
        report = await desk.broker.report(desk.fills()[left_out].at_ns if left_out else 0, ())
        assert not isinstance(report, Unanswered)
        assert [fill.trade_id for fill in report.fills] == [fill.trade_id for fill in desk.fills()[left_out:]]


@pytest.mark.parametrize("unread", ["qty", "price", "id"])
async def test_an_execution_that_cannot_be_read_is_no_report(desk: CcxtDesk, unread: str) -> None:
    """Left out, it would make a position that nobody explains."""
    trade = {"symbol": "BTCUSD", "id": 7, "orderId": 1, "price": "100", "qty": "0.1", "quoteQty": "10", "commission": "0",
             "commissionAsset": "USD", "time": desk.backing.now_ms(), "isBuyer": True, "isMaker": False}
    desk.backing.fail("GET", "/api/v3/myTrades", status=200, body=json.dumps([trade]))
    assert not isinstance(await desk.broker.report(0, ()), Unanswered), "whole, it is one"
    del trade[unread]
    desk.backing.fail("GET", "/api/v3/myTrades", status=200, body=json.dumps([trade]))
    answer = await desk.broker.report(0, ())
    assert isinstance(answer, Unanswered)
    assert "an execution could not be read" in answer.cause


async def test_a_report_with_a_failed_part_is_no_report(desk: CcxtDesk) -> None:
    for path in ("/api/v3/account", "/api/v3/openOrders", "/api/v3/myTrades", "/api/v3/time"):
        desk.backing.fail("GET", path, status=502, body="bad gateway")
        assert isinstance(await desk.broker.report(0, ()), Unanswered)
    assert (await desk.report()).positions == ()


async def test_after_a_restart_old_fills_still_carry_our_ids(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    await desk.close()
    await desk.open()
    report = await desk.report("m")
    assert [(fill.client_order_id, fill.source) for fill in report.fills] == [("m", FillSource.RECONCILED)]
    assert [type(each) for each in report.looked_up] == [OrderReport]


async def test_foreign_orders_are_seen_and_swept(desk: CcxtDesk) -> None:
    desk.backing.place("web_123", Side.BUY, OrderKind.LIMIT, Decimal("0.06"), limit=Decimal(90), foreign=True)
    await desk.broker.submit([intent("ours", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    report = await desk.report()
    assert sorted((each.client_order_id, each.order_lots) for each in report.open_orders) == [("ours", 10), ("web_123", 6)]
    assert await desk.broker.cancel_all() == 2
    assert desk.backing.open_orders() == []


async def test_a_foreign_order_is_cancelled_by_the_venues_id_after_a_restart(desk: CcxtDesk) -> None:
    placed = desk.backing.place("web_123", Side.BUY, OrderKind.LIMIT, Decimal("0.06"), limit=Decimal(90), foreign=True)
    await desk.close()
    await desk.open()
    assert isinstance(await desk.broker.cancel("", str(getattr(placed, "number", 0))), Accepted)
    assert isinstance(await desk.broker.cancel("", "424242"), CancelRefused)


async def test_coins_that_came_from_elsewhere_are_a_position(desk: CcxtDesk) -> None:
    desk.backing.deposits["BTC"] = Decimal("0.0567")
    assert await desk.lots_held() == 5


async def test_less_than_a_lot_is_dust_and_no_position(desk: CcxtDesk) -> None:
    desk.backing.deposits["BTC"] = Decimal("0.0099")
    assert (await desk.report()).positions == ()


# ---- opening ---------------------------------------------------------------------------------------------------------


async def test_a_wrong_key_is_told_without_the_key() -> None:
    desk = CcxtDesk()
    await desk.venue.start()
    desk.key_source = lambda: ("wrong-key-9876543210", SECRET, None)
    with pytest.raises(VenueUnreachable, match="AuthenticationError") as caught:
        await desk.open()
    assert "wrong-key" not in str(caught.value)
    await desk.close()
    await desk.venue.stop()


@pytest.mark.parametrize(("exchange_id", "symbols", "sandbox", "error", "words"), [
    ("nowhere", ["BTC/USD"], False, ConfigError, "nowhere"),
    ("kraken", ["BTC/USD"], True, ConfigError, "no sandbox"),
    ("binance", ["DOGE/USD"], False, InstrumentError, "does not list"),
    ("binance", ["BTC/USD", "BTC/USD"], False, None, ""),
])
async def test_what_cannot_be_opened_says_why(exchange_id: str, symbols: list[str], sandbox: bool,
                                              error: type[Exception] | None, words: str) -> None:
    venue = BinanceVenue(Backing())
    await venue.start()
    broker = CcxtBroker(
        "acct", exchange_id, key_source, symbols=symbols, sandbox=sandbox,
        endpoints=Endpoints(venue.rest_url, venue.stream_url), tuning=Tuning(rate_limit_ms=1))
    if error is None:
        assert len(await broker.connect(lambda _: None)) == 1
    else:
        with pytest.raises(error, match=words):
            await broker.connect(lambda _: None)
    await broker.close()
    await venue.stop()


async def test_what_is_delisted_does_not_keep_the_rest_from_trading_and_what_is_held_is_traded_unnamed() -> None:
    venue = BinanceVenue(Backing())
    await venue.start()
    broker = CcxtBroker("acct", "binance", key_source, symbols=["BTC/USD", "DOGE/USD"], tuning=Tuning(rate_limit_ms=1),
                        endpoints=Endpoints(venue.rest_url, venue.stream_url))
    broker.remembered.listed, broker.remembered.held = frozenset({"BTC/USD", "DOGE/USD"}), ("BNB/USD",)
    listed = await broker.connect(lambda _: None)
    assert [one.symbol for one in listed] == ["BTC/USD", "BNB/USD"]
    assert broker.remembered.gone == ("DOGE/USD",)
    await broker.close()
    await venue.stop()


async def test_an_exit_does_not_stand_in_line_behind_a_question_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LINE_SECONDS", 0.05)
    async with opened("kraken") as desk:
        desk.backing.fail("POST", "/0/private/TradesHistory", hangs=True)
        asked = desk.backing.calls("POST", "/0/private/TradesHistory")
        question = asyncio.create_task(desk.broker.report(0, ()))
        await until(lambda: desk.backing.calls("POST", "/0/private/TradesHistory") > asked, "the question")
        (answer,) = await desk.broker.submit([intent("out")])
        assert isinstance(answer, Accepted)
        assert not question.done()
        question.cancel()
        await asyncio.gather(question, return_exceptions=True)


async def test_a_market_that_is_taken_down_costs_no_report_of_the_others() -> None:
    venue = BinanceVenue(Backing())
    await venue.start()
    venue.backing.quote(9_990, 10_010)
    broker = CcxtBroker("acct", "binance", key_source, symbols=["BTC/USD", "BNB/USD"], tuning=Tuning(rate_limit_ms=1),
                        endpoints=Endpoints(venue.rest_url, venue.stream_url))  # of the second nothing can be asked there
    await broker.connect(lambda _: None)
    report = await broker.report(0, ["never-sent"])
    assert isinstance(report, VenueReport), report
    assert [one.symbol for one in report.instruments] == ["BTC/USD", "BNB/USD"]
    assert [type(one) for one in report.looked_up] == [OrderMissing]
    await broker.close()
    await venue.stop()


async def test_the_key_shows_nowhere(desk: CcxtDesk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.backing.fail(*ORDER, status=400, body=f'{{"code":-2014,"msg":"API-key {API_KEY} invalid."}}')
    (answer,) = await desk.broker.submit([intent("m")])
    assert isinstance(answer, Refused)
    await desk.report()
    shown: list[Any] = [repr(desk.broker), str(desk.broker), repr(desk.broker._session), repr(answer), caplog.text,
                        *map(repr, desk.messages)]
    assert not [text for text in shown if API_KEY in text or SECRET in text]
    await desk.broker.close()
    assert not [message for message in desk.messages if isinstance(message, FillReported)]
