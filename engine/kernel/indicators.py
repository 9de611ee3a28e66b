"""Indicators the rules need, one step at a time or over the newest values of a column, so live equals history.

The batch forms run the very same steps. Prices may be ticks or floats; results are floats in the same unit. What is taken over
a window (`..._at`) ends at index `place` and reaches back `n` values, its own included: the caller knows that there are as many.
"""

import math
from collections.abc import MutableSequence, Sequence


def true_range(high: float, low: float, previous_close: float) -> float:
    """The larger of the bar's range and its reach from the previous close."""
    return max(high - low, abs(high - previous_close), abs(low - previous_close))


def atr_step(previous: float, n: int, tr: float) -> float:
    """Wilder's mean after one more true range: `(previous * (n - 1) + tr) / n`, with the division where it can be done once."""
    return previous + (tr - previous) * (1.0 / n)


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
    return previous + (value - previous) * (2.0 / (n + 1))


def ema_into(values: Sequence[float], n: int, out: MutableSequence[float]) -> None:
    """The exponential mean of every value, seeded with the first, written to `out`."""
    mean = 0.0
    for i in range(len(values)):
        mean = float(values[i]) if i == 0 else ema_step(mean, n, values[i])
        out[i] = mean


# ---- over a window -------------------------------------------------------------------------------------------------------


def mean_at(values: Sequence[float], place: int, n: int) -> float:
    """The mean of the newest `n` values."""
    total = 0.0
    for i in range(place - n + 1, place + 1):
        total += values[i]
    return total / n


def deviation_at(values: Sequence[float], place: int, n: int) -> float:
    """The standard deviation of the newest `n` values, over all of them (not all but one)."""
    mean = mean_at(values, place, n)
    total = 0.0
    for i in range(place - n + 1, place + 1):
        total += (values[i] - mean) * (values[i] - mean)
    return math.sqrt(total / n)


def highest_at(values: Sequence[float], place: int, n: int) -> float:
    """The largest of the newest `n` values (Donchian's upper bound, of highs)."""
    found = values[place]
    for i in range(place - n + 1, place):
        found = max(found, values[i])
    return found


def lowest_at(values: Sequence[float], place: int, n: int) -> float:
    """The smallest of the newest `n` values (Donchian's lower bound, of lows)."""
    found = values[place]
    for i in range(place - n + 1, place):
        found = min(found, values[i])
    return found


def change_at(values: Sequence[float], place: int, n: int) -> float:
    """The rate of change over `n` values, as a part of the older one."""
    return values[place] / values[place - n] - 1.0


# ---- step by step --------------------------------------------------------------------------------------------------------


def rsi_grow(seen: int, gain: float, loss: float, n: int, change: float) -> tuple[int, float, float]:
    """Wilder's mean gain and loss after one more change: `(seen, gain, loss)`, means once `seen` >= `n`, sums before."""
    up = max(0.0, change)
    down = max(0.0, -change)
    seen += 1
    if seen > n:
        return seen, atr_step(gain, n, up), atr_step(loss, n, down)
    if seen == n:
        return seen, (gain + up) / n, (loss + down) / n
    return seen, gain + up, loss + down


def rsi_value(gain: float, loss: float) -> float:
    """Wilder's relative strength index of a mean gain and a mean loss, 0 to 100; 50 where nothing moved."""
    if gain + loss <= 0.0:
        return 50.0
    return 100.0 * gain / (gain + loss)


def variance_step(mean: float, variance: float, n: int, value: float) -> tuple[float, float]:
    """The exponential mean and variance of span `n` after one more value (West 1979, Finch 2009)."""
    difference = value - mean
    part = 2.0 / (n + 1) * difference
    return mean + part, (1.0 - 2.0 / (n + 1)) * (variance + difference * part)


# ---- batch forms ---------------------------------------------------------------------------------------------------------


def rsi_into(close: Sequence[float], n: int, out: MutableSequence[float]) -> None:
    """Wilder's relative strength index of every bar, written to `out`; the first `n` bars are NaN."""
    seen = 0
    gain = 0.0
    loss = 0.0
    for i in range(len(close)):
        if i > 0:
            seen, gain, loss = rsi_grow(seen, gain, loss, n, float(close[i] - close[i - 1]))
        out[i] = rsi_value(gain, loss) if seen >= n else math.nan


def bands_into(close: Sequence[float], n: int, width: float, lower: MutableSequence[float], middle: MutableSequence[float],
               upper: MutableSequence[float]) -> None:
    """Bollinger's bands: the mean of `n` closes and `width` standard deviations below and above; the first `n - 1` are NaN."""
    for i in range(len(close)):
        if i < n - 1:
            lower[i] = middle[i] = upper[i] = math.nan
            continue
        mean = mean_at(close, i, n)
        reach = width * deviation_at(close, i, n)
        lower[i] = mean - reach
        middle[i] = mean
        upper[i] = mean + reach


def channel_into(high: Sequence[float], low: Sequence[float], n: int, lower: MutableSequence[float],
                 upper: MutableSequence[float]) -> None:
    """Donchian's channel: the lowest low and the highest high of `n` bars; the first `n - 1` are NaN."""
    for i in range(len(high)):
        lower[i] = lowest_at(low, i, n) if i >= n - 1 else math.nan
        upper[i] = highest_at(high, i, n) if i >= n - 1 else math.nan


def change_into(values: Sequence[float], n: int, out: MutableSequence[float]) -> None:
    """The rate of change over `n` values, as a part of the older one; the first `n` are NaN."""
    for i in range(len(values)):
        out[i] = change_at(values, i, n) if i >= n else math.nan


def macd_into(values: Sequence[float], fast: int, slow: int, signal: int, line: MutableSequence[float],
              smoothed: MutableSequence[float]) -> None:
    """Appel's MACD: the fast less the slow exponential mean, and the line's own exponential mean; seeded with the first value."""
    fast_mean = 0.0
    slow_mean = 0.0
    mean = 0.0
    for i in range(len(values)):
        fast_mean = float(values[i]) if i == 0 else ema_step(fast_mean, fast, values[i])
        slow_mean = float(values[i]) if i == 0 else ema_step(slow_mean, slow, values[i])
        line[i] = fast_mean - slow_mean
        mean = line[i] if i == 0 else ema_step(mean, signal, line[i])
        smoothed[i] = mean
