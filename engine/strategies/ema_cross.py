"""EMA cross: long when a fast exponential mean crosses above a slow one, with a trailing stop and a target in true ranges.

Source of the means and of the range: Appel (exponential moving average, alpha 2 / (n + 1)) and Wilder, New Concepts in
Technical Trading Systems (1978), both started with their first value.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import atr_step, ema_step, true_range
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, BarColumns, Held, RuleWant, leave_all, no_want
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """`shorts` 1 takes the cross below as well; `leave_on_cross` 1 leaves on the opposite cross."""

    fast_bars: int = 20
    slow_bars: int = 50
    atr_bars: int = 14
    stop_atr: float = 2.0
    target_atr: float = 3.0
    risk_bps: int = 100
    warmup_bars: int = 100
    shorts: int = 0
    leave_on_cross: int = 0


BOUNDS = {
    "fast_bars": Bound(1, 1_000), "slow_bars": Bound(2, 2_000), "atr_bars": Bound(1, 1_000), "stop_atr": Bound(0.1, 50.0),
    "target_atr": Bound(0.0, 100.0), "risk_bps": Bound(1, 1_000), "warmup_bars": Bound(2, 2_000), "shorts": Bound(0, 1),
    "leave_on_cross": Bound(0, 1),
}
KEPT: tuple[str, ...] = ()


class Memory(NamedTuple):
    fast: float = 0.0
    slow: float = 0.0
    atr: float = 0.0
    above: int = 0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """The means and the range after one more bar, and what the crossing asks for."""
    close = bars.closes[place]
    high, low = bars.highs[place], bars.lows[place]
    if seen == 1:
        return Memory(float(close), float(close), float(high - low), 0), no_want()
    fast = ema_step(m.fast, p.fast_bars, close)
    slow = ema_step(m.slow, p.slow_bars, close)
    atr = atr_step(m.atr, p.atr_bars, true_range(high, low, bars.closes[place - 1]))
    above = 1 if fast > slow else 0
    after = Memory(fast, slow, atr, above)
    if above == m.above or seen <= max(p.warmup_bars, p.slow_bars, p.atr_bars):
        return after, no_want()
    sign = 1 if above else -1
    if held.lots * sign < 0 and p.leave_on_cross:
        return after, leave_all()
    if held.lots != 0 or held.waiting != 0 or (sign < 0 and not p.shorts):
        return after, no_want()
    trail_ticks = max(1, round(p.stop_atr * atr))
    target_ticks = max(0, close + sign * round(p.target_atr * atr)) if p.target_atr > 0.0 else 0
    return after, RuleWant(ENTER, sign, BY_RISK, p.risk_bps, 0, target_ticks, trail_ticks, 0)


def warmup(p: Params) -> int:
    """Never shorter than the longest mean: before that it is hardly more than the first value."""
    return max(p.warmup_bars, p.slow_bars, p.atr_bars)


def problem(p: Params) -> str:
    return "" if p.fast_bars < p.slow_bars else f"fast_bars = {p.fast_bars}: must be below slow_bars = {p.slow_bars}"


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The crossing and what it is answered with, in words."""
    where = "above" if m.above else "below"
    crossed = f"EMA {p.fast_bars} ({price(m.fast)}) crossed {where} EMA {p.slow_bars} ({price(m.slow)})"
    if want.act == LEAVE:
        return f"{crossed}: leave"
    return f"{crossed}; trail {price(want.trail_ticks)}, {p.stop_atr:g} ranges of {price(m.atr)}"
