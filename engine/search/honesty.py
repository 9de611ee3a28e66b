"""What is left of a best result once it is known how many were tried.

Sources: Bailey and Lopez de Prado, The Sharpe Ratio Efficient Frontier (2012) and The Deflated Sharpe Ratio (2014); Bailey,
Borwein, Lopez de Prado and Zhu, The Probability of Backtest Overfitting (2015). Sharpe ratios here are those of single
observations (days), not by the year.
"""

from collections.abc import Sequence
from itertools import combinations
from math import e, sqrt
from statistics import NormalDist, variance
from typing import TYPE_CHECKING, Any

import msgspec

from engine.analytics.measures import LEAST_SPREAD, Figure
from engine.search.outcomes import BLOCKS, Moments, Outcome, daily_sharpe, moments_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

EULER = 0.5772156649015329
NORMAL = NormalDist()
DAYS_A_BLOCK = 2
COMBINATIONS_AT_ONCE = 64


class Honesty(msgspec.Struct, frozen=True):
    """How far a best of `trials` may be trusted; each figure is None with `why` where it cannot be told.

    `luck_sharpe` is the Sharpe ratio, by the year, that the best of so many worthless trials would show; `deflated` the
    probability that the true one is above 0 all the same; `overfitting` the probability that the best of one half of the days is
    below the median in the other half.
    """

    trials: int
    luck_sharpe: float | None
    deflated: float | None
    deflated_why: str
    overfitting: float | None
    overfitting_why: str


def probabilistic_sharpe(found: Moments, threshold: float) -> Figure:
    """The probability that the true Sharpe ratio is above a threshold, given the shape of the returns (2012, eq. 11)."""
    ratio = daily_sharpe(found)
    if found.days < 3:
        return Figure(None, "needs at least three days")
    if ratio is None:
        return Figure(None, "the returns do not vary")
    spread = 1 - found.skewness * ratio + (found.kurtosis - 1) / 4 * ratio * ratio
    if spread <= 0:
        return Figure(None, "the returns are too lopsided for it")
    return Figure(NORMAL.cdf((ratio - threshold) * sqrt(found.days - 1) / sqrt(spread)))


def best_by_luck(trials: int, spread: float) -> float:
    """The Sharpe ratio to expect of the best of so many worthless trials whose ratios have that variance (2014, eq. 6)."""
    if trials < 2:
        return 0.0
    return sqrt(spread) * ((1 - EULER) * NORMAL.inv_cdf(1 - 1 / trials) + EULER * NORMAL.inv_cdf(1 - 1 / (trials * e)))


def deflated_sharpe(best: Moments, ratios: Sequence[float | None], trials: int) -> tuple[float, Figure]:
    """The luck to beat, and the probability that the best of `trials` is better than it; `ratios` are those of all trials."""
    known = [one for one in ratios if one is not None]
    luck = best_by_luck(trials, variance(known)) if len(known) > 1 else 0.0
    return luck, probabilistic_sharpe(best, luck)


def overfitting(outcomes: Sequence[Outcome]) -> Figure:
    """The probability of backtest overfitting by combinatorially symmetric cross-validation over `BLOCKS` blocks of days."""
    import numpy

    if len(outcomes) < 2:
        return Figure(None, "needs at least two sets")
    if min(block.days for one in outcomes for block in one.blocks) < DAYS_A_BLOCK:
        return Figure(None, f"needs at least {BLOCKS * DAYS_A_BLOCK} days")
    count = numpy.array([block.days for block in outcomes[0].blocks], float)
    first = numpy.array([[block.first for block in one.blocks] for one in outcomes]).T
    second = numpy.array([[block.second for block in one.blocks] for one in outcomes]).T
    below, seen = 0, 0
    pending: list[list[float]] = []
    for chosen in combinations(range(BLOCKS), BLOCKS // 2):
        pending.append([1.0 if block in chosen else 0.0 for block in range(BLOCKS)])
        if len(pending) == COMBINATIONS_AT_ONCE:
            below, seen = below + _below_median(numpy.array(pending), count, first, second), seen + len(pending)
            pending = []
    if pending:
        below, seen = below + _below_median(numpy.array(pending), count, first, second), seen + len(pending)
    return Figure(below / seen)


def _below_median(halves: "NDArray[Any]", count: "NDArray[Any]", first: "NDArray[Any]", second: "NDArray[Any]") -> int:
    """In how many of these splits the best of the chosen half ranks in the lower half of the other one."""
    import numpy

    chosen = _ratios(halves, count, first, second).argmax(axis=1)
    other = _ratios(1 - halves, count, first, second)
    mine = other[numpy.arange(len(halves)), chosen][:, None]
    # the mean rank of equals, so that sets that never trade do not count as beaten
    rank = (other < mine).sum(axis=1) + ((other == mine).sum(axis=1) + 1) / 2
    return int((rank / (other.shape[1] + 1) <= 0.5).sum())


def _ratios(halves: "NDArray[Any]", count: "NDArray[Any]", first: "NDArray[Any]", second: "NDArray[Any]") -> "NDArray[Any]":
    """Sharpe ratios of each set (column) in the days of each half (row); 0 where nothing varied."""
    import numpy

    days = (halves @ count)[:, None]
    mean = halves @ first / days
    spread = numpy.maximum(halves @ second / days - mean * mean, 0.0)
    return numpy.where(spread > LEAST_SPREAD ** 2, mean / numpy.sqrt(numpy.maximum(spread, LEAST_SPREAD ** 2)), 0.0)


def honesty(best: Outcome, tried: Sequence[Outcome], ratios: Sequence[float | None]) -> Honesty:
    """What to think of the best of what was tried, where `ratios` are those of all trials ever made on the same bars."""
    luck, deflated = deflated_sharpe(moments_of([best]), ratios, len(ratios))
    fitted = overfitting(tried)
    return Honesty(len(ratios), luck * sqrt(best.days_per_year), deflated.value, deflated.why, fitted.value, fitted.why)
