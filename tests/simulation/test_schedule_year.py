"""A simulated year of the schedule for a few seeds; `python -m tests.simulation.schedule_year SEED ...` runs others."""

import pytest

from engine.decide import schedule
from engine.schedule import JobState, Verdict, judge
from engine.trading_hours import SessionLookup
from tests.simulation.schedule_year import JOBS, expected, simulate


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_year_loses_no_job_and_runs_none_twice(seed: int) -> None:
    outcome = simulate(seed)
    assert outcome.violations == ()
    assert {"crash before the disk", "crash after it", "sleep", "pause", "resume"} <= set(outcome.faults)
    assert all(outcome.runs[job.job_id] > 40 for job in JOBS)


def test_the_oracle_knows_the_year() -> None:
    # nyse.com: 251 trading days in 2026, two half days; a session of 13 half hours, 7 on a half day
    times = expected()
    assert len(times["daily"]) == len(times["flat"]) == 251
    assert len(times["loop"]) == 249 * 13 + 2 * 7
    assert len(times["gap"]) == len(times["double"]) == 365


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["runs again", "forgets one"])
def test_the_year_finds_a_schedule_that_is_wrong(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def judged(known: JobState, now_ns: int, running_since_ns: int, sessions: SessionLookup) -> Verdict | None:
        found = judge(known, now_ns, running_since_ns, sessions)
        if found is None or known.job.job_id != "daily" or known.run_count % 50 != 7:
            return found
        return found._replace(next_due_ns=found.due_ns) if wrong == "runs again" else found._replace(missed=found.missed + 1)

    monkeypatch.setattr(schedule, "judge", judged)
    assert simulate(1).violations
