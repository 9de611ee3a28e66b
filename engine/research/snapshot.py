"""What a model may know at a moment: rows that were known by then, numbered, in one canonical text with one hash.

A row without a date, or known later, is left out and leaves no trace: not a number, not a gap in the evidence ids. Text from
outside is cleaned; where it is marked, a stub stands in its place. Everything is a function of what is passed in.
"""

import math
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate
from typing import NamedTuple

import msgspec

from engine.research.canonical import canonical, decimal_text, digest, utc_text
from engine.research.untrusted import (
    ITEMS_PER_CALL,
    ITEMS_PER_SOURCE,
    Untrusted,
    clean,
    flags_of,
    stub,
)
from engine.units import NS_PER_SECOND, Nanoseconds

SNAPSHOT_VERSION = 1
LINE_CHARACTERS = 1_000
OWN_TEXT_CHARACTERS = 6_000  # the digest of a thread: about 1,500 tokens
NAME_CHARACTERS = 80
NS_PER_DAY = 86_400 * NS_PER_SECOND
OURS = frozenset({"flooding", "answer", "state", "encoded"})  # our own digests earn these: they tell of stances, states, ids
MEMORY_ITEMS = 6
STAND_IN = "ASSET"

type Fact = float | str
type Detector = Callable[[str], tuple[str, ...]]


class RowKind(StrEnum):
    """What a row tells of; rows stand in this order."""

    MARK = "mark"
    BAR = "bar"
    INDICATOR = "indicator"
    LIQUIDITY = "liquidity"
    POSITION = "position"
    PORTFOLIO = "portfolio"
    LIMIT = "limit"
    REGIME = "regime"
    SECTOR = "sector"
    MACRO = "macro"
    CALENDAR = "calendar"
    EVENT_NOTE = "event_note"
    NEWS = "news"
    IMPACT = "impact"
    MEMORY = "memory"
    THREAD = "thread"


FROM_NEWS = frozenset({RowKind.EVENT_NOTE, RowKind.NEWS, RowKind.IMPACT})


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Something known: when it happened, since when it was known (both in nanoseconds, 0 for not known), from whom.

    `facts` are the numbers that may be cited, and short words; numbers that are not finite are left out. `text` of a news row is
    from outside and comes as it is; that of other rows is made by code. `flags` are marks that it earned before. `evidence_id` is
    given by `build`.
    """

    kind: RowKind
    event_time_ns: Nanoseconds | None
    known_at_ns: Nanoseconds | None
    source: str
    vendor_revision: str = ""
    facts: dict[str, Fact] = {}
    text: str = ""
    flags: tuple[str, ...] = ()
    evidence_id: str = ""


class Mark(NamedTuple):
    """The price that forecasts are measured against."""

    price: Decimal
    currency: str
    source: str
    at_ns: Nanoseconds


class Snapshot(msgspec.Struct, frozen=True):
    """A moment as it is asked about. `rows` carry their evidence ids; `left_out` counts rows that were not known yet or undated,
    and is no part of the body. `texts` are the texts from outside that may be fenced, unmarked ones only."""

    portfolio: str
    symbol: str
    as_of_ns: Nanoseconds
    mark: Mark
    rows: tuple[Row, ...]
    body: bytes
    snapshot_id: str
    texts: tuple[Untrusted, ...] = ()
    flags: tuple[str, ...] = ()
    left_out: int = 0
    is_masked: bool = False

    def facts(self, evidence_id: str) -> Mapping[str, Fact]:
        """The facts of one row; empty where there is no such evidence."""
        return next((row.facts for row in self.rows if row.evidence_id == evidence_id), {})

    @property
    def evidence(self) -> dict[str, dict[str, Fact]]:
        """The facts by evidence id."""
        return {row.evidence_id: row.facts for row in self.rows}

    @property
    def blind_evidence(self) -> dict[str, dict[str, Fact]]:
        """The same of what `blind_body` shows."""
        return {row.evidence_id: row.facts for row in self.rows if row.kind not in FROM_NEWS}

    @property
    def trusted_body(self) -> bytes:
        """The body without the words of news, but with what was typed from them: what judges are shown."""
        return self._body_of(_without_words(row) for row in self.rows)

    @property
    def blind_body(self) -> bytes:
        """The body without anything that came from news: what those are shown whose word tells how far news moved it."""
        return self._body_of(_without_direction(row) for row in self.rows if row.kind not in FROM_NEWS)

    def news_behind(self, noted: Container[str]) -> dict[str, str]:
        """The source of every unmarked item that judges were told of, by the note's name: those typed by rules, and the texts
        that the news role `noted`, by their evidence ids."""
        return {str(row.facts.get("note", row.evidence_id)): row.source for row in self.rows if not row.flags
                and (row.kind is RowKind.EVENT_NOTE or (row.kind is RowKind.NEWS and row.evidence_id in noted))}

    def _body_of(self, rows: Iterable[Row]) -> bytes:
        return canonical(_told(self.portfolio, self.symbol, self.as_of_ns, self.mark, tuple(rows),
                               _moments(self.as_of_ns, is_masked=self.is_masked)))


def build(portfolio: str, symbol: str, as_of_ns: Nanoseconds, mark: Mark, rows: Iterable[Row],
          detector: Detector = flags_of) -> Snapshot:
    """The snapshot of one instrument for one portfolio at a moment.

    The mark is the first evidence. Rows with an `event_time` and `known_at <= as_of` are taken, each once, by kind and newest
    first; at most twelve news, six from one source, and six memories. Raises `ValueError` where the mark is from later than the
    snapshot.
    """
    if mark.at_ns > as_of_ns:
        raise ValueError(f"the mark of {symbol} is later than the snapshot that it is for")
    given = tuple(rows)
    known = [_settled(row, detector) for row in given if _is_known(row, as_of_ns)]
    unlike = {canonical(_row_told(row)): row for row in known}
    chosen = _bounded([row for _, row in sorted(unlike.items(), key=lambda item: (*_place(item[1]), item[0]))])
    first = Row(kind=RowKind.MARK, event_time_ns=mark.at_ns, known_at_ns=mark.at_ns, source=clean(mark.source, NAME_CHARACTERS),
                facts={"mark": float(mark.price)})
    numbered = tuple(msgspec.structs.replace(row, evidence_id=f"E{number}")
                     for number, row in enumerate((first, *chosen), start=1))
    return _composed(portfolio, symbol, as_of_ns, mark, numbered, sum(not _is_known(row, as_of_ns) for row in given))


def is_contaminated(as_of_ns: Nanoseconds, trained_until_ns: Nanoseconds) -> bool:
    """Whether a model may remember what came after `as_of`: it lies before the end of its training. Scores of such forecasts tell
    nothing of skill."""
    return as_of_ns < trained_until_ns


def anonymised(snapshot: Snapshot, names: Sequence[str] = (), stand_in: str = STAND_IN) -> Snapshot:
    """The same with the ticker, the given names and all dates masked, for measuring what a model remembers: moments become days
    before the snapshot, words that name the instrument the stand-in. Evidence ids and facts stay."""
    masked = _masking((snapshot.symbol, *names), stand_in)
    rows = tuple(msgspec.structs.replace(
        row, source=masked(row.source), vendor_revision="", text=masked(row.text),
        facts={masked(name): masked(fact) if isinstance(fact, str) else fact for name, fact in row.facts.items()})
        for row in snapshot.rows)
    mark = snapshot.mark._replace(source=masked(snapshot.mark.source))
    return _composed(masked(snapshot.portfolio), stand_in, snapshot.as_of_ns, mark, rows, snapshot.left_out, is_masked=True)


def _composed(portfolio: str, symbol: str, as_of_ns: int, mark: Mark, rows: tuple[Row, ...], left_out: int, *,
              is_masked: bool = False) -> Snapshot:
    body = canonical(_told(portfolio, symbol, as_of_ns, mark, rows, _moments(as_of_ns, is_masked=is_masked)))
    texts = tuple(Untrusted(row.evidence_id, row.source, row.text) for row in rows
                  if row.kind is RowKind.NEWS and row.text and not row.flags)
    flags = tuple(f"{row.evidence_id}: {flag}" for row in rows for flag in row.flags)
    return Snapshot(portfolio, symbol, as_of_ns, mark, rows, body, digest(body), texts, flags, left_out, is_masked)


def _moments(as_of_ns: int, *, is_masked: bool) -> Callable[[int], str]:
    """How moments are written: in UTC, or masked as whole days from the snapshot's."""
    return (lambda at_ns: f"day {(at_ns - as_of_ns) // NS_PER_DAY}") if is_masked else utc_text


def _is_known(row: Row, as_of_ns: int) -> bool:
    """Whether a row is dated and was known. What is still to come, an earnings date say, may be known before."""
    return bool(row.event_time_ns) and bool(row.known_at_ns) and (row.known_at_ns or 0) <= as_of_ns


def _settled(row: Row, detector: Detector) -> Row:
    """A row with harmless texts and finite facts. Every word is looked at, since a name or a memory may hold what a headline
    may; where one is marked, all words of the row are withheld."""
    is_outside = row.kind is RowKind.NEWS
    source, revision = clean(row.source, NAME_CHARACTERS), clean(row.vendor_revision, NAME_CHARACTERS)
    words = {name: fact for name, fact in row.facts.items() if isinstance(fact, str)}
    found = [flag for part in (row.text, source, revision, *row.facts, *words.values()) for flag in detector(part)
             if is_outside or flag not in OURS]
    flags = tuple(dict.fromkeys((*row.flags, *found)))
    told: dict[str, Fact] = {} if flags else {clean(name, NAME_CHARACTERS): clean(word, NAME_CHARACTERS)
                                              for name, word in words.items()}
    for name, fact in row.facts.items():
        if not isinstance(fact, str) and math.isfinite(fact) and not detector(name):
            told[clean(name, NAME_CHARACTERS)] = float(fact)
    return msgspec.structs.replace(
        row, facts=dict(sorted(told.items())), flags=flags, evidence_id="",
        text="" if flags else clean(row.text) if is_outside else _own_lines(row.text),
        source="" if detector(source) else source, vendor_revision="" if detector(revision) else revision)


def _own_lines(text: str) -> str:
    """A text made by code, line by line: whole lines, as many as there is room for."""
    lines = [clean(line, LINE_CHARACTERS) for line in text.split("\n")]
    room = list(accumulate(len(line) + 1 for line in lines))
    return "\n".join(line for line, end in zip(lines, room, strict=True) if end <= OWN_TEXT_CHARACTERS)


def _place(row: Row) -> tuple[int, int]:
    return tuple(RowKind).index(row.kind), -(row.event_time_ns or 0)


def _bounded(rows: Sequence[Row]) -> list[Row]:
    """The rows without news beyond twelve in all and six from one source, and memories beyond six."""
    taken: dict[str, int] = {}
    kept = []
    for row in rows:
        counters = ({"news": ITEMS_PER_CALL, f"news {row.source}": ITEMS_PER_SOURCE} if row.kind is RowKind.NEWS
                    else {"memory": MEMORY_ITEMS} if row.kind is RowKind.MEMORY else {})
        if any(taken.get(name, 0) >= most for name, most in counters.items()):
            continue
        for name in counters:
            taken[name] = taken.get(name, 0) + 1
        kept.append(row)
    return kept


def _told(portfolio: str, symbol: str, as_of_ns: int, mark: Mark, rows: Sequence[Row],
          moment: Callable[[int], str] = utc_text) -> dict[str, object]:
    return {
        "snapshot_version": SNAPSHOT_VERSION,
        "portfolio": clean(portfolio, NAME_CHARACTERS),
        "symbol": clean(symbol, NAME_CHARACTERS),
        "as_of": moment(as_of_ns),
        "mark": {"price": decimal_text(mark.price), "currency": clean(mark.currency, NAME_CHARACTERS),
                 "source": clean(mark.source, NAME_CHARACTERS), "at": moment(mark.at_ns)},
        "rows": [_row_told(row, moment) for row in rows],
    }


def _row_told(row: Row, moment: Callable[[int], str] = utc_text) -> dict[str, object]:
    return {
        "evidence_id": row.evidence_id, "kind": row.kind.value, "event_time": moment(row.event_time_ns or 0),
        "known_at": moment(row.known_at_ns or 0), "source": row.source, "vendor_revision": row.vendor_revision,
        "facts": row.facts, "text": stub(row.evidence_id, row.flags) if row.flags else row.text,
    }


def _without_direction(row: Row) -> Row:
    """An entry of a calendar says what is to come and when; which way it points was read from somebody's words."""
    if row.kind is not RowKind.CALENDAR:
        return row
    return msgspec.structs.replace(row, facts={name: fact for name, fact in row.facts.items() if name != "direction"})


def _without_words(row: Row) -> Row:
    if row.kind is not RowKind.NEWS:
        return row
    numbers: dict[str, Fact] = {name: fact for name, fact in row.facts.items() if not isinstance(fact, str)}
    return msgspec.structs.replace(row, text="", facts=numbers)


_DATES = re.compile(
    r"\b\d{4}-\d{2}-\d{2}(?:T[\d:.]+Z?)?\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b(?:19|20)\d{2}\b"
    r"|\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}(?:st|nd|rd|th)?\b"
    r"|\b(?:january|february|march|april|june|july|august|september|october|november|december)\b", re.IGNORECASE)


def _masking(names: Sequence[str], stand_in: str) -> Callable[[str], str]:
    """Replaces the names, longest first, and dates."""
    known = sorted({name for name in names if name}, key=lambda name: (-len(name), name))
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in known), re.IGNORECASE)
    return lambda text: _DATES.sub("(date)", pattern.sub(stand_in, text) if known else text)
