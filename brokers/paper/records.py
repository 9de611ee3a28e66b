"""What the paper venue remembers: its options, orders, holdings and marks."""

from typing import NamedTuple

import msgspec

from engine.inputs import OrderReport, Quote, VenueCapabilities
from engine.orders import ClosedAs, Fill, OrderIntent
from engine.units import Lots, Minor, Nanoseconds, Ticks

NS_PER_MS = 1_000_000


class PaperOptions(msgspec.Struct, frozen=True):
    """How the paper venue behaves.

    `fill_share_bps` is the part of a displayed size or of a bar's volume that we may take. `touch_fills` lets a
    resting limit fill when the market only touches its price. Up to `latency_jitter_ms` is added to `latency_ms` by a
    hash of what is ordered and when. The five capabilities can be switched off: a stop or trailing order is then
    refused, the marks of a bracket, an OCO group or reduce-only are ignored. `commit_marks_seconds` of venue time (0 is
    never) is how often prices alone are written down, for live use.
    """

    seed: int = 1
    initial_cash_minor: Minor = 10_000_000
    currency: str = "USD"
    leverage: float = 1.0
    slippage_bps: int = 0
    latency_ms: int = 0
    latency_jitter_ms: int = 0
    fill_share_bps: int = 10_000
    touch_fills: bool = False
    commit_marks_seconds: int = 0
    stop: bool = True
    bracket: bool = True
    oco: bool = True
    reduce_only: bool = True
    trailing: bool = True

    @property
    def capabilities(self) -> VenueCapabilities:
        return VenueCapabilities(stop=self.stop, bracket=self.bracket, oco=self.oco, reduce_only=self.reduce_only,
                                 trailing=self.trailing, idempotent_ids=True)


class VenueOrder(msgspec.Struct, omit_defaults=True):
    """One order as the venue sees it.

    `trigger_ticks` is the level in force (a trailing stop's moves), `best_ticks` the best price a trailing stop saw.
    `reduced_lots` is what fills of the same OCO group took away. A `native_child` works only as far as `parent_cum`.
    `priced` says whether buying power was checked; `rested` that it stood in the book, so that a fill is a maker's.
    """

    intent: OrderIntent
    seq: int
    venue_order_id: str
    accepted_at_ns: Nanoseconds
    active_at_ns: Nanoseconds
    expires_at_ns: Nanoseconds = 0
    cancel_at_ns: Nanoseconds = 0
    active: bool = False
    triggered: bool = False
    rested: bool = False
    priced: bool = False
    trigger_ticks: Ticks = 0
    best_ticks: Ticks = 0
    native_child: bool = False
    parent_open: bool = False
    parent_cum: Lots = 0
    reduced_lots: Lots = 0
    cum_lots: Lots = 0
    cum_value: int = 0
    fees_minor: Minor = 0
    fill_count: int = 0
    closed_as: ClosedAs | None = None
    closed_reason: str = ""
    closed_at_ns: Nanoseconds = 0

    @property
    def open(self) -> bool:
        return self.closed_as is None and self.cum_lots < self.intent.order_lots


class Holding(msgspec.Struct):
    """A position at the venue; `entry_value` is ticks times signed lots of what is still open."""

    lots: Lots = 0
    entry_value: int = 0

    @property
    def average_ticks(self) -> float:
        return self.entry_value / self.lots if self.lots else 0.0


class Mark(msgspec.Struct):
    """The last price of one instrument.

    Only a quote is `tradable`: after a bar the next price is not known yet. `bid_used` and `ask_used` are what we have
    already taken from this quote's sizes, `moved_at_ns` is the time of the last quote or market trade.
    """

    bid_ticks: Ticks = 0
    ask_ticks: Ticks = 0
    bid_lots: Lots = 0
    ask_lots: Lots = 0
    at_ns: Nanoseconds = 0
    seen_at_ns: Nanoseconds = 0
    moved_at_ns: Nanoseconds = 0
    tradable: bool = False
    bid_used: Lots = 0
    ask_used: Lots = 0

    def quote(self, instrument_id: str) -> Quote:
        return Quote(instrument_id, self.bid_ticks, self.ask_ticks, self.bid_lots, self.ask_lots, self.at_ns)


class VenueState(msgspec.Struct):
    """Everything needed to go on: closed orders and past fills stay in the memory and are looked up there."""

    cash_minor: Minor
    cursor_ns: Nanoseconds = 0
    cursor_items: int = 0
    next_seq: int = 1
    fill_count: int = 0
    orders: dict[str, VenueOrder] = {}
    holdings: dict[str, Holding] = {}
    marks: dict[str, Mark] = {}


class Changes(NamedTuple):
    """What one operation changed, to be committed as one transaction."""

    state: VenueState
    orders: tuple[VenueOrder, ...]
    fills: tuple[Fill, ...]
    holdings: tuple[str, ...]
    marks: tuple[str, ...]


class VenueTotals(NamedTuple):
    """The account at one glance; `equity_minor` values positions at the side they would be closed at."""

    cash_minor: Minor
    equity_minor: Minor
    positions: dict[str, Lots]
    open_orders: int


def report_of(order: VenueOrder, at_ns: Nanoseconds) -> OrderReport:
    """The venue's word on one order."""
    intent = order.intent
    return OrderReport(
        account=intent.account, instrument_id=intent.instrument_id, client_order_id=intent.client_order_id,
        venue_order_id=order.venue_order_id, order_lots=intent.order_lots, cum_lots=order.cum_lots,
        closed_as=order.closed_as, at_ns=order.closed_at_ns or at_ns, reason=order.closed_reason,
        average_ticks=order.cum_value / order.cum_lots if order.cum_lots else 0.0, fees_minor=order.fees_minor,
        side=intent.side, kind=intent.kind, limit_ticks=intent.limit_ticks, trigger_ticks=order.trigger_ticks)
