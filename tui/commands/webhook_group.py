"""The words of the commands about signed signals from outside."""

from typing import Annotated

import typer

from tui.commands.options import Json, Yes, home_of, leave

webhook = typer.Typer(help="Signed signals from outside: status, secret, delete.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", show_default=False, help="The source, by its name in config.toml.")]


@webhook.command("status")
def status(context: typer.Context, as_json: Json = False) -> None:
    """Every source, whether it has a secret, and what the running engine took and refused."""
    from tui.commands import webhooking

    leave(webhooking.status(home_of(context), as_json=as_json))


@webhook.command("secret")
def secret(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Make a new secret for a source, keep it beside the keys, and print it this once."""
    from tui.commands import webhooking

    leave(webhooking.secret(home_of(context), name, yes=yes))


@webhook.command("delete")
def delete(context: typer.Context, name: Name, yes: Yes = False) -> None:
    """Forget the secret of a source: it can then sign nothing."""
    from tui.commands import webhooking

    leave(webhooking.delete(home_of(context), name, yes=yes))
