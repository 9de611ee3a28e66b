"""The journal database's schema, moved forward step by step by `PRAGMA user_version`; never backward."""

import os
import sqlite3
from pathlib import Path

from engine.errors import HomeUnusable
from store.database import cause_of

_VERSION_OFFSET = 60  # where SQLite's file header keeps user_version, big-endian

_STEP_1 = (
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    """CREATE TABLE journal(
        seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL,
        payload BLOB NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT""",
)

# The head is written with every transaction, so that a journal that lost its newest rows can tell.
_STEP_2 = (
    """CREATE TABLE journal_head(
        one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, at_ns INTEGER NOT NULL, hash BLOB NOT NULL
        ) STRICT""",
    """INSERT INTO journal_head SELECT 1, coalesce((SELECT seq FROM journal ORDER BY seq DESC LIMIT 1), 0),
        coalesce((SELECT at_ns FROM journal ORDER BY seq DESC LIMIT 1), 0),
        coalesce((SELECT hash FROM journal ORDER BY seq DESC LIMIT 1), zeroblob(32))""",
    """CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
        BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
)

# Older rows may lie in files beside; `state` is what they add up to, in the format of a snapshot, so that a start needs none of
# them. An older program would take the rest for the whole: hence a version.
_STEP_3 = (
    """CREATE TABLE archives(
        last_seq INTEGER PRIMARY KEY, first_seq INTEGER NOT NULL, last_at_ns INTEGER NOT NULL, rows INTEGER NOT NULL,
        name TEXT NOT NULL, prev_hash BLOB NOT NULL, last_hash BLOB NOT NULL,
        state_format INTEGER NOT NULL, state BLOB NOT NULL, state_sha256 BLOB NOT NULL) STRICT""",
)

STEPS: tuple[tuple[str, ...], ...] = (_STEP_1, _STEP_2, _STEP_3)
CURRENT_VERSION = len(STEPS)


def header_version(path: Path) -> int:
    """The schema version written in a database file's header, 0 where there is none yet; reads 4 bytes, locks nothing."""
    try:
        with path.open("rb") as file:
            file.seek(_VERSION_OFFSET)
            return int.from_bytes(file.read(4), "big")
    except FileNotFoundError:
        return 0


def require_known(path: Path, version: int) -> None:
    """Raise `HomeUnusable` where a newer program wrote the database."""
    if version > CURRENT_VERSION:
        raise HomeUnusable(f"{path}: schema version {version} is newer than this program's {CURRENT_VERSION}; "
                           "install the newer quarterdeck, or restore a backup made before the upgrade")


def migrate(connection: sqlite3.Connection, path: Path, backups: Path | None = None) -> int:
    """Bring the schema to the current version and return the one it had.

    A database with content is first copied to `backups` (default: a folder `backups` beside it). Each step is one
    transaction: a broken one leaves the version before it. Raises `HomeUnusable`.
    """
    try:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        require_known(path, found)
        if found == CURRENT_VERSION:
            return found
        if found:
            _copy_before(connection, path, found, path.parent / "backups" if backups is None else backups)
        for version in range(found + 1, CURRENT_VERSION + 1):
            _step(connection, version)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # the header now tells the version by itself
    except (sqlite3.Error, OSError) as error:
        raise HomeUnusable(f"{path}: the schema could not be brought to version {CURRENT_VERSION}: {cause_of(error)}; "
                           "nothing was changed, free space or check permissions and start again") from error
    return found


def _step(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in STEPS[version - 1]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _copy_before(connection: sqlite3.Connection, path: Path, version: int, backups: Path) -> None:
    """Copy the database as it is; written beside and renamed, so a half copy never bears the name."""
    backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = backups / f"{path.stem}-before-version-{version + 1}.db"
    half = target.with_suffix(".part")
    half.unlink(missing_ok=True)
    os.close(os.open(half, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    copy = sqlite3.connect(half)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    half.replace(target)
