"""What stands before real money: rehearsed incidents, the record on paper, and the gates made of them."""

from enum import StrEnum

import msgspec

from engine.units import Nanoseconds


class Incident(StrEnum):
    """What can be rehearsed; `engine.rehearsal` plays each."""

    OUTAGE = "outage"
    GAP = "gap-through-stop"
    HALT = "halt"
    CLOCK_SKEW = "clock-skew"
    PARTIAL = "partial-then-cancel"
    LOST_ANSWER = "lost-answer"
    FULL_DISK = "full-disk"
    CRASH = "crash"
    STALE_FEED = "stale-feed"
    PANIC = "panic-under-load"


class Measure(msgspec.Struct, frozen=True):
    """One thing that was measured in a rehearsal, the bound it was held against, and whether it kept it; both as words."""

    name: str
    found: str
    bound: str
    met: bool


class Rehearsed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one rehearsed incident came to; it passed where every measure kept its bound.

    `safe_seconds` is from when the engine could act again until everything was protected or flat (None: never),
    `flat_seconds` from what had to end the positions until the venue held nothing (None: never, or not asked for).
    `unprotected_seconds` is what the venue held with no stop at the venue and no engine that could leave, cause included.
    """

    incident: Incident
    seed: int
    measures: tuple[Measure, ...]
    safe_seconds: float | None = None
    flat_seconds: float | None = None
    unprotected_seconds: float = 0.0
    drift_lots: int = 0
    duplicates: int = 0

    @property
    def passed(self) -> bool:
        return bool(self.measures) and all(measure.met for measure in self.measures)


class RecordRehearsal(msgspec.Struct, frozen=True, tag=True):
    """Keep what was rehearsed, and with which version."""

    command_id: str
    version: str
    found: tuple[Rehearsed, ...]
    by: str = "user"


class RehearsalState(msgspec.Struct, frozen=True):
    """The newest rehearsal of one incident."""

    version: str
    at_ns: Nanoseconds
    by: str
    passed: bool
    seed: int


class PaperRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done with paper money: the days on which a round trip ended, and how many did."""

    day_count: int = 0
    last_day: int = -1
    round_trips: int = 0


class GoLiveSettings(msgspec.Struct, frozen=True):
    """What real money asks for; see the `[golive]` section of the configuration."""

    rehearsal_days: float = 30.0
    paper_min_days: int = 20
    paper_min_round_trips: int = 20
    backup_hours: float = 48.0
    notices_days: float = 30.0


class GoLiveGate(msgspec.Struct, frozen=True):
    """One thing that real money asks for: what is needed, what was found, and what to do where that is not enough."""

    name: str
    met: bool
    needed: str
    found: str
    remedy: str = ""


class GoLiveView(msgspec.Struct, frozen=True):
    """The gates of one portfolio that the engine itself can tell; `live` where its account holds real money already."""

    portfolio: str
    live: bool
    gates: tuple[GoLiveGate, ...]
