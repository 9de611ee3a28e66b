"""Grid: buy one part at each step that the price falls below a centre, sell that part one step higher.

Sources: the grid trading of DuPloy, The Expert4x Grid Trend Multiplier (2010), long side only; Chen, Chen and Jang, Dynamic
Grid Trading Strategy (2025), for moving the centre. Steps are equal distances (arithmetic) or equal ratios (geometric); it acts
at bar closes. Below the last step lies the stop for everything. Once nothing is held the centre moves to a close that lies
`recentre_steps` above it, and after a stop to the close `pause_bars` later.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.wants import BY_RISK, BY_SHARE, ENTER, LEAVE, BarColumns, Held, RuleWant, no_want, spacing_ns
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """`step_bps` of the centre (arithmetic) or of the step above (`geometric` 1); each part is `part_bps` of equity."""

    levels: int = 5
    step_bps: int = 100
    geometric: int = 0
    part_bps: int = 500
    stop_steps: int = 2
    recentre_steps: int = 2
    pause_bars: int = 20


BOUNDS = {
    "levels": Bound(1, 50), "step_bps": Bound(1, 5_000), "geometric": Bound(0, 1), "part_bps": Bound(1, 10_000),
    "stop_steps": Bound(1, 50), "recentre_steps": Bound(1, 100), "pause_bars": Bound(0, 10_000),
}
KEPT = ("centre", "parts", "pause_ns")


class Memory(NamedTuple):
    """The centre in ticks (0: none yet), how many parts are held, and until when it waits after a stop (0: it does not)."""

    centre: int = 0
    parts: int = 0
    pause_ns: int = 0


def level_ticks(p: Params, centre: int, step: int) -> int:
    """The price of a step below the centre, at least one tick; negative steps lie above."""
    if p.geometric == 0:
        return max(1, centre - step * max(1, centre * p.step_bps // 10_000))
    level = float(centre)
    for _ in range(abs(step)):
        level = level * (1.0 - p.step_bps / 10_000.0) if step > 0 else level / (1.0 - p.step_bps / 10_000.0)
    return max(1, round(level))


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """How many parts the close asks for, against how many are held."""
    close = bars.closes[place]
    if held.waiting != 0 or seen < 1:
        return m, no_want()
    if bars.closes_ns[place] < m.pause_ns:
        return m, no_want()
    if m.centre == 0 or m.pause_ns > 0:
        return Memory(close, 0, 0), no_want()
    if m.parts > 0 and held.lots <= 0:
        return Memory(close, 0, bars.closes_ns[place] + p.pause_bars * spacing_ns(bars, place, seen)), no_want()
    parts = _parts_at(p, m, close)
    if parts > m.parts:
        stop_ticks = level_ticks(p, m.centre, p.levels + p.stop_steps)
        return (Memory(m.centre, parts, 0),
                RuleWant(ENTER, 1, BY_SHARE, p.part_bps * (parts - m.parts), stop_ticks, 0, 0, 0))
    if parts < m.parts:
        size_bps = 10_000 if parts == 0 else (m.parts - parts) * 10_000 // m.parts
        return Memory(m.centre, parts, 0), RuleWant(LEAVE, 0, BY_RISK, size_bps, 0, 0, 0, 0)
    if m.parts == 0 and close >= level_ticks(p, m.centre, -p.recentre_steps):
        return Memory(close, 0, 0), no_want()
    return m, no_want()


def _parts_at(p: Params, m: Memory, close: int) -> int:
    """Each step that the close reached adds a part; a part goes again where the close is back at the step above its own."""
    parts = m.parts
    while parts < p.levels and close <= level_ticks(p, m.centre, parts + 1):
        parts += 1
    while parts > 0 and close >= level_ticks(p, m.centre, parts - 1):
        parts -= 1
    return parts


def warmup(_: Params) -> int:
    return 1


def problem(p: Params) -> str:
    if p.geometric == 0 and (p.levels + p.stop_steps) * p.step_bps >= 10_000:
        steps = p.levels + p.stop_steps
        return f"step_bps = {p.step_bps}: {steps} steps down to the stop reach below zero; take smaller or fewer ones"
    return ""


def explain(p: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The step that was reached, in words."""
    where = f"grid around {price(m.centre)}, {m.parts} of {p.levels} parts"
    return f"{where}: sell at the step above" if want.act == LEAVE else f"{where}; stop {price(want.stop_ticks)}"
