"""One pass over the bars of one instrument, or of several in one account; plain functions that are compiled for each rule.

A moment is what the tape drive makes of it: first the bars that close then, in the order of the instruments, each followed by
what the rule wants; then the quotes that open. The first of either also brings the beat that looks at losses.
"""

from typing import Any

from engine.backtest.brakes import REDUCING, beat
from engine.backtest.entries import (
    DAY_EQUITY,
    ENTERED_MINOR,
    STRICTEST,
    Book,
    Limits,
    entry_of,
    leaving_lots,
    value_minor,
    with_line,
)
from engine.backtest.holdings import (
    RULE_LEFT,
    Holding,
    Log,
    Terms,
    Waiting,
    entry_ticks_of,
    none_waiting,
    nothing_held,
    on_its_way_out,
)
from engine.backtest.steps import (
    Friction,
    closing_mark,
    engine_bar,
    engine_quote,
    opening_quote,
    venue_bar,
    venue_quote,
)
from engine.kernel.wants import ENTER, LEAVE, BarColumns, Held, RuleWant

NEVER_NS = 1 << 62


def rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Stands for the strategy's rule, which takes this name's place in the compiled pass."""
    raise NotImplementedError


def empty_book(cash: int, life: Any, limits: Limits) -> Book:
    """Cash alone, with the day's figures and what the brakes leave of the usual size."""
    factor = limits.small_size if life[STRICTEST] > 0 else 1.0
    return Book(cash, 0, 0, 0, 0, 0, 0, 0, 0, 0, life[DAY_EQUITY], life[ENTERED_MINOR], factor)


def held_by_rule(held: Holding, want: Waiting, place: int) -> Held:
    """What the rule is shown of its position."""
    if held.lots == 0:
        return Held(0, 0, 0, want.sign, 0)
    return Held(held.lots, entry_ticks_of(held), held.stop_ticks, want.sign, place - held.opened_place + 1)


def one_instrument(bars: BarColumns, terms: Terms, friction: Friction, limits: Limits, braked: bool, params: Any, memory: Any,
                   cash: int, life: Any, refused: Any, cuts: Any, log: Log, equity_out: Any) -> tuple[Holding, Waiting, int]:
    """A single instrument in its own account: `(what is held at the end, what waits, cash)`; `equity_out` gets every close."""
    held, want = nothing_held(), none_waiting()
    count = len(bars.closes)
    gap_bps = friction.gap_bps
    bid, ask = 0, 0
    before_ns = -1
    for place in range(count):
        open_ns, close_ns = bars.opens_ns[place], bars.closes_ns[place]
        mark_bid, mark_ask = bid, ask
        bid, ask = opening_quote(bars.opens[place], friction.spread_bps)
        if held.lots != 0 or want.sign != 0:
            held, want, cash = venue_quote(terms, friction, held, want, bid, ask, open_ns, place, cash, 0, log)
        if braked and open_ns != before_ns:
            beat(limits, life, log.tally, cash + value_minor(terms, held, mark_bid, mark_ask), open_ns)
            if life[STRICTEST] >= REDUCING:
                want = none_waiting()
        if held.lots != 0:
            held, cash = engine_quote(terms, friction, held, bid, ask, open_ns, place, cash, 0, log)
        close = bars.closes[place]
        if held.lots != 0:
            held, cash = venue_bar(terms, friction, held, bars.highs[place], bars.lows[place], bars.volumes[place], close_ns, place,
                                   cash, 0, log)
        if braked:
            beat(limits, life, log.tally, cash + value_minor(terms, held, bid, ask), close_ns)
            if life[STRICTEST] >= REDUCING:
                want = none_waiting()
        before_ns = close_ns
        bid, ask = closing_mark(close, bid, ask)
        if held.lots != 0:
            stays_open = terms.always_open != 0 or (place + 1 < count and bars.opens_ns[place + 1] == close_ns)
            held = engine_bar(held, bars.highs[place], bars.lows[place], bid, ask, close_ns, stays_open)
        memory, asked = rule(params, memory, bars, place, place + 1, held_by_rule(held, want, place))
        if asked.act != 0:
            if asked.act == LEAVE and held.lots != 0:
                held = on_its_way_out(held, RULE_LEFT, leaving_lots(held, asked))
            elif asked.act == ENTER:
                book = with_line(empty_book(cash, life, limits), terms, terms, held, want, bid, ask, asked.sign, gap_bps)
                want = entry_of(limits, terms, book, held, asked, bid, ask, gap_bps, life, refused, cuts)
        equity_out[place] = cash + value_minor(terms, held, bid, ask)
    return held, want, cash
