"""One pass over a basket: instruments in one account whose weights are asked for together, after the last bar of a moment at
which all of them have one; plain functions that are compiled for each strategy.

Moments are those of `engine.backtest.passes`; the wants of a moment go out as `engine.desk` sends them: what reduces first.
"""

from typing import Any

from engine.backtest.entries import Limits, sizing_minor
from engine.backtest.holdings import HEAD, ROW, VALUE_DEN, VALUE_NUM
from engine.backtest.passes import NEVER_NS, act, close_all, equity_of, held_by_rule, mark_at_close, open_all
from engine.backtest.steps import Friction
from engine.kernel.wants import ENTER, KEEP, LEAVE, BarColumns, Held, RuleWant, basket_want


def weights(params: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
    """Stands for the strategy's weights, which take this name's place in the compiled pass."""
    raise NotImplementedError


def one_basket(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, params: Any,
               memory: Any, cursor: Any, equity_at_ns: Any, equity_out: Any) -> int:
    """A basket in one account; how many moments had a bar that closed, each with its equity. Shapes as `several_instruments`."""
    opens_ns, closes_ns, opens = bars.opens_ns, bars.closes_ns, bars.opens
    count = len(starts) - 1
    columns = [bars] * count
    marked = 0
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
        if closed == count:
            places, held, out = [0] * count, [held_by_rule(w, HEAD, 0)] * count, [KEEP] * count
            seen = look(w, starts, cursor, places, held)
            memory = weights(params, memory, columns, places, seen, held, out)
            settle(w, bars, friction, limits, params, places, held, out)
        if closed > 0:
            equity_at_ns[marked], equity_out[marked] = now_ns, equity_of(w, count)
            marked += 1
        open_all(w, friction, limits, braked and closed == 0, count, cursor, opens, closes_ns, now_ns)


def look(w: Any, starts: Any, cursor: Any, places: list[int], held: list[Held]) -> int:
    """Where the bar of each instrument that has just closed stands, and what is held of it; the least number of bars seen."""
    seen = NEVER_NS
    for number in range(len(places)):
        places[number] = cursor[3 * number] - 1
        held[number] = held_by_rule(w, HEAD + number * ROW, places[number])
        seen = min(seen, cursor[3 * number] - starts[number])
    return seen


def settle(w: Any, bars: BarColumns, friction: Friction, limits: Limits, params: Any, places: list[int], held: list[Held],
           out: list[int]) -> None:
    """Act on the targets of a moment, each beside the capital before any of them."""
    count = len(places)
    equity = sizing_minor(equity_of(w, count), limits)
    wants = [basket_want(out[number], held[number], bars.closes[places[number]], w[HEAD + number * ROW + VALUE_NUM],
                         w[HEAD + number * ROW + VALUE_DEN], equity, params.band_bps, params.stop_bps) for number in range(count)]
    for number in range(count):
        mark_at_close(w, HEAD + number * ROW, friction, bars.opens[places[number]], bars.closes[places[number]])
    act_on(w, places, limits, wants, LEAVE, friction.gap_bps)
    act_on(w, places, limits, wants, ENTER, friction.gap_bps)


def act_on(w: Any, places: list[int], limits: Limits, wants: list[RuleWant], kind: int, gap_bps: int) -> None:
    """Those of the wants that are of a kind, in the order of the basket."""
    for number in range(len(places)):
        if wants[number].act == kind:
            act(w, HEAD + number * ROW, places[number], len(places), limits, wants[number], gap_bps)
