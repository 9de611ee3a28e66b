"""The words of the command that brings a portfolio back to its targets."""

import typer

from tui.commands.options import Json, Portfolio, home_of, leave
from tui.commands.ordering import WhatIf


def rebalance(context: typer.Context, portfolio: Portfolio = "main", what_if: WhatIf = False, as_json: Json = False) -> None:
    """Bring a portfolio back to its targets; with --what-if only show target, actual part, drift and orders."""
    from tui.commands import rebalancing

    leave(rebalancing.rebalance(home_of(context), portfolio, what_if=what_if, as_json=as_json))


COMMANDS = {"rebalance": rebalance}
