"""One pass over the bars of one instrument, or of several in one account; plain functions that are compiled for each rule.

A moment is what the tape drive makes of it: first the bars that close then, in the order of the instruments; then, in the same
order, what the rule wants of each; then the quotes that open. The first bar or quote also brings the beat that looks at losses.
"""

from typing import Any

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
from engine.backtest.steps import Friction, engine_bar, engine_quote, follow, spread_at, stays_within, venue_bar, venue_quote
from engine.kernel.wants import ENTER, LEAVE, NOTHING, BarColumns, Held, RuleWant

NEVER_NS = 1 << 62


def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Stands for the strategy's rule, which takes this name's place in the compiled pass."""
    raise NotImplementedError


def own_memory(memory: Any) -> Any:
    """The memory that an instrument begins with; of one that is set in place, a copy takes this name's place."""
    return memory


def held_by_rule(w: Any, at: int, place: int) -> Held:
    """What the rule is shown of its position."""
    if w[at + LOTS] == 0:
        return Held(0, 0, 0, w[at + WAITING], 0)
    return Held(w[at + LOTS], entry_ticks_of(w, at), w[at + STOP], w[at + WAITING], place - w[at + OPENED_PLACE] + 1)


def act(w: Any, at: int, place: int, count: int, limits: Limits, asked: RuleWant, gap_bps: int) -> None:
    """What the rule of the row `at` wants at the close of the bar at `place`, in an account of `count` instruments."""
    if asked.act == LEAVE:
        if w[at + LOTS] != 0:
            mark = w[at + BID] if w[at + LOTS] > 0 else w[at + ASK]
            leave_later(w, at, RULE_LEFT, leaving_lots(w[at + LOTS], asked.size_bps), mark)
            if w[at + LOTS] * w[at + WAITING] > 0 and asked.size_bps >= 10_000:
                w[at + WAITING] = 0
    elif asked.act == ENTER:
        factor = empty_book(w, limits)
        for other in range(HEAD, HEAD + count * ROW, ROW):
            if w[other + LOTS] != 0 or w[other + WAITING] != 0:
                add_line(w, at, other, asked.sign if other == at else 0, gap_bps)
        if w[SIZES_AT] != 0:
            w[SIZE_NUM] = w[w[SIZES_AT] + place]
        enter(w, at, limits, factor, asked, gap_bps)


def equity_of(w: Any, count: int) -> int:
    """Cash and what is held, at the newest marks."""
    equity = w[CASH]
    for at in range(HEAD, HEAD + count * ROW, ROW):
        if w[at + LOTS] != 0:
            equity += value_minor(w, at)
    return int(equity)


def look_at_losses(w: Any, count: int, limits: Limits, at_ns: int) -> None:
    """The beat of a moment; where a brake blocks entries, those on their way are withdrawn."""
    beat(w, limits, equity_of(w, count), at_ns)
    if w[STRICTEST] >= REDUCING:
        for at in range(HEAD, HEAD + count * ROW, ROW):
            w[at + WAITING] = 0


def one_instrument(w: Any, bars: BarColumns, friction: Friction, limits: Limits, braked: bool,
                   params: Any, memory: Any, equity_out: Any) -> None:
    """A single instrument in its own account; `equity_out` gets the equity at every close."""
    at, held_at, waiting_at, bid_at, ask_at = HEAD, HEAD + LOTS, HEAD + WAITING, HEAD + BID, HEAD + ASK
    low_at, high_at = HEAD + LOW, HEAD + HIGH
    opens_ns, closes_ns, opens, highs, lows, closes, volumes = bars
    count, spread_bps = len(closes), friction.spread_bps
    free = Held(0, 0, 0, 0, 0)
    before_ns = -1
    spread = 0
    for place in range(count):
        close = closes[place]
        if spread_bps != 0:
            spread = spread_at(opens[place], spread_bps)
        held = free
        if w[held_at] != 0 or w[waiting_at] != 0 or braked:
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
                    look_at_losses(w, 1, limits, when.at_ns)
                w[bid_at], w[ask_at] = bid, ask
                if w[held_at] != 0:
                    engine_quote(w, at, friction, bid, ask, when)
                if w[held_at] != 0:
                    venue_bar(w, at, friction, highs[place], lows[place], volumes[place], Moment(close_ns, place, 0))
                if braked:
                    look_at_losses(w, 1, limits, close_ns)
                    before_ns = close_ns
                w[bid_at], w[ask_at] = max(1, close - spread // 2) if spread != 0 else close, close + spread // 2
                if w[held_at] != 0:
                    stays_open = w[at + ALWAYS_OPEN] != 0 or (place + 1 < count and opens_ns[place + 1] == close_ns)
                    engine_bar(w, at, highs[place], lows[place], w[bid_at], w[ask_at], close_ns, stays_open)
            held = held_by_rule(w, at, place)
        memory, asked = rule(params, memory, bars, place, place + 1, held)
        if asked.act != NOTHING:
            w[bid_at], w[ask_at] = max(1, close - spread // 2) if spread != 0 else close, close + spread // 2
            act(w, at, place, 1, limits, asked, friction.gap_bps)
        equity_out[place] = w[CASH] if w[held_at] == 0 else w[CASH] + value_minor(w, at)


def several_instruments(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, params: Any,
                        memory: Any, cursor: Any, equity_at_ns: Any, equity_out: Any) -> int:
    """Several instruments in one account; how many moments had a bar that closed, each with its equity.

    The bars of all stand one instrument after the other; those of the i-th are `starts[i] .. starts[i + 1] - 1`. Each has its
    own memory, which begins as `memory`. `cursor` holds for each instrument its bar, whether that has opened, and the time of
    what comes next: three integers.
    """
    opens_ns, closes_ns, opens = bars.opens_ns, bars.closes_ns, bars.opens
    count = len(starts) - 1
    marked = 0
    memories = [own_memory(memory) for _ in range(count)]
    for number in range(count):
        cursor[3 * number], cursor[3 * number + 1] = starts[number], 0
        cursor[3 * number + 2] = opens_ns[starts[number]] if starts[number] < starts[number + 1] else NEVER_NS
    while True:
        now_ns = NEVER_NS
        for number in range(count):
            now_ns = min(now_ns, cursor[3 * number + 2])
        if now_ns == NEVER_NS:
            return marked
        closed = close_all(w, bars, starts, friction, limits, braked, cursor, now_ns)
        if closed > 0:
            equity = w[CASH]
            for number in range(count):
                at, place = HEAD + number * ROW, cursor[3 * number] - 1
                if w[at + LOTS] != 0:
                    equity += value_minor(w, at)
                if cursor[3 * number + 1] != 0 or place < starts[number] or closes_ns[place] != now_ns:
                    continue
                memories[number], asked = rule(params, memories[number], bars, place, place - starts[number] + 1,
                                               held_by_rule(w, at, place))
                if asked.act != NOTHING:
                    mark_at_close(w, at, friction, opens[place], bars.closes[place])
                    act(w, at, place, count, limits, asked, friction.gap_bps)
            equity_at_ns[marked], equity_out[marked] = now_ns, equity
            marked += 1
        open_all(w, friction, limits, braked and closed == 0, count, cursor, opens, closes_ns, now_ns)


def close_all(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, cursor: Any,
              now_ns: int) -> int:
    """Every bar that closes at this moment, and how many there were; the first brings the beat."""
    count = len(starts) - 1
    closed = 0
    for number in range(count):
        if cursor[3 * number + 2] != now_ns or cursor[3 * number + 1] == 0:
            continue
        at, place = HEAD + number * ROW, cursor[3 * number]
        next_ns = bars.opens_ns[place + 1] if place + 1 < starts[number + 1] else NEVER_NS
        high, low = bars.highs[place], bars.lows[place]
        quiet = w[at + LOTS] == 0 or stays_within(w, at, w[at + BID], w[at + ASK], high, low)
        if not quiet:
            venue_bar(w, at, friction, high, low, bars.volumes[place], Moment(now_ns, place, number))
        if braked and closed == 0:
            look_at_losses(w, count, limits, now_ns)
        if w[at + LOTS] != 0:
            mark_at_close(w, at, friction, bars.opens[place], bars.closes[place])
            if quiet:
                w[at + LOW], w[at + HIGH] = min(w[at + LOW], low), max(w[at + HIGH], high)
                follow(w, at, high, low, w[at + BID], w[at + ASK])
            else:
                stays_open = w[at + ALWAYS_OPEN] != 0 or next_ns == now_ns
                engine_bar(w, at, high, low, w[at + BID], w[at + ASK], now_ns, stays_open)
        cursor[3 * number], cursor[3 * number + 1], cursor[3 * number + 2] = place + 1, 0, next_ns
        closed += 1
    return closed


def open_all(w: Any, friction: Friction, limits: Limits, beats: bool, count: int, cursor: Any, opens: Any, closes_ns: Any,
             now_ns: int) -> None:
    """Every bar that opens at this moment; the first brings the beat where no bar that closed has."""
    for number in range(count):
        if cursor[3 * number + 2] == now_ns and cursor[3 * number + 1] == 0:
            place = cursor[3 * number]
            open_one(w, friction, limits, beats, count, opens[place], Moment(now_ns, place, number))
            beats = False
            cursor[3 * number + 1], cursor[3 * number + 2] = 1, closes_ns[place]


def mark_at_close(w: Any, at: int, friction: Friction, open_ticks: int, close_ticks: int) -> None:
    """The engine's mark once a bar has closed: its close, with half the spread of its open to each side. Only what is held or
    about to be entered needs one."""
    half = spread_at(open_ticks, friction.spread_bps) // 2
    w[at + BID], w[at + ASK] = max(1, close_ticks - half), close_ticks + half


def open_one(w: Any, friction: Friction, limits: Limits, beats: bool, count: int, open_ticks: int, when: Moment) -> None:
    """A bar opens with its quote: the venue first, the beat where it is the moment's first, then the engine."""
    at = HEAD + when.instrument * ROW
    bid = ask = 0
    quiet = w[at + LOTS] == 0 and w[at + WAITING] == 0
    if not quiet:
        spread = spread_at(open_ticks, friction.spread_bps)
        bid = open_ticks - spread // 2
        ask = bid + spread
        price = bid if w[at + LOTS] > 0 else ask
        quiet = w[at + LOTS] != 0 and stays_within(w, at, bid, ask, price, price)
        if not quiet:
            venue_quote(w, at, friction, bid, ask, when)
    if beats:
        look_at_losses(w, count, limits, when.at_ns)
    if w[at + LOTS] != 0:
        w[at + BID], w[at + ASK] = bid, ask
        if not quiet:
            engine_quote(w, at, friction, bid, ask, when)
