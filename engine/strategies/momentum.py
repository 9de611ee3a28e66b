"""Momentum: long while the price stands higher than some time ago by more than a threshold, out once it no longer does.

Source: Moskowitz, Ooi and Pedersen, Time Series Momentum, Journal of Financial Economics 104 (2012): the sign of an
instrument's own past return tells the sign of the next. The newest bars may be skipped, since very short returns turn back.
A trailing stop in true ranges bounds each loss.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import atr_grow, true_range
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, BarColumns, Held, RuleWant, leave_all, no_want
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """The return is taken over `lookback_bars`, the newest `skip_bars` left out; thresholds are parts of the older price."""

    lookback_bars: int = 120
    skip_bars: int = 0
    enter_above: float = 0.02
    leave_below: float = 0.0
    atr_bars: int = 14
    stop_atr: float = 4.0
    risk_bps: int = 100
    shorts: int = 0


BOUNDS = {
    "lookback_bars": Bound(2, 1_900), "skip_bars": Bound(0, 90), "enter_above": Bound(0.0, 5.0), "leave_below": Bound(-0.9, 5.0),
    "atr_bars": Bound(1, 1_000), "stop_atr": Bound(0.1, 50.0), "risk_bps": Bound(1, 1_000), "shorts": Bound(0, 1),
}
KEPT: tuple[str, ...] = ()


class Memory(NamedTuple):
    seen: int = 0
    atr: float = 0.0
    momentum: float = 0.0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """The return so far, and whether it asks to be in or out."""
    close = bars.closes[place]
    previous = bars.closes[place - 1] if seen > 1 else close
    counted, atr = atr_grow(m.seen, m.atr, p.atr_bars, true_range(bars.highs[place], bars.lows[place], previous))
    if seen <= p.lookback_bars + p.skip_bars or counted < p.atr_bars:
        return Memory(counted, atr, 0.0), no_want()
    newest = bars.closes[place - p.skip_bars]
    momentum = newest / bars.closes[place - p.skip_bars - p.lookback_bars] - 1.0
    after = Memory(counted, atr, momentum)
    if (held.lots > 0 and momentum < p.leave_below) or (held.lots < 0 and momentum > -p.leave_below):
        return after, leave_all()
    if held.lots != 0 or held.waiting != 0:
        return after, no_want()
    sign = 1 if momentum > p.enter_above else -1 if momentum < -p.enter_above and p.shorts else 0
    if sign == 0:
        return after, no_want()
    return after, RuleWant(ENTER, sign, BY_RISK, p.risk_bps, 0, 0, max(1, round(p.stop_atr * atr)), 0)


def warmup(p: Params) -> int:
    return max(p.lookback_bars + p.skip_bars, p.atr_bars)


def problem(p: Params) -> str:
    if p.leave_below > p.enter_above:
        return f"leave_below = {p.leave_below}: must not be above enter_above = {p.enter_above}"
    return ""


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The return and what it is answered with, in words."""
    moved = f"{100 * m.momentum:+.2f} % over {p.lookback_bars} bars"
    if want.act == LEAVE:
        return f"{moved}: leave"
    return f"{moved}; trail {price(want.trail_ticks)}, {p.stop_atr:g} ranges of {price(m.atr)}"
