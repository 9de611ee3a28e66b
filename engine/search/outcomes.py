"""What one set of parameters came to over one span of the bars, small enough to keep thousands of, and what is told from it.

Returns are those of days, as in `engine.analytics.measures.by_days`. They are kept as sums of powers in `BLOCKS` stretches of
equal length, so that the figures of any union of stretches, of this span or of several, follow exactly.
"""

from collections.abc import Sequence
from math import prod, sqrt
from typing import NamedTuple

import msgspec

from engine.analytics.measures import LEAST_SPREAD, Figure
from engine.strategy_state import Number
from engine.units import Minor, Nanoseconds

BLOCKS = 12
OBJECTIVES = ("sharpe", "return", "calmar", "profit_factor")


class Span(NamedTuple):
    """A stretch of time in which a set may trade: after `from_ns` up to and with `to_ns`; both 0 for all of it."""

    from_ns: Nanoseconds = 0
    to_ns: Nanoseconds = 0


WHOLE = Span()


class Sums(NamedTuple):
    """How many returns, and the sums of their first four powers."""

    days: int = 0
    first: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0


class Outcome(msgspec.Struct, frozen=True):
    """Money in minor units; `returns` holds the daily returns where they were asked for."""

    span: Span
    params: dict[str, Number]
    round_trips: int
    won: int
    gained_minor: Minor
    lost_minor: Minor
    fees_minor: Minor
    cash_minor: Minor
    final_equity_minor: Minor
    max_drawdown: float
    years: float
    days_per_year: int
    blocks: tuple[Sums, ...]
    returns: tuple[float, ...] = ()

    @property
    def grown(self) -> float:
        """What one unit of money became."""
        return self.final_equity_minor / self.cash_minor


class Moments(NamedTuple):
    """Mean, sample deviation, skewness and kurtosis (3 is normal) of so many returns."""

    days: int
    mean: float
    deviation: float
    skewness: float
    kurtosis: float


def added(sums: Sequence[Sums]) -> Sums:
    """The sums of several stretches as one."""
    return Sums(sum(one.days for one in sums), *(sum(one[power] for one in sums) for power in range(1, 5)))


def moments(sums: Sums) -> Moments:
    """From sums to moments; a spread of nothing has no skew and the kurtosis of a normal."""
    count = sums.days
    if count < 2:
        return Moments(count, sums.first, 0.0, 0.0, 3.0)
    mean = sums.first / count
    spread = max(0.0, sums.second / count - mean * mean)
    deviation = sqrt(spread * count / (count - 1))
    if deviation < LEAST_SPREAD:
        return Moments(count, mean, 0.0, 0.0, 3.0)
    third = sums.third / count - 3 * mean * sums.second / count + 2 * mean ** 3
    fourth = sums.fourth / count - 4 * mean * sums.third / count + 6 * mean * mean * sums.second / count - 3 * mean ** 4
    return Moments(count, mean, deviation, third / spread ** 1.5, fourth / (spread * spread))


def moments_of(outcomes: Sequence[Outcome]) -> Moments:
    """The moments of the daily returns of one span, or of several as one."""
    return moments(added([block for one in outcomes for block in one.blocks]))


def daily_sharpe(found: Moments) -> float | None:
    """Mean over deviation of the daily returns, not by the year; None where they do not vary."""
    return found.mean / found.deviation if found.deviation > 0 else None


def sharpe(outcomes: Sequence[Outcome]) -> Figure:
    """The yearly Sharpe ratio of one span, or of several as one."""
    found = moments_of(outcomes)
    ratio = daily_sharpe(found)
    if found.days < 2:
        return Figure(None, "needs at least two days")
    return Figure(None, "the returns do not vary") if ratio is None else Figure(ratio * sqrt(outcomes[0].days_per_year))


def growth_of(outcomes: Sequence[Outcome]) -> float:
    """What one unit of money became over the spans, one after the other."""
    return prod(one.grown for one in outcomes)


def profit_factor(outcomes: Sequence[Outcome]) -> Figure:
    """All gains over all losses, in money."""
    lost = sum(one.lost_minor for one in outcomes)
    if not lost:
        return Figure(None, "no round trip lost")
    return Figure(sum(one.gained_minor for one in outcomes) / lost)


def yearly(outcomes: Sequence[Outcome]) -> Figure:
    """Yearly growth over the spans; needs a day."""
    span_years = sum(one.years for one in outcomes)
    if span_years * 365.25 < 1:
        return Figure(None, "needs at least one day")
    try:
        return Figure(max(0.0, growth_of(outcomes)) ** (1 / span_years) - 1)
    except OverflowError:
        return Figure(None, "too short a span to say it by the year")


def score(objective: str, outcomes: Sequence[Outcome]) -> float | None:
    """What a search makes as large as it can; None where it is not defined, which ranks last."""
    if objective == "sharpe":
        return sharpe(outcomes).value
    if objective == "return":
        return growth_of(outcomes) - 1
    if objective == "profit_factor":
        return profit_factor(outcomes).value
    worst, growth = max(one.max_drawdown for one in outcomes), yearly(outcomes).value
    return growth / worst if growth is not None and worst >= LEAST_SPREAD else None


def ranked(objective: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Outcomes from the best to the worst; equals keep their order."""
    return sorted(outcomes, key=lambda one: _rank(score(objective, [one])))


def _rank(value: float | None) -> tuple[bool, float]:
    return value is None, -(value or 0.0)
