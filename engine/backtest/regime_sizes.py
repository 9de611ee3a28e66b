"""What part of its usual size an entry has at each bar, by the regime in force then; known before a pass begins.

Regimes are told as `engine.decide.regimes` tells them: by the first beat of a day, some instruments with each beat, of the bars
that had closed before that moment.
"""

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.backtest.brakes import NS_PER_DAY
from engine.backtest.compiling import compiled
from engine.decide.regimes import INSTRUMENTS_A_BEAT
from engine.errors import ConfigError
from engine.kernel.regimes import regime_at
from engine.kernel.wants import BarColumns
from engine.regimes import DayRegime, RegimeSettings

MOST_DECIMALS = 9  # a part of a size as whole numbers that fit 64 bits beside a number of lots
WHOLE = 10 ** MOST_DECIMALS
CODES = 9


def has_sizes(settings: RegimeSettings) -> bool:
    """Whether entries are smaller in any regime."""
    return min(settings.size_in_trend, settings.size_in_range, settings.size_in_calm, settings.size_in_wild) < 1


def sizes_of(bars: BarColumns, starts: Any, settings: RegimeSettings, folder: Path | None, *, compiles: bool) -> Any:
    """For each bar the size that an entry at its close has, in parts of `WHOLE`.

    The bars of all instruments stand one after the other, those of the i-th at `starts[i] .. starts[i + 1] - 1`. Raises
    `ConfigError` for a size that has more than nine decimals.
    """
    import numpy

    opens_ns: Any = bars.opens_ns
    moments = numpy.unique(numpy.concatenate([opens_ns, bars.closes_ns]))
    terms = (settings.trend_bars, settings.volatility_bars, settings.usual_bars, settings.trend_from, settings.calm_below,
             settings.wild_from)
    count = len(starts) - 1
    if compiles:
        out = numpy.zeros(len(opens_ns), numpy.int64)
        table = numpy.array(parts_by_code(settings), numpy.int64)
        room = numpy.zeros((3, count), numpy.int64)
        compiled(sizes_into, {}, folder)(bars, numpy.array(starts), moments, terms, table, room, out)
        return out
    plain = [0] * len(opens_ns)
    columns = BarColumns(*(column.tolist() for column in bars))  # type: ignore[attr-defined]
    work = [[0] * count for _ in range(3)]
    sizes_into(columns, list(starts), moments.tolist(), terms, parts_by_code(settings), work, plain)
    return plain


def parts_by_code(settings: RegimeSettings) -> list[int]:
    """The sizes in each regime, by `3 * (trend + 1) + volatility + 1`, and last the one where none is told yet."""
    sizes = [DayRegime(0, trend, volatility, 0.0, 0.0).size_factor(settings) for trend in (-1, 0, 1) for volatility in (-1, 0, 1)]
    found = [Decimal(repr(size)) * WHOLE for size in sizes]
    for size, part in zip(sizes, found, strict=True):
        if part != math.floor(part):
            raise ConfigError(f"[regimes] a size of {size!r} has more than {MOST_DECIMALS} decimals; write a rounder one")
    return [*(int(part) for part in found), WHOLE]


def sizes_into(bars: BarColumns, starts: Any, moments: Any, terms: Any, parts: Any, work: Any, out: Any) -> None:
    """Walk over all moments; `work` has three rows: the bars seen of each instrument, the day of its regime, and its code."""
    seen, told, codes = work[0], work[1], work[2]
    count, needed = len(starts) - 1, max(terms[0], terms[1], terms[2]) + 1
    for number in range(count):
        told[number], codes[number] = -1, CODES
    for now_ns in moments:
        day = now_ns // NS_PER_DAY
        found = 0
        for number in range(count):
            if found < INSTRUMENTS_A_BEAT and told[number] != day and seen[number] >= needed:
                newest = starts[number] + seen[number] - 1
                regime = regime_at(bars.closes, newest, seen[number], *terms)
                told[number], codes[number] = day, 3 * (regime.trend + 1) + regime.volatility + 1
                found += 1
        for number in range(count):
            place = starts[number] + seen[number]
            if place < starts[number + 1] and bars.closes_ns[place] == now_ns:
                out[place] = parts[codes[number]]
                seen[number] += 1
