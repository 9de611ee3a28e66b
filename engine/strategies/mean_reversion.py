"""Mean reversion: buy what closed far below its mean, or is oversold, and leave once it is back at the mean.

Sources: Bollinger, Bollinger on Bollinger Bands (2001): bands of standard deviations around a simple mean; Wilder, New
Concepts in Technical Trading Systems (1978): the relative strength index. `use_bands` and `use_rsi` say which of the two must
agree. A stop in true ranges and a longest holding time bound what does not come back.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import atr_grow, deviation_at, mean_at, rsi_grow, rsi_value, true_range
from engine.kernel.regimes import efficiency_at
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, BarColumns, Held, RuleWant, leave_all, no_want, spacing_ns
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """`width` is in standard deviations; oversold is an index below `rsi_low`, overbought one above 100 less it. It stays out of
    trends: where `mean_bars` made good more than `trend_most` of the way they went (efficiency ratio; 1 asks nothing)."""

    mean_bars: int = 20
    width: float = 2.0
    rsi_bars: int = 14
    rsi_low: float = 30.0
    use_bands: int = 1
    use_rsi: int = 0
    atr_bars: int = 14
    stop_atr: float = 3.0
    risk_bps: int = 100
    max_hold_bars: int = 100
    shorts: int = 0
    trend_most: float = 1.0


BOUNDS = {
    "mean_bars": Bound(2, 1_900), "width": Bound(0.1, 10.0), "rsi_bars": Bound(2, 1_000), "rsi_low": Bound(1.0, 49.0),
    "use_bands": Bound(0, 1), "use_rsi": Bound(0, 1), "atr_bars": Bound(1, 1_000), "stop_atr": Bound(0.1, 50.0),
    "risk_bps": Bound(1, 1_000), "max_hold_bars": Bound(0, 100_000), "shorts": Bound(0, 1),
    "trend_most": Bound(0.01, 1.0),
}
KEPT: tuple[str, ...] = ()


class Memory(NamedTuple):
    """`reach` is how far the close lies from the mean, in standard deviations."""

    atr_seen: int = 0
    atr: float = 0.0
    rsi_seen: int = 0
    gain: float = 0.0
    loss: float = 0.0
    mean: float = 0.0
    reach: float = 0.0
    rsi: float = 50.0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """Where the close stands against its mean and its recent strength, and what that asks for."""
    after = _measured(p, m, bars, place, seen)
    if seen <= warmup(p):
        return after, no_want()
    if (held.lots > 0 and after.reach >= 0.0) or (held.lots < 0 and after.reach <= 0.0):
        return after, leave_all()
    if held.lots != 0 or held.waiting != 0:
        return after, no_want()
    low = (p.use_bands == 0 or after.reach < -p.width) and (p.use_rsi == 0 or after.rsi < p.rsi_low)
    high = (p.use_bands == 0 or after.reach > p.width) and (p.use_rsi == 0 or after.rsi > 100.0 - p.rsi_low)
    sign = 1 if low else -1 if high and p.shorts else 0
    if sign == 0 or (p.trend_most < 1.0 and abs(efficiency_at(bars.closes, place, p.mean_bars)) > p.trend_most):
        return after, no_want()
    stop_ticks = max(1, bars.closes[place] - sign * max(1, round(p.stop_atr * after.atr)))
    hold_ns = p.max_hold_bars * spacing_ns(bars, place, seen)
    return after, RuleWant(ENTER, sign, BY_RISK, p.risk_bps, stop_ticks, 0, 0, hold_ns)


def _measured(p: Params, m: Memory, bars: BarColumns, place: int, seen: int) -> Memory:
    close = bars.closes[place]
    previous = bars.closes[place - 1] if seen > 1 else close
    atr_seen, atr = atr_grow(m.atr_seen, m.atr, p.atr_bars, true_range(bars.highs[place], bars.lows[place], previous))
    rsi_seen, gain, loss = m.rsi_seen, m.gain, m.loss
    if seen > 1:
        rsi_seen, gain, loss = rsi_grow(rsi_seen, gain, loss, p.rsi_bars, float(close - previous))
    mean = float(close)
    reach = 0.0
    if seen >= p.mean_bars:
        mean = mean_at(bars.closes, place, p.mean_bars)
        deviation = deviation_at(bars.closes, place, p.mean_bars)
        reach = (close - mean) / deviation if deviation > 0.0 else 0.0
    return Memory(atr_seen, atr, rsi_seen, gain, loss, mean, reach, rsi_value(gain, loss))


def warmup(p: Params) -> int:
    return max(p.mean_bars, p.rsi_bars + 1, p.atr_bars)


def problem(p: Params) -> str:
    return "" if p.use_bands or p.use_rsi else "use_bands and use_rsi are both 0: one of them has to say when to buy"


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The close's distance from its mean and what it is answered with, in words."""
    where = f"{m.reach:+.2f} deviations from the mean {price(m.mean)} of {p.mean_bars} bars, RSI {m.rsi:.1f}"
    return f"{where}: leave" if want.act == LEAVE else f"{where}; stop {price(want.stop_ticks)}"
