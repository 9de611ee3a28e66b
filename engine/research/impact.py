"""What an event is worth in basis points for those that it names and for those tied to them, by our own table of past events.

`impact_bps = b[kind, sector] * surprise * regime factor * (sigma now / usual sigma) * product of weights * 0.5 ** (hops - 1)`,
at most two hops and three daily standard deviations. b is the median abnormal return that followed such events, in the
direction that they told, shrunk by n / (n + 20). Without history there is no number, and none is guessed.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from engine.research.event_graph import EventGraph, Path
from engine.research.event_words import EventKind
from engine.research.events import EventNote
from engine.units import Nanoseconds

SHRINK_N = 20
MOST_SIGMAS = 3.0
ANY_SECTOR = ""
USUAL_REGIME_FACTORS: Mapping[str, float] = {"calm": 1.0, "normal": 1.0, "wild": 1.0}


class PastEvent(msgspec.Struct, frozen=True):
    """A row of our own event table: what followed, as the abnormal return of the next day in bps, known at `resolved_at_ns`."""

    note_id: str
    symbol: str
    kind: EventKind
    sector: str
    push: float
    abnormal_bps: float
    resolved_at_ns: Nanoseconds


class Strength(NamedTuple):
    """b of one kind of event in a sector, and how many past events it rests on."""

    bps: float
    n: int


class Volatility(NamedTuple):
    """The daily standard deviation of a name's returns in bps, now and usually, and its regime of volatility in a word."""

    now_bps: float
    usual_bps: float
    regime: str = "normal"


class Impact(msgspec.Struct, frozen=True):
    """What a note means for a name; `impact_bps` None is "no history" (or no direction, or no volatility), `capped` that the
    limit of three daily standard deviations took some."""

    note_id: str
    symbol: str
    path: Path
    impact_bps: float | None
    history_n: int
    capped: bool = False
    why_not: str = ""


def strengths(table: Sequence[PastEvent], as_of_ns: Nanoseconds) -> dict[tuple[EventKind, str], Strength]:
    """b by kind and sector, and by kind over all sectors, out of what was resolved by `as_of_ns`.

    A return counts in the direction that its event told: what fell after bad news is a positive b.
    """
    seen: dict[tuple[EventKind, str], list[float]] = {}
    for row in table:
        if row.resolved_at_ns > as_of_ns or not row.push:
            continue
        signed = row.abnormal_bps if row.push > 0 else -row.abnormal_bps
        for sector in {row.sector, ANY_SECTOR}:
            seen.setdefault((row.kind, sector), []).append(signed)
    return {key: Strength(median(values) * len(values) / (len(values) + SHRINK_N), len(values)) for key, values in seen.items()}


def impacts_of(note: EventNote, graph: EventGraph, known: Mapping[tuple[EventKind, str], Strength],
               sectors: Mapping[str, str], volatilities: Mapping[str, Volatility],
               regime_factors: Mapping[str, float] = USUAL_REGIME_FACTORS) -> tuple[Impact, ...]:
    """What a note means for everybody it names and for those tied to them, as the graph was when the note was known.

    A name that is reached in several ways has the strongest alone; those that the note itself names are reached directly. The
    sector whose history counts is that of the name where the event happened.
    """
    found: dict[str, tuple[Path, str]] = {}
    for origin in note.symbols:
        for path in graph.reached_from(origin, note.known_at_ns):
            name = path.names[-1]
            before = found.get(name)
            if path.hops and name in note.symbols:
                continue
            if before is None or path.decay > before[0].decay:
                found[name] = (path, origin)
    return tuple(_impact(note, path, _strength(known, note.kind, sectors.get(origin, ANY_SECTOR)),
                         volatilities.get(path.names[-1]), regime_factors) for path, origin in found.values())


def _strength(known: Mapping[tuple[EventKind, str], Strength], kind: EventKind, sector: str) -> Strength | None:
    """That of the sector, else that of all sectors together."""
    return known.get((kind, sector)) or known.get((kind, ANY_SECTOR))


def _impact(note: EventNote, path: Path, strength: Strength | None, volatility: Volatility | None,
            regime_factors: Mapping[str, float]) -> Impact:
    name, push = path.names[-1], note.push
    if strength is None:
        return Impact(note.note_id, name, path, None, 0, why_not="no history")
    if push is None:
        return Impact(note.note_id, name, path, None, strength.n, why_not="no direction")
    if volatility is None or volatility.usual_bps <= 0:
        return Impact(note.note_id, name, path, None, strength.n, why_not="no volatility")
    raw_bps = (strength.bps * push * regime_factors.get(volatility.regime, 1.0)
               * (volatility.now_bps / volatility.usual_bps) * path.decay)
    most_bps = MOST_SIGMAS * volatility.now_bps
    bounded = max(-most_bps, min(most_bps, raw_bps))
    return Impact(note.note_id, name, path, bounded, strength.n, capped=bounded != raw_bps)
