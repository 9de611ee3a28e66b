"""When a job is due, and what becomes of times that passed unattended. Pure: from a job, a moment and the market's hours.

Times of day are those of the job's zone. At a change of the clocks a job at a fixed time runs once: at the first moment after a
gap, at the first of two equal times; one that runs at intervals keeps them (as Debian's cron does).
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from engine.instruments import ALWAYS_OPEN
from engine.schedule_words import Job, JobHours, JobOutcome, MissedRule
from engine.trading_hours import FAR_FUTURE_NS, NS_PER_DAY, NS_PER_MINUTE, SessionLookup
from engine.units import NS_PER_SECOND, Nanoseconds

NEVER_NS = FAR_FUTURE_NS
ON_TIME_NS = 90 * NS_PER_SECOND  # the clock beats once a second; a busy start takes longer
MOST_COUNTED = 1_500  # more than a job of every minute has in a day
MOST_MADE_UP = 100
MOST_LOOKED_AT = 50_000
BESIDE_SESSION = re.compile(r"(open|close)(?:([+-])(\d{1,4})m)?")


class JobState(msgspec.Struct, frozen=True):
    """A job with its next time and its latest run; `run_id` is set while one is under way. `text` is what the run said."""

    job: Job
    next_due_ns: Nanoseconds
    paused: bool = False
    paused_by: str = ""
    run_id: str = ""
    due_ns: Nanoseconds = 0
    started_at_ns: Nanoseconds = 0
    ended_at_ns: Nanoseconds = 0
    outcome: JobOutcome | None = None
    text: str = ""
    run_count: int = 0
    failed_count: int = 0
    missed_count: int = 0


class Verdict(NamedTuple):
    """What to do about a job whose time has come: run it for `due_ns` (0: leave it out), having missed so many times."""

    due_ns: Nanoseconds
    missed: int
    next_due_ns: Nanoseconds


# ---- the next time ---------------------------------------------------------------------------------------------------------


def problem_of(job: Job) -> str:
    """What is wrong with when a job runs, in one line; empty where nothing is."""
    beside = BESIDE_SESSION.fullmatch(job.at)
    if beside is not None:
        return f'at = "{job.at}": needs a calendar with sessions, such as "XNYS"' if job.calendar == ALWAYS_OPEN else ""
    from cronsim import CronSim, CronSimError

    try:
        CronSim(job.at, datetime(2000, 1, 1, tzinfo=ZoneInfo("UTC")))
    except CronSimError as error:
        return (f'at = "{job.at}": {str(error).lower()}; a cron expression of five fields, such as "*/15 * * * *", '
                'or "open+5m", "close-10m"')
    return ""


def next_due_ns(job: Job, after_ns: Nanoseconds, sessions: SessionLookup) -> Nanoseconds:
    """The first time after a moment; `NEVER_NS` where there is none."""
    beside = BESIDE_SESSION.fullmatch(job.at)
    if beside is not None:
        return _beside_session_ns(job, beside, after_ns, sessions)
    from cronsim import CronSim

    times = CronSim(job.at, datetime.fromtimestamp(after_ns // NS_PER_SECOND, _zone(job.zone)))
    for _ in range(MOST_LOOKED_AT):
        moment = next(times, None)
        if moment is None:
            break
        at_ns = int(moment.timestamp()) * NS_PER_SECOND
        placed_ns = _placed_ns(job, at_ns, moment, sessions) if at_ns > after_ns else None
        if placed_ns is not None:
            return placed_ns
    return NEVER_NS


def _placed_ns(job: Job, at_ns: Nanoseconds, moment: datetime, sessions: SessionLookup) -> Nanoseconds | None:
    """The time as the job's hours have it: itself, the next open, or None where it is left out."""
    if job.hours is JobHours.ALWAYS:
        return at_ns
    if job.hours is JobHours.TRADING_DAYS:
        midnight = moment.replace(hour=0, minute=0, fold=0)
        first_ns = int(midnight.timestamp()) * NS_PER_SECOND
        following = datetime.fromordinal(midnight.toordinal() + 1).replace(tzinfo=midnight.tzinfo)
        return at_ns if sessions(job.calendar, first_ns).open_ns < int(following.timestamp()) * NS_PER_SECOND else None
    session = sessions(job.calendar, at_ns)
    if session.holds(at_ns):
        return at_ns
    return session.open_ns if job.hours is JobHours.OPEN else None


def _beside_session_ns(job: Job, beside: re.Match[str], after_ns: Nanoseconds, sessions: SessionLookup) -> Nanoseconds:
    side, sign, minutes = beside.groups(default="0")
    offset_ns = (-1 if sign == "-" else 1) * int(minutes) * NS_PER_MINUTE
    session = sessions(job.calendar, after_ns - offset_ns)
    if side == "open" and session.open_ns + offset_ns <= after_ns:
        session = sessions(job.calendar, session.close_ns)
    return (session.open_ns if side == "open" else session.close_ns) + offset_ns


@lru_cache(maxsize=16)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# ---- what is due -----------------------------------------------------------------------------------------------------------


def judge(known: JobState, now_ns: Nanoseconds, running_since_ns: Nanoseconds, sessions: SessionLookup) -> Verdict | None:
    """What to do about a job now; None where nothing is. A run that is under way, and a market that a job needs open, are
    waited for; `running_since_ns` is when this engine came up."""
    job = known.job
    if known.paused or known.run_id or now_ns < known.next_due_ns or _waits_for_session(job, now_ns, sessions):
        return None
    times = _times_until(job, known.next_due_ns, now_ns, sessions)
    following_ns = next_due_ns(job, now_ns, sessions)
    newest_ns = times[-1]
    on_time = now_ns - newest_ns <= ON_TIME_NS
    if job.missed is MissedRule.ALL and times[0] < running_since_ns and len(times) > 1:
        kept = times[-MOST_MADE_UP:]
        return Verdict(kept[0], len(times) - len(kept), kept[1] if len(kept) > 1 else following_ns)
    if on_time or job.missed is not MissedRule.SKIP:
        return Verdict(newest_ns, len(times) - 1, following_ns)
    return Verdict(0, len(times), following_ns)


def _waits_for_session(job: Job, now_ns: Nanoseconds, sessions: SessionLookup) -> bool:
    """A job that belongs into a session is not made up for outside of one."""
    return job.hours in (JobHours.SESSION, JobHours.OPEN) and not sessions(job.calendar, now_ns).holds(now_ns)


def _times_until(job: Job, first_ns: Nanoseconds, now_ns: Nanoseconds, sessions: SessionLookup) -> list[Nanoseconds]:
    """The times from the first to now, oldest first; of very many the oldest, and those of the last day."""
    times = _walk(job, first_ns, now_ns, sessions)
    if len(times) < MOST_COUNTED:
        return times
    last_day_ns = max(times[-1], now_ns - NS_PER_DAY)
    return times + _walk(job, next_due_ns(job, last_day_ns, sessions), now_ns, sessions)


def _walk(job: Job, first_ns: Nanoseconds, now_ns: Nanoseconds, sessions: SessionLookup) -> list[Nanoseconds]:
    times: list[Nanoseconds] = []
    at_ns = first_ns
    while at_ns <= now_ns and len(times) < MOST_COUNTED:
        times.append(at_ns)
        at_ns = next_due_ns(job, at_ns, sessions)
    return times
