"""One decision being made: events are emitted and folded at once, effects are gathered, ids follow from row numbers."""

from collections.abc import Sequence
from typing import NamedTuple

from engine.apply import apply
from engine.currency import rates_used
from engine.effects import Answer, AskOrder, AskReport, Effect, SendCancel, SubmitOrders
from engine.events import AlertRaised, CancelRequested, Event, OrderIntended, Recorded, WantRefused
from engine.inputs import Input
from engine.market import MarketView
from engine.notices import notice_of
from engine.orders import Order, OrderIntent, Purpose, require_cancelable
from engine.positions import position_key
from engine.risk import RiskApproved
from engine.self_match import entries_met_by_exit
from engine.service import AlertLevel, ClampView, Receipt, Refusal
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds

LONGEST_CANCEL_WAIT_SECONDS = 60
ALERT_REPEAT_NS = 60 * NS_PER_SECOND
FILL_OVERLAP_NS = 60 * NS_PER_SECOND


class Stamped(NamedTuple):
    """An input with the time at which the loop took it, and the loop's picture of the market."""

    at_ns: Nanoseconds
    input: Input
    market: MarketView


class Decision(NamedTuple):
    """The state after an input, the events that now hold, the effects that must follow once they are durable."""

    state: State
    events: tuple[Recorded, ...]
    effects: tuple[Effect, ...]


class Turn:
    """The working copy of one decision."""

    def __init__(self, state: State, market: MarketView, at_ns: Nanoseconds) -> None:
        self.state = state
        self.market = market
        self.at_ns = at_ns
        self.events: list[Recorded] = []
        self.effects: list[Effect] = []
        self.touched: dict[str, None] = {}

    def decision(self) -> Decision:
        return Decision(self.state, tuple(self.events), tuple(self.effects))

    def emit(self, event: Event) -> None:
        """Record an event and fold it."""
        recorded = Recorded(self.state.seq + 1, self.at_ns, event)
        self.events.append(recorded)
        self.state = apply(self.state, recorded)

    def next_id(self) -> str:
        """An id that no other order, proposal or request has: made of the row it will be recorded in and of the row that its
        session began with, since rows that never reached the disk are numbered again after a crash."""
        return f"{self.state.engine_id}-{self.state.session_seq}-{self.state.seq + 1}"

    def touch(self, portfolio: str, instrument_id: str) -> None:
        """Have the protection of a position looked at before the decision ends."""
        self.touched[position_key(portfolio, instrument_id)] = None

    def submit(self, approved: Sequence[RiskApproved], command_id: str = "", clamps: tuple[ClampView, ...] = ()) -> None:
        """Record the intents and hand them to the gateway, an entry together with its native children."""
        for one in approved:
            self._clear_the_way(one.intent)
        for place, one in enumerate(approved):
            rates = rates_used(self.state, self.market, self.at_ns, one.intent.portfolio) \
                if one.intent.purpose is Purpose.ENTRY else ()
            self.emit(OrderIntended(one.intent, command_id, () if place else clamps, rates))
        first = approved[0].intent
        self.effects.append(SubmitOrders(first.account, tuple(approved), first.purpose is not Purpose.ENTRY))
        self.touch(first.portfolio, first.instrument_id)

    def _clear_the_way(self, intent: OrderIntent) -> None:
        """Withdraw our own entries that an exit would meet; the exit itself does not wait for that."""
        mark = self.market.marks.get(intent.instrument_id)
        if intent.purpose is not Purpose.ENTRY:
            for order in entries_met_by_exit(self.state, intent, mark.take_ticks(intent.side.sign) if mark else 0):
                self.cancel(order, "it would meet our own exit")

    def resend(self, approved: Sequence[RiskApproved]) -> None:
        """Hand orders to the gateway again, in one request as before, under the same ids and with the same content."""
        first = approved[0].intent
        self.effects.append(SubmitOrders(first.account, tuple(approved), first.purpose is not Purpose.ENTRY))

    def cancel(self, order: Order, reason: str, command_id: str = "") -> None:
        """Ask the venue to cancel; nothing happens where a request is already on its way, or was refused a moment ago: whoever
        still wants it asks again on a later beat, ever more slowly. A person's own command is never held back like that."""
        require_cancelable(order)
        refused = len(order.cancel_answers)
        wait_seconds = min(2 ** min(refused - 1, 10), LONGEST_CANCEL_WAIT_SECONDS) if refused and not command_id else 0
        if len(order.cancel_requests) > refused or self.at_ns - order.cancel_requested_at_ns < wait_seconds * NS_PER_SECOND:
            return
        request_id = self.next_id()
        self.emit(CancelRequested(order.client_order_id, request_id, reason, command_id))
        self.effects.append(SendCancel(order.intent.account, order.client_order_id, order.venue_order_id, request_id))

    def cancel_again(self, order: Order) -> None:
        """Send the cancel that is under way once more, under its own id: the venue shows that it may never have heard of it."""
        self.effects.append(SendCancel(order.intent.account, order.client_order_id, order.venue_order_id,
                                       order.cancel_requests[-1]))

    def ask_order(self, order: Order) -> None:
        self.effects.append(AskOrder(order.intent.account, order.client_order_id))

    def ask_report(self, account: str) -> None:
        """Ask the venue for everything it knows of the account: fills since the last clean pass by its own clock, which may
        differ from ours; our open orders by name."""
        known = self.state.accounts[account]
        passed_ns = known.venue_time_ns or known.reconciled_at_ns
        since_ns = max(known.opened_at_ns, passed_ns - FILL_OVERLAP_NS)
        ids = tuple(order.client_order_id for order in self.state.orders.values()
                    if order.intent.account == account and not order.external)
        self.effects.append(AskReport(account, since_ns, ids))

    def alert(self, level: AlertLevel, code: str, subject: str, text: str) -> None:
        """Raise an alert; the same one is not repeated within a minute."""
        alert_id = f"{code}:{subject}"
        known = self.state.alerts.get(alert_id)
        if known and known.text == text and self.at_ns - known.at_ns < ALERT_REPEAT_NS:
            return
        self.emit(AlertRaised(alert_id, level, code, subject, text))
        self.effects.append(notice_of(self.state, self.state.alerts[alert_id]))

    def accept(self, command_id: str, text: str = "", *, order_ids: tuple[str, ...] = (), proposal_id: str = "") -> None:
        self.effects.append(Answer(Receipt(command_id, accepted=True, seq=self.state.seq, order_ids=order_ids,
                                           proposal_id=proposal_id, text=text)))

    def refuse(self, command_id: str, what: str, refusal: Refusal) -> None:
        """Record why a command was refused and say so."""
        self.emit(WantRefused(command_id, what, refusal.check, refusal.limit, refusal.value, refusal.message))
        self.effects.append(Answer(Receipt(command_id, accepted=False, seq=self.state.seq, refusal=refusal)))
