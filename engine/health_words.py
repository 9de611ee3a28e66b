"""The health of an engine, in words: who works, what waits, and what of it is a trouble."""

from enum import StrEnum

import msgspec


class WorkerView(msgspec.Struct, frozen=True):
    """A thread or task, how long it has been silent, and how long it may be (0: as long as it has nothing to do)."""

    name: str
    silent_seconds: float
    longest_seconds: float

    @property
    def overdue(self) -> bool:
        return 0 < self.longest_seconds < self.silent_seconds


class HealthView(msgspec.Struct, frozen=True):
    """`queues` are how many wait, by queue, `counts` what was done since the start, by name; `events` how many of each kind were
    recorded since then. `unwritable` says why the journal cannot be written, empty while it can."""

    journal_seq: int
    journal_lag_ms: float
    inputs_per_second: float
    queue_depth: int
    uptime_seconds: float
    replay_position: str
    replay_speed: str
    workers: tuple[WorkerView, ...] = ()
    queues: dict[str, int] = {}
    counts: dict[str, int] = {}
    events: dict[str, int] = {}
    defects: int = 0
    unwritable: str = ""


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class HealthLine(msgspec.Struct, frozen=True):
    """One thing looked at. `remedy` says what to do where it is not well."""

    verdict: Verdict
    subject: str
    found: str
    remedy: str = ""
