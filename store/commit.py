"""One connection that writes the journal: a batch of rows, the head and the views in a single synced transaction."""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import HomeUnusable, JournalDamaged, JournalUnwritable, StoreError
from engine.ports import JournalRow
from store.chain import EMPTY_HEAD, ChainedRow, ChainHead, link
from store.database import cause_of, open_writer, unreadable
from store.migrations import migrate

type Projector = Callable[[sqlite3.Connection, Sequence[JournalRow]], None]

_INSERT = "INSERT INTO journal(seq, at_ns, kind, version, payload, prev_hash, hash) VALUES(?, ?, ?, ?, ?, ?, ?)"
_SET_HEAD = "UPDATE journal_head SET seq = ?, at_ns = ?, hash = ?"


class JournalWriter:
    """The only writer of a journal file. `head` is the newest durable row, replaced whole after each commit."""

    def __init__(self, path: Path, projector: Projector | None, *, durable: bool, engine_id: str = "") -> None:
        self.path = path
        self.view_failure = ""
        self._projector = projector
        self._durable = durable
        self._connection = self._open()
        self.engine_id = self._own_name(engine_id)
        self.head = self._stored_head()

    def commit(self, rows: Sequence[JournalRow]) -> None:
        """Write `rows` after the head in one transaction; raises `JournalUnwritable` and then nothing has changed,
        except that a failed sync may have left the rows on disk: `reopen` finds out."""
        if not rows:
            return
        chained = self._chain(rows)
        newest = chained[-1]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(_INSERT, chained)
            self._connection.execute(_SET_HEAD, (newest.seq, newest.at_ns, newest.hash))
            self._project(rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise self._unwritable(error, rows) from error
        self.head = ChainHead(newest.seq, newest.at_ns, newest.hash)

    def reopen(self, rows: Sequence[JournalRow]) -> list[JournalRow]:
        """Open the file anew and give those of `rows` that are not on disk yet; raises `JournalUnwritable`.

        After a failed sync the rows may be there all the same. They are then copied into the main file, which is synced
        for itself, so that they do not rest on pages whose sync once failed.
        """
        try:
            self._connection.close()
            self._connection = self._open()
            stored = self._stored_head()
            if stored != self.head:
                self._require_ours(stored, rows)
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                self.head = stored
        except (sqlite3.Error, HomeUnusable) as error:
            raise self._unwritable(error, rows) from error
        return [row for row in rows if row.seq > self.head.seq]

    def close(self) -> None:
        """Close the connection; SQLite folds the log into the file."""
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        connection = open_writer(self.path, durable=self._durable)
        try:
            migrate(connection, self.path)
        except StoreError:
            connection.close()
            raise
        return connection

    def _own_name(self, engine_id: str) -> str:
        """The journal's name: the stored one, else the given one, else eight random hex digits."""
        try:
            self._connection.execute("INSERT OR IGNORE INTO meta VALUES('engine_id', ?)",
                                     (engine_id or secrets.token_hex(4),))
            return str(self._connection.execute("SELECT value FROM meta WHERE name = 'engine_id'").fetchone()[0])
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from error

    def _stored_head(self) -> ChainHead:
        """The newest row, checked against the head that the same transaction wrote."""
        try:
            newest = self._connection.execute("SELECT seq, at_ns, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
            head = self._connection.execute("SELECT seq, at_ns, hash FROM journal_head").fetchone()
        except sqlite3.DatabaseError as error:
            raise unreadable(self.path, error) from error
        found = EMPTY_HEAD if newest is None else ChainHead(*newest)
        if head is None or ChainHead(*head) != found:
            raise JournalDamaged(f"{self.path}: the newest row is {found.seq} but the head says "
                                 f"{head[0] if head else 'nothing'}; run `quarterdeck journal verify`, or restore a backup")
        return found

    def _chain(self, rows: Sequence[JournalRow]) -> list[ChainedRow]:
        chained: list[ChainedRow] = []
        prev_hash = self.head.hash
        for row in rows:
            linked = link(prev_hash, row)
            prev_hash = linked.hash
            chained.append(linked)
        return chained

    def _require_ours(self, stored: ChainHead, rows: Sequence[JournalRow]) -> None:
        for linked in self._chain(rows):
            if linked.seq == stored.seq and linked.hash == stored.hash:
                return
        raise JournalDamaged(f"{self.path}: after a failed write its newest row is {stored.seq}, which is not ours; "
                             "run `quarterdeck journal verify`, or restore a backup")

    def _project(self, rows: Sequence[JournalRow]) -> None:
        """Let the views follow. Their failure must not stop the record: it is undone and the views stand still."""
        if self._projector is None or self.view_failure:
            return
        self._connection.execute("SAVEPOINT views")
        try:
            self._projector(self._connection, rows)
        except Exception as error:  # noqa: BLE001 - whatever a view does wrong, the journal goes on
            self._connection.execute("ROLLBACK TO views")
            self.view_failure = f"views stopped before row {rows[0].seq}: {error}; run a rebuild"
        self._connection.execute("RELEASE views")

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            return  # the connection is beyond use; `reopen` makes a new one

    def _unwritable(self, error: sqlite3.Error | HomeUnusable, rows: Sequence[JournalRow]) -> JournalUnwritable:
        cause = cause_of(error) if isinstance(error, sqlite3.Error) else str(error)
        waiting = f"rows {rows[0].seq} to {rows[-1].seq} wait in memory" if rows else "no row waits"
        return JournalUnwritable(f"{self.path}: cannot be written: {cause}; {waiting}, "
                                 "put the disk right and resume")
