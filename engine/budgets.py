"""What each strategy may use of its portfolio: capital, which grows with the equity or stays fixed, and a part of the heat.

A position counts to the strategy that opened it; a working entry to its own strategy, and to each that holds or wants the same
instrument, since nobody knows yet whose position it will be.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.candidates import Stage, stage_in_force
from engine.market import MarketView
from engine.orders import Order
from engine.state import State
from engine.strategy_state import StrategySettings
from engine.units import Minor
from engine.valuation import (
    entry_orders,
    entry_risk_minor,
    equity_minor,
    market_value_minor,
    portfolio_positions,
    position_risk_minor,
    reference_ticks,
)


class BudgetUse(NamedTuple):
    """What a strategy uses: money at work and heat, working entries included, against its budgets (None: no budget).

    `capital_minor` is what it may have at work and what its sizes are parts of; the heat budget is a part of the equity.
    """

    strategy: str
    work_minor: Minor
    heat_minor: Minor
    capital_minor: Minor | None
    heat_fraction: float | None


def settings_of(state: State, portfolio: str, strategy: str) -> StrategySettings | None:
    return next((one for one in state.settings.strategies if one.name == strategy and one.portfolio == portfolio), None)


def capital_of(state: State, settings: StrategySettings, equity: Minor) -> Minor | None:
    """The capital of a strategy: its part of the equity as it is now, or its fixed sum as far as there is so much; only a part
    of either while it is staged, with real money."""
    staged = staged_fraction(state, settings)
    if settings.capital_fixed is not None:
        exponent = state.portfolios[settings.portfolio].settings.minor_exponent
        return int(max(0, min(equity, int(settings.capital_fixed.scaleb(exponent)))) * staged)
    if settings.capital_fraction or staged < 1:
        return max(0, int(equity * (settings.capital_fraction or 1.0) * staged))
    return None


def staged_fraction(state: State, settings: StrategySettings) -> float:
    """The part of its full capital that a strategy may use in its stage: all of it, except while it is staged with real money."""
    if not state.portfolios[settings.portfolio].settings.live:
        return 1.0
    stage = stage_in_force(state.candidates.get(settings.name), settings)
    return state.settings.lifecycle.staged_capital_fraction if stage is Stage.STAGED_LIVE else 1.0


def sizing_minor(state: State, market: MarketView, portfolio: str, strategy: str) -> Minor:
    """What the sizes of an order of that origin are parts of: a strategy's capital, else the equity."""
    equity = equity_minor(state, market, portfolio)
    settings = settings_of(state, portfolio, strategy)
    capital = capital_of(state, settings, equity) if settings is not None else None
    return equity if capital is None else capital


def uses(state: State, market: MarketView, portfolio: str) -> list[BudgetUse]:
    """What every strategy of a portfolio uses: those that are configured, and whoever else holds or wants something."""
    names = dict.fromkeys(one.name for one in state.settings.strategies if one.portfolio == portfolio)
    orders = entry_orders(state, portfolio)
    names |= dict.fromkeys(position.strategy for position in portfolio_positions(state, portfolio))
    names |= dict.fromkeys(order.intent.strategy for order in orders)
    equity = equity_minor(state, market, portfolio)
    return [_use(state, market, portfolio, name, orders, equity, _touched(state, portfolio, name, orders)) for name in names]


def uses_for(state: State, market: MarketView, portfolio: str, strategy: str, instrument_id: str) -> list[BudgetUse]:
    """The budgets that an entry of a strategy in an instrument counts against: its own, and those of whoever is there."""
    orders = entry_orders(state, portfolio)
    equity = equity_minor(state, market, portfolio)
    found = []
    for settings in state.settings.strategies:
        if settings.portfolio != portfolio:
            continue
        limited = settings.capital_fixed is not None or settings.capital_fraction or settings.heat_budget_fraction
        if not limited and staged_fraction(state, settings) == 1:
            continue
        touched = _touched(state, portfolio, settings.name, orders)
        if settings.name == strategy or instrument_id in touched:
            found.append(_use(state, market, portfolio, settings.name, orders, equity, {**touched, instrument_id: None}))
    return found


def _touched(state: State, portfolio: str, strategy: str, orders: Sequence[Order]) -> dict[str, None]:
    """The instruments that a strategy holds or wants."""
    held = dict.fromkeys(position.instrument_id for position in portfolio_positions(state, portfolio)
                         if position.strategy == strategy)
    return held | dict.fromkeys(order.intent.instrument_id for order in orders if order.intent.strategy == strategy)


def _use(
        state: State, market: MarketView, portfolio: str, strategy: str, orders: Sequence[Order], equity: Minor,
        touched: dict[str, None]) -> BudgetUse:
    held = [position for position in portfolio_positions(state, portfolio) if position.strategy == strategy]
    wanted = [order for order in orders if order.intent.instrument_id in touched]
    work = sum(abs(market_value_minor(state, market, position)) for position in held) + sum(
        state.instruments[order.intent.instrument_id].notional_minor(reference_ticks(market, order), order.leaves_lots)
        for order in wanted)
    heat = sum(position_risk_minor(state, market, position) for position in held) + sum(
        entry_risk_minor(state, market, order) for order in wanted)
    settings = settings_of(state, portfolio, strategy)
    return BudgetUse(strategy, work, heat, capital_of(state, settings, equity) if settings is not None else None,
                     (settings.heat_budget_fraction or None) if settings is not None else None)
