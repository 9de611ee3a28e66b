"""How far news may move a forecast, whatever it says and whoever believed it."""

import math
from collections.abc import Callable

from engine.research.aggregation import logit, probability_of

MOST_LOGIT_PER_ITEM = 0.40


def cap_of_items(p_with: float, p_without: float, items: int) -> float:
    """The probability with news, no further from that without than 0.40 in log-odds for each item that carries it."""
    furthest = MOST_LOGIT_PER_ITEM * max(0, items)
    moved = logit(p_with) - logit(p_without)
    if abs(moved) <= furthest:
        return p_with
    return probability_of(logit(p_without) + math.copysign(furthest, moved))


def cap_of_single_source(p_with: float, p_without: float, threshold: float,
                         weighed: Callable[[float], float] = lambda p: p) -> float:
    """The probability with news of one source: at most 0.40 in log-odds from that without it; and where it would cross
    `threshold` (of a long, 0.5 to 1) or its mirror image (of a short), which was not reached without, it moves nothing.

    `weighed` is what a probability is held against the threshold as, the calibrated one say.
    """
    capped = cap_of_items(p_with, p_without, 1)
    before, after = weighed(p_without), weighed(capped)
    makes_a_long = before < threshold <= after
    makes_a_short = before > 1 - threshold >= after
    return p_without if makes_a_long or makes_a_short else capped
