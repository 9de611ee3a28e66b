"""One pass over the bars of one instrument, or of several in one account; plain functions that are compiled for each rule.

A moment is what the tape drive makes of it: first the bars that close then, in the order of the instruments, each followed by
what the rule wants; then the quotes that open. The first of either also brings the beat that looks at losses.
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
    LOTS,
    OPENED_PLACE,
    ROW,
    RULE_LEFT,
    STOP,
    STRICTEST,
    WAITING,
    Moment,
    entry_ticks_of,
    leave_later,
)
from engine.backtest.steps import Friction, engine_bar, engine_quote, spread_at, venue_bar, venue_quote
from engine.kernel.wants import ENTER, LEAVE, NOTHING, BarColumns, Held, RuleWant

NEVER_NS = 1 << 62


def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Stands for the strategy's rule, which takes this name's place in the compiled pass."""
    raise NotImplementedError


def held_by_rule(w: Any, at: int, place: int) -> Held:
    """What the rule is shown of its position."""
    if w[at + LOTS] == 0:
        return Held(0, 0, 0, w[at + WAITING], 0)
    return Held(w[at + LOTS], entry_ticks_of(w, at), w[at + STOP], w[at + WAITING], place - w[at + OPENED_PLACE] + 1)


def act(w: Any, at: int, count: int, limits: Limits, asked: RuleWant, gap_bps: int) -> None:
    """What the rule of the row `at` wants, in an account of `count` instruments."""
    if asked.act == LEAVE:
        if w[at + LOTS] != 0:
            leave_later(w, at, RULE_LEFT, leaving_lots(w[at + LOTS], asked.size_bps))
            if w[at + LOTS] * w[at + WAITING] > 0 and asked.size_bps >= 10_000:
                w[at + WAITING] = 0
    elif asked.act == ENTER:
        factor = empty_book(w, limits)
        for other in range(HEAD, HEAD + count * ROW, ROW):
            add_line(w, at, other, asked.sign if other == at else 0, gap_bps)
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


def one_instrument(w: Any, bars: BarColumns, friction: Friction, limits: Limits, braked: bool,  # noqa: FBT001 - compiled
                   params: Any, memory: Any, equity_out: Any) -> None:
    """A single instrument in its own account; `equity_out` gets the equity at every close."""
    at = HEAD
    opens_ns, closes_ns, opens, highs, lows, closes, volumes = bars
    count = len(closes)
    before_ns = -1
    for place in range(count):
        close, close_ns = closes[place], closes_ns[place]
        spread = spread_at(opens[place], friction.spread_bps)
        if w[at + LOTS] != 0 or w[at + WAITING] != 0 or braked:
            when = Moment(opens_ns[place], place, 0)
            bid = opens[place] - spread // 2
            ask = bid + spread
            venue_quote(w, at, friction, bid, ask, when)
            if braked and when.at_ns != before_ns:
                look_at_losses(w, 1, limits, when.at_ns)
            w[at + BID], w[at + ASK] = bid, ask
            if w[at + LOTS] != 0:
                engine_quote(w, at, friction, bid, ask, when)
            if w[at + LOTS] != 0:
                venue_bar(w, at, friction, highs[place], lows[place], volumes[place], Moment(close_ns, place, 0))
            if braked:
                look_at_losses(w, 1, limits, close_ns)
        before_ns = close_ns
        w[at + BID], w[at + ASK] = max(1, close - spread // 2), close + spread // 2
        if w[at + LOTS] != 0:
            stays_open = w[at + ALWAYS_OPEN] != 0 or (place + 1 < count and opens_ns[place + 1] == close_ns)
            engine_bar(w, at, highs[place], lows[place], w[at + BID], w[at + ASK], close_ns, stays_open)
        memory, asked = rule(params, memory, bars, place, place + 1, held_by_rule(w, at, place))
        if asked.act != NOTHING:
            act(w, at, 1, limits, asked, friction.gap_bps)
        equity_out[place] = w[CASH] + value_minor(w, at)
