"""The nonces of signed signals, kept on disk so that none is taken twice, over every restart."""

import sqlite3
from pathlib import Path

from engine.errors import HomeUnusable

KEPT_SECONDS = 2 * 86_400  # far beyond any signal's window, so that a clock that is set back opens none of them again
PRUNED_EVERY = 1_000


class NonceBook:
    """Used in one thread. Raises `HomeUnusable` where the disk does not take a nonce: then nothing may be done for it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken = 0
        try:
            self._database = sqlite3.connect(path, isolation_level=None)
            path.chmod(0o600)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute("CREATE TABLE IF NOT EXISTS nonces (source TEXT, nonce TEXT, at_seconds INTEGER, "
                                   "PRIMARY KEY (source, nonce)) WITHOUT ROWID")
        except (sqlite3.Error, OSError) as error:
            raise HomeUnusable(f"{path}: cannot be opened: {error}; move it away, signals of the last minutes could then be "
                               "repeated once") from error

    def take(self, source: str, nonce: str, at_seconds: int) -> bool:
        """Use a nonce up; False where it was used before. Durable when it returns."""
        try:
            if self._taken % PRUNED_EVERY == 0:
                self._database.execute("DELETE FROM nonces WHERE at_seconds < ?", (at_seconds - KEPT_SECONDS,))
            self._taken += 1
            done = self._database.execute("INSERT OR IGNORE INTO nonces VALUES (?, ?, ?)", (source, nonce, at_seconds))
        except sqlite3.Error as error:
            raise HomeUnusable(f"{self._path}: cannot be written: {error}; free some space") from error
        return done.rowcount == 1

    def close(self) -> None:
        self._database.close()
