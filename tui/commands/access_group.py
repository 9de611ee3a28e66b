"""The words of the commands about who may act from outside."""

from typing import Annotated

import typer

from tui.commands.options import Json, Yes, home_of, leave

access = typer.Typer(help="A PIN or an authenticator before acts from outside: set-pin, set-totp, clear, status.",
                     rich_markup_mode=None)

FromStdin = Annotated[bool, typer.Option("--stdin", help="Read it from standard input instead of asking.")]
Way = Annotated[str, typer.Argument(metavar="pin|totp|all", show_default=False, help="What to forget.")]


@access.command("set-pin")
def set_pin(context: typer.Context, from_stdin: FromStdin = False) -> None:
    """Ask for a PIN and keep it hashed beside the keys."""
    from tui.commands import accessing

    leave(accessing.set_pin(home_of(context), from_stdin=from_stdin))


@access.command("set-totp")
def set_totp(context: typer.Context, from_stdin: FromStdin = False, yes: Yes = False) -> None:
    """Make a secret for an authenticator app, print it once, and keep it once the app shows the right code."""
    from tui.commands import accessing

    leave(accessing.set_totp(home_of(context), from_stdin=from_stdin, yes=yes))


@access.command("clear")
def clear(context: typer.Context, way: Way, yes: Yes = False) -> None:
    """Forget the PIN, the authenticator or both."""
    from tui.commands import accessing

    leave(accessing.clear(home_of(context), way, yes=yes))


@access.command("status")
def status(context: typer.Context, as_json: Json = False) -> None:
    """Who has to unlock, what is set up, and what the running engine refused."""
    from tui.commands import accessing

    leave(accessing.status(home_of(context), as_json=as_json))
