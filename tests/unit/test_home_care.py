"""What is looked at while an engine holds a home: room on the disk, before it is gone, and the accounts' locks."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.effects import Notify
from engine.health import DISK_FREE
from engine.pulses import Pulses
from store.home import Home
from tui.home_care import HomeCare


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
        self.care = HomeCare(Home(path), self.pulses, keep, self.told.append, lambda: self.now)

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
