"""What is looked at while an engine holds a home: room on the disk, before it is gone, and the accounts' locks."""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.config import Config
from engine.effects import Notify
from engine.health import DISK_FREE, TABLES_STOPPED
from engine.inputs import SetTradingState, TradingState
from engine.pulses import Pulses
from store.home import Home, open_home
from store.read import journal_rows
from tui.compose import open_engine
from tui.home_care import HomeCare
from tui.running_engine import FlagWatch


class Usage(NamedTuple):
    free: int


def none() -> None:
    """Nothing is kept."""


class Watched:
    """A home whose disk and clock the test moves."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch, keep: Callable[[], None] = none) -> None:
        self.free_mib, self.now = 5_000, 0.0
        self.told: list[Notify] = []
        self.pulses = Pulses()
        monkeypatch.setattr(shutil, "disk_usage", self.usage)
        self.view_failure = ""
        self.care = HomeCare(Home(path), self.pulses, keep, lambda: self.view_failure, self.told.append, lambda: self.now)

    def usage(self, _: Any) -> Usage:
        if self.free_mib < 0:
            raise OSError("the disk is gone")
        return Usage(self.free_mib << 20)

    def later(self, seconds: float, free_mib: int) -> list[str]:
        """What is told after so long, with so much room."""
        self.now, self.free_mib = self.now + seconds, free_mib
        self.told.clear()
        self.care()
        return [f"{one.level.value} {one.alert_id}" for one in self.told]


def test_a_disk_that_fills_up_is_told_once_while_there_still_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Watched(tmp_path, monkeypatch)
    assert disk.later(0, 5_000) == [] and disk.pulses.counts[DISK_FREE] == 5_000
    assert disk.later(1, 400) == [] and disk.pulses.counts[DISK_FREE] == 5_000, "once a minute is enough"
    assert disk.later(60, 499) == ["ERROR disk:space"] and "499 MiB free" in disk.told[0].text
    assert disk.later(60, 300) == [] and disk.later(60, 600) == [] and disk.later(60, 400) == []
    assert disk.later(60, -1) == []
    assert disk.later(60, 1_000) == [] and disk.later(60, 100) == ["ERROR disk:space"]


def test_tables_that_stand_still_are_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Watched(tmp_path, monkeypatch)
    assert disk.later(0, 5_000) == [] and TABLES_STOPPED not in disk.pulses.counts
    disk.view_failure = "views stopped before row 7: no such column"
    assert disk.later(60, 5_000) == ["ERROR tables:stopped"] and "row 7" in disk.told[0].text
    assert disk.later(60, 5_000) == [] and disk.pulses.counts[TABLES_STOPPED] == 1


def test_a_served_engine_says_that_its_tables_stand_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.home_care.LOOK_SECONDS", 0.0)
    home = open_home(tmp_path / "h")
    with open_engine(home, Config()) as running:
        with closing(sqlite3.connect(home.journal, timeout=10, isolation_level=None)) as other:
            other.execute("UPDATE views SET seq = 1")
        running.link.send_now(SetTradingState("h1", TradingState.HALTED, "", "a trial", "tester"))
        deadline = time.monotonic() + 30
        while TABLES_STOPPED not in running.engine.pulses.counts:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    with open_engine(home, Config()) as running:
        assert TABLES_STOPPED not in running.engine.pulses.counts


def test_locks_are_kept_every_hour_and_a_lost_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = tmp_path / "account.lock"
    lock.touch()
    disk = Watched(tmp_path, monkeypatch, lambda: os.utime(lock))
    os.utime(lock, (0, 0))
    assert disk.later(0, 5_000) == [] and lock.stat().st_mtime > 0
    lock.unlink()
    assert disk.later(60, 5_000) == []
    assert disk.later(3_600, 5_000) == ["ERROR account:lock"]
    assert disk.later(3_600, 5_000) == ["ERROR account:lock"], "as long as it is so"


def test_a_halt_flag_that_cannot_be_taken_down_is_obeyed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.running_engine.FLAG_SECONDS", 0.005)
    home, looks = open_home(tmp_path / "h"), list[int]()
    with open_engine(home, Config(), serve=False) as running:
        home.halt_flag.mkdir()
        watch = FlagWatch(home, running.link, lambda: looks.append(1))
        watch.start()
        deadline = time.monotonic() + 30
        while len(looks) < 40:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        watch.close()
        assert running.engine.latest().accounts[0].trading_state is TradingState.HALTED
    kinds = [row.kind for row in journal_rows(home.journal)]
    assert kinds.count("TradingStateChanged") == 1
    home.halt_flag.rmdir()


def test_a_flag_raised_again_after_one_that_a_person_removed_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both without content, as on a full disk, so that the second is like the first."""
    monkeypatch.setattr("tui.running_engine.FLAG_SECONDS", 0.005)
    home, looks = open_home(tmp_path / "h"), list[int]()

    def later(done: Callable[[], bool]) -> None:
        began, deadline = len(looks), time.monotonic() + 30
        while not done() or len(looks) < began + 5:
            assert time.monotonic() < deadline
            time.sleep(0.005)

    with open_engine(home, Config(), serve=False) as running:
        watch = FlagWatch(home, running.link, lambda: looks.append(1))
        home.halt_flag.mkdir()
        watch.start()
        later(lambda: running.engine.state.trading_state is TradingState.HALTED)
        home.halt_flag.rmdir()
        later(lambda: True)
        assert running.link.send_now(SetTradingState("r1", TradingState.ACTIVE, "", "looked", "tester")).accepted
        home.halt_flag.touch()
        later(lambda: not home.halt_flag.exists())
        watch.close()
        assert running.engine.state.trading_state is TradingState.HALTED
