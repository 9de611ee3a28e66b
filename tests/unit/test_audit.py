"""The audit trail says who did what; whoever gets it can prove it, and what was changed or left out shows."""

import asyncio
import csv
import hashlib
import json
import struct
from pathlib import Path

import pytest

from engine.access_events import AccessDenied
from engine.events import KINDS, Armed, Event, LimitChanged, TradingStateChanged, encode
from engine.inputs import TradingState
from engine.ports import JournalRow
from engine.strategy_events import StrategySwitched
from store.archive import archive
from store.audit import COLUMNS, TRAIL
from store.home import Home
from store.journal import SqliteJournal
from tests.unit.lived_homes import DAY_NS, FIRST_NS, lived_home
from tui.cli import run

ACTS: list[Event] = [
    LimitChanged("main", "max_heat_fraction", "0.06", "0.04", "anna"),
    Armed("live", FIRST_NS, "bert", "d1"),
    TradingStateChanged("", TradingState.HALTED, "=cmd|' /C calc'!A0", "panic command"),
    StrategySwitched("trend", enabled=False, reason="slow", by="carla"),
    AccessDenied("attach", "approve", "wrong code", 2, 0),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    found = lived_home(tmp_path / "h")
    journal = SqliteJournal(found.journal, inline=True)
    for seq, event in enumerate(ACTS, start=34):
        kind, version, payload = encode(event)
        journal.append([JournalRow(seq, FIRST_NS + 7 * DAY_NS, kind, version, payload)])
        asyncio.run(journal.wait_durable())
    journal.close()
    return found


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def records(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_trail_says_who_did_what(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "audit", "export", str(tmp_path / "a.csv"))[0] == 0
    found = records(tmp_path / "a.csv")
    assert tuple(found[0]) == COLUMNS
    assert [(row["who"], row["what"], row["subject"]) for row in found[-5:]] == [
        ("anna", "limit changed", "main"), ("bert", "armed", "live"), ("panic command", "trading state", ""),
        ("carla", "strategy switched", "trend"), ("attach", "unlock refused", "approve")]
    assert "max_heat_fraction" in found[-5]["detail"] and "after 0.04" in found[-5]["detail"]
    assert "enabled no" in found[-2]["detail"]
    order = next(row for row in found if row["kind"] == "OrderIntended")
    assert (order["time"], order["who"]) == ("2026-01-01T12:00:00.000+00:00", "manual")
    assert order["detail"].startswith("main entry BUY 0.0010 BTC/USD@paper")
    fill = next(row for row in found if row["kind"] == "OrderFilled")
    assert (fill["who"], fill["subject"]) == ("venue", "o0-entry")
    assert fill["detail"] == "main BUY 0.0010 BTC/USD@paper at 50000.00, trade t0"
    assert all(row["kind"] != "AlertRaised" for row in found)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_every_format_is_proved_alone_and_against_the_journal(
        home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    archive(home, FIRST_NS + 3 * DAY_NS)
    target = str(tmp_path / f"a.{form}")
    assert said(capsys, "audit", "export", target, "--from", "2026-01-02", "--to", "2026-01-08", "--format", form)[0] == 0
    status, out, err = said(capsys, "audit", "verify", target, "--json")
    assert status == 0, err
    assert json.loads(out)["rows"] == 25
    status, out, err = said(capsys, "audit", "verify", target, "--against", str(home.journal))
    assert status == 0, err
    assert "nothing is left out" in out


def test_the_written_down_procedure_proves_it_without_this_program(
        home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that docs/audit.md gives to a third party."""
    assert said(capsys, "audit", "export", str(tmp_path / "a.csv"))[0] == 0
    proof = json.loads((tmp_path / "a.csv.proof.json").read_text())
    assert hashlib.sha256((tmp_path / "a.csv").read_bytes()).hexdigest() == proof["file_sha256"]
    known = dict(map(tuple, proof["chain"]))
    for row in records(tmp_path / "a.csv"):
        kind, payload = row["kind"].encode(), row["payload"].encode()
        fixed = struct.pack(">qqqII", int(row["seq"]), int(row["at_ns"]), int(row["version"]), len(kind), len(payload))
        assert hashlib.sha256(bytes.fromhex(row["prev_hash"]) + fixed + kind + payload).hexdigest() == row["hash"]
        assert known[int(row["seq"])] == row["hash"]


def test_what_was_changed_or_left_out_shows(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, proof = tmp_path / "a.csv", tmp_path / "a.csv.proof.json"
    assert said(capsys, "audit", "export", str(target))[0] == 0
    text, told = target.read_text(), json.loads(proof.read_text())

    def forged(changed: str, rows: int | None = None) -> tuple[int, str]:
        target.write_text(changed)
        sha = hashlib.sha256(target.read_bytes()).hexdigest()
        proof.write_text(json.dumps(told | {"file_sha256": sha, "rows": rows or told["rows"]}))
        status, _, err = said(capsys, "audit", "verify", str(target), "--against", str(home.journal))
        return status, err

    target.write_text(text.replace("anna", "hans"))
    assert "is not the file that the proof was made of" in said(capsys, "audit", "verify", str(target))[2]
    status, err = forged(text.replace("anna", "hans"))
    assert status == 1 and "row 34 does not match its hash" in err
    lines = text.splitlines(keepends=True)
    without = "".join(line for line in lines if not line.startswith("35,"))
    status, err = forged(without, rows=told["rows"] - 1)
    assert status == 1 and "row 35 (armed) is left out" in err
    proof.unlink()
    status, _, err = said(capsys, "audit", "verify", str(target))
    assert status == 1 and "the proof cannot be read" in err and err.count("\n") == 1


def test_a_cell_that_a_spreadsheet_would_run_is_defused(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "audit", "export", str(tmp_path / "a.csv"))[0] == 0
    for row in records(tmp_path / "a.csv"):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row.values())


def test_wrong_usage_is_one_line(home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "there.csv").write_text("mine")
    for arguments in (["a.txt"], ["a.csv", "--format", "jsonl"], [str(tmp_path / "there.csv")], ["a.csv", "--from", "soon"]):
        status, out, err = said(capsys, "audit", "export", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), arguments
    assert said(capsys, "audit", "verify", str(tmp_path / "there.csv"))[0] == 1
    for nameless in ("", "/"):
        status, out, err = said(capsys, "audit", "verify", nameless)
        assert (status, out, err.count("\n"), "the proof cannot be read" in err) == (1, "", 1, True), nameless


def test_every_kind_of_the_trail_is_one_that_the_engine_records() -> None:
    assert set(TRAIL) <= set(KINDS)
