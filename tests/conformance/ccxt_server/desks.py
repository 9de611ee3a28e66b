"""The conformance desk on a ccxt adapter: the real library, a local venue that speaks the exchange's own protocol."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from brokers.ccxt_venue.broker import CcxtBroker, Tuning
from brokers.ccxt_venue.session import Endpoints, KeySource
from engine.inputs import FillReported, OrderReport
from tests.conformance.ccxt_server import coinbase, kraken
from tests.conformance.ccxt_server.backing import API_KEY, COIN, SECRET, Backing, LocalVenue
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.desk import ACCOUNT, Desk

DEADLINE_SECONDS = 60.0  # loading ccxt alone takes ten on a busy machine


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Wait until something holds, a bounded time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DEADLINE_SECONDS
    while not condition():
        assert loop.time() < deadline, f"it did not happen: {what}"
        await asyncio.sleep(0.002)


def key_source() -> tuple[str, str, str | None]:
    return API_KEY, SECRET, None


class Exchange(NamedTuple):
    """A local venue, the key that opens it, how it calls an execution, and where it takes orders."""

    speaks: type[LocalVenue]
    key_source: KeySource
    trade_id: Callable[[int], str]
    orders_path: str


EXCHANGES = {
    "binance": Exchange(BinanceVenue, key_source, str, "/api/v3/order"),
    "kraken": Exchange(kraken.KrakenVenue, key_source, kraken.trade_id, "/0/private/AddOrder"),
    "coinbase": Exchange(coinbase.CoinbaseVenue, coinbase.key_source, coinbase.trade_id, "/api/v3/brokerage/orders"),
}


class CcxtDesk(Desk):
    """One adapter on one local venue, which speaks binance unless the exchange is another one that is served here. The account
    is called as the suite calls it, and so is the venue's market."""

    broker: CcxtBroker

    def __init__(self, exchange_id: str = "binance", backing: Backing | None = None) -> None:
        super().__init__()
        self.exchange = EXCHANGES.get(exchange_id, EXCHANGES["binance"])
        self.backing = backing or Backing()
        self.venue, self.exchange_id = self.exchange.speaks(self.backing), exchange_id
        self.key_source = self.exchange.key_source
        self.trade_id = self.exchange.trade_id
        self.instrument = COIN

    def made(self) -> CcxtBroker:
        return CcxtBroker(ACCOUNT, self.exchange_id, self.key_source, symbols=["BTC/USD"],
                          endpoints=Endpoints(self.venue.rest_url, self.venue.stream_url),
                          tuning=Tuning(venue="paper", poll_seconds=0.02, rate_limit_ms=1))

    async def open(self) -> None:
        self.broker = self.made()
        instruments = await self.broker.connect(self.messages.append)
        self.instrument = instruments[0]

    async def close(self) -> None:
        await self.broker.close()

    async def quote(self, bid_ticks: int, ask_ticks: int, lots: int = 0) -> None:
        self.backing.quote(bid_ticks, ask_ticks, lots)
        self.venue.on_quote()
        await self.settle()

    async def settle(self) -> None:
        """Wait until every execution and every closing word of our own orders has been told."""
        await until(lambda: not self._owed(), "the venue's messages")

    def _owed(self) -> list[str]:
        inward = self.broker._profile.wire_ids.inward
        told = {message.fill.trade_id for message in self.messages if isinstance(message, FillReported)}
        closed = {message.client_order_id for message in self.messages
                  if isinstance(message, OrderReport) and message.closed_as is not None}
        owed = [f"fill {trade.number}" for trade in self.backing.trades if self.trade_id(trade.number) not in told]
        owed += [order.client_id for order in self.backing.orders.values()
                 if order.closed_as is not None and inward(order.client_id) not in closed]
        return owed


@asynccontextmanager
async def opened(exchange_id: str = "binance", backing: Backing | None = None) -> AsyncIterator[CcxtDesk]:
    """A connected desk, the market at 9990 to 10010."""
    desk = CcxtDesk(exchange_id, backing)
    await desk.venue.start()
    desk.backing.quote(9_990, 10_010)
    await desk.open()
    yield desk
    await desk.close()
    await desk.venue.stop()
