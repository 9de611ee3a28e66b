"""What the conformance suite needs of a venue: a broker, one instrument, and a hand on its market."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

from engine.inputs import FillReported, OrderReport, VenueReport
from engine.instruments import AssetClass, Instrument
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side
from engine.ports import Broker, VenueMessage

ACCOUNT = "acct"
SECOND_NS = 1_000_000_000
START_NS = 1_717_243_200 * SECOND_NS  # 2024-06-01 12:00 UTC, a Saturday

COIN = Instrument(
    instrument_id="BTC/USD@paper", symbol="BTC/USD", venue="paper", asset_class=AssetClass.CRYPTO, base_currency="BTC",
    quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"), minor_exponent=2, max_ticks=10 ** 8,
    max_lots=10 ** 8, min_lots=2, min_notional_minor=500, taker_fee_ppm=1_000, maker_fee_ppm=500)
SHARE = Instrument(
    instrument_id="AAPL@paper", symbol="AAPL", venue="paper", asset_class=AssetClass.EQUITY, base_currency="AAPL",
    quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal(1), minor_exponent=2, max_ticks=10 ** 7,
    max_lots=10 ** 6, session="XNYS", shortable=False)


def intent(client_order_id: str, side: Side = Side.BUY, order_lots: int = 10, kind: OrderKind = OrderKind.MARKET,
           **more: Any) -> OrderIntent:
    """An order with what a test does not care about filled in."""
    more.setdefault("purpose", Purpose.EXIT if more.get("reduce_only") else Purpose.ENTRY)
    more.setdefault("instrument_id", COIN.instrument_id)
    return OrderIntent(client_order_id=client_order_id, portfolio="main", account=ACCOUNT, side=side,
                       order_lots=order_lots, kind=kind, **more)


def bracket(entry_id: str = "e", *, order_lots: int = 10, stop_ticks: int = 9_000, target_ticks: int = 11_000,
            **more: Any) -> list[OrderIntent]:
    """A long entry with its stop and target as one OCO group."""
    exits = {"reduce_only": True, "parent_id": entry_id, "oco_group": f"{entry_id}-oco"}
    return [intent(entry_id, Side.BUY, order_lots, **more),
            intent(f"{entry_id}-s", Side.SELL, order_lots, OrderKind.STOP, trigger_ticks=stop_ticks,
                   purpose=Purpose.STOP, **exits),
            intent(f"{entry_id}-t", Side.SELL, order_lots, OrderKind.LIMIT, limit_ticks=target_ticks,
                   purpose=Purpose.TARGET, **exits)]


class Desk(ABC):
    """One connected broker with a market that a test moves by hand; quotes have no size unless given."""

    broker: Broker
    instrument: Instrument

    def __init__(self) -> None:
        self.messages: list[VenueMessage] = []

    @abstractmethod
    async def open(self) -> None:
        """Connect, with `messages` as the sink."""

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    async def quote(self, bid_ticks: int, ask_ticks: int, lots: int = 0) -> None:
        """The market moves; returns once the venue's reactions have arrived."""

    @abstractmethod
    async def settle(self) -> None:
        """Wait until every request under way is decided and its messages have arrived."""

    def fills(self, client_order_id: str | None = None) -> list[Fill]:
        return [message.fill for message in self.messages if isinstance(message, FillReported)
                and client_order_id in (None, message.fill.client_order_id)]

    def closings(self, client_order_id: str) -> list[OrderReport]:
        return [message for message in self.messages if isinstance(message, OrderReport)
                and message.client_order_id == client_order_id and message.closed_as is not None]

    async def report(self, *client_order_ids: str) -> VenueReport:
        report = await self.broker.report(0, client_order_ids)
        assert isinstance(report, VenueReport), report
        return report

    async def lots_held(self) -> int:
        positions = (await self.report()).positions
        return next((each.lots for each in positions if each.instrument_id == self.instrument.instrument_id), 0)
