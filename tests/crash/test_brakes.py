"""Brakes across a real `kill -9` in mid-drawdown: restarted after midnight, on both sides of the changes to and from summer
time, an engine is latched exactly as it was, and a day begins once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.apply_risk import DAY_LOSS, DRAWDOWN, WEEK_LOSS
from engine.brakes import week_of
from engine.events import DayRolled, decode
from engine.units import NS_PER_SECOND
from store.home import open_home
from store.read import journal_rows
from store.verify import verify
from tui.folding import restored_state

ZONE = "America/New_York"
FALL = (9_950, 9_900, 9_850, 9_790, 9_740, 9_690, 9_640, 9_590, 9_540)
LATCHED = ("level", "cause", "baseline_minor", "at_ns")


def moment(text: str, fold: int = 0) -> int:
    """A wall time in New York, in nanoseconds; `fold` 1 is the second of two equal times."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE), fold=fold)
    return round(local.timestamp()) * NS_PER_SECOND


class Child:
    """The engine's process and its lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.first = self.heard()

    def heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the engine ended by itself"
        said: dict[str, Any] = json.loads(line)
        return said

    def say(self, **line: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def ask(self, **line: Any) -> dict[str, Any]:
        self.say(**line)
        return self.heard()


@contextmanager
def engine(home: Path, start_ns: int) -> Iterator[Child]:
    """A process that lives until it is killed, at the end of the block at the latest."""
    process = subprocess.Popen([sys.executable, "-m", "tests.crash.braked_engine", str(home), str(start_ns), ZONE],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        yield Child(process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def fallen(home: Path, start_ns: int, *, heard: int) -> dict[str, Any]:
    """Buy, fall, and be killed once so many of the falling prices were answered; what the disk says of the brakes then."""
    with engine(home, start_ns) as child:
        child.ask(quote=10_000)
        assert child.ask(buy=1_000)["refused"] == ""
        child.ask(quote=10_000)
        for price in FALL:
            child.say(quote=price)
        for _ in range(heard):
            child.heard()
    return on_disk(home)


def on_disk(home: Path) -> dict[str, Any]:
    portfolio = restored_state(open_home(home)).portfolios["main"]
    return {name: {key: getattr(brake, key) for key in LATCHED} for name, brake in portfolio.brakes.items()}


def latched(said: dict[str, Any]) -> dict[str, Any]:
    return {name: {key: brake[key] for key in LATCHED} for name, brake in said["brakes"].items()}


def days_begun(home: Path) -> list[int]:
    events = [decode(row.kind, row.payload) for row in journal_rows(open_home(home).journal, 1)]
    return [event.day for event in events if isinstance(event, DayRolled)]


def test_killed_in_mid_drawdown_and_started_again_the_same_day_it_is_latched_as_the_disk_says(tmp_path: Path) -> None:
    start_ns = moment("2025-03-07 15:00")
    for heard in (4, 8):
        home = tmp_path / str(heard)
        disk = fallen(home, start_ns, heard=heard)
        assert disk[DAY_LOSS]["level"] == "REDUCING"
        with engine(home, start_ns + 600 * NS_PER_SECOND) as child:
            assert latched(child.first) == disk
            assert child.first["trading_state"] == "REDUCING"
            assert child.ask(buy=1)["refused"] == "trading state"
        assert verify(open_home(home).journal).sound


@pytest.mark.parametrize(("killed", "started"), [
    (moment("2025-03-07 15:00"), moment("2025-03-08 00:00") + 30 * NS_PER_SECOND),   # the next midnight
    (moment("2025-03-08 23:30"), moment("2025-03-09 03:30")),                       # into summer time, which is three hours later
    (moment("2025-03-09 01:30"), moment("2025-03-10 00:00") + 30 * NS_PER_SECOND),   # a day of 23 hours
    (moment("2025-11-01 23:30"), moment("2025-11-02 01:30", fold=1)),               # out of it, the second 01:30
    (moment("2025-11-02 00:30"), moment("2025-11-03 00:00") + 30 * NS_PER_SECOND),   # a day of 25 hours
])
def test_after_midnight_and_across_summer_time_only_what_ended_with_its_day_is_let_go(
        killed: int, started: int, tmp_path: Path) -> None:
    disk = fallen(tmp_path, killed, heard=len(FALL))
    assert {name: brake["level"] for name, brake in disk.items()} == {
        DAY_LOSS: "REDUCING", WEEK_LOSS: "REDUCING", DRAWDOWN: "REDUCING"}
    with engine(tmp_path, started) as child:
        now = child.ask(quote=FALL[-1])
        assert now["lots"] == 1_000
        assert now["trading_state"] == "REDUCING"
        assert latched(now)[DRAWDOWN] == disk[DRAWDOWN]
        new_week = week_of(now["day"]) != week_of(now["day"] - 1)
        assert now["brakes"][DAY_LOSS]["level"] == "NONE"
        assert now["brakes"][WEEK_LOSS]["level"] == ("NONE" if new_week else "REDUCING")
        assert now["high_water_minor"] == disk[DRAWDOWN]["baseline_minor"]
        assert child.ask(buy=1)["refused"] == "trading state"
    days = days_begun(tmp_path)
    assert days == [days[0], days[0] + 1], "the new day began once"
    with engine(tmp_path, started + 60 * NS_PER_SECOND) as child:
        again = child.ask(quote=FALL[-1])
        assert latched(again)[DRAWDOWN] == disk[DRAWDOWN]
        assert again["trading_state"] == "REDUCING"
    assert days_begun(tmp_path) == days, "and not again at the next start"


def test_within_the_repeated_hour_no_day_begins_and_every_brake_stays(tmp_path: Path) -> None:
    disk = fallen(tmp_path, moment("2025-11-02 01:30"), heard=len(FALL))
    with engine(tmp_path, moment("2025-11-02 01:30", fold=1)) as child:
        now = child.ask(quote=FALL[-1])
        assert latched(now) == disk
    assert len(days_begun(tmp_path)) == 1
