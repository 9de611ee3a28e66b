"""Brackets, OTO and OCO at Alpaca under the whole engine: what the venue holds back, what a lost answer leaves, what a new
process finds, what somebody's hand at the venue changes. No order is ever anybody else's, none is there twice."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import Accepted, CancelOrder, OrderReport, Reconcile, SetProtection
from engine.orders import OrderStatus, Purpose
from engine.service import StopHome
from tests.conformance.alpaca_desk import AlpacaDesk, until
from tests.conformance.alpaca_server.account import share
from tests.conformance.alpaca_server.server import AlpacaServer, quote_message
from tests.conformance.alpaca_trading import Trading
from tests.conformance.desk import ACCOUNT, bracket

EXITS = [("limit", "120"), ("stop", "95")]


@pytest.fixture
async def server() -> AsyncIterator[AlpacaServer]:
    server = AlpacaServer([share("AAPL")], time.time_ns())
    server.account.real_time = True
    await server.open()
    yield server
    await server.close()


@pytest.fixture
async def trading(server: AlpacaServer) -> AsyncIterator[Trading]:
    trading = Trading(server)
    await trading.ready()
    yield trading
    assert not any(order.external for order in trading.engine.state.orders.values())
    assert trading.engine.state.accounts[ACCOUNT].drifts == {}
    await trading.end()


def statuses(server: AlpacaServer) -> list[tuple[str, str]]:
    return [(order["type"], order["status"]) for order in server.account.orders.values()]


def protected(trading: Trading, exits: list[tuple[str, str]]) -> bool:
    return trading.working() == exits and trading.stop_home() is StopHome.VENUE


async def test_one_request_brings_the_entry_its_target_and_its_stop(trading: Trading, server: AlpacaServer) -> None:
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    assert server.count("POST", "/v2/orders") == 1
    assert statuses(server) == [("market", "filled"), ("limit", "new"), ("stop", "held")]
    by_id = trading.engine.state.orders
    assert sorted(client_order_id[-2:] for client_order_id in by_id) == ["-s", "-t"]
    theirs = {order["id"] for order in server.account.orders.values()}
    assert {order.venue_order_id for order in by_id.values()} < theirs
    await trading.quote("94.90", "95.10")
    await until(lambda: trading.position() is None and not trading.engine.state.orders)
    assert statuses(server) == [("market", "filled"), ("limit", "canceled"), ("stop", "filled")]


async def test_the_exits_of_a_half_filled_entry_are_said_to_wait(trading: Trading, server: AlpacaServer) -> None:
    await trading.ordered(limit="99.50")
    await until(lambda: len(trading.working()) == 3)
    await trading.quote("99.30", "99.40", 4)
    await until(lambda: (held := trading.position()) is not None and held.lots == 4 and trading.stop_home() is not None)
    home = next(iter(trading.engine.state.homes.values()))
    assert (home.home, home.detail) == (
        StopHome.ENGINE, "the engine watches the price: the venue's stop works once the entry is filled in full")
    assert statuses(server) == [("limit", "partially_filled"), ("limit", "held"), ("stop", "held")]
    await trading.quote("99.20", "99.30", 50)
    await until(lambda: protected(trading, EXITS))
    assert server.count("POST", "/v2/orders") == 1


async def test_the_engine_leaves_with_what_a_half_filled_entry_bought(trading: Trading, server: AlpacaServer) -> None:
    await trading.ordered(limit="99.50")
    await until(lambda: len(trading.working()) == 3)
    await trading.quote("99.30", "99.40", 4)
    await until(lambda: trading.position() is not None)
    for bid in ("94.90", "94.89"):  # so large a step is believed when it is seen twice
        await server.send_market(quote_message("AAPL", bid, "95.10", time.time_ns()))
    await until(lambda: trading.position() is None and trading.working() == [])
    assert server.account.positions() == []
    assert statuses(server) == [("limit", "canceled")] * 2 + [("stop", "canceled"), ("market", "filled")]


async def test_an_entry_cancelled_half_filled_gets_a_pair_for_what_it_bought(trading: Trading, server: AlpacaServer) -> None:
    receipt = await trading.ordered(limit="99.50")
    await until(lambda: len(trading.working()) == 3)
    await trading.quote("99.30", "99.40", 4)
    await until(lambda: trading.position() is not None)
    assert (await trading.engine.send(CancelOrder("x", receipt.order_ids[0]))).accepted
    await until(lambda: protected(trading, EXITS))
    assert statuses(server)[:3] == [("limit", "canceled")] * 2 + [("stop", "canceled")]
    assert [order["qty"] for order in server.account.orders.values()][3:] == ["4", "4"]
    assert server.account.requests_of_class() == ["bracket", "oco"]


async def test_a_moved_stop_is_a_new_pair(trading: Trading, server: AlpacaServer) -> None:
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    assert (await trading.engine.send(SetProtection("p", "AAPL", stop=Decimal(97)))).accepted
    await until(lambda: protected(trading, [("limit", "120"), ("stop", "97")]))
    held = trading.position()
    assert held is not None
    assert held.bare_total_ns == 0
    assert server.account.requests_of_class() == ["bracket", "oco"]
    assert statuses(server)[-2:] == [("limit", "new"), ("stop", "held")]


async def test_a_target_filled_in_part_leaves_a_smaller_stop_that_ends_the_rest(trading: Trading, server: AlpacaServer) -> None:
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    await trading.quote("120.00", "120.10", 4)
    await trading.quote("119.00", "119.10")
    await until(lambda: (held := trading.position()) is not None and held.lots == 6)
    assert [order["qty"] for order in server.account.orders.values()] == ["10", "10", "6"]
    assert trading.stop_home() is StopHome.VENUE
    assert server.count("POST", "/v2/orders") == 1
    server.account.quote("AAPL", Decimal("94.90"), Decimal(95), seconds=0)
    await until(lambda: trading.position() is None and not trading.engine.state.orders)
    closed = {order.intent.purpose: order.status for order in trading.engine.state.closed.values()}
    assert closed == {Purpose.ENTRY: OrderStatus.FILLED, Purpose.TARGET: OrderStatus.CANCELED, Purpose.STOP: OrderStatus.CANCELED}
    assert server.account.positions() == []


@pytest.mark.parametrize("fault", [
    {"status": 504}, {"status": -1}, {"status": 200, "truncated": True}, {"status": 0, "again": True}])
@pytest.mark.parametrize("muted", [False, True], ids=["stream speaks", "stream silent"])
async def test_a_lost_answer_loses_none_of_the_three(trading: Trading, server: AlpacaServer, fault: dict[str, Any],
                                                     muted: bool) -> None:
    server.mute_events = muted
    server.fail_next("POST", "/v2/orders", after=True, **fault)
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    server.mute_events = False
    await trading.quote("94.90", "95.10")
    await until(lambda: trading.position() is None and not trading.engine.state.orders)
    assert len(server.account.orders) == 3
    assert len(trading.engine.state.closed) == 3


@pytest.mark.parametrize("muted", [False, True], ids=["stream speaks", "stream silent"])
async def test_a_pair_whose_answer_is_lost_is_found(trading: Trading, server: AlpacaServer, muted: bool) -> None:
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    server.fail_next("POST", "/v2/orders", 504, after=True)
    await trading.engine.send(SetProtection("p", "AAPL", stop=Decimal(97)))
    await until(lambda: server.count("POST", "/v2/orders") == 2)
    server.mute_events = muted
    await until(lambda: protected(trading, [("limit", "120"), ("stop", "97")]))
    assert len(server.account.orders) == 5


async def test_events_that_come_before_the_answer_that_names_them_are_ours(trading: Trading, server: AlpacaServer) -> None:
    server.repeat_events = True
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    assert server.count("GET", "/v2/orders") == 1, "the first report alone asked: the answer named the legs"


async def test_a_new_process_finds_the_held_stop_and_what_it_did(server: AlpacaServer) -> None:
    first = Trading(server)
    await first.ready()
    await first.bought()
    await until(lambda: protected(first, EXITS))
    await first.end()
    second = Trading(server, first.engine.state)
    await second.ready()
    await second.quote("99.90", "100.10")
    await second.engine.send(Reconcile("r"))
    assert second.stop_home() is StopHome.VENUE
    assert not any(order.external for order in second.engine.state.orders.values())
    assert len(second.engine.state.orders) == 2
    await second.end()
    server.account.quote("AAPL", Decimal(94), Decimal("94.10"), seconds=0)  # the stop fires while nobody looks
    third = Trading(server, second.engine.state)
    await third.ready()
    await until(lambda: third.position() is None and not third.engine.state.orders)
    assert (len(server.account.orders), server.account.positions()) == (3, [])
    assert third.engine.state.accounts[ACCOUNT].drifts == {}
    await third.end()


async def test_a_stop_replaced_by_hand_at_the_venue_gives_way_to_the_plan(server: AlpacaServer) -> None:
    """It is shown as not ours; its target alone would protect nothing, and takes it along when it makes room for a new pair."""
    trading = Trading(server)
    await trading.ready()
    await trading.bought()
    await until(lambda: protected(trading, EXITS))
    stop = next(order for order in server.account.orders.values() if order["type"] == "stop")
    heir = server.account.replace(stop["id"], "90")
    await until(lambda: heir["status"] == "canceled" and protected(trading, EXITS))
    assert any(alert.code == "external-order" and alert.subject == heir["client_order_id"]
               for alert in trading.engine.state.alerts.values())
    held = trading.position()
    assert held is not None
    assert (held.lots, held.bare_total_ns) == (10, 0)
    assert server.account.requests_of_class() == ["bracket", "oco"]
    await trading.end()


async def test_many_held_stops_are_read_in_lists_and_not_one_by_one() -> None:
    desk = AlpacaDesk(share("AAPL"))
    await desk.open()
    await desk.quote(9_990, 10_010)
    names = [name for number in range(20) for name in (f"e{number}", f"e{number}-s", f"e{number}-t")]
    for number in range(20):
        answers = await desk.broker.submit(bracket(f"e{number}", order_lots=1))
        assert [type(answer) for answer in answers] == [Accepted] * 3
    await desk.settle()
    desk.server.requests.clear()
    report = await desk.report(*names)
    assert [each.client_order_id for each in report.looked_up] == names
    assert all(isinstance(each, OrderReport) and each.order_lots == 1 for each in report.looked_up)
    assert len(report.open_orders) == 20, "a held order is in no list"
    asked = [path for _, path, _ in desk.server.requests if path.startswith("/v2/orders")]
    assert len(asked) == 23, "three lists; the entries are looked up one by one, as they are filled and yet named here"
    await desk.close()
