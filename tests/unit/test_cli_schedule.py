"""The schedule on the command line and in the configuration, with the short engine of a command."""

import json
from pathlib import Path

import pytest

from engine.config import Config, check_config, parse_config
from engine.schedule_words import JobKind, MissedRule
from engine.units import NS_PER_SECOND
from store.home import open_home
from store.retention import Keep, scheduled_backup
from tui.cli import run

SECTION = '[[job]]\nname = "one"\nkind = "backup"\nat = "0 0 * * *"\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    return tmp_path / "h"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    capsys.readouterr()
    status = run(list(arguments))
    told = capsys.readouterr()
    return status, told.out, told.err


def test_a_job_is_listed_run_paused_and_resumed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "init")[0] == 0
    status, out, _ = said(capsys, "schedule", "list")
    assert (status, out) == (0, "no jobs are planned yet; an engine plans those of the configuration when it starts\n")
    status, out, _ = said(capsys, "schedule", "run", "backup")
    assert status == 0 and "journal rows verified" in out
    assert [one.name for one in (home / "backups" / "scheduled").iterdir()] == [out.split()[1].rstrip(":")]
    assert said(capsys, "schedule", "pause", "backup")[:2] == (0, "backup is paused\n")
    jobs = {one["job_id"]: one for one in json.loads(said(capsys, "schedule", "list", "--json")[1])}
    assert jobs["backup"]["paused"] and jobs["backup"]["run_count"] == 1 and jobs["backup"]["last_outcome"] == "done"
    assert not jobs["risk-monitor:main"]["paused"] and jobs["risk-monitor:main"]["run_count"] == 0
    assert "paused" in said(capsys, "schedule", "list")[1]
    assert said(capsys, "schedule", "resume", "backup")[:2] == (0, "backup goes on\n")


def test_a_job_of_the_core_says_what_it_saw(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "schedule", "run", "risk-monitor:main", "--json")
    assert status == 0
    assert json.loads(out)["job"]["last_text"] == "heat 0.00% of 6.00%, drawdown 0.00%, 0 positions, ACTIVE"


def test_what_is_refused_or_fails_ends_with_1_and_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, "schedule", "run", "nothing")
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert "there is no job 'nothing'; there is: risk-monitor:main, backup, learning" in err
    (home / "backups" / "scheduled").write_text("not a folder")
    status, out, err = said(capsys, "schedule", "run", "backup")
    assert (status, out) == (1, "") and err.count("\n") == 1
    assert "backup failed" in err


def test_only_the_newest_scheduled_backups_are_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "schedule", "run", "risk-monitor:main")[0] == 0
    found = open_home(home)
    (home / "backups" / "scheduled").mkdir()
    (home / "backups" / "scheduled" / "notes").mkdir()
    told = [scheduled_backup(found, Keep(2), at * 86_400 * NS_PER_SECOND) for at in (1, 2, 3, 4)]
    assert sorted(one.name for one in (home / "backups" / "scheduled").iterdir()) == [
        "notes", "quarterdeck-19700104T000000Z", "quarterdeck-19700105T000000Z"]
    assert told[-1].endswith(", 1 older removed")


# ---- the configuration -----------------------------------------------------------------------------------------------------


def test_without_a_word_there_is_a_look_at_risk_and_a_backup() -> None:
    assert [(one.job_id, one.kind, one.missed) for one in Config().jobs()] == [
        ("risk-monitor:main", JobKind.RISK_MONITOR, MissedRule.SKIP), ("backup", JobKind.BACKUP, MissedRule.ONCE),
        ("learning", JobKind.LEARNING, MissedRule.ONCE)]
    assert parse_config("job = []", "c").jobs() == ()
    assert [one.job_id for one in parse_config(SECTION, "c").jobs()] == ["one"]


@pytest.mark.parametrize(("line", "words"), [
    ('at = "61 * * * *"', 'job[0].at = "61 * * * *": bad minute'),
    ('at = "close-10m"', "needs a calendar with sessions"),
    ('zone = "Mars/Base"', 'must be a time zone such as "UTC"'),
    ('kind = "coffee"', "must be one of risk_monitor, "),
    ('hours = "session"', 'needs a calendar with sessions, such as calendar = "XNYS"'),
    ('missed = "never"', "must be one of skip, once, all"),
    ('portfolio = "moon"', "no such portfolio; there is: main"),
    ('calendar = "moon"', "calendar"),
    ('every = "day"', "unknown key"),
])
def test_a_wrong_section_is_told_with_its_place(line: str, words: str) -> None:
    key = line.split(maxsplit=1)[0]
    text = "\n".join([*(one for one in SECTION.splitlines() if not one.startswith(f"{key} ")), line])
    errors = check_config(text, "config.toml").errors
    assert len(errors) == 1
    assert errors[0].startswith("config.toml: job[0]") and words in errors[0] and "\n" not in errors[0]


def test_two_jobs_of_one_name_are_refused() -> None:
    (error,) = check_config(SECTION * 2, "c").errors
    assert "the name is already taken" in error


def test_a_calendar_that_nobody_has_is_wrong_configuration(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "init")[0] == 0
    (home / "config.toml").write_text(SECTION + 'calendar = "MOON"\n')
    status, _, err = said(capsys, "schedule", "run", "one")
    assert status == 2 and err.count("\n") == 1
    assert 'calendar = "MOON": no exchange of that code is known' in err
