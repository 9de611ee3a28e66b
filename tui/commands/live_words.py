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


COMMANDS = {one.__name__: one for one in (rehearse,)}
