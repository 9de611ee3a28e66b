"""Pairs: when the ratio of two prices lies far from its mean, buy the cheap one, sell the dear one, leave both at the mean.

Source: Gatev, Goetzmann and Rouwenhorst, Pairs Trading: Performance of a Relative-Value Arbitrage Rule, Review of Financial
Studies 19 (2006), with exponential mean and variance of the ratio instead of a formation period. Both sides carry the same
weight. Where the ratio runs on to `stop_width` the pair is given up until it has come back; so it is when one side was
stopped out.
"""

from collections.abc import Callable, MutableSequence
from math import sqrt
from typing import NamedTuple

from engine.kernel.indicators import variance_step
from engine.kernel.wants import LEAVE, BarColumns, Held, RuleWant
from engine.strategies.registry import Bound

INSTRUMENTS = (2, 2)


class Params(NamedTuple):
    """Widths are in standard deviations of the ratio; each side is `side_bps` of equity; each has a stop `stop_bps` away."""

    mean_bars: int = 100
    enter_width: float = 2.0
    leave_width: float = 0.25
    stop_width: float = 5.0
    side_bps: int = 2_000
    stop_bps: int = 1_000
    band_bps: int = 0


BOUNDS = {
    "mean_bars": Bound(2, 1_900), "enter_width": Bound(0.1, 20.0), "leave_width": Bound(0.0, 20.0),
    "stop_width": Bound(0.2, 50.0), "side_bps": Bound(1, 10_000), "stop_bps": Bound(10, 9_000), "band_bps": Bound(0, 5_000),
}
KEPT = ("side", "given_up")


class Memory(NamedTuple):
    """`side` is +1 where the first is held long, -1 where short; `given_up` 1 until the ratio has come back."""

    mean: float = 0.0
    variance: float = 0.0
    width: float = 0.0
    side: int = 0
    given_up: int = 0


def weights(p: Params, m: Memory, columns: tuple[BarColumns, ...], places: tuple[int, ...], seen: int, held: tuple[Held, ...],
            out: MutableSequence[int]) -> Memory:
    """The ratio against its mean, and the sides that it asks for."""
    ratio = columns[0].closes[places[0]] / columns[1].closes[places[1]]
    if m.mean == 0.0:
        return Memory(ratio, 0.0, 0.0, m.side, m.given_up)
    width = (ratio - m.mean) / sqrt(m.variance) if m.variance > 0.0 else 0.0
    mean, variance = variance_step(m.mean, m.variance, p.mean_bars, ratio)
    if seen <= p.mean_bars:
        return Memory(mean, variance, width, m.side, m.given_up)
    side, given_up = _side_at(p, m, width, held[0], held[1])
    if side != m.side or (side == 0 and (held[0].lots != 0 or held[1].lots != 0)):
        out[0] = side * p.side_bps
        out[1] = -side * p.side_bps
    return Memory(mean, variance, width, side, given_up)


def _side_at(p: Params, m: Memory, width: float, first: Held, second: Held) -> tuple[int, int]:
    """The side after this ratio, and whether the pair is given up."""
    back = abs(width) <= p.leave_width
    given_up = 0 if back else m.given_up
    if m.side == 0:
        if given_up or first.lots != 0 or second.lots != 0 or abs(width) < p.enter_width or abs(width) >= p.stop_width:
            return 0, given_up
        return (-1 if width > 0.0 else 1), 0
    alone = (first.lots == 0) != (second.lots == 0) and first.waiting == 0 and second.waiting == 0
    crossed = width * m.side >= 0.0
    if back or crossed:
        return 0, 0
    if alone or (first.lots == 0 and first.waiting == 0) or abs(width) >= p.stop_width:
        return 0, 1
    return m.side, given_up


def warmup(p: Params) -> int:
    return p.mean_bars


def problem(p: Params) -> str:
    if not p.leave_width < p.enter_width < p.stop_width:
        return f"leave_width {p.leave_width}, enter_width {p.enter_width} and stop_width {p.stop_width} must grow in this order"
    return ""


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The ratio's distance from its mean, in words."""
    where = f"ratio {m.width:+.2f} deviations from its mean of {p.mean_bars} bars"
    if want.act == LEAVE:
        return f"{where}: {'given up' if m.given_up else 'leave'}"
    return f"{where}: {'long' if want.sign > 0 else 'short'}; stop {price(want.stop_ticks)}"
