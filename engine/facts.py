"""Facts of the venue folded into orders and positions: acknowledgements, closing words, reports, fills. Each is idempotent,
none is illegal, and every surprise is an alert. Streams, answers and reconciliation all come through here."""

from engine.events import (
    CancelSettled,
    ExitRetried,
    ExternalOrderSeen,
    OrderAcked,
    OrderClosed,
    OrderDenied,
    OrderFilled,
    OrderMissed,
    OrderResent,
)
from engine.inputs import OrderMissing, OrderReport
from engine.orders import TERMINAL, ClosedAs, Fill, Order, OrderIntent, OrderStatus, Purpose, TimeInForce
from engine.positions import EXTERNAL, position_key
from engine.protection import LONGEST_BACKOFF_SECONDS, want_exit
from engine.risk import approve_repeat, approve_resend
from engine.service import AlertLevel, Refusal
from engine.turn import Turn
from engine.units import NS_PER_SECOND, seconds_to_ns

MISSES_BEFORE_GONE = 3


def ack(turn: Turn, order: Order, venue_order_id: str) -> None:
    if not order.acked or (venue_order_id and not order.venue_order_id):
        turn.emit(OrderAcked(order.client_order_id, venue_order_id))


def close(turn: Turn, order: Order, closed_as: ClosedAs, reason: str) -> None:
    """The venue's closing word; a refused exit is retried, a refused stop is told, and a dispute is an alarm."""
    if order.closed_as is closed_as:
        return
    turn.emit(OrderClosed(order.client_order_id, closed_as, reason))
    after = turn.state.order(order.client_order_id)
    if after is None:
        return
    intent = order.intent
    if after.status is OrderStatus.DISPUTED:
        turn.alert(AlertLevel.CRIT, "disputed", order.client_order_id,
                   f"the venue both took and refused {intent.instrument_id}: it counts as live until it is settled")
        turn.ask_order(after)
    elif closed_as is ClosedAs.REJECTED and not _child_of_nothing(turn, intent):
        level = AlertLevel.WARN if intent.purpose is Purpose.ENTRY else AlertLevel.ERROR
        turn.alert(level, f"{intent.purpose}-refused", intent.instrument_id, f"the venue refused: {reason}")
        turn.ask_report(intent.account)  # what it holds may not be what we believe: a fill unheard of, money that is bound
    if after.cum_lots < intent.order_lots:
        retry_exit_later(turn, order)
    turn.touch(intent.portfolio, intent.instrument_id)


def _child_of_nothing(turn: Turn, intent: OrderIntent) -> bool:
    """A protective child whose entry never filled: there is nothing that it could have protected."""
    parent = turn.state.order(intent.parent_id) if intent.parent_id else None
    return parent is not None and parent.cum_lots == 0


def retry_exit_later(turn: Turn, order: Order) -> None:
    """An exit that fell short is tried again, at first soon, then ever more slowly."""
    position = turn.state.position(order.intent.portfolio, order.intent.instrument_id)
    if order.intent.purpose is not Purpose.EXIT or position is None or not position.exit_reason:
        return
    attempts = position.exit_attempts + 1
    wait_seconds = min(2 ** (attempts - 1), LONGEST_BACKOFF_SECONDS)
    turn.emit(ExitRetried(position.key, attempts, turn.at_ns + wait_seconds * NS_PER_SECOND))
    turn.alert(AlertLevel.CRIT, "exit-failed", position.instrument_id,
               f"exit attempt {attempts} did not go through; the next follows in {wait_seconds} s")


# ---- reports of one order -------------------------------------------------------------------------------------------------


def order_report(turn: Turn, report: OrderReport, *, in_full_report: bool = False) -> None:
    """What the venue says of one order: ours gets the missing facts, a foreign one is shown. Executed lots that no fill
    explains are asked for, unless the fills came in the same report."""
    order = turn.state.order(report.client_order_id)
    if order is None:
        see_external(turn, report)
        return
    if not order.acked and _another_order(report, order.intent):
        turn.alert(AlertLevel.CRIT, "id-clash", order.client_order_id,
                   f"the venue holds another order under this id: {report.side} {report.order_lots} lots; ours never arrived")
        close(turn, order, ClosedAs.REJECTED, "the venue holds another order under this id")
        return
    if report.closed_as is not ClosedAs.REJECTED:
        ack(turn, order, report.venue_order_id)
    if report.cum_lots > order.cum_lots and not in_full_report:
        turn.ask_report(order.intent.account)
    if report.closed_as is not None:
        close(turn, order, report.closed_as, report.reason)
    elif order.status is OrderStatus.PENDING_CANCEL and report.cum_lots < order.intent.order_lots \
            and turn.at_ns - order.cancel_requested_at_ns >= seconds_to_ns(turn.state.settings.query_after_seconds):
        _cancel_unheard(turn, order)
    turn.touch(order.intent.portfolio, order.intent.instrument_id)


def _cancel_unheard(turn: Turn, order: Order) -> None:
    """The venue shows an order open long after it was asked to cancel it: asked once more, but for a stop, which may by now be
    all that guards its position. That one stands again, and whoever still wants it gone asks anew."""
    if order.intent.purpose is Purpose.STOP:
        turn.emit(CancelSettled(order.client_order_id, order.cancel_requests[-1], "the venue still shows it open"))
    else:
        turn.cancel_again(order)


def _another_order(report: OrderReport, intent: OrderIntent) -> bool:
    """Whether what the venue has under our id was never this order: an exit that left while the journal could not be written,
    and whose number a crash then gave away again. Believing in it would be believing in a stop that is not there. A venue
    that does not say how many lots (0) proves nothing."""
    return report.order_lots not in (0, intent.order_lots)


def see_external(turn: Turn, report: OrderReport) -> None:
    """Record an open order that is not ours; it is counted and never touched without a person's word."""
    account = turn.state.accounts.get(report.account)
    if account is None or report.closed_as is not None or report.cum_lots >= report.order_lots \
            or report.instrument_id not in turn.state.instruments:
        return
    intent = OrderIntent(
        client_order_id=report.client_order_id or f"external-{report.venue_order_id}", portfolio=account.portfolio,
        account=report.account, instrument_id=report.instrument_id, side=report.side, order_lots=report.order_lots,
        kind=report.kind, purpose=Purpose.ENTRY, limit_ticks=report.limit_ticks, trigger_ticks=report.trigger_ticks,
        time_in_force=TimeInForce.GTC, strategy=EXTERNAL, reason="not placed by this engine")
    if turn.state.order(intent.client_order_id) is None:
        turn.emit(ExternalOrderSeen(intent, report.venue_order_id))
        turn.alert(AlertLevel.WARN, "external-order", intent.client_order_id,
                   f"the venue holds an order in {report.instrument_id} that is not ours; it is left alone")


def order_missing(turn: Turn, missing: OrderMissing) -> None:
    """A query that did not find our order: proof at a venue that can prove it, elsewhere a hint that must repeat."""
    order = turn.state.order(missing.client_order_id)
    if order is None or order.closed or order.external:
        return
    if missing.definitive:
        _proven_missing(turn, order)
        return
    turn.emit(OrderMissed(order.client_order_id))
    if _sent_again(turn, order):
        return
    long_ago = turn.at_ns - order.sent_at_ns >= seconds_to_ns(turn.state.settings.settle_seconds)
    if turn.state.misses[order.client_order_id] >= MISSES_BEFORE_GONE and long_ago:
        turn.alert(AlertLevel.ERROR, "no-trace", order.client_order_id,
                   "the venue shows no trace of it after repeated complete queries; should it appear, it is disputed")
        close(turn, order, ClosedAs.REJECTED, "no trace at the venue")


def _sent_again(turn: Turn, order: Order) -> bool:
    """Send an order that only reduces once more, under the same id and with the same content, to a venue that refuses an id for
    ever: where the first one did arrive after all, it answers so, and nothing happens twice. An entry has time to be given up; a
    stop or an exit that was lost on the line has not. The first time at once, then only after a while, and not for ever."""
    settings = turn.state.settings
    again = turn.state.misses[order.client_order_id] > 1
    soon = again and turn.at_ns - order.sent_at_ns < seconds_to_ns(settings.query_after_seconds)
    late = turn.at_ns - order.intended_at_ns >= seconds_to_ns(settings.settle_seconds)
    if order.status is not OrderStatus.UNKNOWN or soon or late \
            or not turn.state.accounts[order.intent.account].capabilities.idempotent_ids:
        return False
    together = _one_request(turn, order)
    approved = approve_repeat(turn.state, together)
    if not approved:
        return False
    for one in together:
        turn.emit(OrderResent(one.client_order_id))
    turn.resend(approved)
    return True


def _one_request(turn: Turn, order: Order) -> list[Order]:
    """The orders that went out in the same request, in its order: a target with its stop, or one alone; none for a stop whose
    target is asked for as well."""
    twins = turn.state.twins(order)
    if not twins:
        return [order]
    return [order, *twins] if order.intent.purpose is Purpose.TARGET and not order.intent.parent_id else []


def _proven_missing(turn: Turn, order: Order) -> None:
    """Never arrived: sent once more under the same id while it is fresh, withdrawn when it is not."""
    if order.acked:
        turn.alert(AlertLevel.ERROR, "forgotten", order.client_order_id, "the venue no longer knows an order that it took")
        close(turn, order, ClosedAs.CANCELED, "the venue no longer knows it")
        return
    fresh = turn.at_ns - order.intended_at_ns <= seconds_to_ns(turn.state.settings.query_after_seconds)
    approved = approve_resend(turn.state, order, turn.at_ns) if fresh and not order.intent.parent_id else None
    if approved is None or isinstance(approved, Refusal):
        turn.emit(OrderDenied(order.client_order_id, "it never reached the venue"))
        retry_exit_later(turn, order)
        turn.touch(order.intent.portfolio, order.intent.instrument_id)
        return
    turn.emit(OrderResent(order.client_order_id))
    turn.resend([approved])


def fold_fill(turn: Turn, fill: Fill) -> bool:
    """Record a fill that is news; False where it is known or cannot be ours."""
    account = turn.state.accounts.get(fill.account)
    known_lots = turn.state.seen_lots(fill)
    if known_lots not in (None, fill.last_lots):
        turn.alert(AlertLevel.CRIT, "fill-clash", f"{fill.trade_id}#{fill.last_lots}",
                   f"the venue told of {fill.instrument_id} trade {fill.trade_id} twice: {known_lots} lots, then "
                   f"{fill.last_lots}; the first is counted, the next report shows which is held")
    if account is None or known_lots is not None:
        return False
    if fill.instrument_id not in turn.state.instruments:
        turn.alert(AlertLevel.CRIT, "unknown-instrument", fill.instrument_id, "a fill came for an instrument that is not listed")
        return False
    order = turn.state.order(fill.client_order_id)
    if order is None:
        turn.alert(AlertLevel.ERROR, "external-fill", fill.trade_id,
                   f"{fill.side} {fill.last_lots} lots of {fill.instrument_id} filled for an order that is not ours")
    portfolio = order.intent.portfolio if order else account.portfolio
    late = order is not None and order.status in TERMINAL
    key = position_key(portfolio, fill.instrument_id)
    low_ticks, high_ticks = turn.market.reach(key, fill.instrument_id) or (0, 0)
    turn.emit(OrderFilled(fill, portfolio, low_ticks, high_ticks))
    position = turn.state.positions.get(key)
    if position is None:
        turn.market.forget(key, fill.instrument_id)
    else:
        turn.market.follow(key, fill.instrument_id, position.sign, position.opened_at_ns,
                           (position.low_ticks, position.high_ticks))
    _after_fill(turn, fill, portfolio, late=late)
    return True


def _after_fill(turn: Turn, fill: Fill, portfolio: str, *, late: bool) -> None:
    order = turn.state.order(fill.client_order_id)
    position = turn.state.position(portfolio, fill.instrument_id)
    if order is not None and (late or order.overfill_lots):
        turn.alert(AlertLevel.ERROR, "late-fill" if not order.overfill_lots else "overfill", order.client_order_id,
                   f"{fill.last_lots} lots filled beyond what was expected; they are counted")
    reversed_by_exit = (order is not None and order.intent.purpose is not Purpose.ENTRY and position is not None
                        and position.sign == fill.side.sign)
    if reversed_by_exit and position is not None:
        want_exit(turn, position, "an exit filled beyond the position")
    turn.touch(portfolio, fill.instrument_id)
    if position is None and turn.state.flattening(portfolio):
        turn.ask_report(fill.account)
