"""Dollar-cost averaging: buy a fixed part of equity at fixed intervals, more of it the further the price lies below its mean.

Sources: Graham, The Intelligent Investor (1949), on buying the same sum at equal intervals; the weighting by the dip follows
the idea of value averaging (Edleson, Value Averaging, 1988) without ever selling. The stop lies far below: it is there for
the catastrophe, not for the ordinary fall.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import mean_at
from engine.kernel.wants import BY_SHARE, ENTER, BarColumns, Held, RuleWant, no_want
from engine.strategies.registry import Bound

NS_PER_SECOND = 1_000_000_000


class Params(NamedTuple):
    """Every `interval_seconds` `buy_bps` of equity; a dip of d below the mean of `mean_bars` buys `1 + dip_weight * d` times
    that, at most `most_times` as much. `most_buys` ends it (0: never)."""

    interval_seconds: int = 86_400
    buy_bps: int = 100
    mean_bars: int = 50
    dip_weight: float = 0.0
    most_times: float = 3.0
    most_buys: int = 0
    stop_bps: int = 5_000


BOUNDS = {
    "interval_seconds": Bound(60, 366 * 86_400), "buy_bps": Bound(1, 10_000), "mean_bars": Bound(1, 1_900),
    "dip_weight": Bound(0.0, 100.0), "most_times": Bound(1.0, 20.0), "most_buys": Bound(0, 100_000), "stop_bps": Bound(0, 9_900),
}
KEPT = ("bought_ns", "buys")


class Memory(NamedTuple):
    """When it last bought (0: never), and how often."""

    bought_ns: int = 0
    buys: int = 0
    dip: float = 0.0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """Whether a purchase is due, and how large it is."""
    close = bars.closes[place]
    dip = 0.0
    if seen >= p.mean_bars:
        mean = mean_at(bars.closes, place, p.mean_bars)
        dip = max(0.0, 1.0 - close / mean)
    due = m.bought_ns == 0 or bars.closes_ns[place] - m.bought_ns >= p.interval_seconds * NS_PER_SECOND
    if seen < p.mean_bars or not due or held.waiting != 0 or held.lots < 0 or (p.most_buys > 0 and m.buys >= p.most_buys):
        return Memory(m.bought_ns, m.buys, dip), no_want()
    times = min(p.most_times, 1.0 + p.dip_weight * dip)
    size_bps = max(1, int(p.buy_bps * times))
    stop_ticks = max(1, close - max(1, close * p.stop_bps // 10_000)) if p.stop_bps > 0 else 0
    return (Memory(bars.closes_ns[place], m.buys + 1, dip),
            RuleWant(ENTER, 1, BY_SHARE, size_bps, stop_ticks, 0, 0, 0))


def warmup(p: Params) -> int:
    return p.mean_bars


def problem(_: Params) -> str:
    return ""


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """Which purchase it is, in words."""
    dip = f", {100 * m.dip:.1f} % below the mean of {p.mean_bars} bars" if p.dip_weight else ""
    stop = f"; stop {price(want.stop_ticks)}" if want.stop_ticks else ""
    return f"purchase {m.buys} of {want.size_bps / 100:g} % of equity{dip}{stop}"
