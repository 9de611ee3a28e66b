"""The schedule at work: what is due is started and recorded in one row, done here or by a runner outside, and its end recorded.

To add a kind of job: name it in `JobKind`, and either give it a function in `IN_CORE`, which does it within one decision, or a
runner in the composition root. A runner's job must be safe to begin anew: one that the end of the process cut short is.
"""

from collections.abc import Callable

from engine import risk_monitor
from engine.decide import rebalance, research_jobs
from engine.effects import PerformJob
from engine.schedule import JobState, judge, next_due_ns
from engine.schedule_events import JobDropped, JobFinished, JobMissed, JobPaused, JobPlanned, JobStarted
from engine.schedule_words import Job, JobEnded, JobKind, JobOutcome, PauseJob, RunJob
from engine.service import AlertLevel, Refusal
from engine.turn import Turn

type Done = tuple[JobOutcome, str]
IN_CORE: dict[JobKind, Callable[[Turn, Job], Done]] = {
    JobKind.RISK_MONITOR: risk_monitor.look, JobKind.REBALANCE: rebalance.as_job,
    JobKind.AUTONOMOUS: research_jobs.autonomous, JobKind.DAILY_ANALYSIS: research_jobs.analysis,
    JobKind.WEEKLY_ANALYSIS: research_jobs.analysis, JobKind.END_OF_DAY_ANALYSIS: research_jobs.analysis,
    JobKind.LEARNING: research_jobs.learning}

NS_PER_MS = 1_000_000


def started(turn: Turn) -> None:
    """Bring the jobs to what the configuration says. What was cut short begins anew, in an engine that keeps the schedule."""
    wanted = {job.job_id: job for job in turn.state.settings.jobs}
    for job_id, known in list(turn.state.jobs.items()):
        if job_id not in wanted:
            if known.run_id:
                _finish(turn, known, JobOutcome.INTERRUPTED, "the job is no longer in the configuration")
            turn.emit(JobDropped(job_id))
    for job_id, job in wanted.items():
        known_job = turn.state.jobs.get(job_id)
        if known_job is None or known_job.job != job:
            turn.emit(JobPlanned(job, next_due_ns(job, turn.at_ns, turn.market.session_bounds)))
    if turn.state.keeps_schedule:
        for known in turn.state.jobs.values():
            if known.run_id:
                turn.effects.append(PerformJob(known.job, known.run_id))


def beat(turn: Turn) -> None:
    """Start what is due."""
    if not turn.state.keeps_schedule:
        return
    for job_id, known in list(turn.state.jobs.items()):
        if turn.at_ns < known.next_due_ns:
            continue
        verdict = judge(known, turn.at_ns, turn.state.session_at_ns, turn.market.session_bounds)
        if verdict is None:
            continue
        if verdict.due_ns:
            _start(turn, known.job, JobStarted(job_id, turn.next_id(), known.job.portfolio, verdict.due_ns, verdict.next_due_ns,
                                               verdict.missed))
        else:
            turn.emit(JobMissed(job_id, verdict.missed, verdict.next_due_ns))


def _start(turn: Turn, job: Job, start: JobStarted) -> None:
    turn.emit(start)
    in_core = IN_CORE.get(job.kind)
    if in_core is None:
        turn.effects.append(PerformJob(job, start.run_id))
        return
    outcome, text = in_core(turn, job)
    _finish(turn, turn.state.jobs[job.job_id], outcome, text)


def ended(turn: Turn, end: JobEnded) -> None:
    """What a runner made of a run; an answer to another run than the one under way says nothing."""
    known = turn.state.jobs.get(end.job_id)
    if known is not None and known.run_id == end.run_id:
        _finish(turn, known, end.outcome, end.text)


def _finish(turn: Turn, known: JobState, outcome: JobOutcome, text: str) -> None:
    job = known.job
    turn.emit(JobFinished(job.job_id, known.run_id, job.portfolio, outcome, text,
                          (turn.at_ns - known.started_at_ns) // NS_PER_MS))
    if outcome is JobOutcome.FAILED:
        turn.alert(AlertLevel.ERROR, "job-failed", job.job_id, text)


# ---- by hand ---------------------------------------------------------------------------------------------------------------


def run_now(turn: Turn, command: RunJob) -> None:
    """A run that a person asks for; a paused job may be run so."""
    known = _known(turn, command.command_id, command.job_id)
    if known is None:
        return
    if known.run_id:
        turn.refuse(command.command_id, f"run {command.job_id}", Refusal(
            "job", "one run at a time", known.run_id, f"{command.job_id} is running already"))
        return
    start = JobStarted(command.job_id, turn.next_id(), known.job.portfolio, 0, known.next_due_ns, by=command.by,
                       command_id=command.command_id)
    _start(turn, known.job, start)
    after = turn.state.jobs[command.job_id]
    turn.accept(command.command_id, f"{command.job_id} is running" if after.run_id else f"{command.job_id}: {after.text}")


def pause(turn: Turn, command: PauseJob) -> None:
    """Let a job wait, or go on with its next time from now."""
    known = _known(turn, command.command_id, command.job_id)
    if known is None:
        return
    passed = known.next_due_ns <= turn.at_ns and known.paused and not command.paused
    due_ns = next_due_ns(known.job, turn.at_ns, turn.market.session_bounds) if passed else known.next_due_ns
    turn.emit(JobPaused(command.job_id, command.paused, due_ns, command.by, command.command_id))
    turn.accept(command.command_id, f"{command.job_id} is paused" if command.paused else f"{command.job_id} goes on")


def _known(turn: Turn, command_id: str, job_id: str) -> JobState | None:
    known = turn.state.jobs.get(job_id)
    if known is None:
        there = ", ".join(turn.state.jobs) or "none"
        turn.refuse(command_id, f"job {job_id}", Refusal("job", there, job_id, f"there is no job {job_id!r}; there is: {there}"))
    return known
