"""Old journal rows to a file, and the rows after a point out of a journal: the two cuts, each proved before anything is removed.

Order is everything: the file is whole, proved and durable before one transaction takes the rows out of the journal and records
where they are. Killed at any moment, each row is in one of the two, and the next attempt writes the file anew.
"""

import hashlib
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine.apply import apply
from engine.errors import HomeUnusable, JournalDamaged, StoreError, UsageError
from engine.events import VERSIONS, Recorded, decode
from engine.ports import JournalRow
from engine.state import SNAPSHOT_FORMAT, State, decode_state, encode_state
from store.archive_files import FOLDER, ArchiveRecord, archive_records, base_state, write_archive
from store.chain import GENESIS
from store.database import cause_of, open_writer
from store.home import Home
from store.migrations import migrate
from store.read import LAST_SEQ, chained_rows
from store.upcasters import Upcasters
from store.wal import unread_frames

_NO_DELETE = ("CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal "
              "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END")


class Archived(NamedTuple):
    """What an archive run did: the file and the rows that are in it now."""

    path: Path
    record: ArchiveRecord
    left: int


def state_at(journal: Path, seq: int | None = None) -> State:
    """What the rows up to `seq` add up to (all of them where it is left out), from the archived rows' state on where that serves;
    raises `JournalDamaged` naming the row that is not what was written."""
    base = base_state(journal)
    usable = base is not None and base.format_version == SNAPSHOT_FORMAT and (seq is None or base.seq <= seq)
    state = decode_state(base.blob) if base is not None and usable else State()
    rows = (chained.row for chained in chained_rows(journal, state.seq + 1, LAST_SEQ if seq is None else seq))
    return folded(state, Upcasters(VERSIONS).rows(rows))


def folded(state: State, rows: Iterable[JournalRow]) -> State:
    """The state after `rows`."""
    for row in rows:
        state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
    return state


def archive(home: Home, before_ns: int) -> Archived:
    """Move the rows from before a time to a file in `archive/` of the home; the newest row always stays.

    The journal goes on from the state that they add up to, which is proved first: with the rows that stay it must give the very
    state that all rows give. No engine may run. Raises `UsageError` where there is nothing to move, `StoreError` where anything
    fails; then every row is where it was.
    """
    if not home.journal.is_file():
        raise HomeUnusable(f"{home.journal}: no journal yet; an engine writes one when it first runs")
    with home.lock():
        for damage in unread_frames(home.journal).damaged:  # which the first write would take away, and nobody were told of it
            raise JournalDamaged(f"{home.journal}: {damage}; start the engine first, which keeps a copy and halts")
        connection = open_writer(home.journal)
        try:
            migrate(connection, home.journal)
            last_seq = _last_before(connection, before_ns)
            if last_seq is None:
                at = datetime.fromtimestamp(before_ns // 1_000_000_000, UTC)
                raise UsageError(f"{home.journal}: no row from before {at:%Y-%m-%d %H:%M:%S} UTC is left to archive")
            state, blob = _proved_state(home.journal, last_seq)
            first_seq = int(connection.execute("SELECT min(seq) FROM journal").fetchone()[0])
            target = home.path / FOLDER / f"journal-{first_seq}-{last_seq}.csv.gz"
            record = write_archive(target, chained_rows(home.journal, first_seq, last_seq))
            _require_next(connection, home.journal, record, state)
            _move(connection, record, blob)
            left = int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])
            with suppress(sqlite3.Error):  # the room that the rows took is given back; where that needs too much, at another time
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{home.journal}: the archive failed: {cause_of(error)}; no row is lost, free some space and "
                             "try again") from error
        finally:
            connection.close()
    return Archived(target, record, left)


def _last_before(connection: sqlite3.Connection, before_ns: int) -> int | None:
    """The newest row of those at the journal's beginning that are all older, None where there is none; never the head."""
    (kept,) = connection.execute("SELECT min(seq) FROM journal WHERE at_ns >= ?", (before_ns,)).fetchone()
    (head,) = connection.execute("SELECT max(seq) FROM journal").fetchone()
    bound = head if kept is None else min(kept, head) if head is not None else None
    if bound is None:
        return None
    (found,) = connection.execute("SELECT max(seq) FROM journal WHERE seq < ?", (bound,)).fetchone()
    return None if found is None else int(found)


def _proved_state(journal: Path, last_seq: int) -> tuple[State, bytes]:
    """The state at the cut, and its bytes, from which the rows that stay lead to the very state that all rows give."""
    whole = state_at(journal, last_seq)
    blob = encode_state(whole)
    rest = Upcasters(VERSIONS).rows(row.row for row in chained_rows(journal, last_seq + 1))
    if encode_state(folded(decode_state(blob), rest)) != encode_state(state_at(journal)):
        raise JournalDamaged(f"{journal}: the state saved at row {last_seq} does not lead to that of all rows; nothing was moved")
    return whole, blob


def _require_next(connection: sqlite3.Connection, journal: Path, record: ArchiveRecord, state: State) -> None:
    """Raise where the rows do not follow the archives that are there already, or the state is not theirs."""
    known = archive_records(connection)
    if record.prev_hash != (known[-1].last_hash if known else GENESIS) or state.seq != record.last_seq:
        raise JournalDamaged(f"{journal}: its rows do not follow its archives; run `quarterdeck journal verify`")


def _move(connection: sqlite3.Connection, record: ArchiveRecord, blob: bytes) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE archives SET state = x'', state_sha256 = x''")  # only the newest is ever read
        connection.execute(
            "INSERT INTO archives(last_seq, first_seq, last_at_ns, rows, name, prev_hash, last_hash, state_format, state, "
            "state_sha256) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (record.last_seq, record.first_seq, record.last_at_ns, record.rows, record.name, record.prev_hash, record.last_hash,
             SNAPSHOT_FORMAT, blob, hashlib.sha256(blob).digest()))
        connection.execute("DROP TRIGGER journal_no_delete")
        connection.execute("DELETE FROM journal WHERE seq <= ?", (record.last_seq,))
        connection.execute(_NO_DELETE)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def cut_after(journal: Path, seq: int, kept_in: Path) -> ArchiveRecord:
    """Take every row after `seq` out of a journal that no engine uses, into the file `kept_in`; the head is then row `seq`.

    Raises `UsageError` where there is no such row, or none after it, `StoreError` where it cannot be done; then the journal is
    as it was.
    """
    connection = open_writer(journal)
    try:
        migrate(connection, journal)
        head = connection.execute("SELECT seq, at_ns, hash FROM journal WHERE seq = ?", (seq,)).fetchone()
        if head is None:
            raise UsageError(f"{journal}: has no row {seq} to go back to")
        record = write_archive(kept_in, chained_rows(journal, seq + 1))
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DROP TRIGGER journal_no_delete")
        connection.execute("DELETE FROM journal WHERE seq > ?", (seq,))
        connection.execute(_NO_DELETE)
        connection.execute("UPDATE journal_head SET seq = ?, at_ns = ?, hash = ?", head)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise StoreError(f"{journal}: cannot be cut: {cause_of(error)}; it is as it was") from error
    finally:
        connection.close()  # an open transaction is undone with it
    return record
