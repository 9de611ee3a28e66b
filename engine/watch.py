"""The quiet band of a position: while the price stays inside it, no exit rule can have anything to say.

The band is derived from the exit plan whenever a position changes, so that a quote costs one dictionary lookup and three
comparisons, whatever the plan and however many positions there are elsewhere. It errs on the side of asking: outside it
the kernel's rules decide, exactly.
"""

from typing import NamedTuple

from engine.kernel.exits import SAME_MOMENT_NS
from engine.positions import Position
from engine.units import Nanoseconds, Ticks

NEVER_NS = 1 << 62
FAR_TICKS = 1 << 62


class Watch(NamedTuple):
    """`low < price < high` and a time before `until_ns` need no look; a long's price is the bid, a short's the ask."""

    key: str
    sign: int
    low_ticks: Ticks
    high_ticks: Ticks
    until_ns: Nanoseconds


def trail_step(position: Position, step_fraction: float) -> Ticks:
    """How far a trailing stop must be able to move before it is moved: a part of the trail's distance, at least one tick."""
    plan = position.plan
    distance = plan.trail_ticks or position.stop_ticks * plan.trail_bps // 10_000
    return max(1, int(distance * step_fraction))


def watch_of(position: Position, step_fraction: float) -> Watch:
    """The quiet band of a position; a position on its way out, or without a plan, is never asked."""
    if (position.exit_reason and not position.exit_lots) or position.touched_at_ns:
        return Watch(position.key, position.sign, -FAR_TICKS, FAR_TICKS, NEVER_NS)
    plan, sign = position.plan, position.sign
    until_ns = position.opened_at_ns + plan.max_hold_ns - SAME_MOMENT_NS if plan.max_hold_ns else NEVER_NS
    favourable = [level for level in (plan.target_ticks, _breakeven_due(position), _trail_due(position, step_fraction)) if level]
    adverse = position.stop_ticks
    if sign > 0:
        return Watch(position.key, sign, adverse or -FAR_TICKS, min(favourable, default=FAR_TICKS), until_ns)
    return Watch(position.key, sign, max(favourable, default=-FAR_TICKS), adverse or FAR_TICKS, until_ns)


def _breakeven_due(position: Position) -> Ticks:
    """The breakeven trigger while the stop has not reached its breakeven level, else 0."""
    plan = position.plan
    if not plan.breakeven_at_ticks:
        return 0
    done = position.stop_ticks and (position.stop_ticks - plan.breakeven_to_ticks) * position.sign >= 0
    return 0 if done else plan.breakeven_at_ticks


def _trail_due(position: Position, step_fraction: float) -> Ticks:
    """A price no further than the first that may move the trailing stop by a step, else 0."""
    plan, sign = position.plan, position.sign
    if not (plan.trail_ticks or plan.trail_bps):
        return 0
    if not position.stop_ticks:
        return position.best_ticks + sign or 1
    aim = position.stop_ticks + sign * trail_step(position, step_fraction)
    if plan.trail_ticks:
        return aim + sign * plan.trail_ticks
    if sign > 0:
        return (aim - 2) * 10_000 // (10_000 - plan.trail_bps) - 1 if plan.trail_bps < 10_000 else FAR_TICKS
    return -(-(aim + 2) * 10_000 // (10_000 + plan.trail_bps)) + 1
