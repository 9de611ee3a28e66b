"""The words of the commands about the schedule."""

from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave

schedule = typer.Typer(help="The schedule: list, run, pause, resume.", rich_markup_mode=None)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job, as `schedule list` names it.")]


@schedule.command("list")
def list_jobs(context: typer.Context, as_json: Json = False) -> None:
    """Every job: when it is due, what its last run did."""
    from tui.commands import schedules

    schedules.list_jobs(home_of(context), as_json=as_json)


@schedule.command("run")
def run(context: typer.Context, job_id: JobId, as_json: Json = False) -> None:
    """Run a job now and wait for its end; its next time stays what it is."""
    from tui.commands import schedules

    leave(schedules.run(home_of(context), job_id, as_json=as_json))


@schedule.command("pause")
def pause(context: typer.Context, job_id: JobId, as_json: Json = False) -> None:
    """Let a job wait; over restarts too."""
    from tui.commands import schedules

    leave(schedules.pause(home_of(context), job_id, paused=True, as_json=as_json))


@schedule.command("resume")
def resume(context: typer.Context, job_id: JobId, as_json: Json = False) -> None:
    """Let a paused job go on with its next time; what it missed is not made up for."""
    from tui.commands import schedules

    leave(schedules.pause(home_of(context), job_id, paused=False, as_json=as_json))
