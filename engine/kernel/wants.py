"""What a strategy's rule sees of the market and of its own position, and what it may want after a closed bar.

A rule is a plain function, interpreted live and compiled as it stands for research:

    rule(params, memory, bars, place, seen, held) -> (memory, want)

`params` and `memory` are flat NamedTuples of numbers. `bars` are columns; the bar that has just closed stands at index
`place`, and `seen` bars of its instrument (itself included) are known, at `place - seen + 1 .. place`. Nothing beyond `place`
may be read. What a rule keeps from bar to bar it keeps in `memory`.
"""

from collections.abc import Sequence
from typing import NamedTuple

NOTHING = 0
ENTER = 1
LEAVE = 2

BY_RISK = 0
BY_SHARE = 1


class BarColumns(NamedTuple):
    """Closed bars by column, oldest first: times in ns, prices in ticks, volumes in lots."""

    opens_ns: Sequence[int]
    closes_ns: Sequence[int]
    opens: Sequence[int]
    highs: Sequence[int]
    lows: Sequence[int]
    closes: Sequence[int]
    volumes: Sequence[int]


class Held(NamedTuple):
    """What the strategy holds of the instrument at the bar's close; `lots` is signed, 0 when flat.

    `waiting` is +1 or -1 while an entry of that side is on its way, else 0. `since_bars` counts the bars that closed since the
    position was opened, its own included.
    """

    lots: int
    entry_ticks: int
    stop_ticks: int
    waiting: int
    since_bars: int


class RuleWant(NamedTuple):
    """What a rule wants: nothing, to enter (or add) on the side of `sign`, or to leave.

    Prices are levels in ticks, 0 where not asked; `trail_ticks` is a distance. An entry's size is `size_bps` of equity, either
    at risk between entry and stop (`BY_RISK`) or as notional (`BY_SHARE`). Leaving takes `size_bps` of what is held.
    """

    act: int
    sign: int
    size_kind: int
    size_bps: int
    stop_ticks: int
    target_ticks: int
    trail_ticks: int
    max_hold_ns: int


def no_want() -> RuleWant:
    return RuleWant(NOTHING, 0, BY_RISK, 0, 0, 0, 0, 0)


def leave_all() -> RuleWant:
    return RuleWant(LEAVE, 0, BY_RISK, 10_000, 0, 0, 0, 0)
