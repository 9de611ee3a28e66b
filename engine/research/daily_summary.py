"""A day of events in one view: what happened, whom it concerns directly and along the graph, what was expected and what came of
it, and where several things gather."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from engine.research.event_words import EventKind
from engine.research.events import EventNote
from engine.research.impact import Impact
from engine.research_words import EventsView, ImpactView
from engine.trading_hours import NS_PER_DAY
from engine.units import NS_PER_SECOND, Nanoseconds

MOST_NOTES = 100
MOST_SHOWN = 2 * MOST_NOTES
MOST_IMPACTS = 300
LEAST_CLUSTER = 2
MOST_CLUSTERS = 12


class Known(NamedTuple):
    """What is known beside the events: who is held, the newest conviction and the sector of each name, what followed each note at
    each name (bps), the sources' last words, and what models made of items."""

    held: frozenset[str]
    convictions: Mapping[str, float]
    sectors: Mapping[str, str]
    realised: Mapping[tuple[str, str], float]
    sources: tuple[str, ...] = ()
    readings: tuple[EventNote, ...] = ()


def day_text(at_ns: Nanoseconds) -> str:
    """The day of UTC, such as 2026-11-20."""
    return datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC).date().isoformat()


def day_bounds(text: str) -> tuple[Nanoseconds, Nanoseconds]:
    """The first nanosecond of a day of UTC and that of the next; raises `ValueError` where it is no date."""
    start_ns = (date.fromisoformat(text) - date(1970, 1, 1)).days * NS_PER_DAY
    return start_ns, start_ns + NS_PER_DAY


def events_view(day: str, notes: Sequence[EventNote], impacts: Sequence[Impact], known: Known) -> EventsView:
    """The view of a day: first the events that mean most to what is held, then the largest, then the newest."""
    weights: dict[str, tuple[bool, float]] = {}
    for impact in impacts:
        held, size = weights.get(impact.note_id, (False, 0.0))
        weights[impact.note_id] = (held or impact.symbol in known.held, max(size, abs(impact.impact_bps or 0.0)))

    def rank(note: EventNote) -> tuple[bool, float, int, str]:
        held, size = weights.get(note.note_id, (False, 0.0))
        return (not held, -size, -note.known_at_ns, note.note_id)

    top = sorted(notes, key=rank)[:MOST_NOTES]
    places = {note.note_id: place for place, note in enumerate(top)}
    shown = sorted((one for one in impacts if one.note_id in places),
                   key=lambda one: (places[one.note_id], one.path.hops, -abs(one.impact_bps or 0.0), one.symbol))[:MOST_IMPACTS]
    told = tuple(note.view for note in _with_readings(top, known.readings))
    return EventsView(day, told, tuple(_view(one, known) for one in shown), clusters(notes, shown, known.sectors), known.sources)


def _with_readings(top: Sequence[EventNote], readings: Sequence[EventNote]) -> list[EventNote]:
    """Notes, each with what models made of the same item behind it; what they made of items of another day comes last."""
    of_item: dict[str, list[EventNote]] = {}
    for one in readings:
        of_item.setdefault(one.note_id.partition("/")[0], []).append(one)
    shown = [one for note in top for one in (note, *of_item.pop(note.note_id, ()))]
    return [*shown, *(one for left in of_item.values() for one in left)][:MOST_SHOWN]


def _view(impact: Impact, known: Known) -> ImpactView:
    return ImpactView(impact.note_id, impact.symbol, impact.path.text, impact.path.hops, impact.impact_bps, impact.history_n,
                      impact.symbol in known.held, known.convictions.get(impact.symbol),
                      known.realised.get((impact.note_id, impact.symbol)))


def clusters(notes: Sequence[EventNote], impacts: Sequence[Impact], sectors: Mapping[str, str]) -> tuple[str, ...]:
    """Where several things gather: events of one kind in one sector, and names that several events reach; the largest first."""
    by_kind: dict[tuple[EventKind, str], dict[str, None]] = {}
    events: dict[tuple[EventKind, str], int] = {}
    for note in notes:
        for sector in dict.fromkeys(sectors.get(symbol, "") for symbol in note.symbols):
            key = (note.kind, sector)
            events[key] = events.get(key, 0) + 1
            by_kind.setdefault(key, {}).update(dict.fromkeys(
                symbol for symbol in note.symbols if sectors.get(symbol, "") == sector))
    found: list[tuple[int, str]] = []
    for (kind, sector), count in events.items():
        if count >= LEAST_CLUSTER:
            names = ", ".join(sorted(by_kind[kind, sector]))
            found.append((count, f"{count} events of {kind.value}{f' in {sector}' if sector else ''}: {names}"))
    reached: dict[str, dict[str, None]] = {}
    for impact in impacts:
        reached.setdefault(impact.symbol, {})[impact.note_id] = None
    found += [(len(ids), f"{symbol} is reached by {len(ids)} events") for symbol, ids in reached.items()
              if len(ids) >= LEAST_CLUSTER]
    return tuple(text for _, text in sorted(found, key=lambda one: (-one[0], one[1]))[:MOST_CLUSTERS])
