"""Stress: the same bars under worse conditions, run through the same backtest.

Moves are taken in logarithms: from each close to the next open (the gap), from open to close, and how far high and low reach
beyond both; scenarios change these and the bars are put together again. Nothing about them is a forecast.

Figures of the scenarios: in 2008 the S&P 500 fell 48 % from 19 May to 20 November at about three times its usual volatility;
in 2020 it fell 34 % in 23 days, with opens 5 to 9 % below the close before, at about five times its usual volatility.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backtest.results import BacktestResult
from engine.backtest.run import Series
from engine.errors import UsageError
from engine.kernel.wants import BarColumns
from engine.units import NS_PER_SECOND, Nanoseconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Floats = NDArray[Any]

NS_PER_DAY = 86_400 * NS_PER_SECOND
CRASH_2008 = (185 * NS_PER_DAY, -0.48, 3.0)
CRASH_2020 = (33 * NS_PER_DAY, -0.34, 5.0)
GAPS_2020 = ((0.25, -0.07), (0.45, -0.09), (0.6, -0.05), (0.75, -0.08))
MOST_OF_BARS = 3  # a crash takes at most one part in so many of the bars
VOLATILITY = 3.0


class Moves(NamedTuple):
    """The bars of one instrument as logarithms of ratios: close to open, open to close, reach above, reach below."""

    gap: "Floats"
    body: "Floats"
    above: "Floats"
    below: "Floats"


class Scenario(NamedTuple):
    """A change of the moves of all instruments alike; what happens at one time begins at the one that `change` is told."""

    name: str
    about: str
    change: Callable[[list[Moves], Sequence[Series], Nanoseconds], list[Moves]]


def moves_of(series: Series) -> Moves:
    """The moves of the bars; the first has no gap."""
    import numpy

    opens, highs, lows, closes = (numpy.log(numpy.asarray(column, float)) for column in series.bars[2:6])
    gap = numpy.zeros(len(opens))
    gap[1:] = opens[1:] - closes[:-1]
    return Moves(gap, closes - opens, highs - numpy.maximum(opens, closes), numpy.minimum(opens, closes) - lows)


def bars_of(series: Series, moves: Moves) -> Series:
    """Bars from moves, beginning at the same open; prices are whole ticks, at least one and at most the instrument's largest."""
    import numpy

    path = numpy.cumsum(moves.gap + moves.body)
    closes = numpy.log(float(series.bars.opens[0])) + path
    opens = closes - moves.body
    most = min(series.instrument.max_ticks, 1 << 52)
    raw = (opens, numpy.maximum(opens, closes) + moves.above, numpy.minimum(opens, closes) - moves.below, closes)
    first, high, low, last = (numpy.clip(numpy.rint(numpy.exp(numpy.minimum(one, numpy.log(float(most))))), 1, most)
                              .astype(numpy.int64) for one in raw)
    old = series.bars
    columns: list[Any] = [old.opens_ns, old.closes_ns, first, numpy.maximum(high, numpy.maximum(first, last)),
                          numpy.minimum(low, numpy.minimum(first, last)), last, old.volumes]
    return series._replace(bars=BarColumns(*columns))


def worst_time(result: BacktestResult) -> Nanoseconds:
    """When a crash would find the strategy holding for the longest: the middle of its longest round trip; without any the middle
    of the bars. The last third of the bars is left out, so that there is room for a crash."""
    at_ns = result.equity_at_ns
    last_ns = int(at_ns[len(at_ns) * 2 // MOST_OF_BARS])
    held = [(trip.opened_at_ns - trip.closed_at_ns, trip.opened_at_ns, trip.closed_at_ns) for trip in result.round_trips()
            if trip.closed_at_ns <= last_ns]
    if not held:
        return int(at_ns[len(at_ns) // 2])
    _, opened_ns, closed_ns = min(held)
    return (opened_ns + closed_ns) // 2


def stressed(series: Sequence[Series], scenario: Scenario, at_ns: Nanoseconds) -> tuple[Series, ...]:
    """The same instruments under a scenario; a crash begins at `at_ns`."""
    changed = scenario.change([moves_of(one) for one in series], series, at_ns)
    return tuple(bars_of(one, moves) for one, moves in zip(series, changed, strict=True))


def wilder(moves: Moves, factor: float, inside: "Floats | slice") -> Moves:
    """Moves of so many times their size within a stretch, about the same mean."""
    import numpy

    found = [part.copy() for part in moves]
    drift = float((moves.gap + moves.body).mean())
    for part in found:
        part[inside] *= factor
    found[1][inside] -= (factor - 1) * drift
    return Moves(*(numpy.asarray(part) for part in found))


def crash_at(series: Series, length_ns: int, at_ns: Nanoseconds) -> slice:
    """The bars of a crash from a time on, as long as it was in history or for a third of the bars where they are fewer; empty
    where the instrument has no bars then."""
    import numpy

    count = len(series.bars.closes)
    first, end = (int(place) for place in numpy.searchsorted(series.bars.closes_ns, (at_ns, at_ns + length_ns), side="right"))
    return slice(first, min(end, first + max(1, count // MOST_OF_BARS)))


def crashed(moves: Moves, inside: slice, fall: float, factor: float, gaps: Sequence[tuple[float, float]]) -> Moves:
    """A fall by that part over a stretch, with wilder moves and with gaps at parts of its way; what was there before stays in it
    as noise without direction."""
    import numpy

    length = inside.stop - inside.start
    if length <= 0:
        return moves
    found = wilder(moves, factor, inside)
    for part, gap in gaps:
        found.gap[inside.start + min(length - 1, int(part * length))] += numpy.log1p(gap)
    here = float((found.gap[inside] + found.body[inside]).sum())
    found.body[inside] += (numpy.log1p(fall) - here) / length
    return found


def _crash(which: tuple[int, float, float], gaps: Sequence[tuple[float, float]]) -> Callable[..., list[Moves]]:
    length_ns, fall, factor = which

    def change(moves: list[Moves], series: Sequence[Series], at_ns: Nanoseconds) -> list[Moves]:
        return [crashed(one, crash_at(bars, length_ns, at_ns), fall, factor, gaps)
                for one, bars in zip(moves, series, strict=True)]

    return change


def _three_times(moves: list[Moves], series: Sequence[Series], at_ns: Nanoseconds) -> list[Moves]:  # noqa: ARG001 - the form
    return [wilder(one, VOLATILITY, slice(None)) for one in moves]


def _as_one(moves: list[Moves], series: Sequence[Series], at_ns: Nanoseconds) -> list[Moves]:  # noqa: ARG001 - the form
    """Every instrument moves as the mean of all does at that moment, at its own volatility."""
    import numpy

    if len(moves) < 2:
        raise UsageError("correlation-one needs several instruments; name more files")
    times = numpy.unique(numpy.concatenate([numpy.asarray(one.bars.closes_ns) for one in series]))
    total, known = numpy.zeros(len(times)), numpy.zeros(len(times))
    spreads, places = [], []
    for one, bars in zip(moves, series, strict=True):
        step = one.gap + one.body
        spread = max(float(step.std()), 1e-12)
        at = numpy.searchsorted(times, bars.bars.closes_ns)
        total[at] += (step - step.mean()) / spread
        known[at] += 1
        spreads.append(spread)
        places.append(at)
    common = total / numpy.maximum(known, 1)
    found = []
    for one, spread, at in zip(moves, spreads, places, strict=True):
        shared = common[at]
        scaled = shared / max(float(shared.std()), 1e-12) * spread + float((one.gap + one.body).mean())
        found.append(Moves(one.gap, scaled - one.gap, one.above, one.below))
    return found


SCENARIOS = (
    Scenario("crash-2008", "falls 48 % in half a year at three times the volatility", _crash(CRASH_2008, ())),
    Scenario("crash-2020", "falls 34 % in 33 days at five times the volatility, with opens 5 to 9 % lower",
             _crash(CRASH_2020, GAPS_2020)),
    Scenario("volatility-x3", "every move three times as large, the drift as it was", _three_times),
    Scenario("correlation-one", "all instruments move as one, each at its own volatility", _as_one),
)
