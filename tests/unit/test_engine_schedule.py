"""The schedule at work: on the bare core, and through the whole engine with runners, sleeps and restarts."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.config import Config
from engine.decide.schedule import IN_CORE
from engine.effects import PerformJob
from engine.errors import StoreError
from engine.events import AlertRaised
from engine.inputs import ConnectionChanged, EngineStarted, PauseJob, RunJob
from engine.schedule_events import JobDropped, JobFinished, JobMissed, JobPlanned, JobStarted
from engine.schedule_words import Job, JobEnded, JobKind, JobOutcome, MissedRule
from engine.state import State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from store.home import Home
from tests.unit.engine_desk import ACCOUNT, BLANK, COIN, NATIVE, Desk, Shell, fold, rows_of, settings_of
from tui.compose import job_runners

HOUR_NS = 3_600 * NS_PER_SECOND
MONITOR = Job("monitor", JobKind.RISK_MONITOR, "0 * * * *", "main", missed=MissedRule.SKIP)
COPY = Job("copy", JobKind.BACKUP, "30 * * * *")


def desk_with(*jobs: Job, state: State | None = None, keeps: bool = True, seconds: float = 0) -> Desk:
    """A core that has just come up with a schedule; it is 12:00 UTC where nothing came before."""
    made = Desk(live=False, settings=settings_of("main", jobs=jobs), state=state)
    made.later(seconds)
    made.take(EngineStarted("e", "test", made.settings, (COIN,), {ACCOUNT: NATIVE}, keeps_schedule=keeps))
    made.take(ConnectionChanged(ACCOUNT, up=True))
    made.reported()
    return made


def performed(made: Desk) -> list[PerformJob]:
    return [effect for effect in made.effects if isinstance(effect, PerformJob)]


def text_of(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%H:%M}"


# ---- plans -----------------------------------------------------------------------------------------------------------------


def test_a_job_keeps_its_time_over_a_restart_and_gets_a_new_one_when_it_changes() -> None:
    first = desk_with(MONITOR, COPY)
    planned = [(one.job.job_id, text_of(one.next_due_ns)) for one in first.of(JobPlanned)]
    assert planned == [("monitor", "13:00"), ("copy", "12:30")]
    again = desk_with(MONITOR, COPY, state=first.state, seconds=2_400)
    assert again.of(JobPlanned) == [] and text_of(again.state.jobs["copy"].next_due_ns) == "12:30"
    changed = desk_with(Job("copy", JobKind.BACKUP, "45 * * * *"), state=again.state)
    assert [(one.job.job_id, text_of(one.next_due_ns)) for one in changed.of(JobPlanned)] == [("copy", "12:45")]
    assert [one.job_id for one in changed.of(JobDropped)] == ["monitor"]
    assert list(changed.state.jobs) == ["copy"]


def test_an_engine_of_one_command_starts_nothing_by_itself() -> None:
    made = desk_with(MONITOR, COPY, keeps=False)
    made.beat(7_200)
    assert not made.of(JobStarted) and not performed(made)


# ---- runs ------------------------------------------------------------------------------------------------------------------


def test_a_job_of_the_core_starts_and_ends_in_one_decision_and_not_again() -> None:
    made = desk_with(MONITOR)
    made.beat(3_599)
    assert not made.of(JobStarted)
    decision = made.beat(1)
    kinds = [type(row.event) for row in decision.events]
    assert kinds == [JobStarted, JobFinished]
    (start,), (end,) = made.of(JobStarted), made.of(JobFinished)
    assert (text_of(start.due_ns), text_of(start.next_due_ns), start.portfolio, start.missed) == ("13:00", "14:00", "main", 0)
    assert (end.run_id, end.outcome, end.portfolio) == (start.run_id, JobOutcome.DONE, "main")
    for _ in range(5):
        made.beat()
    assert len(made.of(JobStarted)) == 1


def test_a_run_outside_ends_with_its_answer_and_the_next_waits_for_it() -> None:
    made = desk_with(COPY)
    made.beat(1_800)
    (effect,) = performed(made)
    made.take(JobEnded("copy", "another run", JobOutcome.DONE, "not this one"))
    made.take(JobEnded("gone", effect.run_id, JobOutcome.DONE, "nor this"))
    made.beat(3_600)
    assert len(performed(made)) == 1 and not made.of(JobFinished), "one run at a time"
    made.take(JobEnded("copy", effect.run_id, JobOutcome.DONE, "copied"))
    (end,) = made.of(JobFinished)
    assert (end.outcome, end.text, end.duration_ms) == (JobOutcome.DONE, "copied", 3_600_000)
    made.beat()
    assert len(performed(made)) == 2, "the time that came meanwhile is made up for"


def test_a_failure_is_told() -> None:
    made = desk_with(COPY)
    made.beat(1_800)
    made.take(JobEnded("copy", performed(made)[0].run_id, JobOutcome.FAILED, "the disk is full"))
    assert [(one.code, one.text) for one in made.of(AlertRaised)] == [("job-failed", "the disk is full")]
    assert made.state.jobs["copy"].failed_count == 1


@pytest.mark.parametrize(("missed", "started", "left_out"), [
    (MissedRule.SKIP, [], 5), (MissedRule.ONCE, ["17:00"], 0),
    (MissedRule.ALL, ["13:00", "14:00", "15:00", "16:00", "17:00"], 0)])
def test_times_at_which_no_engine_ran_follow_the_rule(missed: MissedRule, started: list[str], left_out: int) -> None:
    job = Job("j", JobKind.RISK_MONITOR, "0 * * * *", "main", missed=missed)
    again = desk_with(job, state=desk_with(job).state, seconds=5.5 * 3_600)
    for _ in range(10):
        again.beat()
    assert [text_of(one.due_ns) for one in again.of(JobStarted)] == started
    assert sum(one.count for one in again.of(JobMissed)) == left_out
    assert again.state.jobs["j"].run_count + again.state.jobs["j"].missed_count == 5
    assert text_of(again.state.jobs["j"].next_due_ns) == "18:00"


@pytest.mark.parametrize("missed", [MissedRule.ONCE, MissedRule.ALL])
def test_a_sleep_of_hours_is_made_up_for_once(missed: MissedRule) -> None:
    made = desk_with(Job("j", JobKind.RISK_MONITOR, "*/15 * * * *", "main", missed=missed))
    made.beat(1)
    for _ in range(10):
        made.beat(8 * 3_600 if not made.of(JobStarted) else 1)
    (start,) = made.of(JobStarted)
    assert start.missed == 31 and text_of(start.due_ns) == "20:00"


# ---- crashes ---------------------------------------------------------------------------------------------------------------


def test_what_a_crash_cut_short_begins_anew_under_its_own_name_and_ends_once() -> None:
    first = desk_with(COPY)
    first.beat(1_800)
    (effect,) = performed(first)
    state = fold(rows_of(first))
    assert encode_state(decode_state(encode_state(state))) == encode_state(state)
    assert not performed(desk_with(COPY, state=state, keeps=False)), "one command does not take long work over"
    again = desk_with(COPY, state=state, seconds=5)
    assert performed(again) == [effect]
    again.take(JobEnded("copy", effect.run_id, JobOutcome.DONE, "copied"))
    again.beat(60)
    assert [one.run_id for one in again.of(JobFinished)] == [effect.run_id] and not again.of(JobStarted)


def test_a_crash_before_the_row_was_on_disk_leaves_the_time_to_the_next_engine() -> None:
    first = desk_with(COPY)
    before = first.state
    first.beat(1_800)
    again = desk_with(COPY, state=before, seconds=1_801)
    again.beat()
    (start,) = again.of(JobStarted)
    assert start.due_ns == first.of(JobStarted)[0].due_ns


def test_a_run_of_a_job_that_left_the_configuration_is_interrupted() -> None:
    first = desk_with(COPY)
    first.beat(1_800)
    again = desk_with(state=first.state)
    assert [one.outcome for one in again.of(JobFinished)] == [JobOutcome.INTERRUPTED] and not performed(again)


# ---- by hand ---------------------------------------------------------------------------------------------------------------


def test_a_pause_holds_over_a_restart_and_what_passed_is_not_made_up_for() -> None:
    first = desk_with(MONITOR)
    assert first.do(PauseJob("p", "monitor")).text == "monitor is paused"
    first.beat(10_800)
    again = desk_with(MONITOR, state=first.state, seconds=10_800)
    again.beat()
    assert not again.of(JobStarted)
    assert again.do(PauseJob("r", "monitor", paused=False)).text == "monitor goes on"
    again.beat()
    assert not again.of(JobStarted) and text_of(again.state.jobs["monitor"].next_due_ns) == "19:00"


def test_a_run_by_hand_leaves_the_next_time_and_is_refused_beside_another() -> None:
    made = desk_with(MONITOR, COPY)
    due_ns = made.state.jobs["monitor"].next_due_ns
    assert made.do(RunJob("a", "monitor")).text.startswith("monitor: heat 0.00%")
    assert made.state.jobs["monitor"].next_due_ns == due_ns
    assert made.of(JobStarted)[0].by == "user"
    assert made.do(RunJob("b", "copy")).text == "copy is running"
    refused = made.do(RunJob("c", "copy")).refusal
    assert refused is not None and "running already" in refused.message
    unknown = made.do(RunJob("d", "copi")).refusal
    assert unknown is not None and unknown.message == "there is no job 'copi'; there is: monitor, copy"
    assert len(performed(made)) == 1


# ---- the risk monitor ------------------------------------------------------------------------------------------------------


def looked(made: Desk) -> str:
    made.do(RunJob(f"look-{made.at_ns}-{len(made.rows)}", "monitor"))
    return str(made.of(JobFinished)[-1].text)


def test_the_monitor_says_what_it_saw_also_when_all_is_well() -> None:
    made = desk_with(MONITOR)
    made.quote(10_000)
    made.enter(lots=100)
    assert looked(made) == "heat 0.50% of 6.00%, drawdown 0.00%, 1 positions, ACTIVE"
    assert not [one for one in made.of(AlertRaised) if one.code == "risk-monitor"]


def test_the_monitor_tells_stale_prices_a_bare_position_and_a_venue_out_of_reach() -> None:
    made = desk_with(MONITOR)
    made.quote(10_000)
    made.enter(lots=100)
    made.later(11)
    assert looked(made).endswith("COIN has no fresh price")
    made.take(ConnectionChanged(ACCOUNT, up=False))
    made.later(120)
    made.beat()
    text = looked(made)
    assert "acct is down" in text and "COIN has no fresh price" in text
    (told,) = {one.text for one in made.of(AlertRaised) if one.code == "risk-monitor" and "down" in one.text}
    assert told in text


# ---- the whole engine --------------------------------------------------------------------------------------------------------


def test_every_kind_is_done_by_exactly_one(tmp_path: Path) -> None:
    assert sorted([*IN_CORE, *job_runners(Home(tmp_path), Config())]) == sorted(JobKind)


def shell_with(runner: Any, *, state: State = BLANK, **more: Any) -> Shell:
    return Shell(settings=settings_of("main", jobs=(COPY,)), keeps_schedule=True, state=state,
                 job_runners={JobKind.BACKUP: runner}, **more)


def fails(_: Job) -> str:
    raise StoreError("no room left")


def breaks(_: Job) -> str:
    raise ZeroDivisionError


@pytest.mark.parametrize(("runner", "outcome", "text"), [
    (lambda job: f"{job.job_id} done", JobOutcome.DONE, "copy done"), (fails, JobOutcome.FAILED, "no room left"),
    (breaks, JobOutcome.FAILED, "ZeroDivisionError: the log has the details")])
async def test_a_runner_is_called_once_and_its_word_is_recorded(runner: Any, outcome: JobOutcome, text: str) -> None:
    shell = shell_with(runner)
    async with shell.running():
        await shell.beat(1_800)
        await shell.until(lambda: shell.state.jobs["copy"].outcome is not None)
        known = shell.state.jobs["copy"]
        assert (known.outcome, known.text, known.run_count, known.run_id) == (outcome, text, 1, "")
        await shell.beat(1)
        assert shell.state.jobs["copy"].run_count == 1


async def test_an_engine_that_slept_reconciles_and_runs_a_missed_job_once() -> None:
    calls: list[str] = []

    def copy(job: Job) -> str:
        calls.append(job.job_id)
        return "copied"

    shell = shell_with(copy)
    async with shell.running():
        await shell.beat(1)
        await shell.beat(9 * 3_600)
        await shell.until(lambda: shell.state.jobs["copy"].outcome is not None)
        await shell.beat(1)
        assert calls == ["copy"]
        assert shell.state.jobs["copy"].missed_count == 8


async def test_a_kind_that_nobody_runs_fails_and_says_so() -> None:
    shell = Shell(settings=settings_of("main", jobs=(COPY,)), keeps_schedule=True)
    async with shell.running():
        await shell.beat(1_800)
        await shell.until(lambda: shell.state.jobs["copy"].outcome is JobOutcome.FAILED)
        assert shell.state.jobs["copy"].text == "this engine cannot run a job of kind backup"
