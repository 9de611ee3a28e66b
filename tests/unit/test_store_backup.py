"""Backups are read back, restores refuse to destroy."""

import asyncio
import csv
import errno
import json
import os
import sqlite3
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine.errors import HomeLocked, HomeUnusable, JournalDamaged, StoreError, UsageError
from engine.ports import JournalRow
from store.backup import backup
from store.chain import row_hash
from store.export import as_csv, as_jsonl, tail
from store.home import Home, open_home
from store.journal import SqliteJournal
from store.read import chained_rows, engine_id, journal_rows
from store.restore import restore
from store.verify import verify

AT_NS = 1_760_000_000_000_000_000


def make_rows(first: int, last: int) -> list[JournalRow]:
    return [JournalRow(seq, seq, "Kind", 1, json.dumps({"text": f'a "quoted"\nline, {seq} é'}).encode())
            for seq in range(first, last + 1)]


def make_home(path: Path) -> tuple[Home, SqliteJournal]:
    home = open_home(path)
    home.config.write_text("# settings\n")
    with sqlite3.connect(home.paper) as paper:
        paper.execute("CREATE TABLE cash(minor)")
        paper.execute("INSERT INTO cash VALUES(5)")
    journal = SqliteJournal(home.journal)
    journal.append(make_rows(1, 50))
    asyncio.run(journal.wait_durable())
    return home, journal


def test_a_backup_beside_a_running_engine_comes_back_whole(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    with home.lock():
        report = backup(home, tmp_path / "backups", AT_NS)
    journal.append(make_rows(51, 60))
    journal.close()
    assert report.path.name == "quarterdeck-20251009T085320Z"
    assert report.files == ("journal.db", "paper.db", "config.toml")
    assert report.journal.sound and report.journal.rows == 50
    restored = restore(report.path, tmp_path / "other")
    assert restored.moved_aside is None
    assert list(journal_rows(tmp_path / "other" / "journal.db")) == make_rows(1, 50)
    assert verify(tmp_path / "other" / "journal.db").sound
    assert (tmp_path / "other" / "config.toml").read_text() == "# settings\n"
    with sqlite3.connect(tmp_path / "other" / "paper.db") as paper:
        assert paper.execute("SELECT minor FROM cash").fetchall() == [(5,)]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "other").glob("*.db")} == {0o600}


def test_strategies_of_the_home_go_along(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    folder = home.path / "strategies"
    folder.mkdir()
    (folder / "mine.py").write_text("one")
    (folder / "tried.json").write_text("{}")
    report = backup(home, tmp_path / "backups", AT_NS)
    assert report.files[-2:] == ("strategies/mine.py", "strategies/tried.json")
    (folder / "mine.py").write_text("two")
    restored = restore(report.path, home.path, replace=True)
    assert (folder / "mine.py").read_text() == "one"
    assert restored.moved_aside is not None
    assert (restored.moved_aside / "mine.py").read_text() == "two"


def test_a_restored_journal_has_a_new_name_and_goes_on(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    report = backup(home, tmp_path / "backups", AT_NS)
    restored = restore(report.path, tmp_path / "other")
    assert restored.engine_id == engine_id(tmp_path / "other" / "journal.db") != journal.engine_id
    again = SqliteJournal(tmp_path / "other" / "journal.db", inline=True)
    assert again.engine_id == restored.engine_id
    again.append(make_rows(51, 52))
    asyncio.run(again.wait_durable())
    again.close()
    assert verify(tmp_path / "other" / "journal.db").sound


def test_restore_refuses_a_taken_or_locked_home(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    report = backup(home, tmp_path / "backups", AT_NS)
    journal.append(make_rows(51, 60))
    journal.close()
    home.snapshots.joinpath("00000000000000000060.snapshot").write_bytes(b"x")
    with pytest.raises(UsageError, match="holds journal.db already"):
        restore(report.path, home.path)
    with home.lock(), pytest.raises(HomeLocked):
        restore(report.path, home.path, replace=True)
    restored = restore(report.path, home.path, replace=True)
    assert list(journal_rows(home.journal)) == make_rows(1, 50)
    assert list(home.snapshots.iterdir()) == []
    assert restored.moved_aside is not None
    assert list(journal_rows(restored.moved_aside / "journal.db")) == make_rows(1, 60)
    assert restore(report.path, home.path, replace=True).moved_aside != restored.moved_aside


@pytest.mark.parametrize("name", ["paper.db", "config.toml"])
def test_a_backup_of_which_a_file_was_changed_is_not_restored(tmp_path: Path, name: str) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    report = backup(home, tmp_path / "backups", AT_NS)
    before = contents(home)
    with (report.path / name).open("ab") as file:
        file.write(b"#")
    with pytest.raises(StoreError, match=f"{name}: is not what was written"):
        restore(report.path, home.path, replace=True)
    assert contents(home) == before
    (report.path / "manifest.json").unlink()
    assert restore(report.path, home.path, replace=True).files == report.files


def contents(home: Home) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.path.iterdir() if path.is_file() and "lock" not in path.name}


def test_a_restore_without_room_leaves_the_home_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a backup would be taken for a journal, and the engine begin anew on it beside open positions."""
    home, journal = make_home(tmp_path / "home")
    report = backup(home, tmp_path / "backups", AT_NS)
    journal.append(make_rows(51, 60))
    journal.close()
    before = contents(home)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as without_room:
        without_room.setattr("store.backup.shutil.copy2", full)  # the databases are copied by then
        with pytest.raises(StoreError, match="No space left.*nothing was changed"):
            restore(report.path, home.path, replace=True)
    assert contents(home) == before and not list(home.backups.iterdir())
    home.lock().release()


def test_no_engine_starts_on_what_a_killed_restore_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, journal = make_home(tmp_path / "home")
    report = backup(home, tmp_path / "backups", AT_NS)
    journal.append(make_rows(51, 60))
    journal.close()
    moved: list[str] = []
    replace = Path.replace

    def killed(path: Path, target: Path) -> Path:
        if len(moved) == 3:
            raise KeyboardInterrupt
        moved.append(path.name)
        return replace(path, target)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            restore(report.path, home.path, replace=True)
    with pytest.raises(HomeUnusable, match="restore was cut short"):
        home.lock()
    restored = restore(report.path, home.path, replace=True)
    assert list(journal_rows(home.journal)) == make_rows(1, 50) and engine_id(home.journal) == restored.engine_id
    home.lock().release()


ELSEWHERE = Path("/dev/shm")  # a file system of its own, on Linux


@pytest.mark.skipif(not ELSEWHERE.is_dir(), reason="there is no second file system here")
def test_backups_that_lie_on_another_disk_are_restored(tmp_path: Path) -> None:
    """As on a new machine: a link, or a mount, in the place of the folder of backups."""
    home, journal = make_home(tmp_path / "home")
    with TemporaryDirectory(dir=ELSEWHERE) as elsewhere:
        home.backups.rmdir()
        home.backups.symlink_to(elsewhere)
        report = backup(home, home.backups, AT_NS)
        journal.append(make_rows(51, 60))
        journal.close()
        restored = restore(report.path, home.path, replace=True)
        assert list(journal_rows(home.journal)) == make_rows(1, 50)
        assert restored.moved_aside is not None
        assert list(journal_rows(restored.moved_aside / home.journal.name)) == make_rows(1, 60)
        home.lock().release()


def test_a_damaged_journal_makes_no_backup_and_a_damaged_backup_is_not_restored(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    good = backup(home, tmp_path / "backups", AT_NS)
    for database in (home.journal, good.path / "journal.db"):
        with sqlite3.connect(database) as connection:
            connection.execute("DROP TRIGGER journal_no_update")
            connection.execute("UPDATE journal SET payload = x'00' WHERE seq = 7")
    with pytest.raises(StoreError, match="damaged at row 7"):
        backup(home, tmp_path / "backups", AT_NS + 10**9)
    with pytest.raises(StoreError, match="damaged at row 7"):
        restore(good.path, tmp_path / "other")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == [good.path.name]
    assert not (tmp_path / "other").exists()


def test_a_backup_is_never_overwritten_and_needs_a_journal(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    backup(home, tmp_path / "backups", AT_NS)
    with pytest.raises(UsageError, match="exists already"):
        backup(home, tmp_path / "backups", AT_NS)
    with pytest.raises(HomeUnusable, match="no journal to copy"):
        backup(open_home(tmp_path / "empty"), tmp_path / "backups", AT_NS + 10**9)
    with pytest.raises(HomeUnusable, match="no such database"):
        restore(tmp_path / "nothing", tmp_path / "other")


def test_export_keeps_every_byte(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    records = [json.loads(line) for line in as_jsonl(chained_rows(home.journal))]
    assert [record["seq"] for record in records] == list(range(1, 51))
    assert records[3]["payload"] == {"text": 'a "quoted"\nline, 4 é'}
    lines = list(as_csv(chained_rows(home.journal)))
    previous = bytes(32)
    for record in csv.DictReader(lines):
        assert bytes.fromhex(record["prev_hash"]) == previous
        previous = row_hash(previous, int(record["seq"]), int(record["at_ns"]), record["kind"].encode(),
                            int(record["version"]), record["payload"].encode())
        assert record["hash"] == previous.hex()
    assert [row.seq for row in tail(home.journal, 3)] == [48, 49, 50]
    assert len(list(tail(home.journal, 99))) == 50
    assert list(tail(home.journal, 0)) == []


def test_export_stops_at_a_damaged_row(tmp_path: Path) -> None:
    home, journal = make_home(tmp_path / "home")
    journal.close()
    with sqlite3.connect(home.journal) as connection:
        connection.execute("DROP TRIGGER journal_no_update")
        connection.execute("UPDATE journal SET kind = x'ff00' || 'x' WHERE seq = 5")
    with pytest.raises(JournalDamaged):
        list(as_jsonl(chained_rows(home.journal)))
