"""The journal: durable in order, chained, honest about failure."""

import asyncio
import os
import resource
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.errors import HomeUnusable, InvariantBroken, JournalDamaged, JournalUnwritable
from engine.ports import Journal, JournalRow
from store.chain import EMPTY_HEAD, GENESIS, link
from store.journal import SqliteJournal
from store.memory import JournalCrashed, MemoryJournal
from store.read import chain_hash, chained_rows, journal_rows, stored_head


def make_rows(first: int, last: int, size: int = 40) -> list[JournalRow]:
    return [JournalRow(seq, seq * 1_000, "OrderIntended", 1, f'{{"n":{seq}}}'.encode().ljust(size))
            for seq in range(first, last + 1)]


async def write(journal: Journal, rows: Sequence[JournalRow]) -> None:
    journal.append(rows)
    await journal.wait_durable()


@pytest.mark.parametrize("options", [{}, {"inline": True}, {"relaxed": True}])
def test_rows_come_back_in_order_after_reopening(tmp_path: Path, options: dict[str, bool]) -> None:
    path = tmp_path / "journal.db"

    async def run() -> None:
        journal = SqliteJournal(path, **options)  # type: ignore[arg-type]
        assert journal.last() is None
        assert journal.head() == EMPTY_HEAD
        for first in range(1, 100, 3):
            await write(journal, make_rows(first, first + 2))
        journal.close()
        journal.close()

    asyncio.run(run())
    journal = SqliteJournal(path, inline=True)
    assert list(journal.rows()) == make_rows(1, 99)
    assert list(journal.rows(98)) == make_rows(98, 99)
    assert journal.last() == make_rows(99, 99)[0]
    assert journal.head().seq == 99
    journal.close()


def test_appends_queued_together_share_a_commit_and_all_waiters_are_answered(tmp_path: Path) -> None:
    async def run() -> int:
        journal = SqliteJournal(tmp_path / "journal.db")
        commits = 0

        def count(connection: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
            nonlocal commits
            commits += 1

        journal.close()
        journal = SqliteJournal(tmp_path / "journal.db", projector=count)
        for seq in range(1, 501):
            journal.append(make_rows(seq, seq))
        await asyncio.gather(*(journal.wait_durable() for _ in range(10)))
        assert journal.head().seq == 500
        journal.close()
        return commits

    assert asyncio.run(run()) < 500


def test_the_file_is_private_and_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, engine_id="abcd")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    journal.close()
    journal = SqliteJournal(path, engine_id="other")
    assert journal.engine_id == "abcd"
    journal.close()


def test_seq_must_grow(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", inline=True)
    journal.append(make_rows(1, 3))
    with pytest.raises(InvariantBroken, match="row 3 follows row 3"):
        journal.append(make_rows(3, 3))
    journal.close()
    with pytest.raises(InvariantBroken, match="closed"):
        journal.append(make_rows(4, 4))


def test_the_chain_starts_at_genesis_and_links_every_row(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, inline=True)
    asyncio.run(write(journal, make_rows(1, 5)))
    journal.close()
    expected = GENESIS
    for chained, row in zip(chained_rows(path), make_rows(1, 5), strict=True):
        assert chained == link(expected, row)
        expected = chained.hash
    assert chain_hash(path, 5) == expected == stored_head(path).hash
    assert chain_hash(path, 0) == GENESIS
    assert chain_hash(path, 6) is None


def test_the_journal_refuses_updates_and_deletes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, inline=True)
    asyncio.run(write(journal, make_rows(1, 5)))
    journal.close()
    with sqlite3.connect(path) as connection:
        for statement in ("UPDATE journal SET kind = 'x'", "DELETE FROM journal"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)


def test_a_failing_view_does_not_stop_the_record(tmp_path: Path) -> None:
    def broken(connection: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
        connection.execute("CREATE TABLE half(done)")
        raise ValueError("no such field")

    async def run() -> None:
        journal = SqliteJournal(tmp_path / "journal.db", projector=broken)
        await write(journal, make_rows(1, 2))
        await write(journal, make_rows(3, 4))
        assert "before row 1: no such field" in journal.view_failure
        assert list(journal.rows()) == make_rows(1, 4)
        journal.close()

    asyncio.run(run())
    with sqlite3.connect(tmp_path / "journal.db") as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'half'").fetchall()


@pytest.mark.parametrize("inline", [False, True])
def test_a_full_disk_keeps_the_rows_and_retry_writes_them(tmp_path: Path, inline: bool) -> None:
    """The limit on file size stands in for the full disk; it is the kernel that refuses the write."""
    path = tmp_path / "journal.db"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    failures: list[JournalUnwritable] = []

    async def run() -> None:
        journal = SqliteJournal(path, failures.append, inline=inline)
        await write(journal, make_rows(1, 10))
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
        try:
            with pytest.raises(JournalUnwritable, match=r"rows 11 to 60 wait in memory"):
                await write(journal, make_rows(11, 60, size=20_000))
            journal.append(make_rows(61, 70))
            with pytest.raises(JournalUnwritable):
                await journal.wait_durable()
            with pytest.raises(JournalUnwritable):
                await journal.retry()
            assert journal.failure is not None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(failures) == 1
        await journal.retry()
        assert journal.failure is None
        await write(journal, make_rows(71, 75))
        journal.close()

    asyncio.run(run())
    assert list(journal_rows(path)) == make_rows(1, 10) + make_rows(11, 60, size=20_000) + make_rows(61, 75)


def test_closing_an_unwritable_journal_says_what_is_lost(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    journal = SqliteJournal(tmp_path / "journal.db")
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        journal.append(make_rows(1, 9, size=20_000))
        with pytest.raises(JournalUnwritable, match="closed with 9 rows unwritten"):
            journal.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_retry_finds_rows_that_were_written_although_the_commit_failed(tmp_path: Path) -> None:
    """A sync may fail after the rows reached the file: they must be neither lost nor written twice."""
    path = tmp_path / "journal.db"

    async def run() -> None:
        journal = SqliteJournal(path, inline=True)
        await write(journal, make_rows(1, 3))
        writer = journal._writer
        before = writer.head
        await write(journal, make_rows(4, 6))
        writer.head = before  # as if the last commit had answered with an error
        assert writer.reopen(make_rows(4, 8)) == make_rows(7, 8)
        assert writer.head.seq == 6
        writer.head = before
        with pytest.raises(JournalDamaged, match="not ours"):
            writer.reopen(make_rows(4, 5))
        journal.close()

    asyncio.run(run())


_WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from engine.ports import JournalRow
from store.journal import SqliteJournal

async def main():
    journal = SqliteJournal(Path(sys.argv[1]))
    seq = 0
    while True:
        rows = [JournalRow(seq + n, 1, "K", 1, b"x" * 300) for n in range(1, 4)]
        seq += 3
        journal.append(rows)
        await journal.wait_durable()
        print(seq, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_no_confirmed_row(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    process = subprocess.Popen([sys.executable, "-c", _WRITE_UNTIL_KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    confirmed = 0
    while confirmed < 300:
        confirmed = int(process.stdout.readline())
    process.kill()
    for line in process.stdout:
        if line.endswith("\n"):
            confirmed = int(line)
    process.wait()
    process.stdout.close()
    journal = SqliteJournal(path, inline=True)
    found = [row.seq for row in journal.rows()]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= confirmed
    assert len(found) % 3 == 0
    journal.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(JournalDamaged, match="not a database"):
        SqliteJournal(path)
    with pytest.raises(HomeUnusable, match="no such database"):
        list(journal_rows(tmp_path / "absent.db"))


def test_lost_newest_rows_are_noticed_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, inline=True)
    asyncio.run(write(journal, make_rows(1, 5)))
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER journal_no_delete")
        connection.execute("DELETE FROM journal WHERE seq = 5")
    with pytest.raises(JournalDamaged, match="newest row is 4 but the head says 5"):
        SqliteJournal(path)


@pytest.mark.parametrize("lose_last", [False, True])
def test_the_memory_journal_crashes_where_it_is_told(lose_last: bool) -> None:
    async def run() -> None:
        journal = MemoryJournal(crash_after=4, lose_last=lose_last)
        await write(journal, make_rows(1, 2))
        journal.append(make_rows(3, 5))
        journal.append(make_rows(6, 6))
        with pytest.raises(JournalCrashed):
            await journal.wait_durable()
        with pytest.raises(JournalCrashed):
            journal.append(make_rows(7, 7))
        assert journal.durable == make_rows(1, 2 if lose_last else 5)
        again = MemoryJournal(rows=journal.durable)
        assert again.head() == journal.head()
        again.append(make_rows(6, 6))

    asyncio.run(run())


def test_both_journals_make_the_same_chain(tmp_path: Path) -> None:
    memory = MemoryJournal()
    disk = SqliteJournal(tmp_path / "journal.db", inline=True)
    for journal in (memory, disk):
        asyncio.run(write(journal, make_rows(1, 20)))
    assert memory.head() == disk.head()
    disk.close()


def test_the_memory_journal_can_be_unwritable() -> None:
    async def run() -> None:
        journal = MemoryJournal()
        journal.failure = JournalUnwritable("disk full")
        journal.append(make_rows(1, 2))
        with pytest.raises(JournalUnwritable):
            await journal.wait_durable()
        await journal.retry()
        assert journal.durable == make_rows(1, 2)
        assert journal.last() == make_rows(2, 2)[0]

    asyncio.run(run())
