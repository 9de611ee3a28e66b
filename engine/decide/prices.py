"""Exits by price: what a quote or a closed bar means for the positions of its instrument."""

from engine.events import LevelTouched, StopMoved
from engine.inputs import Bar, Quote
from engine.kernel.exits import (
    HOLD_OVER,
    NO_EXIT,
    SAME_MOMENT_NS,
    STOP_HIT,
    TARGET_HIT,
    exit_in_bar,
    exit_on_price,
    hold_is_over,
    trailed,
)
from engine.orders import Purpose
from engine.positions import Position
from engine.protection import standing_lots, want_exit
from engine.session_exits import rules_in_force
from engine.turn import Turn
from engine.units import Nanoseconds, Ticks
from engine.watch import Watch, trail_step

WIDE_PARTS = 20  # a spread of more than a twentieth of the bid
REASONS = {STOP_HIT: "stop hit", HOLD_OVER: "held for its maximum time"}


def quote_asks(watches: tuple[Watch, ...], quote: Quote, at_ns: Nanoseconds) -> bool:
    """Whether a quote leaves the quiet band of any position."""
    for watch in watches:
        price = quote.bid_ticks if watch.sign > 0 else quote.ask_ticks
        if not watch.low_ticks < price < watch.high_ticks or at_ns >= watch.until_ns:
            return True
    return False


def quote_seen(turn: Turn, quote: Quote) -> None:
    """Judge every position of the instrument by the price at which it could leave."""
    for watch in turn.state.watches.get(quote.instrument_id, ()):
        position = turn.state.positions[watch.key]
        if position.exit_reason and not position.exit_lots:
            continue
        rules = rules_in_force(turn, position)
        code = exit_on_price(rules, quote.bid_ticks, quote.ask_ticks, turn.at_ns)
        price = quote.bid_ticks if watch.sign > 0 else quote.ask_ticks
        if code != NO_EXIT:
            if not only_a_wide_quote(turn, position, code):
                leave_by_rule(turn, position, code, price)
            continue
        move_stop(turn, position, *trailed(rules, price), price, exact=False)


def bar_closed(turn: Turn, bar: Bar) -> None:
    """Judge positions that were open for the whole bar, from its very open on, by its range, pessimistically; then let the stop
    follow. A bar that reaches a target which rests at the venue says nothing: others stood there before us, or it filled in part.

    Where quotes came from inside the bar they were judged one by one, against the stop of their moment: of such a bar only
    the close counts, since its early low says nothing against a stop that followed the price later."""
    quoted = turn.market.quoted_inside(bar)
    for watch in turn.state.watches.get(bar.instrument_id, ()):
        position = turn.state.positions[watch.key]
        if (position.exit_reason and not position.exit_lots) or position.opened_at_ns > bar.open_ns + SAME_MOMENT_NS:
            continue
        rules = rules_in_force(turn, position)
        low, high = (bar.close_ticks, bar.close_ticks) if quoted else (bar.low_ticks, bar.high_ticks)
        code, price = exit_in_bar(rules, bar.close_ticks if quoted else bar.open_ticks, high, low, bar.close_ticks,
                                  bar.open_ns, bar.close_ns)
        if code == TARGET_HIT and rests_at_venue(turn, position, Purpose.TARGET):
            over = hold_is_over(position.opened_at_ns, rules.max_hold_ns, bar.close_ns)
            code, price = (HOLD_OVER, bar.close_ticks) if over else (NO_EXIT, 0)
        if code != NO_EXIT:
            leave_by_rule(turn, position, code, price)
            continue
        best = bar.high_ticks if position.lots > 0 else bar.low_ticks
        move_stop(turn, position, *trailed(rules, best), best, exact=True)


def leave_by_rule(turn: Turn, position: Position, code: int, price: Ticks) -> None:
    """A level was reached. Where an order rests at the venue for it, the venue gets a moment; otherwise out at once."""
    purpose = Purpose.STOP if code == STOP_HIT else Purpose.TARGET
    if code != HOLD_OVER and rests_at_venue(turn, position, purpose):
        if not position.touched_at_ns:
            turn.emit(LevelTouched(position.key, turn.at_ns, price))
        return
    want_exit(turn, position, REASONS.get(code, "target reached"), seen_ticks=price)


def only_a_wide_quote(turn: Turn, position: Position, code: int) -> bool:
    """Whether nothing says that a level was reached but one side of a quote whose sides are far apart, while the last price has
    not come there: one venue's empty book, as a single exchange shows it of a share that trades elsewhere. An order that rests
    at the venue for that level judges by what is traded, and is not to be cancelled for that."""
    mark = turn.market.marks.get(position.instrument_id)
    if code not in (STOP_HIT, TARGET_HIT) or mark is None \
            or (mark.ask_ticks - mark.bid_ticks) * WIDE_PARTS <= mark.bid_ticks:
        return False
    if code == STOP_HIT:
        return (mark.last_ticks - position.stop_ticks) * position.sign > 0 and rests_at_venue(turn, position, Purpose.STOP)
    return (position.plan.target_ticks - mark.last_ticks) * position.sign > 0 and rests_at_venue(turn, position, Purpose.TARGET)


def rests_at_venue(turn: Turn, position: Position, purpose: Purpose) -> bool:
    """Orders of that purpose stand at the venue, confirmed, at the level in force, for the whole position; not those at a
    level that the stop has left behind, nor one that is being cancelled."""
    level_ticks = position.stop_ticks if purpose is Purpose.STOP else position.plan.target_ticks
    return bool(level_ticks) and standing_lots(turn, position, purpose, level_ticks) >= abs(position.lots)


def move_stop(turn: Turn, position: Position, stop_ticks: Ticks, best_ticks: Ticks, seen_ticks: Ticks, *,
              exact: bool) -> None:
    """Follow with the stop; on quotes only by whole steps, since every move is a journal row and a venue order."""
    gained = (stop_ticks - position.stop_ticks) * position.sign if position.stop_ticks else stop_ticks
    if stop_ticks == position.stop_ticks or gained <= 0:
        return
    step = 1 if exact or not position.stop_ticks else trail_step(position, turn.state.settings.trail_step_fraction)
    breakeven = stop_ticks == position.plan.breakeven_to_ticks
    if gained < step and not breakeven:
        return
    turn.emit(StopMoved(position.key, stop_ticks, best_ticks, seen_ticks))
    turn.touch(position.portfolio, position.instrument_id)
