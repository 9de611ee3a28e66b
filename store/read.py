"""Reading a journal without its writer: rows in order, each checked against its hash, archived ones from their files."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.errors import JournalDamaged
from engine.ports import JournalRow
from store.archive_files import archive_path, archive_records, proved_rows
from store.chain import EMPTY_HEAD, GENESIS, ChainedRow, ChainHead, row_hash
from store.database import open_reader, unreadable

LAST_SEQ = (1 << 62)
_SELECT = "SELECT seq, at_ns, kind, version, payload, prev_hash, hash FROM journal WHERE seq BETWEEN ? AND ? ORDER BY seq"


def is_blank(path: Path) -> bool:
    """The file is there but its schema is not: the process that created it was killed in between; as good as no journal."""
    connection = open_reader(path)
    try:
        return not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()


def journal_rows(path: Path, from_seq: int = 1) -> Iterator[JournalRow]:
    """Rows from `from_seq` on; raises `JournalDamaged` naming the first row that is not what was written."""
    for chained in chained_rows(path, from_seq):
        yield chained.row


def chained_rows(path: Path, from_seq: int = 1, until_seq: int = LAST_SEQ) -> Iterator[ChainedRow]:
    """Rows with their hashes, checked as they are read; the first row's own predecessor is looked up too.

    Raises `JournalDamaged`, and `HomeUnusable` where the file with archived rows that are asked for is not there."""
    connection = open_reader(path)
    good = from_seq - 1
    try:
        archives = archive_records(connection)
        for record in archives:
            if record.last_seq >= from_seq and record.first_seq <= until_seq:
                yield from (row for row in proved_rows(archive_path(path, record), record) if from_seq <= row.seq <= until_seq)
        expected = _hash_before(connection, from_seq) or (archives[-1].last_hash if archives else GENESIS)
        for record in connection.execute(_SELECT, (from_seq, until_seq)):
            chained = ChainedRow(*record)
            _check(path, chained, expected)
            expected, good = chained.hash, chained.seq
            yield chained
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise unreadable(path, error) from error
        raise JournalDamaged(f"{path}: row after {good}: its kind is not text; {_REMEDY}") from error
    except sqlite3.DatabaseError as error:
        raise JournalDamaged(f"{path}: {error} near row {good + 1}; {_REMEDY}") from error
    finally:
        connection.close()


def chain_hash(path: Path, seq: int) -> bytes | None:
    """The stored hash of row `seq`, None where there is no such row; 32 zero bytes for seq 0, before the first row."""
    if seq == 0:
        return GENESIS
    connection = open_reader(path)
    try:
        found = connection.execute("SELECT hash FROM journal WHERE seq = ?", (seq,)).fetchone()
        archived = [record.last_hash for record in archive_records(connection) if record.last_seq == seq]
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()
    return bytes(found[0]) if found else next(iter(archived), None)


def stored_head(path: Path) -> ChainHead:
    """Number, time and hash of the newest row; zeros for an empty journal."""
    connection = open_reader(path)
    try:
        found = connection.execute("SELECT seq, at_ns, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()
    return ChainHead(*found) if found else EMPTY_HEAD


def engine_id(path: Path) -> str:
    """The name the journal was given when it was created, empty where it has none."""
    connection = open_reader(path)
    try:
        found = connection.execute("SELECT value FROM meta WHERE name = 'engine_id'").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()
    return str(found[0]) if found else ""


_REMEDY = "run `quarterdeck journal verify`, or restore the newest backup"


def _hash_before(connection: sqlite3.Connection, seq: int) -> bytes | None:
    """The hash of the row before `seq`, None where the journal itself holds none."""
    found = connection.execute("SELECT hash FROM journal WHERE seq < ? ORDER BY seq DESC LIMIT 1", (seq,)).fetchone()
    return bytes(found[0]) if found else None


def _check(path: Path, chained: ChainedRow, expected: bytes) -> None:
    row = chained
    try:
        digest = row_hash(row.prev_hash, row.seq, row.at_ns, row.kind.encode(), row.version, row.payload)
    except Exception as error:  # a damaged record may hold any type in any column
        raise JournalDamaged(f"{path}: row {row.seq}: a field has the wrong type; {_REMEDY}") from error
    if digest != row.hash:
        raise JournalDamaged(f"{path}: row {row.seq} does not match its hash; {_REMEDY}")
    if row.prev_hash != expected:
        raise JournalDamaged(f"{path}: row {row.seq} does not follow the row before it: a row is missing or replaced; "
                             f"{_REMEDY}")
