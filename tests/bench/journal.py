"""What a durable row costs: `python -m tests.bench.journal`. Ratios to a bare fdatasync of the same bytes on the same disk.

Goal: one durable commit at p50 <= 1.7x and p99 <= 4x of a bare SQLite FULL commit; ten waiters >= 15,000 rows a second.
"""

import asyncio
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.ports import JournalRow
from store.journal import SqliteJournal

COMMITS = 2_000
ROW_BYTES = 200
WAITERS = 10


def row(seq: int) -> JournalRow:
    return JournalRow(seq, seq, "OrderIntended", 1, b"x" * ROW_BYTES)


def percentiles(samples_us: list[float]) -> tuple[float, float]:
    ordered = sorted(samples_us)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def timed(act: Callable[[int], object]) -> tuple[float, float]:
    """p50 and p99 of one call, in microseconds."""
    samples: list[float] = []
    for number in range(1, COMMITS + 1):
        started = time.perf_counter_ns()
        act(number)
        samples.append((time.perf_counter_ns() - started) / 1_000)
    return percentiles(samples)


def fdatasync_loop(folder: Path) -> tuple[float, float]:
    descriptor = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(descriptor, bytes(COMMITS * ROW_BYTES), 0)
    os.fsync(descriptor)

    def write(number: int) -> None:
        os.pwrite(descriptor, b"x" * ROW_BYTES, (number - 1) * ROW_BYTES)
        os.fdatasync(descriptor)

    found = timed(write)
    os.close(descriptor)
    return found


def bare_sqlite(folder: Path) -> tuple[float, float]:
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE log(seq INTEGER PRIMARY KEY, payload BLOB)")
    found = timed(lambda number: connection.execute("INSERT INTO log VALUES(?, ?)", (number, b"x" * ROW_BYTES)))
    connection.close()
    return found


async def journal_latency(folder: Path, *, inline: bool) -> tuple[float, float]:
    journal = SqliteJournal(folder / f"latency-{inline}.db", inline=inline)
    samples: list[float] = []
    for seq in range(1, COMMITS + 1):
        started = time.perf_counter_ns()
        journal.append((row(seq),))
        await journal.wait_durable()
        samples.append((time.perf_counter_ns() - started) / 1_000)
    journal.close()
    return percentiles(samples)


async def group_rows_per_second(folder: Path) -> float:
    """Ten tasks, each appending one row and waiting for it."""
    journal = SqliteJournal(folder / "group.db")
    seq = 0

    async def work() -> None:
        nonlocal seq
        for _ in range(COMMITS):
            seq += 1
            journal.append((row(seq),))
            await journal.wait_durable()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(WAITERS)))
    elapsed = time.perf_counter() - started
    journal.close()
    return WAITERS * COMMITS / elapsed


async def relaxed_rows_per_second(folder: Path) -> float:
    journal = SqliteJournal(folder / "relaxed.db", relaxed=True)
    started = time.perf_counter()
    for seq in range(1, WAITERS * COMMITS + 1):
        journal.append((row(seq),))
        await journal.wait_durable()
    journal.close()
    return WAITERS * COMMITS / (time.perf_counter() - started)


def main() -> None:
    """Print the table; the first argument, if any, is a folder on the disk to measure."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as name:
        folder = Path(name)
        sync = fdatasync_loop(folder)
        bare = bare_sqlite(folder)
        rows = (("bare fdatasync, preallocated file", sync), ("bare SQLite, WAL, FULL", bare),
                ("journal, inline", asyncio.run(journal_latency(folder, inline=True))),
                ("journal, writer thread", asyncio.run(journal_latency(folder, inline=False))))
        group, relaxed = asyncio.run(group_rows_per_second(folder)), asyncio.run(relaxed_rows_per_second(folder))
    table = Table(title=f"one durable row of {ROW_BYTES} bytes, {COMMITS} commits")
    for heading in ("", "p50 us", "p99 us", "p50 / fdatasync", "p50 / SQLite", "p99 / SQLite"):
        table.add_column(heading, justify="right" if heading else "left")
    for label, (p50, p99) in rows:
        table.add_row(label, f"{p50:.0f}", f"{p99:.0f}", f"{p50 / sync[0]:.2f}", f"{p50 / bare[0]:.2f}",
                      f"{p99 / bare[1]:.2f}")
    console = Console(highlight=False, width=110)
    console.print(table)
    console.print(f"group commit, {WAITERS} waiters: {group:,.0f} rows/s; relaxed (replay): {relaxed:,.0f} rows/s")


if __name__ == "__main__":
    main()
