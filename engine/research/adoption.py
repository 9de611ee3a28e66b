"""Whether a new calibration map is good enough to be used: only what would have been better on forecasts it had not seen.

Forward-chained: the forecasts are cut into spans of time, and each is mapped by a fit to outcomes known before it began. A map
is adopted where the Brier score falls and the upper end of the difference's 95 % block bootstrap (one-sided) is below 0. Each
adoption goes half of the way that is left, in log-odds, from what is in use to the fit: half a correction is sure earlier than a
whole one, and a fit to chance does half the harm. It is sought again only when a quarter more forecasts are there, so that
chance is not asked every night.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from engine.research.aggregation import clipped
from engine.research.block_bootstrap import Dated, quantile, resampled
from engine.research.recalibration import ISOTONIC_FROM_N, PLATT_FROM_N, Curve, fitted
from engine.research.scores import Scored, mean
from engine.trading_hours import NS_PER_DAY

SPANS = 10
FIRST_FIT_N = {"platt": 100, "isotonic": 500}
LEAST_TRAINED = 50
GROWTH = 1.25
SURE = 0.95


class Trial(NamedTuple):
    """A map on forecasts that it had not seen: the Brier score before and after, on the same `n` forecasts, and the upper end of
    what the change could be."""

    kind: str
    n: int
    before: float
    after: float
    change_bound: float

    @property
    def passed(self) -> bool:
        return self.after < self.before and self.change_bound < 0


class Looked(NamedTuple):
    """What a look for a better map found: the curve to use from now on (None: leave it), and the trials."""

    curve: Curve | None
    trials: tuple[Trial, ...]


class Change(NamedTuple):
    """A forecast's Brier score under a trial map less that in use."""

    day: int
    before: float
    after: float


def look_is_due(n: int, looked_n: int) -> bool:
    """Whether there are enough forecasts, and a quarter more of them than at the last look."""
    return n >= PLATT_FROM_N and n >= GROWTH * looked_n


def sought(rows: Sequence[Scored], in_use: Curve | None, parent: Curve | None, block_days: int) -> Looked:
    """A better map than the one in use, if there is one. `rows` are in the order in which they were made, not yet mapped."""
    step = 0.5 if in_use is None else (1 + in_use.step) / 2
    kinds = ("platt",) if len(rows) < ISOTONIC_FROM_N else ("platt", "isotonic")
    trials = []
    for kind in kinds:
        changes = forward_chained(rows, kind, step, in_use or parent, first_unseen(rows, kind, in_use))
        trial = trial_of(kind, changes, block_days)
        if trial is not None:
            trials.append(trial)
    passed = [trial for trial in trials if trial.passed]
    if not passed:
        return Looked(None, tuple(trials))
    best = min(passed, key=lambda trial: trial.after - trial.before)
    return Looked(fitted(best.kind, rows, step), tuple(trials))


def first_unseen(rows: Sequence[Scored], kind: str, in_use: Curve | None) -> int:
    """Where to begin: with enough to fit to, and after all that the map in use was fitted to."""
    if in_use is None:
        return FIRST_FIT_N[kind]
    return max(FIRST_FIT_N[kind], bisect_right(rows, in_use.through_ns, key=lambda row: row.at_ns))


def forward_chained(rows: Sequence[Scored], kind: str, step: float, in_use: Curve | None, first: int) -> list[Change]:
    """Each forecast from the `first` on, mapped by a fit to outcomes that were known when its span began."""
    changes: list[Change] = []
    length = max(1, -(-(len(rows) - first) // SPANS))
    for begin in range(first, len(rows), length):
        span = rows[begin:begin + length]
        known = [row for row in rows[:begin] if row.known_ns <= span[0].at_ns]
        if len(known) < LEAST_TRAINED:
            continue
        curve = fitted(kind, known, step)
        for row in span:
            used = in_use.at(row.p) if in_use is not None else clipped(row.p)
            changes.append(Change(row.at_ns // NS_PER_DAY, (used - row.y) ** 2, (curve.at(row.p) - row.y) ** 2))
    return changes


def trial_of(kind: str, changes: Sequence[Change], block_days: int) -> Trial | None:
    """What the changes come to; None where they are too few to resample."""
    before, after = mean([one.before for one in changes]), mean([one.after for one in changes])
    if before is None or after is None:
        return None
    rising = resampled(Dated([one.day for one in changes], [one.after - one.before for one in changes], [1.0] * len(changes)),
                       block_days)
    return None if rising is None else Trial(kind, len(changes), before, after, quantile(rising, SURE))
