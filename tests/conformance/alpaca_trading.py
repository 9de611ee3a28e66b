"""One engine on one served Alpaca account, with its feed."""

import asyncio
import time
from decimal import Decimal

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.feed import AlpacaFeed
from engine.clocks import SystemClock
from engine.inputs import Connectivity, Limits, PlaceOrder, PortfolioSettings, Settings
from engine.orders import OrderKind, Side
from engine.parts import EngineParts
from engine.positions import Position
from engine.runner import Engine
from engine.service import Mode, Receipt, StopHome
from engine.state import State
from store.memory import MemoryJournal
from tests.conformance.alpaca_desk import DEADLINE_SECONDS, endpoints_at, until
from tests.conformance.alpaca_server.groups import ENDED
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

    async def quote(self, bid: str, ask: str, quantity: int = 0) -> None:
        """The market moves, for the venue and for the engine; a quantity of 0 is not known."""
        self.server.account.quote(self.symbol, Decimal(bid), Decimal(ask), Decimal(quantity), seconds=0)
        await self.server.send_market(quote_message(self.symbol, bid, ask, time.time_ns()))

    def position(self) -> Position | None:
        return self.engine.state.position("main", f"{self.symbol}@alpaca")

    def stop_home(self) -> StopHome | None:
        found = next(iter(self.engine.state.homes.values()), None)
        return found.home if found else None

    async def bought(self) -> None:
        await self.ordered()
        await until(lambda: self.position() is not None)

    async def ordered(self, limit: str = "") -> Receipt:
        """Ten with a stop and a target, at market or at a limit."""
        await self.quote("99.90", "100.10")
        await until(lambda: f"{self.symbol}@alpaca" in self.engine._shell.loop.market.marks)
        receipt = await self.engine.send(PlaceOrder(
            "c1", self.symbol, Side.BUY, quantity=Decimal(10), stop=Decimal(95), target=Decimal(120),
            kind=OrderKind.LIMIT if limit else OrderKind.MARKET, limit=Decimal(limit) if limit else None))
        assert receipt.accepted, receipt
        return receipt

    def working(self) -> list[tuple[str, str]]:
        """What has not ended, with its level; a held stop too."""
        return [(order["type"], order["stop_price"] or order["limit_price"]) for order in self.server.account.orders.values()
                if order["status"] not in ENDED]
