"""The whole engine at Alpaca's doors: a protected entry, exits that rest at the venue, a crash in between, a panic."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from engine.inputs import Flatten
from engine.service import StopHome
from tests.conformance.alpaca_desk import until
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.alpaca_server.server import AlpacaServer
from tests.conformance.alpaca_trading import Trading
from tests.conformance.desk import ACCOUNT

EXITS = [("limit", "120"), ("stop", "95")]


@pytest.fixture
async def server() -> AsyncIterator[AlpacaServer]:
    server = AlpacaServer([share("AAPL"), coin("BTC/USD", lot_size="0.0001", least=1)], time.time_ns())
    server.account.real_time = True
    await server.open()
    yield server
    await server.close()


async def test_a_position_is_protected_at_the_venue_and_leaves_by_its_stop(server: AlpacaServer) -> None:
    trading = Trading(server)
    await trading.ready()
    await trading.bought()
    await until(lambda: trading.stop_home() is StopHome.VENUE)
    assert trading.working() == EXITS
    await trading.quote("94.90", "95.10")
    await until(lambda: trading.position() is None)
    assert server.account.positions() == []
    assert server.account.open_orders() == []
    await trading.end()


async def test_a_position_leaves_by_its_target(server: AlpacaServer) -> None:
    trading = Trading(server)
    await trading.ready()
    await trading.bought()
    await until(lambda: trading.working() == EXITS)
    await trading.quote("120.50", "120.60")
    await trading.quote("120.51", "120.61")  # so large a step is believed when it is seen twice
    await until(lambda: server.account.positions() == [])
    await until(lambda: trading.position() is None)
    assert trading.working() == []
    await trading.end()


async def test_an_entry_whose_answer_was_lost_is_found_and_protected(server: AlpacaServer) -> None:
    trading = Trading(server)
    await trading.ready()
    server.mute_events = True
    server.fail_next("POST", "/v2/orders", 504, after=True)
    await trading.bought()
    server.mute_events = False
    await until(lambda: trading.working() == EXITS)
    assert [(order["side"], order["qty"]) for order in server.account.orders.values()] == [
        ("buy", "10"), ("sell", "10"), ("sell", "10")]
    await trading.end()


async def test_a_new_engine_finds_what_the_old_one_left(server: AlpacaServer) -> None:
    first = Trading(server)
    await first.ready()
    await first.bought()
    await until(lambda: first.working() == EXITS)
    await first.end()
    server.account.quote("AAPL", Decimal(94), Decimal("94.10"), seconds=0)  # the stop fires while nobody looks
    second = Trading(server, first.engine.state)
    await second.ready()
    await until(lambda: second.position() is None)
    assert server.account.positions() == []
    assert len(server.account.orders) == 3
    await second.end()


async def test_panic_closes_everything_at_the_venue(server: AlpacaServer) -> None:
    trading = Trading(server)
    await trading.ready()
    await trading.bought()
    server.account.place({"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "50",
                          "time_in_force": "gtc", "client_order_id": "by hand"})
    await trading.engine.send(Flatten("f1"))
    await until(lambda: (found := trading.engine.state.flatten) is not None and found.finished)
    flatten = trading.engine.state.flatten
    assert flatten is not None
    assert flatten.flat_accounts == {ACCOUNT: True}
    assert (server.account.positions(), server.account.open_orders()) == ([], [])
    await trading.end()


async def test_a_stop_for_coins_covers_what_the_fee_has_left(server: AlpacaServer) -> None:
    server.account.coin_fee = Decimal("0.0025")
    trading = Trading(server, symbol="BTC/USD")
    await trading.ready()
    await trading.bought()
    await until(lambda: trading.stop_home() is StopHome.VENUE)
    assert [(order["type"], order["qty"], order["stop_price"], order["limit_price"])
            for order in server.account.open_orders()] == [("stop_limit", "9.975", "95", "90.25")]
    await trading.quote("94.90", "95.10")
    await until(lambda: trading.position() is None)
    assert server.account.positions() == []
    assert trading.engine.state.accounts[ACCOUNT].drifts == {}
    await trading.end()
