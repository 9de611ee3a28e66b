"""What the engine records of its schedule."""

from engine.event_base import Event
from engine.schedule_words import Job, JobOutcome
from engine.units import Nanoseconds


class JobPlanned(Event, frozen=True, omit_defaults=True):
    """A job of the configuration is new or has changed; this is its next time."""

    job: Job
    next_due_ns: Nanoseconds


class JobDropped(Event, frozen=True, omit_defaults=True):
    """A job is no longer in the configuration."""

    job_id: str


class JobStarted(Event, frozen=True, omit_defaults=True):
    """A run begins. In the same row its next time is set, so that no other run can ever be for `due_ns`.

    `missed` counts the times that this run stands for, or that are left out; `due_ns` is 0 where a person asked for the run.
    """

    job_id: str
    run_id: str
    portfolio: str
    due_ns: Nanoseconds
    next_due_ns: Nanoseconds
    missed: int = 0
    by: str = "schedule"
    command_id: str = ""


class JobFinished(Event, frozen=True, omit_defaults=True):
    """A run has ended, `duration_ms` after it began."""

    job_id: str
    run_id: str
    portfolio: str
    outcome: JobOutcome
    text: str
    duration_ms: int


class JobMissed(Event, frozen=True, omit_defaults=True):
    """Times passed unattended and are left out, as the job's rule says."""

    job_id: str
    count: int
    next_due_ns: Nanoseconds


class JobPaused(Event, frozen=True, omit_defaults=True):
    """A job waits, or goes on with its next time."""

    job_id: str
    paused: bool
    next_due_ns: Nanoseconds
    by: str
    command_id: str = ""
