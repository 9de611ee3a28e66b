"""Brakes at work: days and weeks roll, highs are recorded, losses latch brakes, and brakes are let go, by time or by a person.

A brake only ever steps down by itself. The day's and the week's end with their time, unless they halted; a pause after a
losing streak ends when it is over; everything else is let go by a person's resume, after which losses count anew. Exits are
never held back by a brake.
"""

from engine import repeats
from engine.apply_risk import BASELINES
from engine.brakes import (
    DAY_LOSS,
    LOSING_STREAK,
    STRICTNESS,
    WEEK_LOSS,
    Loss,
    baselines_over,
    is_valued,
    level_for,
    losses,
    raised_high_water,
    week_of,
)
from engine.decide import flatten, marks
from engine.decide.withdrawals import withdraw_entries
from engine.events import BrakeReleased, BrakeSet, DayRolled, HighWaterRaised
from engine.flow_events import FlowValued
from engine.flows import worth_before
from engine.inputs import Flatten
from engine.orders import Purpose
from engine.service import AlertLevel, BrakeLevel
from engine.state import PortfolioState
from engine.turn import Turn
from engine.units import NS_PER_SECOND, Minor, seconds_to_ns
from engine.valuation import equity_minor

START_PATIENCE_NS = 120 * NS_PER_SECOND


def roll_day(turn: Turn) -> None:
    """A new day's baselines, once every account has told its cash and every position has a price; latched, so that a restart
    does not reset them. What an account or a price keeps waiting for too long is left out, and follows once it is there."""
    _value_flows(turn)
    day = turn.market.day_number(turn.at_ns)
    funded = [name for name in turn.state.portfolios if turn.state.account_of(name).funded]
    if day == turn.state.day:
        late = [name for name in _valued(turn, funded) if _lacks_a_baseline(turn.state.portfolios[name])]
        if late:
            turn.emit(DayRolled(day, _worth(turn, late), week_of(day)))
        return
    valued = _valued(turn, funded)
    ready = len(valued) == len(turn.state.portfolios)
    if not funded or (not ready and turn.at_ns - turn.state.session_at_ns < START_PATIENCE_NS):
        return
    week = week_of(day)
    over = {DAY_LOSS: "a new day", WEEK_LOSS: "a new week" if week != turn.state.week else ""}
    turn.emit(DayRolled(day, _worth(turn, valued), week))
    for name, portfolio in turn.state.portfolios.items():
        for brake, cause in over.items():
            known = portfolio.brakes.get(brake)
            if cause and known and known.level in (BrakeLevel.SMALLER, BrakeLevel.REDUCING):
                _release(turn, name, brake, "engine", cause)


def _value_flows(turn: Turn) -> None:
    """What came or went before there was a price moves the baselines with the first one, before a loss is measured from them."""
    for name, portfolio in list(turn.state.portfolios.items()):
        flow_minor = portfolio.waiting_flow_minor
        if flow_minor and is_valued(turn.state, turn.market, name):
            turn.emit(FlowValued(name, worth_before(turn.state, turn.market, name, flow_minor, counted_minor=flow_minor)))
            marks.mark_equity(turn, at_once=True)


def _valued(turn: Turn, names: list[str]) -> list[str]:
    """Those whose worth is no guess."""
    return [name for name in names if is_valued(turn.state, turn.market, name)]


def _lacks_a_baseline(portfolio: PortfolioState) -> bool:
    return any(getattr(portfolio, name) is None for name in BASELINES.values())


def _worth(turn: Turn, names: list[str]) -> dict[str, Minor]:
    return {name: equity_minor(turn.state, turn.market, name) for name in names}


def look_at_losses(turn: Turn) -> None:
    """Record new highs, end pauses that are over, latch what the losses call for."""
    _value_flows(turn)
    over = baselines_over(turn.state, turn.market, turn.at_ns)
    for name in list(turn.state.portfolios):
        _end_pause(turn, name)
        _begin_pause(turn, name)
        _stop_what_repeats(turn, name)
        if not turn.state.account_of(name).funded or not is_valued(turn.state, turn.market, name):
            continue
        higher = raised_high_water(turn.state, turn.market, name)
        if higher is not None:
            turn.emit(HighWaterRaised(name, higher))
        portfolio = turn.state.portfolios[name]
        for loss in losses(portfolio, equity_minor(turn.state, turn.market, name)):
            if loss.brake not in over:
                _brake_for(turn, name, loss)


def _brake_for(turn: Turn, name: str, loss: Loss) -> None:
    portfolio = turn.state.portfolios[name]
    level = level_for(loss, portfolio.settings.limits)
    known = portfolio.brakes.get(loss.brake)
    if STRICTNESS[level] <= STRICTNESS[known.level if known else BrakeLevel.NONE]:
        return
    turn.emit(BrakeSet(name, loss.brake, level, loss.cause, loss.baseline_minor, loss.equity_minor))
    _act_on(turn, name, loss.brake, level, loss.cause)


def _act_on(turn: Turn, name: str, brake: str, level: BrakeLevel, cause: str) -> None:
    """Tell it, withdraw what must not fill any more, and flatten where the portfolio is set so."""
    words = {BrakeLevel.SMALLER: "orders must be smaller", BrakeLevel.REDUCING: "only reductions are allowed",
             BrakeLevel.HALTED: "halted until a person resumes"}
    urgency = AlertLevel.CRIT if level is BrakeLevel.HALTED else AlertLevel.ERROR if level is BrakeLevel.REDUCING \
        else AlertLevel.WARN
    turn.alert(urgency, "brake", f"{name} {brake}", f"{cause}: {words[level]}")
    if level is BrakeLevel.SMALLER:
        return
    withdraw_entries(turn, name, f"brake: {cause}")
    if level is BrakeLevel.HALTED and turn.state.portfolios[name].settings.limits.brake_flatten:
        flatten.start(turn, Flatten(f"brake-{turn.next_id()}", name, by="engine"))


def _begin_pause(turn: Turn, name: str) -> None:
    portfolio = turn.state.portfolios[name]
    limits, streak = portfolio.settings.limits, portfolio.losing_streak
    known = portfolio.brakes.get(LOSING_STREAK)
    if not limits.max_losing_streak or streak < limits.max_losing_streak or (known and known.level is not BrakeLevel.NONE):
        return
    equity = equity_minor(turn.state, turn.market, name)
    cause = f"{streak} losing round trips in a row, limit {limits.max_losing_streak}: a pause of {limits.cooldown_seconds:g} s"
    until_ns = turn.at_ns + seconds_to_ns(limits.cooldown_seconds)
    turn.emit(BrakeSet(name, LOSING_STREAK, BrakeLevel.REDUCING, cause, equity, equity, until_ns))
    _act_on(turn, name, LOSING_STREAK, BrakeLevel.REDUCING, cause)


def _stop_what_repeats(turn: Turn, name: str) -> None:
    """Stop each strategy that has entered one way too often, withdraw its entries, and leave the others alone."""
    limits = turn.state.portfolios[name].settings.limits
    most = limits.max_repeated_executions
    if not most:
        return
    for (strategy, instrument_id, sign), same in repeats.repeats(turn.state, turn.at_ns, name).items():
        if len(same) < most or repeats.is_stopped(turn.state.portfolios[name], strategy):
            continue
        symbol, side = turn.state.instruments[instrument_id].symbol, "BUY" if sign > 0 else "SELL"
        cause = f"{side} {symbol} executed {len(same)} times within {limits.repeat_seconds:g} s"
        equity = equity_minor(turn.state, turn.market, name)
        turn.emit(BrakeSet(name, repeats.BRAKE + strategy, BrakeLevel.STOPPED, f"{cause}, limit {most}", equity, equity))
        turn.alert(AlertLevel.ERROR, "repeats", f"{name} {strategy}", f"{cause}, limit {most}: stopped until a person resumes")
        for order in list(turn.state.orders.values()):
            if order.intent.strategy == strategy and order.intent.portfolio == name and order.intent.purpose is Purpose.ENTRY:
                turn.cancel(order, f"{strategy} is stopped")


def _end_pause(turn: Turn, name: str) -> None:
    brake = turn.state.portfolios[name].brakes.get(LOSING_STREAK)
    if brake and brake.level is not BrakeLevel.NONE and turn.at_ns >= brake.until_ns:
        _release(turn, name, LOSING_STREAK, "engine", "the pause is over")


def release(turn: Turn, portfolio: str, by: str, cause: str) -> None:
    """A person resumes: every brake of the portfolio (of all where it is empty) is off, and losses count from here on, or from
    the first moment at which its worth is known."""
    _value_flows(turn)
    for name, known in list(turn.state.portfolios.items()):
        if portfolio in ("", name):
            for brake, state in known.brakes.items():
                if state.level is not BrakeLevel.NONE:
                    _release(turn, name, brake, by, cause, anew=brake in BASELINES)


def _release(turn: Turn, name: str, brake: str, by: str, cause: str, *, anew: bool = False) -> None:
    known = turn.state.account_of(name).funded and is_valued(turn.state, turn.market, name)
    baseline = equity_minor(turn.state, turn.market, name) if anew and known else None
    turn.emit(BrakeReleased(name, brake, by, cause, baseline, unvalued=anew and not known))
    turn.alert(AlertLevel.INFO, "brake-released", f"{name} {brake}", f"released by {by}: {cause}")
