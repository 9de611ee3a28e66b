"""Opening SQLite the one way this store does: private files, write-ahead log, nothing confirmed before it is synced."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from engine.errors import HomeUnusable, JournalDamaged, StoreError

BUSY_SECONDS = 5.0

_CAUSES = (
    ("SQLITE_FULL", "the disk is full"),
    ("SQLITE_IOERR", "I/O error"),
    ("SQLITE_READONLY", "it is read-only"),
    ("SQLITE_BUSY", "another process holds it locked"),
    ("SQLITE_LOCKED", "another process holds it locked"),
    ("SQLITE_CORRUPT", "the database file is damaged"),
    ("SQLITE_NOTADB", "the file is not a database"),
    ("SQLITE_CANTOPEN", "it cannot be opened"),
    ("SQLITE_PERM", "permission denied"),
)


def cause_of(error: sqlite3.Error | OSError) -> str:
    """What went wrong in a few plain words, with SQLite's own name for it."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    name: str = getattr(error, "sqlite_errorname", "") or ""
    for prefix, words in _CAUSES:
        if name.startswith(prefix):
            return f"{words} ({name})"
    return f"{error} ({name})" if name else str(error)


def open_writer(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Open, or create with mode 0600, a database for its single writer; raises `HomeUnusable` or `JournalDamaged`.

    Transactions are explicit (`BEGIN` … `COMMIT`). With `durable` false nothing is synced: for replays, whose rows can
    be made again.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise HomeUnusable(f"{path}: cannot be opened for writing: {cause_of(error)}; check the folder") from error
    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone does not reach the platter there
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        connection.close()
        raise unreadable(path, error) from error
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open an existing database read-only, also beside a running writer; text columns come as bytes where it matters.

    Raises `HomeUnusable` where there is none.
    """
    if not path.is_file():
        raise HomeUnusable(f"{path}: no such database; start the engine once, or restore a backup")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            if (wal := path.with_name(path.name + "-wal")).exists() and wal.stat().st_size:
                raise
            # A read-only folder has no room for the shared-memory file; without a log the file stands for itself.
            connection = sqlite3.connect(uri + "&immutable=1", uri=True, isolation_level=None, check_same_thread=False)
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    return connection


def unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    """The exception for a database that does not open or read: damaged, or not usable here."""
    if isinstance(error, sqlite3.OperationalError):
        return HomeUnusable(f"{path}: {cause_of(error)}; check the disk and the folder's permissions")
    return JournalDamaged(f"{path}: {cause_of(error)}; restore the newest backup")
