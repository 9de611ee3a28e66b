"""When a quote or a bar reaches an order, and how much it leaves to take; prices in a bar come from the kernel's rules.

The rules are pessimistic where the data leave room: a stop that a bar could have reached was reached, and a gap through
a level executes at the price after the gap.
`sign` is +1 for an order to buy and -1 for one to sell.
"""

from engine.inputs import Bar
from engine.units import Lots, Ticks

UNLIMITED_LOTS = 1 << 62


def available_lots(size_lots: Lots, share_bps: int, used_lots: Lots) -> Lots:
    """What may still be taken from a size; an unknown size (0) does not limit."""
    if size_lots <= 0:
        return UNLIMITED_LOTS
    return max(0, max(1, size_lots * share_bps // 10_000) - used_lots)


def stop_reached(sign: int, trigger_ticks: Ticks, bid_ticks: Ticks, ask_ticks: Ticks) -> bool:
    """A stop to sell is judged by the bid, one to buy by the ask; equality is a hit."""
    if sign > 0:
        return ask_ticks >= trigger_ticks
    return 0 < bid_ticks <= trigger_ticks


def limit_reached(sign: int, limit_ticks: Ticks, bid_ticks: Ticks, ask_ticks: Ticks) -> bool:
    """Whether a limit could execute against the opposite side of the quote."""
    if sign > 0:
        return 0 < ask_ticks <= limit_ticks
    return bid_ticks >= limit_ticks


def trail_level(sign: int, best_ticks: Ticks, trail_ticks: Ticks, trail_bps: int) -> Ticks:
    """The trigger a trailing stop demands at its best price; an order to sell trails below, one to buy above."""
    distance = trail_ticks or best_ticks * trail_bps // 10_000
    return max(1, best_ticks + sign * max(1, distance))


def stop_in_bar(sign: int, trigger_ticks: Ticks, bar: Bar, *, entered_inside: bool) -> Ticks:
    """The trigger, or the open where the bar began beyond it; an order born inside the bar did not see the open."""
    if sign > 0:
        if bar.high_ticks < trigger_ticks:
            return 0
        return trigger_ticks if entered_inside else max(trigger_ticks, bar.open_ticks)
    if bar.low_ticks > trigger_ticks:
        return 0
    return trigger_ticks if entered_inside else min(trigger_ticks, bar.open_ticks)
