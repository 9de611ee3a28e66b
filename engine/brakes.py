"""What a portfolio has lost, and which brake that calls for: pure, from the state and the newest prices.

A loss is measured from the equity at the day's or the week's beginning or from the high-water mark, all of which deposits and
withdrawals move along. From a part of its limit on, orders must be smaller; at the limit only reductions are left; at a
multiple of it trading halts.
"""

from typing import NamedTuple

from engine.apply_risk import BASELINES, DAY_LOSS, DRAWDOWN, LOSING_STREAK, WEEK_LOSS
from engine.market import MarketView
from engine.positions import Position
from engine.service import BrakeLevel
from engine.state import PortfolioState, State
from engine.tolerance import Limits
from engine.units import Minor, Nanoseconds
from engine.valuation import equity_minor, is_priced, portfolio_positions

HIGH_WATER_PARTS = 1_000
EPOCH_MONDAY = 4
STRICTNESS = {BrakeLevel.NONE: 0, BrakeLevel.STOPPED: 0, BrakeLevel.SMALLER: 1, BrakeLevel.REDUCING: 2, BrakeLevel.HALTED: 3}
_LIMITS = {DAY_LOSS: "max_day_loss_fraction", WEEK_LOSS: "max_week_loss_fraction", DRAWDOWN: "max_drawdown_fraction"}


class Loss(NamedTuple):
    """A loss against its limit: parts of the baseline. A gain is a loss of 0."""

    brake: str
    limit_fraction: float
    loss_fraction: float
    baseline_minor: Minor
    equity_minor: Minor

    @property
    def cause(self) -> str:
        """The loss in words."""
        return f"{self.brake} {self.loss_fraction:.2%}, limit {self.limit_fraction:.2%}"


def losses(portfolio: PortfolioState, equity: Minor) -> list[Loss]:
    """Every loss that has a limit and a baseline, which a flow that waits for a price has not moved yet."""
    equity -= portfolio.waiting_flow_minor
    found: list[Loss] = []
    for brake, field in _LIMITS.items():
        limit: float = getattr(portfolio.settings.limits, field)
        baseline: Minor | None = getattr(portfolio, BASELINES[brake])
        if limit and baseline is not None:
            lost = max(0, baseline - equity)
            found.append(Loss(brake, limit, lost / baseline if baseline > 0 else float(lost > 0), baseline, equity))
    return found


def level_for(loss: Loss, limits: Limits) -> BrakeLevel:
    """How hard a loss brakes."""
    used = loss.loss_fraction / loss.limit_fraction
    if used >= limits.brake_halt_multiple:
        return BrakeLevel.HALTED
    if used >= 1:
        return BrakeLevel.REDUCING
    return BrakeLevel.SMALLER if limits.brake_small_fraction and used >= limits.brake_small_fraction else BrakeLevel.NONE


def is_valued(state: State, market: MarketView, portfolio: str) -> bool:
    """Whether every position has a price: without one, equity would be a guess that no brake may follow. What the venue lists
    no more will never have one; it counts at its cost, or no loss would be measured ever again."""
    return all(is_priced(market, position.instrument_id) or not _may_be_priced(state, position)
               for position in portfolio_positions(state, portfolio))


def _may_be_priced(state: State, position: Position) -> bool:
    listed = state.accounts[position.account].listed
    return not listed or position.instrument_id in listed


def baselines_over(state: State, market: MarketView, at_ns: Nanoseconds) -> tuple[str, ...]:
    """Losses whose baseline is that of a day or a week that is over, while the new one still waits for somebody's worth."""
    day = market.day_number(at_ns)
    if day == state.day:
        return ()
    return (DAY_LOSS,) if week_of(day) == state.week else (DAY_LOSS, WEEK_LOSS)


def raised_high_water(state: State, market: MarketView, portfolio: str) -> Minor | None:
    """The equity where it is a new high by a whole step (a thousandth of it), so that the journal does not grow per tick."""
    known = state.portfolios[portfolio].high_water_minor
    equity = equity_minor(state, market, portfolio)
    return equity if known is not None and equity - known >= max(1, known // HIGH_WATER_PARTS) else None


def size_factor(portfolio: PortfolioState) -> float:
    """The part of the usual size that the brakes leave."""
    return portfolio.settings.limits.brake_small_size if portfolio.braked else 1.0


def week_of(day: int) -> int:
    """The number of the week, Monday first, that a day since 1970-01-01 lies in."""
    return (day - EPOCH_MONDAY) // 7


__all__ = ["DAY_LOSS", "DRAWDOWN", "LOSING_STREAK", "WEEK_LOSS", "Loss", "baselines_over", "is_valued", "level_for", "losses",
           "raised_high_water", "size_factor", "week_of"]
