"""When a position is left: stop, target, trailing, breakeven, longest hold; judged on a price or pessimistically in a bar.

Plain functions over integers, interpreted by the engine and compiled as they stand for research. A level of 0 ticks
stands for "not asked". `sign` is +1 for a long and -1 for a short.
"""

from typing import NamedTuple

from engine.kernel.rounding import scaled_down

NO_EXIT = 0
STOP_HIT = 1
TARGET_HIT = 2
HOLD_OVER = 3

BPS = 10_000


class ExitState(NamedTuple):
    """What the exit rules need of one position.

    `entry_ticks` is the average entry rounded away from risk (a long's up, a short's down), `stop_ticks` the level in
    force, `best_ticks` the best price seen since entry.
    """

    sign: int
    entry_ticks: int
    opened_at_ns: int
    stop_ticks: int
    best_ticks: int
    target_ticks: int
    trail_ticks: int
    trail_bps: int
    breakeven_at_ticks: int
    breakeven_to_ticks: int
    max_hold_ns: int


def trail_level(sign: int, best_ticks: int, trail_ticks: int, trail_bps: int) -> int:
    """The stop that a trail demands under `best_ticks`, rounded away from risk; 0 where no trail is asked.

    A trail is at least one tick wide: a narrower one would be hit by the very price it follows.
    """
    if trail_ticks > 0:
        return max(0, best_ticks - sign * trail_ticks)
    if trail_bps <= 0 or best_ticks <= 0:
        return 0
    if sign > 0:
        return max(0, min(best_ticks - 1, best_ticks - scaled_down(best_ticks, trail_bps, BPS)))
    return max(best_ticks + 1, best_ticks + scaled_down(best_ticks, trail_bps, BPS))


def tighter_stop(sign: int, one_ticks: int, other_ticks: int) -> int:
    """The nearer of two stops: a long's higher, a short's lower; 0 is no stop at all."""
    if one_ticks <= 0:
        return max(0, other_ticks)
    if other_ticks <= 0:
        return one_ticks
    return max(one_ticks, other_ticks) if sign > 0 else min(one_ticks, other_ticks)


def trailed(state: ExitState, price_ticks: int) -> tuple[int, int]:
    """The stop and the best price once `price_ticks` was seen: `(stop_ticks, best_ticks)`; neither ever retreats.

    Only the best price matters, not the way to it: a run of prices leaves what its best alone would leave.
    """
    sign = state.sign
    best_ticks = state.best_ticks
    if price_ticks > 0 and (best_ticks <= 0 or (price_ticks - best_ticks) * sign > 0):
        best_ticks = price_ticks
    stop_ticks = state.stop_ticks
    if best_ticks > 0:
        stop_ticks = tighter_stop(sign, stop_ticks, trail_level(sign, best_ticks, state.trail_ticks, state.trail_bps))
        if state.breakeven_at_ticks > 0 and (best_ticks - state.breakeven_at_ticks) * sign >= 0:
            level_ticks = state.breakeven_to_ticks if state.breakeven_to_ticks > 0 else state.entry_ticks
            stop_ticks = tighter_stop(sign, stop_ticks, level_ticks)
    return stop_ticks, best_ticks
