"""Limits, brakes and the baselines of profit and loss folded into the state."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.events import BrakeReleased, BrakeSet, DayRolled, EquityMarked, Event, HighWaterRaised, LimitChanged, Recorded
from engine.flow_events import CashAdjusted, CashNature, FlowValued
from engine.inputs import PortfolioSettings
from engine.positions import RoundTrip, seen
from engine.service import BrakeLevel
from engine.state import Brake, Changes, LimitChange, PortfolioState, State
from engine.tolerance import set_limit

replace = msgspec.structs.replace

DAY_LOSS, WEEK_LOSS, DRAWDOWN, LOSING_STREAK = "day loss", "week loss", "drawdown", "losing streak"
BASELINES = {DAY_LOSS: "day_equity_minor", WEEK_LOSS: "week_equity_minor", DRAWDOWN: "high_water_minor"}


def configured(known: PortfolioState, chosen: PortfolioSettings) -> PortfolioState:
    """The portfolio under what the configuration says now, with the limits that a person changed laid over it again."""
    limits = chosen.limits
    for name, change in known.limit_changes.items():
        limits = set_limit(limits, name, change.value)
    return replace(known, settings=replace(chosen, limits=limits), configured_limits=chosen.limits)


def _day_rolled(state: State, event: DayRolled, _: Recorded) -> Changes:
    """Baselines of every portfolio; told a second time for the same day, what is missing of those whom it names."""
    same_day = event.day == state.day
    new_week = event.week != state.week
    portfolios = {}
    for name, portfolio in state.portfolios.items():
        if same_day and name not in event.equity_minor:
            portfolios[name] = portfolio
            continue
        equity = event.equity_minor.get(name)
        known_day, known_week = portfolio.day_equity_minor, portfolio.week_equity_minor
        begun = portfolio if same_day else replace(portfolio, day_entry_count=0, day_entry_notional_minor=0)
        kept = same_day and known_day is not None
        portfolios[name] = replace(
            begun, day_equity_minor=known_day if kept else equity, day_surplus_minor=begun.day_surplus_minor if kept else 0,
            week_equity_minor=equity if new_week or known_week is None else known_week,
            high_water_minor=_higher(portfolio.high_water_minor, equity))
    return {"day": event.day, "week": event.week, "portfolios": portfolios}


def _higher(known: int | None, equity: int | None) -> int | None:
    """The higher of two equities, of which either may not be known."""
    return equity if known is None else known if equity is None else max(known, equity)


def moved(portfolio: PortfolioState, delta_minor: int, equity_minor: int | None = None) -> PortfolioState:
    """The baselines of profit and loss after money or goods came or went, which is no result of trading: every loss stays the
    part that it was of what was there (`engine.flows` has the formula), rounded up. Where nobody knew what the portfolio was
    worth before (None), they move by the sum."""
    baselines = {name: _scaled(value, delta_minor, equity_minor) for name in BASELINES.values()
                 if (value := getattr(portfolio, name)) is not None}
    begun, after = portfolio.day_equity_minor, baselines.get("day_equity_minor")
    surplus = after - begun - delta_minor if begun is not None and after is not None else 0
    return replace(portfolio, day_surplus_minor=portfolio.day_surplus_minor + surplus, **baselines)


def _scaled(baseline: int, delta_minor: int, equity_minor: int | None) -> int:
    """Without any worth before there is nothing to be a part of; where nothing is left there is nothing to lose."""
    if equity_minor is None or equity_minor <= 0 or baseline <= 0:
        return baseline + delta_minor
    return -(-baseline * max(0, equity_minor + delta_minor) // equity_minor)


def paid(portfolio: PortfolioState, event: CashAdjusted) -> PortfolioState:
    """A portfolio after money came or went without a fill; what is taken for a cost is one, and moves no baseline."""
    if event.nature is CashNature.COST:
        return replace(portfolio, fees_minor=portfolio.fees_minor - event.delta_minor)
    adjusted = replace(portfolio, adjusted_minor=portfolio.adjusted_minor + event.delta_minor)
    if event.nature is CashNature.WAITING:
        return replace(adjusted, waiting_flow_minor=portfolio.waiting_flow_minor + event.delta_minor)
    return moved(adjusted, event.delta_minor, event.equity_minor if event.nature is CashNature.FLOW else None)


def _flow_valued(state: State, event: FlowValued, _: Recorded) -> Changes:
    known = state.portfolios.get(event.portfolio)
    if known is None:
        return {}
    after = moved(replace(known, waiting_flow_minor=0), known.waiting_flow_minor, event.equity_minor)
    return {"portfolios": {**state.portfolios, event.portfolio: after}}


def losing_streak(streak: int, trips: Sequence[RoundTrip]) -> int:
    """Losing round trips in a row, fees included; one that ends at nothing changes nothing."""
    for trip in trips:
        result = trip.realized_minor - trip.fees_minor
        streak = streak + 1 if result < 0 else 0 if result > 0 else streak
    return streak


def _portfolio_changes(state: State, portfolio: str, **fields: Any) -> Changes:
    known = state.portfolios.get(portfolio)
    return {"portfolios": {**state.portfolios, portfolio: replace(known, **fields)}} if known else {}


def _limit_changed(state: State, event: LimitChanged, recorded: Recorded) -> Changes:
    known = state.portfolios.get(event.portfolio)
    if known is None:
        return {}
    changed = {name: change for name, change in known.limit_changes.items() if name != event.limit}
    if event.changed:
        changed[event.limit] = LimitChange(event.after, event.by, recorded.at_ns)
    chosen = replace(known.settings, limits=known.configured_limits)
    return {"portfolios": {**state.portfolios, event.portfolio: configured(replace(known, limit_changes=changed), chosen)}}


def _equity_marked(state: State, event: EquityMarked, recorded: Recorded) -> Changes:
    portfolios = {name: replace(known, marked_equity_minor=event.equity_minor.get(name, known.marked_equity_minor),
                                marked_gross_minor=event.gross_minor.get(name, known.marked_gross_minor))
                  for name, known in state.portfolios.items()}
    changes: Changes = {"marked_at_ns": recorded.at_ns, "marked_trips": state.round_trip_count, "portfolios": portfolios}
    if event.reaches:
        changes["positions"] = {key: seen(position, *event.reaches[key]) if key in event.reaches else position
                                for key, position in state.positions.items()}
    return changes


def _high_water_raised(state: State, event: HighWaterRaised, _: Recorded) -> Changes:
    return _portfolio_changes(state, event.portfolio, high_water_minor=event.equity_minor)


def _brake_set(state: State, event: BrakeSet, recorded: Recorded) -> Changes:
    known = state.portfolios.get(event.portfolio)
    if known is None:
        return {}
    brake = Brake(event.level, event.cause, event.baseline_minor, event.equity_minor, recorded.at_ns, event.until_ns)
    return _portfolio_changes(state, event.portfolio, brakes={**known.brakes, event.brake: brake})


def _brake_released(state: State, event: BrakeReleased, recorded: Recorded) -> Changes:
    """The brake is off; what it was measured from starts anew where the release says so."""
    known = state.portfolios.get(event.portfolio)
    brake = known.brakes.get(event.brake) if known else None
    if known is None or brake is None:
        return {}
    released = replace(brake, level=BrakeLevel.NONE, until_ns=0, released_by=event.by, released_at_ns=recorded.at_ns,
                       release_cause=event.cause)
    fields: dict[str, Any] = {"brakes": {**known.brakes, event.brake: released}}
    if event.brake == LOSING_STREAK:
        fields["losing_streak"] = 0
    elif event.brake in BASELINES and (event.unvalued or event.baseline_minor is not None):
        fields[BASELINES[event.brake]] = event.baseline_minor
        if event.brake == DAY_LOSS:
            fields["day_surplus_minor"] = 0
    return _portfolio_changes(state, event.portfolio, **fields)


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    DayRolled: _day_rolled, LimitChanged: _limit_changed, HighWaterRaised: _high_water_raised, BrakeSet: _brake_set,
    BrakeReleased: _brake_released, EquityMarked: _equity_marked, FlowValued: _flow_valued,
}
