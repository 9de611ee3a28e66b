"""Backups sealed, kept by day, week and month, listed and proved; restored as of a row."""

import json
import sqlite3
import subprocess
import tarfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.errors import KeysUnavailable, StoreError, UsageError
from engine.state import encode_state
from store.archive import archive, state_at
from store.archive_files import proved_rows
from store.backup import SEALED, backup, manifest_beside
from store.backup_list import checked, find, listed
from store.halt_flag import read_halt
from store.home import Home
from store.journal import SqliteJournal
from store.read import engine_id, journal_rows
from store.restore import opened_backup, restore
from store.retention import Keep, prune, scheduled_backup, surplus, sweep
from store.rewind import Point, planned, restore_to
from store.sealing import Seal, Unseal
from store.verify import verify
from store.views import views_current
from tests.unit.lived_homes import DAY_NS, FIRST_NS, lived_home

AT_NS = FIRST_NS + 30 * DAY_NS
WORDS = "correct horse"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return lived_home(tmp_path / "home")


def key_pair() -> tuple[str, str]:
    """A private key and the recipient that belongs to it."""
    from pyrage import x25519

    made = x25519.Identity.generate()
    return str(made), str(made.to_public())


# ---- sealed -----------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_backup_sealed_with_a_passphrase_comes_back_whole_and_a_wrong_one_is_a_line(home: Home, tmp_path: Path) -> None:
    report = backup(home, tmp_path / "copies", AT_NS, seal=Seal(passphrase=WORDS))
    assert report.sealed and report.path.name == f"quarterdeck-20260131T000000Z{SEALED}"
    content = report.path.read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n") and b"deposit" not in content and b"settings" not in content
    assert sorted(path.name for path in (tmp_path / "copies").iterdir()) == [report.path.name, f"{report.path.name}.json"]
    assert list(home.backups.iterdir()) == [], "no plain text stays behind"
    assert report.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeysUnavailable, match="that passphrase does not open it"), \
            opened_backup(report.path, tmp_path / "work", Unseal(passphrase=WORDS.upper())):
        pass
    assert list((tmp_path / "work").iterdir()) == []
    with opened_backup(report.path, tmp_path / "work", Unseal(passphrase=WORDS)) as opened:
        restore(opened.path, tmp_path / "other")
    assert list((tmp_path / "work").iterdir()) == []
    assert list(journal_rows(tmp_path / "other" / "journal.db")) == list(journal_rows(home.journal))
    assert (tmp_path / "other" / "config.toml").read_text() == "# settings\n"


def test_a_backup_sealed_to_a_recipient_opens_with_its_identity_alone(home: Home, tmp_path: Path) -> None:
    identity, recipient = key_pair()
    report = backup(home, tmp_path / "copies", AT_NS, seal=Seal(recipient=recipient))
    with pytest.raises(KeysUnavailable, match="name the file of its identity"), \
            opened_backup(report.path, tmp_path / "work", Unseal(passphrase=WORDS)):
        pass
    with pytest.raises(KeysUnavailable, match="no identity of that file opens it"), \
            opened_backup(report.path, tmp_path / "work", Unseal(identity=key_pair()[0])):
        pass
    with pytest.raises(KeysUnavailable, match="holds no age private key"), \
            opened_backup(report.path, tmp_path / "work", Unseal(identity="hello")):
        pass
    with opened_backup(report.path, tmp_path / "work", Unseal(identity=f"# made for a test\n{identity}\n")) as opened:
        assert verify(opened.journal).sound


def test_what_cannot_be_sealed_is_refused_and_leaves_nothing(home: Home, tmp_path: Path) -> None:
    for seal, told in ((Seal(recipient="age1nonsense"), "is no age public key"), (Seal(passphrase=WORDS[:5]), "at least 8")):
        with pytest.raises(UsageError, match=told):
            backup(home, tmp_path / "copies", AT_NS, seal=seal)
    assert list((tmp_path / "copies").iterdir()) == []
    assert list(home.backups.iterdir()) == []


@pytest.mark.slow
def test_a_sealed_tar_with_a_path_trick_writes_nothing_outside(tmp_path: Path) -> None:
    from pyrage import passphrase as age

    evil = tmp_path / "evil.tar.gz"
    with tarfile.open(evil, "w:gz") as tar:
        note = tmp_path / "note"
        note.write_text("out")
        tar.add(note, arcname="../../escaped")
    sealed = tmp_path / "quarterdeck-20260101T000000Z.tar.gz.age"
    sealed.write_bytes(age.encrypt(evil.read_bytes(), WORDS))
    with pytest.raises(StoreError, match="holds no backup"), \
            opened_backup(sealed, tmp_path / "a" / "b", Unseal(passphrase=WORDS)):
        pass
    assert not list(tmp_path.rglob("escaped"))


# ---- kept, listed, proved ---------------------------------------------------------------------------------------------------


def test_the_newest_of_each_day_week_and_month_stays() -> None:
    newest = datetime(2026, 3, 31, 12, tzinfo=UTC)
    times = [newest - timedelta(hours=hours) for hours in range(0, 24 * 90, 12)]
    found = [(at, Path(f"{at:%Y%m%dT%H}")) for at in times]
    gone = set(surplus(found, Keep(daily=3, weekly=2, monthly=3)))
    kept = [path.name for _, path in found if path not in gone]
    assert kept == ["20260331T12", "20260330T12", "20260329T12", "20260228T12", "20260131T12"]
    assert len(surplus(found[:1], Keep(1))) == 0
    assert [path.name for _, path in found[:3] if path not in surplus(found[:3], Keep(1))] == ["20260331T12"]


def test_only_what_bears_a_backups_name_is_ever_removed(home: Home) -> None:
    folder = home.backups / "scheduled"
    folder.mkdir()
    (folder / "notes").mkdir()
    (folder / "quarterdeck-99999999T999999Z").mkdir()
    (folder / "quarterdeck-20260101T000000Z.txt").write_text("mine")
    _, recipient = key_pair()
    for day in (1, 2):
        scheduled_backup(home, Keep(9), AT_NS + day * DAY_NS, recipient)
    told = scheduled_backup(home, Keep(1), AT_NS + 3 * DAY_NS)
    assert told == "quarterdeck-20260203T000000Z: 33 journal rows verified, 2 older removed"
    assert sorted(path.name for path in folder.iterdir()) == [
        "notes", "quarterdeck-20260101T000000Z.txt", "quarterdeck-20260203T000000Z", "quarterdeck-99999999T999999Z"]


def test_what_a_killed_backup_left_is_swept_once_it_is_a_day_old(home: Home) -> None:
    folder = home.backups / "scheduled"
    folder.mkdir()
    left = [folder / "quarterdeck-20260101T000000Z.part", home.backups / "quarterdeck-20260101T000000Z.part",
            home.backups / ".opened-abc", home.backups / ".rewound-abc"]
    files = [home.backups / "quarterdeck-20260101T000000Z.part.tar.gz", home.backups / ".opened-abc.tar.gz",
             folder / f"quarterdeck-20260101T000000Z{SEALED}.part"]
    kept = [home.backups / "mine.part", home.backups / "replaced-1", home.backups / "quarterdeck-20260101T000000Z"]
    for path in (*left, *kept):
        path.mkdir()
    for path in files:
        path.write_text("plain")
    now_seconds = max(path.stat().st_mtime for path in (*left, *files))
    assert sweep(home, now_seconds + 3_600) == ()
    assert len(sweep(home, now_seconds + 86_401)) == len([*left, *files])
    assert sorted(path.name for path in home.backups.iterdir()) == [
        "mine.part", "quarterdeck-20260101T000000Z", "replaced-1", "scheduled"]
    assert list(folder.iterdir()) == []


def test_after_a_step_back_of_the_clock_the_one_made_last_stays(home: Home) -> None:
    scheduled_backup(home, Keep(1), AT_NS + 9 * DAY_NS)
    scheduled_backup(home, Keep(1), AT_NS)
    names = sorted(path.name for path in (home.backups / "scheduled").iterdir())
    assert names == ["quarterdeck-20260131T000000Z", "quarterdeck-20260209T000000Z"]
    assert prune(home.backups / "none", Keep(1)) == ()


@pytest.mark.slow
def test_backups_are_listed_newest_first_and_read_back(home: Home) -> None:
    plain = backup(home, home.backups, AT_NS)
    sealed = backup(home, home.backups, AT_NS + DAY_NS, seal=Seal(passphrase=WORDS))
    scheduled_backup(home, Keep(1), AT_NS + 2 * DAY_NS)
    found = listed(home)
    assert [(one.path.name[12:20], one.scheduled, one.sealed, one.rows) for one in found] == [
        ("20260202", True, False, 33), ("20260201", False, True, 33), ("20260131", False, False, 33)]
    assert all(checked(home, one.path, Unseal(passphrase=WORDS)).problems == () for one in found)
    assert not checked(home, sealed.path, None).opened
    assert find(home, plain.path.name) == plain.path
    with pytest.raises(UsageError, match="no such backup"):
        find(home, "quarterdeck-nothing")
    (plain.path / "config.toml").write_text("# other\n")
    (plain.path / "paper.db").unlink()
    assert set(checked(home, plain.path, None).problems) == {
        "paper.db: is missing", "config.toml: is not what was written: its checksum differs"}
    content = bytearray(sealed.path.read_bytes())
    content[-1] ^= 1
    sealed.path.write_bytes(content)
    assert "its checksum differs" in checked(home, sealed.path, None).problems[0]
    manifest_beside(sealed.path).unlink()
    with pytest.raises(KeysUnavailable, match="or the file is damaged"):
        checked(home, sealed.path, Unseal(passphrase=WORDS))


def test_a_backup_is_of_one_moment_while_the_journal_is_written_and_tells_how_far_it_is(home: Home, tmp_path: Path) -> None:
    with sqlite3.connect(home.path / "research.db") as research:
        research.execute("CREATE TABLE threads(text)")
        research.executemany("INSERT INTO threads VALUES(?)", [("x" * 4_000,)] * 6_000)
    stop, told = threading.Event(), []
    with sqlite3.connect(home.journal, isolation_level=None, check_same_thread=False, timeout=30) as writer:

        def write() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                writer.execute("INSERT OR REPLACE INTO meta VALUES('count', ?)", (str(number),))

        thread = threading.Thread(target=write)
        thread.start()
        try:
            report = backup(home, tmp_path / "copies", AT_NS, progress=lambda what, done, total: told.append((what, done, total)))
        finally:
            stop.set()
            thread.join()
    writer.close()
    assert "research.db" in report.files
    steps = [(done, total) for what, done, total in told if what == "research.db"]
    assert len(steps) > 2 and steps[-1][0] == steps[-1][1] and steps == sorted(steps)
    restore(report.path, tmp_path / "other")
    with sqlite3.connect(tmp_path / "other" / "research.db") as research:
        assert research.execute("SELECT count(*) FROM threads").fetchone() == (6_000,)


# ---- restored to a point ----------------------------------------------------------------------------------------------------


def test_a_restore_to_a_row_cuts_the_rest_off_keeps_it_and_starts_halted(home: Home, tmp_path: Path) -> None:
    rows = list(journal_rows(home.journal))
    state = state_at(home.journal, 18)
    report = backup(home, tmp_path / "copies", AT_NS)
    with opened_backup(report.path, home.backups) as source:
        plan = planned(source, Point(at_ns=FIRST_NS + 3 * DAY_NS))
        assert (plan.seq, plan.rows_after) == (18, 15)
        assert [(one.client_order_id, one.known) for one in plan.orders] == [
            (f"o{day}-stop", day < 3) for day in range(6)]
        with pytest.raises(UsageError, match="holds journal.db already"):
            restore_to(source, home.path, plan, AT_NS)
        assert read_halt(home) is None and list(journal_rows(home.journal)) == rows
        done = restore_to(source, home.path, plan, AT_NS, replace=True)
    assert list(journal_rows(home.journal)) == rows[:18]
    assert verify(home.journal).sound and views_current(home.journal)
    assert encode_state(state_at(home.journal)) == encode_state(state)
    assert done.cut_file is not None and done.cut is not None
    assert [row.row for row in proved_rows(done.cut_file, done.cut)] == rows[18:]
    flag = read_halt(home)
    assert flag is not None and flag.cause.startswith("restored to row 18")
    assert engine_id(home.journal) == done.restored.engine_id
    assert sorted(path.name for path in home.backups.iterdir()) == [done.cut_file.name, "replaced-1"]
    goes_on = SqliteJournal(home.journal, inline=True)
    assert goes_on.head().seq == 18
    goes_on.close()


def test_a_point_that_the_journal_does_not_have_is_refused(home: Home, tmp_path: Path) -> None:
    archive(home, FIRST_NS + 2 * DAY_NS)
    report = backup(home, tmp_path / "copies", AT_NS)
    source = Home(report.path)
    with pytest.raises(UsageError, match="has no row 99; it begins at row 14; older ones are archived"):
        planned(source, Point(seq=99))
    with pytest.raises(UsageError, match="has no row from before that time"):
        planned(source, Point(at_ns=FIRST_NS))
    plan = planned(source, Point(seq=33))
    assert plan.rows_after == 0
    done = restore_to(source, tmp_path / "other", plan, AT_NS)
    assert done.cut_file is None
    assert verify(tmp_path / "other" / "journal.db").archived == 13


@pytest.mark.slow
def test_the_sealed_file_opens_with_ordinary_tools_after_age(home: Home, tmp_path: Path) -> None:
    """Decrypted, it is a tar that needs nothing of ours."""
    from pyrage import passphrase as age

    report = backup(home, tmp_path / "copies", AT_NS, seal=Seal(passphrase=WORDS))
    pack = tmp_path / "pack.tar.gz"
    pack.write_bytes(age.decrypt(report.path.read_bytes(), WORDS))
    done = subprocess.run(["tar", "xzf", str(pack), "-C", str(tmp_path)], check=False)
    assert done.returncode == 0
    assert json.loads((tmp_path / "manifest.json").read_text())["last_seq"] == 33
