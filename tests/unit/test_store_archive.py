"""Old rows in a file beside: proved across both, read as before, needed for no start, and never lost."""

import csv
import gzip
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from engine.errors import HomeLocked, HomeUnusable, JournalDamaged, StoreError, UsageError
from engine.state import SNAPSHOT_FORMAT, encode_state
from store.archive import archive, cut_after, state_at
from store.archive_files import archives_of, base_state
from store.backup import backup
from store.chain import row_hash
from store.home import Home, open_home
from store.read import chain_hash, chained_rows, journal_rows
from store.restore import restore
from store.verify import verify
from store.views import rebuild_views, views_current
from tests.unit.lived_homes import DAY_NS, FIRST_NS, lived_home
from tui.folding import restored_state

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return lived_home(tmp_path / "home")


def test_the_journal_goes_on_where_the_archive_ends(home: Home) -> None:
    rows, state = list(journal_rows(home.journal)), restored_state(home)
    done = archive(home, FIRST_NS + 3 * DAY_NS)
    assert (done.record.first_seq, done.record.last_seq, done.left) == (1, 18, 15)
    assert done.path == home.path / "archive" / "journal-1-18.csv.gz"
    assert list(journal_rows(home.journal)) == rows, "whoever reads all rows sees no difference"
    assert list(journal_rows(home.journal, 17)) == rows[16:]
    assert list(journal_rows(home.journal, 25)) == rows[24:]
    report = verify(home.journal)
    assert (report.sound, report.rows, report.archived, report.first_seq) == (True, 15, 18, 19)
    assert views_current(home.journal)
    assert encode_state(restored_state(home)) == encode_state(state)
    assert chain_hash(home.journal, 18) == done.record.last_hash


def test_a_start_needs_no_archive_and_a_second_one_follows_the_first(home: Home) -> None:
    state = restored_state(home)
    archive(home, FIRST_NS + 2 * DAY_NS)
    again = archive(home, FIRST_NS + 4 * DAY_NS)
    assert (again.record.first_seq, again.record.last_seq) == (14, 23)
    first, second = archives_of(home.journal)
    assert second.prev_hash == first.last_hash
    shutil.rmtree(home.path / "archive")
    assert encode_state(restored_state(home)) == encode_state(state), "the journal keeps what the rows add up to"
    report = verify(home.journal)
    assert report.sound
    assert report.notes == ("rows 1 to 13 lie in journal-1-13.csv.gz, which is not here: not proved",
                            "rows 14 to 23 lie in journal-14-23.csv.gz, which is not here: not proved")
    with pytest.raises(HomeUnusable, match="put it back"):
        list(journal_rows(home.journal))


def test_views_are_made_anew_across_both(home: Home) -> None:
    with sqlite3.connect(home.journal) as connection:
        before = connection.execute("SELECT * FROM fills ORDER BY trade_id").fetchall()
    archive(home, FIRST_NS + 3 * DAY_NS)
    rebuild_views(home.journal)
    with sqlite3.connect(home.journal) as connection:
        assert connection.execute("SELECT * FROM fills ORDER BY trade_id").fetchall() == before
    assert len(before) == 6


def test_a_third_party_proves_an_archive_with_a_few_lines(home: Home) -> None:
    done = archive(home, FIRST_NS + 3 * DAY_NS)
    previous = bytes(32)
    with gzip.open(done.path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            previous = row_hash(previous, int(row["seq"]), int(row["at_ns"]), row["kind"].encode(), int(row["version"]),
                                row["payload"].encode())
            assert row["hash"] == previous.hex()
    assert previous == done.record.last_hash


def test_damage_to_an_archive_or_to_what_it_adds_up_to_is_found(home: Home) -> None:
    done = archive(home, FIRST_NS + 3 * DAY_NS)
    text = gzip.decompress(done.path.read_bytes())
    done.path.write_bytes(gzip.compress(text.replace(b"deposit", b"depOsit")))
    assert [damage.what for damage in verify(home.journal).damaged] == [
        f"{done.path}: row 3 does not match its hash; take the archive from a backup"]
    done.path.write_bytes(gzip.compress(text.rstrip(b"\n").rpartition(b"\n18,")[0]))
    assert "ends at row 17, not at row 18" in verify(home.journal).damaged[0].what
    done.path.write_bytes(gzip.compress(text)[:-200])
    with pytest.raises(JournalDamaged, match="cannot be read after line"):
        list(chained_rows(home.journal))
    done.path.write_bytes(gzip.compress(text))
    assert verify(home.journal).sound
    with sqlite3.connect(home.journal) as connection:
        connection.execute("UPDATE archives SET state = x'00'")
    assert not verify(home.journal).sound
    with pytest.raises(JournalDamaged, match="add up to is not what was written"):
        base_state(home.journal)


def test_what_cannot_be_archived_is_refused_and_changes_nothing(home: Home) -> None:
    rows = list(journal_rows(home.journal))
    with pytest.raises(UsageError, match="no row from before 2026-01-01 00:00:00 UTC"):
        archive(home, FIRST_NS)
    with home.lock(), pytest.raises(HomeLocked):
        archive(home, FIRST_NS + DAY_NS)
    assert archive(home, FIRST_NS + 100 * DAY_NS).left == 1, "the newest row stays, whatever the date"
    with pytest.raises(UsageError):
        archive(home, FIRST_NS + 100 * DAY_NS)
    assert list(journal_rows(home.journal)) == rows
    with sqlite3.connect(home.journal) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM journal")


def test_an_archive_that_cannot_be_written_moves_nothing(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list(journal_rows(home.journal))
    (home.path / "archive").write_text("not a folder")
    with pytest.raises(StoreError, match="cannot be written"):
        archive(home, FIRST_NS + 3 * DAY_NS)
    (home.path / "archive").unlink()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.archive_files.os.fsync", full)
    with pytest.raises(StoreError, match="No space left on device"):
        archive(home, FIRST_NS + 3 * DAY_NS)
    monkeypatch.undo()
    assert list((home.path / "archive").iterdir()) == []
    assert list(journal_rows(home.journal)) == rows and verify(home.journal).rows == 33
    with pytest.raises(HomeUnusable, match="no journal yet"):
        archive(open_home(tmp_path / "empty"), FIRST_NS)


def test_archives_go_along_with_a_backup(home: Home, tmp_path: Path) -> None:
    rows = list(journal_rows(home.journal))
    archive(home, FIRST_NS + 3 * DAY_NS)
    report = backup(home, tmp_path / "copies", FIRST_NS + 9 * DAY_NS)
    assert report.files == ("journal.db", "paper.db", "config.toml", "archive/journal-1-18.csv.gz")
    restore(report.path, tmp_path / "other")
    assert list(journal_rows(tmp_path / "other" / "journal.db")) == rows
    assert verify(tmp_path / "other" / "journal.db").archived == 18


def test_a_journal_is_cut_after_a_row_and_the_rest_kept(home: Home, tmp_path: Path) -> None:
    rows = list(journal_rows(home.journal))
    state = state_at(home.journal, 20)
    record = cut_after(home.journal, 20, tmp_path / "rest.csv.gz")
    assert (record.first_seq, record.last_seq, record.rows) == (21, 33, 13)
    assert list(journal_rows(home.journal)) == rows[:20]
    assert verify(home.journal).sound
    assert encode_state(state_at(home.journal)) == encode_state(state)


@pytest.mark.slow
def test_killed_at_any_moment_no_row_is_lost(home: Home) -> None:
    done = subprocess.run([sys.executable, "-m", "tests.crash.archiving", str(home.path)], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 15, done.stdout


def test_a_program_whose_states_are_of_another_form_reads_the_archives_instead(
        home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    state = encode_state(restored_state(home))
    archive(home, FIRST_NS + 3 * DAY_NS)
    monkeypatch.setattr("store.archive.SNAPSHOT_FORMAT", SNAPSHOT_FORMAT + 1)
    assert encode_state(restored_state(home)) == state
    shutil.rmtree(home.path / "archive")
    with pytest.raises(HomeUnusable, match=r"journal-1-18\.csv\.gz: .* put it back"):
        restored_state(home)
