"""What happened in the world, as typed notes: news and calendars in, a closed list of kinds out, every name known to us."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.research.event_words import WHOLE_MARKET, Direction, EventKind, direction_of, kind_of
from engine.research.untrusted import clean, flags_of
from engine.research_words import EventView
from engine.units import Nanoseconds

LEAST_ALIAS = 3


class NewsItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One item as a source told it, in its own words. `event_time_ns` is what the source says (an item without a time is never
    used), `known_at_ns` when we had it. `symbols` are the source's own; numbers are given where it is a calendar's: what came,
    what was expected, and the usual size of the difference."""

    source: str
    item_id: str
    title: str
    event_time_ns: Nanoseconds
    known_at_ns: Nanoseconds
    text: str = ""
    symbols: tuple[str, ...] = ()
    kind: str = ""
    actual: float | None = None
    consensus: float | None = None
    usual_miss: float | None = None


class EventNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """A typed event: of whom it tells, in which direction, and how far from what was expected, in usual differences (`surprise`,
    None where there was no number to expect). `quote` is the source's own text, made harmless; `flag` why models are not shown
    it. A note without symbols is about the whole market. `analyst` is the model that typed it, "" where rules did."""

    note_id: str
    kind: EventKind
    symbols: tuple[str, ...]
    direction: Direction
    quote: str
    source: str
    event_time_ns: Nanoseconds
    known_at_ns: Nanoseconds
    surprise: float | None = None
    flag: str = ""
    analyst: str = ""

    @property
    def view(self) -> EventView:
        return EventView(self.note_id, self.known_at_ns, self.event_time_ns, self.kind.value, self.symbols, self.direction.value,
                         self.surprise, self.quote, self.source, self.flag, self.analyst)

    @property
    def push(self) -> float | None:
        """Surprise where there is one, else one unit in the direction told; None where neither is known."""
        if self.surprise is not None:
            return self.surprise
        return float(self.direction.sign) if self.direction is not Direction.UNCLEAR else None


class NoteReading(NamedTuple):
    """What a model made of the item behind a note: typed words alone. It is told beside the note and feeds nothing: a snapshot
    that held it as well would count one item twice."""

    note_id: str
    analyst: str
    kind: EventKind
    symbols: tuple[str, ...]
    direction: Direction


class Names(NamedTuple):
    """The symbols that may be named, and what else they are called: names by which whole words in a text are found."""

    symbols: frozenset[str]
    aliases: Mapping[str, str]

    def named_in(self, text: str, told: Sequence[str] = ()) -> tuple[str, ...]:
        """The known symbols that a source names outright or that stand in a text as `$AAPL`, `(AAPL)`, `NASDAQ: AAPL`, or by
        name; sorted. A bare word in capitals is no symbol: too many symbols are words."""
        found = {self._symbol_of(symbol) for symbol in told}
        found |= {self._symbol_of(next(filter(None, groups), "")) for groups in _MARKED.findall(text)}
        lowered = f" {re.sub(r'[^a-z0-9]+', ' ', text.lower())} "
        found |= {symbol for alias, symbol in self.aliases.items() if len(alias) >= LEAST_ALIAS and f" {alias} " in lowered}
        return tuple(sorted(one for one in found if one))

    def _symbol_of(self, told: str) -> str:
        upper = told.upper()
        if upper in self.symbols:
            return upper
        return f"{upper}/USD" if f"{upper}/USD" in self.symbols else ""


_MARKED = re.compile(r"\$([A-Za-z][A-Za-z.]{0,5})\b|\((?:[A-Z]+:\s?)?([A-Z][A-Z.]{0,5})\)"
                     r"|\b(?:NYSE|NASDAQ|Nasdaq|AMEX)\s?:\s?([A-Z][A-Z.]{0,5})\b")

def note_of(item: NewsItem, names: Names) -> EventNote | None:
    """The typed note of an item by rules alone: kind and direction by words, names by the list of what can be traded.

    None where the item has no time, or is about nobody we know and about nothing that moves whole markets. The detector looks at
    the words as they came; the quote is what is left of them once they are harmless.
    """
    if item.event_time_ns <= 0 or item.known_at_ns <= 0:
        return None
    raw = f"{item.title} {item.text}".strip()
    quote = clean(raw)
    if not quote:
        return None
    kind = kind_of(item.kind, quote)
    symbols = names.named_in(quote, item.symbols)
    if not symbols and kind not in WHOLE_MARKET:
        return None
    surprise = surprise_of(item)
    direction = _direction(kind, quote, surprise)
    return EventNote(note_id_of(item), kind, symbols, direction, quote, item.source, item.event_time_ns,
                     item.known_at_ns, surprise, ",".join(flags_of(raw)))


def _direction(kind: EventKind, quote: str, surprise: float | None) -> Direction:
    """That of the number where there is one. Words alone tell nothing of whole markets: a cut of rates is no cut of guidance."""
    if surprise is not None:
        return Direction.UP if surprise > 0 else Direction.DOWN if surprise < 0 else Direction.UNCLEAR
    return Direction.UNCLEAR if kind in WHOLE_MARKET else direction_of(quote)


def note_id_of(item: NewsItem) -> str:
    """One name for one item of a source, however often it is told."""
    return "n" + hashlib.sha256(f"{item.source}\x00{item.item_id or item.title}".encode()).hexdigest()[:15]


def surprise_of(item: NewsItem) -> float | None:
    """How many usual differences what came lies from what was expected; None where one of the three numbers is missing."""
    if item.actual is None or item.consensus is None or item.usual_miss is None or item.usual_miss <= 0:
        return None
    return max(-10.0, min(10.0, (item.actual - item.consensus) / item.usual_miss))
