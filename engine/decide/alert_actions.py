"""What a fired rule does: each action takes the way that a person's command takes, with the same checks and the same record.

An order is a strategy's order: where the portfolio asks for approvals it becomes a pending trade. Closing, tightening,
reducing and halting only make things safer, so they are done at every automation level; they never undo what is stricter.
"""

from decimal import Decimal

from engine.alert_rules import (
    Action,
    AlertRule,
    CloseAction,
    HaltAction,
    NotifyAction,
    OrderAction,
    ReduceAction,
    ResearchAction,
    TightenAction,
)
from engine.alert_text import action_text
from engine.decide import commands, entries, research, trading_state
from engine.effects import Answer
from engine.inputs import ClosePosition, PlaceOrder, RunResearch, SetProtection, SetTradingState, TradingState, TrailSpec
from engine.instruments import Instrument
from engine.market import Mark
from engine.orders import OrderKind
from engine.positions import Position, entry_ticks
from engine.research.decided import ResearchCause
from engine.service import AlertLevel, Receipt
from engine.state import STRICTNESS
from engine.turn import Turn
from engine.units import Ticks, stop_steps
from engine.want import resolve

BY = "alert"


def perform(turn: Turn, rule: AlertRule, action: Action) -> None:
    """Do one action; what was refused is told, what needed no doing is not."""
    command_id = f"alert-{turn.next_id()}"
    before = len(turn.effects)
    match action:
        case NotifyAction():
            return
        case OrderAction():
            entries.place_order(turn, order_of(rule, action, command_id))
        case CloseAction():
            commands.close_position(turn, ClosePosition(command_id, action.symbol, rule.portfolio, by=_by(rule)))
        case TightenAction():
            _tighten(turn, rule, action, command_id)
        case HaltAction():
            _restrict(turn, rule, "" if action.everything else rule.portfolio, TradingState.HALTED, command_id)
        case ReduceAction():
            _restrict(turn, rule, rule.portfolio, TradingState.REDUCING, command_id)
        case ResearchAction():
            symbols = (action.symbol,) if action.symbol else ()
            research.run(turn, RunResearch(command_id, rule.portfolio, symbols, ResearchCause.ALERT, note=f"alert {rule.rule_id}",
                                           by=_by(rule)))
    for receipt in _taken_answers(turn, before):
        if receipt.refusal is not None:
            turn.alert(AlertLevel.ERROR, "alert-action", rule.rule_id, f"{action_text(action)}: {receipt.refusal.message}")


def _by(rule: AlertRule) -> str:
    return f"{BY} {rule.rule_id}"


def _taken_answers(turn: Turn, before: int) -> list[Receipt]:
    """The receipts of what a rule did: nobody waits for them."""
    receipts = [effect.receipt for effect in turn.effects[before:] if isinstance(effect, Answer)]
    turn.effects[before:] = [effect for effect in turn.effects[before:] if not isinstance(effect, Answer)]
    return receipts


def order_of(rule: AlertRule, action: OrderAction, command_id: str) -> PlaceOrder:
    """The order that an action asks for, of the rule's own origin."""
    return PlaceOrder(
        command_id, action.symbol, action.side, portfolio=rule.portfolio, quantity=action.quantity,
        risk_percent=action.risk_percent, kind=OrderKind.LIMIT if action.limit is not None else OrderKind.MARKET,
        limit=action.limit, stop=action.stop, target=action.target,
        trail=TrailSpec(percent=action.trail_percent) if action.trail_percent is not None else None,
        origin=f"{BY}:{rule.rule_id}", rationale=rule.note or f"alert rule {rule.rule_id} fired", by=BY)


def _tighten(turn: Turn, rule: AlertRule, action: TightenAction, command_id: str) -> None:
    """Move a stop closer; one that is as close already stays, so that a stop never retreats."""
    instrument = resolve(turn.state, action.symbol, rule.portfolio)
    position = turn.state.position(rule.portfolio, instrument.instrument_id) if isinstance(instrument, Instrument) else None
    mark = turn.market.marks.get(position.instrument_id) if position else None
    if not isinstance(instrument, Instrument) or position is None or mark is None:
        turn.alert(AlertLevel.WARN, "alert-action", rule.rule_id, f"{action_text(action)}: there is no position with a price")
        return
    ticks = _aimed_ticks(instrument, position, mark, action)
    if ticks < 1 or (position.stop_ticks and (ticks - position.stop_ticks) * position.sign <= 0):
        turn.alert(AlertLevel.INFO, "alert-action", rule.rule_id, f"{action_text(action)}: the stop is closer already")
        return
    commands.set_protection(turn, SetProtection(command_id, action.symbol, rule.portfolio, stop=instrument.price(ticks),
                                                by=_by(rule)))


def _aimed_ticks(instrument: Instrument, position: Position, mark: Mark, action: TightenAction) -> Ticks:
    if action.entry:
        return entry_ticks(position, instrument)
    price = action.price
    if price is None:
        behind = Decimal(position.sign) * (action.percent or Decimal(0)) / 100
        price = instrument.price(mark.value_ticks(position.sign)) * (1 - behind)
    return stop_steps(price, instrument.tick_size, position.sign)


def _restrict(turn: Turn, rule: AlertRule, portfolio: str, wanted: TradingState, command_id: str) -> None:
    """Move a latch to the stricter side only."""
    now = turn.state.portfolios[portfolio].trading_state if portfolio else turn.state.trading_state
    if STRICTNESS[now] < STRICTNESS[wanted]:
        trading_state.set_trading_state(turn, SetTradingState(
            command_id, wanted, portfolio, f"alert rule {rule.rule_id} fired", _by(rule)))
