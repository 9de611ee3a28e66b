"""What differs from venue to venue: long ids, pages, streams that say little, sweeps; on kraken and coinbase."""

from collections.abc import AsyncIterator

import pytest

from engine.inputs import Accepted, ConnectionChanged, Duplicate, NotSent, OrderReport, Refused, Unanswered
from engine.orders import OrderKind, Side
from tests.conformance.ccxt_server.desks import CcxtDesk, opened, until
from tests.conformance.desk import intent

LONG_ID = "a1b2c3d4-00012345678"


@pytest.fixture(params=["coinbase", "kraken"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[CcxtDesk]:
    async with opened(request.param) as desk:
        yield desk


async def test_a_long_id_goes_out_and_comes_back(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent(LONG_ID), intent(f"{LONG_ID}-s", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    await desk.settle()
    assert [fill.client_order_id for fill in desk.fills()] == [LONG_ID]
    await desk.close()
    await desk.open()
    report = await desk.report(LONG_ID)
    assert [fill.client_order_id for fill in report.fills] == [LONG_ID]
    assert [each.cum_lots for each in report.looked_up if isinstance(each, OrderReport)] == [10]
    assert isinstance(await desk.broker.cancel(f"{LONG_ID}-s", ""), Accepted)


async def test_fills_are_read_page_by_page_to_the_end(desk: CcxtDesk) -> None:
    wanted = 55 if desk.exchange_id == "kraken" else 11
    if desk.exchange_id == "coinbase":
        desk.broker._account.watch.queries.page_limit = 3
    for number in range(wanted):
        desk.backing.place(f"web{number}", Side.BUY, OrderKind.MARKET, desk.instrument.quantity(6), foreign=True)
    report = await desk.report()
    assert [fill.trade_id for fill in report.fills] == [desk.trade_id(number + 1) for number in range(wanted)]


async def test_open_orders_are_listed_and_swept_to_the_last(desk: CcxtDesk) -> None:
    desk.broker._account.watch.queries.page_limit = 50 if desk.exchange_id == "kraken" else 3
    await desk.broker.submit([intent(f"l{number}", kind=OrderKind.LIMIT, limit_ticks=9_000) for number in range(7)])
    assert len((await desk.report()).open_orders) == 7
    assert await desk.broker.cancel_all() == 7
    await desk.settle()
    assert desk.backing.open_orders() == []
    assert len([message for message in desk.messages if isinstance(message, OrderReport) and message.closed_as]) == 7


async def test_a_dropped_stream_is_told_and_its_gap_fetched(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await desk.venue.drop_streams()
    await desk.quote(9_880, 9_900, lots=4)
    await until(lambda: desk.broker._account.watch.stream.up, "the stream again")
    await desk.quote(9_870, 9_890)
    assert [fill.last_lots for fill in desk.fills("l")] == [4, 6]
    changes = [message.up for message in desk.messages if isinstance(message, ConnectionChanged)]
    assert changes[0] is False
    assert changes[-1] is True


async def test_what_others_did_while_the_stream_was_down_and_the_venue_answered_is_fetched(desk: CcxtDesk) -> None:
    desk.venue.refuses_streams = True
    await desk.venue.drop_streams()
    changes: list[bool] = []

    def told() -> list[bool]:
        changes[:] = [message.up for message in desk.messages if isinstance(message, ConnectionChanged)]
        return changes

    await until(lambda: told() == [False, True], "the venue's answers, without its stream")
    desk.backing.place("web", Side.BUY, OrderKind.MARKET, desk.instrument.quantity(6), foreign=True)
    desk.venue.refuses_streams = False
    await desk.settle()
    assert [fill.last_lots for fill in desk.fills()] == [6]
    assert told() == [False, True], "what is guarded meanwhile is not given up for a moment"


async def test_partly_filled_then_cancelled_keeps_what_was_filled(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_900)])
    await desk.quote(9_880, 9_900, lots=4)
    await desk.broker.cancel("l", "")
    await desk.settle()
    (closing,) = desk.closings("l")
    assert (closing.order_lots, closing.cum_lots) == (10, 4)
    assert await desk.lots_held() == 4


@pytest.mark.parametrize("status", [500, 503, 520])
async def test_a_server_error_is_unanswered_and_sent_once(desk: CcxtDesk, status: int) -> None:
    method, path = "POST", desk.exchange.orders_path
    desk.backing.fail(method, path, status=status, body="oops", acts=True)
    (answer,) = await desk.broker.submit([intent("m")])
    assert isinstance(answer, Unanswered)
    await desk.settle()
    assert desk.backing.calls(method, path) == 1
    assert await desk.broker.submit([intent("m")]) == [Duplicate()]


async def test_a_rate_limit_holds_the_next_order_back(desk: CcxtDesk) -> None:
    method, path = "POST", desk.exchange.orders_path
    body = '{"error":["EAPI:Rate limit exceeded"]}' if desk.exchange_id == "kraken" else '{"error":"rate_limit_exceeded"}'
    desk.backing.fail(method, path, status=200 if desk.exchange_id == "kraken" else 429, body=body,
                      headers=(("Content-Type", "application/json"),))
    answers = await desk.broker.submit([intent("a"), intent("b")])
    turned_away = NotSent if desk.exchange_id == "kraken" else Unanswered  # the other one's body does not say who refused
    assert [type(answer) for answer in answers] == [turned_away, NotSent]


async def test_stops_are_refused_where_the_venue_cannot_hold_them(desk: CcxtDesk) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    (answer,) = await desk.broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, reduce_only=True)])
    assert isinstance(answer, Accepted if desk.broker.capabilities.stop else Refused)
