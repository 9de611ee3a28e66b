"""What happens to a machine that trades: it sleeps, its clock is set, its disk fills up. The real shell, the real clock over
readings that the test gives, the real journal."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from engine.clocks import SystemClock
from engine.errors import StoreError
from engine.health import CLOCK_AHEAD, health_lines, trouble_of, verdict_of
from engine.health_words import Verdict
from engine.inputs import ClosePosition, Limits, Reconcile, TradingState
from engine.live_drive import LiveDrive
from engine.orders import Purpose
from engine.runner import Engine
from engine.schedule_words import Job, JobKind, MissedRule
from engine.state import State
from engine.units import NS_PER_SECOND
from store.backup import backup
from store.home import Home, open_home
from store.journal import SqliteJournal
from store.verify import verify
from tests.unit.engine_desk import ACCOUNT, START_NS, Shell, bought, fold, settings_of

HOUR_NS = 3_600 * NS_PER_SECOND
COPY = Job("copy", JobKind.BACKUP, "30 * * * *", missed=MissedRule.ALL)
PATIENT = settings_of("main", limits=Limits(stale_quote_seconds=7_200.0), jobs=(COPY,))


class Readings:
    """The two clocks of a machine: the wall's, which is set and jumps, and the steady one, which stands still in a sleep."""

    def __init__(self, at_ns: int = START_NS) -> None:
        self.wall_ns = at_ns
        self.steady_ns = 5_000

    def pass_(self, seconds: float) -> None:
        self.wall_ns += round(seconds * NS_PER_SECOND)
        self.steady_ns += round(seconds * NS_PER_SECOND)

    def clock(self, not_before_ns: int = 0) -> SystemClock:
        return SystemClock(lambda: self.wall_ns, lambda: self.steady_ns, not_before_ns)


class Machine(Shell):
    """A running engine on a machine's clocks."""

    beats_alone = True

    def __init__(self, readings: Readings, **parts: Any) -> None:
        state: State = parts.get("state", State())
        super().__init__(**parts)
        self.readings = readings
        self.system = readings.clock(state.at_ns)
        self.engine = Engine(self.engine.parts._replace(clock=self.system))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Machine"]:
        async with super().running():
            yield self

    async def wait(self, seconds: float) -> None:
        """So much time passes as a person feels it, and the engine notices."""
        self.readings.pass_(seconds)
        await self.noticed()

    async def noticed(self) -> None:
        self.clock.advance_to(self.system.now_ns())  # the hand that feeds prices goes by the engine's time
        await self.beat(0)


def machine(readings: Readings, calls: list[str], **parts: Any) -> Machine:
    def copy(job: Job) -> str:
        calls.append(job.job_id)
        return "copied"

    return Machine(readings, settings=PATIENT, job_runners={JobKind.BACKUP: copy}, keeps_schedule=True, **parts)


def times_of(desk: Shell) -> list[int]:
    return [row.at_ns for row in desk.journal.durable]  # type: ignore[attr-defined]


# ---- the clock itself ----------------------------------------------------------------------------------------------------------


def test_the_clock_takes_a_sleep_keeps_a_step_back_out_and_never_starts_before_the_journal() -> None:
    readings = Readings()
    clock = readings.clock()
    readings.wall_ns += 8 * HOUR_NS  # the machine slept: the steady clock stood still
    assert clock.now_ns() == START_NS + 8 * HOUR_NS and clock.ahead_ns() == 0
    readings.wall_ns -= HOUR_NS
    readings.pass_(10)
    assert clock.now_ns() == START_NS + 8 * HOUR_NS + 10 * NS_PER_SECOND
    assert clock.ahead_ns() == HOUR_NS
    again = readings.clock(not_before_ns=clock.now_ns())
    readings.pass_(5)
    assert again.now_ns() == clock.now_ns() == START_NS + 8 * HOUR_NS + 15 * NS_PER_SECOND
    readings.pass_(3_600 + 1)
    readings.wall_ns += HOUR_NS
    assert again.ahead_ns() == 0, "the wall has caught up"


# ---- the engine on it ----------------------------------------------------------------------------------------------------------


async def test_a_laptop_that_slept_asks_the_venue_first_and_makes_up_for_its_jobs_once() -> None:
    readings, calls = Readings(), list[str]()
    desk = machine(readings, calls)
    async with desk.running():
        await desk.wait(1)
        await desk.quote(10_000, seconds=0)
        assert (await desk.engine.send(bought())).accepted
        await desk.until(lambda: desk.state.positions)
        readings.wall_ns += 9 * HOUR_NS
        refused = await desk.engine.send(bought("woken"))
        assert refused.refusal is not None
        assert (refused.refusal.check, refused.refusal.value) == ("connection", "reconciling")
        await desk.until(lambda: desk.state.accounts[ACCOUNT].connectivity == "live")
        await desk.noticed()
        await desk.until(lambda: desk.state.jobs["copy"].outcome is not None)
        await desk.wait(2)
        assert calls == ["copy"], "nine times were missed, whatever the rule says one is made up for"
    assert times_of(desk) == sorted(times_of(desk))


async def test_a_clock_set_back_stops_no_deadline_runs_no_job_twice_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    readings, calls = Readings(), list[str]()
    desk = machine(readings, calls)
    async with desk.running():
        await desk.wait(1_800)
        await desk.until(lambda: calls == ["copy"])
        readings.wall_ns -= HOUR_NS
        for _ in range(4):
            await desk.wait(600)
        assert calls == ["copy"], "the half hour that comes again on the wall is over for the engine"
        await desk.until(lambda: desk.state.at_ns >= START_NS + 1_800 * NS_PER_SECOND)
        await desk.wait(1_200)
        await desk.until(lambda: calls == ["copy", "copy"])
        await desk.until(lambda: CLOCK_AHEAD in desk.engine.pulses.counts)
        desk.engine._shell.publish(force=True)
        lines = health_lines(desk.engine.latest(), readings.wall_ns)
        (told,) = [line for line in lines if line.subject == "clock"]
        assert told.verdict is Verdict.WARN and "3600 s ahead" in told.found
        quotes = [quote.age_seconds for quote in desk.engine.latest().quotes if quote.age_seconds is not None]
        assert all(age >= 0 for age in quotes)
        readings.wall_ns += HOUR_NS
        await desk.until(lambda: CLOCK_AHEAD not in desk.engine.pulses.counts)
    assert times_of(desk) == sorted(times_of(desk))
    assert [record.message for record in caplog.records if "set back" in record.message] == [
        "the clock was set back: the engine's time is 3600 s ahead of it and goes on"]


async def test_a_clock_set_forward_and_right_again_runs_what_was_due_once() -> None:
    readings, calls = Readings(), list[str]()
    desk = machine(readings, calls)
    async with desk.running():
        await desk.wait(1)
        readings.wall_ns += 24 * HOUR_NS
        await desk.noticed()
        await desk.until(lambda: calls == ["copy"])
        readings.wall_ns -= 24 * HOUR_NS
        for _ in range(3):
            await desk.wait(600)
        assert calls == ["copy"]
    assert times_of(desk) == sorted(times_of(desk))


async def test_a_start_with_the_clock_behind_the_journal_goes_on_from_the_journal() -> None:
    readings, calls = Readings(), list[str]()
    first = machine(readings, calls)
    async with first.running():
        await first.wait(1_800)
        await first.until(lambda: calls == ["copy"])
    readings.wall_ns -= 5 * HOUR_NS
    state = fold(first.journal.durable)  # type: ignore[attr-defined]
    second = machine(readings, calls, state=state, broker=first.broker)
    async with second.running():
        await second.wait(3_599)
        assert calls == ["copy"]
        await second.wait(2)
        await second.until(lambda: calls == ["copy", "copy"])
    assert min(times_of(second)) >= state.at_ns
    assert times_of(second) == sorted(times_of(second))


# ---- a full disk ---------------------------------------------------------------------------------------------------------------


def fill(home: Home, journal: SqliteJournal) -> None:
    """No page more for the journal: SQLite itself says that the disk is full."""
    connection = journal._writer._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")


async def test_a_full_disk_halts_entries_keeps_protection_says_so_and_recovers(tmp_path: Path) -> None:
    home = open_home(tmp_path / "h")
    journal = SqliteJournal(home.journal)
    desk = Shell(journal=journal)
    async with desk.running():
        await desk.quote(10_000)
        assert (await desk.engine.send(bought())).accepted
        await desk.until(lambda: any(order.intent.purpose is Purpose.STOP and order.acked
                                     for order in desk.state.orders.values()))
        count = len(desk.submitted)
        await journal.wait_durable()
        fill(home, journal)
        number = 0
        while not desk.engine._shell.unwritable:
            number += 1
            assert number < 500, "the disk was never full"
            await desk.engine.send(Reconcile(f"fill-{number}"))
        assert "the disk is full" in desk.engine._shell.unwritable
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
        desk.engine._shell.publish(force=True)
        lines = health_lines(desk.engine.latest(), desk.clock.now_ns())
        assert verdict_of(lines) is Verdict.FAIL and "the disk is full" in trouble_of(lines)
        refused = await desk.engine.send(bought("in"))
        assert refused.refusal is not None
        assert len(desk.submitted) == count, "no entry leaves"
        stop = next(order for order in desk.state.orders.values() if order.intent.purpose is Purpose.STOP)
        assert stop.acked and not stop.closed, "the stop stays at the venue"
        out = await desk.engine.send(ClosePosition("out", "COIN"))
        assert "NOT RECORDED" in out.text
        await desk.until(lambda: not desk.state.positions)
        journal._writer._connection.execute("PRAGMA max_page_count=1000000")
        await desk.engine._shell.retry_journal()
        assert desk.engine._shell.unwritable == ""
        answered = await desk.engine.send(Reconcile("ask"))
        assert "NOT RECORDED" not in answered.text
    await asyncio.to_thread(journal.close)
    assert verify(home.journal).sound
    with closing(SqliteJournal(home.journal, inline=True)) as again:
        assert fold(list(again.rows())).seq == desk.state.seq, "what happened meanwhile is on disk after all"


def test_a_backup_on_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = open_home(tmp_path / "h")
    SqliteJournal(home.journal, inline=True).close()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("store.backup.sync", full)
    with pytest.raises(StoreError, match="the backup failed: No space left on device; nothing was kept"):
        backup(home, tmp_path / "copies", START_NS)
    assert list((tmp_path / "copies").iterdir()) == []
    with closing(sqlite3.connect(home.journal)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_disk_that_does_not_say_whether_a_halt_is_raised_holds_up_no_exit() -> None:
    answers, looks = threading.Event(), list[int]()

    def look() -> str:
        looks.append(1)
        if len(looks) > 1:  # the first is that of the start
            answers.wait(30)
        return "panic by another process" if len(looks) > 1 else ""

    desk = Shell(halted_elsewhere=look)
    async with desk.running():
        try:
            await desk.quote(10_000)
            assert (await desk.engine.send(bought())).accepted
            await desk.until(lambda: desk.state.positions)
            for _ in range(3):
                await LiveDrive(desk.engine._shell)._before_beat()
            await desk.until(lambda: len(looks) == 2)
            assert (await desk.engine.send(ClosePosition("out", "COIN"))).accepted
            await desk.until(lambda: not desk.state.positions)
            assert not answers.is_set() and len(looks) == 2, "one question at a time"
        finally:
            answers.set()
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
