"""How far a score could be from chance: resampled in blocks of dates, since forecasts with overlapping horizons share outcomes.

The circular block bootstrap (Politis and Romano 1992) over the dates of the forecasts. The generator's seed is the hash of the
data: the same data give the same interval.
"""

from array import array
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Floats = NDArray[Any]

DRAWS = 1_000
LEAST_DATES = 5
LEAST_BLOCKS = 2


class Dated(NamedTuple):
    """Values of one forecast each, with the number of its day; the statistic is the sum of `tops` over that of `bottoms`."""

    days: Sequence[int]
    tops: Sequence[float]
    bottoms: Sequence[float]


def resampled(data: Dated, block_days: int, most_forecasts: int = 0, draws: int = DRAWS) -> tuple[float, ...] | None:
    """The statistic of `draws` resamples, rising; None with too few dates to draw from.

    `most_forecasts` makes each resample about that many forecasts long, 0 as long as the data.
    """
    import numpy as np

    days, place = np.unique(np.asarray(data.days, dtype=np.int64), return_inverse=True)
    dates, block = len(days), max(1, block_days)
    if dates < max(LEAST_DATES, LEAST_BLOCKS * block):
        return None
    wanted = dates if not most_forecasts else max(block, round(dates * most_forecasts / len(data.days)))
    tops = _per_block(np.bincount(place, np.asarray(data.tops, dtype=np.float64), dates), block)
    bottoms = _per_block(np.bincount(place, np.asarray(data.bottoms, dtype=np.float64), dates), block)
    generator = np.random.Generator(np.random.PCG64(seed_of(data)))
    starts = generator.integers(0, dates, (draws, -(-wanted // block)))
    below = bottoms[starts].sum(axis=1)
    found = tops[starts].sum(axis=1)[below != 0] / below[below != 0]
    return tuple(float(one) for one in np.sort(found)) or None


def _per_block(sums: "Floats", block: int) -> "Floats":
    """For each date the sum over the block that begins there, going round at the end."""
    import numpy as np

    running = np.concatenate(([0.0], np.cumsum(np.concatenate((sums, sums[:block])))))
    blocks: Floats = running[block:block + len(sums)] - running[:len(sums)]
    return blocks


def seed_of(data: Dated) -> int:
    """A seed from the data themselves."""
    told = sha256()
    for values in (data.days, data.tops, data.bottoms):
        told.update(array("d", [float(value) for value in values]).tobytes())
    return int.from_bytes(told.digest()[:16], "big")


def quantile(rising: Sequence[float], part: float) -> float:
    """The value below which `part` of the draws lie, linear between neighbours."""
    place = part * (len(rising) - 1)
    low = int(place)
    high = min(low + 1, len(rising) - 1)
    return rising[low] + (rising[high] - rising[low]) * (place - low)


def interval_95(rising: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the draws."""
    return quantile(rising, 0.025), quantile(rising, 0.975)


def effective_n(values: Sequence[float], rising: Sequence[float] | None, dates: int, block_days: int) -> float:
    """How many independent values would tell as much of their mean: their variance over that of the resampled means, at most as
    many as there are. Without resamples, the dates over the length of a block."""
    count = len(values)
    if rising is None:
        return float(min(count, max(1, dates // max(1, block_days))))
    middle = sum(values) / count
    variance = sum((value - middle) ** 2 for value in values) / max(1, count - 1)
    centre = sum(rising) / len(rising)
    of_mean = sum((value - centre) ** 2 for value in rising) / len(rising)
    return min(float(count), variance / of_mean) if of_mean > 0 else float(count)
