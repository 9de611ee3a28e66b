"""Damage of every sort is named by its row."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import store.verify
from engine.errors import HomeUnusable, JournalDamaged
from engine.ports import JournalRow
from store.journal import SqliteJournal
from store.read import journal_rows
from store.verify import verify
from store.wal import unread_frames

ROWS = 60


def make_rows(first: int, last: int) -> list[JournalRow]:
    return [JournalRow(seq, 1_700_000_000_000 + seq, f"Kind{seq:04}", 1, f"payload {seq:04} ".encode() * 20)
            for seq in range(first, last + 1)]


def make_journal(path: Path) -> None:
    journal = SqliteJournal(path, inline=True)
    journal.append(make_rows(1, ROWS))
    asyncio.run(journal.wait_durable())
    journal.close()


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for trigger in ("journal_no_update", "journal_no_delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    make_journal(tmp_path / "journal.db")
    return tmp_path / "journal.db"


def test_a_sound_journal(path: Path) -> None:
    report = verify(path)
    assert report.sound and report.notes == ()
    assert (report.rows, report.first_seq, report.last_seq) == (ROWS, 1, ROWS)
    assert len(report.last_hash) == 64


def test_a_row_that_an_engine_writes_meanwhile_is_no_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and head are of one moment: beside a busy engine the head was ahead of the rows that had been read."""
    journal = SqliteJournal(path, inline=True)
    judged = store.verify._judge_last

    def with_a_row_written(links: Any) -> Any:
        journal.append(make_rows(ROWS + 1, ROWS + 1))
        asyncio.run(journal.wait_durable())
        return judged(links)

    monkeypatch.setattr(store.verify, "_judge_last", with_a_row_written)
    report = verify(path)
    journal.close()
    assert report.damaged == ()
    assert report.last_seq == ROWS
    monkeypatch.undo()
    assert verify(path).last_seq == ROWS + 1


def test_a_missing_file_is_not_a_report(tmp_path: Path) -> None:
    with pytest.raises(HomeUnusable, match="no such database"):
        verify(tmp_path / "journal.db")


def test_an_empty_journal_is_sound(tmp_path: Path) -> None:
    SqliteJournal(tmp_path / "journal.db", inline=True).close()
    report = verify(tmp_path / "journal.db")
    assert report.sound and report.rows == 0


@pytest.mark.parametrize(("change", "row", "what"), [
    ("UPDATE journal SET payload = CAST(replace(payload, '0030', '0039') AS BLOB) WHERE seq = 30", 30, "was changed"),
    ("UPDATE journal SET kind = 'Kind0039' WHERE seq = 30", 30, "was changed"),
    ("UPDATE journal SET at_ns = at_ns + 1 WHERE seq = 30", 30, "was changed"),
    ("UPDATE journal SET version = 2 WHERE seq = 30", 30, "was changed"),
    ("UPDATE journal SET hash = randomblob(32) WHERE seq = 30", 30, "hash was changed"),
    ("UPDATE journal SET prev_hash = randomblob(32) WHERE seq = 30", 30, "prev_hash was changed"),
    ("UPDATE journal SET payload = x'00' WHERE seq = 1", 1, "was changed"),
    (f"UPDATE journal SET hash = randomblob(32) WHERE seq = {ROWS}", ROWS, "was changed"),
    ("DELETE FROM journal WHERE seq = 1", 2, "row 1 is missing"),
    ("DELETE FROM journal WHERE seq = 30", 31, "row 30 is missing"),
    ("DELETE FROM journal WHERE seq BETWEEN 30 AND 33", 34, "rows 30 to 33 are missing"),
    (f"DELETE FROM journal WHERE seq = {ROWS}", ROWS, f"row {ROWS} is the newest"),
    ("DELETE FROM journal_head", 0, "the head is missing"),
])
def test_one_change_is_named_by_its_row_and_nothing_else(path: Path, change: str, row: int, what: str) -> None:
    execute(path, change)
    damaged = verify(path).damaged
    assert any(damage.seq == row and what in damage.what for damage in damaged)
    assert {damage.seq for damage in damaged} <= {row, ROWS}


def test_swapped_rows_are_both_named(path: Path) -> None:
    execute(path, "UPDATE journal SET seq = 1000 WHERE seq = 20", "UPDATE journal SET seq = 20 WHERE seq = 21",
            "UPDATE journal SET seq = 21 WHERE seq = 1000")
    found = {damage.seq: damage.what for damage in verify(path).damaged}
    assert "is row 21, out of its place" in found[20]
    assert "is row 20, out of its place" in found[21]


def test_a_row_replaced_with_its_hash_breaks_the_next(path: Path) -> None:
    other = path.with_name("other.db")
    journal = SqliteJournal(other, inline=True)
    journal.append(make_rows(1, 29))
    journal.append([JournalRow(30, 1, "Forged", 1, b"{}")])
    asyncio.run(journal.wait_durable())
    journal.close()
    execute(path, f"ATTACH '{other}' AS other", "DELETE FROM main.journal WHERE seq = 30",
            "INSERT INTO main.journal SELECT * FROM other.journal WHERE seq = 30")
    assert [(damage.seq, damage.what) for damage in verify(path).damaged] == [
        (31, "hash chain broken: row 30 before it was replaced or is missing")]


def test_a_flipped_byte_anywhere_in_the_file_is_a_report_not_a_traceback(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    damaged = tmp_path / "damaged.db"
    unnoticed = []
    for at in range(0, len(content), 97):
        broken = bytearray(content)
        broken[at] ^= 0x10
        damaged.write_bytes(broken)
        report = verify(damaged)
        assert all(damage.what and "\n" not in damage.what for damage in report.damaged)
        if report.sound:
            unnoticed.append(at)
            assert list(journal_rows(damaged)) == make_rows(1, ROWS)
        for leftover in tmp_path.glob("damaged.db-*"):
            leftover.unlink()
    assert len(unnoticed) < len(content) // 97 * 0.55, "the room of empty pages alone may go unnoticed"


def test_a_flipped_byte_of_a_payload_on_disk_names_the_row(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(b"payload 0042")] ^= 1
    path.write_bytes(content)
    assert [damage.seq for damage in verify(path).damaged] == [42]
    with pytest.raises(JournalDamaged, match="row 42 does not match its hash"):
        list(journal_rows(path))


def test_a_damaged_page_is_named_by_the_row_near_it(path: Path) -> None:
    content = bytearray(path.read_bytes())
    page = content.index(b"payload 0042") // 4096
    content[page * 4096] = 0x55
    path.write_bytes(content)
    damaged = verify(path).damaged
    assert damaged and "malformed near row" in damaged[0].what
    assert 1 < damaged[0].seq <= 42
    with pytest.raises(JournalDamaged, match="near row"):
        list(journal_rows(path))


def copy_while_open(path: Path, target: Path, transactions: int) -> None:
    """The files of a journal whose process ended without closing it: everything lies in the log."""
    journal = SqliteJournal(path, inline=True)
    for seq in range(1, transactions + 1):
        journal.append(make_rows(seq, seq))
        asyncio.run(journal.wait_durable())
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), target.with_name(target.name + suffix))
    journal.close()


def test_verifying_beside_the_running_engine(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "journal.db", inline=True)
    for seq in range(1, 20):
        journal.append(make_rows(seq, seq))
        asyncio.run(journal.wait_durable())
        if seq % 6 == 0:
            report = verify(tmp_path / "journal.db")
            assert report.sound and report.notes == () and report.rows == seq
    journal.close()


def test_damage_inside_the_log_is_not_passed_over(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    copy_while_open(tmp_path / "journal.db", target, 20)
    wal = target.with_name("copy.db-wal")
    content = bytearray(wal.read_bytes())
    assert unread_frames(target) == ((), ())
    content[content.index(b"payload 0010")] ^= 1
    wal.write_bytes(content)
    report = verify(target)
    assert 1 <= report.last_seq < 10
    assert [damage.seq for damage in report.damaged] == [report.last_seq + 1]
    assert "SQLite drops the rows written after it" in report.damaged[0].what


def test_a_torn_end_of_the_log_is_a_note(tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    copy_while_open(tmp_path / "journal.db", target, 20)
    wal = target.with_name("copy.db-wal")
    wal.write_bytes(wal.read_bytes()[:-1000])
    report = verify(target)
    assert report.sound and report.rows == 19
    assert "torn transaction" in report.notes[0]
