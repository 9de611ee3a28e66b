"""The schedule on the command line: what is due, what the last runs did, a run by hand, a pause."""

import time
from pathlib import Path

from engine.errors import EngineUnreachable
from engine.inputs import PauseJob, RunJob
from engine.service import JobView
from tui.commands.link import Link, command_id, engine_link
from tui.commands.queries import snapshot_for
from tui.commands.trading import told_receipt
from tui.formats import age, duration, moment, plain
from tui.printing import numbers, print_error, print_json, print_table, words

JOB_SECONDS = 900.0
POLL_SECONDS = 0.1


def list_jobs(path: Path, *, as_json: bool) -> None:
    """Every job, the one that is due next first."""
    snapshot = snapshot_for(path)
    found = snapshot.jobs if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("job", "portfolio", "at", "by", "next (UTC)"), *numbers("in"), *words("last (UTC)"), *numbers("took"),
               *words("outcome"), *numbers("runs", "failed", "missed"), *words("it said"))
    print_table(columns, [_row(job) for job in found],
                empty="no jobs are planned yet; an engine plans those of the configuration when it starts")


def _row(job: JobView) -> list[str]:
    return [job.job_id, job.portfolio or "-", job.at, _by(job), "paused" if job.paused else _moment(job.next_due_ns),
            duration(job.due_in_seconds), _moment(job.last_started_ns), age(job.last_seconds) if job.last_outcome else "-",
            "running" if job.running_since_ns else job.last_outcome or "-", str(job.run_count), str(job.failed_count),
            str(job.missed_count), plain(job.last_text) or "-"]


def _by(job: JobView) -> str:
    """Whose clock and whose days a job goes by."""
    return job.zone if job.hours == "always" and job.calendar == "24/7" else f"{job.zone}, {job.calendar} {job.hours}"


def _moment(at_ns: int) -> str:
    return moment(at_ns) if at_ns else "-"


def run(path: Path, job_id: str, *, as_json: bool) -> int:
    """Run a job now; 1 where it was refused or failed."""
    with engine_link(path) as link:
        receipt = link.send_now(RunJob(command_id(), job_id))
        job = _ended(link, job_id, receipt.seq) if receipt.accepted else None
    if job is None:
        return told_receipt(receipt, as_json=as_json)
    if as_json:
        print_json({"accepted": True, "receipt": receipt, "job": job})
    elif job.last_outcome == "done":
        print(f"{job.job_id}: {plain(job.last_text)}")
    if job.last_outcome != "done":
        print_error(f"{job.job_id} {job.last_outcome}: {plain(job.last_text)}")
        return 1
    return 0


def _ended(link: Link, job_id: str, started_seq: int) -> JobView:
    """The job once the run that began in that row is over; raises `EngineUnreachable` where that takes too long."""
    deadline = time.monotonic() + JOB_SECONDS
    while time.monotonic() < deadline:
        snapshot = link.snapshot_now()
        job = next((one for one in snapshot.jobs if one.job_id == job_id), None)
        if snapshot.health.journal_seq >= started_seq and job is not None and not job.running_since_ns:
            return job
        time.sleep(POLL_SECONDS)
    raise EngineUnreachable(f"{job_id} is still running after {JOB_SECONDS:g} s; `quarterdeck schedule list` shows its end")


def pause(path: Path, job_id: str, *, paused: bool, as_json: bool) -> int:
    """Let a job wait, or go on."""
    with engine_link(path) as link:
        receipt = link.send_now(PauseJob(command_id(), job_id, paused))
    return told_receipt(receipt, as_json=as_json)
