"""An order as facts that only ever grow; its status is a pure function of them (FIX 39, with UNKNOWN and DISPUTED added).

The facts and the order of precedence follow docs/orders.md. No venue message is an illegal transition, a late fill is
counted whatever closed the order, and nothing local closes an order except never having sent it.
"""

from enum import StrEnum

import msgspec

from engine.errors import InvariantBroken
from engine.positions import ExitPlan
from engine.units import Lots, Minor, Nanoseconds, Ticks


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderKind(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Purpose(StrEnum):
    """Why an order exists. Everything but ENTRY can only reduce a position."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    EXIT = "exit"
    FLATTEN = "flatten"


class ClosedAs(StrEnum):
    """The venue's own closing word."""

    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELED = "canceled"


class OrderStatus(StrEnum):
    INITIALIZED = "INITIALIZED"
    DENIED = "DENIED"
    PENDING_NEW = "PENDING_NEW"
    UNKNOWN = "UNKNOWN"
    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PENDING_CANCEL = "PENDING_CANCEL"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    DISPUTED = "DISPUTED"


TERMINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED,
                      OrderStatus.DENIED})


class OrderIntent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What we mean to send: complete, immutable, known before the venue hears of it.

    Tick fields are 0 where they do not apply. `parent_id` names the entry whose fills activate this order at a venue
    with native brackets; orders that share an `oco_group` reduce each other. `plan` is the exit plan that the position
    gets with the entry's first fill; `decision_ticks` is the price seen when the order was decided.
    """

    client_order_id: str
    portfolio: str
    account: str
    instrument_id: str
    side: Side
    order_lots: Lots
    kind: OrderKind
    purpose: Purpose
    limit_ticks: Ticks = 0
    trigger_ticks: Ticks = 0
    trail_ticks: Ticks = 0
    trail_bps: int = 0
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    parent_id: str = ""
    oco_group: str = ""
    strategy: str = "manual"
    plan: ExitPlan | None = None
    decision_ticks: Ticks = 0
    reason: str = ""


class FillSource(StrEnum):
    STREAM = "stream"
    RECONCILED = "reconciled"
    INFERRED = "inferred"


class Fill(msgspec.Struct, frozen=True, omit_defaults=True):
    """One execution. `(account, instrument_id, trade_id)` is its identity; `at_ns` is the venue's time."""

    account: str
    instrument_id: str
    trade_id: str
    client_order_id: str
    side: Side
    last_lots: Lots
    last_ticks: Ticks
    fee_minor: Minor
    at_ns: Nanoseconds
    venue_order_id: str = ""
    maker: bool = False
    source: FillSource = FillSource.STREAM

    @property
    def key(self) -> str:
        return f"{self.account}|{self.instrument_id}|{self.trade_id}"


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts known of one order; every field only grows."""

    intent: OrderIntent
    intended_at_ns: Nanoseconds
    sent_at_ns: Nanoseconds = 0
    denied_reason: str = ""
    send_unanswered: bool = False
    acked: bool = False
    venue_order_id: str = ""
    cum_lots: Lots = 0
    cum_value: int = 0
    fees_minor: Minor = 0
    last_fill_ns: Nanoseconds = 0
    cancel_requests: tuple[str, ...] = ()
    cancel_answers: tuple[str, ...] = ()
    cancel_requested_at_ns: Nanoseconds = 0
    closed_as: ClosedAs | None = None
    closed_reason: str = ""
    closed_at_ns: Nanoseconds = 0
    external: bool = False
    inferred_lots: Lots = 0

    @property
    def client_order_id(self) -> str:
        return self.intent.client_order_id

    @property
    def status(self) -> OrderStatus:
        return derive_status(self)

    @property
    def closed(self) -> bool:
        """Nothing more is expected, though a late fill would still be counted."""
        return derive_status(self) in TERMINAL

    @property
    def leaves_lots(self) -> Lots:
        """Lots that may still execute; 0 once closed."""
        return 0 if self.closed else self.intent.order_lots - self.cum_lots

    @property
    def overfill_lots(self) -> Lots:
        return max(0, self.cum_lots - self.intent.order_lots)

    @property
    def average_ticks(self) -> float | None:
        return self.cum_value / self.cum_lots if self.cum_lots else None


def derive_status(order: Order) -> OrderStatus:  # noqa: PLR0911 - a table of precedence, first match wins
    """The status that the facts add up to, by the precedence of docs/orders.md; arrival order does not matter."""
    if order.cum_lots >= order.intent.order_lots:
        return OrderStatus.FILLED
    if order.closed_as is ClosedAs.REJECTED and (order.acked or order.cum_lots):
        return OrderStatus.DISPUTED
    if order.closed_as is not None:
        return OrderStatus(order.closed_as.name)
    if order.denied_reason:
        return OrderStatus.DENIED
    if len(order.cancel_requests) > len(order.cancel_answers):
        return OrderStatus.PENDING_CANCEL
    if order.cum_lots:
        return OrderStatus.PARTIALLY_FILLED
    if order.acked:
        return OrderStatus.NEW
    if order.send_unanswered:
        return OrderStatus.UNKNOWN
    if order.sent_at_ns:
        return OrderStatus.PENDING_NEW
    return OrderStatus.INITIALIZED


def require_cancelable(order: Order) -> None:
    """Raise `InvariantBroken` where our own code asks to cancel what is closed: a programmer's error, not the venue's."""
    if order.closed:
        raise InvariantBroken(f"cancel asked of {order.client_order_id}, which is {order.status}")
