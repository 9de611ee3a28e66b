"""The command line against real engines: none running, one unattended, one that hangs, one killed.

Real processes, the real paper venue, the simulated market (coins, which trade day and night).
"""

import errno
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.home import Home
from tui.cli import run

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 60.0
BUY = ["buy", "BTC/USD", "0.05", "--stop", "1000", "--take-profit", "9000000"]


class Headless:
    """An unattended engine in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tui.cli", "--home", str(home), "run", "--headless"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def headless(home: Path) -> Iterator[Headless]:
    engine = Headless(home)
    yield engine
    if engine.process.poll() is None:
        os.kill(engine.process.pid, signal.SIGCONT)
        engine.process.kill()
    engine.process.communicate()


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, object]:
    """Exit status and JSON of one command in this process."""
    capsys.readouterr()
    status = run([*arguments, "--json"])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


def until(capsys: pytest.CaptureFixture[str], words: str, *arguments: str) -> object:
    """The JSON of a query once it holds `words`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        _, found = answer(capsys, *arguments)
        if words in json.dumps(found):
            return found
        assert time.monotonic() < deadline, f"{words} never came: {found}"


def test_without_an_engine_a_short_one_trades_and_the_journal_answers(
        home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, "positions") == (0, [])
    status, sent = answer(capsys, *BUY)
    assert status == 0
    assert isinstance(sent, dict)
    assert {order["purpose"] for order in sent["orders"]} == {"entry", "stop", "target"}
    _, ledger = answer(capsys, "protect")
    assert isinstance(ledger, list)
    assert (ledger[0]["stop_home"], ledger[0]["unprotected_now"]) == ("VENUE", False)
    assert answer(capsys, "journal", "verify")[0] == 0
    status, report = answer(capsys, "panic", "--yes")
    assert status == 0
    assert isinstance(report, dict)
    assert (report["flat"], report["open_orders_left"]) == (True, 0)
    assert answer(capsys, "positions") == (0, [])
    assert Home(home).holder_pid() is None
    status, _ = answer(capsys, *BUY)
    assert status == 1, "a panic's halt outlives the command"


def test_commands_alone_are_held_to_the_losses_of_the_day(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No engine goes on between them that would begin a day: each command begins it, or looks at what was lost since."""
    assert answer(capsys, "risk", "set", "max_day_loss_fraction", "0.00001")[0] == 0
    assert answer(capsys, *BUY)[0] == 0
    assert answer(capsys, "close", "BTC/USD")[0] == 0, "the spread and the fees are lost"
    assert run(["buy", "ETH/USD", "0.5", "--stop", "10"]) == 1
    assert "main is HALTED" in capsys.readouterr().err, "many times the limit were lost"
    _, alerts = answer(capsys, "alerts")
    assert isinstance(alerts, list)
    assert any("of a day" in alert["text"] or "day loss" in alert["subject"] for alert in alerts), alerts
    _, status = answer(capsys, "status")
    assert isinstance(status, dict)
    assert float(status["accounts"][0]["day_pnl"]) < 0


def test_the_only_portfolio_need_not_be_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.toml").write_text('[[portfolio]]\nname = "coins"\n', encoding="utf-8")
    assert run(BUY) == 0
    assert run(["protect", "BTC/USD", "--stop", "2000"]) == 0
    assert run(["risk", "set", "max_heat_fraction", "0.05"]) == 0
    assert run(["close", "BTC/USD"]) == 0
    assert "BTC/USD: flat" in capsys.readouterr().out


def test_of_several_portfolios_one_is_named_or_main_is_meant(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    several = ('[[account]]\n[[account]]\nname = "second"\n'
               '[[portfolio]]\nname = "{}"\n[[portfolio]]\nname = "b"\naccount = "second"\n')
    (home / "config.toml").write_text(several.format("a"), encoding="utf-8")
    assert run([*BUY, "--what-if"]) == 2
    assert "there are several portfolios: a, b; name one with --portfolio" in capsys.readouterr().err
    (home / "config.toml").write_text(several.format("main"), encoding="utf-8")
    assert run([*BUY, "--what-if"]) == 0
    assert "portfolio main" in capsys.readouterr().out


def test_what_only_an_engine_would_do_is_told_where_none_goes_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(BUY) == 0
    assert capsys.readouterr().err == "", "stop and target rest at the venue"
    assert run(["protect", "BTC/USD", "--trail", "2%", "--max-hold", "2h"]) == 0
    assert "nobody looks at BTC/USD: trail, longest hold;" in capsys.readouterr().err
    assert run(["alert", "add", "day pnl < -2%", "--do", "halt"]) == 0
    assert "1 alert rule;" in capsys.readouterr().err
    assert run(["alert", "list"]) == 0
    assert "no engine runs" in capsys.readouterr().err


def test_an_order_over_time_is_not_begun_where_no_engine_would_go_on_with_it(
        home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["buy", "ETH/USD", "0.5", "--trail", "3%", "--over", "2m"]) == 3
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no engine runs, and an order over time needs one until it is done" in told
    assert answer(capsys, "positions") == (0, [])
    assert run(["buy", "ETH/USD", "0.5", "--trail", "3%", "--over", "2m", "--what-if"]) == 0
    assert "120 s, twap" in capsys.readouterr().out


def test_nor_is_one_approved_there(headless: Headless, capsys: pytest.CaptureFixture[str]) -> None:
    """It was asked for while an engine ran, and the answer comes when none does any more."""
    status, sent = answer(capsys, "buy", "ETH/USD", "0.5", "--trail", "3%", "--over", "2m", "--propose")
    assert status == 0 and isinstance(sent, dict), sent
    headless.end(signal.SIGTERM)
    assert run(["approve", sent["receipt"]["proposal_id"], "--yes"]) == 3
    assert "no engine runs, and an order over time needs one" in capsys.readouterr().err


def test_a_running_engine_answers_through_its_socket(
        headless: Headless, capsys: pytest.CaptureFixture[str]) -> None:
    assert "PAPER ready" in headless.ready_line
    _, status = answer(capsys, "status")
    assert isinstance(status, dict)
    assert status["pid"] == headless.process.pid
    assert run(["run", "--headless"]) == 1
    assert "another engine" in capsys.readouterr().err
    code, shown = answer(capsys, *BUY, "--what-if")
    assert code == 0
    assert isinstance(shown, dict)
    assert shown["passed"] is True
    assert answer(capsys, "positions") == (0, []), "what-if sends nothing"
    assert answer(capsys, *BUY)[0] == 0
    assert answer(capsys, "protect", "BTC/USD", "--stop", "2000")[0] == 0
    until(capsys, "2000.00", "protect")
    status, closed = answer(capsys, "close", "BTC/USD", "0.02")
    assert isinstance(closed, dict)
    assert (status, float(closed["quantity_left"])) == (0, 0.03)
    assert answer(capsys, "halt")[0] == 0
    assert answer(capsys, "buy", "ETH/USD", "1", "--stop", "10")[0] == 1
    assert answer(capsys, "resume", "--yes")[0] == 0
    assert run(["panic"]) == 1
    assert "needs --yes" in capsys.readouterr().err
    assert answer(capsys, "panic", "--yes")[0] == 0
    assert headless.end(signal.SIGTERM) == 0
    assert not Home(headless.home).socket.exists()


def test_commands_reach_a_running_engine_on_a_disk_that_takes_no_writes(
        headless: Headless, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, or one that the system made read-only after an error: closing and halting is the engine's business."""
    assert answer(capsys, *BUY)[0] == 0
    monkeypatch.setattr("store.home.open_home.__kwdefaults__", {"for_writing": True, "min_free_bytes": 1 << 60})
    opened = os.open

    def read_only(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT) and str(path).startswith(str(headless.home)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", read_only)
    _, status = answer(capsys, "status")
    assert isinstance(status, dict) and status["pid"] == headless.process.pid
    assert answer(capsys, "close", "BTC/USD")[0] == 0
    assert answer(capsys, "halt")[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")
def test_an_engine_whose_output_goes_nowhere_runs_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "tui.cli", "--home", str(home), "run", "--headless"]
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(command, stdout=full, stderr=full)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not Home(home).socket.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    _, status = answer(capsys, "status")
    assert isinstance(status, dict) and status["pid"] == process.pid
    assert answer(capsys, *BUY)[0] == 0
    process.send_signal(signal.SIGTERM)
    process.wait(DEADLINE_SECONDS)


def test_a_decision_is_approved_once_and_only_as_shown(
        headless: Headless, capsys: pytest.CaptureFixture[str]) -> None:
    status, sent = answer(capsys, *BUY, "--propose")
    assert status == 0
    assert isinstance(sent, dict)
    decision = sent["receipt"]["proposal_id"]
    assert answer(capsys, "approve", decision, "--digest", "0" * 16)[0] == 1
    status, done = answer(capsys, "approve", decision, "--yes")
    assert status == 0, done
    until(capsys, "BTC/USD", "positions")
    assert answer(capsys, "approve", decision, "--yes")[0] == 1


def test_panic_flattens_the_venue_while_the_engine_hangs_and_it_obeys_on_waking(
        headless: Headless, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *BUY)[0] == 0
    os.kill(headless.process.pid, signal.SIGSTOP)
    _, stopped = os.waitpid(headless.process.pid, os.WUNTRACED)  # the signal only asks: wait until it stands still
    assert os.WIFSTOPPED(stopped)
    assert run(["status"]) == 3
    status, report = answer(capsys, "panic", "--yes")
    assert status == 0
    assert isinstance(report, dict)
    assert report["flat"] is True
    assert Home(headless.home).halt_flag.exists()
    os.kill(headless.process.pid, signal.SIGCONT)
    until(capsys, '"HALTED"', "status")
    deadline = time.monotonic() + DEADLINE_SECONDS
    while answer(capsys, "positions") != (0, []):
        assert time.monotonic() < deadline, "the woken engine never found out that it is flat"
    while Home(headless.home).halt_flag.exists():
        assert time.monotonic() < deadline, "the flag stays raised"
    assert headless.end(signal.SIGTERM) == 0


def test_a_killed_engine_comes_back_with_its_position_protected(
        headless: Headless, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *BUY)[0] == 0
    headless.end(signal.SIGKILL)
    _, ledger = answer(capsys, "protect")
    assert isinstance(ledger, list)
    assert ledger[0]["stop_home"] == "VENUE"
    again = Headless(home)
    found = until(capsys, "VENUE", "protect")
    assert isinstance(found, list)
    assert len(found) == 1
    assert found[0]["unprotected_now"] is False
    assert again.end(signal.SIGINT) == 0
    assert answer(capsys, "journal", "verify")[0] == 0


def test_the_service_manager_hears_of_start_and_end(
        home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(DEADLINE_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        heard, fed = list[bytes](), threading.Event()

        def listen() -> None:
            while b"STOPPING=1" not in heard:
                heard.append(manager.recv(100))
                if b"WATCHDOG=1" in heard:
                    fed.set()

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()  # as a service manager does: one that does not read keeps nobody waiting, but hears less
        engine = Headless(home)
        assert fed.wait(DEADLINE_SECONDS)
        assert engine.end(signal.SIGTERM) == 0
        listening.join(DEADLINE_SECONDS)
    assert heard[:2] == [b"READY=1", b"WATCHDOG=1"]


def test_a_raised_flag_halts_the_next_engine(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from store.halt_flag import raise_halt
    from store.home import open_home

    raise_halt(open_home(home), "drill", "test", 1)
    assert answer(capsys, *BUY)[0] == 1
    _, status = answer(capsys, "status")
    assert isinstance(status, dict)
    assert (status["accounts"][0]["trading_state"], status["accounts"][0]["trading_state_cause"]) == ("HALTED", "drill")
    assert not Home(home).halt_flag.exists()


def test_a_damaged_journal_is_named_and_panic_still_works(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *BUY)[0] == 0
    damage_row(home / "journal.db", 5)
    for snapshot in (home / "snapshots").iterdir():
        snapshot.unlink()  # else a start reads only the rows after it
    for arguments in (["status"], ["journal", "verify"], BUY):
        assert run(arguments) == 1
        error = capsys.readouterr().err
        assert "row 5" in error, error
        assert len(error.splitlines()) == 1
    assert run(["doctor"]) == 1
    status, report = answer(capsys, "panic", "--yes")
    assert status == 0
    assert isinstance(report, dict)
    assert [line["lots_left"] for line in report["lines"]] == [0]
    assert Home(home).halt_flag.exists()


def test_a_wrong_configuration_does_not_keep_panic_from_the_venue(
        home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(capsys, *BUY)[0] == 0
    (home / "config.toml").write_text("[market]\nspeed = 3\n")
    assert answer(capsys, *BUY)[0] == 2
    status, report = answer(capsys, "panic", "--yes")
    assert status == 0
    assert isinstance(report, dict)
    assert report["flat"] is True


def damage_row(journal: Path, seq: int) -> None:
    """Change one byte of a row's payload, past the triggers that keep the journal append-only."""
    connection = sqlite3.connect(journal)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    (payload,) = connection.execute("SELECT payload FROM journal WHERE seq = ?", (seq,)).fetchone()
    connection.execute("UPDATE journal SET payload = ? WHERE seq = ?", (b"X" + payload[1:], seq))
    connection.commit()
    connection.close()


def test_a_bad_configuration_stops_the_engine_with_status_2(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.toml").write_text("[market]\nspeed = 3\n")
    assert run(["run", "--headless"]) == 2
    assert "market.speed: unknown key" in capsys.readouterr().err
