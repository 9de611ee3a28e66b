"""The views of a journal as of one moment, for any thread; one at a time.

A journal without views of its own (a replay's, or one of an older program) is folded into memory, once, and then carried on.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.database import open_reader, unreadable
from store.views import FoldedViews, stands


class ViewReader:
    """Reads rows and views together, while the engine goes on writing."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._folded: FoldedViews | None = None
        self._lock = threading.Lock()

    @contextmanager
    def views(self) -> Iterator[sqlite3.Connection]:
        """A connection on which the views stand; raises `JournalDamaged` where the journal is not what was written."""
        with self._lock:
            connection = open_reader(self._journal)
            try:
                connection.execute("BEGIN")
                yield connection if stands(connection) else self._fold()
            except sqlite3.Error as error:
                raise unreadable(self._journal, error) from error
            finally:
                connection.close()

    def _fold(self) -> sqlite3.Connection:
        if self._folded is None:
            self._folded = FoldedViews()
        self._folded.catch_up(self._journal)
        return self._folded.connection
