"""The words of the commands about strategies."""

from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave

strategies = typer.Typer(help="Strategies: list, show, rules, enable, disable.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The strategy, by its name in config.toml.")]


@strategies.command("list")
def list_strategies(context: typer.Context, as_json: Json = False) -> None:
    """Every strategy, what it holds, and why nothing came of its last want."""
    from tui.commands import strategies as work

    work.list_strategies(home_of(context), as_json=as_json)


@strategies.command("show")
def show(context: typer.Context,
         name: Annotated[str, typer.Argument(metavar="NAME", help="A strategy, or a rule.")],
         as_json: Json = False) -> None:
    """One strategy with its parameters and its last want; or what a rule does and takes."""
    from tui.commands import strategies as work

    work.show(home_of(context), name, as_json=as_json)


@strategies.command("rules")
def rules(context: typer.Context, as_json: Json = False) -> None:
    """The built-in rules and your own."""
    from tui.commands import strategies as work

    work.list_rules(home_of(context), as_json=as_json)


@strategies.command("enable")
def enable(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Let a strategy run."""
    from tui.commands import strategies as work

    leave(work.switch(home_of(context), name, enabled=True, as_json=as_json))


@strategies.command("disable")
def disable(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Stop a strategy; what it holds keeps its protection."""
    from tui.commands import strategies as work

    leave(work.switch(home_of(context), name, enabled=False, as_json=as_json))
