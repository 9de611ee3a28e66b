"""Indicators the rules need: true range, Wilder's ATR, exponential mean; one step at a time, so live equals history.

The batch forms run the very same steps. Prices may be ticks or floats; results are floats in the same unit.
"""

import math
from collections.abc import MutableSequence, Sequence


def true_range(high: float, low: float, previous_close: float) -> float:
    """The larger of the bar's range and its reach from the previous close."""
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


def atr_step(previous: float, n: int, tr: float) -> float:
    """Wilder's mean after one more true range: `(previous * (n - 1) + tr) / n`."""
    return (previous * (n - 1) + tr) / n


def atr_grow(seen: int, value: float, n: int, tr: float) -> tuple[int, float]:
    """The ATR from its very first bar on: `(seen, value)` after one more true range.

    Until `n` true ranges were seen the value is their sum, then their mean: an ATR once `seen` >= `n`.
    """
    seen += 1
    if seen > n:
        return seen, atr_step(value, n, tr)
    return seen, (value + tr) / n if seen == n else value + tr


def atr_into(high: Sequence[float], low: Sequence[float], close: Sequence[float], n: int,
             out: MutableSequence[float]) -> None:
    """Wilder's ATR of every bar, written to `out`; the first `n - 1` bars are NaN.

    The first bar has no previous close, so its true range is its range; the seed is the mean of the first `n`.
    """
    seen = 0
    value = 0.0
    for i in range(len(high)):
        tr = high[i] - low[i] if i == 0 else true_range(high[i], low[i], close[i - 1])
        seen, value = atr_grow(seen, value, n, tr)
        out[i] = value if seen >= n else math.nan


def latest_atr(high: Sequence[float], low: Sequence[float], close: Sequence[float], n: int) -> float:
    """Wilder's ATR after the last bar; NaN where there are fewer than `n` bars."""
    seen = 0
    value = 0.0
    for i in range(len(high)):
        tr = high[i] - low[i] if i == 0 else true_range(high[i], low[i], close[i - 1])
        seen, value = atr_grow(seen, value, n, tr)
    return value if seen >= n else math.nan


def ema_step(previous: float, n: int, value: float) -> float:
    """The exponential mean of span `n` after one more value: `alpha = 2 / (n + 1)`."""
    return previous + (value - previous) * 2.0 / (n + 1)


def ema_into(values: Sequence[float], n: int, out: MutableSequence[float]) -> None:
    """The exponential mean of every value, seeded with the first, written to `out`."""
    mean = 0.0
    for i in range(len(values)):
        mean = float(values[i]) if i == 0 else ema_step(mean, n, values[i])
        out[i] = mean
