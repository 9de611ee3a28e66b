"""Measures of performance as plain functions over arrays and round trips.

Returns are simple, `equity after / equity before - 1`, with what was paid in or out taken out (chain-linked, so time-weighted).
A measure that is not defined for what it is given is a `Figure` without a value that says why: never an infinity or a NaN.
"""

from collections.abc import Callable, Sequence
from math import inf, sqrt
from typing import TYPE_CHECKING, NamedTuple

from engine.analytics.records import EquityCurve, FillRecord, TripRecord
from engine.orders import Purpose
from engine.units import NS_PER_SECOND, Minor, Nanoseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Floats = NDArray["np.float64"]
    import numpy as np

SECONDS_PER_YEAR = 365.25 * 86_400
SESSIONS_PER_YEAR, WEEKDAYS_PER_YEAR, DAYS_PER_YEAR = 252, 261, 365
EPOCH_MONDAY = 4  # 1970-01-05 was one
SQN_MOST = 100
LEAST_SPREAD = 1e-12
MOST_YEARLY_GROWTH = 1_000.0


class Figure(NamedTuple):
    """A number, or why there is none."""

    value: float | None
    why: str = ""


class Days(NamedTuple):
    """A curve by days: numbers of the days (1970-01-01 is 0), the last point of the curve that belongs to each, and their
    returns; the first day has one only where it has a second point. `per_year` is how many such days a year has."""

    numbers: tuple[int, ...]
    returns: "Floats"
    last_points: tuple[int, ...]
    per_year: int


class Drawdown(NamedTuple):
    """A fall from a high: where it began, its lowest point, where the high was reached again (None: not yet)."""

    start: int
    lowest: int
    end: int | None
    fraction: float


# ---- curves ------------------------------------------------------------------------------------------------------------------


def growth(curve: EquityCurve) -> "Floats":
    """What one unit of money, there from the first point on, is worth at each point; payments in and out do not count.

    A payment counts as made at the end of the span since the point before. Where nothing was there to grow, nothing grew.
    """
    import numpy as np

    equity = np.asarray(curve.equity_minor, dtype=np.float64)
    flow = np.asarray(curve.flow_minor, dtype=np.float64)
    if not len(equity):
        return equity
    before = equity[:-1]
    steps = np.ones(len(equity))
    steps[1:] = np.where(before > 0, (equity[1:] - flow[1:]) / np.where(before > 0, before, 1.0), 1.0)
    grown: Floats = np.cumprod(np.maximum(steps, 0.0))
    return grown


def by_days(curve: EquityCurve, index: "Floats", day_number: Callable[[Nanoseconds], int], *, every_close: bool = False) -> Days:
    """The curve by days. A point on the very stroke of midnight closes the day before.

    Where something was recorded on a Saturday or Sunday every day of the year counts, else weekdays alone. A day without a record
    changed nothing and has a return of 0; but where the curve has a point at `every_close` of markets that rest on weekends, it
    was a holiday and no day at all, and a year has 252 of the others.
    """
    import numpy as np

    if not len(index):
        return Days((), index, (), WEEKDAYS_PER_YEAR)
    last: dict[int, int] = {}
    for point, at_ns in enumerate(curve.at_ns):
        last[day_number(int(at_ns) - 1)] = point
    recorded = list(last)
    only_begins = len(recorded) > 1 and last[recorded[0]] == 0  # a span may begin on a weekend on which nothing happened
    every_day = any(_is_weekend(number) for number in recorded[only_begins:])
    numbers = [number for number in range(recorded[0], recorded[-1] + 1)
               if every_day or not (_is_weekend(number) or (every_close and number not in last))]
    points: list[int] = []
    known = 0
    for number in numbers:
        known = last.get(number, known)
        points.append(known)
    ends = index[points]
    starts = np.concatenate((index[:1], ends[:-1]))
    returns = np.where(starts > 0, ends / np.where(starts > 0, starts, 1.0) - 1, 0.0)
    per_year = DAYS_PER_YEAR if every_day else SESSIONS_PER_YEAR if every_close else WEEKDAYS_PER_YEAR
    return Days(tuple(numbers), returns if points[0] else returns[1:], tuple(points), per_year)


def _is_weekend(number: int) -> bool:
    return (number - EPOCH_MONDAY) % 7 >= 5


def drawdown_fractions(index: "Floats") -> "Floats":
    """How far below its highest value so far each point lies, as a part of that, >= 0; the first point is a high."""
    import numpy as np

    highs = np.maximum.accumulate(index)
    below: Floats = np.where(highs > 0, 1 - index / np.where(highs > 0, highs, 1.0), 0.0)
    return below


def drawdowns(index: "Floats") -> list[Drawdown]:
    """Every fall from a high, the deepest first."""
    below = drawdown_fractions(index)
    found: list[Drawdown] = []
    start = lowest = -1
    for point, part in enumerate(below.tolist()):
        if part <= 0:
            if start >= 0:
                found.append(Drawdown(start, lowest, point, float(below[lowest])))
            start = -1
        elif start < 0:
            start, lowest = point - 1, point
        elif part > below[lowest]:
            lowest = point
    if start >= 0:
        found.append(Drawdown(start, lowest, None, float(below[lowest])))
    return sorted(found, key=lambda one: (-one.fraction, one.start))


def years(curve: EquityCurve) -> float:
    """Calendar time from the first point to the last."""
    return (int(curve.at_ns[-1]) - int(curve.at_ns[0])) / NS_PER_SECOND / SECONDS_PER_YEAR if len(curve.at_ns) else 0.0


def exposure(curve: EquityCurve, trips: Sequence[TripRecord], fills: Sequence[FillRecord]) -> Figure:
    """The share of time in which something was held: while round trips lasted, and what is still held at the end. The points of
    the curve alone do not tell it, since what is held for minutes may lie between two of them."""
    if len(curve.at_ns) < 2 or curve.at_ns[-1] <= curve.at_ns[0]:
        return Figure(None, "no time has passed")
    first, last = int(curve.at_ns[0]), int(curve.at_ns[-1])
    held, known_until = 0, first
    for opened, closed in sorted([*((trip.opened_at_ns, trip.closed_at_ns) for trip in trips), *_still_held(curve, fills)]):
        held += max(0, min(closed, last) - max(opened, known_until))
        known_until = max(known_until, min(closed, last))
    return Figure(held / (last - first))


def _still_held(curve: EquityCurve, fills: Sequence[FillRecord]) -> list[tuple[Nanoseconds, Nanoseconds]]:
    """The span from the first entry after the account was last flat to the end, where something is held then."""
    import numpy as np

    first, last = int(curve.at_ns[0]), int(curve.at_ns[-1])
    flat = np.flatnonzero(np.asarray(curve.gross_minor, dtype=np.float64) <= 0)
    if not len(flat):
        return [(first, last)]
    newest = int(flat[-1])
    if newest + 1 == len(curve.at_ns):
        return []
    flat_ns, seen_ns = int(curve.at_ns[newest]), int(curve.at_ns[newest + 1])
    entered = (fill.at_ns for fill in fills if flat_ns <= fill.at_ns < seen_ns and fill.purpose == Purpose.ENTRY.value)
    return [(min(entered, default=seen_ns), last)]


def mean_equity(curve: EquityCurve) -> float:
    """The equity averaged over time."""
    import numpy as np

    at_ns = np.asarray(curve.at_ns, dtype=np.int64)
    spans = np.diff(at_ns).astype(np.float64)
    equity = np.asarray(curve.equity_minor, dtype=np.float64)
    if not len(spans) or spans.sum() <= 0:
        return float(equity[-1]) if len(equity) else 0.0
    return float((equity[:-1] * spans).sum() / spans.sum())


def turnover(curve: EquityCurve, fills: Sequence[FillRecord]) -> Figure:
    """Traded notional over the mean equity, for the whole span."""
    worth = mean_equity(curve)
    if worth <= 0:
        return Figure(None, "there was no equity")
    return Figure(sum(fill.notional_minor for fill in fills) / worth)


# ---- returns -----------------------------------------------------------------------------------------------------------------


def cagr(grown: float, span_years: float) -> Figure:
    """`grown ^ (1 / years) - 1`: the steady yearly growth that ends where the curve ends."""
    if span_years * SECONDS_PER_YEAR < 86_400:
        return Figure(None, "needs at least one day")
    if grown <= 0:
        return Figure(-1.0)
    try:
        yearly = float(grown ** (1 / span_years))
    except OverflowError:
        yearly = inf
    if span_years < 1 and yearly > MOST_YEARLY_GROWTH:
        return Figure(None, "too short a span to say it by the year")
    return Figure(yearly - 1)


def volatility(returns: "Floats", per_year: int) -> Figure:
    """Sample standard deviation of the returns, by the year."""
    if len(returns) < 2:
        return Figure(None, "needs at least two days")
    return Figure(float(returns.std(ddof=1)) * sqrt(per_year))


def sharpe(returns: "Floats", per_year: int, risk_free: float = 0.0) -> Figure:
    """Mean of the daily returns beyond `risk_free` (a day's) over their sample deviation, by the year (Sharpe 1994)."""
    if len(returns) < 2:
        return Figure(None, "needs at least two days")
    spread = float(returns.std(ddof=1))
    if spread < LEAST_SPREAD:
        return Figure(None, "the returns do not vary")
    return Figure((float(returns.mean()) - risk_free) / spread * sqrt(per_year))


def sortino(returns: "Floats", per_year: int, target: float = 0.0) -> Figure:
    """Mean beyond `target` (a day's) over the downside deviation of all days, by the year (Sortino and Price 1994)."""
    import numpy as np

    if len(returns) < 2:
        return Figure(None, "needs at least two days")
    below = np.minimum(returns - target, 0.0)
    risk = float(np.sqrt((below * below).mean()))
    if risk < LEAST_SPREAD:
        return Figure(None, "no day lost")
    return Figure((float(returns.mean()) - target) / risk * sqrt(per_year))


def calmar(yearly: Figure, worst: float) -> Figure:
    """Yearly growth over the deepest drawdown."""
    if yearly.value is None:
        return Figure(None, yearly.why)
    if worst < LEAST_SPREAD:
        return Figure(None, "there was no drawdown")
    return Figure(yearly.value / worst)


# ---- round trips -------------------------------------------------------------------------------------------------------------


NO_TRIPS = "no round trip has ended"


def win_rate(trips: Sequence[TripRecord]) -> Figure:
    """Round trips with a result above zero, fees included, over all; one that ends at nothing is no win."""
    if not trips:
        return Figure(None, NO_TRIPS)
    return Figure(sum(trip.net_minor > 0 for trip in trips) / len(trips))


def profit_factor(trips: Sequence[TripRecord]) -> Figure:
    """All gains over all losses, in money."""
    won, lost = _won_and_lost(trips)
    if not trips:
        return Figure(None, NO_TRIPS)
    return Figure(won / lost) if lost else Figure(None, "no round trip lost")


def payoff(trips: Sequence[TripRecord]) -> Figure:
    """Mean gain over mean loss, in money."""
    won, lost = _won_and_lost(trips)
    wins, losses = sum(trip.net_minor > 0 for trip in trips), sum(trip.net_minor < 0 for trip in trips)
    if not trips:
        return Figure(None, NO_TRIPS)
    if not losses or not wins:
        return Figure(None, "no round trip lost" if wins else "no round trip won")
    return Figure((won / wins) / (lost / losses))


def _won_and_lost(trips: Sequence[TripRecord]) -> tuple[Minor, Minor]:
    return (sum(trip.net_minor for trip in trips if trip.net_minor > 0),
            -sum(trip.net_minor for trip in trips if trip.net_minor < 0))


def expectancy_minor(trips: Sequence[TripRecord]) -> Figure:
    """The mean result of a round trip, in minor units."""
    if not trips:
        return Figure(None, NO_TRIPS)
    return Figure(sum(trip.net_minor for trip in trips) / len(trips))


def r_multiples(trips: Sequence[TripRecord]) -> list[float]:
    """Each result as a multiple of what was risked at first; those without a stop have none."""
    return [trip.net_minor / trip.initial_risk_minor for trip in trips if trip.initial_risk_minor > 0]


def expectancy_r(trips: Sequence[TripRecord]) -> Figure:
    """The mean R-multiple (Tharp)."""
    multiples = r_multiples(trips)
    if not multiples:
        return Figure(None, "no round trip began with a stop" if trips else NO_TRIPS)
    return Figure(sum(multiples) / len(multiples))


def sqn(trips: Sequence[TripRecord]) -> Figure:
    """Tharp's system quality number, `sqrt(N) * mean(R) / std(R)` with the sample deviation and N at most 100."""
    multiples = r_multiples(trips)
    if len(multiples) < 2:
        return Figure(None, "needs two round trips that began with a stop")
    mean = sum(multiples) / len(multiples)
    spread = sqrt(sum((one - mean) ** 2 for one in multiples) / (len(multiples) - 1))
    if spread < LEAST_SPREAD:
        return Figure(None, "the results do not vary")
    return Figure(sqrt(min(len(multiples), SQN_MOST)) * mean / spread)


def mean_of(values: Sequence[float | None], why: str) -> Figure:
    """The mean of what is known."""
    known = [value for value in values if value is not None]
    return Figure(sum(known) / len(known)) if known else Figure(None, why)


# ---- costs -------------------------------------------------------------------------------------------------------------------


class Costs(NamedTuple):
    """Fees and slippage; `slippage_bps` is of the notional of those fills whose decision price is known."""

    fees_minor: Minor
    slippage_minor: Minor
    slippage_bps: Figure
    known_fills: int


def costs(fills: Sequence[FillRecord]) -> Costs:
    """What trading cost beside the prices decided on."""
    known = [fill for fill in fills if fill.slippage_minor is not None]
    slipped = sum(fill.slippage_minor or 0 for fill in known)
    notional = sum(fill.notional_minor for fill in known)
    bps = Figure(10_000 * slipped / notional) if notional else Figure(None, "no fill has a decision price")
    return Costs(sum(fill.fee_minor for fill in fills), slipped, bps, len(known))
