"""The whole engine at crypto venues: a protected entry, a stop at the venue or in the engine, lost answers, panic."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from brokers.ccxt_venue.broker import CcxtBroker, Tuning
from brokers.ccxt_venue.feed import CcxtFeed
from brokers.ccxt_venue.session import Endpoints
from engine.clocks import SystemClock
from engine.inputs import Connectivity, Flatten, Limits, PlaceOrder, PortfolioSettings, Settings
from engine.instruments import Instrument
from engine.orders import OrderKind, Side
from engine.parts import EngineParts
from engine.positions import Position
from engine.runner import Engine
from engine.service import Mode, StopHome
from engine.state import State
from store.memory import MemoryJournal
from tests.conformance.ccxt_server import coinbase
from tests.conformance.ccxt_server.backing import API_KEY, SECRET, Backing, LocalVenue
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.coinbase import CoinbaseVenue
from tests.conformance.ccxt_server.desks import DEADLINE_SECONDS, until
from tests.conformance.ccxt_server.kraken import KrakenVenue
from tests.conformance.desk import ACCOUNT

SETTINGS = Settings(portfolios=(PortfolioSettings(
    portfolio="main", account=ACCOUNT, currency="USD", minor_exponent=8, limits=Limits(collar_bps=2_000)),))
VENUES: dict[str, type[LocalVenue]] = {"binance": BinanceVenue, "kraken": KrakenVenue, "coinbase": CoinbaseVenue}
SUBMITS = {"binance": "/api/v3/order", "kraken": "/0/private/AddOrder", "coinbase": "/api/v3/brokerage/orders"}


class Trading:
    """One engine on one local venue."""

    def __init__(self, exchange_id: str, venue: LocalVenue, state: State | None = None) -> None:
        self.venue, self.backing = venue, venue.backing
        endpoints = Endpoints(venue.rest_url, venue.stream_url)
        self.listing: list[Instrument] = []
        self.broker = CcxtBroker(
            ACCOUNT, exchange_id, coinbase.key_source if exchange_id == "coinbase" else lambda: (API_KEY, SECRET, None),
            symbols=["BTC/USD"], endpoints=endpoints, tuning=Tuning(venue="local", poll_seconds=0.05, rate_limit_ms=1))
        feed = CcxtFeed(exchange_id, instruments=self.instruments, endpoints=endpoints, rate_limit_ms=1)
        self.engine = Engine(EngineParts(
            clock=SystemClock(), journal=MemoryJournal(), engine_id="a1b2c3d4e", version="test", mode=Mode.PAPER,
            settings=SETTINGS, brokers=(self.broker,), feed=feed, state=state or State()))
        self.task = asyncio.create_task(self.engine.run())

    def instruments(self) -> tuple[Instrument, ...]:
        return self.broker._opened.listing.all() if self.broker._opened is not None else ()

    async def ready(self) -> None:
        await until(lambda: self.task.done() or self.live, "the engine's first reconciliation")
        assert not self.task.done(), self.task

    @property
    def live(self) -> bool:
        account = self.engine.state.accounts.get(ACCOUNT)
        return account is not None and account.connectivity is Connectivity.LIVE

    async def end(self) -> None:
        self.engine.stop()
        await asyncio.wait_for(self.task, DEADLINE_SECONDS)

    async def quote(self, bid_ticks: int, ask_ticks: int) -> None:
        """The market moves, for the venue and, as soon as its stream stands, for the engine."""
        self.backing.quote(bid_ticks, ask_ticks)

        def seen() -> bool:
            self.venue.on_quote()
            mark = self.engine._shell.loop.market.marks.get("BTC/USD@local")
            return mark is not None and (mark.bid_ticks, mark.ask_ticks) == (bid_ticks, ask_ticks)

        await until(seen, f"the quote {bid_ticks}/{ask_ticks}")

    def position(self) -> Position | None:
        return self.engine.state.position("main", "BTC/USD@local")

    def stop_home(self) -> StopHome | None:
        found = next(iter(self.engine.state.homes.values()), None)
        return found.home if found else None

    def venue_lots(self) -> int:
        return int(self.backing.balance("BTC") / Decimal("0.01"))

    def working(self) -> list[tuple[OrderKind, int, int]]:
        return [(order.intent.kind, order.intent.order_lots, order.intent.trigger_ticks) for order in self.backing.open_orders()]

    async def bought(self) -> Any:
        await self.quote(9_990, 10_010)
        receipt = await self.engine.send(PlaceOrder("c1", "BTC/USD", Side.BUY, quantity=Decimal("0.10"), stop=Decimal(95)))
        assert receipt.accepted, receipt
        await until(lambda: self.position() is not None, "the position")


async def traded(exchange_id: str, backing: Backing) -> AsyncIterator[Trading]:
    venue = VENUES[exchange_id](backing)
    await venue.start()
    backing.quote(9_990, 10_010)
    trading = Trading(exchange_id, venue)
    await trading.ready()
    yield trading
    if not trading.task.done():
        await trading.end()
    await venue.stop()


@pytest.fixture(params=sorted(VENUES))
async def trading(request: pytest.FixtureRequest) -> AsyncIterator[Trading]:
    async for trading in traded(request.param, Backing()):
        yield trading


@pytest.fixture
async def in_kind() -> AsyncIterator[Trading]:
    async for trading in traded("binance", Backing(fee_currency="BTC")):
        yield trading


async def test_a_position_is_protected_and_leaves_by_its_stop(trading: Trading) -> None:
    await trading.bought()
    home = StopHome.VENUE if trading.broker.capabilities.stop else StopHome.ENGINE
    await until(lambda: trading.stop_home() is home, f"the stop in the {home}")
    if home is StopHome.VENUE:
        assert trading.working() == [(OrderKind.STOP, 10, 9_500)]
    await trading.quote(9_490, 9_510)
    await until(lambda: trading.position() is None, "the exit")
    assert (trading.venue_lots(), trading.working()) == (0, [])
    assert trading.engine.state.accounts[ACCOUNT].drifts == {}


async def test_an_entry_whose_answer_was_lost_is_found_and_protected(trading: Trading) -> None:
    for line in trading.venue.lines:
        line.hold()
    trading.backing.fail("POST", SUBMITS[trading.broker.exchange_id], status=502, body="bad gateway", acts=True)
    await trading.bought()
    await until(lambda: trading.stop_home() in (StopHome.VENUE, StopHome.ENGINE), "protection")
    assert trading.venue_lots() == 10
    position = trading.position()
    assert position is not None
    assert position.lots == 10


async def test_panic_closes_everything_at_the_venue(trading: Trading) -> None:
    await trading.bought()
    trading.backing.place("by hand", Side.BUY, OrderKind.LIMIT, Decimal("0.20"), limit=Decimal(50), foreign=True)
    await trading.engine.send(Flatten("f1"))
    await until(lambda: (found := trading.engine.state.flatten) is not None and found.finished, "the panic")
    flatten = trading.engine.state.flatten
    assert flatten is not None
    assert flatten.flat_accounts == {ACCOUNT: True}
    assert (trading.venue_lots(), trading.working()) == (0, [])


async def test_a_new_engine_finds_what_the_old_one_left(trading: Trading) -> None:
    await trading.bought()
    await until(lambda: trading.stop_home() is not None, "protection")
    await trading.end()
    second = Trading(trading.broker.exchange_id, trading.venue, trading.engine.state)
    await second.ready()
    position = second.position()
    assert position is not None
    assert (position.lots, position.stop_ticks) == (10, 9_500)
    await second.quote(9_490, 9_510)
    await until(lambda: second.position() is None, "the exit")
    assert second.venue_lots() == 0
    await second.end()


async def test_a_fee_in_kind_leaves_no_drift_and_a_stop_of_the_right_size(in_kind: Trading) -> None:
    await in_kind.bought()
    await until(lambda: in_kind.working() == [(OrderKind.STOP, 9, 9_500)], "the stop")
    position = in_kind.position()
    assert position is not None
    assert position.lots == in_kind.venue_lots() == 9
    orders = [*in_kind.engine.state.orders.values(), *in_kind.engine.state.closed.values()]
    assert [order.cum_lots for order in orders if order.intent.side is Side.BUY] == [10]
    await in_kind.quote(9_490, 9_510)
    await until(lambda: in_kind.position() is None, "the exit")
    report = await in_kind.broker.report(0, ())
    account = in_kind.engine.state.accounts[ACCOUNT]
    assert account.drifts == {}
    assert account.cash_minor == getattr(report, "cash_minor", None)
