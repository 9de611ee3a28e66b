"""What removes old texts of research from research.db: prompts, raw answers, snapshots, whole runs at a time.

The journal keeps every number of a decision. It works on a connection of its own, in short transactions with pauses between
them, so that nobody who writes waits for it longer than for one of those.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import batched
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.errors import StoreError
from engine.units import NS_PER_SECOND
from store.database import cause_of, open_writer
from store.research_archive import NOTE_AGE, ResearchArchive, Shown, age_of, transaction, unpacked

RUNS_AT_ONCE = 4
ROWS_AT_ONCE = 50
PAGES_AT_ONCE = 64
MOST_RUNS = 10_000
PAUSE_SECONDS = 0.01
PAUSE_SHARE = 2.0  # who waits asks again ever more slowly, so the pauses are longer than the steps
NS_PER_DAY = 86_400 * NS_PER_SECOND


class Needed(NamedTuple):
    """What must stay however old it is: runs and snapshots of decisions whose forecast is still open."""

    runs: frozenset[str] = frozenset()
    snapshots: frozenset[str] = frozenset()


class Pruned(NamedTuple):
    """What was removed, and how large the file was before and is now, in bytes."""

    runs: int
    snapshots: int
    bytes_before: int
    bytes_after: int

    @property
    def text(self) -> str:
        """In one line, as a job tells it."""
        gone = f"texts of {self.runs} runs and {self.snapshots} snapshots removed, " if self.runs or self.snapshots else ""
        return f"research.db: {gone}{self.bytes_after / 1e6:.1f} MB"


def prune_research(path: Path, keep_days: int, needed: Callable[[], Needed], now_ns: int,
                   pause: Callable[[float], object] = time.sleep) -> Pruned | None:
    """Remove the texts of runs that asked about moments more than `keep_days` before `now_ns`, and give the room back.

    None where there is no archive, or `keep_days` is 0. At most 10,000 runs at a time: the rest is for the next time. Raises
    `StoreError`.
    """
    if not keep_days or not path.is_file():
        return None
    ResearchArchive(path).close()  # one of an earlier version gets what is missing
    before = path.stat().st_size
    database = open_writer(path)
    try:
        work = _Pruning(database, now_ns - keep_days * NS_PER_DAY, needed(), pause)
        runs, snapshots = work.remove_runs(now_ns), work.remove_snapshots()
        work.give_back()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: old texts cannot be removed: {cause_of(error)}; the next time goes on") from error
    finally:
        database.close()
    return Pruned(runs, snapshots, before, path.stat().st_size)


class _Pruning(NamedTuple):
    database: sqlite3.Connection
    before_ns: int
    needed: Needed
    pause: Callable[[float], object]

    def remove_runs(self, now_ns: int) -> int:
        """Remove old runs, each whole; how many. A note stays that they were there."""
        self._note_ages(now_ns)
        rows = self.database.execute("SELECT run_id FROM asked_at WHERE at_ns < ? ORDER BY at_ns, run_id LIMIT ?",
                                     (self.before_ns, MOST_RUNS + len(self.needed.runs))).fetchall()
        old = [run_id for (run_id,) in rows if run_id not in self.needed.runs][:MOST_RUNS]
        self._in_steps(old, RUNS_AT_ONCE, lambda run_id: self._remove_run(run_id, now_ns))
        return len(old)

    def _remove_run(self, run_id: str, now_ns: int) -> None:
        """One run; a request that another run put as well stays."""
        self.database.execute(
            "DELETE FROM requests WHERE call_hash IN (SELECT call_hash FROM calls WHERE run_id = :run) AND NOT EXISTS "
            "(SELECT 1 FROM calls WHERE calls.call_hash = requests.call_hash AND run_id <> :run)", {"run": run_id})
        for table in ("calls", "asked", "asked_at"):
            self.database.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        self.database.execute("INSERT OR REPLACE INTO removed VALUES (?, ?)", (run_id, now_ns))

    def remove_snapshots(self) -> int:
        """Remove old snapshots that no run rests on any more; how many."""
        rows = self.database.execute("SELECT snapshot_id FROM snapshots WHERE as_of_ns < ?", (self.before_ns,)).fetchall()
        shown = self._shown_to_others() if rows else frozenset()
        old = [name for (name,) in rows if name not in shown and name not in self.needed.snapshots]
        remove = "DELETE FROM snapshots WHERE snapshot_id = ?"
        self._in_steps(old, ROWS_AT_ONCE, lambda name: self.database.execute(remove, (name,)))
        return len(old)

    def give_back(self) -> None:
        """Give pages that hold nothing back to the disk, some at a time."""
        (left,) = self.database.execute("PRAGMA freelist_count").fetchone()
        while left:
            with self._step():
                self.database.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
            before, (left,) = left, self.database.execute("PRAGMA freelist_count").fetchone()
            if left >= before:
                break  # a large file of before: its room is used again
        self.database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _note_ages(self, now_ns: int) -> None:
        """Note the moment of runs that an earlier version of the program kept; what does not tell is as old as today."""
        rows = self.database.execute(
            "SELECT run_id, instrument_id FROM asked WHERE run_id NOT IN (SELECT run_id FROM asked_at)").fetchall()

        def note(row: tuple[str, str]) -> None:
            (body,) = self.database.execute("SELECT body FROM asked WHERE run_id = ? AND instrument_id = ?", row).fetchone()
            self.database.execute(NOTE_AGE, (row[0], age_of(unpacked(body)) or now_ns))

        self._in_steps(rows, ROWS_AT_ONCE, note)

    def _shown_to_others(self) -> frozenset[str]:
        """The old snapshots of runs that stay: of needed ones, and of some that took longer than the moment that divides."""
        young = self.database.execute("SELECT run_id FROM asked_at WHERE at_ns >= ? AND at_ns < ?",
                                      (self.before_ns, self.before_ns + NS_PER_DAY)).fetchall()
        bodies = [body for run_id in (*self.needed.runs, *(name for (name,) in young))
                  for (body,) in self.database.execute("SELECT body FROM asked WHERE run_id = ?", (run_id,))]
        return frozenset(msgspec.json.decode(unpacked(body), type=Shown).snapshot.snapshot_id for body in bodies)

    def _in_steps[T](self, items: Sequence[T], size: int, act: Callable[[T], object]) -> None:
        """Some items at a time, each time in a transaction of their own, with a pause after it."""
        for some in batched(items, size):
            with self._step(), transaction(self.database):
                for one in some:
                    act(one)

    @contextmanager
    def _step(self) -> Iterator[None]:
        """One step, and the pause after it."""
        begun = time.monotonic()
        yield
        self.pause(max(PAUSE_SECONDS, PAUSE_SHARE * (time.monotonic() - begun)))
