"""The unit that systemd gets: what it says, that systemd takes it, and that its very command keeps what Type=notify promises."""

import json
import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.verify import verify
from tui.cli import run
from tui.commands.service import checked
from tui.logs import LOG_FILE, MEGABYTE, start_logs
from tui.service_unit import UnitPlan, plan_of, unit_text

DEADLINE_SECONDS = 60.0
QUIET_PORTS = "[health]\nport = 0\n"


def settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize("manager", ["user", "system"])
def test_the_unit_says_what_matters_and_systemd_takes_it(tmp_path: Path, manager: str) -> None:
    text = unit_text(plan_of(tmp_path / "h", "system" if manager == "system" else "user"))
    said = settings(text)
    assert (said["Type"], said["Restart"], said["RestartPreventExitStatus"]) == ("notify", "on-failure", "2")
    assert int(said["WatchdogSec"]) > 0 and int(said["TimeoutStopSec"]) > 30
    assert said["NoNewPrivileges"] == "yes"
    assert (said.get("ProtectSystem") == "strict") is (manager == "system")
    assert ("User" in said) is (manager == "system")
    if shutil.which("systemd-analyze"):
        assert checked(text, "system" if manager == "system" else "user") == []
        spoiled = checked(text.replace("Restart=on-failure", "Restart=perhaps"), "system" if manager == "system" else "user")
        assert spoiled and "perhaps" in spoiled[0]


def test_odd_paths_are_kept_from_meaning_anything() -> None:
    text = unit_text(UnitPlan("user", ("/opt/my program/quarterdeck",), Path('/home/a b/50% "q" $x'), "me"))
    assert settings(text)["ExecStart"] == (
        '"/opt/my program/quarterdeck" --home "/home/a b/50%% \\"q\\" $$x" run --headless')


def test_install_asks_keeps_what_was_there_and_does_nothing_twice(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    unit = tmp_path / "config" / "systemd" / "user" / "quarterdeck.service"
    assert run(["service", "install"]) == 2
    assert "say --yes" in capsys.readouterr().err
    assert not unit.exists()
    assert run(["service", "install", "--yes"]) == 0
    assert "daemon-reload" in capsys.readouterr().out
    assert str(tmp_path / "h") in unit.read_text()
    assert run(["service", "install", "--yes"]) == 0
    assert "there already" in capsys.readouterr().out
    unit.write_text("[Service]\nExecStart=/old\n")
    assert run(["service", "install", "--yes"]) == 0
    assert "-ExecStart=/old" in capsys.readouterr().out
    assert unit.with_name("quarterdeck.service.before").read_text() == "[Service]\nExecStart=/old\n"
    assert run(["service", "unit", "--user", "--system"]) == 2


class Manager:
    """The part of a service manager: it starts the unit's own command and hears what that says."""

    def __init__(self, home: Path, socket_path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(socket_path))
        self.socket.settimeout(DEADLINE_SECONDS)
        command = shlex.split(settings(unit_text(plan_of(home, "user")))["ExecStart"])
        environ = {**os.environ, "NOTIFY_SOCKET": str(socket_path), "WATCHDOG_USEC": "1000000"}
        inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as it starts a unit, also where these tests run under nohup
        try:
            self.process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        finally:
            signal.signal(signal.SIGHUP, inherited)

    def hear_until(self, word: str) -> list[str]:
        heard, ends = [""], time.monotonic() + DEADLINE_SECONDS
        while heard[-1] != word:
            assert time.monotonic() < ends, f"no {word} among {set(heard)}"
            heard.append(self.socket.recv(4096).decode())
        return heard[1:]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "h"
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(QUIET_PORTS)
    return path


@pytest.fixture
def manager(home: Path, tmp_path: Path) -> Iterator[Manager]:
    started = Manager(home, tmp_path / "n")
    yield started
    if started.process.poll() is None:
        started.process.kill()
    started.process.wait()
    started.socket.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_command_of_the_unit_tells_ready_watchdog_and_stopping(manager: Manager, home: Path, number: signal.Signals) -> None:
    assert manager.hear_until("READY=1") == ["READY=1"], "nothing is told before it is ready"
    assert set(manager.hear_until("WATCHDOG=1")) == {"WATCHDOG=1"}
    manager.process.send_signal(number)
    assert manager.hear_until("STOPPING=1")[-1] == "STOPPING=1"
    assert manager.process.wait(DEADLINE_SECONDS) == 0
    assert verify(home / "journal.db").sound
    lines = [json.loads(line) for line in (home / "logs" / LOG_FILE).read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] in ("started", "stopping")] == ["started", "stopping"]


@pytest.mark.slow
def test_an_engine_that_hangs_does_not_feed_the_watchdog(manager: Manager) -> None:
    manager.hear_until("WATCHDOG=1")
    os.kill(manager.process.pid, signal.SIGSTOP)
    os.waitpid(manager.process.pid, os.WUNTRACED)
    manager.socket.setblocking(False)
    try:
        while True:
            manager.socket.recv(4096)
    except BlockingIOError:
        pass
    manager.socket.settimeout(1.5)
    with pytest.raises(TimeoutError):
        manager.socket.recv(4096)
    os.kill(manager.process.pid, signal.SIGCONT)
    manager.socket.settimeout(DEADLINE_SECONDS)
    assert manager.hear_until("WATCHDOG=1")


@pytest.mark.slow
def test_logs_are_set_aside_at_their_size_and_only_so_many_kept(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    try:
        logger = start_logs(tmp_path, "info", 1, 2, to_stderr=False)
        for number in range(9):
            logger.info("filling", number=number, text="x" * (MEGABYTE // 2))
        for handler in root.handlers:
            handler.flush()
        kept = sorted(path.name for path in tmp_path.iterdir())
        assert kept == [LOG_FILE, f"{LOG_FILE}.1", f"{LOG_FILE}.2"]
        assert json.loads((tmp_path / LOG_FILE).read_text().splitlines()[-1])["number"] == 8
    finally:
        for handler in root.handlers:
            handler.close()
        root.handlers[:] = before
        root.setLevel(level)
        logging.raiseExceptions = raises
