"""What several voices come to together: the mean in log-odds, and whether they agree."""

from collections.abc import Mapping, Sequence
from math import exp, fsum, log, sqrt
from statistics import median
from typing import NamedTuple

from engine.research.opinions import Opinion, Stance

LEAST_P, MOST_P = 0.01, 0.99
CONSENSUS_SHARE = 2 / 3
CONSENSUS_SPREAD = 0.6
WEIGHTS_FROM_N = 200


class Aggregate(NamedTuple):
    """`p_agg` is kept for scoring whatever the stance; without consensus the stance is flat."""

    p_agg: float
    dispersion_logit: float
    stance: Stance
    consensus: bool
    ps: tuple[float, ...]


class Agreed(NamedTuple):
    """What the judges come to: levels and `p_win` are those of the judges who share the stance, the middle one of each."""

    aggregate: Aggregate
    p_win: float | None
    horizon_days: int
    target_bps: int
    stop_bps: int


def clipped(p: float) -> float:
    """A probability that can be scored: from 0.01 to 0.99."""
    return min(MOST_P, max(LEAST_P, p))


def logit(p: float) -> float:
    """Log-odds of a probability, clipped to 0.01 to 0.99 before."""
    held = clipped(p)
    return log(held / (1 - held))


def probability_of(log_odds: float) -> float:
    """The probability with these log-odds."""
    if log_odds >= 0:
        return 1 / (1 + exp(-log_odds))
    grown = exp(log_odds)
    return grown / (1 + grown)


def mean_in_log_odds(ps: Sequence[float], weights: Sequence[float] = ()) -> float:
    """The weighted mean in log-odds; 0.5 where nobody spoke."""
    parts = tuple(weights) if weights else (1.0,) * len(ps)
    total = fsum(parts)
    return probability_of(fsum(part * logit(p) for part, p in zip(parts, ps, strict=True)) / total) if total > 0 else 0.5


def aggregate(ps: Sequence[float], stances: Sequence[Stance], weights: Sequence[float] = ()) -> Aggregate:
    """Consensus is the same stance in at least two thirds of the weight, and a standard deviation of the log-odds of at most 0.6.

    `weights` are those of the voices, all 1 where none are given; the deviation is that of a sample, 0 of a single voice.
    """
    parts = tuple(weights) if weights else (1.0,) * len(ps)
    odds = [logit(p) for p in ps]
    middle = fsum(odds) / len(odds) if odds else 0.0
    spread = sqrt(fsum((one - middle) ** 2 for one in odds) / (len(odds) - 1)) if len(odds) > 1 else 0.0
    votes = {stance: fsum(part for part, own in zip(parts, stances, strict=True) if own is stance) for stance in Stance}
    leader = max(Stance, key=lambda stance: votes[stance])
    total = fsum(parts)
    consensus = total > 0 and votes[leader] >= CONSENSUS_SHARE * total - 1e-12 and spread <= CONSENSUS_SPREAD
    return Aggregate(mean_in_log_odds(ps, parts), spread, leader if consensus else Stance.FLAT, consensus, tuple(ps))


def line_weights(lines: Sequence[str], weight_of_line: Mapping[str, float] | None = None) -> tuple[float, ...]:
    """A weight for each voice so that every line of models counts by its own weight, 1 where it has none, however many samples
    it gave."""
    known = weight_of_line or {}
    return tuple(known.get(line, 1.0) / lines.count(line) for line in lines)


def agreed(opinions: Sequence[Opinion], weights: Sequence[float] = ()) -> Agreed:
    """The judges' opinions as one. At least one opinion has to be there."""
    found = aggregate([one.p_up for one in opinions], [one.stance for one in opinions], weights)
    parts = tuple(weights) if weights else (1.0,) * len(opinions)
    sharing = [(one, part) for one, part in zip(opinions, parts, strict=True) if one.stance is found.stance]
    alike = [one for one, _ in sharing] or list(opinions)
    wins = [(one.p_win, part) for one, part in sharing if one.p_win is not None]
    p_win = mean_in_log_odds([p for p, _ in wins], [part for _, part in wins]) if wins else None
    return Agreed(found, p_win if found.stance in {Stance.LONG, Stance.SHORT} else None,
                  round(median(one.horizon_days for one in alike)), round(median(one.target_bps for one in alike)),
                  round(median(one.stop_bps for one in alike)))
