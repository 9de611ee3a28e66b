"""One set of parameters over one span: the ordinary backtest, and its figures from a small pass that is compiled too."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import get_ident
from typing import Any, NamedTuple

from engine.analytics.measures import DAYS_PER_YEAR, EPOCH_MONDAY, SECONDS_PER_YEAR, SESSIONS_PER_YEAR
from engine.backtest.compiling import compiled
from engine.backtest.longer_bars import recorded_bars
from engine.backtest.run import Series, Setup, backtest
from engine.errors import ConfigError, UsageError
from engine.kernel.wants import BarColumns
from engine.search.outcomes import BLOCKS, WHOLE, Outcome, Span, Sums
from engine.strategies.registry import Strategy, built_in, params_of
from engine.strategies.user import load_user_strategy
from engine.strategy_state import Number
from engine.units import NS_PER_SECOND

NS_PER_DAY = 86_400 * NS_PER_SECOND
REALIZED, FEES = 7, 8  # places in a row of TRIP_FIELDS
WON, GAINED, LOST, PAID = 0, 1, 2, 3
POWERS = 4
STRETCH = 128


class Material(NamedTuple):
    """What every set is tried on. `strategy_file` names a strategy of a person's own, whose bytes hash to `source_hash`."""

    series: tuple[Series, ...]
    strategy: str
    setup: Setup
    cache_folder: str = ""
    strategy_file: str = ""
    source_hash: str = ""


class Grid(NamedTuple):
    """The moments at which an account is marked: the place from which on the span counts, where each day ends, days a year."""

    first: int
    day_ends: Any
    days_per_year: int
    years: float


@lru_cache(256)
def strategy_of(name: str, file: str, source_hash: str, thread: int) -> Strategy:  # noqa: ARG001 - each thread its own
    """The strategy, also in another process; raises `ConfigError` where its file is another one there. A rule in Python looks at
    the bars through one object of its own, so that two threads must never share it."""
    if not file:
        return built_in(name)
    found = load_user_strategy(Path(file))
    if found.source_hash != source_hash:
        raise ConfigError(f"{file}: is not the file that the search began with; every worker needs the same one")
    return found


def strategy_in(material: Material) -> Strategy:
    """The strategy that a search tries."""
    return strategy_of(material.strategy, material.strategy_file, material.source_hash, get_ident())


def moments_in(series: Sequence[Series]) -> Any:
    """The times at which at least one bar closes, rising."""
    import numpy

    columns: list[Any] = [one.bars.closes_ns for one in series]
    return columns[0] if len(columns) == 1 else numpy.unique(numpy.concatenate(columns))


def grid_of(at_ns: Any, span: Span) -> Grid:
    """Where the days of a span end among the moments; the days are those that have a return in
    `engine.analytics.measures.by_days`, with a moment at every close."""
    import numpy

    first = int(numpy.searchsorted(at_ns, span.from_ns, side="right")) - 1 if span.from_ns else 0
    first = max(0, first)
    days = (at_ns[first:] - 1) // NS_PER_DAY
    recorded = numpy.unique(days)
    every_day = bool((((recorded - EPOCH_MONDAY) % 7) >= 5).any())
    numbers = numpy.arange(recorded[0], recorded[-1] + 1) if every_day else recorded
    ends = numpy.searchsorted(days, numbers, side="right") - 1 + first
    years = (int(at_ns[-1]) - int(at_ns[first])) / NS_PER_SECOND / SECONDS_PER_YEAR
    return Grid(first, ends[int(ends[0] == first):], DAYS_PER_YEAR if every_day else SESSIONS_PER_YEAR, years)


def cut(series: Sequence[Series], span: Span, before_bars: int) -> tuple[Series, ...]:
    """The bars of a span, with so many before it to warm up on; the same series where the span is all of it."""
    import numpy

    if span == WHOLE:
        return tuple(series)
    found = []
    for one in series:
        closes_ns: Any = one.bars.closes_ns
        start = int(numpy.searchsorted(closes_ns, span.from_ns, side="right")) if span.from_ns else 0
        end = int(numpy.searchsorted(closes_ns, span.to_ns, side="right")) if span.to_ns else len(closes_ns)
        if end > start:
            place = max(0, start - before_bars)
            found.append(one._replace(bars=BarColumns(*(column[place:end] for column in one.bars))))
    if not found:
        raise UsageError("a span holds no bars; use fewer windows or longer files")
    return tuple(found)


def deepest(equity: Any, first: int) -> float:
    """The deepest drawdown from `first` on. A stretch whose lowest point is not far enough below the highest so far, its own
    included, is passed over: its extremes are found several at a time."""
    peak, worst, count = equity[first], 0.0, len(equity)
    for start in range(first, count, STRETCH):
        end = min(start + STRETCH, count)
        high = low = equity[start]
        for place in range(start, end):
            high, low = max(high, equity[place]), min(low, equity[place])
        top = max(peak, high)
        if top - low > worst * top:
            for place in range(start, end):
                peak = max(peak, equity[place])
                if peak - equity[place] > worst * peak:
                    worst = (peak - equity[place]) / peak
        peak = top
    return worst


def figures(equity: Any, trips: Any, first: int, day_ends: Any, returns: Any, sums: Any, told: Any) -> float:
    """The deepest drawdown from `first` on; fills in daily returns, their sums of powers by block, and the round trips' sums."""
    worst = deepest(equity, first)
    before, days, blocks = equity[first], len(day_ends), len(sums)
    for day in range(days):
        after = equity[day_ends[day]]
        part = after / before - 1.0 if before > 0 else 0.0
        returns[day] = part
        block = day * blocks // days
        power = 1.0
        for number in range(POWERS):
            power *= part
            sums[block, number] += power
        before = after
    for number in range(len(trips)):
        net = trips[number, REALIZED] - trips[number, FEES]
        told[PAID] += trips[number, FEES]
        if net > 0:
            told[WON] += 1
            told[GAINED] += net
        else:
            told[LOST] -= net
    return worst


def outcome_of(material: Material, span: Span, params: Mapping[str, Number], grid: Grid | None, *, with_returns: bool) -> Outcome:
    """Try one set over one span; raises what `backtest` raises."""
    import numpy

    strategy = strategy_in(material)
    folder = Path(material.cache_folder) if material.cache_folder else None
    before = 0 if span == WHOLE else warming_bars(material, strategy, params)
    result = backtest(cut(material.series, span, before), strategy, params, material.setup, folder)
    if grid is None:
        grid = grid_of(result.equity_at_ns, span)
    measure: Callable[..., float] = compiled(figures, {}, folder)
    days = len(grid.day_ends)
    returns, sums, told = numpy.zeros(days), numpy.zeros((BLOCKS, POWERS)), numpy.zeros(4, numpy.int64)
    worst = measure(result.equity_minor, result.trips, grid.first, grid.day_ends, returns, sums, told)
    counts = [0] * BLOCKS
    for block in range(BLOCKS):
        counts[block] = -(-(block + 1) * days // BLOCKS) - -(-block * days // BLOCKS)
    blocks = tuple(Sums(count, *row) for count, row in zip(counts, sums.tolist(), strict=True))
    won, gained, lost, paid = told.tolist()
    return Outcome(
        span, dict(params), len(result.trips), won, gained, lost, paid, result.cash_minor, result.final_equity_minor,
        float(worst), grid.years, grid.days_per_year, blocks, tuple(returns.tolist()) if with_returns else ())


def warming_bars(material: Material, strategy: Strategy, params: Mapping[str, Number]) -> int:
    """How many bars before a span a strategy sees to warm up on."""
    warmup = strategy.warmup(params_of(strategy, params))
    return max(recorded_bars(one.bars, warmup, material.setup.bar_ns) for one in material.series)


def outcomes_of(material: Material, span: Span, sets: Sequence[Mapping[str, Number]], *,
                with_returns: bool = False) -> list[Outcome]:
    """Try several sets over one span, one after the other; what a worker does."""
    grid = grid_of(moments_in(material.series), span) if span == WHOLE else None
    return [outcome_of(material, span, params, grid, with_returns=with_returns) for params in sets]
