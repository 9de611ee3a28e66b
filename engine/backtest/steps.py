"""What a quote and a bar do to one holding, in the order in which the paper venue and the engine take them; plain functions
that also compile.

At a bar's opening quote the venue executes stops, then market orders, then targets; the engine then looks at the quote. Inside
the bar the stop comes before the target, which the market has to trade through. At the close the stop follows the bar's
extreme, and what was held for its longest time leaves with the next quote.
"""

from typing import NamedTuple

from engine.backtest.holdings import (
    NEVER_LEAVING,
    Holding,
    Log,
    Terms,
    Waiting,
    entered,
    exit_state_of,
    left,
    none_waiting,
    on_its_way_out,
    sign_of,
    with_extremes,
    with_stop,
)
from engine.kernel.exits import HOLD_OVER, STOP_HIT, TARGET_HIT, hold_is_over, trailed
from engine.kernel.fills import with_slippage
from engine.kernel.rounding import scaled_down

BPS = 10_000
UNLIMITED_LOTS = 1 << 62


class Friction(NamedTuple):
    """What trading costs beside fees: as the paper venue takes them. `touch_fills` is 1 where a touched target fills;
    `step_fraction` is the part of a trail by which a quote has to move its stop; a stop's heat allows for `gap_bps`."""

    spread_bps: int
    slippage_bps: int
    fill_share_bps: int
    touch_fills: int
    step_fraction: float
    gap_bps: int


def opening_quote(open_ticks: int, spread_bps: int) -> tuple[int, int]:
    """Bid and ask around a bar's open, as a recorded tape shows them."""
    if spread_bps == 0:
        return open_ticks, open_ticks
    spread = max(1, open_ticks * spread_bps // BPS)
    bid = open_ticks - spread // 2
    return bid, bid + spread


def closing_mark(close_ticks: int, bid: int, ask: int) -> tuple[int, int]:
    """Bid and ask after a bar: its close, with half the spread of the last quote to either side."""
    half = (ask - bid) // 2
    return max(1, close_ticks - half), close_ticks + half


def worse(terms: Terms, friction: Friction, ticks: int, side: int) -> int:
    """A price with slippage, inside what the instrument knows as a price."""
    return min(with_slippage(ticks, side, friction.slippage_bps), terms.max_ticks)


def venue_quote(terms: Terms, friction: Friction, held: Holding, want: Waiting, bid: int, ask: int, at_ns: int, place: int,
                cash: int, instrument: int, log: Log) -> tuple[Holding, Waiting, int]:
    """What rests or waits at the venue meets a quote: `(holding, none waiting, cash)`."""
    if held.lots != 0:
        sign = sign_of(held.lots)
        price = bid if sign > 0 else ask
        out = worse(terms, friction, price, -sign)
        if held.stop_ticks > 0 and (price - held.stop_ticks) * sign <= 0:
            held, cash = left(terms, held, abs(held.lots), out, 0, STOP_HIT, at_ns, place, cash, instrument, log)
        elif held.leaving != NEVER_LEAVING:
            lots = min(abs(held.lots), held.leaving_lots) if held.leaving_lots > 0 else abs(held.lots)
            held, cash = left(terms, held, lots, out, 0, held.leaving, at_ns, place, cash, instrument, log)
        if held.lots != 0 and held.target_ticks > 0 and (price - held.target_ticks) * sign >= 0:
            held, cash = left(terms, held, abs(held.lots), price, 1, TARGET_HIT, at_ns, place, cash, instrument, log)
    if want.sign == 0:
        return held, want, cash
    fresh = held.lots == 0
    paid = worse(terms, friction, ask if want.sign > 0 else bid, want.sign)
    held, cash = entered(terms, held, want, paid, at_ns, place, cash, instrument, log)
    if fresh:
        held, cash = beyond_at_once(terms, friction, held, want, bid, ask, at_ns, place, cash, instrument, log)
    return held, none_waiting(), cash


def beyond_at_once(terms: Terms, friction: Friction, held: Holding, want: Waiting, bid: int, ask: int, at_ns: int, place: int,
                   cash: int, instrument: int, log: Log) -> tuple[Holding, int]:
    """An entry whose stop or target the very quote of its fill has passed already leaves at that quote."""
    sign = sign_of(held.lots)
    price = bid if sign > 0 else ask
    out = worse(terms, friction, price, -sign)
    if held.stop_ticks > 0 and (price - held.stop_ticks) * sign <= 0:
        return left(terms, held, abs(held.lots), out, 0, STOP_HIT, at_ns, place, cash, instrument, log)
    if held.target_ticks > 0 and (price - held.target_ticks) * sign >= 0:
        if want.native:
            return left(terms, held, abs(held.lots), price, 1, TARGET_HIT, at_ns, place, cash, instrument, log)
        limited = max(out, held.target_ticks) if sign > 0 else min(out, held.target_ticks)
        return left(terms, held, abs(held.lots), limited, 0, TARGET_HIT, at_ns, place, cash, instrument, log)
    return held, cash


def engine_quote(terms: Terms, friction: Friction, held: Holding, bid: int, ask: int, at_ns: int, place: int, cash: int,
                 instrument: int, log: Log) -> tuple[Holding, int]:
    """The engine looks at a quote: what was held for its longest time leaves, a trailing stop follows by whole steps."""
    if held.lots == 0 or (held.leaving != NEVER_LEAVING and held.leaving_lots == 0):
        return held, cash
    sign = sign_of(held.lots)
    price = bid if sign > 0 else ask
    if hold_is_over(held.opened_ns, held.max_hold_ns, at_ns):
        out = worse(terms, friction, price, -sign)
        return left(terms, held, abs(held.lots), out, 0, HOLD_OVER, at_ns, place, cash, instrument, log)
    if held.trail_ticks > 0:
        stop, best = trailed(exit_state_of(held), price)
        gained = (stop - held.stop_ticks) * sign
        if gained >= max(1, int(held.trail_ticks * friction.step_fraction)):
            return with_stop(held, stop, best), cash
    return held, cash


def venue_bar(terms: Terms, friction: Friction, held: Holding, high: int, low: int, volume: int, close_ns: int, place: int,
              cash: int, instrument: int, log: Log) -> tuple[Holding, int]:
    """What rests at the venue meets a bar's range: the stop at its level, then the target once traded through."""
    if held.lots == 0:
        return held, cash
    sign = sign_of(held.lots)
    share = UNLIMITED_LOTS if volume <= 0 else max(1, scaled_down(volume, friction.fill_share_bps, BPS))
    adverse, favourable = (low, high) if sign > 0 else (high, low)
    lots = min(abs(held.lots), share)
    if held.stop_ticks > 0 and (adverse - held.stop_ticks) * sign <= 0:
        partly = lots < abs(held.lots)
        out = worse(terms, friction, held.stop_ticks, -sign)
        held, cash = left(terms, held, lots, out, 0, STOP_HIT, close_ns, place, cash, instrument, log)
        return on_its_way_out(held, STOP_HIT, 0) if partly else held, cash
    beyond = (favourable - held.target_ticks) * sign
    if held.target_ticks > 0 and (beyond > 0 or (friction.touch_fills != 0 and beyond == 0)):
        return left(terms, held, lots, held.target_ticks, 1, TARGET_HIT, close_ns, place, cash, instrument, log)
    return held, cash


def engine_bar(held: Holding, high: int, low: int, mark_bid: int, mark_ask: int, close_ns: int, stays_open: bool) -> Holding:
    """The engine looks at a closed bar that the position lived through, at the mark of its close. Where the market closes with
    the bar, an exit that time alone asks for waits for the next open."""
    if held.lots == 0:
        return held
    held = with_extremes(held, low, high)
    if held.leaving != NEVER_LEAVING and held.leaving_lots == 0:
        return held
    if stays_open and hold_is_over(held.opened_ns, held.max_hold_ns, close_ns):
        return on_its_way_out(held, HOLD_OVER, 0)
    sign = sign_of(held.lots)
    if held.trail_ticks > 0:
        stop, best = trailed(exit_state_of(held), high if sign > 0 else low)
        if stop != held.stop_ticks and (stop - held.stop_ticks) * sign > 0:
            held = with_stop(held, stop, best)
            if ((mark_bid if sign > 0 else mark_ask) - stop) * sign <= 0:
                return on_its_way_out(held, STOP_HIT, 0)
    return held
