"""Events, their outcomes, remembered decisions and days of the market, in `research.db` beside the archive of calls."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import EngineUnreachable
from engine.research.event_words import Direction, EventKind
from engine.research.events import EventNote, NoteReading
from engine.research.impact import PastEvent
from engine.research.memory import MemoryItem, Pool, Recall
from engine.units import Nanoseconds
from store.database import open_writer, unreadable

MOST_FOUND = 400
MOST_NOTES = 2_000
LIST_MARK = "\x1f"
_TABLES = (
    """CREATE TABLE IF NOT EXISTS event_note(note_id TEXT PRIMARY KEY, kind TEXT NOT NULL, symbols TEXT NOT NULL,
        direction TEXT NOT NULL, quote TEXT NOT NULL, source TEXT NOT NULL, event_time_ns INTEGER NOT NULL,
        known_at_ns INTEGER NOT NULL, surprise REAL, flag TEXT NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS event_note_known ON event_note(known_at_ns)",
    "CREATE INDEX IF NOT EXISTS event_note_time ON event_note(event_time_ns)",
    """CREATE TABLE IF NOT EXISTS event_reading(note_id TEXT NOT NULL, analyst TEXT NOT NULL, kind TEXT NOT NULL,
        symbols TEXT NOT NULL, direction TEXT NOT NULL, known_at_ns INTEGER NOT NULL, PRIMARY KEY (note_id, analyst)) STRICT""",
    "CREATE INDEX IF NOT EXISTS event_reading_known ON event_reading(known_at_ns)",
    """CREATE TABLE IF NOT EXISTS event_outcome(note_id TEXT NOT NULL, symbol TEXT NOT NULL, kind TEXT NOT NULL,
        sector TEXT NOT NULL, push REAL NOT NULL, abnormal_bps REAL NOT NULL, resolved_at_ns INTEGER NOT NULL,
        PRIMARY KEY (note_id, symbol)) STRICT""",
    """CREATE TABLE IF NOT EXISTS memory(memory_id TEXT PRIMARY KEY, portfolio TEXT NOT NULL, symbol TEXT NOT NULL,
        event_kinds TEXT NOT NULL, regime TEXT NOT NULL, created_at_ns INTEGER NOT NULL, resolved_at_ns INTEGER NOT NULL,
        won INTEGER NOT NULL, body TEXT NOT NULL) STRICT""",
    "CREATE INDEX IF NOT EXISTS memory_portfolio ON memory(portfolio, resolved_at_ns)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS memory_words USING fts5(symbol, event_kinds, regime)",
    """CREATE TABLE IF NOT EXISTS market_day(day INTEGER PRIMARY KEY, known_at_ns INTEGER NOT NULL, body BLOB NOT NULL) STRICT""",
)


class ResearchMemory:
    """The repository; one connection, one lock, any thread. Raises `StoreError` where the file does not answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._closed = False
        self._connection = open_writer(path)
        try:
            for statement in _TABLES:
                self._connection.execute(statement)
        except sqlite3.Error as error:
            self._connection.close()
            raise unreadable(path, error) from error

    def close(self) -> None:
        """End; who asks from now on is refused. What is under way is finished first."""
        with self._lock:
            self._closed = True
            self._connection.close()

    # ---- events ----

    def keep_notes(self, notes: Sequence[EventNote]) -> tuple[EventNote, ...]:
        """Keep what is new; the notes that were. What was kept first stays: a source cannot rewrite what was known."""
        fresh: list[EventNote] = []

        def write(connection: sqlite3.Connection) -> None:
            for note in notes:
                done = connection.execute(
                    "INSERT OR IGNORE INTO event_note VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (note.note_id, note.kind.value, LIST_MARK.join(note.symbols), note.direction.value, note.quote, note.source,
                     note.event_time_ns, note.known_at_ns, note.surprise, note.flag))
                if done.rowcount:
                    fresh.append(note)

        self._write(write)
        return tuple(fresh)

    def notes(self, since_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Notes known after `since_ns` and by `as_of_ns`, newest first."""
        rows = self._read("SELECT * FROM event_note WHERE known_at_ns > ? AND known_at_ns <= ? "
                          "ORDER BY known_at_ns DESC, note_id LIMIT ?", (since_ns, as_of_ns, MOST_NOTES))
        return tuple(map(_note, rows))

    def scheduled(self, since_ns: Nanoseconds, until_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Notes known by `as_of_ns` of what was then still to come, however long ago, and takes place after `since_ns` and by
        `until_ns`, soonest first."""
        rows = self._read("SELECT * FROM event_note WHERE event_time_ns > ? AND event_time_ns <= ? AND known_at_ns <= ? "
                          "AND event_time_ns > known_at_ns ORDER BY event_time_ns, note_id LIMIT ?",
                          (since_ns, until_ns, as_of_ns, MOST_NOTES))
        return tuple(map(_note, rows))

    def keep_readings(self, readings: Sequence[NoteReading], known_at_ns: Nanoseconds) -> None:
        """Keep what models made of kept notes; the first word of each model on each note stays."""
        self._write(lambda connection: connection.executemany(
            "INSERT OR IGNORE INTO event_reading SELECT note_id, ?, ?, ?, ?, ? FROM event_note WHERE note_id = ?",
            [(one.analyst, one.kind.value, LIST_MARK.join(one.symbols), one.direction.value, known_at_ns, one.note_id)
             for one in readings]))

    def readings(self, since_ns: Nanoseconds, as_of_ns: Nanoseconds) -> tuple[EventNote, ...]:
        """Those known after `since_ns` and by `as_of_ns`, newest first, as notes with source, words and mark of the read one."""
        rows = self._read("SELECT note_id || '/' || analyst, read.kind, read.symbols, read.direction, quote, source, "
                          "event_time_ns, read.known_at_ns, NULL, flag, analyst "
                          "FROM event_reading AS read JOIN event_note USING (note_id) "
                          "WHERE read.known_at_ns > ? AND read.known_at_ns <= ? "
                          "ORDER BY read.known_at_ns DESC, note_id, analyst LIMIT ?", (since_ns, as_of_ns, MOST_NOTES))
        return tuple(map(_note, rows))

    def keep_outcomes(self, rows: Sequence[PastEvent]) -> None:
        """Keep what followed events; the first word stays."""
        self._write(lambda connection: connection.executemany(
            "INSERT OR IGNORE INTO event_outcome VALUES(?, ?, ?, ?, ?, ?, ?)",
            [(row.note_id, row.symbol, row.kind.value, row.sector, row.push, row.abnormal_bps, row.resolved_at_ns)
             for row in rows]))

    def outcomes(self, as_of_ns: Nanoseconds) -> tuple[PastEvent, ...]:
        """The table of past events as far as it was resolved by `as_of_ns`, oldest first."""
        rows = self._read("SELECT * FROM event_outcome WHERE resolved_at_ns <= ? ORDER BY resolved_at_ns, note_id, symbol",
                          (as_of_ns,))
        return tuple(PastEvent(row[0], row[1], EventKind(row[2]), row[3], row[4], row[5], row[6]) for row in rows)

    # ---- memories ----

    def keep_memories(self, items: Sequence[MemoryItem]) -> None:
        """Keep what is new; the words by which it is found beside it."""

        def write(connection: sqlite3.Connection) -> None:
            for item in items:
                done = connection.execute(
                    "INSERT OR IGNORE INTO memory VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (item.memory_id, item.portfolio, item.symbol, LIST_MARK.join(item.event_kinds), item.regime,
                     item.created_at_ns, item.resolved_at_ns, int(item.won), item.text))
                if done.rowcount:
                    connection.execute("INSERT INTO memory_words(rowid, symbol, event_kinds, regime) VALUES(?, ?, ?, ?)",
                                       (done.lastrowid, item.symbol, " ".join(item.event_kinds), item.regime))

        self._write(write)

    def found(self, recall: Recall) -> Pool:
        """Memories of that portfolio alone that share symbol, kind of event or regime and were resolved by then.

        The only place where memories are read: nothing else could mix portfolios up.
        """
        words = _words_of(recall)
        if not words:
            return Pool((), 0)
        seen = (recall.portfolio, recall.as_of_ns)
        rows = self._read(
            "SELECT memory.* FROM memory_words JOIN memory ON memory.rowid = memory_words.rowid "
            "WHERE memory_words MATCH ? AND memory.portfolio = ? AND memory.resolved_at_ns <= ? "
            "ORDER BY memory.resolved_at_ns DESC, memory.memory_id LIMIT ?", (words, *seen, MOST_FOUND))
        total = self._read("SELECT count(*) FROM memory WHERE portfolio = ? AND resolved_at_ns <= ?", seen)[0][0]
        return Pool(tuple(MemoryItem(row[0], row[1], row[2], _listed(row[3]), row[4], row[5], row[6], bool(row[7]), row[8])
                          for row in rows), total)

    # ---- days of the market ----

    def keep_day(self, day: int, known_at_ns: Nanoseconds, body: bytes) -> None:
        """Keep what the market was on a day; the first word on a day stays."""
        self._write(lambda connection: connection.execute("INSERT OR IGNORE INTO market_day VALUES(?, ?, ?)",
                                                          (day, known_at_ns, body)))

    def day(self, day: int, as_of_ns: Nanoseconds) -> bytes | None:
        """What was kept of a day, where it was known by then."""
        rows = self._read("SELECT body FROM market_day WHERE day = ? AND known_at_ns <= ?", (day, as_of_ns))
        return bytes(rows[0][0]) if rows else None

    # ---- inside ----

    def _require_open(self) -> None:
        if self._closed:
            raise EngineUnreachable(f"{self._path}: closed, the engine has ended")

    def _read(self, statement: str, values: Sequence[object]) -> list[sqlite3.Row]:
        with self._lock:
            self._require_open()
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise unreadable(self._path, error) from error

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        with self._lock:
            self._require_open()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                work(self._connection)
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise unreadable(self._path, error) from error


def _note(row: Sequence[Any]) -> EventNote:
    kind, symbols, direction = EventKind(row[1]), _listed(row[2]), Direction(row[3])
    return EventNote(row[0], kind, symbols, direction, *row[4:])


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split(LIST_MARK)) if text else ()


def _words_of(recall: Recall) -> str:
    """The question in the index's language; every word is quoted, since BTC/USD would be a syntax error."""
    parts = [f"symbol : {_quoted(recall.symbol)}"] if recall.symbol else []
    parts += [f"event_kinds : {_quoted(kind)}" for kind in recall.event_kinds]
    parts += [f"regime : {_quoted(recall.regime)}"] if recall.regime else []
    return " OR ".join(parts)


def _quoted(words: str) -> str:
    doubled = words.replace('"', '""')
    return f'"{doubled}"'
