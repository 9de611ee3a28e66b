"""The paper venue: synchronous, deterministic, and the same after a crash as without one.

Whatever it decides is a function of its memory as committed and of the items after the memory's cursor: market data are
not written down for themselves, because reading the tape again from the cursor brings them back. What time alone does
(latency, expiry) happens at its own due time, so it does not matter how often somebody says what time it is.
"""

from collections.abc import Callable, Sequence

from brokers.paper.auction import Auction
from brokers.paper.checks import reference_ticks, refusal_of, unaffordable
from brokers.paper.ledger import Ledger, due_at, jitter_ns, venue_order_id_of
from brokers.paper.matching import trail_level
from brokers.paper.memory import Memory
from brokers.paper.records import (
    NS_PER_MS,
    Mark,
    PaperOptions,
    VenueOrder,
    VenueState,
    VenueTotals,
    report_of,
)
from brokers.sessions import known_session, session_bounds
from engine.errors import InstrumentError, StoreError
from engine.inputs import (
    Accepted,
    Bar,
    CancelAnswer,
    CancelRefused,
    Duplicate,
    FillReported,
    MarketItem,
    NotSent,
    OrderMissing,
    OrderReport,
    Quote,
    Refused,
    SubmitAnswer,
    VenuePosition,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import ClosedAs, OrderIntent, OrderKind, TimeInForce
from engine.units import NS_PER_SECOND, Nanoseconds


class PaperVenue:
    """One account. Every method finishes its change in the memory before it returns; messages wait in `drain`."""

    def __init__(self, account: str, options: PaperOptions, memory: Memory,
                 instruments: Sequence[Instrument] = ()) -> None:
        self.account = account
        self.options = options
        self._memory = memory
        self._instruments: dict[str, Instrument] = {}
        self._ledger = Ledger(account, options, self._instruments, memory.load())
        self._auction = Auction(self._ledger)
        self._skip_items = self._ledger.state.cursor_items
        self._marks_committed_ns = self._ledger.state.cursor_ns
        self.list_instruments(instruments)

    # ---- what is listed and what time it is ----

    def list_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Add what can be traded; raises `InstrumentError` for another currency, or hours that are not known."""
        for instrument in instruments:
            if instrument.quote_currency != self.options.currency:
                raise InstrumentError(f"{instrument.instrument_id} is quoted in {instrument.quote_currency}; account "
                                      f"{self.account} is kept in {self.options.currency} and trades nothing else")
            if not known_session(instrument.session):
                raise InstrumentError(f"{instrument.instrument_id}: the hours of {instrument.session!r} are not known")
            self._instruments[instrument.instrument_id] = instrument

    def listing(self) -> tuple[Instrument, ...]:
        return tuple(self._instruments.values())

    @property
    def cursor_ns(self) -> Nanoseconds:
        """The venue's time: that of the last item or beat it saw."""
        return self._ledger.state.cursor_ns

    def mark(self, instrument_id: str) -> Quote | None:
        mark = self._ledger.state.marks.get(instrument_id)
        return mark.quote(instrument_id) if mark else None

    def totals(self) -> VenueTotals:
        return self._ledger.totals()

    def drain(self) -> list[FillReported | OrderReport]:
        """The messages that became due since the last call; their causes are committed."""
        messages, self._ledger.outbox = self._ledger.outbox, []
        return messages

    def expect_reread(self) -> None:
        """The data may be read again from the cursor: items of exactly that time that were seen are skipped once."""
        self._skip_items = self._ledger.state.cursor_items

    # ---- market data and time ----

    def see(self, item: MarketItem, at_ns: Nanoseconds) -> None:
        """Take one market item at `at_ns`; what was seen before (at or before the cursor) is ignored."""
        if self._seen_before(at_ns):
            return
        self._wake(at_ns)
        # a bar is over before anything that falls on its closing time happens
        self._run_due(min(at_ns, item.close_ns - 1) if isinstance(item, Bar) else at_ns)
        self._move_time(at_ns)
        self._ledger.state.cursor_items += 1
        if self._auction.touches(item):
            self._transact(lambda: self._auction.take(item, at_ns))
        else:
            self._auction.take_quietly(item)
        self._run_due(at_ns)
        self._commit_marks_if_due(at_ns)

    def advance(self, now_ns: Nanoseconds) -> None:
        """Time passes without an item."""
        if self._memory.changed_elsewhere():
            self.refresh()
        if now_ns > self._ledger.state.cursor_ns:
            self._wake(now_ns)
            self._run_due(now_ns)
            self._move_time(now_ns)
            self._commit_marks_if_due(now_ns)

    def refresh(self) -> None:
        """Take over what another process did to the account; its fills and closings are announced as ours would be."""
        self._transact(lambda: None)

    def commit_marks(self) -> None:
        """Write down prices and time alone."""
        self._transact(lambda: None, force=True)

    def close(self) -> None:
        """Write down where we are and let go of the memory."""
        try:
            self.commit_marks()
        finally:
            self._memory.close()

    def _seen_before(self, at_ns: Nanoseconds) -> bool:
        state = self._ledger.state
        if at_ns < state.cursor_ns:
            self._skip_items = state.cursor_items  # somebody reads again from further back
            return True
        if at_ns > state.cursor_ns:
            self._skip_items = 0
        elif self._skip_items:
            self._skip_items -= 1
            return True
        return False

    def _wake(self, at_ns: Nanoseconds) -> None:
        """The first time this venue ever hears of: orders that came before it count from here."""
        if self._ledger.state.cursor_ns:
            return
        self._move_time(at_ns)
        for order in self._ledger.state.orders.values():
            order.accepted_at_ns = at_ns
            order.active_at_ns += at_ns
            order.expires_at_ns = self._expiry_ns(order)
            self._ledger.note_order(order, commit=False)
        self._ledger.recompute_due()

    def _expiry_ns(self, order: VenueOrder) -> Nanoseconds:
        if order.intent.time_in_force is not TimeInForce.DAY:
            return 0
        session = self._instruments[order.intent.instrument_id].session
        return session_bounds(session, order.active_at_ns).close_ns

    def _move_time(self, at_ns: Nanoseconds) -> None:
        state = self._ledger.state
        if at_ns > state.cursor_ns:
            state.cursor_ns, state.cursor_items = at_ns, 0

    def _commit_marks_if_due(self, at_ns: Nanoseconds) -> None:
        every_ns = self.options.commit_marks_seconds * NS_PER_SECOND
        if every_ns and at_ns - self._marks_committed_ns >= every_ns:
            self._marks_committed_ns = at_ns
            self.commit_marks()

    def _run_due(self, until_ns: Nanoseconds) -> None:
        if not 0 < self._ledger.next_due_ns <= until_ns:
            return
        self._transact(lambda: self._do_due(until_ns))

    def _do_due(self, until_ns: Nanoseconds) -> None:
        while 0 < self._ledger.next_due_ns <= until_ns:
            due_ns = self._ledger.next_due_ns
            self._move_time(due_ns)
            for order in sorted(self._ledger.state.orders.values(), key=lambda order: order.seq):
                if order.open and due_at(order) == due_ns:
                    self._fall_due(order, due_ns)
            self._ledger.recompute_due()

    def _fall_due(self, order: VenueOrder, due_ns: Nanoseconds) -> None:
        if order.cancel_at_ns == due_ns:
            self._ledger.close(order, ClosedAs.CANCELED, "canceled on request", due_ns)
        elif order.expires_at_ns == due_ns:
            self._ledger.close(order, ClosedAs.EXPIRED, "the session closed", due_ns)
        else:
            self._auction.activate(order, due_ns)

    # ---- orders ----

    def submit(self, intents: Sequence[OrderIntent]) -> list[SubmitAnswer]:
        """Take orders; an entry and its children come together, so that no fill of the entry finds them missing."""
        try:
            return self._transact(lambda: self._submit(intents))
        except StoreError as error:
            return [NotSent(str(error)) for _ in intents]

    def _submit(self, intents: Sequence[OrderIntent]) -> list[SubmitAnswer]:
        answers: list[SubmitAnswer] = []
        accepted: list[VenueOrder] = []
        refused: set[str] = set()
        for intent in intents:
            answer = self._accept(intent, accepted, refused)
            if isinstance(answer, Refused):
                refused.add(intent.client_order_id)
            answers.append(answer)
        now_ns = self._ledger.state.cursor_ns
        for order in accepted:
            if now_ns and order.open and order.active_at_ns <= now_ns:
                self._auction.activate(order, now_ns)
        self._ledger.recompute_due()
        return answers

    def _accept(self, intent: OrderIntent, accepted: list[VenueOrder], refused: set[str]) -> SubmitAnswer:
        if self._find(intent.client_order_id) is not None:
            return Duplicate()
        parent = self._find(intent.parent_id) if intent.parent_id and self.options.bracket else None
        if intent.parent_id and self.options.bracket and parent is None:
            why = "its entry was refused" if intent.parent_id in refused else "its entry is not known here"
            return Refused(why, "parent")
        refusal = refusal_of(self._ledger, intent, native_child=parent is not None)
        if refusal is not None:
            return refusal
        order = self._order_of(intent, parent)
        ticks = reference_ticks(self._ledger, intent)
        if ticks:
            too_much = unaffordable(self._ledger, order, ticks)
            if too_much is not None:
                return too_much
            order.priced = True
        self._ledger.add(order)
        accepted.append(order)
        return Accepted(order.venue_order_id)

    def _order_of(self, intent: OrderIntent, parent: VenueOrder | None) -> VenueOrder:
        now_ns = self._ledger.state.cursor_ns
        options = self.options
        active_at_ns = now_ns + options.latency_ms * NS_PER_MS + jitter_ns(
            options, intent.instrument_id, now_ns, intent.side, intent.order_lots)
        order = VenueOrder(intent=intent, seq=self._ledger.state.next_seq, accepted_at_ns=now_ns,
                           venue_order_id=venue_order_id_of(self.account, intent.client_order_id),
                           active_at_ns=active_at_ns, trigger_ticks=intent.trigger_ticks)
        order.expires_at_ns = self._expiry_ns(order) if now_ns else 0
        if parent is not None:
            order.native_child, order.parent_cum, order.parent_open = True, parent.cum_lots, parent.open
        return order

    def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        """Ask to cancel; with latency the order may still fill before the closing word."""
        try:
            return self._transact(lambda: self._cancel(client_order_id, venue_order_id))
        except StoreError as error:
            return NotSent(str(error))

    def _cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        order = self._find(client_order_id) if client_order_id else None
        if order is None and venue_order_id:
            order = self._find_by_venue_id(venue_order_id)
        if order is None:
            return CancelRefused("no such order", unknown_order=True)
        if not order.open:
            word = order.closed_as.value if order.closed_as else "filled"
            return CancelRefused(f"too late: the order is {word}")
        self._request_cancel(order)
        return Accepted(order.venue_order_id)

    def _request_cancel(self, order: VenueOrder) -> None:
        now_ns = self._ledger.state.cursor_ns
        if self.options.latency_ms == 0:
            self._ledger.close(order, ClosedAs.CANCELED, "canceled on request", now_ns)
        elif not order.cancel_at_ns:
            order.cancel_at_ns = now_ns + self.options.latency_ms * NS_PER_MS
            self._ledger.note_order(order)
        self._ledger.recompute_due()

    def cancel_all(self) -> int:
        """Ask to cancel every open order; how many were open. Raises `StoreError` where memory fails."""
        return self._transact(self._cancel_all)

    def _cancel_all(self) -> int:
        orders = sorted(self._ledger.state.orders.values(), key=lambda order: order.seq)
        for order in orders:
            if order.open:
                self._request_cancel(order)
        return len(orders)

    def lookup(self, client_order_id: str) -> OrderReport | OrderMissing:
        """One order by our id; this memory proves absence. Raises `StoreError` where the memory cannot be read."""
        return self._transact(lambda: self._lookup(client_order_id))

    def _lookup(self, client_order_id: str) -> OrderReport | OrderMissing:
        order = self._find(client_order_id)
        if order is None:
            return OrderMissing(self.account, client_order_id, definitive=True)
        return self._report_of(order)

    def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport:
        """The whole account as of now. Raises `StoreError` where the memory cannot be read."""
        return self._transact(lambda: self._report(since_ns, client_order_ids))

    def _report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport:
        state = self._ledger.state
        orders = sorted(state.orders.values(), key=lambda order: order.seq)
        positions = tuple(VenuePosition(instrument_id, holding.lots, holding.average_ticks)
                          for instrument_id, holding in sorted(state.holdings.items()) if holding.lots)
        return VenueReport(
            account=self.account, venue_time_ns=state.cursor_ns, fills=self._memory.fills_since(since_ns),
            open_orders=tuple(self._report_of(order) for order in orders),
            looked_up=tuple(self._lookup(client_order_id) for client_order_id in client_order_ids),
            positions=positions, cash_minor=state.cash_minor, instruments=self.listing())

    def _report_of(self, order: VenueOrder) -> OrderReport:
        return report_of(order, self._ledger.state.cursor_ns)

    def _find(self, client_order_id: str) -> VenueOrder | None:
        return self._ledger.state.orders.get(client_order_id) or self._memory.find_order(client_order_id)

    def _find_by_venue_id(self, venue_order_id: str) -> VenueOrder | None:
        for order in self._ledger.state.orders.values():
            if order.venue_order_id == venue_order_id:
                return order
        return self._memory.find_venue_order(venue_order_id)

    # ---- one change, one transaction ----

    def _transact[T](self, work: Callable[[], T], *, force: bool = False) -> T:
        """Do `work` on the newest state and commit it; on failure nothing of it has happened."""
        if self._memory.begin():
            self._take_over(self._memory.load())
        waiting = len(self._ledger.outbox)
        try:
            result = work()
            self._memory.commit(self._ledger.take_changes(force=force))
        except BaseException:
            del self._ledger.outbox[waiting:]
            self._memory.rollback()
            self._take_over(self._memory.load(), announce=False)
            raise
        return result

    def _take_over(self, committed: VenueState, *, announce: bool = True) -> None:
        """Continue from the memory, with our own prices and trailing bests where they are newer."""
        before = self._ledger
        ours = before.state
        newer = [instrument_id for instrument_id, mark in ours.marks.items()
                 if mark.seen_at_ns >= committed.marks.get(instrument_id, Mark()).seen_at_ns]
        if ours.cursor_ns > committed.cursor_ns:
            committed.cursor_ns, committed.cursor_items = ours.cursor_ns, ours.cursor_items
        after = Ledger(self.account, self.options, self._instruments, committed)
        after.outbox = before.outbox
        for instrument_id in newer:
            committed.marks[instrument_id] = ours.marks[instrument_id]
            after.note_mark(instrument_id)
        for client_order_id, order in committed.orders.items():
            known = ours.orders.get(client_order_id)
            if known is not None:
                _keep_better_trail(order, known)
                after.note_order(order, commit=False)
        self._ledger = after
        self._auction = Auction(after)
        if announce:
            self._announce_foreign_changes(ours)

    def _announce_foreign_changes(self, ours: VenueState) -> None:
        """Report the fills and closings that another process caused."""
        outbox = self._ledger.outbox
        outbox.extend(FillReported(fill) for fill in self._memory.fills_after(ours.fill_count))
        for client_order_id in ours.orders:
            order = self._find(client_order_id)
            if order is not None and order.closed_as is not None:
                outbox.append(self._report_of(order))


def _keep_better_trail(order: VenueOrder, known: VenueOrder) -> None:
    """A trailing stop never retreats, whichever process saw the better price."""
    if order.intent.kind is not OrderKind.TRAILING_STOP or not known.best_ticks:
        return
    sign = order.intent.side.sign
    if not order.best_ticks or sign * (order.best_ticks - known.best_ticks) > 0:
        order.best_ticks = known.best_ticks
        order.trigger_ticks = trail_level(sign, known.best_ticks, order.intent.trail_ticks, order.intent.trail_bps)
