"""What a strategy's rule sees of the market and of its own position, and what it may want after a closed bar.

A rule is a plain function, interpreted live and compiled as it stands for research:

    rule(params, memory, bars, place, seen, held) -> (memory, want)

`params` and `memory` are flat NamedTuples of numbers. `bars` are columns; the bar that has just closed stands at index
`place`, and `seen` bars of its instrument (itself included) are known, at `place - seen + 1 .. place`. Nothing beyond `place`
may be read. What a rule keeps from bar to bar it keeps in `memory`.
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.kernel.rounding import scaled_down

NOTHING = 0
ENTER = 1
LEAVE = 2

BY_RISK = 0
BY_SHARE = 1

LONGEST_HOLD_NS = 10 * 366 * 86_400 * 1_000_000_000


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


SPACING_BARS = 400


def spacing_ns(bars: BarColumns, place: int, seen: int) -> int:
    """How far apart bars close, on the mean of the newest ones: nights and weekends between sessions included."""
    back = min(seen - 1, SPACING_BARS)
    if back < 1:
        return bars.closes_ns[place] - bars.opens_ns[place]
    return (bars.closes_ns[place] - bars.closes_ns[place - back]) // back


def no_want() -> RuleWant:
    return RuleWant(NOTHING, 0, BY_RISK, 0, 0, 0, 0, 0)


def leave_all() -> RuleWant:
    return RuleWant(LEAVE, 0, BY_RISK, 10_000, 0, 0, 0, 0)


def flat() -> Held:
    return Held(0, 0, 0, 0, 0)


# ---- baskets -------------------------------------------------------------------------------------------------------------
#
#     weights(params, memory, columns, places, seen, held, out) -> memory
#
# `columns`, `places` and `held` are tuples in the order of the basket's instruments; it is asked once for each moment at which
# every one of them has a bar that closes then, after the last of these bars. `seen` is the least number of bars known of any.
# `out` receives a target for each instrument in hundredths of a percent of equity, signed; what is left at KEEP stays as it is.

KEEP = -(1 << 31)


def weight_want(target_bps: int, now_bps: int, band_bps: int, stop_ticks: int) -> RuleWant:
    """What brings a holding to its target weight: leave, leave a part, add, or nothing where it is within `band_bps` of it.

    A change of side leaves first; the next moment then enters the other one.
    """
    if target_bps == KEEP or abs(target_bps - now_bps) <= (band_bps if target_bps != 0 else 0):
        return no_want()
    if target_bps == 0 or target_bps * now_bps < 0:
        return leave_all() if now_bps != 0 else no_want()
    more_bps = abs(target_bps) - abs(now_bps)
    if more_bps < 0:
        return RuleWant(LEAVE, 0, BY_RISK, max(1, -more_bps * 10_000 // abs(now_bps)), 0, 0, 0, 0)
    return RuleWant(ENTER, 1 if target_bps > 0 else -1, BY_SHARE, more_bps, stop_ticks, 0, 0, 0)


def weight_bps(lots: int, price_ticks: int, value_num: int, value_den: int, equity_minor: int) -> int:
    """A holding's worth in hundredths of a percent of equity, signed, rounded toward zero but never to it;
    0 without equity."""
    if equity_minor <= 0 or lots == 0:
        return 0
    worth_minor = abs(lots) * price_ticks * value_num // value_den
    part = max(1, scaled_down(worth_minor, 10_000, equity_minor))
    return part if lots > 0 else -part


def basket_want(target_bps: int, held: Held, close_ticks: int, value_num: int, value_den: int, equity_minor: int, band_bps: int,
                stop_bps: int) -> RuleWant:
    """What brings one holding of a basket to its target at the close of a moment; an entry on its way is waited for."""
    now_bps = weight_bps(held.lots, close_ticks, value_num, value_den, equity_minor)
    awaited = KEEP if held.waiting != 0 and target_bps != 0 else target_bps
    return weight_want(awaited, now_bps, band_bps, stop_at(close_ticks, 1 if target_bps > 0 else -1, stop_bps))


def stop_at(close_ticks: int, sign: int, stop_bps: int) -> int:
    """A stop some hundredths of a percent away from a price; 0 where none is asked."""
    return max(1, close_ticks - sign * max(1, close_ticks * stop_bps // 10_000)) if stop_bps > 0 else 0
