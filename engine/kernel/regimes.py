"""What kind of market it is: trend or range, calm or wild, told from closed bars alone.

Sources: Kaufman, Trading Systems and Methods (1998): the efficiency ratio, the way made good over the way gone, tells a trend
from a range; volatility is told by the deviation of the newest returns against that of a longer stretch, since it comes in
clusters (Mandelbrot 1963). Nothing beyond `place` is read.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Regime(NamedTuple):
    """`known` 0 while there are too few bars. `trend` is +1 up, -1 down, 0 a range; `volatility` +1 wild, -1 calm, 0 normal.
    `efficiency` lies in -1 to 1 and bears the trend's sign; `ratio` is the newest volatility over the usual one."""

    known: int
    trend: int
    volatility: int
    efficiency: float
    ratio: float


def efficiency_at(closes: Sequence[float], place: int, n: int) -> float:
    """The way made good over `n` changes as a part of the way gone, signed; 0 where nothing moved."""
    gone = 0.0
    for i in range(place - n + 1, place + 1):
        gone += abs(closes[i] - closes[i - 1])
    return (closes[place] - closes[place - n]) / gone if gone > 0.0 else 0.0


def return_deviation_at(closes: Sequence[float], place: int, n: int) -> float:
    """The standard deviation of the newest `n` simple returns, over all of them."""
    mean = 0.0
    for i in range(place - n + 1, place + 1):
        mean += closes[i] / closes[i - 1] - 1.0
    mean /= n
    total = 0.0
    for i in range(place - n + 1, place + 1):
        value = closes[i] / closes[i - 1] - 1.0 - mean
        total += value * value
    return math.sqrt(total / n)


def regime_at(closes: Sequence[float], place: int, seen: int, trend_bars: int, volatility_bars: int, usual_bars: int,
              trend_from: float, calm_below: float, wild_from: float) -> Regime:
    """The regime at the close of the bar at `place`, of which `seen` bars are known."""
    if seen <= max(trend_bars, volatility_bars, usual_bars):
        return Regime(0, 0, 0, 0.0, 0.0)
    efficiency = efficiency_at(closes, place, trend_bars)
    usual = return_deviation_at(closes, place, usual_bars)
    ratio = return_deviation_at(closes, place, volatility_bars) / usual if usual > 0.0 else 1.0
    trend = 1 if efficiency >= trend_from else -1 if efficiency <= -trend_from else 0
    volatility = 1 if ratio >= wild_from else -1 if ratio < calm_below else 0
    return Regime(1, trend, volatility, efficiency, ratio)
