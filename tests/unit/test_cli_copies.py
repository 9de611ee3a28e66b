"""Copies by command: made, sealed, listed, proved, put back; old rows archived; an older configuration brought up to date."""

import gzip
import json
from pathlib import Path

import pytest

from engine.config import check_config, load_config
from engine.config_versions import CURRENT_VERSION, Change, translate
from engine.errors import ConfigError
from store.halt_flag import read_halt
from store.home import Home
from store.read import journal_rows
from tests.unit.lived_homes import lived_home
from tui.cli import run
from tui.commands.config_migrating import migrated_text


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    return lived_home(tmp_path / "h")


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    status, out, err = said(capsys, *arguments, "--json")
    assert status == 0, err
    found: dict[str, object] = json.loads(out)
    return found


def test_a_backup_is_made_listed_and_proved(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, "backup")
    name = Path(str(made["folder"])).name
    assert (made["rows"], made["sealed"]) == (33, False)
    _, out, _ = said(capsys, "backup", "list")
    assert name in out and "hand" in out
    assert said(capsys, "backup", "verify", name)[:2] == (0, f"{home.backups / name}: sound: 33 journal rows proved\n")
    (home.backups / name / "config.toml").write_text("x = 1\n")
    status, _, err = said(capsys, "backup", "verify", name)
    assert (status, err.count("\n")) == (1, 1) and "its checksum differs" in err
    status, _, err = said(capsys, "backup", "verify", "nothing")
    assert status == 2 and "no such backup" in err
    assert said(capsys, "backup", "one", "two", "three")[0] == 2


def test_a_sealed_backup_goes_round_by_command(
        home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from pyrage import x25519

    key = x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"# test\n{key}\n")
    made = asked(capsys, "backup", "--recipient", str(key.to_public()))
    sealed = str(made["folder"])
    assert sealed.endswith(".tar.gz.age")
    status, out, _ = said(capsys, "backup", "verify", sealed)
    assert status == 0 and "its content was not looked at" in out
    assert "33 journal rows proved" in said(capsys, "backup", "verify", sealed, "--identity", str(tmp_path / "identity"))[1]
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "other"))
    status, _, err = said(capsys, "restore", sealed)
    assert (status, err.count("\n")) == (2, 1) and "--identity" in err
    assert said(capsys, "restore", sealed, "--identity", str(tmp_path / "identity"))[0] == 0
    assert list(journal_rows(tmp_path / "other" / "journal.db")) == list(journal_rows(home.journal))
    assert list((tmp_path / "other" / "backups").iterdir()) == []
    status, _, err = said(capsys, "backup", "--recipient", "age1bad")
    assert status == 2 and "is no age public key" in err


def test_a_backup_of_the_home_is_restored_by_its_name_from_anywhere(
        home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    name = Path(str(asked(capsys, "backup")["folder"])).name
    monkeypatch.chdir(tmp_path)
    for written in (name, f"backups/{name}"):
        assert said(capsys, "restore", written, "--replace")[0] == 0
        aside = max(home.backups.glob("replaced-*"))
        assert aside.is_dir()
    status, _, err = said(capsys, "restore", "backups/none", "--replace")
    assert status == 2 and "no such backup; `quarterdeck backup list` names" in err


def test_a_restore_to_a_point_shows_what_it_means_asks_and_starts_halted(
        home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(asked(capsys, "backup")["folder"])
    status, out, err = said(capsys, "restore", folder, "--until", "18", "--replace")
    assert status == 2 and "needs --yes" in err
    assert "15 rows after it" in out and "o5-stop" in out and "HALTED" in out
    with home.lock():
        status, _, err = said(capsys, "restore", folder, "--until", "18", "--replace", "--yes")
        assert status == 1 and "runs on it; end it first" in err
    assert len(list(journal_rows(home.journal))) == 33
    done = asked(capsys, "restore", folder, "--until", "2026-01-04", "--replace", "--yes")
    assert (done["seq"], done["rows_cut"], done["halted"]) == (18, 15, True)
    assert len(list(journal_rows(home.journal))) == 18
    assert read_halt(home) is not None
    status, _, err = said(capsys, "restore", folder, "--until", "tomorrow", "--replace", "--yes")
    assert (status, err.count("\n")) == (2, 1)


def test_old_rows_are_archived_and_read_as_before(
        home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = said(capsys, "journal", "export", "--csv")[1]
    assert said(capsys, "journal", "archive", "--before", "2026-01-04")[0] == 2, "it asks"
    done = asked(capsys, "journal", "archive", "--before", "2026-01-04", "--yes", "--copy", str(tmp_path / "copies"))
    assert (done["rows"], done["rows_left"]) == (18, 15)
    assert Path(str(done["copy"])).read_bytes() == Path(str(done["path"])).read_bytes()
    assert said(capsys, "journal", "export", "--csv")[1] == before
    assert "15 rows, 19 to 33 and 18 archived ones" in said(capsys, "journal", "verify")[1]
    assert said(capsys, "journal", "verify", str(done["path"]))[1].startswith("sound: 18 rows, 1 to 18, last hash ")
    text = gzip.decompress(Path(str(done["copy"])).read_bytes())
    Path(str(done["copy"])).write_bytes(gzip.compress(text.replace(b"deposit", b"deposed")))
    status, _, err = said(capsys, "journal", "verify", str(done["copy"]))
    assert (status, err.count("\n")) == (1, 1) and "row 3 does not match its hash" in err
    assert len(said(capsys, "journal", "tail", "-n", "20")[1].splitlines()) == 21
    status, _, err = said(capsys, "journal", "archive", "--before", "2026-01-05", "--encrypt", "--yes")
    assert status == 2 and "--copy" in err


# ---- the configuration's versions ----------------------------------------------------------------------------------------------

OLD = """# mine
[backup]
# as many as fit
kept = 5   # five

[app]
theme = "harbour"
"""


def test_an_older_file_still_means_the_same_and_says_so(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.config.write_text(OLD)
    assert load_config(home.config).backup.keep_daily == 5
    status, out, _ = said(capsys, "config", "check")
    assert status == 0
    assert "backup.kept is now backup.keep_daily: backups are kept by day, week and month" in out
    both = check_config("[backup]\nkept = 5\nkeep_daily = 7\n", "c").config
    assert both is not None and both.backup.keep_daily == 7, "the new name wins"


def test_migrate_shows_writes_and_keeps(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.config.write_text(OLD)
    status, out, err = said(capsys, "config", "migrate")
    assert status == 0 and "-kept = 5   # five" in out and "+keep_daily = 5   # five" in out and "--write" in err
    assert home.config.read_text() == OLD
    status, out, _ = said(capsys, "config", "migrate", "--write")
    assert status == 0
    text = home.config.read_text()
    assert "# as many as fit\nkeep_daily = 5   # five\n" in text and f"version = {CURRENT_VERSION}" in text and "# mine" in text
    assert (home.path / "config.toml.1").read_text() == OLD
    assert check_config(text, "c").warnings == ()
    assert "already" in said(capsys, "config", "migrate", "--write")[1]
    assert not (home.path / "config.toml.2").exists()


def test_unknown_keys_newer_files_and_files_that_stay_wrong_are_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.config.write_text("[backup]\nkeep_dayly = 5\n")
    status, _, err = said(capsys, "config", "migrate", "--write")
    assert status == 2 and 'did you mean "keep_daily"' in err
    assert home.config.read_text() == "[backup]\nkeep_dayly = 5\n"
    home.config.write_text(f"version = {CURRENT_VERSION + 1}\n")
    assert "install the newer quarterdeck" in said(capsys, "config", "check")[2]
    with pytest.raises(ConfigError, match="is newer than this program's"):
        migrated_text(home.config.read_text(), "c")
    home.config.write_text('version = "two"\n')
    assert said(capsys, "config", "check")[0] == 2
    home.config.unlink()
    assert said(capsys, "config", "migrate")[0] == 2


def test_settings_in_arrays_of_sections_are_renamed_and_removed_with_their_remarks_kept() -> None:
    changes = (Change(2, "portfolio.depth", "portfolio.limits_depth", "clearer"),
               Change(2, "portfolio.old", "", "it did nothing"))
    text = '[[portfolio]]\nname = "a"\n# how deep\ndepth = 1\nold = 2\n\n[[portfolio]]\nname = "b"\n'
    after, told = migrated_text(text, "c", changes)
    assert '# how deep\nlimits_depth = 1\n' in after and "old =" not in after and '[[portfolio]]\nname = "b"' in after
    assert told == ("portfolio.depth is now portfolio.limits_depth: clearer", "portfolio.old is no longer there: it did nothing")
    tree: dict[str, object] = {"version": 1, "portfolio": [{"depth": 1, "old": 2}, {}]}
    translate(tree, changes)
    assert tree == {"version": CURRENT_VERSION, "portfolio": [{"limits_depth": 1}, {}]}
