"""Longer bars over history: what a rule on longer bars sees while exits go by every bar, and bars made of market trades.

A backtest on longer bars runs over the bars as they were recorded: orders fill, stops and targets act, trailing stops follow and
equity is marked on each of them, as the engine does it. Only the rule sees the longer bars, at the close of the bar that tells
one (`engine.kernel.joining`). So a pass over bars stays as it is: the functions here take the place of the rule in it.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.backtest.compiling import compiled, interpreted
from engine.bar_columns import common_moments
from engine.errors import TapeError
from engine.kernel.joining import NEVER_CLOSES_NS, NEVER_OPENS_NS, Part, joined, nothing_gathered
from engine.kernel.wants import BarColumns, Held, RuleWant, no_want
from engine.strategies.registry import BASKET, Strategy
from engine.trading_hours import SessionBounds, SessionLookup
from engine.units import NS_PER_SECOND, Nanoseconds

if TYPE_CHECKING:
    from pathlib import Path

NS_PER_DAY = 86_400 * NS_PER_SECOND
NOT_ASKED = -1
MOST_INTERPRETED = 300_000  # joined by the interpreter in the time that loading the compiler takes
FIELDS = len(BarColumns._fields)


# ---- joining -------------------------------------------------------------------------------------------------------------


def join_into(bars: BarColumns, bar_ns: int, sessions: Any, out: Any, asks: Any) -> int:
    """Join the bars of one instrument; how many longer bars were told. `sessions` are openings and closes, rising; `out` and
    `asks` have room for as many as there are bars. `asks` gets for each bar the longer one that it tells, or `NOT_ASKED`."""
    gathered, told, at = nothing_gathered(), 0, 0
    for place in range(len(bars.closes)):
        part = Part(bars.opens_ns[place], bars.closes_ns[place], bars.opens[place], bars.highs[place], bars.lows[place],
                    bars.closes[place], bars.volumes[place])
        while part.open_ns >= sessions[at][1]:
            at += 1
        gathered, longer, is_told = joined(gathered, part, bar_ns, sessions[at][0], sessions[at][1])
        asks[place] = NOT_ASKED
        if is_told:
            asks[place] = told
            out.opens_ns[told], out.closes_ns[told], out.opens[told] = longer.start_ns, longer.end_ns, longer.open_ticks
            out.highs[told], out.lows[told], out.closes[told] = longer.high_ticks, longer.low_ticks, longer.close_ticks
            out.volumes[told] = longer.volume_lots
            told += 1
    return told


class Joined(NamedTuple):
    """The longer bars of one instrument, and for each of its own bars the longer one that it tells, or `NOT_ASKED`."""

    bars: BarColumns
    asks: Any


class Joining(NamedTuple):
    """How bars are joined: into which length, compiled (as many bars always are) or interpreted, compiled code kept below a
    folder."""

    bar_ns: Nanoseconds
    compiles: bool = False
    cache_folder: "Path | None" = None


def sessions_over(session: str, bars: BarColumns, lookup: SessionLookup) -> tuple[SessionBounds, ...]:
    """The sessions of a market over the time of some bars."""
    opens_ns = bars.opens_ns
    found: list[SessionBounds] = []
    if len(opens_ns):
        found.append(lookup(session, int(opens_ns[0])))
        while found[-1].close_ns <= int(opens_ns[-1]):
            found.append(lookup(session, found[-1].close_ns))
    return tuple(found)


def refuse_misfits(bars: BarColumns, bar_ns: Nanoseconds) -> None:
    """Raises `TapeError` for a length that does not divide a day, and for bars that do not fit into it."""
    import numpy

    if bar_ns <= 0 or NS_PER_DAY % bar_ns:
        raise TapeError("bars must be of a length that divides a day, such as 5m, 1h, 4h or 1d")
    opens_ns, closes_ns = numpy.asarray(bars.opens_ns), numpy.asarray(bars.closes_ns)
    crossing = numpy.flatnonzero(closes_ns > (opens_ns // bar_ns + 1) * bar_ns)
    if len(crossing):
        seconds = int(closes_ns[crossing[0]] - opens_ns[crossing[0]]) // NS_PER_SECOND
        raise TapeError(f"a bar of {seconds:,} s does not fit into bars of {bar_ns // NS_PER_SECOND:,} s; name a longer length "
                        "that its bars divide")


def join(bars: BarColumns, sessions: Sequence[SessionBounds], how: Joining) -> Joined:
    """The longer bars of one instrument; no `sessions` stand for a market that never closes. Raises `TapeError` for bars that do
    not fit."""
    import numpy

    refuse_misfits(bars, how.bar_ns)
    ranges = [*sessions, (NEVER_CLOSES_NS, NEVER_CLOSES_NS + 1)] if sessions else [(NEVER_OPENS_NS, NEVER_CLOSES_NS)]
    count = len(bars.closes)
    columns: list[Any] = [numpy.ascontiguousarray(column, numpy.int64) for column in bars]
    out: list[Any] = [numpy.zeros(count, numpy.int64) for _ in range(FIELDS)]
    asks: Any = numpy.zeros(count, numpy.int64)
    if how.compiles or count > MOST_INTERPRETED:
        run = compiled(join_into, {}, how.cache_folder)
        told = run(BarColumns(*columns), how.bar_ns, numpy.array(ranges, numpy.int64), BarColumns(*out), asks)
        return Joined(BarColumns(*(column[:told].copy() for column in out)), asks)
    lists, plain = BarColumns(*([0] * count for _ in range(FIELDS))), [0] * count
    told = join_into(BarColumns(*(column.tolist() for column in columns)), how.bar_ns, ranges, lists, plain)
    made: list[Any] = [numpy.array(column[:told], numpy.int64) for column in lists]
    return Joined(BarColumns(*made), numpy.array(plain, numpy.int64))


def bars_of_trades(trades: BarColumns, bar_ns: Nanoseconds) -> BarColumns:
    """Market trades, each a part that opens and closes at one moment, as bars; what begins or ends within one makes none."""
    return join(trades, (), Joining(bar_ns)).bars


def recorded_bars(bars: BarColumns, rule_bars: int, bar_ns: Nanoseconds) -> int:
    """How many recorded bars hold that many of those that a rule sees, where none is missing."""
    import numpy

    if not bar_ns or not len(bars.closes) or not rule_bars:
        return rule_bars
    shortest_ns = int((numpy.asarray(bars.closes_ns) - numpy.asarray(bars.opens_ns)).min())
    return (rule_bars + 1) * max(1, bar_ns // max(1, shortest_ns))


# ---- in the place of a rule; these compile too ---------------------------------------------------------------------------


class LongerParams(NamedTuple):
    """What takes the place of a rule's parameters: these, the longer bars of all instruments one after the other, for each
    recorded bar the longer one that it tells (or `NOT_ASKED`) and the first that ended after it opened, and for each longer bar
    how many its instrument had by then."""

    params: Any
    bars: Any
    asks: Any
    since: Any
    seen: Any


def own_rule(params: Any, memory: Any, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Any, RuleWant]:
    """Stands for the strategy's rule, which takes this name's place."""
    raise NotImplementedError


def on_longer_bar(params: LongerParams, memory: Any, bars: BarColumns, place: int,  # noqa: ARG001 - a rule's form
                  seen: int, held: Held) -> tuple[Any, RuleWant]:  # noqa: ARG001
    """Ask the rule where a longer bar was told."""
    at = params.asks[place]
    if at < 0:
        return memory, no_want()
    return own_rule(params.params, memory, params.bars, at, params.seen[at], held_since(params.since, held, place, at))


def held_since(since: Any, held: Held, place: int, at: int) -> Held:
    """The same holding with the longer bars counted that ended since it was opened."""
    if held.lots == 0:
        return held
    bars = max(0, at - since[place - held.since_bars + 1] + 1)
    return Held(held.lots, held.entry_ticks, held.stop_ticks, held.waiting, bars)


class LongerWeights(NamedTuple):
    """The same for a basket: `asks` gives for each recorded bar of the first instrument a row of `rows`, where the longer bars
    of each instrument stand, or `NOT_ASKED`; `seen` is by row. What sets weights reads `band_bps` and `stop_bps` too."""

    params: Any
    bars: Any
    asks: Any
    since: Any
    seen: Any
    rows: Any
    band_bps: int
    stop_bps: int


def own_weights(params: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
    """Stands for the basket's weights, which take this name's place."""
    raise NotImplementedError


def on_longer_bars(params: LongerWeights, memory: Any, columns: Any, places: Any, seen: int,  # noqa: ARG001 - weights' form
                   held: Any, out: Any) -> Any:
    """Ask for the weights where the longer bars of all instruments were told."""
    row = params.asks[places[0]]
    if row < 0:
        return memory
    count = len(places)
    at, longer, shown = [0] * count, [params.bars] * count, [held[0]] * count
    for number in range(count):
        at[number] = params.rows[row * count + number]
        shown[number] = held_since(params.since, held[number], places[number], at[number])
    return own_weights(params.params, memory, longer, at, params.seen[row], shown, out)


# ---- what a pass is given ------------------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """What takes the place of a strategy's rule and of its parameters in a pass."""

    rule: Callable[..., Any]
    params: Any
    inner: dict[str, Callable[..., Any]]

    def interpreted_rule(self) -> Callable[..., Any]:
        return interpreted(self.rule, self.inner)


def asked_on_longer_bars(bars: Sequence[BarColumns], sessions: Sequence[Sequence[SessionBounds]], strategy: Strategy, params: Any,
                         how: Joining) -> Asked:
    """What a pass over these bars asks instead of the strategy itself."""
    import numpy

    every = [join(one, own, how) for one, own in zip(bars, sessions, strict=True)]
    firsts = numpy.cumsum([0, *(len(one.bars.closes) for one in every)])
    columns: list[Any] = [numpy.concatenate(column) for column in zip(*(one.bars for one in every), strict=True)]
    since = numpy.concatenate([
        numpy.searchsorted(numpy.asarray(one.bars.closes_ns), numpy.asarray(own.opens_ns), side="right") + first
        for one, own, first in zip(every, bars, firsts[:-1], strict=True)])
    seen = numpy.concatenate([numpy.arange(1, len(one.bars.closes) + 1) for one in every])
    if strategy.kind == BASKET:
        return _basket(bars, every, strategy, params, (columns, since, firsts))
    asks = numpy.concatenate([numpy.where(one.asks < 0, NOT_ASKED, one.asks + first)
                              for one, first in zip(every, firsts[:-1], strict=True)])
    terms = LongerParams(params, BarColumns(*columns), asks, since, seen)
    return Asked(on_longer_bar, terms, {"own_rule": strategy.rule})


def _basket(bars: Sequence[BarColumns], every: Sequence[Joined], strategy: Strategy, params: Any, laid: tuple[Any, ...]) -> Asked:
    import numpy

    columns, since, firsts = laid
    told = [numpy.asarray(own.closes_ns)[one.asks >= 0].tolist() for one, own in zip(every, bars, strict=True)]
    ends: list[Any] = [numpy.asarray(one.bars.closes_ns) for one in every]
    moments = common_moments([numpy.asarray(own.closes_ns).tolist() for own in bars],
                             [(end.tolist(), when) for end, when in zip(ends, told, strict=True)])
    asks = numpy.full(len(since), NOT_ASKED)
    asks[numpy.searchsorted(numpy.asarray(bars[0].closes_ns), [at_ns for at_ns, _ in moments])] = numpy.arange(len(moments))
    places = [numpy.searchsorted(end, [end_ns for _, end_ns in moments]) for end in ends]
    rows = numpy.stack([place + first for place, first in zip(places, firsts[:-1], strict=True)], axis=1).reshape(-1)
    seen = numpy.min(places, axis=0) + 1
    terms = LongerWeights(params, BarColumns(*columns), asks, since, seen, rows, params.band_bps, params.stop_bps)
    return Asked(on_longer_bars, terms, {"own_weights": strategy.rule})


def as_lists(params: Any) -> Any:
    """The same with plain lists for arrays, which the interpreter reads several times as fast."""
    listed = {name: value.tolist() for name, value in params._asdict().items() if hasattr(value, "tolist")}
    return params._replace(bars=BarColumns(*(column.tolist() for column in params.bars)), **listed)
