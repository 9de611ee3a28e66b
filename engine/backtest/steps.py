"""What a quote and a bar do to one holding, in the order in which the paper venue and the engine take them; plain functions
that also compile.

At a bar's opening quote the venue executes stops, then market orders, then targets; the engine then looks at the quote. Inside
the bar the stop comes before the target, which the market has to trade through. At the close the stop follows the bar's
extreme, and what was held for its longest time leaves with the next quote.
"""

from typing import Any, NamedTuple

from engine.backtest.holdings import (
    BEST,
    HIGH,
    HOLD_NS,
    LEAVING,
    LEAVING_LOTS,
    LEAVING_TICKS,
    LOTS,
    LOW,
    MAX_TICKS,
    NATIVE,
    OPENED_NS,
    STAYS,
    STOP,
    TARGET,
    TRAIL,
    WAITING,
    WAITING_STOP,
    Moment,
    entered,
    leave_later,
    leaves_whole,
    left,
    sign_of,
    trailed_row,
)
from engine.kernel.exits import HOLD_OVER, STOP_HIT, TARGET_HIT, hold_is_over
from engine.kernel.fills import with_slippage
from engine.kernel.rounding import scaled_down

BPS = 10_000


class Friction(NamedTuple):
    """What trading costs beside fees: as the paper venue takes them. `touch_fills` is 1 where a touched target fills;
    `step_fraction` is the part of a trail by which a quote has to move its stop; a stop's heat allows for `gap_bps`."""

    spread_bps: int
    slippage_bps: int
    fill_share_bps: int
    touch_fills: int
    step_fraction: float
    gap_bps: int


def spread_at(open_ticks: int, spread_bps: int) -> int:
    """The spread around a bar's open, as a recorded tape shows it."""
    return max(1, open_ticks * spread_bps // BPS) if spread_bps else 0


def quote_at(open_ticks: int, spread_bps: int) -> tuple[int, int]:
    """The bid and the ask of a bar's opening quote."""
    spread = spread_at(open_ticks, spread_bps)
    bid = open_ticks - spread // 2
    return bid, bid + spread


def worse(w: Any, at: int, friction: Friction, ticks: int, side: int) -> int:
    """A price with slippage, inside what the instrument knows as a price."""
    return int(min(with_slippage(ticks, side, friction.slippage_bps), w[at + MAX_TICKS]))


def stays_within(w: Any, at: int, bid: int, ask: int, high: int, low: int) -> bool:
    """Whether a whole bar, its opening quote included, reaches no level of a holding and its quote moves no stop, where nothing
    waits and nothing is on its way out. Told early, since most bars are like that: all that may happen is at its close."""
    if w[at + WAITING] != 0 or w[at + LEAVING] != STAYS or w[at + HOLD_NS] != 0:
        return False
    stop, target = w[at + STOP], w[at + TARGET]
    if w[at + LOTS] > 0:
        return bool(low > stop and bid > stop and (target == 0 or (high < target and bid < target))
                    and (bid <= w[at + BEST] or w[at + TRAIL] == 0))
    return bool((stop == 0 or (high < stop and ask < stop)) and (target == 0 or (low > target and ask > target))
                and (ask >= w[at + BEST] or w[at + TRAIL] == 0))


def venue_quote(w: Any, at: int, friction: Friction, bid: int, ask: int, when: Moment) -> None:
    """What rests or waits at the venue meets a quote: stops, market orders, then targets; what it fills may meet it again."""
    rested = 0
    if w[at + LOTS] != 0:
        price, sign = bid if w[at + LOTS] > 0 else ask, sign_of(w[at + LOTS])
        beyond = w[at + TARGET] > 0 and (price - w[at + TARGET]) * sign >= 0
        stopped = w[at + STOP] > 0 and (price - w[at + STOP]) * sign <= 0
        if beyond and not stopped and w[at + WAITING] != 0 and w[at + LEAVING] == STAYS:
            rested = abs(w[at + LOTS])
        else:
            out_at_quote(w, at, friction, price, True, when)
    if w[at + WAITING] != 0:
        fresh, target = w[at + LOTS] == 0, w[at + TARGET]
        paid = ask if w[at + WAITING] > 0 else bid
        entered(w, at, worse(w, at, friction, paid, w[at + WAITING]), when)
        price = bid if w[at + LOTS] > 0 else ask
        if fresh:
            out_as_it_enters(w, at, friction, price, when)
        elif rested != 0:
            left(w, at, rested, price, 1, TARGET_HIT, when, target)
            out_at_quote(w, at, friction, price, False, when)


def out_as_it_enters(w: Any, at: int, friction: Friction, price: int, when: Moment) -> None:
    """A position meets the quote that made it. A stop and a target that came with the entry stand at the venue before the engine
    hears of the fill, from which its trailing stop follows."""
    if w[at + NATIVE] != 0:
        trailed, w[at + STOP] = w[at + STOP], w[at + WAITING_STOP]
        out_at_quote(w, at, friction, price, True, when)
        if w[at + LOTS] == 0:
            return
        w[at + STOP] = trailed
    out_at_quote(w, at, friction, price, False, when)


def out_at_quote(w: Any, at: int, friction: Friction, price: int, rested: bool, when: Moment) -> None:
    """Stops first, then what is on its way out, then the target: as a maker where it rested, else as a limited taker."""
    sign, size = sign_of(w[at + LOTS]), abs(w[at + LOTS])
    code, lots, maker, out, decided = STAYS, size, 0, price, w[at + TARGET]
    if w[at + STOP] > 0 and (price - w[at + STOP]) * sign <= 0:
        code, decided = STOP_HIT, w[at + STOP]
    elif w[at + LEAVING] != STAYS:
        code = w[at + LEAVING]
        lots = min(size, w[at + LEAVING_LOTS]) if w[at + LEAVING_LOTS] > 0 else size
    elif w[at + TARGET] > 0 and (price - w[at + TARGET]) * sign >= 0:
        code = TARGET_HIT
    if code == STAYS:
        return
    if w[at + LEAVING] == code:
        decided = w[at + LEAVING_TICKS]
    if code == TARGET_HIT and rested:
        maker = 1
    else:
        out = worse(w, at, friction, price, -sign)
        if code == TARGET_HIT:
            out = max(out, w[at + TARGET]) if sign > 0 else min(out, w[at + TARGET])
    left(w, at, lots, out, maker, code, when, decided)
    if w[at + LOTS] != 0 and w[at + TARGET] > 0 and (price - w[at + TARGET]) * sign >= 0:
        left(w, at, abs(w[at + LOTS]), price, 1, TARGET_HIT, when, w[at + TARGET])


def engine_quote(w: Any, at: int, friction: Friction, bid: int, ask: int, when: Moment) -> None:
    """The engine looks at a quote: what was held for its longest time leaves, a trailing stop follows by whole steps."""
    if leaves_whole(w, at):
        return
    sign = sign_of(w[at + LOTS])
    price = bid if sign > 0 else ask
    if hold_is_over(w[at + OPENED_NS], w[at + HOLD_NS], when.at_ns):
        left(w, at, abs(w[at + LOTS]), worse(w, at, friction, price, -sign), 0, HOLD_OVER, when, price)
    elif w[at + TRAIL] > 0:
        stop, best = trailed_row(w, at, price)
        gained = (stop - w[at + STOP]) * sign
        if gained > 0 and gained >= int(w[at + TRAIL] * friction.step_fraction):
            w[at + STOP], w[at + BEST] = stop, best


def venue_bar(w: Any, at: int, friction: Friction, high: int, low: int, volume: int, when: Moment) -> None:
    """What rests at the venue meets a bar's range: the stop at its level, else the target once traded through."""
    sign, size = sign_of(w[at + LOTS]), abs(w[at + LOTS])
    adverse, favourable = (low, high) if sign > 0 else (high, low)
    beyond = (favourable - w[at + TARGET]) * sign
    code, ticks = STAYS, 0
    if w[at + STOP] > 0 and (adverse - w[at + STOP]) * sign <= 0:
        code, ticks = STOP_HIT, worse(w, at, friction, w[at + STOP], -sign)
    elif w[at + TARGET] > 0 and (beyond > 0 or (friction.touch_fills != 0 and beyond == 0)):
        code, ticks = TARGET_HIT, w[at + TARGET]
    if code == STAYS:
        return
    lots = size
    if volume > 0:
        lots = min(size, max(1, scaled_down(volume, friction.fill_share_bps, BPS)))
    decided = w[at + STOP] if code == STOP_HIT else w[at + TARGET]
    left(w, at, lots, ticks, 1 if code == TARGET_HIT else 0, code, when, decided)
    if lots < size and code == STOP_HIT:
        leave_later(w, at, STOP_HIT, 0, decided)


def engine_bar(w: Any, at: int, high: int, low: int, mark_bid: int, mark_ask: int, close_ns: int,
               stays_open: bool) -> None:
    """The engine looks at a closed bar that the position lived through, at the mark of its close. Where the market closes with
    the bar, an exit that time alone asks for waits for the next open."""
    w[at + LOW], w[at + HIGH] = min(w[at + LOW], low), max(w[at + HIGH], high)
    if leaves_whole(w, at):
        return
    sign = sign_of(w[at + LOTS])
    mark = mark_bid if sign > 0 else mark_ask
    if stays_open and hold_is_over(w[at + OPENED_NS], w[at + HOLD_NS], close_ns):
        leave_later(w, at, HOLD_OVER, 0, mark)
    else:
        follow(w, at, high, low, mark_bid, mark_ask)


def follow(w: Any, at: int, high: int, low: int, mark_bid: int, mark_ask: int) -> None:
    """A trailing stop follows a closed bar's extreme; where it has passed the mark, the position leaves."""
    sign = sign_of(w[at + LOTS])
    extreme = high if sign > 0 else low
    if w[at + TRAIL] == 0 or (extreme - w[at + BEST]) * sign <= 0:
        return
    stop, best = trailed_row(w, at, extreme)
    if (stop - w[at + STOP]) * sign > 0:
        w[at + STOP], w[at + BEST] = stop, best
        mark = mark_bid if sign > 0 else mark_ask
        if (mark - stop) * sign <= 0:
            leave_later(w, at, STOP_HIT, 0, mark)
