"""The reliability plot: how often forecasts of about p came true, with how sure one can be of that."""

from bisect import bisect_left
from collections.abc import Sequence
from math import fsum, sqrt

from engine.research_words import BinView

BINS = 10
HOLLOW_UNDER = 10
Z_95 = 1.959963984540054


def wilson(came_true: int, of: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson's interval of a share (1927); from 0 to 1 where nothing was seen."""
    if of <= 0:
        return 0.0, 1.0
    share, square = came_true / of, z * z / of
    centre = share + square / 2
    spread = z * sqrt(share * (1 - share) / of + square / (4 * of))
    return max(0.0, (centre - spread) / (1 + square)), min(1.0, (centre + spread) / (1 + square))


def bins(ps: Sequence[float], ys: Sequence[int], count: int = BINS) -> tuple[BinView, ...]:
    """Equal bins from 0 to 1, those without a forecast left out; a value on an edge belongs to the lower bin, as it does in
    scikit-learn's `calibration_curve(strategy="uniform")`."""
    edges = [place / count for place in range(1, count)]
    members: list[list[tuple[float, int]]] = [[] for _ in range(count)]
    for p, y in zip(ps, ys, strict=True):
        members[bisect_left(edges, p)].append((p, y))
    return tuple(_bin(place, count, own) for place, own in enumerate(members) if own)


def _bin(place: int, count: int, own: Sequence[tuple[float, int]]) -> BinView:
    came_true, of = sum(y for _, y in own), len(own)
    low, high = wilson(came_true, of)
    return BinView(place / count, (place + 1) / count, of, fsum(p for p, _ in own) / of, came_true / of, low, high,
                   hollow=of < HOLLOW_UNDER)
