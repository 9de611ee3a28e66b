"""What is remembered of earlier decisions: text made by code, recalled by likeness, age and regime, never from the future."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from engine.research.canonical import decimal_text
from engine.research.event_words import EVENT_KINDS
from engine.research.events import EventNote, NoteReading
from engine.research.impact import PastEvent
from engine.research.opinions import Stance
from engine.research_state import SealedDecision
from engine.trading_hours import NS_PER_DAY
from engine.units import Nanoseconds

MOST_RECALLED = 6
FADE_DAYS = 30.0
SAME_REGIME = 0.5
K1, B = 1.2, 0.75


class MemoryItem(msgspec.Struct, frozen=True):
    """One resolved decision of one portfolio. `event_kinds` are of the closed list, `won` whether its side was right (that of the
    probability where it was flat); it is known from `resolved_at_ns` on."""

    memory_id: str
    portfolio: str
    symbol: str
    event_kinds: tuple[str, ...]
    regime: str
    created_at_ns: Nanoseconds
    resolved_at_ns: Nanoseconds
    won: bool
    text: str


class Recall(NamedTuple):
    """What is looked for: memories of one portfolio that are like this moment."""

    portfolio: str
    symbol: str
    event_kinds: tuple[str, ...]
    regime: str
    as_of_ns: Nanoseconds
    most: int = MOST_RECALLED


class Pool(NamedTuple):
    """What the search found for a recall, and among how many memories of the portfolio that were resolved by then."""

    items: tuple[MemoryItem, ...]
    total: int


class WorldMemory(Protocol):
    """Where notes, memories and days of the market lie; every method may be called in any thread, and blocks."""

    def keep_notes(self, notes: Sequence[EventNote]) -> tuple[EventNote, ...]:
        """Keep what is new; the notes that were."""
        ...

    def notes(self, since_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Notes known after `since_ns` and by `as_of_ns`, newest first."""
        ...

    def scheduled(self, since_ns: Nanoseconds, until_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Notes known by `as_of_ns` of what was then still to come, however long ago, and takes place after `since_ns` and by
        `until_ns`, soonest first."""
        ...

    def keep_readings(self, readings: Sequence[NoteReading], known_at_ns: Nanoseconds) -> None:
        """Keep what models made of kept notes; the first word of each model on each note stays."""
        ...

    def readings(self, since_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Those known after `since_ns` and by `as_of_ns`, newest first, as notes with source, words and mark of the read one."""
        ...

    def keep_outcomes(self, rows: Sequence[PastEvent]) -> None: ...

    def outcomes(self, as_of_ns: Nanoseconds) -> tuple[PastEvent, ...]:
        """The table of past events as far as it was resolved by `as_of_ns`."""
        ...

    def keep_memories(self, items: Sequence[MemoryItem]) -> None: ...

    def found(self, recall: Recall) -> Pool:
        """Memories of that portfolio alone that share symbol, kind of event or regime and were resolved by then."""
        ...

    def keep_day(self, day: int, known_at_ns: Nanoseconds, body: bytes) -> None:
        """Keep what the market was on a day; the first word on a day stays."""
        ...

    def day(self, day: int, as_of_ns: Nanoseconds) -> bytes | None: ...


def memory_of(sealed: SealedDecision) -> MemoryItem | None:
    """The memory of a decision whose forecast is resolved; None while it is open, and where our prices could not tell."""
    decided, outcome = sealed.decided, sealed.outcome
    if outcome is None or outcome.up is None or outcome.void or decided.worth is None:
        return None
    kinds = tuple(tag for tag in decided.event_tags if tag in EVENT_KINDS)
    won = _was_right(decided.stance, went_up=bool(outcome.up), p_up=decided.worth.p_cal)
    result = "no return" if outcome.return_bps is None else f"{outcome.return_bps:+.0f} bps"
    text = (f"{decided.stance.value} {decided.symbol} for {decided.horizon_days} days by {decided.analyst}: "
            f"p_up {decided.worth.p_cal:.3f}, expected {decided.worth.ev_bps:+.0f} bps, at {decimal_text(decided.ref_mark)}; "
            f"it went {'up' if outcome.up else 'down'}, {result}: {'WON' if won else 'LOST'}"
            f"{f'; regime {decided.regime}' if decided.regime else ''}{f'; events {", ".join(kinds)}' if kinds else ''}")
    return MemoryItem(f"m{decided.decision_id}", decided.portfolio, decided.symbol, kinds, decided.regime, decided.as_of_ns,
                      outcome.resolved_at_ns, won, text)


def memories_of(decisions: Iterable[SealedDecision]) -> tuple[MemoryItem, ...]:
    """The memories of all decisions that are resolved."""
    return tuple(item for item in map(memory_of, decisions) if item is not None)


def likenesses(pool: Pool, recall: Recall) -> list[float]:
    """BM25 of each item of a pool, by the formula and constants of FTS5 (k1 1.2, b 0.75, no idf under 1e-6).

    Counted over what may be seen alone: the index's own would count other portfolios and the future into the rarity of a word.
    """
    wanted = (f"symbol {recall.symbol}", f"regime {recall.regime}", *(f"kind {kind}" for kind in recall.event_kinds))
    words = [(f"symbol {item.symbol}", f"regime {item.regime}", *(f"kind {kind}" for kind in item.event_kinds))
             for item in pool.items]
    usual = sum(map(len, words)) / len(words) if words else 1.0
    rarity: dict[str, float] = {}
    for word in wanted:
        having = sum(word in one for one in words)
        rarity[word] = max(1e-6, math.log((pool.total - having + 0.5) / (having + 0.5)))
    return [sum(rarity[word] for word in wanted if word in one) * (K1 + 1) / (1 + K1 * (1 - B + B * len(one) / usual))
            for one in words]


def score(item: MemoryItem, likeness: float, recall: Recall) -> float:
    """BM25 + exp(-age / 30 days) + 0.5 for the same regime."""
    age_days = max(0, recall.as_of_ns - item.resolved_at_ns) / NS_PER_DAY
    same = bool(recall.regime) and item.regime == recall.regime
    return likeness + math.exp(-age_days / FADE_DAYS) + SAME_REGIME * same


def chosen(pool: Pool, recall: Recall) -> tuple[MemoryItem, ...]:
    """At most six memories, best first: wins and losses in the proportion of everything that was found, since the best matches
    alone would teach confidence. What belongs to another portfolio or was not yet known is left out once more."""
    allowed = tuple(item for item in pool.items
                    if item.portfolio == recall.portfolio and item.resolved_at_ns <= recall.as_of_ns)
    slots = min(recall.most, len(allowed))
    if not slots:
        return ()
    wins = sum(item.won for item in allowed)
    win_slots = (2 * slots * wins + len(allowed)) // (2 * len(allowed))  # rounded, halves up
    scored = zip(allowed, likenesses(pool._replace(items=allowed), recall), strict=True)
    ranked = [item for item, _ in sorted(scored, key=lambda one: (-score(one[0], one[1], recall), one[0].memory_id))]
    taken = {item.memory_id for item in [*[one for one in ranked if one.won][:win_slots],
                                         *[one for one in ranked if not one.won][:slots - win_slots]]}
    return tuple(item for item in ranked if item.memory_id in taken)


def _was_right(stance: Stance, *, went_up: bool, p_up: float) -> bool:
    match stance:
        case Stance.LONG:
            return went_up
        case Stance.SHORT | Stance.EXIT:
            return not went_up
        case Stance.FLAT:
            return went_up == (p_up > 0.5)
