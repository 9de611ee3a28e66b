"""The venue's books: cash, holdings, orders, and what one fill does to all of them.

The ledger decides no price. It is told what executed and keeps everything consistent: money exact, OCO groups reduced,
bracket children released, reduce-only orders gone once nothing is left to reduce.
"""

import hashlib

from brokers.paper.records import (
    Changes,
    Holding,
    Mark,
    PaperOptions,
    VenueOrder,
    VenueState,
    VenueTotals,
    report_of,
)
from engine.inputs import FillReported, OrderReport
from engine.instruments import Instrument
from engine.orders import ClosedAs, Fill, Side
from engine.units import Lots, Minor, Nanoseconds, Ticks


class Ledger:
    """The books of one account; every change is noted until `take_changes`."""

    def __init__(self, account: str, options: PaperOptions, instruments: dict[str, Instrument],
                 state: VenueState) -> None:
        self.account = account
        self.options = options
        self.instruments = instruments
        self.state = state
        self.outbox: list[FillReported | OrderReport] = []
        self.by_instrument: dict[str, list[VenueOrder]] = {}
        self.next_due_ns: Nanoseconds = 0
        self._changed_orders: dict[str, VenueOrder] = {}
        self._changed_holdings: dict[str, None] = {}
        self._changed_marks: dict[str, None] = {}
        self._new_fills: list[Fill] = []
        self._must_commit = False
        for order in state.orders.values():
            self.by_instrument.setdefault(order.intent.instrument_id, []).append(order)
        self.recompute_due()

    # ---- what changed ----

    def take_changes(self, *, force: bool = False) -> Changes | None:
        """What must be committed, or None where only prices moved; `force` takes the prices too."""
        if not (self._must_commit or force):
            return None
        changes = Changes(self.state, tuple(self._changed_orders.values()), tuple(self._new_fills),
                          tuple(self._changed_holdings), tuple(self._changed_marks))
        self._changed_orders, self._changed_holdings, self._changed_marks = {}, {}, {}
        self._new_fills, self._must_commit = [], False
        return changes

    def note_mark(self, instrument_id: str) -> None:
        """A price moved: written down with the next change, not on its own."""
        self._changed_marks[instrument_id] = None

    def note_order(self, order: VenueOrder, *, commit: bool = True) -> None:
        """An order changed; without `commit` (a trailing stop's best) it waits for the next change."""
        self._changed_orders[order.intent.client_order_id] = order
        self._must_commit = self._must_commit or commit

    # ---- looking ----

    def lots_held(self, instrument_id: str) -> Lots:
        holding = self.state.holdings.get(instrument_id)
        return holding.lots if holding else 0

    def workable_lots(self, order: VenueOrder) -> Lots:
        """How much of an order may execute now: its rest, as far as parent, group and position allow."""
        intent = order.intent
        ceiling = min(intent.order_lots, order.parent_cum) if order.native_child else intent.order_lots
        lots = ceiling - order.cum_lots - order.reduced_lots
        held = self.lots_held(intent.instrument_id)
        if intent.reduce_only and self.options.reduce_only:
            return max(0, min(lots, -intent.side.sign * held))
        if intent.side is Side.SELL and not self.instruments[intent.instrument_id].shortable:
            return max(0, min(lots, held))
        return max(0, lots)

    def mark_ticks(self, instrument_id: str, lots: Lots) -> Ticks:
        """The price at which `lots` would be closed, or their average entry where no price is known."""
        mark = self.state.marks.get(instrument_id)
        ticks = 0
        if mark is not None:
            ticks = mark.bid_ticks or mark.ask_ticks if lots > 0 else mark.ask_ticks or mark.bid_ticks
        if ticks:
            return ticks
        holding = self.state.holdings.get(instrument_id)
        return round(holding.average_ticks) if holding else 0

    def totals(self) -> VenueTotals:
        """Cash, equity, positions and the number of open orders."""
        equity_minor = self.state.cash_minor
        positions: dict[str, Lots] = {}
        for instrument_id in sorted(self.state.holdings):
            lots = self.state.holdings[instrument_id].lots
            if lots:
                positions[instrument_id] = lots
                ticks = self.mark_ticks(instrument_id, lots)
                equity_minor += self.instruments[instrument_id].signed_notional_minor(ticks, lots)
        return VenueTotals(self.state.cash_minor, equity_minor, positions, len(self.state.orders))

    def recompute_due(self) -> None:
        """When time alone next changes something: an activation, a cancel under way, an expiry."""
        orders = self.state.orders.values() if self.state.cursor_ns else ()  # before any time nothing falls due
        self.next_due_ns = min((due_ns for order in orders if (due_ns := due_at(order))), default=0)

    # ---- changing ----

    def add(self, order: VenueOrder) -> None:
        """Take an accepted order into the book."""
        self.state.orders[order.intent.client_order_id] = order
        self.by_instrument.setdefault(order.intent.instrument_id, []).append(order)
        self.state.next_seq += 1
        self.note_order(order)

    def fill(self, order: VenueOrder, ticks: Ticks, lots: Lots, at_ns: Nanoseconds, *, maker: bool) -> None:
        """Book one execution and everything that follows from it."""
        intent = order.intent
        instrument = self.instruments[intent.instrument_id]
        order.fill_count += 1
        fill = Fill(account=self.account, instrument_id=intent.instrument_id,
                    trade_id=f"{order.venue_order_id}-{order.fill_count}", client_order_id=intent.client_order_id,
                    side=intent.side, last_lots=lots, last_ticks=ticks,
                    fee_minor=instrument.fee_minor(ticks, lots, maker=maker), at_ns=at_ns,
                    venue_order_id=order.venue_order_id, maker=maker)
        self.state.cash_minor += cash_delta_minor(fill, instrument)
        self._move_holding(intent.instrument_id, intent.side.sign * lots, ticks)
        order.cum_lots += lots
        order.cum_value += ticks * lots
        order.fees_minor += fill.fee_minor
        self._new_fills.append(fill)
        self.state.fill_count += 1
        self.note_order(order)
        self.outbox.append(FillReported(fill))
        if not order.open:
            self._leave_book(order, at_ns)
        self._close_exhausted(order, "the rest is not needed any more", at_ns)
        self._release_children(order, at_ns)
        self._reduce_group(order, lots, at_ns)
        self._drop_idle_reducers(intent.instrument_id, at_ns)

    def close(self, order: VenueOrder, closed_as: ClosedAs, reason: str, at_ns: Nanoseconds) -> None:
        """The venue's closing word; children of an entry that never filled close with it."""
        if not order.open:
            return
        order.closed_as, order.closed_reason = closed_as, reason
        self._leave_book(order, at_ns)
        self.note_order(order)
        self.outbox.append(report_of(order, at_ns))
        self._release_children(order, at_ns)

    def _leave_book(self, order: VenueOrder, at_ns: Nanoseconds) -> None:
        order.closed_at_ns = at_ns
        self.state.orders.pop(order.intent.client_order_id, None)
        book = self.by_instrument[order.intent.instrument_id]
        self.by_instrument[order.intent.instrument_id] = [other for other in book if other is not order]

    def _move_holding(self, instrument_id: str, signed_lots: Lots, ticks: Ticks) -> None:
        holding = self.state.holdings.setdefault(instrument_id, Holding())
        before = holding.lots
        after = before + signed_lots
        if before * signed_lots >= 0:
            holding.entry_value += ticks * signed_lots
        elif before * after > 0:
            holding.entry_value = holding.entry_value * after // before
        else:
            holding.entry_value = ticks * after
        holding.lots = after
        self._changed_holdings[instrument_id] = None

    def _siblings(self, instrument_id: str) -> tuple[VenueOrder, ...]:
        return tuple(self.by_instrument.get(instrument_id, ()))

    def _release_children(self, parent: VenueOrder, at_ns: Nanoseconds) -> None:
        """Tell native children how much of their entry is filled, and close those that can never work."""
        for child in self._siblings(parent.intent.instrument_id):
            if not child.native_child or child.intent.parent_id != parent.intent.client_order_id:
                continue
            child.parent_cum, child.parent_open = parent.cum_lots, parent.open
            self.note_order(child)
            self._close_exhausted(child, "the entry closed before it filled", at_ns)

    def _reduce_group(self, filled: VenueOrder, lots: Lots, at_ns: Nanoseconds) -> None:
        group = filled.intent.oco_group
        if not group or not self.options.oco:
            return
        for other in self._siblings(filled.intent.instrument_id):
            if other is not filled and other.intent.oco_group == group and other.intent.side is filled.intent.side:
                other.reduced_lots += lots
                self.note_order(other)
                self._close_exhausted(other, "the other order of its group filled", at_ns)

    def _close_exhausted(self, order: VenueOrder, reason: str, at_ns: Nanoseconds) -> None:
        ceiling = order.intent.order_lots
        if order.native_child and not order.parent_open:
            ceiling = min(ceiling, order.parent_cum)
        if order.open and order.cum_lots + order.reduced_lots >= ceiling:
            self.close(order, ClosedAs.CANCELED, reason, at_ns)

    def _drop_idle_reducers(self, instrument_id: str, at_ns: Nanoseconds) -> None:
        """Once flat, a reduce-only order has nothing to do, unless its entry may still fill."""
        if not self.options.reduce_only or self.lots_held(instrument_id):
            return
        for order in self._siblings(instrument_id):
            if order.intent.reduce_only and not (order.native_child and order.parent_open):
                self.close(order, ClosedAs.CANCELED, "reduce-only: nothing left to reduce", at_ns)


def due_at(order: VenueOrder) -> Nanoseconds:
    """When time alone next changes this order; 0 is never."""
    due = [ns for ns in (0 if order.active else order.active_at_ns, order.cancel_at_ns, order.expires_at_ns) if ns]
    return min(due, default=0)


def cash_delta_minor(fill: Fill, instrument: Instrument) -> Minor:
    """What a fill does to cash, exactly."""
    return instrument.signed_notional_minor(fill.last_ticks, -fill.side.sign * fill.last_lots) - fill.fee_minor


def venue_order_id_of(account: str, client_order_id: str) -> str:
    """The venue's own id: a function of ours, so that a crash and a resend cannot change it."""
    return "P" + hashlib.blake2b(f"{account}|{client_order_id}".encode(), digest_size=8).hexdigest()


def jitter_ns(options: PaperOptions, instrument_id: str, at_ns: Nanoseconds, side: Side,
              order_lots: Lots) -> Nanoseconds:
    """A latency jitter that depends on nothing but the seed, the time and what is ordered."""
    if not options.latency_jitter_ms:
        return 0
    text = f"{options.seed}|{instrument_id}|{at_ns}|{side}|{order_lots}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (options.latency_jitter_ms * 1_000_000)


def fresh_mark(state: VenueState, instrument_id: str) -> Mark:
    """The mark of an instrument, made where there was none."""
    mark = state.marks.get(instrument_id)
    if mark is None:
        mark = state.marks[instrument_id] = Mark()
    return mark
