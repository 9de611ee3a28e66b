"""From news to what follows from it: items become notes, notes are kept, and a fresh one begins research where it matters.

It works in the thread of whoever hands news over. Nothing here decides: a run that is asked for is accepted or refused, and
journaled, by the core, which also keeps them apart in time.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.errors import QuarterdeckError, VenueUnreachable
from engine.inputs import RunResearch
from engine.plain_text import plain
from engine.research.context import Past, abnormal_bps, volatility_of
from engine.research.daily_summary import Known, day_bounds, day_text, events_view
from engine.research.decided import ResearchCause
from engine.research.events import EventNote, Names, NewsItem, note_of
from engine.research.impact import Impact, impacts_of, strengths
from engine.research_look import watched
from engine.research_words import EventsView
from engine.research_world import ResearchWorld, WorldAsk
from engine.state import State
from engine.trading_hours import NS_PER_DAY
from engine.units import NS_PER_SECOND, Nanoseconds

FRESH_NS = 2 * 3_600 * NS_PER_SECOND
STALE_NS = 3 * NS_PER_DAY
MOST_SYMBOLS = 4
LEAST_SHOCK = 1.0  # usual differences between what came and what was expected
BY = "events"
_log = logging.getLogger("quarterdeck.news")


class EventDesk:
    """Takes news, and tells of events. `state` gives the engine's newest state, `send` hands it a command; both from any thread.

    An item begins research in each portfolio that holds or looks at what it names, or at a name tied to that by `least_tie` or
    more; where the detector marked it, or it is older than two hours, it begins none."""

    def __init__(self, world: ResearchWorld, state: Callable[[], State], send: Callable[[RunResearch], object], *,
                 aliases: Mapping[str, str], least_tie: float = 0.2, begins_research: bool = True) -> None:
        self._world = world
        self._state = state
        self._send = send
        self._aliases = dict(aliases)
        self._least_tie = least_tie
        self._begins_research = begins_research

    def take(self, items: Sequence[NewsItem]) -> tuple[EventNote, ...]:
        """Keep what is new of some items; the notes that were. Raises `StoreError` where they cannot be kept, `VenueUnreachable`
        where nothing is listed yet or a calendar's past cannot be learned: then they are to be handed over again."""
        state = self._state()
        if not state.instruments:
            raise VenueUnreachable("no venue has told yet what it lists; it is asked again")
        names = self.names(state)
        typed = [(item, note) for item in items if (note := note_of(item, names)) is not None]
        fresh = self._world.memory.keep_notes([note for _, note in typed if not _is_stale(note)])
        if self._begins_research:
            for command in self.runs(state, fresh):
                self._ask_for(command)
        if past := [note for item, note in typed if item.kind and _is_stale(note)]:  # a calendar's history, not old headlines
            self._world.learn_from(state, past, max(note.known_at_ns for note in past))
        return fresh

    def names(self, state: State) -> Names:
        """What may be named: the symbols that are listed, and their other names."""
        symbols = frozenset(one.symbol for one in state.instruments.values())
        known = frozenset(symbols | {name for edge in self._world.graph.edges for name in (edge.origin, edge.reached)})
        return Names(known, {alias: symbol for alias, symbol in self._aliases.items() if symbol in known})

    def runs(self, state: State, notes: Iterable[EventNote]) -> tuple[RunResearch, ...]:
        """The runs that fresh notes ask for, one a portfolio at most: what is named first, then what is tied to it. A number
        for whole markets that lay far from what was expected begins a scan everywhere."""
        timely = [note for note in notes if not note.flag and note.known_at_ns - FRESH_NS < note.event_time_ns <= note.known_at_ns
                  and (note.symbols or abs(note.surprise or 0.0) >= LEAST_SHOCK)]
        ties = self._ties(timely)
        asked: list[RunResearch] = []
        for portfolio in state.portfolios if timely else ():
            looked_at = {one.symbol for one in watched(state, portfolio)}
            looked_at |= {state.instruments[one.instrument_id].symbol for one in state.positions.values()
                          if one.portfolio == portfolio}
            reached = sorted((symbol for symbol in ties if symbol in looked_at), key=lambda symbol: (-ties[symbol], symbol))
            if reached or any(not note.symbols for note in timely):
                note = max(timely, key=lambda one: (one.known_at_ns, one.note_id))
                asked.append(RunResearch(f"{BY}-{note.note_id}-{portfolio}", portfolio, tuple(reached[:MOST_SYMBOLS]),
                                         ResearchCause.EVENT, note=f"{note.kind.value} {' '.join(note.symbols) or 'market'}",
                                         by=BY))
        return tuple(asked)

    def _ties(self, notes: Iterable[EventNote]) -> dict[str, float]:
        """How strongly each name is reached by any of the notes."""
        ties: dict[str, float] = {}
        for note in notes:
            for origin in note.symbols:
                for path in self._world.graph.reached_from(origin, note.known_at_ns):
                    if not path.hops or path.decay >= self._least_tie:
                        ties[path.names[-1]] = max(ties.get(path.names[-1], 0.0), path.decay)
        return ties

    def _ask_for(self, command: RunResearch) -> None:
        try:
            self._send(command)
        except QuarterdeckError as error:
            _log.warning("research of %s was not begun: %s", command.portfolio, plain(str(error)))
        except Exception as error:  # noqa: BLE001 - what could not be begun now is begun by the next event
            _log.warning("research of %s was not begun (%s)", command.portfolio, type(error).__name__)


def _is_stale(note: EventNote) -> bool:
    return note.event_time_ns <= note.known_at_ns - STALE_NS


def events_of_day(world: ResearchWorld, state: State, now_ns: Nanoseconds, day: str = "", portfolio: str = "",
                  sources: Sequence[str] = ()) -> EventsView:
    """The events of a day of UTC, today where none is named: what was told on it, and what a calendar had told for it. With what
    was expected of them when they were known and what came of that by now; for one portfolio, or for all. Blocks; raises
    `ValueError` where the day is no date."""
    shown = day or day_text(now_ns)
    start_ns, end_ns = day_bounds(shown)
    told = (*world.memory.notes(start_ns - 1, min(end_ns - 1, now_ns)), *world.memory.scheduled(start_ns - 1, end_ns - 1, now_ns))
    notes = tuple({note.note_id: note for note in told}.values())
    chosen = [portfolio] if portfolio else list(state.portfolios)
    held = [one.instrument_id for one in state.positions.values() if one.portfolio in chosen]
    named = frozenset(symbol for note in notes for symbol in note.symbols)
    listed = [one.instrument_id for one in state.instruments.values() if one.symbol in named]
    names = tuple(dict.fromkeys((*held, *(one.instrument_id for name in chosen for one in watched(state, name)), *listed)))
    pasts = world.pasts(WorldAsk(state, chosen[0], names[0], now_ns, names)) if names else {}
    impacts = _impacts_then(world, notes, pasts, state.settings.sectors, now_ns)
    known = Known(frozenset(state.instruments[name].symbol for name in held), _convictions(state, chosen), state.settings.sectors,
                  _realised(notes, impacts, pasts), tuple(sources),
                  world.memory.readings(start_ns - 1, min(end_ns - 1, now_ns)))
    return events_view(shown, notes, impacts, known)


def _impacts_then(world: ResearchWorld, notes: Iterable[EventNote], pasts: Mapping[str, Past], sectors: Mapping[str, str],
                  now_ns: Nanoseconds) -> list[Impact]:
    """What each note meant by what was known when it was: later outcomes and later bars are left out."""
    table = world.memory.outcomes(now_ns)
    impacts: list[Impact] = []
    for note in (one for one in notes if not one.flag and one.event_time_ns <= now_ns):
        moves = {symbol: found for symbol, past in pasts.items() if (found := volatility_of(past.until(note.known_at_ns)))}
        found_then = impacts_of(note, world.graph, strengths(table, note.known_at_ns), sectors, moves)
        impacts += [one for one in found_then if one.symbol in pasts or not one.path.hops]
    return impacts


def _realised(notes: Iterable[EventNote], impacts: Iterable[Impact],
              pasts: Mapping[str, Past]) -> dict[tuple[str, str], float]:
    """The abnormal return to the next close at each name that a note reaches, where that close is there."""
    moments = {note.note_id: max(note.known_at_ns, note.event_time_ns) for note in notes}
    found = {(one.note_id, one.symbol): abnormal_bps(one.symbol, moments[one.note_id], pasts) for one in impacts}
    return {key: made[0] for key, made in found.items() if made is not None}


def _convictions(state: State, portfolios: Sequence[str]) -> dict[str, float]:
    """The newest calibrated probability of each symbol; decisions are kept oldest first."""
    return {sealed.decided.symbol: sealed.decided.worth.p_cal for sealed in state.research.decisions.values()
            if sealed.decided.portfolio in portfolios and sealed.decided.worth is not None}
