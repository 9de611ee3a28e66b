"""One pass over a basket: instruments in one account whose weights are asked for together, after the last bar of a moment at
which all of them have one; plain functions that are compiled for each strategy.

Moments are those of `engine.backtest.passes`; the wants of a moment go out as `engine.desk` sends them: what reduces first.
"""

from typing import Any

from engine.backtest.entries import Limits, sizing_minor
from engine.backtest.holdings import HEAD, ROW, VALUE_DEN, VALUE_NUM
from engine.backtest.passes import (
    NEVER_NS,
    Cursor,
    act,
    before_opens,
    close_all,
    equity_of,
    first_moment,
    first_of,
    held_by_rule,
    mark_at_close,
    next_moment,
    open_all,
    step_on,
)
from engine.backtest.steps import Friction
from engine.kernel.wants import ENTER, KEEP, LEAVE, BarColumns, Held, RuleWant, basket_want


def weights(params: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
    """Stands for the strategy's weights, which take this name's place in the compiled pass."""
    raise NotImplementedError


def one_basket(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, params: Any,
               memory: Any, cursor: Cursor, equity_at_ns: Any, equity_out: Any) -> int:
    """A basket in one account; how many moments had a bar that closed, each with its equity. Shapes as `several_instruments`."""
    count = len(starts) - 1
    columns = [bars] * count
    marked = busy = 0
    now_ns = first_moment(bars, starts, cursor)
    while now_ns != NEVER_NS:
        first = first_of(cursor, now_ns, True)
        closes = first < count
        if closes:
            close_all(w, bars, starts, friction, limits, braked, cursor, busy, first, now_ns)
            equity = equity_of(w, cursor, busy)
            if is_whole(cursor, now_ns):
                places, held, out = [0] * count, [held_by_rule(w, HEAD, 0)] * count, [KEEP] * count
                seen = look(w, starts, cursor, places, held)
                memory = weights(params, memory, columns, places, seen, held, out)
                settle(w, bars, friction, limits, params, places, held, out, equity)
            equity_at_ns[marked], equity_out[marked] = now_ns, equity
            marked += 1
        else:
            first = first_of(cursor, now_ns, False)
        busy = 0
        for number in range(count):
            busy = step_on(w, bars, starts, cursor, number, busy, now_ns)
        before_opens(w, count, now_ns)
        open_all(w, bars, friction, limits, braked and not closes, cursor, busy, first, now_ns)
        now_ns = next_moment(cursor)
    return marked


def is_whole(cursor: Cursor, now_ns: int) -> bool:
    """Whether a bar of every instrument closes at this moment."""
    whole = True
    for number in range(len(cursor.next_ns)):
        whole = whole and cursor.next_ns[number] == now_ns and cursor.opened[number] != 0
    return whole


def look(w: Any, starts: Any, cursor: Cursor, places: list[int], held: list[Held]) -> int:
    """Where the bar of each instrument that has just closed stands, and what is held of it; the least number of bars seen."""
    seen = NEVER_NS
    for number in range(len(places)):
        places[number] = cursor.places[number]
        held[number] = held_by_rule(w, HEAD + number * ROW, places[number])
        seen = min(seen, places[number] - starts[number] + 1)
    return seen


def settle(w: Any, bars: BarColumns, friction: Friction, limits: Limits, params: Any, places: list[int], held: list[Held],
           out: list[int], equity: int) -> None:
    """Act on the targets of a moment, each beside the capital before any of them."""
    count = len(places)
    capital = sizing_minor(equity, limits)
    wants = [basket_want(out[number], held[number], bars.closes[places[number]], w[HEAD + number * ROW + VALUE_NUM],
                         w[HEAD + number * ROW + VALUE_DEN], capital, params.band_bps, params.stop_bps)
             for number in range(count)]
    for number in range(count):
        mark_at_close(w, HEAD + number * ROW, friction, bars.opens[places[number]], bars.closes[places[number]])
    act_on(w, places, limits, wants, LEAVE, friction.gap_bps)
    act_on(w, places, limits, wants, ENTER, friction.gap_bps)


def act_on(w: Any, places: list[int], limits: Limits, wants: list[RuleWant], kind: int, gap_bps: int) -> None:
    """Those of the wants that are of a kind, in the order of the basket."""
    rows = range(HEAD, HEAD + len(places) * ROW, ROW)
    for number in range(len(places)):
        if wants[number].act == kind:
            act(w, HEAD + number * ROW, places[number], rows, limits, wants[number], gap_bps)
