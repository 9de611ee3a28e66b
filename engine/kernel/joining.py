"""Closed bars joined into longer ones: the one place that says where a longer bar begins and ends, what it holds, and when it is
told. Plain functions over flat NamedTuples, interpreted live and compiled for history.

A longer bar's bucket begins at a multiple of its length, counted from midnight UTC. A market that closes cuts it: no longer bar
holds anything from outside a session or reaches over its end. It is told with the part that closes at its end or later; where
that part is missing, with the first part from beyond it. A part tells one longer bar at most, so of two that are over at once
the older is told first and the next with the next part: each once, none before it is over. The first bucket is told only where
its beginning was seen.
"""

from typing import NamedTuple

NEVER_OPENS_NS = -(1 << 62)
NEVER_CLOSES_NS = 1 << 62


class Gathered(NamedTuple):
    """The bucket `[start_ns, end_ns)` with what its parts so far come to. `parts` is 0 where nothing is gathered; `start_ns` is
    -1 before any part was seen; `whole` is 0 where parts of it may be missing since nothing before them is known."""

    start_ns: int
    end_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int
    parts: int
    whole: int


class Part(NamedTuple):
    """A closed bar that longer ones are made of; the fields of a bar without its instrument."""

    open_ns: int
    close_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume_lots: int


def nothing_gathered() -> Gathered:
    return Gathered(-1, 0, 0, 0, 0, 0, 0, 0, 0)


def fits(part: Part, bar_ns: int) -> bool:
    """Whether a part lies within one bucket."""
    return part.close_ns <= (part.open_ns // bar_ns + 1) * bar_ns


def joined(before: Gathered, part: Part, bar_ns: int, session_open_ns: int,
           session_close_ns: int) -> tuple[Gathered, Gathered, bool]:
    """One more part: `(what is gathered now, a bucket, whether that bucket is a longer bar to tell)`.

    The session is the one that holds the part's opening, or else the next one; for a market that never closes it is all time.
    """
    over = before.parts > 0 and part.open_ns >= before.end_ns
    if before.parts > 0 and not over:
        after = Gathered(
            before.start_ns, before.end_ns, before.open_ticks, max(before.high_ticks, part.high_ticks),
            min(before.low_ticks, part.low_ticks), part.close_ticks, before.volume_lots + part.volume_lots, before.parts + 1,
            before.whole)
    elif part.open_ns < session_open_ns:
        after = Gathered(part.open_ns, 0, 0, 0, 0, 0, 0, 0, 0)
    else:
        start_ns = max(part.open_ns // bar_ns * bar_ns, session_open_ns)
        end_ns = min((part.open_ns // bar_ns + 1) * bar_ns, session_close_ns)
        whole = 1 if before.start_ns >= 0 or part.open_ns <= start_ns else 0
        after = Gathered(start_ns, end_ns, part.open_ticks, part.high_ticks, part.low_ticks, part.close_ticks,
                         part.volume_lots, 1, whole)
    if over and before.whole != 0:
        return after, before, True
    if after.parts > 0 and part.close_ns >= after.end_ns:
        return Gathered(after.start_ns, 0, 0, 0, 0, 0, 0, 0, 0), after, after.whole != 0
    return after, before, False
