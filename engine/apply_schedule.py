"""Events of the schedule folded into the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.event_base import Event
from engine.schedule import JobState
from engine.schedule_events import JobDropped, JobFinished, JobMissed, JobPaused, JobPlanned, JobStarted
from engine.schedule_words import JobOutcome

replace = msgspec.structs.replace
type Jobs = dict[str, JobState]
type Fold = Callable[[Jobs, Any, int], Jobs]


def _planned(jobs: Jobs, event: JobPlanned, _: int) -> Jobs:
    known = jobs.get(event.job.job_id)
    after = replace(known, job=event.job, next_due_ns=event.next_due_ns) if known else JobState(event.job, event.next_due_ns)
    return {**jobs, event.job.job_id: after}


def _dropped(jobs: Jobs, event: JobDropped, _: int) -> Jobs:
    return {job_id: known for job_id, known in jobs.items() if job_id != event.job_id}


def _started(jobs: Jobs, event: JobStarted, at_ns: int) -> Jobs:
    return _changed(jobs, event.job_id, lambda known: replace(
        known, next_due_ns=event.next_due_ns, run_id=event.run_id, due_ns=event.due_ns, started_at_ns=at_ns,
        run_count=known.run_count + 1, missed_count=known.missed_count + event.missed))


def _finished(jobs: Jobs, event: JobFinished, at_ns: int) -> Jobs:
    return _changed(jobs, event.job_id, lambda known: replace(
        known, run_id="", outcome=event.outcome, text=event.text, ended_at_ns=at_ns,
        failed_count=known.failed_count + (event.outcome is not JobOutcome.DONE)))


def _missed(jobs: Jobs, event: JobMissed, _: int) -> Jobs:
    return _changed(jobs, event.job_id, lambda known: replace(
        known, next_due_ns=event.next_due_ns, missed_count=known.missed_count + event.count))


def _paused(jobs: Jobs, event: JobPaused, _: int) -> Jobs:
    return _changed(jobs, event.job_id, lambda known: replace(
        known, paused=event.paused, paused_by=event.by if event.paused else "", next_due_ns=event.next_due_ns))


def _changed(jobs: Jobs, job_id: str, change: Callable[[JobState], JobState]) -> Jobs:
    known = jobs.get(job_id)
    return jobs if known is None else {**jobs, job_id: change(known)}


FOLDS: dict[type[Event], Fold] = {
    JobPlanned: _planned, JobDropped: _dropped, JobStarted: _started, JobFinished: _finished, JobMissed: _missed,
    JobPaused: _paused,
}
