"""A person's commands on what exists: cancel, close, protect, halt, resume, acknowledge, accept, look again."""

from engine.decide import parents
from engine.events import AlertAcknowledged, CommandDone, DriftCleared, OrderSettled, PlanSet
from engine.inputs import (
    AcceptDrift,
    AcknowledgeAlert,
    AutomationLevel,
    CancelOrder,
    ClosePosition,
    PlaceOrder,
    Reconcile,
    SetProtection,
    SettleOrder,
)
from engine.kernel.exits import trailed
from engine.market import MarketView
from engine.orders import Order, OrderStatus, Purpose, Side
from engine.positions import ExitPlan, Position, exit_state
from engine.protection import want_exit
from engine.service import Refusal
from engine.state import State
from engine.turn import Turn
from engine.want import changed_plan, exact_lots, plan_of, resolve

SIGNALS = "webhook:"


def cancel_order(turn: Turn, command: CancelOrder) -> None:
    """Cancel an entry, an order over time or a foreign order; protection is changed through its plan, never pulled away."""
    parent = turn.state.parents.get(command.client_order_id)
    if parent is not None and parent.works:
        parents.cancel(turn, parent, command)
        return
    order = turn.state.order(command.client_order_id)
    refusal = _uncancelable(order, command.client_order_id)
    if refusal is not None or order is None:
        turn.refuse(command.command_id, f"cancel {command.client_order_id}", refusal or _unknown(command.client_order_id))
        return
    turn.cancel(order, f"cancelled by {command.by}", command.command_id)
    turn.accept(command.command_id, f"cancel of {command.client_order_id} asked", order_ids=(command.client_order_id,))


def _unknown(client_order_id: str) -> Refusal:
    return Refusal("order", "an open order", client_order_id, f"there is no open order {client_order_id}")


def _uncancelable(order: Order | None, client_order_id: str) -> Refusal | None:
    if order is None or order.closed:
        return _unknown(client_order_id)
    if order.intent.purpose is not Purpose.ENTRY:
        return Refusal("protection", "entries", order.intent.purpose,
                       f"{client_order_id} protects or closes a position; change the plan with protect instead")
    return None


def settle_order(turn: Turn, command: SettleOrder) -> None:
    """A person says what became of a disputed order. What is held stays what the venue says, which is asked once more; an
    order that is said to be gone is cancelled all the same, in case it is not."""
    order, what = turn.state.order(command.client_order_id), f"settle {command.client_order_id}"
    reason = command.reason.strip()
    if order is None or order.status is not OrderStatus.DISPUTED:
        turn.refuse(command.command_id, what, Refusal(
            "order", "DISPUTED", "unknown" if order is None else order.status,
            f"only a disputed order waits for a person's word, and {command.client_order_id} is none"))
        return
    if not reason:
        turn.refuse(command.command_id, what, Refusal("reason", "why", "none", "say how you know: give --why"))
        return
    if not command.filled:
        turn.cancel(order, f"settled by {command.by}")
    turn.emit(OrderSettled(command.client_order_id, command.filled, reason, command.by, command.command_id))
    turn.touch(order.intent.portfolio, order.intent.instrument_id)
    turn.ask_report(order.intent.account)
    turn.accept(command.command_id, f"{command.client_order_id} is settled as {'filled' if command.filled else 'canceled'}; "
                "what is held follows the venue")


def _held(turn: Turn, symbol: str, portfolio: str) -> Position | Refusal:
    instrument = resolve(turn.state, symbol, portfolio)
    if isinstance(instrument, Refusal):
        return instrument
    position = turn.state.position(portfolio, instrument.instrument_id)
    return position or Refusal("position", "an open position", "flat", f"{instrument.symbol} is not held in {portfolio}")


def close_position(turn: Turn, command: ClosePosition) -> None:
    """Leave a position, or a part of it, at market."""
    what = f"close {command.symbol}"
    portfolio = turn.state.portfolios.get(command.portfolio)
    if command.by.startswith(SIGNALS) and portfolio is not None \
            and portfolio.settings.automation is AutomationLevel.MONITOR_ONLY:
        turn.refuse(command.command_id, what, Refusal(
            "automation", "suggest_only or higher", AutomationLevel.MONITOR_ONLY,
            f"{command.by} would close {command.symbol}, but {command.portfolio} only monitors: close it by hand"))
        return
    position = _held(turn, command.symbol, command.portfolio)
    if isinstance(position, Refusal):
        turn.refuse(command.command_id, what, position)
        return
    instrument = turn.state.instruments[position.instrument_id]
    lots = exact_lots(instrument, command.quantity) if command.quantity is not None else 0
    if isinstance(lots, Refusal):
        turn.refuse(command.command_id, what, lots)
        return
    if lots > abs(position.lots):
        turn.refuse(command.command_id, what, Refusal(
            "reduces", str(instrument.quantity(abs(position.lots))), str(command.quantity),
            f"only {instrument.quantity(abs(position.lots))} {instrument.symbol} is held"))
        return
    if position.exit_reason and (not position.exit_lots or lots):
        turn.emit(CommandDone(command.command_id, f"{instrument.symbol} is already on its way out"))
        turn.accept(command.command_id, f"{instrument.symbol} is already on its way out: {position.exit_reason}")
        return
    whole = lots in (0, abs(position.lots))
    want_exit(turn, position, f"closed by {command.by}", lots=0 if whole else lots, command_id=command.command_id)
    turn.accept(command.command_id, f"closing {instrument.symbol}")


def set_protection(turn: Turn, command: SetProtection) -> None:
    """Replace parts of a position's exit plan, with the same side checks as at the entry."""
    what = f"protect {command.symbol}"
    position = _held(turn, command.symbol, command.portfolio)
    plan = position if isinstance(position, Refusal) else new_plan(turn.state, turn.market, position, command)
    if isinstance(position, Refusal) or isinstance(plan, Refusal):
        refusal = position if isinstance(position, Refusal) else plan
        assert isinstance(refusal, Refusal)
        turn.refuse(command.command_id, what, refusal)
        return
    instrument = turn.state.instruments[position.instrument_id]
    stop_ticks = plan.stop_ticks if command.stop is not None or "stop" in command.clear else position.stop_ticks
    mark = turn.market.marks.get(position.instrument_id)
    price = mark.value_ticks(position.sign) if mark else position.best_ticks
    looks_ahead = command.trail is not None or command.breakeven_at is not None
    best = price if looks_ahead else position.best_ticks
    rules = exit_state(position, instrument)._replace(
        stop_ticks=stop_ticks, best_ticks=best, trail_ticks=plan.trail_ticks, trail_bps=plan.trail_bps,
        breakeven_at_ticks=plan.breakeven_at_ticks, breakeven_to_ticks=plan.breakeven_to_ticks)
    stop_ticks, best = trailed(rules, price)
    turn.emit(PlanSet(position.key, plan, stop_ticks, best, command.by, command.command_id))
    turn.touch(position.portfolio, position.instrument_id)
    turn.accept(command.command_id, f"{instrument.symbol}: stop {instrument.price(stop_ticks) if stop_ticks else 'none'}")


def new_plan(state: State, market: MarketView, position: Position, command: SetProtection) -> ExitPlan | Refusal:
    """The position's plan as changed by the command; refused where a level lies on the wrong side of the market."""
    instrument = state.instruments[position.instrument_id]
    unknown = [part for part in command.clear if part not in ("stop", "target", "trail", "breakeven", "max_hold")]
    if unknown:
        return Refusal("clear", "stop, target, trail, breakeven, max_hold", unknown[0], f"{unknown[0]!r} is no part of a plan")
    as_want = PlaceOrder("", command.symbol, Side.BUY if position.lots > 0 else Side.SELL, command.portfolio,
                         stop=command.stop, target=command.target, trail=command.trail, breakeven_at=command.breakeven_at,
                         max_hold_seconds=command.max_hold_seconds)
    parts = plan_of(instrument, market, as_want)
    if isinstance(parts, Refusal):
        return parts
    if parts.breakeven_at_ticks:
        parts = parts._replace(breakeven_to_ticks=exit_state(position, instrument).entry_ticks)
    given = {"stop": command.stop is not None, "target": command.target is not None, "trail": command.trail is not None,
             "breakeven": command.breakeven_at is not None, "max_hold": command.max_hold_seconds is not None}
    plan = changed_plan(position, parts, command.clear, given.__getitem__)
    mark = market.marks.get(position.instrument_id)
    price, sign = (mark.value_ticks(position.sign) if mark else 0), position.sign
    if given["stop"] and price and (price - plan.stop_ticks) * sign <= 0:
        return Refusal("stop side", f"{'below' if sign > 0 else 'above'} {instrument.price(price)}",
                       str(instrument.price(plan.stop_ticks)),
                       f"the market is at {instrument.price(price)}: that stop would fire at once; close it instead")
    if given["target"] and price and (plan.target_ticks - price) * sign <= 0:
        return Refusal("target side", f"{'above' if sign > 0 else 'below'} {instrument.price(price)}",
                       str(instrument.price(plan.target_ticks)), "that target is already reached; close it instead")
    if given["breakeven"] and (plan.breakeven_at_ticks - plan.breakeven_to_ticks) * sign <= 0:
        return Refusal("breakeven side",
                       f"{'above' if sign > 0 else 'below'} {instrument.price(plan.breakeven_to_ticks)}",
                       str(instrument.price(plan.breakeven_at_ticks)),
                       "breakeven is reached beyond the entry; short of it the stop would fire at once")
    required = state.portfolios[position.portfolio].settings.limits.require_stop
    if required and not plan.protects:
        return Refusal("stop required", "a stop or a trail", "none",
                       f"{instrument.symbol} would be left without a stop (or set require_stop = false)")
    return plan


def acknowledge_alert(turn: Turn, command: AcknowledgeAlert) -> None:
    if command.alert_id not in turn.state.alerts:
        turn.refuse(command.command_id, "acknowledge", Refusal("alert", "a known alert", command.alert_id,
                                                               f"there is no alert {command.alert_id}"))
        return
    turn.emit(AlertAcknowledged(command.alert_id, command.by, command.command_id))
    turn.accept(command.command_id, "acknowledged")


def accept_drift(turn: Turn, command: AcceptDrift) -> None:
    """A person takes the venue's word; entries on the instrument are allowed again."""
    account = turn.state.accounts.get(command.account)
    drift = account.drifts.get(command.instrument_id) if account else None
    if drift is None or not drift.settled:
        turn.refuse(command.command_id, "accept drift", Refusal(
            "drift", "a settled difference", "none" if drift is None else "still being looked at",
            f"{command.instrument_id} has no difference to accept"))
        return
    turn.emit(DriftCleared(command.account, command.instrument_id, command.by, command.command_id))
    turn.accept(command.command_id, f"{command.instrument_id}: the venue's word is accepted")


def reconcile_now(turn: Turn, command: Reconcile) -> None:
    for account in turn.state.accounts:
        turn.ask_report(account)
    turn.emit(CommandDone(command.command_id, "reconciliation asked"))
    turn.accept(command.command_id, "asking the venue")


