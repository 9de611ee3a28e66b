"""The words of the commands that only look."""

from typing import Annotated

import typer

from tui.commands.options import Json, home_of

Days = Annotated[int | None, typer.Option("--days", min=1, help="Those of the newest days, as they were told then.")]
Everything = Annotated[bool, typer.Option("--all", help="Include what is closed or settled.")]


def status(context: typer.Context, as_json: Json = False) -> None:
    """One page: what runs, what is held, what waits."""
    from tui.commands import queries

    queries.status(home_of(context), as_json=as_json)


def positions(context: typer.Context, as_json: Json = False) -> None:
    """Open positions with profit, stop and protection."""
    from tui.commands import queries

    queries.positions(home_of(context), as_json=as_json)


def orders(context: typer.Context, everything: Everything = False, as_json: Json = False) -> None:
    """Working orders."""
    from tui.commands import queries

    queries.orders(home_of(context), everything=everything, as_json=as_json)


def fills(context: typer.Context, as_json: Json = False) -> None:
    """The newest executions."""
    from tui.commands import queries

    queries.fills(home_of(context), as_json=as_json)


def alerts(context: typer.Context, as_json: Json = False) -> None:
    """Alerts and messages."""
    from tui.commands import queries

    queries.alerts(home_of(context), as_json=as_json)


def regimes(context: typer.Context, days: Days = None, as_json: Json = False) -> None:
    """Whether each market trends or ranges, is calm or wild."""
    from tui.commands import strategies

    strategies.regimes(home_of(context), days, as_json=as_json)


COMMANDS = {one.__name__: one for one in (status, positions, orders, fills, alerts, regimes)}
