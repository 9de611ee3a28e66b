"""Jobs as a person sees them."""

from engine.schedule import NEVER_NS, JobState
from engine.schedule_words import JobView
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds


def job_views(state: State, at_ns: Nanoseconds) -> tuple[JobView, ...]:
    """Every job, the one that is due next first."""
    views = [_view(known, at_ns) for known in state.jobs.values()]
    return tuple(sorted(views, key=lambda view: (view.paused, view.next_due_ns or NEVER_NS)))


def _view(known: JobState, at_ns: Nanoseconds) -> JobView:
    job = known.job
    never = known.next_due_ns >= NEVER_NS
    return JobView(
        job_id=job.job_id, kind=job.kind.value, portfolio=job.portfolio, at=job.at, zone=job.zone, calendar=job.calendar,
        hours=job.hours.value, missed=job.missed.value, paused=known.paused, paused_by=known.paused_by,
        next_due_ns=0 if never else known.next_due_ns,
        due_in_seconds=None if never or known.paused else max(0.0, (known.next_due_ns - at_ns) / NS_PER_SECOND),
        running_since_ns=known.started_at_ns if known.run_id else 0, last_due_ns=known.due_ns,
        last_started_ns=known.started_at_ns,
        last_seconds=max(0, known.ended_at_ns - known.started_at_ns) / NS_PER_SECOND if not known.run_id else 0.0,
        last_outcome=known.outcome.value if known.outcome else "", last_text=known.text, run_count=known.run_count,
        failed_count=known.failed_count, missed_count=known.missed_count)
