"""`python -m tests.crash.archiving HOME`: archive copies of a home, killed at each statement and each sync in turn.

After every kill the journal must verify, all its rows must be there, and the archive must be possible still.
"""

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import store.archive
from store.archive import archive
from store.database import open_writer
from store.home import Home
from store.read import journal_rows
from store.verify import verify
from tests.unit.lived_homes import DAY_NS, FIRST_NS

BEFORE_NS = FIRST_NS + 3 * DAY_NS
MOST_KILLS = 500


def main(home: Path) -> int:
    rows = list(journal_rows(Home(home).journal))
    for kills in range(MOST_KILLS):
        copy = Home(home.with_name(f"{home.name}-{kills}"))
        shutil.copytree(home, copy.path)
        killed = _killed_at(kills + 1, copy)
        if not verify(copy.journal).sound or list(journal_rows(copy.journal)) != rows:
            print(f"after kill {kills + 1} the journal is not whole")
            return 1
        if _rows_in(copy) == len(rows):
            archive(copy, BEFORE_NS)
        if list(journal_rows(copy.journal)) != rows or _rows_in(copy) == len(rows):
            print(f"after kill {kills + 1} it could not be archived any more")
            return 1
        shutil.rmtree(copy.path)
        if not killed:
            print(f"{kills} kills, no row lost")
            return 0
    return 1


def _rows_in(home: Home) -> int:
    with closing(sqlite3.connect(home.journal)) as connection:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])


def _killed_at(moment: int, home: Home) -> bool:
    """Archive in a process that is killed at its n-th statement or sync; whether it came so far."""
    child = os.fork()
    if not child:
        left = [moment]

        def count(*_: object) -> None:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        _count_in(count)
        archive(home, BEFORE_NS)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _count_in(count: Callable[..., None]) -> None:
    real_open, real_sync = open_writer, os.fsync

    def counted_open(path: Path) -> sqlite3.Connection:
        connection = real_open(path)
        connection.set_trace_callback(count)
        return connection

    def counted_sync(descriptor: int) -> None:
        count()
        real_sync(descriptor)

    setattr(store.archive, "open_writer", counted_open)  # noqa: B010 - the name that the module calls
    os.fsync = counted_sync  # type: ignore[assignment]


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
