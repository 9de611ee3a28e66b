"""Several instruments in one account, interpreted: the pass of a rule in Python, and of short runs of built-in rules.

It makes what `engine.backtest.passes.several_instruments` makes, from the same functions, but goes from one instrument to the
other less often, which costs the interpreter as much as asking. What a rule wants follows from its bars and from what is held of
its own instrument alone; so while nothing of one is held or on its way, its rule is asked bar after bar until it wants to enter,
and the account looks at that instrument again at the close of that bar.
"""

from collections.abc import Iterator
from copy import copy
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any

from engine.backtest.entries import Limits
from engine.backtest.holdings import HEAD, LOTS, ROW, WAITING
from engine.backtest.passes import (
    NEVER_NS,
    OPENED,
    Cursor,
    act,
    before_opens,
    close_all,
    equity_of,
    held_by_rule,
    mark_at_close,
    open_all,
    rule,
)
from engine.backtest.steps import Friction
from engine.kernel.wants import ENTER, NOTHING, BarColumns, RuleWant, flat, no_want
from engine.strategies.registry import NextEntry


class Ahead:
    """The rules of all instruments: their memories, what those of idle ones will want, and when."""

    def __init__(self, params: Any, memory: Any, bars: BarColumns, starts: Any, cursor: Cursor) -> None:
        self.memories = [copy(memory) for _ in starts[1:]]
        self.wants: list[RuleWant | None] = [None] * len(self.memories)
        self._params, self._bars, self._starts, self._cursor = params, bars, starts, cursor
        self._waiting: list[tuple[int, int]] = []

    def wait(self, ask: NextEntry, number: int, first: int) -> None:
        """Ask an idle instrument's rule from a bar on until it wants to enter; in the cursor stands when that is."""
        cursor, end = self._cursor, self._starts[number + 1]
        place, memory, asked = ask(self._params, self.memories[number], self._bars, first, self._starts[number], end)
        at_ns = NEVER_NS
        if place < end:
            at_ns, self.memories[number], self.wants[number] = self._bars.closes_ns[place], memory, asked
            heappush(self._waiting, (at_ns, number))
        cursor.next_ns[number], cursor.places[number], cursor.opened[number] = at_ns, place, OPENED

    def due(self, now_ns: int) -> list[int]:
        """The idle instruments that want to enter now."""
        found, waiting = [], self._waiting
        while waiting and waiting[0][0] == now_ns:
            found.append(heappop(waiting)[1])
        return found


def several_asked_ahead(w: Any, bars: BarColumns, starts: Any, friction: Friction, limits: Limits, braked: bool, params: Any,
                        memory: Any, cursor: Cursor, equity_at_ns: Any, equity_out: Any) -> int:
    """As `several_instruments`, over lists; in `cursor` stand only the instruments that are busy or will want to enter."""
    next_ns, places, opened, listed = cursor
    opens_ns, count = bars.opens_ns, len(starts) - 1
    marked = busy = 0
    ahead = Ahead(params, memory, bars, starts, cursor)
    memories, wants = ahead.memories, ahead.wants
    for number in range(count):
        ahead.wait(next_entry, number, starts[number])
    for now_ns, closing, opening in moments_of(bars, starts):
        closes = closing < count
        if closes:
            if busy or braked:
                close_all(w, bars, starts, friction, limits, braked, cursor, busy, closing, now_ns)
            equity_at_ns[marked], equity_out[marked] = now_ns, equity_of(w, cursor, busy)
            marked += 1
        numbers, due = listed[:busy], ahead.due(now_ns)
        if due:
            numbers = sorted(numbers + due)
        busy = 0
        for number in numbers:
            at, place = HEAD + number * ROW, places[number]
            if next_ns[number] == now_ns and opened[number] != 0:
                asked = wants[number]
                if asked is None:
                    memories[number], asked = rule(params, memories[number], bars, place, place - starts[number] + 1,
                                                   held_by_rule(w, at, place))
                if asked.act != NOTHING:
                    wants[number] = None
                    mark_at_close(w, at, friction, bars.opens[place], bars.closes[place])
                    act(w, at, place, [HEAD + other * ROW for other in numbers], limits, asked, friction.gap_bps)
                place += 1
                next_ns[number] = opens_ns[place] if place < starts[number + 1] else NEVER_NS
                places[number], opened[number] = place, 0
            if w[at + LOTS] != 0 or w[at + WAITING] != 0:
                listed[busy] = number
                busy += 1
            else:
                ahead.wait(next_entry, number, place)
        before_opens(w, count, now_ns)
        if busy or braked:
            open_all(w, bars, friction, limits, braked and not closes, cursor, busy, opening, now_ns)
    return marked


def next_entry(params: Any, memory: Any, bars: BarColumns, first: int, start: int, end: int) -> tuple[int, Any, RuleWant]:
    """The next bar (from `first` on) at which the rule of an idle instrument, whose bars are `start` to `end`, wants to enter,
    its memory then, and what it wants; `end` where it never does."""
    free = flat()
    for place in range(first, end):
        memory, asked = rule(params, memory, bars, place, place - start + 1, free)
        if asked.act == ENTER:
            return place, memory, asked
    return end, memory, no_want()


def moments_of(bars: BarColumns, starts: Any) -> Iterator[tuple[int, int, int]]:
    """Every time at which a bar closes or opens, with the first instrument whose bar closes then and the first whose bar opens;
    their count where there is none."""
    import numpy

    count, columns = len(starts) - 1, (bars.closes_ns, bars.opens_ns)
    times_ns = [[numpy.asarray(column[start:end]) for column in columns] for start, end in pairwise(starts)]
    # where the one before has bars at the very same times, it is the first
    firsts = [number for number, one in enumerate(times_ns)
              if not number or not all(map(numpy.array_equal, one, times_ns[number - 1]))]
    at_ns = numpy.unique(numpy.concatenate([column for number in firsts for column in times_ns[number]]))
    told = []
    for kind in range(len(columns)):
        first = numpy.full(len(at_ns), count)
        for number in reversed(firsts):
            first[numpy.searchsorted(at_ns, times_ns[number][kind])] = number
        told.append(memoryview(first))
    return zip(memoryview(at_ns), *told, strict=True)
