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
SAME_MOMENT_NS = 1_000_000  # a runner may spread what happens at one moment over some nanoseconds


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


def better_price(sign: int, best_ticks: int, price_ticks: int) -> int:
    """The best of the prices seen once `price_ticks` was: a long's highest, a short's lowest; 0 is none."""
    if price_ticks > 0 and (best_ticks <= 0 or (price_ticks - best_ticks) * sign > 0):
        return price_ticks
    return best_ticks


def trailed(state: ExitState, price_ticks: int) -> tuple[int, int]:
    """The stop and the best price once `price_ticks` was seen: `(stop_ticks, best_ticks)`; neither ever retreats.

    Only the best price matters, not the way to it: a run of prices leaves what its best alone would leave.
    """
    sign = state.sign
    best_ticks = better_price(sign, state.best_ticks, price_ticks)
    stop_ticks = state.stop_ticks
    if best_ticks > 0:
        stop_ticks = tighter_stop(sign, stop_ticks, trail_level(sign, best_ticks, state.trail_ticks, state.trail_bps))
        if state.breakeven_at_ticks > 0 and (best_ticks - state.breakeven_at_ticks) * sign >= 0:
            level_ticks = state.breakeven_to_ticks if state.breakeven_to_ticks > 0 else state.entry_ticks
            stop_ticks = tighter_stop(sign, stop_ticks, level_ticks)
    return stop_ticks, best_ticks


def hold_is_over(opened_at_ns: int, max_hold_ns: int, at_ns: int) -> bool:
    """Whether a position has been held for its longest time; 0 is no longest time."""
    return max_hold_ns > 0 and at_ns - opened_at_ns >= max_hold_ns - SAME_MOMENT_NS


def exit_on_price(state: ExitState, bid_ticks: int, ask_ticks: int, at_ns: int) -> int:
    """Which exit the market asks for now: a long is judged by the bid, a short by the ask; equality is a hit.

    The stop comes first, then the target, the longest hold last. A side of the market that is 0 judges nothing.
    """
    sign = state.sign
    price_ticks = bid_ticks if sign > 0 else ask_ticks
    if price_ticks > 0:
        if state.stop_ticks > 0 and (price_ticks - state.stop_ticks) * sign <= 0:
            return STOP_HIT
        if state.target_ticks > 0 and (price_ticks - state.target_ticks) * sign >= 0:
            return TARGET_HIT
    if hold_is_over(state.opened_at_ns, state.max_hold_ns, at_ns):
        return HOLD_OVER
    return NO_EXIT


def exit_in_bar(state: ExitState, open_ticks: int, high_ticks: int, low_ticks: int, close_ticks: int,
                open_ns: int, close_ns: int) -> tuple[int, int]:
    """The exit within a bar and its price, told pessimistically: `(code, price_ticks)`, `(NO_EXIT, 0)` for none.

    What is already hit at the open leaves at the open: a gap through the stop costs the gap, one beyond the target
    earns it. Then the adverse extreme is held to come before the favourable one, so where both stop and target lie in
    the bar the stop wins. A hold that ends inside the bar leaves at its close.
    """
    code = exit_on_price(state, open_ticks, open_ticks, open_ns)
    if code != NO_EXIT:
        return code, open_ticks
    adverse_ticks = low_ticks if state.sign > 0 else high_ticks
    favourable_ticks = high_ticks if state.sign > 0 else low_ticks
    if state.stop_ticks > 0 and (adverse_ticks - state.stop_ticks) * state.sign <= 0:
        return STOP_HIT, state.stop_ticks
    if state.target_ticks > 0 and (favourable_ticks - state.target_ticks) * state.sign >= 0:
        return TARGET_HIT, state.target_ticks
    if hold_is_over(state.opened_at_ns, state.max_hold_ns, close_ns):
        return HOLD_OVER, close_ticks
    return NO_EXIT, 0


def bar_step(state: ExitState, open_ticks: int, high_ticks: int, low_ticks: int, close_ticks: int,
             open_ns: int, close_ns: int) -> tuple[int, int, ExitState]:
    """One bar in the life of a position: `(code, price_ticks, state after)`.

    The stop that was in force before the bar is what the bar is held against; only if it survives does the favourable
    extreme ratchet trailing and breakeven, in force from the next bar on.
    """
    code, price_ticks = exit_in_bar(state, open_ticks, high_ticks, low_ticks, close_ticks, open_ns, close_ns)
    if code != NO_EXIT:
        return code, price_ticks, state
    stop_ticks, best_ticks = trailed(state, high_ticks if state.sign > 0 else low_ticks)
    return code, price_ticks, ExitState(
        state.sign, state.entry_ticks, state.opened_at_ns, stop_ticks, best_ticks, state.target_ticks,
        state.trail_ticks, state.trail_bps, state.breakeven_at_ticks, state.breakeven_to_ticks, state.max_hold_ns)
