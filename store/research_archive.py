"""The archive of research, research.db in the home: what models were shown, asked and said, by the hash of each text.

Rows are only ever added, and whole runs removed once they are old (store.research_pruning); texts lie there deflated, several
times smaller. The journal names hashes and holds all numbers; the big texts lie here, written before the journal row that names
them. The same rows are the recording that a run is replayed from.
"""

import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import StoreError
from engine.research.call_hash import request_body
from engine.research.models import Answered, Ask, Unavailable
from store.database import cause_of, open_reader, open_writer

ARCHIVE_FILE = "research.db"
SCHEMA = """
CREATE TABLE IF NOT EXISTS snapshots (
    snapshot_id TEXT PRIMARY KEY, portfolio TEXT NOT NULL, symbol TEXT NOT NULL, as_of_ns INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (
    call_hash TEXT PRIMARY KEY, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (
    run_id TEXT NOT NULL, call_hash TEXT NOT NULL, occurrence INTEGER NOT NULL, at_ns INTEGER NOT NULL, code TEXT NOT NULL,
    answer BLOB NOT NULL, PRIMARY KEY (run_id, call_hash, occurrence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    run_id TEXT NOT NULL, instrument_id TEXT NOT NULL, body BLOB NOT NULL, digest TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (run_id, instrument_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked_at (
    run_id TEXT PRIMARY KEY, at_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (
    run_id TEXT PRIMARY KEY, at_ns INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spent (
    place INTEGER PRIMARY KEY AUTOINCREMENT, day TEXT NOT NULL, run_id TEXT NOT NULL, micro_usd INTEGER NOT NULL,
    tokens INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS calls_by_request ON calls (call_hash);
"""
NOTE_AGE = "INSERT INTO asked_at VALUES (?, ?) ON CONFLICT (run_id) DO UPDATE SET at_ns = max(at_ns, excluded.at_ns)"
KEPT_SPENDINGS = 50_000  # calls whose money is remembered, far more than any day has
SMALL_BYTES = 64 << 20
INCREMENTAL = 2


class _Asked(msgspec.Struct, frozen=True):
    """Of a request, its texts."""

    system: tuple[str, ...] = ()
    user: str = ""


class KeptCall(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One call as it lies in the archive; one of `answered` and `unavailable` is set."""

    run_id: str
    call_hash: str
    occurrence: int
    at_ns: int
    request: str
    answered: Answered | None = None
    unavailable: Unavailable | None = None

    @property
    def answer(self) -> Answered | Unavailable:
        return self.answered or self.unavailable or Unavailable("NOT_RECORDED", "the archive's row is empty")

    @property
    def prompt(self) -> str:
        """What was asked, as text to be read: the stable parts, then what was new. The schema stands in `request`."""
        told = msgspec.json.decode(self.request, type=_Asked)
        return "\n\n".join((*told.system, told.user))

    @property
    def raw(self) -> str:
        """What came back, as text: for an answer its text blocks, else the code and why."""
        if self.answered is not None:
            return "\n".join(block.text for block in self.answered.content if block.kind == "text")
        return f"{self.unavailable.code}: {self.unavailable.message}" if self.unavailable else ""


class KeptSnapshot(msgspec.Struct, frozen=True, tag=True):
    """What models were shown; `body` is canonical JSON."""

    snapshot_id: str
    portfolio: str
    symbol: str
    as_of_ns: int
    body: str


class KeptAsked(msgspec.Struct, frozen=True, tag=True):
    """What a run was asked for one instrument, as JSON, and the digest of what it came to ("" where it never ended)."""

    run_id: str
    instrument_id: str
    body: str
    digest: str


class _Named(msgspec.Struct, frozen=True):
    snapshot_id: str = ""
    as_of_ns: int = 0


class Shown(msgspec.Struct, frozen=True):
    """Of what was asked, the name and the moment of the snapshot."""

    snapshot: _Named = _Named()


type Kept = KeptCall | KeptSnapshot | KeptAsked


class ResearchArchive:
    """The one writer of these tables; may be used from several threads. Everything raises `StoreError` where the disk refuses."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._database = open_reader(path) if read_only else open_writer(path)
        if not read_only:
            with self._reached("prepared"):
                _give_room_back_in_steps(self._database)
                self._database.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    # ---- writing -----------------------------------------------------------------------------------------------------------

    def keep_call(self, call_hash: str, ask: Ask, answer: Answered | Unavailable, at_ns: int, run_id: str) -> None:
        with self._reached("written"), transaction(self._database):
            earlier = self._database.execute("SELECT count(*) FROM calls WHERE run_id = ? AND call_hash = ?", (run_id, call_hash))
            self._keep(KeptCall(run_id, call_hash, int(earlier.fetchone()[0]), at_ns, request_body(ask).decode(),
                                *_either(answer)))

    def keep_snapshot(self, snapshot_id: str, portfolio: str, symbol: str, as_of_ns: int, body: bytes) -> None:
        with self._reached("written"):
            self._keep(KeptSnapshot(snapshot_id, portfolio, symbol, as_of_ns, body.decode()))

    def keep_asked(self, run_id: str, instrument_id: str, body: bytes) -> None:
        with self._reached("written"), transaction(self._database):
            self._keep(KeptAsked(run_id, instrument_id, body.decode(), ""))

    def keep_decided(self, run_id: str, instrument_id: str, digest: str) -> None:
        with self._reached("written"):
            self._database.execute("UPDATE asked SET digest = ? WHERE run_id = ? AND instrument_id = ? AND digest = ''",
                                   (digest, run_id, instrument_id))

    def set_aside(self, day: str, run_id: str, micro_usd: int, tokens: int) -> int:
        """Write down the most that a call can come to, before it is made; its place."""
        with self._reached("written"), transaction(self._database):
            place = self._database.execute("INSERT INTO spent (day, run_id, micro_usd, tokens) VALUES (?, ?, ?, ?)",
                                           (day, run_id, micro_usd, tokens)).lastrowid or 0
            self._database.execute("DELETE FROM spent WHERE place <= ?", (place - KEPT_SPENDINGS,))
            return place

    def settle(self, place: int, micro_usd: int, tokens: int) -> None:
        """Write down what a call came to in the place of what was set aside for it."""
        with self._reached("written"):
            self._database.execute("UPDATE spent SET micro_usd = ?, tokens = ? WHERE place = ?", (micro_usd, tokens, place))

    def keep(self, rows: Iterable[Kept]) -> None:
        """Add the rows of a recording, all or none; what is there already stays as it is."""
        with self._reached("written"), transaction(self._database):
            for one in rows:
                self._keep(one)

    def _keep(self, one: Kept) -> None:
        match one:
            case KeptSnapshot():
                self._add("snapshots", (one.snapshot_id, one.portfolio, one.symbol, one.as_of_ns, _packed(one.body)))
            case KeptAsked():
                self._add("asked", (one.run_id, one.instrument_id, _packed(one.body), one.digest))
                self._database.execute("DELETE FROM removed WHERE run_id = ?", (one.run_id,))
                if at_ns := age_of(one.body):
                    self._database.execute(NOTE_AGE, (one.run_id, at_ns))
            case KeptCall(answer=answer):
                self._add("requests", (one.call_hash, _packed(one.request)))
                code = answer.code if isinstance(answer, Unavailable) else ""
                self._add("calls", (one.run_id, one.call_hash, one.occurrence, one.at_ns, code,
                                    zlib.compress(msgspec.json.encode(answer))))

    def _add(self, table: str, values: tuple[object, ...]) -> None:
        self._database.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    # ---- reading -----------------------------------------------------------------------------------------------------------

    def snapshot(self, snapshot_id: str) -> bytes | None:
        """The canonical JSON that models were shown."""
        rows = self._rows("SELECT body FROM snapshots WHERE snapshot_id = ?", (snapshot_id,))
        return unpacked(rows[0][0]).encode() if rows else None

    def calls(self, run_id: str, call_hash: str = "") -> tuple[KeptCall, ...]:
        """The calls of a run in the order they ended in, or those with one request; a re-asked one is another request."""
        named = " AND call_hash = ?" if call_hash else ""
        rows = self._rows("SELECT run_id, call_hash, occurrence, at_ns, requests.body, code, answer FROM calls JOIN requests "
                          f"USING (call_hash) WHERE run_id = ?{named} ORDER BY at_ns, call_hash, occurrence",
                          (run_id, call_hash) if call_hash else (run_id,))
        return tuple(_kept_call(row) for row in rows)

    def asked(self, run_id: str) -> tuple[KeptAsked, ...]:
        """What a run was asked, an entry for each instrument."""
        rows = self._rows("SELECT run_id, instrument_id, body, digest FROM asked WHERE run_id = ? ORDER BY instrument_id",
                          (run_id,))
        return tuple(KeptAsked(run, instrument, unpacked(body), digest) for run, instrument, body, digest in rows)

    def snapshots_of(self, run_id: str) -> tuple[KeptSnapshot, ...]:
        """What the models of a run were shown."""
        names = {msgspec.json.decode(one.body, type=Shown).snapshot.snapshot_id for one in self.asked(run_id)}
        rows = [row for name in sorted(names) for row in self._rows("SELECT * FROM snapshots WHERE snapshot_id = ?", (name,))]
        return tuple(KeptSnapshot(name, portfolio, symbol, as_of_ns, unpacked(body))
                     for name, portfolio, symbol, as_of_ns, body in rows)

    def runs(self) -> tuple[str, ...]:
        """Every run that can be replayed, sorted."""
        return tuple(row[0] for row in self._rows("SELECT DISTINCT run_id FROM asked ORDER BY run_id", ()))

    def spent_on(self, day: str) -> tuple[int, int]:
        """Millionths of a dollar and tokens that calls of a day came to, or may come to where no answer was written down."""
        (row,) = self._rows("SELECT coalesce(sum(micro_usd), 0), coalesce(sum(tokens), 0) FROM spent WHERE day = ?", (day,))
        return int(row[0]), int(row[1])

    def removed_at_ns(self, run_id: str) -> int:
        """When the texts of a run were removed for their age, 0 where they were not."""
        with self._reached("read"):  # an archive of before cannot tell of it where it is only read
            known = self._database.execute("SELECT 1 FROM sqlite_master WHERE name = 'removed'").fetchone()
        rows = self._rows("SELECT at_ns FROM removed WHERE run_id = ?", (run_id,)) if known else []
        return int(rows[0][0]) if rows else 0

    def problem(self) -> str:
        """What SQLite finds wrong with the file, "" where nothing is."""
        found = [str(row[0]) for row in self._rows("PRAGMA quick_check(1)", ())]
        return "" if found == ["ok"] else found[0]

    def _rows(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._reached("read"):
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _reached(self, done: str) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: cannot be {done}: {cause_of(error)}; check the disk") from error


def _give_room_back_in_steps(database: sqlite3.Connection) -> None:
    """Let the file become smaller step by step once texts are removed. One of before has to be rewritten for that: where it is
    large, or somebody else has it open, it stays as it is, and its room is used again."""
    (mode,), (pages,), (page_bytes,) = (database.execute(f"PRAGMA {name}").fetchone()
                                        for name in ("auto_vacuum", "page_count", "page_size"))
    if mode == INCREMENTAL or pages * page_bytes > SMALL_BYTES:
        return
    with suppress(sqlite3.OperationalError):
        database.execute("PRAGMA auto_vacuum=INCREMENTAL")
        database.execute("VACUUM")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _kept_call(row: tuple[Any, ...]) -> KeptCall:
    run_id, call_hash, occurrence, at_ns, request, code, answer = row
    said = unpacked(answer)
    found = msgspec.json.decode(said, type=Unavailable) if code else msgspec.json.decode(said, type=Answered)
    return KeptCall(run_id, call_hash, occurrence, at_ns, unpacked(request), *_either(found))


def age_of(body: str) -> int:
    """The moment that a run was asked about, by what it was asked; 0 where that does not tell."""
    try:
        return msgspec.json.decode(body, type=Shown).snapshot.as_of_ns
    except msgspec.MsgspecError:
        return 0


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode())


def unpacked(column: bytes) -> str:
    try:
        return zlib.decompress(column).decode()
    except (zlib.error, ValueError) as error:
        raise StoreError(f"{ARCHIVE_FILE}: a text in it is damaged; restore it from a backup") from error


def _either(answer: Answered | Unavailable) -> tuple[Answered | None, Unavailable | None]:
    return (answer, None) if isinstance(answer, Answered) else (None, answer)
