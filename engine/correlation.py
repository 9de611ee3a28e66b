"""How the returns of instruments move together: a sample correlation of closed bars, shrunk toward no correlation at all.

The shrinkage is that of Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004), on
standardised returns, where the target is the identity. For a few instruments it is plain arithmetic with exact sums: the same
bars give the same matrix on every machine, and nothing has to be imported.
"""

from collections.abc import Sequence
from itertools import repeat
from math import fsum, sqrt, sumprod
from operator import attrgetter, sub, truediv
from typing import NamedTuple
from zlib import crc32

from engine.market import MarketView
from engine.units import Nanoseconds, Ticks

RETURN_BARS = 120
LEAST_RETURNS = 20
EXACT_ROWS = 32
KEPT_MATRICES = 16
_CLOSE_NS, _CLOSE_TICKS = attrgetter("close_ns"), attrgetter("close_ticks")


class Correlation(NamedTuple):
    """A shrunk correlation matrix; `places` says which row an instrument has, `returns` how many were used.

    An instrument without enough bars has no place: nothing is known of it.
    """

    places: dict[str, int]
    matrix: tuple[tuple[float, ...], ...]
    shrinkage: float
    returns: int


NOTHING_KNOWN = Correlation({}, (), 0.0, 0)


def correlation_of(market: MarketView, instrument_ids: Sequence[str]) -> Correlation:
    """The correlation of these instruments by the bars that all of them have; kept until all of them closed another bar."""
    wanted = tuple(sorted(set(instrument_ids)))
    slot = crc32("|".join(wanted).encode()) % KEPT_MATRICES  # a matrix of many is large: only so many are kept
    stamp = (wanted, common_stamp(market, wanted, RETURN_BARS))
    return market.remembered(("correlation", slot), stamp, lambda: _measured(market, wanted))


def common_stamp(market: MarketView, wanted: Sequence[str], most: int) -> tuple[int, ...]:
    """What changes when there is another bar in common: the oldest of the newest closes, and how many bars each has."""
    stamps = [market.bars_stamp(instrument_id) for instrument_id in wanted]
    newest = [close_ns for close_ns, count in stamps if count > LEAST_RETURNS]
    return (min(newest, default=0), *(min(count, most + 1) for _, count in stamps))


def _measured(market: MarketView, wanted: Sequence[str]) -> Correlation:
    found = returns_in_common(market, wanted, RETURN_BARS)
    rows = {instrument_id: standard for instrument_id, returns in found.items()
            if (standard := standardised(returns)) is not None}
    if not found:
        return NOTHING_KNOWN
    matrix, shrinkage = shrunk_correlation(list(rows.values()))
    count = len(next(iter(found.values())))
    return Correlation({instrument_id: place for place, instrument_id in enumerate(rows)}, matrix, shrinkage, count)


def returns_in_common(market: MarketView, wanted: Sequence[str], most: int) -> dict[str, list[float]]:
    """The newest returns, at most so many, of the closed bars that all of these instruments have; one without enough bars is
    left out, and all of them are where too few bars are common."""
    bars = {instrument_id: market.bars(instrument_id, most + 1) for instrument_id in wanted}
    times = {instrument_id: list(map(_CLOSE_NS, found)) for instrument_id, found in bars.items() if len(found) > LEAST_RETURNS}
    closes = {instrument_id: list(map(_CLOSE_TICKS, bars[instrument_id])) for instrument_id in times}
    first = next(iter(times.values()), [])
    if any(found != first for found in times.values()):  # mostly all close together, and nothing has to be matched
        known = {key: dict(zip(found, closes[key], strict=True)) for key, found in times.items()}
        first = common_times(list(known.values()))
        closes = {key: [found[at_ns] for at_ns in first] for key, found in known.items()}
    if len(first) <= LEAST_RETURNS:
        return {}
    return {instrument_id: returns_of(found) for instrument_id, found in closes.items()}


def common_times(closes: Sequence[dict[Nanoseconds, Ticks]]) -> list[Nanoseconds]:
    """The closing times that every instrument has, oldest first."""
    if not closes:
        return []
    fewest = min(closes, key=len)
    return sorted(at_ns for at_ns in fewest if all(at_ns in other for other in closes))


def returns_of(closes: Sequence[Ticks]) -> list[float]:
    """Simple returns from each close to the next."""
    return list(map(sub, map(truediv, closes[1:], closes), repeat(1)))


def standardised(returns: Sequence[float]) -> list[float] | None:
    """Returns with mean 0 and variance 1 (over all of them, not all but one); None where they never change."""
    count = len(returns)
    mean = fsum(returns) / count
    centred = [value - mean for value in returns]
    deviation = sqrt(sumprod(centred, centred) / count)
    return [value / deviation for value in centred] if deviation > 1e-12 else None


def _sample(rows: Sequence[Sequence[float]], count: int) -> list[list[float]]:
    """The correlation as it was seen: exact sums for a few rows, a matrix product for many, in a fraction of the time."""
    size = len(rows)
    if size > EXACT_ROWS:
        import numpy as np

        table = np.array(rows, dtype=np.float64)
        product = (table @ table.T / count).tolist()
        return [[1.0 if one == other else product[min(one, other)][max(one, other)] for other in range(size)]
                for one in range(size)]
    return [[1.0 if one == other else sumprod(rows[min(one, other)], rows[max(one, other)]) / count
             for other in range(size)] for one in range(size)]


def shrunk_correlation(rows: Sequence[Sequence[float]]) -> tuple[tuple[tuple[float, ...], ...], float]:
    """The Ledoit-Wolf estimate of the correlation of standardised rows, and its shrinkage toward the identity (0 to 1)."""
    size = len(rows)
    if not size:
        return (), 0.0
    count = len(rows[0])
    sample = _sample(rows, count)
    squares = fsum(value * value for row in sample for value in row)
    distance = squares - size  # of the sample from the identity: its diagonal is 1
    lengths = [fsum(row[place] * row[place] for row in rows) for place in range(count)]
    noise = max(0.0, fsum(length * length for length in lengths) / count**2 - squares / count)
    shrinkage = min(1.0, noise / distance) if distance > 1e-12 else 0.0
    matrix = tuple(tuple(1.0 if one == other else (1 - shrinkage) * sample[one][other] for other in range(size))
                   for one in range(size))
    return matrix, shrinkage
