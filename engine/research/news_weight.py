"""How far news may move a forecast, whatever it says and whoever believed it."""

import math

from engine.research.aggregation import logit, probability_of

MOST_LOGIT_PER_ITEM = 0.40
_SHORT_OF = 1e-6


def cap_of_items(p_with: float, p_without: float, items: int) -> float:
    """The probability with news, no further from that without than 0.40 in log-odds for each item that carries it."""
    furthest = MOST_LOGIT_PER_ITEM * max(0, items)
    moved = logit(p_with) - logit(p_without)
    if abs(moved) <= furthest:
        return p_with
    return probability_of(logit(p_without) + math.copysign(furthest, moved))


def cap_of_single_source(p_with: float, p_without: float, threshold: float) -> float:
    """The probability with news of one source: at most 0.40 in log-odds from that without it, and never across `threshold`
    (of a long, 0.5 to 1), nor across its mirror image (of a short), which it had not reached without."""
    capped = cap_of_items(p_with, p_without, 1)
    if p_without < threshold <= capped:
        return max(p_without, threshold - _SHORT_OF)
    if p_without > 1 - threshold >= capped:
        return min(p_without, 1 - threshold + _SHORT_OF)
    return capped
