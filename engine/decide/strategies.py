"""What a strategy's rule wanted after a closed bar: recorded once, then done the way that a person's command is done."""

from engine import strategy_events
from engine.decide import commands, entries, lifecycle
from engine.effects import Answer
from engine.inputs import AutomationLevel, ClosePosition, EnableStrategy, PlaceOrder, StrategyActed
from engine.instruments import Instrument
from engine.service import AlertLevel, Refusal
from engine.strategy_events import StrategySwitched
from engine.strategy_state import StrategySettings, StrategyState
from engine.turn import Turn
from engine.want import resolve

OFF = "strategy-off"


def acted(turn: Turn, taken: StrategyActed) -> None:
    """Take effect once for each bar, across every restart: the bar is in the journal with what the rule wanted."""
    settings = _configured(turn, taken.strategy)
    known = turn.state.strategies.get(taken.strategy) or StrategyState()
    place = known.places.get(taken.instrument_id)
    if settings is None or not known.runs(settings) or (place is not None and taken.close_ns <= place.acted_ns):
        return
    lifecycle.fall_where_due(turn, settings)  # a bound that broke since the last beat comes before what is wanted now
    turn.emit(strategy_events.StrategyActed(taken.strategy, taken.instrument_id, taken.close_ns, taken.memory, taken.want))
    before = len(turn.effects)
    for command in taken.commands:
        if isinstance(command, PlaceOrder):
            _enter(turn, command)
        else:
            _leave(turn, settings, command, taken.want)
    turn.effects[before:] = [effect for effect in turn.effects[before:] if not isinstance(effect, Answer)]


def started(turn: Turn) -> None:
    """Tell of each strategy that cannot run, and of what one holds that trades it no more: its stop and target stand, but no rule
    will leave it."""
    settings = turn.state.settings.strategies
    for one in settings:
        _tell_whether_it_can_run(turn, one)
    for position in turn.state.positions.values():
        ran = position.strategy in turn.state.strategies or position.strategy in turn.state.candidates
        instrument = turn.state.instruments[position.instrument_id]
        if ran and not any(one.name == position.strategy and one.portfolio == position.portfolio
                           and any(instrument.is_called(symbol.strip()) for symbol in one.symbols) for one in settings):
            turn.alert(AlertLevel.WARN, "strategy", f"{position.strategy} {instrument.symbol}",
                       f"holds {instrument.symbol}, and does not trade it in {position.portfolio} any more: its stop stays, "
                       "but no rule will leave it; close it by hand, or name the symbol again")


def _tell_whether_it_can_run(turn: Turn, settings: StrategySettings) -> None:
    """Once for each reason where an engine runs for one command; an engine that serves tells it at every start. That it can run
    again takes the alarm back."""
    known = turn.state.alerts.get(f"{OFF}:{settings.name}")
    if settings.problem:
        text = f"{settings.name} is off: {settings.problem}; {_what_stays(turn, settings)}"
        if turn.state.keeps_schedule or known is None or known.text != text:
            turn.alert(AlertLevel.CRIT, OFF, settings.name, text)
    elif known is not None and known.level is AlertLevel.CRIT:
        turn.alert(AlertLevel.INFO, OFF, settings.name, f"{settings.name} can run again, and goes on where it was")


def _what_stays(turn: Turn, settings: StrategySettings) -> str:
    held = [turn.state.instruments[one.instrument_id].symbol for one in turn.state.positions.values()
            if (one.strategy, one.portfolio) == (settings.name, settings.portfolio)]
    if not held:
        return "it enters nothing"
    return (f"it enters nothing, and no rule will leave what it holds ({', '.join(held)}): stop, target and longest hold stay, "
            "`quarterdeck close` closes it")


def _configured(turn: Turn, name: str) -> StrategySettings | None:
    return next((one for one in turn.state.settings.strategies if one.name == name), None)


def _enter(turn: Turn, want: PlaceOrder) -> None:
    """What somebody else holds is not the strategy's to add to."""
    instrument = resolve(turn.state, want.symbol, want.portfolio)
    held = turn.state.position(want.portfolio, instrument.instrument_id) if isinstance(instrument, Instrument) else None
    if held is not None and held.strategy != want.origin:
        turn.refuse(want.command_id, f"{want.side} {want.symbol}", Refusal(
            "strategy", want.origin, held.strategy, f"{want.symbol} is held by {held.strategy}; {want.origin} leaves it alone"))
        return
    entries.place_order(turn, want)


def _leave(turn: Turn, settings: StrategySettings, command: ClosePosition, why: str) -> None:
    """Leaving only reduces, so it needs nobody's approval; where a person decides on entries they are told of it."""
    automation = turn.state.portfolios[settings.portfolio].settings.automation
    if automation is AutomationLevel.MONITOR_ONLY:
        turn.refuse(command.command_id, f"close {command.symbol}", Refusal(
            "automation", "suggest_only or higher", automation,
            f"{settings.name} would close {command.symbol}, but {settings.portfolio} only monitors: close it by hand"))
        turn.alert(AlertLevel.WARN, "strategy", f"{settings.name} {command.symbol}", f"would leave, close it by hand: {why}")
        return
    commands.close_position(turn, command)
    if automation is AutomationLevel.SUGGEST_ONLY:
        turn.alert(AlertLevel.INFO, "strategy", f"{settings.name} {command.symbol}", f"leaves: {why}")


def enable(turn: Turn, command: EnableStrategy) -> None:
    """Let a strategy run or stop it, until it is switched again; what it holds keeps its protection."""
    settings = _configured(turn, command.strategy)
    if settings is None:
        names = ", ".join(one.name for one in turn.state.settings.strategies) or "none"
        turn.refuse(command.command_id, f"switch {command.strategy}", Refusal(
            "strategy", names, command.strategy, f"there is no strategy called {command.strategy!r}"))
        return
    if command.enabled and settings.problem:
        turn.refuse(command.command_id, f"switch {command.strategy}", Refusal(
            "strategy", "one that can run", "off", f"{command.strategy} is off: {settings.problem}"))
        return
    turn.emit(StrategySwitched(command.strategy, command.enabled, command.reason, command.by, command.command_id))
    if command.reason:
        turn.alert(AlertLevel.ERROR, "strategy", command.strategy, command.reason)
    now = "runs" if command.enabled else "is stopped; what it holds stays protected"
    turn.accept(command.command_id, f"{command.strategy} {now}")
