"""Proving a journal: every row against its hash, its neighbour and the head, archived ones too; read-only, beside a running
engine as well."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import HomeUnusable, StoreError
from store.archive_files import ArchiveRecord, archive_path, archives_of, base_state, proved_rows
from store.chain import GENESIS, row_hash
from store.database import cause_of, open_reader
from store.wal import unread_frames

MAX_DAMAGES = 1_000

_SELECT = "SELECT seq, at_ns, kind, version, payload, prev_hash, hash FROM journal WHERE seq > ? ORDER BY seq"
_TYPES = (int, int, bytes, int, bytes, bytes, bytes)
_COLUMNS = ("seq", "at_ns", "kind", "version", "payload", "prev_hash", "hash")


class Damage(NamedTuple):
    """What is wrong with one row; `seq` 0 means the file as a whole."""

    seq: int
    what: str


class VerifyReport(NamedTuple):
    """The result of reading a whole journal. `notes` are worth knowing and no damage; `archived` rows lie in files beside and
    are not among `rows`."""

    path: Path
    rows: int
    first_seq: int
    last_seq: int
    last_hash: str
    damaged: tuple[Damage, ...]
    notes: tuple[str, ...]
    archived: int = 0

    @property
    def sound(self) -> bool:
        return not self.damaged


class _Link(NamedTuple):
    """One row reduced to what its neighbours need; `fields` is None where the row cannot be hashed at all."""

    seq: int
    prev_hash: bytes
    hash: bytes
    fields: tuple[int, bytes, int, bytes] | None
    fault: str

    def hashed(self, prev_hash: bytes, seq: int | None = None) -> bytes | None:
        if self.fields is None:
            return None
        at_ns, kind, version, payload = self.fields
        return row_hash(prev_hash, self.seq if seq is None else seq, at_ns, kind, version, payload)


def verify(path: Path) -> VerifyReport:
    """Read a journal to its end and name every damaged row; raises `HomeUnusable` only where there is no such file.

    A flipped byte is found in any field of any row, in the file's structure, and in the write-ahead log before its last
    transaction; in the last one it cannot be told from a transaction that was never confirmed.
    """
    damaged: list[Damage] = []
    links: list[_Link] = []
    counted = _Counted()
    archives = _Archives(path)
    log = unread_frames(path)
    try:
        connection = open_reader(path)
    except Exception as error:
        if not path.is_file():
            raise
        return VerifyReport(path, 0, 0, 0, GENESIS.hex(), (Damage(0, str(error)),), ())
    try:
        connection.text_factory = bytes
        connection.execute("BEGIN")  # an engine may be writing: rows and head have to be of one moment
        for found in _links(connection, counted, damaged, archives.last):
            links.append(found)
            damaged.extend(_judge(links))
            del links[:-2]
            if len(damaged) >= MAX_DAMAGES:
                break
        damaged.extend(_judge_last(links))
        if len(damaged) < MAX_DAMAGES:
            damaged.extend(_head_damage(connection, counted))
            damaged.extend(_structure_damage(connection, counted, damaged))
    finally:
        connection.close()
    damaged.extend(Damage(counted.last_seq + 1, what) for what in log.damaged)
    return VerifyReport(path, counted.rows, counted.first_seq, counted.last_seq, counted.last_hash.hex(),
                        tuple(_named([*archives.damaged, *damaged])), (*archives.notes, *log.notes), archives.rows)


class _Archives:
    """The archived rows, read and proved; a file that was taken elsewhere is a note, since its hashes are kept here."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self.notes: list[str] = []
        self.damaged: list[Damage] = []
        self.last: ArchiveRecord | None = None
        try:
            records = archives_of(path)
        except StoreError as error:
            self.damaged.append(Damage(0, str(error)))
            return
        for record in records:
            self._look(path, record)
        self._look_at_state(path)

    def _look_at_state(self, path: Path) -> None:
        try:
            base_state(path)
        except StoreError as error:
            self.damaged.append(Damage(self.last.last_seq if self.last else 0, str(error)))

    def _look(self, path: Path, record: ArchiveRecord) -> None:
        before = self.last.last_hash if self.last else GENESIS
        self.last = record
        if record.prev_hash != before:
            self.damaged.append(Damage(record.first_seq, f"the archive {record.name} does not follow the one before it"))
        try:
            self.rows += sum(1 for _ in proved_rows(archive_path(path, record), record))
        except HomeUnusable:
            self.notes.append(f"rows {record.first_seq} to {record.last_seq} lie in {record.name}, which is not here: not proved")
        except StoreError as error:
            self.damaged.append(Damage(record.first_seq, str(error)))


class _Counted:
    """What was read so far."""

    def __init__(self) -> None:
        self.rows = 0
        self.first_seq = 0
        self.last_seq = 0
        self.last_hash = GENESIS


def _links(connection: sqlite3.Connection, counted: _Counted, damaged: list[Damage],
           archived: ArchiveRecord | None) -> Iterator[_Link]:
    """Rows in order, until the end or until the file itself cannot be read further; first what they follow."""
    yield _Link(archived.last_seq, b"", archived.last_hash, None, "") if archived else _Link(0, b"", GENESIS, None, "")
    try:
        for record in connection.execute(_SELECT, (-(1 << 62),)):
            link = _read(record)
            counted.rows += 1
            counted.first_seq = counted.first_seq or link.seq
            counted.last_seq, counted.last_hash = link.seq, link.hash
            yield link
    except sqlite3.Error as error:
        damaged.append(Damage(counted.last_seq + 1, f"{error} near row {counted.last_seq + 1}"))


def _read(record: Sequence[Any]) -> _Link:
    """A record as a link; a flipped byte in its header may have given any column any type."""
    wrong = [name for name, value, kind in zip(_COLUMNS, record, _TYPES, strict=True) if type(value) is not kind]
    seq, at_ns, kind, version, payload, prev_hash, digest = record
    prev_hash, digest = (value if type(value) is bytes else b"" for value in (prev_hash, digest))
    if wrong:
        return _Link(seq, prev_hash, digest, None, f"{', '.join(wrong)} has the wrong type: a byte was flipped")
    return _Link(seq, prev_hash, digest, (at_ns, kind, version, payload), "")


def _judge(links: Sequence[_Link]) -> Iterator[Damage]:
    """The verdict on the row before the newest, which needs its two neighbours."""
    if len(links) == 3:
        yield from _verdict(*links)


def _judge_last(links: Sequence[_Link]) -> Iterator[Damage]:
    if len(links) >= 2:
        yield from _verdict(links[-2], links[-1], None)


def _verdict(before: _Link, link: _Link, after: _Link | None) -> Iterator[Damage]:
    if link.fault:
        yield Damage(link.seq, link.fault)
        return
    own = link.hashed(link.prev_hash)
    if own == link.hash:
        if link.prev_hash != before.hash and before.hashed(before.prev_hash) != link.prev_hash:
            yield Damage(link.seq, _gap(before, link))
    elif link.hashed(before.hash) == link.hash:
        yield Damage(link.seq, "prev_hash was changed: a byte was flipped")
    elif after is not None and link.prev_hash == before.hash and own == after.prev_hash:
        yield Damage(link.seq, "hash was changed: a byte was flipped")
    elif (true_seq := _moved(link)) is not None:
        yield Damage(link.seq, f"is row {true_seq}, out of its place: rows were reordered")
    else:
        yield Damage(link.seq, "seq, at_ns, kind, version, payload or hash was changed: a byte was flipped")


def _gap(before: _Link, link: _Link) -> str:
    if before.fault:
        return "hash chain broken: it does not follow the damaged row before it"
    if link.seq == before.seq + 1:
        return f"hash chain broken: row {before.seq} before it was replaced or is missing"
    missing = f"row {before.seq + 1} is" if link.seq == before.seq + 2 else f"rows {before.seq + 1} to {link.seq - 1} are"
    return f"hash chain broken: {missing} missing before it"


def _moved(link: _Link) -> int | None:
    """The number that this content was hashed with, where it is one close by."""
    for distance in range(1, 65):
        for seq in (link.seq - distance, link.seq + distance):
            if link.hashed(link.prev_hash, seq) == link.hash:
                return seq
    return None


def _head_damage(connection: sqlite3.Connection, counted: _Counted) -> Iterator[Damage]:
    """Rows missing at the end leave a chain that is whole; the head that each transaction writes tells of them."""
    try:
        found = connection.execute("SELECT seq, hash FROM journal_head").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            yield Damage(0, f"the head cannot be read: {cause_of(error)}")
        return
    except sqlite3.Error as error:
        yield Damage(0, f"the head cannot be read: {cause_of(error)}")
        return
    if found is None:
        yield Damage(0, "the head is missing")
    elif found[0] != counted.last_seq:
        yield Damage(counted.last_seq + 1, f"the head says that row {found[0]} is the newest: "
                                           f"rows after {counted.last_seq} are missing")
    elif found[1] != counted.last_hash:
        yield Damage(counted.last_seq, "the head holds another hash for this row")


def _structure_damage(connection: sqlite3.Connection, counted: _Counted, damaged: Sequence[Damage]) -> Iterator[Damage]:
    """Ask SQLite about its pages, for what no row shows: a lost page of the views, a wrong free list."""
    if damaged:
        return
    try:
        answers = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.Error as error:
        answers = [str(error).encode()]
    for answer in answers:
        text = answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer)
        if text != "ok":
            yield Damage(0, f"all {counted.rows} rows are sound, but the file is not: {' '.join(text.split())}")


def _named(damaged: Sequence[Damage]) -> Iterator[Damage]:
    """Each finding once, by row."""
    yield from sorted(dict.fromkeys(damaged))
