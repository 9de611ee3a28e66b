"""The scripted day's venues behind ccxt: local ones that speak binance, kraken and coinbase."""

from decimal import Decimal

from brokers.ccxt_venue.broker import CcxtBroker, Tuning
from brokers.ccxt_venue.feed import CcxtFeed
from brokers.ccxt_venue.session import Endpoints
from engine.clocks import SystemClock
from engine.instruments import Instrument
from engine.orders import OrderKind, Side
from engine.ports import Broker, Clock, MarketFeed
from engine.units import Lots
from tests.conformance.ccxt_server import coinbase
from tests.conformance.ccxt_server.backing import Backing, LocalVenue
from tests.conformance.ccxt_server.binance import BinanceVenue
from tests.conformance.ccxt_server.coinbase import CoinbaseVenue
from tests.conformance.ccxt_server.desks import key_source
from tests.conformance.ccxt_server.kraken import KrakenVenue
from tests.conformance.desk import ACCOUNT
from tests.conformance.scripted_day import BY_HAND, Site


class CcxtSite(Site):
    """Coins at a local venue, through ccxt."""

    symbol, instrument_id = "BTC/USD", "BTC/USD@local"
    piece, lots_a_piece, minor_exponent = Decimal("0.1"), 10, 8
    orders_path: str
    speaks: type[LocalVenue]
    key_source = staticmethod(key_source)

    def __init__(self) -> None:
        super().__init__()
        self.backing = Backing()
        self.venue = self.speaks(self.backing)
        self.ccxt: CcxtBroker

    async def open(self) -> None:
        await self.venue.start()
        self.backing.quote(9_990, 10_010)
        await self.start()

    async def close(self) -> None:
        await self.stop()
        await self.venue.stop()

    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        endpoints = Endpoints(self.venue.rest_url, self.venue.stream_url)
        broker = CcxtBroker(ACCOUNT, self.name, self.key_source, symbols=["BTC/USD"], endpoints=endpoints,
                            tuning=Tuning(venue="local", poll_seconds=0.05, rate_limit_ms=1))
        self.ccxt = broker

        def instruments() -> tuple[Instrument, ...]:
            return broker._opened.listing.all() if broker._opened is not None else ()

        return broker, CcxtFeed(self.name, instruments=instruments, endpoints=endpoints, rate_limit_ms=1), SystemClock()

    async def market(self, bid: Decimal, ask: Decimal, pieces: int) -> None:
        self.backing.quote(int(bid * 100), int(ask * 100), self.lots(pieces))

    async def show(self, bid: Decimal, ask: Decimal) -> None:
        self.venue.on_quote()

    def venue_lots(self) -> Lots:
        return int(self.backing.balance("BTC") / Decimal("0.01"))

    def open_stops(self) -> Lots:
        return sum(order.intent.order_lots - order.cum_lots for order in self.backing.open_orders()
                   if order.intent.kind is OrderKind.STOP and order.intent.side is Side.SELL)

    def taken_ids(self) -> list[str]:
        inward = self.ccxt._profile.wire_ids.inward
        return [inward(order.client_id) for order in self.backing.orders.values() if not order.foreign]

    def open_ids(self) -> list[str]:
        return [order.client_id for order in self.backing.open_orders()]

    def sendings(self) -> int:
        return self.backing.calls("POST", self.orders_path)

    def lose_next_answer(self, *, arrives: bool) -> None:
        self.backing.fail("POST", self.orders_path, acts=arrives)

    def mute(self) -> None:
        for line in self.venue.lines:
            line.hold()

    def unmute(self) -> None:
        for line in self.venue.lines:
            line.release()

    async def go_dark(self) -> None:
        await self.venue.stop()

    async def come_back(self) -> None:
        await self.venue.start()

    def place_by_hand(self) -> None:
        self.backing.place(BY_HAND, Side.BUY, OrderKind.LIMIT, Decimal("0.20"), limit=Decimal(50), foreign=True)


class BinanceSite(CcxtSite):
    name, speaks, orders_path = "binance", BinanceVenue, "/api/v3/order"


class KrakenSite(CcxtSite):
    name, speaks, orders_path = "kraken", KrakenVenue, "/0/private/AddOrder"


class CoinbaseSite(CcxtSite):
    """Its stops live in the engine: the venue has none that the market could not skip."""

    name, speaks, orders_path = "coinbase", CoinbaseVenue, "/api/v3/brokerage/orders"
    key_source = staticmethod(coinbase.key_source)
    stops_rest = False
