"""One pass over the bars of one instrument, or of several in one account; plain functions that are compiled for each rule.

A moment is what the tape drive makes of it: first the bars that close then, in the order of the instruments; then, in the same
order, what the rule wants of each; then the quotes that open. The first bar or quote also brings the beat that looks at losses.
"""

from typing import Any, NamedTuple

from engine.backtest.brakes import REDUCING, beat
from engine.backtest.entries import Limits, add_line, empty_book, enter, leaving_lots, value_minor
from engine.backtest.holdings import (
    ALWAYS_OPEN,
    ASK,
    BID,
    CASH,
    HEAD,
    HIGH,
    LOTS,
    LOW,
    OPENED_PLACE,
    ROW,
    RULE_LEFT,
    SIZE_NUM,
    SIZES_AT,
    STOP,
    STRICTEST,
    WAITING,
    Moment,
    entry_ticks_of,
    leave_later,
)
from engine.backtest.steps import (
    Friction,
    engine_bar,
    engine_quote,
    follow,
    quote_at,
    spread_at,
    stays_within,
    venue_bar,
    venue_quote,
)
from engine.kernel.wants import ENTER, LEAVE, NOTHING, BarColumns, Held, RuleWant, no_want

NEVER_NS = 1 << 62
# of an instrument's bar: it has opened; all of it, its opening quote included, leaves what is held as it is
OPENED, QUIET = 1, 2


def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Stands for the strategy's rule, which takes this name's place in the compiled pass."""
    raise NotImplementedError


def held_by_rule(w: Any, at: int, place: int) -> Held:
    """What the rule is shown of its position."""
    if w[at + LOTS] == 0:
        return Held(0, 0, 0, w[at + WAITING], 0)
    return Held(w[at + LOTS], entry_ticks_of(w, at), w[at + STOP], w[at + WAITING], place - w[at + OPENED_PLACE] + 1)


def act(w: Any, at: int, place: int, rows: Any, limits: Limits, asked: RuleWant, gap_bps: int) -> None:
    """What the rule of the row `at` wants at the close of the bar at `place`, in an account of these `rows`."""
    if asked.act == LEAVE:
        if w[at + LOTS] != 0:
            mark = w[at + BID] if w[at + LOTS] > 0 else w[at + ASK]
            leave_later(w, at, RULE_LEFT, leaving_lots(w[at + LOTS], asked.size_bps), mark)
            if w[at + LOTS] * w[at + WAITING] > 0 and asked.size_bps >= 10_000:
                w[at + WAITING] = 0
    elif asked.act == ENTER:
        factor = empty_book(w, limits)
        for other in rows:
            if w[other + LOTS] != 0 or w[other + WAITING] != 0:
                add_line(w, at, other, asked.sign if other == at else 0, gap_bps)
        if w[SIZES_AT] != 0:
            w[SIZE_NUM] = w[w[SIZES_AT] + place]
        enter(w, at, limits, factor, asked, gap_bps)


def look_at_losses(w: Any, count: int, limits: Limits, equity: int, at_ns: int) -> None:
    """The beat of a moment; where a brake blocks entries, those on their way are withdrawn."""
    beat(w, limits, equity, at_ns)
    if w[STRICTEST] >= REDUCING:
        for at in range(HEAD, HEAD + count * ROW, ROW):
            w[at + WAITING] = 0


def one_instrument(w: Any, bars: BarColumns, friction: Friction, limits: Limits, braked: bool,
                   params: Any, memory: Any, equity_out: Any) -> None:
    """A single instrument in its own account; `equity_out` gets the equity at every close."""
    at, held_at, waiting_at, bid_at, ask_at = HEAD, HEAD + LOTS, HEAD + WAITING, HEAD + BID, HEAD + ASK
    low_at, high_at = HEAD + LOW, HEAD + HIGH
    opens_ns, closes_ns, opens, highs, lows, closes, volumes = bars
    count = len(closes)
    before_ns = -1
    place = 0
    while place < count:
        if w[held_at] == 0 and w[waiting_at] == 0 and not braked:
            place, memory, asked = idle_bars(params, memory, bars, place, w[CASH], equity_out)
            if place == count:
                break
        else:
            close = closes[place]
            spread = spread_at(opens[place], friction.spread_bps)
            bid = opens[place] - spread // 2
            ask = bid + spread
            if w[held_at] != 0 and not braked and stays_within(w, at, bid, ask, highs[place], lows[place]):
                w[low_at], w[high_at] = min(w[low_at], lows[place]), max(w[high_at], highs[place])
                w[bid_at], w[ask_at] = max(1, close - spread // 2) if spread != 0 else close, close + spread // 2
                follow(w, at, highs[place], lows[place], w[bid_at], w[ask_at])
            else:
                when, close_ns = Moment(opens_ns[place], place, 0), closes_ns[place]
                venue_quote(w, at, friction, bid, ask, when)
                if braked and when.at_ns != before_ns:
                    look_at_losses(w, 1, limits, w[CASH] + value_minor(w, at), when.at_ns)
                w[bid_at], w[ask_at] = bid, ask
                if w[held_at] != 0:
                    engine_quote(w, at, friction, bid, ask, when)
                if w[held_at] != 0:
                    venue_bar(w, at, friction, highs[place], lows[place], volumes[place], Moment(close_ns, place, 0))
                if braked:
                    look_at_losses(w, 1, limits, w[CASH] + value_minor(w, at), close_ns)
                    before_ns = close_ns
                w[bid_at], w[ask_at] = max(1, close - spread // 2) if spread != 0 else close, close + spread // 2
                if w[held_at] != 0:
                    stays_open = w[at + ALWAYS_OPEN] != 0 or (place + 1 < count and opens_ns[place + 1] == close_ns)
                    engine_bar(w, at, highs[place], lows[place], w[bid_at], w[ask_at], close_ns, stays_open)
            memory, asked = rule(params, memory, bars, place, place + 1, held_by_rule(w, at, place))
        if asked.act != NOTHING:
            mark_at_close(w, at, friction, opens[place], closes[place])
            act(w, at, place, range(HEAD, HEAD + ROW, ROW), limits, asked, friction.gap_bps)
        equity_out[place] = w[CASH] if w[held_at] == 0 else w[CASH] + value_minor(w, at)
        place += 1


def idle_bars(params: Any, memory: Any, bars: BarColumns, place: int, cash: int, equity_out: Any) -> tuple[int, Any, RuleWant]:
    """Ask the rule bar after bar while nothing is held or on its way; the bar at which it wants something (past the last one
    where it does not), its memory then, and what it wants. A loop of its own, since most bars need nothing else."""
    count = len(bars.closes)
    free, asked = Held(0, 0, 0, 0, 0), no_want()
    while place < count:
        memory, asked = rule(params, memory, bars, place, place + 1, free)
        if asked.act != NOTHING:
            break
        equity_out[place] = cash
        place += 1
    return place, memory, asked


class Cursor(NamedTuple):
    """Where a pass over several instruments stands: of each the time of what comes next, its bar, and whether that has opened;
    then the numbers of those that are held or about to be entered, as many as the pass says are busy."""

    next_ns: Any
    places: Any
    opened: Any
    busy: Any


def several_instruments(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, params: Any,
                        memory: Any, cursor: Cursor, equity_at_ns: Any, equity_out: Any) -> int:
    """Several instruments in one account; how many moments had a bar that closed, each with its equity.

    The bars of all stand one instrument after the other; those of the i-th are `starts[i] .. starts[i + 1] - 1`. Each has its
    own memory, which begins as `memory` and is replaced, never set in place: it is compiled. `engine.backtest.asked_ahead` makes
    the same of rules that are interpreted.
    """
    next_ns, places, opened, _ = cursor
    count = len(starts) - 1
    rows = range(HEAD, HEAD + count * ROW, ROW)
    marked = busy = 0
    memories = [memory] * count
    now_ns = first_moment(bars, starts, cursor)
    while now_ns != NEVER_NS:
        first = first_of(cursor, now_ns, True)
        closes = first < count
        if closes:
            close_all(w, bars, starts, friction, limits, braked, cursor, busy, first, now_ns)
            equity_at_ns[marked], equity_out[marked] = now_ns, equity_of(w, cursor, busy)
            marked += 1
        else:
            first = first_of(cursor, now_ns, False)
        busy = 0
        for number in range(count):
            if next_ns[number] == now_ns and opened[number] != 0:
                at, place = HEAD + number * ROW, places[number]
                memories[number], asked = rule(params, memories[number], bars, place, place - starts[number] + 1,
                                               held_by_rule(w, at, place))
                if asked.act != NOTHING:
                    mark_at_close(w, at, friction, bars.opens[place], bars.closes[place])
                    act(w, at, place, rows, limits, asked, friction.gap_bps)
            busy = step_on(w, bars, starts, cursor, number, busy, now_ns)
        before_opens(w, count, now_ns)
        open_all(w, bars, friction, limits, braked and not closes, cursor, busy, first, now_ns)
        now_ns = next_moment(cursor)
    return marked


def first_moment(bars: BarColumns, starts: Any, cursor: Cursor) -> int:
    """Put the cursor before the first bar of each instrument; when the first of them opens."""
    for number in range(len(starts) - 1):
        cursor.places[number], cursor.opened[number] = starts[number], 0
        cursor.next_ns[number] = bars.opens_ns[starts[number]] if starts[number] < starts[number + 1] else NEVER_NS
    return next_moment(cursor)


def next_moment(cursor: Cursor) -> int:
    """When the next bar of any instrument opens or closes."""
    soonest_ns = int(NEVER_NS)
    for number in range(len(cursor.next_ns)):
        soonest_ns = min(soonest_ns, cursor.next_ns[number])
    return soonest_ns


def first_of(cursor: Cursor, now_ns: int, opened: bool) -> int:
    """The first instrument whose bar closes (`opened`) or opens at this moment; their count where none does."""
    number, count = 0, len(cursor.next_ns)
    while number < count and (cursor.next_ns[number] != now_ns or (cursor.opened[number] != 0) != opened):
        number += 1
    return number


def step_on(w: Any, bars: BarColumns, starts: Any, cursor: Cursor, number: int, busy: int, now_ns: int) -> int:
    """Past the instrument's bar that closes at this moment; its next one opens where the account has nothing to do with it, else
    the instrument is one more of those that are `busy`: how many there are now."""
    next_ns, places, opened, _ = cursor
    if next_ns[number] == now_ns and opened[number] != 0:
        place = places[number] + 1
        places[number], opened[number] = place, 0
        next_ns[number] = bars.opens_ns[place] if place < starts[number + 1] else NEVER_NS
    at = HEAD + number * ROW
    if w[at + LOTS] != 0 or w[at + WAITING] != 0:
        cursor.busy[busy] = number
        return busy + 1
    if next_ns[number] == now_ns:
        next_ns[number], opened[number] = bars.closes_ns[places[number]], OPENED
    return busy


def equity_of(w: Any, cursor: Cursor, busy: int) -> int:
    """Cash and what is held, at the newest marks."""
    equity = w[CASH]
    for one in range(busy):
        equity += value_minor(w, HEAD + cursor.busy[one] * ROW)
    return int(equity)


def close_all(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, cursor: Cursor, busy: int,
              first: int, now_ns: int) -> None:
    """Every bar that closes at this moment, where something is held; the `first` of all that close brings the beat."""
    count, beats = len(starts) - 1, braked
    next_ns, places, opened, numbers = cursor
    highs, lows = bars.highs, bars.lows
    for one in range(busy):
        number = numbers[one]
        if next_ns[number] != now_ns or opened[number] == 0:
            continue
        if beats and number > first:
            look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)
            beats = False
        at, place = HEAD + number * ROW, places[number]
        high, low = highs[place], lows[place]
        quiet = w[at + LOTS] == 0 or opened[number] == QUIET
        if not quiet:
            venue_bar(w, at, friction, high, low, bars.volumes[place], Moment(now_ns, place, number))
        if beats:
            look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)
            beats = False
        if w[at + LOTS] != 0:
            mark_at_close(w, at, friction, bars.opens[place], bars.closes[place])
            if quiet:
                w[at + LOW], w[at + HIGH] = min(w[at + LOW], low), max(w[at + HIGH], high)
                follow(w, at, high, low, w[at + BID], w[at + ASK])
            else:
                opens_ns = bars.opens_ns[place + 1] if place + 1 < starts[number + 1] else NEVER_NS
                engine_bar(w, at, high, low, w[at + BID], w[at + ASK], now_ns, w[at + ALWAYS_OPEN] != 0 or opens_ns == now_ns)
    if beats:
        look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)


def before_opens(w: Any, count: int, now_ns: int) -> None:
    """Stands for what comes between the bars that close at a moment and those that open; usually nothing."""


def open_all(w: Any, bars: BarColumns, friction: Friction, limits: Limits, beats: bool, cursor: Cursor, busy: int, first: int,
             now_ns: int) -> None:
    """The bars that open at this moment, of the instruments that are busy; where no bar closed, the `first` of all that open
    brings the beat."""
    next_ns, places, opened, numbers = cursor
    count = len(next_ns)
    for one in range(busy):
        number = numbers[one]
        if next_ns[number] != now_ns or opened[number] != 0:
            continue
        if beats and number > first:
            look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)
            beats = False
        at, place = HEAD + number * ROW, places[number]
        bid = ask = bars.opens[place]
        if friction.spread_bps != 0:
            bid, ask = quote_at(ask, friction.spread_bps)
        quiet = w[at + LOTS] != 0 and stays_within(w, at, bid, ask, bars.highs[place], bars.lows[place])
        if not quiet:
            venue_quote(w, at, friction, bid, ask, Moment(now_ns, place, number))
        if beats:
            look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)
            beats = False
        if w[at + LOTS] != 0:
            w[at + BID], w[at + ASK] = bid, ask
            if not quiet:
                engine_quote(w, at, friction, bid, ask, Moment(now_ns, place, number))
        next_ns[number], opened[number] = bars.closes_ns[place], QUIET if quiet else OPENED
    if beats:
        look_at_losses(w, count, limits, equity_of(w, cursor, busy), now_ns)


def mark_at_close(w: Any, at: int, friction: Friction, open_ticks: int, close_ticks: int) -> None:
    """The engine's mark once a bar has closed: its close, with half the spread of its open to each side. Only what is held or
    about to be entered needs one."""
    w[at + BID] = w[at + ASK] = close_ticks
    if friction.spread_bps != 0:
        half = spread_at(open_ticks, friction.spread_bps) // 2
        w[at + BID], w[at + ASK] = max(1, close_ticks - half), close_ticks + half
