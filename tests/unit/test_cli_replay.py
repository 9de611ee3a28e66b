"""Replays by the command line: reports, determinism, going on after a kill, and never in a paper account's home."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tui.cli import run

DEADLINE_SECONDS = 60.0
START = datetime(2024, 3, 1, tzinfo=UTC)


def price_at(minute: int) -> float:
    """A triangle wave: up 60, down 60, every two hours."""
    phase = minute % 120
    return 1000.0 + (phase if phase < 60 else 120 - phase)


def write_tape(path: Path, minutes: int) -> Path:
    lines = ["time,open,high,low,close,volume"]
    for minute in range(minutes):
        opened, closed = price_at(minute), price_at(minute + 1)
        stamp = (START + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines.append(f"{stamp},{opened:.2f},{max(opened, closed):.2f},{min(opened, closed):.2f},{closed:.2f},1000.000")
    path.write_text("\n".join(lines) + "\n")
    return path


def write_script(path: Path) -> Path:
    def order(at: str, **terms: object) -> str:
        return json.dumps({"at": at, "command": {"type": "PlaceOrder", "symbol": "GOLD/USD", "side": "BUY", **terms}})

    path.write_text("\n".join([
        order("+5m", quantity="2", stop="990", target="1050"),
        order("+2h", risk_percent="0.5", stop="960", max_hold_seconds=5400),
        order("+5h", quantity="1"),
    ]) + "\n")
    return path


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    return write_tape(tmp_path / "GOLD-USD_1m.csv", 600)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    return write_script(tmp_path / "orders.jsonl")


def report_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    capsys.readouterr()
    assert run([*arguments, "--headless", "--json"]) == 0, capsys.readouterr().err
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_two_replays_of_one_tape_share_their_last_hash(
        tape: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reports = [report_of(capsys, "--home", str(tmp_path / name), "replay", str(tape), "--script", str(script))
               for name in ("a", "b")]
    assert reports[0]["journal_hash"] == reports[1]["journal_hash"]
    assert (reports[0]["fills"], reports[0]["round_trips"], reports[0]["refused"]) == (4, 2, 1)
    assert reports[0]["longest_unprotected_seconds"] == 0
    assert run(["--home", str(tmp_path / "a"), "journal", "verify"]) == 0
    capsys.readouterr()
    assert run(["--home", str(tmp_path / "a"), "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mode"] == "REPLAY"


def test_money_adds_up(tape: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    report_of(capsys, "--home", str(tmp_path / "a"), "replay", str(tape), "--script", str(script), "--report", str(out),
              "--cash", "5000")
    (portfolio,) = json.loads(out.read_text())["portfolios"]
    assert float(portfolio["start_cash"]) == 5000
    assert float(portfolio["start_cash"]) + float(portfolio["realized"]) == pytest.approx(float(portfolio["cash"]))


def test_daily_bars_replay_too(script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Their quotes are a day old between two bars: that must be a limit that the journal takes back."""
    rows = (f"{START + timedelta(days=day):%Y-%m-%d},100,102,99,101,50000" for day in range(40))
    tape = tmp_path / "GOLD-USD_1d.csv"
    tape.write_text("\n".join(("time,open,high,low,close,volume", *rows)) + "\n")
    for _ in range(2):
        assert report_of(capsys, "--home", str(tmp_path / "daily"), "replay", str(tape))["journal_rows"]


@pytest.mark.slow
def test_a_killed_replay_goes_on_to_the_same_fills(
        tape: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "killed"
    command = [sys.executable, "-m", "tui.cli", "--home", str(home), "replay", str(tape), "--headless", "--script",
               str(script), "--speed", "9000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while "OrderFilled" not in _journal_text(home):
        assert process.poll() is None, "the replay ended before it could be killed"
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait(DEADLINE_SECONDS)
    went_on = report_of(capsys, "--home", str(home), "replay", str(tape), "--script", str(script), "--speed", "max")
    whole = report_of(capsys, "--home", str(tmp_path / "whole"), "replay", str(tape), "--script", str(script))
    for name in ("fills", "round_trips", "winners", "losers", "portfolios", "positions"):
        assert went_on[name] == whole[name], name


def _journal_text(home: Path) -> str:
    done = subprocess.run([sys.executable, "-m", "tui.cli", "--home", str(home), "journal", "export"],
                          capture_output=True, text=True, check=False, timeout=60, env={**os.environ})
    return done.stdout


def test_a_finished_replay_adds_no_fill(
        tape: Path, script: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--home", str(tmp_path / "a"), "replay", str(tape), "--script", str(script))
    first, again = report_of(capsys, *arguments), report_of(capsys, *arguments)
    assert first["fills"] == again["fills"]
    assert first["portfolios"] == again["portfolios"]
    archive = Path(str(first["home"])) / "research.db"
    with sqlite3.connect(archive) as connection:
        connection.execute("INSERT INTO asked VALUES ('r1', 'GOLD/USD', '{}', '')")
    connection.close()
    fresh = report_of(capsys, *arguments, "--fresh")
    assert fresh["journal_hash"] == first["journal_hash"]
    with sqlite3.connect(archive) as connection:
        assert connection.execute("SELECT count(*) FROM asked").fetchone() == (0,), "what research remembered is gone as well"
    connection.close()


def test_replays_keep_away_from_accounts_and_from_each_other(
        tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "paper"
    monkeypatch.setenv("QUARTERDECK_HOME", str(home))
    report = report_of(capsys, "replay", str(tape))
    assert str(report["home"]).startswith(str(home / "replays" / "GOLD-USD_1m-"))
    assert not (home / "journal.db").exists()
    (home / "journal.db").touch()
    assert run(["--home", str(home), "replay", str(tape), "--headless"]) == 2
    assert "no replay's" in capsys.readouterr().err
    other = write_tape(tmp_path / "SILVER-USD_1m.csv", 10)
    assert run(["--home", str(report["home"]), "replay", str(other), "--headless"]) == 2
    assert "other files" in capsys.readouterr().err


@pytest.mark.parametrize(("row", "words"), [
    ("2024-03-01T10:00:00Z,abc,1,1,1,1", ":602"),
    ("2024-03-01T10:00:00Z,5,4,6,5,1", ":602"),
])
def test_a_bad_row_is_refused_by_line_or_skipped(
        row: str, words: str, tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tape.open("a") as file:
        file.write(row + "\n")
    home = ["--home", str(tmp_path / "a")]
    assert run([*home, "replay", str(tape), "--headless"]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "602" in error, words
    assert run([*home, "replay", str(tape), "--inspect"]) == 1
    assert report_of(capsys, *home, "replay", str(tape), "--on-bad", "skip")["fills"] == 0


def test_wrong_terms_are_refused_before_anything_is_made(
        tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "a"
    for arguments, words in (
            (["replay", str(tmp_path / "none.csv"), "--headless"], "no such file"),
            (["replay", str(tape)], "there is no terminal"),
            (["replay", str(tape), "--headless", "--on-bad", "pray"], "--on-bad pray"),
            (["replay", str(tape), "--headless", "--speed", "fast"], "--speed fast")):
        assert run(["--home", str(home), *arguments]) == 2
        assert words in capsys.readouterr().err
    assert not home.exists()
