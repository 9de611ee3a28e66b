"""The schedule's vocabulary: what a job is, how it is told to run or to wait, and what a person sees of it."""

from enum import StrEnum

import msgspec

from engine.instruments import ALWAYS_OPEN
from engine.units import Nanoseconds


class JobKind(StrEnum):
    """What a job does. Each kind is either done by the core within one decision (`engine.decide.schedule.IN_CORE`) or by a runner
    that the composition root gives (`EngineParts.job_runners`)."""

    RISK_MONITOR = "risk_monitor"
    REBALANCE = "rebalance"
    BACKUP = "backup"
    AUTONOMOUS = "autonomous"
    DAILY_ANALYSIS = "daily_analysis"
    WEEKLY_ANALYSIS = "weekly_analysis"
    END_OF_DAY_ANALYSIS = "end_of_day_analysis"
    LEARNING = "learning"


class JobHours(StrEnum):
    """Which of the times of its cron a job keeps: every one; those on days on which its calendar has a session; those within a
    session; or every one, where those outside of a session wait for the open."""

    ALWAYS = "always"
    TRADING_DAYS = "trading_days"
    SESSION = "session"
    OPEN = "open"


class MissedRule(StrEnum):
    """What happens with times at which no engine ran, or a paused one: left out; made up for once, however many they were; or
    each made up for, where no engine ran (after a sleep or a step of the clock they are made up for once)."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class JobOutcome(StrEnum):
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Job(msgspec.Struct, frozen=True):
    """One job: what, for which portfolio (empty: none of its own), and when.

    `at` is a cron expression on the clock of `zone`, or `open+5m`, `close-10m`: minutes beside each session of `calendar`.
    """

    job_id: str
    kind: JobKind
    at: str
    portfolio: str = ""
    zone: str = "UTC"
    calendar: str = ALWAYS_OPEN
    hours: JobHours = JobHours.ALWAYS
    missed: MissedRule = MissedRule.ONCE


class RunJob(msgspec.Struct, frozen=True, tag=True):
    """Run a job now; its next time stays what it was."""

    command_id: str
    job_id: str
    by: str = "user"


class PauseJob(msgspec.Struct, frozen=True, tag=True):
    """Let a job wait; or, with `paused` false, let it go on with its next time, without what it missed."""

    command_id: str
    job_id: str
    paused: bool = True
    by: str = "user"


class JobEnded(msgspec.Struct, frozen=True, tag=True):
    """What became of a run that was done outside of the core."""

    job_id: str
    run_id: str
    outcome: JobOutcome
    text: str


class JobView(msgspec.Struct, frozen=True):
    """One job as a person sees it: when it is due next (0: never), what its last run did, and whether one is under way."""

    job_id: str
    kind: str
    portfolio: str
    at: str
    zone: str
    calendar: str
    hours: str
    missed: str
    paused: bool
    paused_by: str
    next_due_ns: Nanoseconds
    due_in_seconds: float | None
    running_since_ns: Nanoseconds
    last_due_ns: Nanoseconds
    last_started_ns: Nanoseconds
    last_seconds: float
    last_outcome: str
    last_text: str
    run_count: int
    failed_count: int
    missed_count: int
