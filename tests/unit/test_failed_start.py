"""An engine that cannot start watches no stop: whoever is away from the screen is told, however often a service manager tries."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import load_config
from store.home import Home, open_home
from tests.unit.listening import Listener, listening
from tests.unit.test_cli_notify import said, store
from tests.unit.venue_homes import memory_keyring
from tui.compose import open_engine

CONFIG = """
[market]
always_open = true
[health]
port = 0
[[notify_route]]
name = "phone"
portfolios = ["main"]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    path = tmp_path / "h"
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    with memory_keyring():
        opened = open_home(path)
        with open_engine(opened, load_config(opened.config)):
            pass
        yield opened
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def service(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Listener]:
    with listening() as made:
        assert store(monkeypatch, capsys, "phone", f"json://127.0.0.1:{made.port}") == 0
        yield made


def damage(home: Home) -> None:
    with home.journal.open("r+b") as file:
        file.write(b"no database at all")
    for snapshot in home.snapshots.iterdir():
        snapshot.unlink()


def test_a_damaged_journal_is_told_and_not_again_at_each_try(
        home: Home, service: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    damage(home)
    status, _, err = said(capsys, "run", "--headless")
    assert status == 1 and err.count("\n") == 1
    assert service.told == [("PAPER CRIT the engine did not start", err.removeprefix("quarterdeck: ").strip() +
                             "; nothing watches what only the engine guards")]
    for _ in range(3):
        assert said(capsys, "run", "--headless")[0] == 1
    assert len(service.told) == 1
    for marker in (home.path.parent / "run").rglob("not-started-*"):
        os.utime(marker, (0, 0))
    assert said(capsys, "run", "--headless")[0] == 1
    assert len(service.told) == 2


def test_a_broken_configuration_is_told_by_the_routes_that_it_still_names(
        home: Home, service: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    home.config.write_text(CONFIG + "[engine]\nnonsense = 1\n")
    status, _, err = said(capsys, "run", "--headless")
    assert status == 2 and "nonsense" in err
    assert len(service.told) == 1 and "nonsense" in service.told[0][1]


def test_a_disk_without_room_is_told_though_nothing_can_be_recorded(
        home: Home, service: Listener, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.home.open_home.__kwdefaults__", {"for_writing": True, "min_free_bytes": 1 << 60})
    assert said(capsys, "run", "--headless")[0] == 1
    assert len(service.told) == 1 and "the disk is full" in service.told[0][1]


def test_a_second_engine_by_mistake_is_no_alarm(home: Home, service: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    with home.lock():
        assert said(capsys, "run", "--headless")[0] == 1
    assert service.told == []


def test_without_a_route_the_line_on_standard_error_is_all(
        home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.config.write_text("[health]\nport = 0\n")
    damage(home)
    status, _, err = said(capsys, "run", "--headless")
    assert status == 1 and err.count("\n") == 1
