"""The scripted day's venues behind ccxt: local ones that speak binance, kraken and coinbase."""

from decimal import Decimal

from brokers.ccxt_venue.broker import CcxtBroker, Tuning
from brokers.ccxt_venue.feed import CcxtFeed
from brokers.ccxt_venue.profiles import profile_of
from brokers.ccxt_venue.session import Endpoints
from engine.clocks import SystemClock
from engine.instruments import Instrument
from engine.orders import OrderKind, Side
from engine.ports import Broker, Clock, MarketFeed
from engine.units import Lots
from tests.conformance.ccxt_server.backing import Backing
from tests.conformance.ccxt_server.desks import EXCHANGES
from tests.conformance.desk import ACCOUNT
from tests.conformance.scripted_day import BY_HAND, RETRY_SOON, Loss, ServedSite


class CcxtSite(ServedSite):
    """Coins at a local venue, through ccxt."""

    symbol, instrument_id = "BTC/USD", "BTC/USD@local"
    piece, lots_a_piece, minor_exponent = Decimal("0.1"), 10, 8

    def __init__(self) -> None:
        super().__init__()
        self.backing = Backing()
        self.exchange = EXCHANGES[self.name]
        self.venue = self.exchange.speaks(self.backing)
        self.ccxt: CcxtBroker

    async def serve(self) -> None:
        await self.venue.start()
        self.backing.quote(9_990, 10_010)

    async def open(self) -> None:
        await self.serve()
        await self.start()

    async def close(self) -> None:
        await self.stop()
        await self.venue.stop()

    @property
    def url(self) -> str:
        return self.venue.rest_url

    @classmethod
    def parts_at(cls, url: str, answer_seconds: float) -> tuple[Broker, MarketFeed, Clock]:
        endpoints = Endpoints(url, url.replace("http", "ws", 1), answer_seconds)
        broker = CcxtBroker(ACCOUNT, cls.name, EXCHANGES[cls.name].key_source, symbols=["BTC/USD"], endpoints=endpoints,
                            tuning=Tuning(venue="local", poll_seconds=0.05, rate_limit_ms=1))

        def instruments() -> tuple[Instrument, ...]:
            return broker._opened.listing.all() if broker._opened is not None else ()

        return broker, CcxtFeed(cls.name, instruments=instruments, endpoints=endpoints, rate_limit_ms=1), SystemClock()

    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        broker, feed, clock = self.parts_at(self.url, self.answer_seconds)
        assert isinstance(broker, CcxtBroker)
        self.ccxt = broker
        return broker, feed, clock

    def disturb_next(self, loss: Loss) -> None:
        self.backing.fail("POST", self.exchange.orders_path, status=loss.status, acts=loss.arrives, hangs=loss.hangs,
                          truncated=loss.truncated, again=loss.again, headers=RETRY_SOON)

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
        inward = profile_of(self.name).wire_ids.inward
        return [inward(order.client_id) for order in self.backing.orders.values() if not order.foreign]

    def open_ids(self) -> list[str]:
        return [order.client_id for order in self.backing.open_orders()]

    def sendings(self) -> int:
        return self.backing.calls("POST", self.exchange.orders_path)

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
    name = "binance"


class KrakenSite(CcxtSite):
    name = "kraken"


class CoinbaseSite(CcxtSite):
    """Its stops live in the engine: the venue has none that the market could not skip."""

    name, stops_rest = "coinbase", False


CCXT_SITES: tuple[type[CcxtSite], ...] = (BinanceSite, KrakenSite, CoinbaseSite)
