"""The venue's messages: answers to what was sent, order reports, fills. No message is illegal and none is lost."""

from engine.account_events import AccountTold, CloseRefused
from engine.account_standing import unreported
from engine.decide import flatten, marks
from engine.decide.sessions import touch_account
from engine.events import CancelSettled, OrderDenied, OrderUnanswered
from engine.facts import ack, close, fold_fill, order_missing, order_report, retry_exit_later
from engine.inputs import (
    NOT_TODAY,
    Accepted,
    CancelAnswered,
    CancelRefused,
    Duplicate,
    FillReported,
    NotSent,
    Refused,
    ReportFailed,
    SubmitAnswered,
    Unanswered,
    VenueReported,
)
from engine.orders import ClosedAs, Order, Purpose
from engine.reconcile import is_another_account, reconcile
from engine.service import AlertLevel
from engine.turn import Turn

__all__ = ["cancel_answered", "fill_reported", "order_missing", "order_report", "report_failed", "submit_answered",
           "venue_reported"]


# ---- answers -----------------------------------------------------------------------------------------------------------


def submit_answered(turn: Turn, answered: SubmitAnswered) -> None:
    """One of the four answers, or the good news of a duplicate."""
    order = turn.state.order(answered.client_order_id)
    if order is None:
        return
    answer = answered.answer
    if isinstance(answer, Accepted):
        ack(turn, order, answer.venue_order_id)
    elif isinstance(answer, Refused):
        if answer.code == NOT_TODAY and order.intent.purpose is not Purpose.ENTRY:
            _close_refused(turn, order, answer.reason)
        close(turn, order, ClosedAs.REJECTED, answer.reason)
    elif isinstance(answer, Duplicate):
        turn.ask_order(order)
    elif isinstance(answer, Unanswered):
        if not order.send_unanswered:
            turn.emit(OrderUnanswered(order.client_order_id, answer.cause))
            turn.alert(AlertLevel.WARN, "unanswered", order.client_order_id,
                       f"the venue did not answer ({answer.cause}); the order counts in full until it does")
        turn.ask_order(order)
    else:
        _not_sent(turn, order, answer)
    turn.touch(order.intent.portfolio, order.intent.instrument_id)


def _close_refused(turn: Turn, order: Order, words: str) -> None:
    """The venue does not let go today of what was opened today. Nobody but a person can hasten that: it is said as loud as can
    be, the order is tried again like any other that was refused, and nothing more is opened there until the next session."""
    intent = order.intent
    turn.emit(CloseRefused(intent.account, intent.instrument_id, words))
    turn.alert(AlertLevel.CRIT, "close-refused", intent.instrument_id,
               f"the venue does not let this position be closed today ({words}): its {intent.purpose} was refused and is tried "
               "again until it is taken; only the broker's desk or more equity can hasten that; nothing new is opened meanwhile")


def _not_sent(turn: Turn, order: Order, answer: NotSent) -> None:
    turn.emit(OrderDenied(order.client_order_id, f"not sent: {answer.cause}"))
    turn.alert(AlertLevel.ERROR, "not-sent", order.client_order_id, answer.cause)
    retry_exit_later(turn, order)


def cancel_answered(turn: Turn, answered: CancelAnswered) -> None:
    """An accepted cancel waits for the closing word; a refused one asks what the order is now."""
    order = turn.state.order(answered.client_order_id)
    if order is None:
        return
    if isinstance(answered.answer, CancelRefused | NotSent):
        reason = answered.answer.reason if isinstance(answered.answer, CancelRefused) else answered.answer.cause
        if answered.request_id not in order.cancel_answers:
            turn.emit(CancelSettled(order.client_order_id, answered.request_id, reason))
    if not order.closed and not isinstance(answered.answer, Accepted):
        turn.ask_order(order)
    turn.touch(order.intent.portfolio, order.intent.instrument_id)


def fill_reported(turn: Turn, reported: FillReported) -> None:
    """A fill moves its position at once, whatever the order's status says, exactly once."""
    fold_fill(turn, reported.fill)


# ---- whole reports -----------------------------------------------------------------------------------------------------------


def venue_reported(turn: Turn, reported: VenueReported) -> None:
    """A complete report: reconcile, then let the panic look at it, then look after every position."""
    if reported.report.account not in turn.state.accounts:
        return
    if is_another_account(turn, reported.report):
        return
    account = turn.state.accounts[reported.report.account]
    paid_minor = turn.state.portfolios[account.portfolio].adjusted_minor
    reconcile(turn, reported.report)
    if account.funded and turn.state.portfolios[account.portfolio].adjusted_minor != paid_minor:
        marks.mark_equity(turn, at_once=True)  # what the next flow is a part of, and reports value it here too
    flatten.step(turn, reported.report)
    touch_account(turn, reported.report.account)


def report_failed(turn: Turn, failed: ReportFailed) -> None:
    """A failed report says nothing about what the venue holds; after two that are missing nothing new is opened on what it said
    before, and a person should look: a key that was revoked takes no exit either."""
    turn.alert(AlertLevel.WARN, "report-failed", failed.account, failed.cause)
    account = turn.state.accounts.get(failed.account)
    if account is None or not account.funded or not unreported(turn.state, failed.account, turn.at_ns):
        return
    if not account.barred:
        turn.emit(AccountTold(account.account, account.owner, "the venue gives no complete report of it"))
    turn.alert(AlertLevel.CRIT, "no-report", failed.account,
               f"the venue has not told for long what this account holds ({failed.cause}): what is shown may be old, exits may "
               "not arrive; look at the venue itself, and at the key")


