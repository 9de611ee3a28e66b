"""The words of the commands about candidates: the way of strategies to real money."""

from typing import Annotated

import typer

from tui.commands.options import Json, Yes, home_of, leave

candidates = typer.Typer(help="The way of strategies to real money: list, show, promote, demote.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The strategy, by its name in config.toml.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the step.")]
To = Annotated[str, typer.Option("--to", metavar="STAGE", help="How far back; one stage where it is left out.")]


@candidates.command("list")
def list_candidates(context: typer.Context, as_json: Json = False) -> None:
    """Every strategy's stage, its results in it, and what its next stage still asks for."""
    from tui.commands import candidates as work

    work.list_candidates(home_of(context), as_json=as_json)


@candidates.command("show")
def show(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """One strategy: every gate of its next stage, its evidence, and the steps so far."""
    from tui.commands import candidates as work

    work.show(home_of(context), name, as_json=as_json)


@candidates.command("promote")
def promote(context: typer.Context, name: Name, reason: Reason = "", yes: Yes = False, as_json: Json = False) -> None:
    """Let a strategy go one stage further; shows what that rests on and asks for its name."""
    from tui.commands import candidates as work

    leave(work.promote(home_of(context), name, reason, yes=yes, as_json=as_json))


@candidates.command("demote")
def demote(context: typer.Context, name: Name, to: To = "", reason: Reason = "", as_json: Json = False) -> None:
    """Take a strategy back at once; what it holds keeps its protection."""
    from tui.commands import candidates as work

    leave(work.demote(home_of(context), name, to, reason, as_json=as_json))
