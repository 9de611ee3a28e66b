"""The schedule by keyboard: what is due, what the last runs said, a run by hand, a pause."""

from typing import Any

import pytest

from engine.inputs import PauseJob, RunJob
from engine.service import JobView
from tests.tui.driving import Driver, driving
from tests.tui.views import NOW_NS, SECOND, snapshot


def job_view(job_id: str = "risk-monitor:main", **changes: Any) -> JobView:
    fields: dict[str, Any] = {
        "job_id": job_id, "kind": "risk_monitor", "portfolio": "main", "at": "*/15 * * * *", "zone": "UTC", "calendar": "24/7",
        "hours": "always", "missed": "skip", "paused": False, "paused_by": "", "next_due_ns": NOW_NS + 95 * SECOND,
        "due_in_seconds": 95.0, "running_since_ns": 0, "last_due_ns": NOW_NS - 805 * SECOND,
        "last_started_ns": NOW_NS - 805 * SECOND, "last_seconds": 0.0, "last_outcome": "done",
        "last_text": "heat 2.90% of 6.00%, drawdown 0.40%, 4 positions, ACTIVE", "run_count": 96, "failed_count": 0,
        "missed_count": 0}
    return JobView(**{**fields, **changes})


JOBS = (
    job_view(),
    job_view("rebalance", calendar="XNYS", hours="open", at="close-10m", due_in_seconds=7_500.0, running_since_ns=NOW_NS,
             next_due_ns=NOW_NS + 7_500 * SECOND),
    job_view("backup", kind="backup", portfolio="", at="10 0 * * *", missed="once", due_in_seconds=None, paused=True,
             paused_by="user", last_outcome="failed", last_text="no room [left] on the disk", missed_count=3, failed_count=1))
WITH_JOBS = snapshot(jobs=JOBS)


async def opened(driver: Driver) -> None:
    await driver.press("S")
    await driver.sees("Schedule", "risk-monitor:main")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_every_job_says_when_it_is_due_and_how_its_last_run_ended(size: tuple[int, int]) -> None:
    async with driving(WITH_JOBS, size=size) as driver:
        await opened(driver)
        await driver.sees("1:35", "2h 05m", "paused", "✓ done", "… running", "✗ failed", "heat 2.90% of 6.00%", "Run now")
        await driver.press("down", "down")
        await driver.sees("no room [left] on the disk", "rule: once; 3 so far, 1 failed", "by user")


async def test_the_countdown_follows_the_engine() -> None:
    async with driving(WITH_JOBS) as driver:
        await opened(driver)
        await driver.publish(snapshot(2, jobs=(job_view(due_in_seconds=12.0), *JOBS[1:])))
        await driver.sees("0:12")


async def test_a_job_is_run_and_paused_by_key() -> None:
    async with driving(WITH_JOBS) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.until(lambda: driver.sent(RunJob))
        assert driver.sent(RunJob)[0].job_id == "risk-monitor:main"
        await driver.press("p")
        await driver.until(lambda: driver.sent(PauseJob))
        await driver.press("down", "down", "p")
        await driver.until(lambda: len(driver.sent(PauseJob)) == 2)
        assert [(one.job_id, one.paused) for one in driver.sent(PauseJob)] == [("risk-monitor:main", True), ("backup", False)]
        await driver.press("escape")
        await driver.until(lambda: "risk-monitor" not in driver.text)


async def test_without_jobs_it_says_where_they_come_from() -> None:
    async with driving(snapshot()) as driver:
        await driver.press("S")
        await driver.sees("No jobs", "[[job]]")
        await driver.press("f5", "p")
        assert not driver.sent(RunJob) and not driver.sent(PauseJob)
