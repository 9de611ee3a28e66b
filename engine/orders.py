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
    with native brackets; orders that share an `oco_group` reduce each other. Exits that go out in one request are named after
    it (`twin_ids`). `plan` is the exit plan that the position
    gets with the entry's first fill; `decision_ticks` is the price seen when the order was decided. `approved_by` is who
    approved what another had proposed, `slice_of` the order over time that this one is a part of.
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
    approved_by: str = ""
    slice_of: str = ""


STOP_SUFFIX = "-s"
TARGET_SUFFIX = "-t"


def twin_ids(intent: OrderIntent) -> tuple[str, ...]:
    """The ids that the other exit of the same request may have: a bracket's are named `ENTRY-s` and `ENTRY-t`, a pair's
    `TARGET` and `TARGET-s`. So each names the order that it came with, for venues that know only that one by our id."""
    client_order_id = intent.client_order_id
    if intent.purpose is Purpose.STOP and client_order_id.endswith(STOP_SUFFIX):
        base = client_order_id.removesuffix(STOP_SUFFIX)
        return base + TARGET_SUFFIX, base
    if intent.purpose is Purpose.TARGET:
        return (client_order_id.removesuffix(TARGET_SUFFIX) + STOP_SUFFIX,)
    return ()


class FillSource(StrEnum):
    STREAM = "stream"
    RECONCILED = "reconciled"
    INFERRED = "inferred"


class Fill(msgspec.Struct, frozen=True, omit_defaults=True):
    """One execution. `(account, instrument_id, trade_id)` is its identity; `at_ns` is the venue's time.

    `base_fee_lots` of what was bought are kept by the venue as its fee (a fee in the base currency): the order executed
    `last_lots`, the position gets the rest, cash pays for all, and `fee_minor` is then the value of what was kept.
    """

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
    base_fee_lots: Lots = 0

    @property
    def key(self) -> str:
        return f"{self.account}|{self.instrument_id}|{self.trade_id}"


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts known of one order; every field only grows. `settled_as` is what a person said of a disputed one."""

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
    settled_as: OrderStatus | None = None

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


def derive_status(order: Order) -> OrderStatus:
    """The status that the facts add up to, by the precedence of docs/orders.md: first match wins, in any order of arrival."""
    if order.cum_lots >= order.intent.order_lots:
        return OrderStatus.FILLED
    if order.closed_as is ClosedAs.REJECTED and (order.acked or order.cum_lots):
        return order.settled_as or OrderStatus.DISPUTED
    if order.closed_as is not None:
        return OrderStatus(order.closed_as.name)
    if order.denied_reason and not order.acked:
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


# ---- facts folded into an order: total, no venue fact is an illegal transition ---------------------------------------

_CLOSING_RANK = {ClosedAs.REJECTED: 1, ClosedAs.EXPIRED: 2, ClosedAs.CANCELED: 3}


def with_sent(order: Order, at_ns: Nanoseconds) -> Order:
    """The gateway began the broker call; the first time stays, and a clock that starts at 0 still counts as sent."""
    return order if order.sent_at_ns else msgspec.structs.replace(order, sent_at_ns=max(1, at_ns))


def with_ack(order: Order, venue_order_id: str) -> Order:
    """The venue said that it has the order; its first id is bound, also after a fill.

    Not for a refusal: an order both acknowledged and rejected is DISPUTED.
    """
    if order.acked and (order.venue_order_id or not venue_order_id):
        return order
    return msgspec.structs.replace(order, acked=True, venue_order_id=order.venue_order_id or venue_order_id)


def added_by(order: Order, fill: Fill) -> Fill | None:
    """The part of a fill that is news: a real fill first consumes what was inferred; None where nothing is left.

    Order and position both fold this part, so they stay equal to the last lot and the last minor unit.
    """
    if fill.last_lots <= 0:
        return None
    if fill.source is FillSource.INFERRED or order.inferred_lots == 0:
        return fill
    new_lots = fill.last_lots - min(order.inferred_lots, fill.last_lots)
    if new_lots == 0:
        return None
    new_fee_minor = fill.fee_minor * new_lots // fill.last_lots
    return msgspec.structs.replace(fill, last_lots=new_lots, fee_minor=new_fee_minor)


def with_fill(order: Order, fill: Fill) -> Order:
    """A fill, whatever the status says; the caller folds each `Fill.key` only once.

    Lots of an inferred fill are consumed by later real ones before these add any.
    """
    if fill.last_lots <= 0:
        return order
    inferred = fill.source is FillSource.INFERRED
    consumed_lots = 0 if inferred else min(order.inferred_lots, fill.last_lots)
    added = added_by(order, fill)
    return msgspec.structs.replace(
        order, acked=True, venue_order_id=order.venue_order_id or fill.venue_order_id,
        cum_lots=order.cum_lots + (added.last_lots if added else 0),
        cum_value=order.cum_value + (added.last_lots * added.last_ticks if added else 0),
        fees_minor=order.fees_minor + (added.fee_minor if added else 0),
        last_fill_ns=max(order.last_fill_ns, fill.at_ns),
        inferred_lots=order.inferred_lots + (fill.last_lots if inferred else -consumed_lots))


def with_unanswered(order: Order) -> Order:
    """The send ended without a definite answer; any answer outranks it."""
    return order if order.send_unanswered else msgspec.structs.replace(order, send_unanswered=True)


def with_cancel_request(order: Order, request_id: str, at_ns: Nanoseconds) -> Order:
    """We asked to cancel; the time of the latest request counts."""
    if request_id in order.cancel_requests:
        return order
    return msgspec.structs.replace(order, cancel_requests=(*order.cancel_requests, request_id),
                                   cancel_requested_at_ns=max(order.cancel_requested_at_ns, at_ns, 1))


def with_cancel_answer(order: Order, request_id: str) -> Order:
    """A cancel request was refused: the order is again what its other facts say."""
    if request_id in order.cancel_answers:
        return order
    return msgspec.structs.replace(order, cancel_answers=(*order.cancel_answers, request_id))


def with_closed(order: Order, closed_as: ClosedAs, reason: str, at_ns: Nanoseconds) -> Order:
    """The venue's closing word. Where it says several, canceled outranks expired, expired outranks rejected.

    A rank rather than "the first wins", so that the order in which the words arrive does not matter.
    """
    if order.closed_as is not None and _CLOSING_RANK[order.closed_as] >= _CLOSING_RANK[closed_as]:
        return order
    return msgspec.structs.replace(order, closed_as=closed_as, closed_reason=reason, closed_at_ns=at_ns)


def with_settled(order: Order, *, filled: bool, reason: str, at_ns: Nanoseconds) -> Order:
    """A person's word on a disputed order: it was filled, or it is gone. What the venue says later outranks it."""
    return msgspec.structs.replace(order, settled_as=OrderStatus.FILLED if filled else OrderStatus.CANCELED,
                                   closed_reason=reason, closed_at_ns=at_ns)


def with_denied(order: Order, reason: str) -> Order:
    """Our own rules said no, or it was withdrawn before sending; without effect once the venue is known to have it."""
    if order.denied_reason or order.acked or order.closed_as is not None:
        return order
    return msgspec.structs.replace(order, denied_reason=reason or "denied")


def require_cancelable(order: Order) -> None:
    """Raise `InvariantBroken` where our own code asks to cancel what is closed: a programmer's error, not the venue's."""
    if order.closed:
        raise InvariantBroken(f"cancel asked of {order.client_order_id}, which is {order.status}")
