"""Journal rows in a compressed file: the lines of `journal export --csv`, so that anybody can read and prove them.

A file is named by its first and last row. Each row carries its hash and the hash of the row before it (`store.chain`); which
hash the first one follows and the last one has is recorded in the journal that the rows came from.
"""

import csv
import gzip
import hashlib
import io
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.errors import HomeUnusable, JournalDamaged, StoreError
from store.chain import GENESIS, ChainedRow, row_hash
from store.database import open_reader, unreadable
from store.snapshots import Snapshot

FOLDER = "archive"
LONGEST_FIELD = 1 << 30
HEADER = ("seq", "at_ns", "kind", "version", "payload", "prev_hash", "hash")


class ArchiveRecord(NamedTuple):
    """One archive as its journal records it: the file's name, the rows in it, and the two hashes between which they stand."""

    name: str
    first_seq: int
    last_seq: int
    last_at_ns: int
    rows: int
    prev_hash: bytes
    last_hash: bytes


def archive_records(connection: sqlite3.Connection) -> list[ArchiveRecord]:
    """The archives of a journal, oldest first; none where its schema is from before there were any."""
    try:
        found = connection.execute("SELECT name, first_seq, last_seq, last_at_ns, rows, prev_hash, last_hash FROM archives "
                                   "ORDER BY last_seq").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return []
    return [ArchiveRecord(*one) for one in found]


def archives_of(journal: Path) -> list[ArchiveRecord]:
    """The archives that a journal records, oldest first."""
    connection = open_reader(journal)
    try:
        return archive_records(connection)
    except sqlite3.Error as error:
        raise unreadable(journal, error) from error
    finally:
        connection.close()


def archive_path(journal: Path, record: ArchiveRecord) -> Path:
    """Where an archive lies: in a folder beside its journal."""
    return journal.parent / FOLDER / record.name


def base_state(journal: Path) -> Snapshot | None:
    """What the archived rows of a journal add up to, as it lies in the journal itself; None where there are none.

    Raises `JournalDamaged` where it is not what was written."""
    connection = open_reader(journal)
    try:
        found = connection.execute("SELECT last_seq, last_hash, state_format, state, state_sha256 FROM archives "
                                   "ORDER BY last_seq DESC LIMIT 1").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise unreadable(journal, error) from error
        return None
    except sqlite3.Error as error:
        raise unreadable(journal, error) from error
    finally:
        connection.close()
    if found is None:
        return None
    if hashlib.sha256(found[3]).digest() != found[4]:
        raise JournalDamaged(f"{journal}: what the archived rows add up to is not what was written; restore the newest backup")
    return Snapshot(int(found[0]), bytes(found[1]), int(found[2]), bytes(found[3]))


def write_archive(target: Path, rows: Iterable[ChainedRow]) -> ArchiveRecord:
    """Write rows to a file, durable under its name only when whole, and read it back; raises `StoreError`.

    A file of that name from an attempt that was cut short is written anew.
    """
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        record = _write(part, target.name, rows)
        _require_same(part, record)
        part.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror or error}; free some space") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return record


def _write(part: Path, name: str, rows: Iterable[ChainedRow]) -> ArchiveRecord:
    first: ChainedRow | None = None
    last: ChainedRow | None = None
    count = 0
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as raw:
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed, \
                io.TextIOWrapper(packed, "utf-8", errors="surrogateescape", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(HEADER)
            for row in rows:
                first, last, count = first or row, row, count + 1
                writer.writerow((row.seq, row.at_ns, row.kind, row.version, row.payload.decode(errors="surrogateescape"),
                                 row.prev_hash.hex(), row.hash.hex()))
        raw.flush()
        os.fsync(raw.fileno())
    if first is None or last is None:
        raise StoreError(f"{name}: there is no row to write")
    return ArchiveRecord(name, first.seq, last.seq, last.at_ns, count, first.prev_hash, last.hash)


def _require_same(path: Path, record: ArchiveRecord) -> None:
    found = sum(1 for _ in proved_rows(path, record))
    if found != record.rows:
        raise StoreError(f"{path}: {found} of {record.rows} rows come back; nothing was kept")


def proved_rows(path: Path, record: ArchiveRecord | None = None) -> Iterator[ChainedRow]:
    """The rows of an archive, each proved as it is read; with a `record` also that they begin and end where that says.

    Raises `HomeUnusable` where the file is not there, `JournalDamaged` naming the first row that is not what was written.
    """
    expected, good = record.prev_hash if record else None, record.first_seq - 1 if record else 0
    for row in _read(path):
        expected = row.prev_hash if expected is None else expected
        if row_hash(row.prev_hash, row.seq, row.at_ns, row.kind.encode(), row.version, row.payload) != row.hash:
            raise JournalDamaged(f"{path}: row {row.seq} does not match its hash; take the archive from a backup")
        if row.prev_hash != expected:
            raise JournalDamaged(f"{path}: row {row.seq} does not follow the row before it; take the archive from a backup")
        expected, good = row.hash, row.seq
        yield row
    if record is not None and (expected or GENESIS) != record.last_hash:
        raise JournalDamaged(f"{path}: ends at row {good}, not at row {record.last_seq}; take the archive from a backup")


def _read(path: Path) -> Iterator[ChainedRow]:
    csv.field_size_limit(LONGEST_FIELD)
    line = 1
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="surrogateescape", newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, ())) != HEADER:
                raise JournalDamaged(f"{path}: is no journal archive: its first line is not `{','.join(HEADER)}`")
            for seq, at_ns, kind, version, payload, prev_hash, digest in reader:
                line = reader.line_num
                yield ChainedRow(int(seq), int(at_ns), kind, int(version), payload.encode(errors="surrogateescape"),
                                 bytes.fromhex(prev_hash), bytes.fromhex(digest))
    except FileNotFoundError:
        raise HomeUnusable(f"{path}: the journal's older rows lie in this file, which is not there; put it back") from None
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise JournalDamaged(f"{path}: cannot be read after line {line}: {error}; take the archive from a backup") from error

