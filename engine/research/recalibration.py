"""From what was said to what it has been worth: how the probabilities of a cell are mapped, and how such maps are fitted.

Under 200 resolved forecasts nothing is fitted: a probability is drawn toward the base rate. From 200 on Platt's line in log-odds
may be adopted, from 1,000 on an isotonic map too (`adoption` decides). A map moves only a part of the way, `step`, in log-odds.
"""

from bisect import bisect_right
from collections.abc import Sequence
from hashlib import sha256
from math import fsum
from typing import NamedTuple

import msgspec

from engine.research.aggregation import LEAST_P, MOST_P, clipped, logit, probability_of
from engine.research.decided import Cell
from engine.research.scores import Scored
from engine.units import Nanoseconds

PRIOR_N = 200
PLATT_FROM_N = 200
ISOTONIC_FROM_N = 1_000
NEWTON_STEPS = 50
CONVERGED = 1e-12


class Curve(msgspec.Struct, frozen=True, omit_defaults=True):
    """A monotone map of probabilities. `kind` is platt (`slope` and `offset` in log-odds) or isotonic (`knots`, probabilities
    with linear interpolation between them); the result lies `step` of the way, in log-odds, from what went in to that.
    The last of the outcomes that it was fitted to was known at `through_ns`."""

    kind: str
    slope: float = 1.0
    offset: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    step: float = 1.0
    fitted_n: int = 0
    through_ns: Nanoseconds = 0

    def at(self, p: float) -> float:
        """The probability that `p` is mapped to."""
        odds = logit(p)
        mapped = logit(interpolated(self.knots, p)) if self.kind == "isotonic" else self.slope * odds + self.offset
        return clipped(probability_of((1 - self.step) * odds + self.step * mapped))

    @property
    def version(self) -> str:
        """A name that no other curve has, such as platt-640-1f3a9c02."""
        return f"{self.kind}-{self.fitted_n}-{sha256(msgspec.json.encode(self)).hexdigest()[:8]}"

    @property
    def text(self) -> str:
        """The map in words."""
        shape = f"{len(self.knots)} knots" if self.kind == "isotonic" else f"slope {self.slope:.3f}, offset {self.offset:+.3f}"
        return f"{self.kind}, {shape}, {self.step:.0%} of the way, from {self.fitted_n} forecasts"


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of one kind of forecast of a cell. `base_rate` is how often it came true; `curve` is the map in use, `parent`
    that of the cell before this one (an earlier model or prompt); `looked_n` forecasts were there when a map was last sought."""

    n: int = 0
    base_rate: float = 0.5
    curve: Curve | None = None
    parent: Curve | None = None
    looked_n: int = 0


class CellMap(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the engine keeps of a cell: its two series, its skill in percent with the 95 % interval, and its alarm.

    `up` is of the close above the mark, `win` of the target before the stop. `last_at_ns` is its newest resolved forecast.
    """

    cell: Cell
    up: Series = Series()
    win: Series = Series()
    skill_percent: float | None = None
    skill_low_percent: float | None = None
    skill_high_percent: float | None = None
    alarm: str = ""
    last_at_ns: Nanoseconds = 0


class Line(NamedTuple):
    """Platt's line in log-odds."""

    slope: float
    offset: float


def calibrated(p: float, series: Series, base_rate: float | None = None) -> float:
    """A probability after the map in use; where there is none, drawn in log-odds toward the base rate, by n/(n+200).

    `base_rate` replaces the series' own. The drawing goes on past 200 forecasts until a map has been adopted, and starts from the
    parent cell's map where there is one.
    """
    if series.curve is not None:
        return series.curve.at(p)
    said = series.parent.at(p) if series.parent is not None else clipped(p)
    toward = logit(series.base_rate if base_rate is None else base_rate)
    return clipped(probability_of(toward + series.n / (series.n + PRIOR_N) * (logit(said) - toward)))


def version_of(series: Series) -> str:
    """What stands behind `calibrated`: the version of the map in use, or "shrink" (with the parent's version)."""
    if series.curve is not None:
        return series.curve.version
    return f"shrink of {series.parent.version}" if series.parent is not None else "shrink"


def map_for(cell: Cell, maps: Sequence[CellMap]) -> CellMap:
    """The map of a cell; where none has been learned, a fresh one whose prior is its parent cell's."""
    known = next((one for one in maps if one.cell == cell), None)
    return known or fresh_map(cell, maps)


def fresh_map(cell: Cell, maps: Sequence[CellMap]) -> CellMap:
    """A cell without forecasts: counts start at 0, the parent's maps and base rates are the prior."""
    parent = parent_of(cell, maps)
    return CellMap(cell) if parent is None else CellMap(cell, up=_child(parent.up), win=_child(parent.win))


def _child(series: Series) -> Series:
    return Series(base_rate=series.base_rate, parent=series.curve or series.parent)


def parent_of(cell: Cell, maps: Sequence[CellMap]) -> CellMap | None:
    """The cell before this one, for the same horizon and class: the same analyst with another prompt, else another model; the one
    with the newest forecasts. The rules are no parent of a model."""
    near = [one for one in maps if one.cell.horizon == cell.horizon and one.cell.asset_class == cell.asset_class
            and one.cell != cell and one.up.n and _family(one.cell) == _family(cell)]
    same = [one for one in near if one.cell.analyst == cell.analyst]
    return max(same or near, key=lambda one: one.last_at_ns, default=None)


def _family(cell: Cell) -> tuple[str, str]:
    """Models or rules; and what keeps a forecast apart, which makes no prior for the others."""
    return cell.analyst.partition("/")[0], cell.analyst.partition(" (")[2]


def fit_platt(ps: Sequence[float], ys: Sequence[int], penalty: float = 1.0) -> Line:
    """Logistic regression of the outcomes on the log-odds (Platt 1999), by Newton's method.

    `penalty` times half the slope's square is added to the loss: 1 is scikit-learn's `LogisticRegression(C=1)`, 0 none."""
    odds = [logit(p) for p in ps]
    slope, offset = 1.0, 0.0
    for _ in range(NEWTON_STEPS):
        made = [probability_of(slope * x + offset) for x in odds]
        misses = [y - p for y, p in zip(ys, made, strict=True)]
        curves = [p * (1 - p) for p in made]
        by_slope = fsum(miss * x for miss, x in zip(misses, odds, strict=True)) - penalty * slope
        by_offset = fsum(misses)
        h_ss = fsum(c * x * x for c, x in zip(curves, odds, strict=True)) + penalty
        h_so, h_oo = fsum(c * x for c, x in zip(curves, odds, strict=True)), fsum(curves)
        determinant = h_ss * h_oo - h_so * h_so
        if determinant <= CONVERGED:
            break
        d_slope = (h_oo * by_slope - h_so * by_offset) / determinant
        d_offset = (h_ss * by_offset - h_so * by_slope) / determinant
        slope, offset = slope + d_slope, offset + d_offset
        if abs(d_slope) + abs(d_offset) < CONVERGED:
            break
    return Line(slope, offset)


def fit_isotonic(ps: Sequence[float], ys: Sequence[int]) -> tuple[tuple[float, float], ...]:
    """The isotonic regression by pooling adjacent violators, as knots `(p, rate)` between which it is linear.

    Equal probabilities are pooled first, as scikit-learn does. Not clipped: `Curve.at` does that.
    """
    groups: dict[float, list[int]] = {}
    for p, y in zip(ps, ys, strict=True):
        groups.setdefault(p, []).append(y)
    blocks: list[tuple[float, int, list[float]]] = []  # the sum of outcomes, how many, and at which probabilities
    for p in sorted(groups):
        total, count, members = float(sum(groups[p])), len(groups[p]), [p]
        while blocks and blocks[-1][0] * count >= total * blocks[-1][1]:
            before = blocks.pop()
            total, count, members = total + before[0], count + before[1], before[2] + members
        blocks.append((total, count, members))
    knots: list[tuple[float, float]] = []
    for total, count, members in blocks:
        knots.append((members[0], total / count))
        if len(members) > 1:
            knots.append((members[-1], total / count))
    return tuple(knots)


def interpolated(knots: Sequence[tuple[float, float]], p: float) -> float:
    """The value at `p`, linear between knots and level beyond them."""
    place = bisect_right(knots, p, key=lambda knot: knot[0])
    if place == 0:
        return knots[0][1]
    if place == len(knots):
        return knots[-1][1]
    (low_p, low), (high_p, high) = knots[place - 1], knots[place]
    return low + (high - low) * (p - low_p) / (high_p - low_p)


def fitted(kind: str, rows: Sequence[Scored], step: float) -> Curve:
    """A curve of that kind from resolved forecasts; isotonic values are held within 0.01 and 0.99."""
    ps, ys = [row.p for row in rows], [row.y for row in rows]
    through_ns = max(row.known_ns for row in rows)
    if kind == "isotonic":
        knots = tuple((p, min(MOST_P, max(LEAST_P, rate))) for p, rate in fit_isotonic(ps, ys))
        return Curve("isotonic", knots=knots, step=step, fitted_n=len(ps), through_ns=through_ns)
    line = fit_platt(ps, ys)
    if line.slope <= 0:  # what was said tells nothing: a level line at the base rate keeps the map monotone
        line = Line(0.0, logit(sum(ys) / len(ys)))
    return Curve("platt", line.slope, line.offset, step=step, fitted_n=len(ps), through_ns=through_ns)
