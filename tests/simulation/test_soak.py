"""A short soak, over the end of summer time; `python -m tests.simulation.soak --days 31` lives through the month."""

from pathlib import Path
from typing import Any

import pytest

from engine.decide import schedule
from engine.live_drive import LiveDrive
from tests.simulation.soak import soak


@pytest.mark.slow
def test_days_of_disturbances_lose_no_job_and_leave_nothing_unguarded(tmp_path: Path) -> None:
    found = soak(2.6, 3, tmp_path)
    assert found.violations == ()
    assert found.fills > 20
    assert found.runs["hourly"] > 40
    disturbed = {"sleep", "full disk", "silent feed", "killed, row lost", "killed, row kept"} & set(found.faults)
    assert len(disturbed) >= 3
    assert found.bare_seconds <= 60


@pytest.mark.slow
def test_the_soak_finds_an_engine_that_forgets_its_beats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule that is not looked at loses jobs: the oracle says so."""
    beat = schedule.beat
    beats = iter(range(10**9))

    def sometimes(turn: Any) -> None:
        if next(beats) % 1_000 > 300:
            beat(turn)

    monkeypatch.setattr(schedule, "beat", sometimes)
    assert any("lost" in line or "made up" in line for line in soak(0.5, 3, tmp_path).violations)


@pytest.mark.slow
def test_the_soak_finds_an_engine_that_sleeps_over_its_venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not act on what it drains ends with other positions than the venue."""
    drain = LiveDrive._drain

    async def forgetful(self: LiveDrive) -> None:
        self._shell.venue.clear()
        await drain(self)

    monkeypatch.setattr(LiveDrive, "_drain", forgetful)
    assert soak(0.5, 3, tmp_path).violations
