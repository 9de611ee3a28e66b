"""Breakout: buy a close above the highest high of some earlier bars, leave on a close below the lowest low of fewer.

Source: Donchian's channel as the Turtles traded it (Faith, Way of the Turtle, 2007; Original Turtle Trading Rules, 2003):
20 bars in, 10 bars out, a stop two true ranges from the entry. The bar itself is no part of the channel that it breaks.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import atr_grow, highest_at, lowest_at, true_range
from engine.kernel.regimes import efficiency_at
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, BarColumns, Held, RuleWant, leave_all, no_want
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """`trail` 1 lets the stop follow the price. It enters only where the last `enter_bars` made good at least `trend_from` of the
    way they went (efficiency ratio, in the direction of the break)."""

    enter_bars: int = 20
    leave_bars: int = 10
    atr_bars: int = 20
    stop_atr: float = 2.0
    trail: int = 0
    risk_bps: int = 100
    shorts: int = 0
    trend_from: float = 0.0


BOUNDS = {
    "enter_bars": Bound(2, 1_900), "leave_bars": Bound(1, 1_900), "atr_bars": Bound(1, 1_000), "stop_atr": Bound(0.1, 50.0),
    "trail": Bound(0, 1), "risk_bps": Bound(1, 1_000), "shorts": Bound(0, 1), "trend_from": Bound(0.0, 1.0),
}
KEPT: tuple[str, ...] = ()


class Memory(NamedTuple):
    """`high` and `low` are the channel's ends in ticks."""

    seen: int = 0
    atr: float = 0.0
    high: int = 0
    low: int = 0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """The channel before this bar, and whether its close left it."""
    close = bars.closes[place]
    previous = bars.closes[place - 1] if seen > 1 else close
    counted, atr = atr_grow(m.seen, m.atr, p.atr_bars, true_range(bars.highs[place], bars.lows[place], previous))
    if seen <= warmup(p):
        return Memory(counted, atr, 0, 0), no_want()
    high = int(highest_at(bars.highs, place - 1, p.enter_bars))
    low = int(lowest_at(bars.lows, place - 1, p.enter_bars))
    after = Memory(counted, atr, high, low)
    if (held.lots > 0 and close < lowest_at(bars.lows, place - 1, p.leave_bars)) \
            or (held.lots < 0 and close > highest_at(bars.highs, place - 1, p.leave_bars)):
        return after, leave_all()
    sign = 1 if close > high else -1 if close < low and p.shorts else 0
    if sign == 0 or held.lots != 0 or held.waiting != 0:
        return after, no_want()
    if p.trend_from > 0.0 and sign * efficiency_at(bars.closes, place, p.enter_bars) < p.trend_from:
        return after, no_want()
    reach = max(1, round(p.stop_atr * atr))
    stop_ticks = 0 if p.trail else max(1, close - sign * reach)
    return after, RuleWant(ENTER, sign, BY_RISK, p.risk_bps, stop_ticks, 0, reach if p.trail else 0, 0)


def warmup(p: Params) -> int:
    return max(p.enter_bars, p.leave_bars, p.atr_bars)


def problem(p: Params) -> str:
    return "" if p.leave_bars <= p.enter_bars else f"leave_bars = {p.leave_bars}: must not be above enter_bars = {p.enter_bars}"


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The channel and how the close left it, in words."""
    if want.act == LEAVE:
        return f"closed beyond the other end of the last {p.leave_bars} bars: leave"
    end, level = ("above the high", m.high) if want.sign > 0 else ("below the low", m.low)
    stop = f"trail {price(want.trail_ticks)}" if want.trail_ticks else f"stop {price(want.stop_ticks)}"
    return f"closed {end} {price(level)} of {p.enter_bars} bars; {stop}"
