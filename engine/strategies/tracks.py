"""Indicators of a rule of one's own, one step for each bar: what was found for older bars is kept, so that each bar costs one
step however often it is asked, and live values are those of a batch over the same bars."""

from bisect import bisect_left
from collections.abc import Callable
from math import nan
from typing import Any

from engine.kernel.indicators import atr_grow, ema_step, rsi_grow, rsi_value, true_range
from engine.kernel.wants import BarColumns

KEPT_VALUES = 4_000

type Step = Callable[[Any, int, BarColumns, int], tuple[Any, float]]


def _ema(mean: float | None, count: int, bars: BarColumns, at: int) -> tuple[Any, float]:
    value = float(bars.closes[at]) if mean is None else ema_step(mean, count, bars.closes[at])
    return value, value


def _rsi(state: tuple[int, float, float] | None, count: int, bars: BarColumns, at: int) -> tuple[Any, float]:
    if state is None:
        return (0, 0.0, 0.0), nan
    seen, gain, loss = rsi_grow(*state, count, float(bars.closes[at] - bars.closes[at - 1]))
    return (seen, gain, loss), rsi_value(gain, loss) if seen >= count else nan


def _atr(state: tuple[int, float] | None, count: int, bars: BarColumns, at: int) -> tuple[Any, float]:
    high, low = bars.highs[at], bars.lows[at]
    reach = float(high - low) if state is None else true_range(high, low, bars.closes[at - 1])
    seen, value = atr_grow(*(state or (0, 0.0)), count, reach)
    return (seen, value), value if seen >= count else nan


STEPS: dict[str, Step] = {"ema": _ema, "rsi": _rsi, "atr": _atr}


class Track:
    """One indicator over the bars of one instrument, as far as it was asked for."""

    __slots__ = ("_count", "_state", "_step", "_times_ns", "_values")

    def __init__(self, kind: str, count: int) -> None:
        if type(count) is not int or count < 1:
            raise ValueError(f"a count of bars is a whole number from 1 on, not {count!r}")
        self._step, self._count = STEPS[kind], count
        self._state: Any = None
        self._times_ns: list[int] = []
        self._values: list[float] = []

    def at(self, bars: BarColumns, first: int, place: int, back: int) -> float:
        """The value `back` bars before the one at `place`; the instrument's bars begin at `first`."""
        if not self._times_ns or self._times_ns[-1] < bars.closes_ns[place]:
            self._follow(bars, first, place)
        at = bisect_left(self._times_ns, bars.closes_ns[place - back])
        return self._values[at]

    def _follow(self, bars: BarColumns, first: int, place: int) -> None:
        """Take the steps up to `place`; from the beginning where the bar of the last step is no longer known."""
        times_ns = self._times_ns
        begin = bisect_left(bars.closes_ns, times_ns[-1], first, place) + 1 if times_ns else first
        if times_ns and bars.closes_ns[begin - 1] != times_ns[-1]:
            self._state, begin = None, first
            times_ns.clear()
            self._values.clear()
        for at in range(begin, place + 1):
            self._state, value = self._step(self._state, self._count, bars, at)
            times_ns.append(bars.closes_ns[at])
            self._values.append(value)
        if len(times_ns) > 2 * KEPT_VALUES:
            del times_ns[:-KEPT_VALUES], self._values[:-KEPT_VALUES]
