"""The words of the commands about the service manager."""

from typing import Annotated

import typer

from engine.errors import UsageError
from tui.commands.options import Json, Yes, home_of, leave

service = typer.Typer(help="The engine under systemd: unit, install.", rich_markup_mode=None)

ForUser = Annotated[bool, typer.Option("--user", help="For the user's own service manager (the default).")]
ForSystem = Annotated[bool, typer.Option("--system", help="For the machine's service manager.")]


@service.command("unit")
def unit(context: typer.Context, user: ForUser = False, system: ForSystem = False, as_json: Json = False) -> None:
    """Print a hardened unit for this installation and home."""
    from tui.commands import service as work

    if user and system:
        raise UsageError("--user and --system exclude each other")
    leave(work.unit(home_of(context), "system" if system else "user", as_json=as_json))


@service.command("install")
def install(context: typer.Context, user: ForUser = False, yes: Yes = False) -> None:  # noqa: ARG001 - said for clearness
    """Write the unit for the user's service manager; asks, and starts nothing."""
    from tui.commands import service as work

    leave(work.install(home_of(context), yes=yes))
