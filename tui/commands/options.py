"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON; exact numbers are strings.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Portfolio = Annotated[str, typer.Option("--portfolio", "-p", help="The portfolio; else the only one, or main.")]
AnyPortfolio = Annotated[str, typer.Option("--portfolio", "-p", help="Only this portfolio; all where it is left out.")]
Symbol = Annotated[str, typer.Argument(metavar="SYMBOL", help="For example AAPL or BTC/USD.", show_default=False)]


def home_of(context: typer.Context) -> Path:
    """The home that the command line, the environment or the platform names."""
    found = context.find_root().obj
    if isinstance(found, Path):
        return found
    from store.home import default_home_path

    return default_home_path(os.environ)


def leave(status: int) -> None:
    """End a command with its exit status."""
    if status:
        raise typer.Exit(status)
