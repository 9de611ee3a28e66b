"""Whether a rule looks ahead: what it wants while later bars are there to be read, held against what it wants where the bars end
with the one that has just closed, as they do live."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from engine.errors import ConfigError
from engine.kernel.wants import ENTER, KEEP, LEAVE, BarColumns, Held, RuleWant, flat
from engine.strategies.registry import BASKET, Strategy
from engine.units import Nanoseconds

RAISED = "raised"


def looks_ahead_at(strategy: Strategy, params: Any, bars: Sequence[BarColumns]) -> Nanoseconds:
    """The close of the first bar after which the rule wants, or remembers, something else because later bars are there; 0 where
    none is. `bars` are those of one instrument, or of a basket's in their order. A rule that fails in both ways alike is not
    judged beyond that."""
    whole = [BarColumns(*(array("q", [int(value) for value in column]) for column in one)) for one in bars]
    ended = list(_told(strategy, params, whole, ends=True))
    for known, (close_ns, told) in zip_longest(ended, _told(strategy, params, whole, ends=False)):
        if known != (close_ns, told):
            return close_ns
        if told == RAISED:
            return 0
    return 0


def _told(strategy: Strategy, params: Any, whole: Sequence[BarColumns], *, ends: bool) -> Iterator[tuple[Nanoseconds, object]]:
    """What it comes to after each bar, as a hash of its text: in text no number differs from itself."""
    shown = [BarColumns(*(array("q") for _ in one)) for one in whole] if ends else list(whole)
    memory, held = strategy.memory(), [flat() for _ in whole]
    for close_ns, places in _moments(whole):
        if ends:
            for one, all_of_it, place in zip(shown, whole, places, strict=True):
                for column, values in zip(one, all_of_it, strict=True):
                    column.extend(values[len(column):place + 1])  # type: ignore[attr-defined]
        try:
            memory, wanted = _asked(strategy, params, memory, shown, places, held)
        except (ConfigError, IndexError):
            yield close_ns, RAISED
            return
        yield close_ns, hash(repr((memory, wanted)))
        held = [_held_after(*known) for known in zip(held, wanted, shown, places, strict=True)]


def _moments(whole: Sequence[BarColumns]) -> Iterator[tuple[Nanoseconds, list[int]]]:
    """The times at which every instrument has a bar that closes, with their places."""
    for close_ns in whole[0].closes_ns:
        places = [bisect_left(one.closes_ns, close_ns) for one in whole]
        if all(place < len(one.closes_ns) and one.closes_ns[place] == close_ns for place, one in zip(places, whole, strict=True)):
            yield close_ns, places


def _asked(strategy: Strategy, params: Any, memory: Any, shown: Sequence[BarColumns], places: Sequence[int],
           held: Sequence[Held]) -> tuple[Any, list[Any]]:
    seen = min(places) + 1
    if strategy.kind == BASKET:
        out = [KEEP] * len(shown)
        return strategy.rule(params, memory, tuple(shown), tuple(places), seen, tuple(held), out), out
    memory, want = strategy.rule(params, memory, shown[0], places[0], seen, held[0])
    return memory, [want]


def _held_after(held: Held, wanted: RuleWant | int, bars: BarColumns, place: int) -> Held:
    """A holding that follows what is wanted, so that the rule is also asked while it holds something."""
    sign = 0
    if isinstance(wanted, int):
        sign = 0 if wanted == KEEP else (wanted > 0) - (wanted < 0)
        leaves = wanted == 0
    else:
        sign, leaves = (wanted.sign if wanted.act == ENTER else 0), wanted.act == LEAVE
    if leaves:
        return flat()
    if sign and not held.lots:
        close = bars.closes[place]
        return Held(5 * sign, close, max(1, close - sign * (close // 50)), 0, 0)
    return held._replace(since_bars=held.since_bars + 1) if held.lots else held
