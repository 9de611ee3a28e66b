"""Scores of probabilities: Brier's with Murphy's parts, the log score, and skill against what one could have known anyway.

Outcomes are 0 or 1. Nothing is scored as 0 that is not there: no forecasts, no score.
"""

from collections.abc import Sequence
from math import fsum, log
from typing import NamedTuple

from engine.research.aggregation import clipped
from engine.units import Nanoseconds

ROUND_PERCENT = 5


class Scored(NamedTuple):
    """A resolved forecast: the probability, what happened, when it was made and when its outcome was known."""

    p: float
    y: int
    at_ns: Nanoseconds
    known_ns: Nanoseconds


class Murphy(NamedTuple):
    """Brier = reliability - resolution + uncertainty, exactly, since groups are the distinct stated values (Murphy 1973)."""

    reliability: float
    resolution: float
    uncertainty: float


def mean(values: Sequence[float]) -> float | None:
    """The mean, None of nothing."""
    return fsum(values) / len(values) if values else None


def brier(ps: Sequence[float], ys: Sequence[int]) -> float | None:
    """The mean squared difference of probability and outcome: 0 is best, 0.25 is "always 50 %"."""
    return mean([(p - y) ** 2 for p, y in zip(ps, ys, strict=True)])


def log_score(ps: Sequence[float], ys: Sequence[int]) -> float | None:
    """The mean of minus the log of the probability of what happened, probabilities held within 0.01 and 0.99."""
    return mean([-log(clipped(p) if y else 1 - clipped(p)) for p, y in zip(ps, ys, strict=True)])


def murphy(ps: Sequence[float], ys: Sequence[int]) -> Murphy | None:
    """The three parts of the Brier score."""
    if not ps:
        return None
    groups: dict[float, list[int]] = {}
    for p, y in zip(ps, ys, strict=True):
        groups.setdefault(p, []).append(y)
    count, rate = len(ps), sum(ys) / len(ys)
    told = [(p, len(groups[p]), sum(groups[p]) / len(groups[p])) for p in sorted(groups)]
    return Murphy(reliability=fsum(n * (p - own) ** 2 for p, n, own in told) / count,
                  resolution=fsum(n * (own - rate) ** 2 for _, n, own in told) / count, uncertainty=rate * (1 - rate))


def skill(score: float | None, reference: float | None) -> float | None:
    """1 - score / reference: above 0 is better than the reference; None where the reference leaves nothing to win."""
    return None if score is None or not reference else 1 - score / reference


def base_rates(rows: Sequence[Scored]) -> list[float]:
    """For each forecast, in the order given, the base rate that could be known when it was made: (y+1)/(n+2) of the outcomes that
    were known by then."""
    by_known = sorted(rows, key=lambda row: row.known_ns)
    found = [0.5] * len(rows)
    seen = came_true = 0
    for place in sorted(range(len(rows)), key=lambda place: rows[place].at_ns):
        while seen < len(by_known) and by_known[seen].known_ns <= rows[place].at_ns:
            came_true += by_known[seen].y
            seen += 1
        found[place] = (came_true + 1) / (seen + 2)
    return found


def round_share(ps: Sequence[float]) -> float | None:
    """The share of probabilities that are whole multiples of five percent: people and models who guess prefer them."""
    return mean([float(abs(100 * p / ROUND_PERCENT - round(100 * p / ROUND_PERCENT)) < 1e-6) for p in ps])
