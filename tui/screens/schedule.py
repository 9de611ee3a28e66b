"""The schedule: every job, how long until it is due, what its last run did; a run by hand, a pause."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.inputs import Command, PauseJob, RunJob
from engine.service import JobView, Snapshot
from tui.formats import countdown, duration, moment, plain
from tui.keymap import bindings_for
from tui.screens.dialog import button
from tui.screens.list_screen import Line, ListScreen
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column
from tui.widgets.grid import Grid

OUTCOMES = {"done": ("✓ done", "good"), "failed": ("✗ failed", "crit"), "interrupted": ("! cut short", "warn")}
LONG_SECONDS = 3_600


class JobsGrid(Grid):
    """One line a job."""

    EMPTY = "No jobs: [[job]] sections of the configuration plan them."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("job", "JOB", rank=0, least=12, most=28, flex=True),
        Column("due", "DUE IN", "right", rank=0),
        Column("last", "LAST RUN", rank=0),
        Column("at", "AT", rank=1, most=24),
        Column("by", "BY", rank=2, most=24),
        Column("next", "NEXT (UTC)", rank=2),
        Column("runs", "RUNS", "right", rank=1),
        Column("missed", "MISSED", "right", rank=1),
    )


class ScheduleScreen(ListScreen[JobView]):
    """Below the list, what the selected job's last run said."""

    SCOPE: ClassVar[str] = "schedule"
    WIDTH: ClassVar[int] = 110
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("schedule")
    GRID, GRID_ID, ABOUT_ID = JobsGrid, "jobs", "last-run"

    def __init__(self) -> None:
        super().__init__("Schedule")

    def views(self, snapshot: Snapshot) -> dict[str, JobView]:
        return {view.job_id: view for view in snapshot.jobs}

    def cells(self, view: JobView) -> tuple[Cell, ...]:
        return _cells(view)

    def lines(self, view: JobView) -> list[Line]:
        return _lines(view)

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("Pause/resume", "pause")
        yield button("Run now", "act")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "act":
                self.action_run_now()
            case "pause":
                self.action_pause()
            case _:
                self.dismiss()

    def action_run_now(self) -> None:
        """Run the selected job; its next time stays."""
        view = self.selected
        if view is not None:
            self._act(RunJob(self.app.next_command_id(), view.job_id), f"{view.job_id} is running")

    def action_pause(self) -> None:
        """Let the selected job wait, or go on."""
        view = self.selected
        if view is not None:
            self._act(PauseJob(self.app.next_command_id(), view.job_id, not view.paused), f"{view.job_id} switched")

    def _act(self, command: Command, what: str) -> None:
        start(self.app, partial(self._deliver, command, what))

    async def _deliver(self, command: Command, what: str) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, what)
        if receipt is None:
            self.note("no answer; look at the list", "crit")
        elif receipt.accepted:
            self.note(f"✓ {plain(receipt.text) or what}", "good")
        else:
            self.note(f"refused: {refusal_words(receipt)}", "crit")


def _cells(view: JobView) -> tuple[Cell, ...]:
    tone = "muted" if view.paused else ""
    outcome, outcome_tone = ("… running", "warn") if view.running_since_ns else OUTCOMES.get(view.last_outcome, ("-", "muted"))
    due = view.due_in_seconds
    waits = "paused" if view.paused else "never" if due is None else countdown(due) if due < LONG_SECONDS else duration(due)
    by = view.zone if view.hours == "always" else f"{view.calendar} {view.hours}"
    planned = "-" if view.paused or not view.next_due_ns else moment(view.next_due_ns)
    return (Cell(plain(view.job_id), tone), Cell(waits, tone, due), Cell(outcome, outcome_tone), Cell(view.at, tone),
            Cell(by, tone), Cell(planned, tone, view.next_due_ns),
            Cell(str(view.run_count), "muted", view.run_count),
            Cell(str(view.missed_count) if view.missed_count else "", "muted", view.missed_count))


def _lines(view: JobView) -> list[list[tuple[str, str]]]:
    """What the last run said, and by which rule times are made up for that passed unattended."""
    ran = f"{moment(view.last_started_ns)} UTC, took {duration(view.last_seconds)}" if view.last_started_ns else "has not run yet"
    lines = [[("last   ", "muted"), (ran, "")],
             [("said   ", "muted"), (plain(view.last_text) or "-", OUTCOMES.get(view.last_outcome, ("", ""))[1])],
             [("missed ", "muted"), (f"rule: {view.missed}; {view.missed_count} so far, {view.failed_count} failed", "muted")]]
    return [*lines, [("paused ", "muted"), (f"by {plain(view.paused_by)}", "warn")]] if view.paused else lines
