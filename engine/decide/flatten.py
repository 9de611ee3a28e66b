"""The second stage of panic: halt, cancel everything at the venue, close everything, and believe only the venue's own word
that nothing is left. While it runs it alone places orders in its portfolios."""

from engine.decide.sessions import touch_account
from engine.effects import SendCancelAll
from engine.events import FlattenFinished, FlattenProgressed, FlattenStarted, TradingStateChanged
from engine.inputs import CancelAllAnswered, Flatten, TradingState, Unanswered, VenuePosition, VenueReport
from engine.orders import Order, OrderIntent, OrderKind, OrderStatus, Purpose, Side
from engine.protection import IN_FLIGHT, REDUCING_ONCE
from engine.risk import approve_flatten
from engine.service import AlertLevel, FlattenLine, Refusal
from engine.state import FlattenState
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Lots, Nanoseconds, seconds_to_ns


def start(turn: Turn, command: Flatten) -> None:
    """Latch HALTED, then cancel everything; the rest follows from the venue's reports. A wider or another panic than the one
    at work takes that one in, with a deadline of its own."""
    state = turn.state
    if command.portfolio and command.portfolio not in state.portfolios:
        turn.refuse(command.command_id, "flatten", Refusal(
            "portfolio", ", ".join(state.portfolios), command.portfolio, f"there is no portfolio called {command.portfolio!r}"))
        return
    at_work = state.flatten if state.flatten is not None and not state.flatten.finished else None
    if at_work is not None and (not at_work.portfolio or command.portfolio in at_work.portfolio.split(",")):
        turn.accept(command.command_id, "a flatten is already at work")
        return
    # One that is at work on another portfolio goes on inside this one.
    names = f"{at_work.portfolio},{command.portfolio}" if at_work is not None and command.portfolio else command.portfolio
    accounts = tuple(account.account for account in state.accounts.values()
                     if not names or account.portfolio in names.split(","))
    turn.emit(TradingStateChanged(command.portfolio, TradingState.HALTED, "panic: flatten", command.by))
    deadline_ns = turn.at_ns + seconds_to_ns(state.settings.flatten_deadline_seconds)
    turn.emit(FlattenStarted(names, accounts, deadline_ns, command.by, command.command_id))
    turn.alert(AlertLevel.CRIT, "flatten", command.portfolio or "everything", f"panic by {command.by}: closing everything")
    for account in accounts:
        turn.effects.append(SendCancelAll(account))
    turn.accept(command.command_id, "halted; cancelling and closing everything")


def cancel_all_answered(turn: Turn, answered: CancelAllAnswered) -> None:
    """Asked or not: only a report of the venue says what is left."""
    if isinstance(answered.answer, Unanswered):
        turn.alert(AlertLevel.ERROR, "cancel-all", answered.account, f"no answer to cancel-all: {answered.answer.cause}")
    if answered.account in turn.state.accounts:
        turn.ask_report(answered.account)


def step(turn: Turn, report: VenueReport) -> None:
    """One look at the venue: close what is held, finish when nothing is left; what is still open the next beat cancels."""
    flatten = turn.state.flatten
    if flatten is None or flatten.finished or report.account not in flatten.accounts:
        return
    ours = [order for order in turn.state.orders.values() if order.intent.account == report.account and not order.external]
    closing = [order for order in ours if order.intent.purpose in REDUCING_ONCE]
    closing_ids = frozenset(order.client_order_id for order in closing)
    unknown = [order for order in ours if order.status in IN_FLIGHT]
    held = {position.instrument_id: position for position in report.positions if position.lots}
    # A report may be older than what the stream said meanwhile: an order or a position that we know of outranks its silence.
    # What is disputed was missed by every query of a whole settle time, and is not waited for.
    ours_live = [order for order in ours if order.status is not OrderStatus.DISPUTED]
    ours_held = [position for position in turn.state.positions.values() if position.account == report.account]
    flat = not held and not report.open_orders and not ours_live and not ours_held
    lines = _lines(turn, flatten, report.account, held, {order.intent.instrument_id: order for order in unknown})
    progress = FlattenProgressed(report.account, len(report.open_orders), lines, flat)
    if (flatten.lines.get(report.account), flatten.open_orders.get(report.account),
            flatten.flat_accounts.get(report.account)) != (lines, len(report.open_orders), flat):
        turn.emit(progress)
    if flat:
        _finish_if_all_flat(turn)
        return
    settled = turn.at_ns - flatten.started_at_ns >= seconds_to_ns(turn.state.settings.settle_seconds)
    if not [order for order in unknown if order.client_order_id not in closing_ids] or settled:
        for position in held.values():
            _close(turn, report.account, position, closing)


def _lines(turn: Turn, flatten: FlattenState, account: str, held: dict[str, VenuePosition],
           unknown: dict[str, Order]) -> tuple[FlattenLine, ...]:
    """One line an instrument: what was held first, what is left, and how long it took to be flat."""
    known = {line.instrument_id: line for line in flatten.lines.get(account, ())}
    lines: list[FlattenLine] = []
    for instrument_id in sorted({*known, *held}):
        left = held[instrument_id].lots if instrument_id in held else 0
        before = known.get(instrument_id) or FlattenLine(account, instrument_id, left, left, None, "")
        seconds = before.seconds_to_flat
        if left == 0 and seconds is None:
            seconds = round((turn.at_ns - flatten.started_at_ns) / NS_PER_SECOND, 3)
        elif left:
            seconds = None
        detail = "waits for an unknown order" if instrument_id in unknown and left else "closing" if left else "flat"
        lines.append(FlattenLine(account, instrument_id, before.lots_at_start, left, seconds, detail))
    return tuple(lines)


def _close(turn: Turn, account: str, position: VenuePosition, closing: list[Order]) -> None:
    """One closing order for what the venue holds, less what is already on its way out."""
    side = Side.SELL if position.lots > 0 else Side.BUY
    missing: Lots = abs(position.lots) - sum(order.leaves_lots for order in closing
                                             if order.intent.instrument_id == position.instrument_id
                                             and order.intent.side is side)
    if missing <= 0 or position.instrument_id not in turn.state.instruments:
        return
    mark = turn.market.marks.get(position.instrument_id)
    intent = OrderIntent(
        client_order_id=turn.next_id(), portfolio=turn.state.accounts[account].portfolio, account=account,
        instrument_id=position.instrument_id, side=side, order_lots=missing, kind=OrderKind.MARKET,
        purpose=Purpose.FLATTEN, reduce_only=True, strategy="panic",
        decision_ticks=mark.take_ticks(side.sign) if mark else 0, reason="panic: flatten")
    approved = approve_flatten(intent, position.lots)
    if not isinstance(approved, Refusal):
        turn.submit([approved])


def _finish_if_all_flat(turn: Turn) -> None:
    flatten = turn.state.flatten
    if flatten and all(flatten.flat_accounts.get(account) for account in flatten.accounts):
        _finish(turn, flat=True, detail="the venue holds no orders and no positions")


def _finish(turn: Turn, *, flat: bool, detail: str) -> None:
    turn.emit(FlattenFinished(flat, detail))
    turn.alert(AlertLevel.WARN if flat else AlertLevel.CRIT, "flatten", "finished" if flat else "NOT FLAT", detail)
    for account in turn.state.flatten.accounts if turn.state.flatten else ():
        touch_account(turn, account)


def beat(turn: Turn, asked_at_ns: Nanoseconds) -> None:
    """Ask the venue again; past the deadline say what is left, with its protection put back."""
    flatten = turn.state.flatten
    if flatten is None or flatten.finished:
        return
    if asked_at_ns >= flatten.deadline_ns:
        left = [f"{line.instrument_id} {line.lots_left} lots" for lines in flatten.lines.values() for line in lines
                if line.lots_left]
        open_orders = sum(flatten.open_orders.values())
        unread = [account for account in flatten.accounts if account not in flatten.flat_accounts]
        _finish(turn, flat=False, detail=f"left: {', '.join(left) or 'no known positions'}; {open_orders} open orders"
                + (f"; no report from {', '.join(unread)}" if unread else ""))
        return
    for account in flatten.accounts:
        if flatten.flat_accounts.get(account):
            continue
        closing = sum(1 for order in turn.state.orders.values()
                      if order.intent.account == account and order.intent.purpose in REDUCING_ONCE and order.acked)
        if flatten.open_orders.get(account, 1) > closing:
            turn.effects.append(SendCancelAll(account))
        else:
            turn.ask_report(account)
