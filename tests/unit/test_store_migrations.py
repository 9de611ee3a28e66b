"""A database of version 1 comes forward with its rows; a newer one is refused."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from engine.errors import HomeUnusable
from engine.ports import JournalRow
from store import migrations
from store.chain import GENESIS, link
from store.home import open_home
from store.journal import SqliteJournal
from store.migrations import CURRENT_VERSION, header_version
from store.verify import verify

VERSION_1 = """
CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE journal(
    seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, version INTEGER NOT NULL,
    payload BLOB NOT NULL, prev_hash BLOB NOT NULL, hash BLOB NOT NULL) STRICT;
INSERT INTO meta VALUES('engine_id', 'old1');
PRAGMA user_version=1;
"""


def make_version_1(path: Path, count: int) -> list[JournalRow]:
    rows = [JournalRow(seq, seq, "Kind", 1, b"{}") for seq in range(1, count + 1)]
    connection = sqlite3.connect(path)
    connection.executescript(VERSION_1)
    prev_hash = GENESIS
    for row in rows:
        chained = link(prev_hash, row)
        prev_hash = chained.hash
        connection.execute("INSERT INTO journal VALUES(?, ?, ?, ?, ?, ?, ?)", chained)
    connection.commit()
    connection.close()
    return rows


@pytest.mark.parametrize("count", [0, 7])
def test_version_1_comes_forward_and_a_copy_is_kept(tmp_path: Path, count: int) -> None:
    home = open_home(tmp_path)
    rows = make_version_1(home.journal, count)
    assert verify(home.journal).sound
    journal = SqliteJournal(home.journal, inline=True)
    assert journal.engine_id == "old1"
    assert list(journal.rows()) == rows
    assert journal.head().seq == count
    journal.append([JournalRow(count + 1, 9, "Kind", 1, b"{}")])
    asyncio.run(journal.wait_durable())
    journal.close()
    assert verify(home.journal).sound
    assert header_version(home.journal) == CURRENT_VERSION
    copies = list(home.backups.iterdir())
    assert [copy.name for copy in copies] == ["journal-before-version-2.db"]
    assert header_version(copies[0]) == 1
    assert verify(copies[0]).rows == count


def test_a_new_database_is_current_and_needs_no_copy(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    SqliteJournal(home.journal, inline=True).close()
    assert header_version(home.journal) == CURRENT_VERSION
    assert list(home.backups.iterdir()) == []


def test_a_newer_version_is_refused_by_home_and_journal(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    SqliteJournal(home.journal, inline=True).close()
    connection = sqlite3.connect(home.journal)
    connection.execute("PRAGMA user_version=77")
    connection.close()
    for attempt in (lambda: open_home(tmp_path), lambda: SqliteJournal(home.journal, inline=True)):
        with pytest.raises(HomeUnusable, match="schema version 77 is newer"):
            attempt()


def test_a_broken_step_leaves_the_version_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path)
    make_version_1(home.journal, 3)
    broken = (*migrations.STEPS[1], "CREATE TABLE journal(again)")
    monkeypatch.setattr(migrations, "STEPS", (migrations.STEPS[0], broken))
    with pytest.raises(HomeUnusable, match=f"could not be brought to version {CURRENT_VERSION}"):
        SqliteJournal(home.journal, inline=True)
    with sqlite3.connect(home.journal) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'journal_head'").fetchall()
