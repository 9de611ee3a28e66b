"""How the bars are divided into what parameters are chosen on and what they are judged on.

Source of purging and embargo: Lopez de Prado, Advances in Financial Machine Learning (2018), chapter 7.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from engine.errors import UsageError
from engine.search.outcomes import Span
from engine.units import Nanoseconds

SCHEMES = ("anchored", "rolling", "purged")
LEAST_MOMENTS = 10


class Split(NamedTuple):
    """Stretches to choose on and the one to judge on."""

    choose: tuple[Span, ...]
    judge: Span


class Plan(NamedTuple):
    """How to divide: `windows` stretches to judge on; `choose_share` of the bars come before the first (not for `purged`);
    `purge_bars` are left out between choosing and judging, `embargo_bars` after what is judged on."""

    scheme: str
    windows: int
    choose_share: float
    purge_bars: int
    embargo_bars: int


def splits_of(at_ns: Sequence[Nanoseconds], plan: Plan) -> list[Split]:
    """The splits over rising moments at which bars close; raises `UsageError` where the bars are too few.

    Anchored: all that lies before; rolling: always as many bars as before the first; purged: everything but what is judged on,
    without the bars just before it and, as an embargo, just after it.
    """
    count = len(at_ns)
    start = 0 if plan.scheme == "purged" else round(count * plan.choose_share)
    edges = [start + round((count - start) * number / plan.windows) for number in range(plan.windows + 1)]
    found = []
    for first, end in pairwise(edges):
        if plan.scheme == "purged":
            parts = [(0, first - plan.purge_bars), (end + plan.embargo_bars, count)]
        else:
            parts = [(first - start if plan.scheme == "rolling" else 0, first - plan.purge_bars)]
        chosen = [one for one in parts if one[1] - one[0] >= LEAST_MOMENTS]
        if not chosen or end - first < LEAST_MOMENTS:
            raise UsageError(f"{count} bars are too few for {plan.windows} windows; use fewer, or longer files")
        found.append(Split(tuple(_span(at_ns, *one) for one in chosen), _span(at_ns, first, end)))
    return found


def _span(at_ns: Sequence[Nanoseconds], first: int, end: int) -> Span:
    """The time of the moments from `first` to before `end`: after the moment before, up to the last. At the very beginning, which
    has none before it, one nanosecond before the first."""
    return Span(int(at_ns[first - 1]) if first else int(at_ns[0]) - 1, int(at_ns[end - 1]))
