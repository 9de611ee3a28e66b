"""The whole engine at Alpaca's doors: a protected entry, a stop that rests at the venue, a crash in between, a panic."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.feed import AlpacaFeed
from engine.clocks import SystemClock
from engine.inputs import Connectivity, Flatten, Limits, PlaceOrder, PortfolioSettings, Settings
from engine.orders import Side
from engine.parts import EngineParts
from engine.positions import Position
from engine.runner import Engine
from engine.service import Mode, StopHome
from engine.state import State
from store.memory import MemoryJournal
from tests.conformance.alpaca_desk import DEADLINE_SECONDS, endpoints_at, until
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.alpaca_server.server import KEY, AlpacaServer, quote_message
from tests.conformance.desk import ACCOUNT

SETTINGS = Settings(portfolios=(PortfolioSettings(
    portfolio="main", account=ACCOUNT, currency="USD", minor_exponent=2, limits=Limits(collar_bps=2_000)),))


class Trading:
    """One engine on one served account."""

    def __init__(self, server: AlpacaServer, state: State | None = None, symbol: str = "AAPL") -> None:
        self.server = server
        self.symbol = symbol
        self.broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=[symbol], endpoints=endpoints_at(server))
        feed = AlpacaFeed(lambda: KEY, paper=True, instruments=self.broker.instruments, endpoints=endpoints_at(server))
        self.engine = Engine(EngineParts(
            clock=SystemClock(), journal=MemoryJournal(), engine_id="e", version="test", mode=Mode.PAPER, settings=SETTINGS,
            brokers=(self.broker,), feed=feed, state=state or State()))
        self.task = asyncio.create_task(self.engine.run())

    async def ready(self) -> None:
        await until(lambda: self.task.done() or (len(self.server.market_listeners) == 1 and self.live))
        assert not self.task.done(), self.task

    @property
    def live(self) -> bool:
        account = self.engine.state.accounts.get(ACCOUNT)
        return account is not None and account.connectivity is Connectivity.LIVE

    async def end(self) -> None:
        self.engine.stop()
        await asyncio.wait_for(self.task, DEADLINE_SECONDS)

    async def quote(self, bid: str, ask: str) -> None:
        """The market moves, for the venue and for the engine."""
        self.server.account.quote(self.symbol, Decimal(bid), Decimal(ask), seconds=0)
        await self.server.send_market(quote_message(self.symbol, bid, ask, time.time_ns()))

    def position(self) -> Position | None:
        return self.engine.state.position("main", f"{self.symbol}@alpaca")

    def stop_home(self) -> StopHome | None:
        found = next(iter(self.engine.state.homes.values()), None)
        return found.home if found else None

    async def bought(self) -> None:
        await self.quote("99.90", "100.10")
        await until(lambda: f"{self.symbol}@alpaca" in self.engine._shell.loop.market.marks)
        receipt = await self.engine.send(PlaceOrder("c1", self.symbol, Side.BUY, quantity=Decimal(10), stop=Decimal(95),
                                                    target=Decimal(120)))
        assert receipt.accepted, receipt
        await until(lambda: self.position() is not None)

    def working(self) -> list[tuple[str, str]]:
        return [(order["type"], order["stop_price"]) for order in self.server.account.open_orders()]


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
    assert trading.working() == [("stop", "95")]
    await trading.quote("94.90", "95.10")
    await until(lambda: trading.position() is None)
    assert server.account.positions() == []
    assert server.account.open_orders() == []
    await trading.end()


async def test_the_target_is_watched_by_the_engine(server: AlpacaServer) -> None:
    trading = Trading(server)
    await trading.ready()
    await trading.bought()
    await until(lambda: trading.working() == [("stop", "95")])
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
    await until(lambda: trading.working() == [("stop", "95")])
    assert [order["qty"] for order in server.account.orders.values()] == ["10", "10"]
    await trading.end()


async def test_a_new_engine_finds_what_the_old_one_left(server: AlpacaServer) -> None:
    first = Trading(server)
    await first.ready()
    await first.bought()
    await until(lambda: first.working() == [("stop", "95")])
    await first.end()
    server.account.quote("AAPL", Decimal(94), Decimal("94.10"), seconds=0)  # the stop fires while nobody looks
    second = Trading(server, first.engine.state)
    await second.ready()
    await until(lambda: second.position() is None)
    assert server.account.positions() == []
    assert len(server.account.orders) == 2
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
