"""The words of the commands that stand before real money: rehearsing incidents, and the gates."""

from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave

Incidents = Annotated[list[str] | None, typer.Argument(metavar="[INCIDENT...]", help="Which; `rehearse --list` names them.")]


def rehearse(context: typer.Context, incidents: Incidents = None,
             every: Annotated[bool, typer.Option("--all", help="Every incident.")] = False,
             seed: Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Chooses sides, moments, sizes.")] = 1,
             record: Annotated[bool, typer.Option("--record/--no-record", help="Keep the result as evidence.")] = True,
             listed: Annotated[bool, typer.Option("--list", help="Only name the incidents.")] = False,
             as_json: Json = False) -> None:
    """Play incidents on the paper venue with the real engine, in a home of their own, and score them."""
    from tui.commands import rehearsing

    if listed:
        leave(rehearsing.list_incidents(seed, as_json=as_json))
        return
    leave(rehearsing.rehearse(home_of(context), incidents or (), every=every, seed=seed, record=record, as_json=as_json))


Portfolio = Annotated[str, typer.Argument(metavar="[PORTFOLIO]", help="Which; else the first with real money, else the first.")]


def golive(context: typer.Context, portfolio: Portfolio = "", as_json: Json = False) -> None:
    """The gates before real money, each met or not, with what was found and what to do; 1 while one is not met."""
    from tui.commands import gates

    leave(gates.golive(home_of(context), portfolio, as_json=as_json))


COMMANDS = {one.__name__: one for one in (rehearse, golive)}
