"""A year of the schedule: the engine's own loop on a clock of its own, killed at any row, switched off, put to sleep, its jobs
paused; over both changes of the clocks, every holiday and half day.

What was due is told by an oracle that shares no line with the engine: it walks the whole year on the exchange's local clock,
with the sessions as the exchange_calendars library itself has them. Each of those times must be accounted for exactly once: by
a run for that very time, or by being counted as missed, and which of the two follows from what happened around it.

`python -m tests.simulation.schedule_year [SEED ...]` prints what a seed did.
"""

import bisect
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from brokers.calendars.library import sessions_of_year
from brokers.sessions import session_bounds
from engine.apply import apply
from engine.effects import Effect, PerformJob
from engine.events import Recorded, decode
from engine.inputs import EngineStarted, PauseJob, TimeAdvanced
from engine.loop import Loop
from engine.market import MarketView
from engine.ports import JournalRow
from engine.schedule_events import JobFinished, JobMissed, JobStarted
from engine.schedule_words import Job, JobEnded, JobHours, JobKind, JobOutcome, MissedRule
from engine.state import State, encode_state
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import ACCOUNT, COIN, NATIVE, settings_of

YEAR = 2026
MINUTE_NS = 60 * NS_PER_SECOND
NEW_YORK, LONDON = "America/New_York", "Europe/London"
DAY_MINUTES = 1_440
NO_TIME = 1 << 62
JOBS = (
    Job("hourly", JobKind.RISK_MONITOR, "0 * * * *", "main", missed=MissedRule.SKIP),
    Job("loop", JobKind.RISK_MONITOR, "*/30 * * * *", "main", calendar="XNYS", hours=JobHours.SESSION, missed=MissedRule.SKIP),
    Job("daily", JobKind.BACKUP, "45 9 * * *", zone=NEW_YORK, calendar="XNYS", hours=JobHours.TRADING_DAYS),
    Job("flat", JobKind.BACKUP, "close-10m", calendar="XNYS"),
    Job("gap", JobKind.BACKUP, "30 2 * * *", zone=NEW_YORK, missed=MissedRule.ALL),
    Job("double", JobKind.RISK_MONITOR, "30 1 * * *", "main", zone=NEW_YORK, missed=MissedRule.ALL),
    Job("london", JobKind.RISK_MONITOR, "15 8,12 * * *", "main", zone=LONDON, calendar="XLON", hours=JobHours.OPEN),
)


def instant(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * NS_PER_SECOND  # type: ignore[arg-type, misc]


START_NS, END_NS = instant(YEAR, 1, 1), instant(YEAR + 1, 1, 1)


WAITED: dict[int, int] = {}  # of a time that was waited for until the open: the newest of those that waited


# ---- the oracle ------------------------------------------------------------------------------------------------------------


@cache
def expected() -> dict[str, list[int]]:
    """Every time of the year at which each job is due, oldest first."""
    zone_ny, zone_london = ZoneInfo(NEW_YORK), ZoneInfo(LONDON)
    found: dict[str, set[int]] = {job.job_id: set() for job in JOBS}
    new_york = sessions_of_year("XNYS", YEAR)
    london = sorted(sessions_of_year("XLON", YEAR).values()) + sorted(sessions_of_year("XLON", YEAR + 1).values())
    trading = sorted(new_york.values())
    for at_ns in range(START_NS + 5 * MINUTE_NS, END_NS, 5 * MINUTE_NS):
        seconds = at_ns // NS_PER_SECOND
        there = datetime.fromtimestamp(seconds, zone_ny)
        clock = (there.hour, there.minute)
        if seconds % 3_600 == 0:
            found["hourly"].add(at_ns)
        if seconds % 1_800 == 0 and _inside(trading, at_ns):
            found["loop"].add(at_ns)
        if clock == (9, 45) and there.date() in new_york:
            found["daily"].add(at_ns)
        in_spring = there.date().isoformat() == "2026-03-08"
        if clock == ((3, 0) if in_spring else (2, 30)):
            found["gap"].add(at_ns)
        if clock == (1, 30) and there.fold == 0:
            found["double"].add(at_ns)
        city = datetime.fromtimestamp(seconds, zone_london)
        if (city.hour, city.minute) in ((8, 15), (12, 15)):
            place = bisect.bisect_right(london, (at_ns, NO_TIME))
            here = place > 0 and london[place - 1].close_ns > at_ns
            found["london"].add(at_ns if here else london[place].open_ns)
            if not here:
                WAITED[london[place].open_ns] = at_ns
    found["flat"] = {bounds.close_ns - 10 * MINUTE_NS for bounds in trading}
    return {job_id: sorted(times) for job_id, times in found.items()}


def _inside(sessions: Sequence[tuple[int, int]], at_ns: int) -> bool:
    place = bisect.bisect_right(sessions, (at_ns, NO_TIME))
    return place > 0 and at_ns < sessions[place - 1][1]


# ---- the year --------------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What a seed showed: violations (none is the aim), what happened to it, and how much ran."""

    seed: int
    violations: tuple[str, ...]
    faults: Counter[str]
    runs: Counter[str]
    rows: int


class Disk:
    """A journal of which nothing lasts before `commit`."""

    def __init__(self) -> None:
        self.durable: list[JournalRow] = []
        self._queued: list[JournalRow] = []

    def append(self, rows: Sequence[JournalRow]) -> None:
        self._queued += rows

    def commit(self, *, lost: bool = False) -> None:
        if not lost:
            self.durable += self._queued
        self._queued = []

    async def wait_durable(self) -> None:
        self.commit()

    async def retry(self) -> None:
        self.commit()


class Year:
    """One seed: a year in which the engine beats near every time that is due, unless something is in the way."""

    def __init__(self, seed: int) -> None:
        self.seed, self.random, self.clock_random = seed, Random(seed), Random(seed * 7_919 + 1)
        self.disk, self.faults = Disk(), Counter[str]()
        self.violations: list[str] = []
        self.attended: dict[str, set[int]] = {job.job_id: set() for job in JOBS}
        self.down: list[tuple[int, int]] = []
        self.pauses: dict[str, list[tuple[int, int, bool]]] = {job.job_id: [] for job in JOBS}
        self.answers: list[tuple[int, JobEnded]] = []
        self.loop = self._come_up(START_NS)

    def run(self) -> Outcome:
        times = sorted({at_ns for one in expected().values() for at_ns in one}
                       | {self.random.randrange(START_NS, END_NS) for _ in range(1_500)})
        now_ns = START_NS
        for due_ns in times:
            if due_ns < now_ns:
                continue
            now_ns = due_ns + self.random.randrange(20) * NS_PER_SECOND
            now_ns = self._live_through(due_ns, now_ns)
        self._check()
        runs = Counter(event.job_id for event in self._events(JobStarted))
        return Outcome(self.seed, tuple(self.violations), self.faults, runs, len(self.disk.durable))

    def _live_through(self, due_ns: int, now_ns: int) -> int:
        """One beat, or what comes in its way; the time afterwards."""
        chance = self.random.random()
        if chance < 0.006:
            self.faults["sleep"] += 1
            now_ns += self.random.choice((10, 45, 300, 1_200)) * MINUTE_NS
        self._deliver_answers(now_ns)
        free = [job_id for job_id, known in self.loop.state.jobs.items()
                if not known.paused and not known.run_id and known.next_due_ns == due_ns]
        effects = self.loop.take(now_ns, TimeAdvanced())
        if self.random.random() < 0.008:
            return self._crash(now_ns)
        self.disk.commit()
        if now_ns - due_ns <= 20 * NS_PER_SECOND:
            for job_id in free:
                self.attended[job_id].add(due_ns)
        self._perform(now_ns, effects)
        if self.clock_random.random() < 0.02:
            self._set_back(now_ns)
        if self.random.random() < 0.004:
            self._switch(now_ns)
        return now_ns

    def _set_back(self, now_ns: int) -> None:
        """The wall clock goes back by up to a day, and beats come from there until it is set right."""
        self.faults["clock set back"] += 1
        for hours in (self.clock_random.choice((1, 2, 24)), 1):
            self._perform(now_ns, self.loop.take(now_ns - hours * 3_600 * NS_PER_SECOND, TimeAdvanced()))
        self.disk.commit()

    def _come_up(self, at_ns: int) -> Loop:
        state = State()
        for row in self.disk.durable:
            state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
        loop = Loop(state, MarketView(sessions=session_bounds), self.disk, self._defect)
        self.answers = []
        effects = loop.take(at_ns, EngineStarted("y", "test", settings_of("main", jobs=JOBS), (COIN,), {ACCOUNT: NATIVE},
                                                 keeps_schedule=True))
        self.disk.commit()
        self._perform(at_ns, effects)
        return loop

    def _defect(self, _: object, error: Exception) -> None:
        self.violations.append(f"a decision failed: {error!r}")

    def _crash(self, now_ns: int) -> int:
        """Killed before or after its rows were on disk, and off for a while."""
        lost = self.random.random() < 0.5
        self.faults["crash before the disk" if lost else "crash after it"] += 1
        self.disk.commit(lost=lost)
        up_ns = now_ns + self.random.choice((2, 20, 600, 3 * 3_600, 20 * 3_600, 75 * 3_600)) * NS_PER_SECOND
        self.down.append((now_ns, up_ns))
        self.loop = self._come_up(up_ns)
        return up_ns

    def _perform(self, now_ns: int, effects: Sequence[Effect]) -> None:
        """The runner outside takes its time, and sometimes fails."""
        for effect in effects:
            if isinstance(effect, PerformJob):
                outcome = JobOutcome.FAILED if self.random.random() < 0.1 else JobOutcome.DONE
                done_ns = now_ns + self.random.choice((1, 60, 2_400, 100_000)) * NS_PER_SECOND
                self.answers.append((done_ns, JobEnded(effect.job.job_id, effect.run_id, outcome, "it ended")))

    def _deliver_answers(self, now_ns: int) -> None:
        for at_ns, answer in sorted(self.answers, key=lambda one: one[0]):
            if at_ns <= now_ns:
                self.answers.remove((at_ns, answer))
                self.loop.take(now_ns, answer)
        self.disk.commit()

    def _switch(self, now_ns: int) -> None:
        """A person pauses a job, or lets one go on; only jobs of which nothing is pending, so that the oracle can tell."""
        waiting = [job_id for job_id, known in self.loop.state.jobs.items() if known.paused]
        job_id = waiting[0] if waiting else self.random.choice([job.job_id for job in JOBS])
        known = self.loop.state.jobs[job_id]
        if not known.paused and (known.next_due_ns <= now_ns or known.run_id):
            return
        self.faults["resume" if known.paused else "pause"] += 1
        self.loop.take(now_ns, PauseJob(f"p{now_ns}", job_id, not known.paused))
        self.disk.commit()
        spans = self.pauses[job_id]
        if known.paused:
            spans[-1] = (spans[-1][0], now_ns, known.next_due_ns <= now_ns)
        else:
            spans.append((now_ns, NO_TIME, False))

    # ---- what must hold ----

    def _events[E](self, kind: type[E]) -> list[E]:
        found = (decode(row.kind, row.payload) for row in self.disk.durable if row.kind == kind.__name__)
        return [event for event in found if isinstance(event, kind)]

    def _check(self) -> None:
        state = State()
        for row in self.disk.durable:
            state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
        if encode_state(state) != encode_state(self.loop.state):
            self.violations.append("replaying the journal gives another state")
        ends = Counter(event.run_id for event in self._events(JobFinished))
        under_way = {known.run_id for known in state.jobs.values()}
        for start in self._events(JobStarted):
            if ends[start.run_id] != (start.run_id not in under_way):
                self.violations.append(f"{start.job_id}: run {start.run_id} ended {ends[start.run_id]} times")
        for job in JOBS:
            self._check_job(job, state.jobs[job.job_id].next_due_ns)

    def _check_job(self, job: Job, next_due_ns: int) -> None:
        """Every time that was due before the next one is accounted for once."""
        wanted = [at_ns for at_ns in expected()[job.job_id] if at_ns < next_due_ns and not self._paused(job, at_ns)]
        self.violations += unaccounted(job, self.disk.durable, wanted, self.attended[job.job_id], self.down)

    def _paused(self, job: Job, at_ns: int) -> bool:
        """Whether a time passed while its job was paused. One that waits for the open was planned before, unless the job lost its
        plan in that pause: then it passed when the newest that waits did."""
        passed_ns = WAITED.get(at_ns, at_ns) if job.hours is JobHours.OPEN else at_ns
        return any(first < at_ns <= last or (replanned and first < passed_ns <= last)
                   for first, last, replanned in self.pauses[job.job_id])


def unaccounted(job: Job, rows: Sequence[JournalRow], wanted: Sequence[int], attended: set[int],
                down: Sequence[tuple[int, int]]) -> list[str]:
    """What a journal says of a job, held against the times that were due: each is a run for that very time or one that was left
    out, none is both or twice, and none at which an engine was there is lost."""
    events = [(row.at_ns, decode(row.kind, row.payload)) for row in rows if row.kind in ("JobStarted", "JobMissed")]
    starts = [(at_ns, event) for at_ns, event in events if isinstance(event, JobStarted) and event.job_id == job.job_id]
    ran = [event.due_ns for _, event in starts]
    left_out = sum(event.count for _, event in events if isinstance(event, JobMissed) and event.job_id == job.job_id)
    left_out += sum(event.missed for _, event in starts)
    wrong: list[str] = []
    if len(set(ran)) != len(ran):
        wrong.append(f"{job.job_id}: ran twice for one time")
    if not set(ran) <= set(wanted):
        wrong.append(f"{job.job_id}: ran for times that it has not: {sorted(set(ran) - set(wanted))[:3]}")
    if len(ran) + left_out != len(wanted):
        wrong.append(f"{job.job_id}: {len(wanted)} times, {len(ran)} runs and {left_out} left out")
    if not attended <= set(ran):
        wrong.append(f"{job.job_id}: lost {sorted(attended - set(ran))[:3]} though the engine was there")
    return wrong + _against_rule(job, starts, wanted, down)


def _against_rule(job: Job, starts: Sequence[tuple[int, JobStarted]], wanted: Sequence[int],
                  down: Sequence[tuple[int, int]]) -> list[str]:
    wrong: list[str] = []
    if job.missed is MissedRule.SKIP:
        wrong += [f"{job.job_id}: made up for {start.due_ns}" for at_ns, start in starts
                  if at_ns - start.due_ns > 90 * NS_PER_SECOND]
    if job.missed is MissedRule.ONCE:
        before = 0
        for _, start in starts:
            between = bisect.bisect_left(wanted, start.due_ns) - bisect.bisect_right(wanted, before)
            if start.missed != between:
                wrong.append(f"{job.job_id}: says that it stands for {start.missed} times, it is {between}")
            before = start.due_ns
    if job.missed is MissedRule.ALL:
        ran = {start.due_ns for _, start in starts}
        wrong += [f"{job.job_id}: lost {at_ns}, when no engine ran" for at_ns in wanted
                  if at_ns not in ran and any(first < at_ns < last for first, last in down)]
    return wrong


def simulate(seed: int) -> Outcome:
    """Run one seed; the same seed always does the same."""
    return Year(seed).run()


if __name__ == "__main__":
    for given in sys.argv[1:] or ["1"]:
        shown = simulate(int(given))
        print(f"seed {shown.seed}: {shown.rows} rows, runs {dict(shown.runs)}, {dict(shown.faults)}")
        for line in shown.violations:
            print(f"  VIOLATION {line}")
