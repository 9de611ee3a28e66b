"""The words of the command that brings a portfolio back to its targets."""

from typing import Annotated

import typer

from tui.commands.options import Json, Portfolio, home_of, leave

WhatIf = Annotated[bool, typer.Option("--what-if", help="Show what would be sent; send nothing.")]


def rebalance(context: typer.Context, portfolio: Portfolio = "", what_if: WhatIf = False, as_json: Json = False) -> None:
    """Bring a portfolio back to its targets; with --what-if only show target, actual part, drift and orders.

    Reductions go first; what is short is bought once they are done, through every check and cut to what the limits allow.
    """
    from tui.commands import rebalancing

    leave(rebalancing.rebalance(home_of(context), portfolio, what_if=what_if, as_json=as_json))


COMMANDS = {"rebalance": rebalance}
