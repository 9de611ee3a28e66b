"""Recorded bars, or market trades, closed into longer bars: what a strategy for longer bars is tested on."""

from typing import Any

from engine.backtest.run import Series
from engine.errors import TapeError
from engine.kernel.wants import BarColumns
from engine.units import NS_PER_SECOND, Nanoseconds

NS_PER_DAY = 86_400 * NS_PER_SECOND


def in_longer_bars(series: Series, bar_ns: Nanoseconds) -> Series:
    """The same market in bars of a length that divides a day, counted from midnight UTC; none where nothing was recorded.

    A bar opens with the first of its parts and closes at its end: one whose end lies beyond the last part is left out, since it
    had not closed. A market trade is a part that opens and closes at one moment. Raises `TapeError` for bars that do not fit.
    """
    import numpy

    if bar_ns <= 0 or NS_PER_DAY % bar_ns:
        raise TapeError("bars must be of a length that divides a day, such as 5m, 1h, 4h or 1d")
    opens_ns, closes_ns, opens, highs, lows, closes, volumes = (numpy.asarray(column) for column in series.bars)
    number: Any = opens_ns // bar_ns
    crossing = numpy.flatnonzero(closes_ns > (number + 1) * bar_ns)
    if len(crossing):
        seconds = int(closes_ns[crossing[0]] - opens_ns[crossing[0]]) // NS_PER_SECOND
        raise TapeError(f"a bar of {seconds:,} s does not fit into bars of {bar_ns // NS_PER_SECOND:,} s; name a longer length "
                        "that its bars divide")
    firsts = numpy.flatnonzero(numpy.diff(number, prepend=number[:1] - 1))
    lasts = numpy.append(firsts[1:], len(number)) - 1
    ends_ns = (number[firsts] + 1) * bar_ns
    whole = ends_ns <= closes_ns[-1]
    columns = (number[firsts] * bar_ns, ends_ns, opens[firsts], numpy.maximum.reduceat(highs, firsts),
               numpy.minimum.reduceat(lows, firsts), closes[lasts], numpy.add.reduceat(volumes, firsts))
    made: list[Any] = [numpy.ascontiguousarray(column[whole]) for column in columns]
    return Series(series.instrument, BarColumns(*made))
