"""The command line in process: words, exit statuses, one-line errors, what a fresh home answers."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tui.cli import run
from tui.command_line import COMMANDS
from tui.printing import Column, plain_lines
from tui.systemd import notify, watchdog_seconds
from tui.version import VERSION


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    return path


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("quarterdeck: ")
    return lines[0]


@pytest.mark.parametrize(("arguments", "words"), [
    (["zap"], "No such command 'zap'"),
    (["statu"], "Did you mean 'status'?"),
    (["status", "--jso"], "No such option: --jso"),
    (["buy"], "Missing argument 'SYMBOL'"),
    (["buy", "AAPL"], "give either a quantity or --risk"),
    (["buy", "AAPL", "1", "--risk", "1%"], "give either a quantity or --risk"),
    (["buy", "AAPL", "many"], "quantity many: must be a number above zero"),
    (["sell", "AAPL", "1", "--tif", "never"], "--tif never: must be one of day, gtc, ioc, fok"),
    (["buy", "AAPL", "1", "--trail", "far"], "--trail far: must be a number above zero"),
    (["protect", "AAPL"], "nothing to change"),
    (["protect", "AAPL", "--clear", "hope"], "--clear hope: must be one of stop"),
    (["protect", "--stop", "3"], "name the SYMBOL"),
    (["journal"], "Missing command"),
    (["replay"], "Missing argument 'FILE...'"),
    (["replay", "x.csv", "--speed", "-1"], "--speed -1"),
])
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], words: str, home: Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert words in one_error(capsys)
    assert not home.exists(), "a wrong command line must not create anything"


@pytest.mark.parametrize("command", [*COMMANDS, "journal", "config", "themes"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Usage: quarterdeck" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name}" in listed for name in COMMANDS)


def test_init_then_check_then_show(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init"]) == 0
    assert (home / "config.toml").stat().st_mode & 0o777 == 0o600
    assert home.stat().st_mode & 0o777 == 0o700
    assert run(["config", "check"]) == 0
    capsys.readouterr()
    assert run(["config", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["portfolio"][0]["name"] == "main"


def test_init_never_overwrites_silently(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["init"])
    (home / "config.toml").write_text("# mine\n")
    assert run(["init"]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["init", "--force"]) == 0
    assert (home / "config.toml.1").read_text() == "# mine\n"
    assert "settle_seconds" in (home / "config.toml").read_text()


def test_config_check_names_every_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[engine]\nsettle_secs = 3\n[app]\nthem = 1\n")
    assert run(["config", "check"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert 'did you mean "settle_seconds"?' in lines[1]


def test_home_may_stand_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = str(tmp_path / "elsewhere")
    for arguments in (["--home", chosen, "locate", "--json"], ["locate", "--json", "--home", chosen],
                      ["locate", f"--home={chosen}", "--json"]):
        assert run(arguments) == 0
        assert json.loads(capsys.readouterr().out)["home"] == chosen


def test_a_missing_home_is_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["positions"]) == 1
    assert "no such home" in one_error(capsys)


def test_a_defect_is_one_line_and_a_file(home: Path, monkeypatch: pytest.MonkeyPatch,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    from tui.commands import upkeep

    (home / "logs").mkdir(parents=True)
    monkeypatch.setattr(upkeep, "locate", lambda *_, **__: 1 / 0)
    assert run(["locate"]) == 1
    line = one_error(capsys)
    details = Path(line.rpartition(" ")[2])
    assert details.parent == home / "logs"
    assert "ZeroDivisionError" in details.read_text()


def test_doctor_on_a_fresh_and_on_a_broken_home(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["init"])
    capsys.readouterr()
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["well"] is True
    (home / "config.toml").write_text("[app]\nsecret_token = 'x'\n")
    home.chmod(0o755)
    assert run(["doctor", "--json"]) == 1
    found = {finding["subject"]: finding for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["configuration"]["verdict"] == "fail"
    assert found["home"]["verdict"] == "warn"
    assert "chmod 700" in found["home"]["remedy"]


def test_resume_asks_or_needs_yes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["resume"]) == 2
    assert "needs --yes" in one_error(capsys)


def test_tables_align_numbers_to_the_right_without_boxes() -> None:
    lines = plain_lines((Column("symbol"), Column("p&l", right=True)), [["AAPL", "\u22121.50"], ["X", "+100.00"]])
    assert lines == ["SYMBOL      P&L", "AAPL      -1.50", "X       +100.00"]


def test_console_script_runs(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tui.cli", "--version"], capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "QUARTERDECK_HOME": str(tmp_path / "h")})
    assert done.returncode == 0
    assert done.stdout == f"quarterdeck {metadata.version('quarterdeck')}\n"
    assert done.stdout == f"quarterdeck {VERSION}\n"


def test_the_program_gives_each_thread_its_turn_soon() -> None:
    code = "import sys, tui.cli; tui.cli.run = lambda _: print(sys.getswitchinterval()) or 0; tui.cli.main([])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert float(done.stdout) < float(subprocess.check_output(
        [sys.executable, "-c", "import sys; print(sys.getswitchinterval())"], timeout=60))


def test_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        assert notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert manager.recv(100) == b"READY=1"
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hung:
        hung.bind(str(tmp_path / "hung"))
        monkeypatch.setattr("tui.systemd.SEND_SECONDS", 0.05)
        for _ in range(100_000):
            if not notify("WATCHDOG=1", {"NOTIFY_SOCKET": str(tmp_path / "hung")}):
                break
        else:
            raise AssertionError("its queue has no end")
    assert not notify("READY=1", {})
    assert watchdog_seconds({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert watchdog_seconds({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert watchdog_seconds({}) is None
