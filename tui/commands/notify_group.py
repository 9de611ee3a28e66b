"""The words of the commands about notices to a person away from the screen."""

from typing import Annotated

import typer

from tui.commands.options import Json, Yes, home_of, leave

notify = typer.Typer(help="Notices away from the screen: list, set, test, delete, log.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False,
                                     help="The route, by its name in config.toml; or heartbeat.")]
AnyName = Annotated[str, typer.Argument(metavar="[NAME]", show_default=False, help="One route, or heartbeat; else every one.")]


@notify.command("list")
def list_routes(context: typer.Context, as_json: Json = False) -> None:
    """Every route: what it is told of, whether its address is stored, how the last telling went."""
    from tui.commands import notifying

    leave(notifying.list_routes(home_of(context), as_json=as_json))


@notify.command("set")
def set_address(context: typer.Context, name: Name,
                from_stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input.")] = False) -> None:
    """Store the address of a route, such as tgram://TOKEN/CHAT; asks for it without showing it. It is never an argument."""
    from tui.commands import notifying

    leave(notifying.set_address(home_of(context), name, from_stdin=from_stdin))


@notify.command("test")
def try_out(context: typer.Context, name: AnyName = "", as_json: Json = False) -> None:
    """Tell each route something now, quiet or not; 1 where one was not told."""
    from tui.commands import notifying

    leave(notifying.try_out(home_of(context), name, as_json=as_json))


@notify.command("delete")
def delete(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Forget the address of a route."""
    from tui.commands import notifying

    leave(notifying.delete(home_of(context), name, yes=yes))


@notify.command("log")
def log(context: typer.Context, rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many.")] = 20,
        as_json: Json = False) -> None:
    """What was told to whom, the newest last."""
    from tui.commands import notifying

    leave(notifying.log(home_of(context), rows, as_json=as_json))
