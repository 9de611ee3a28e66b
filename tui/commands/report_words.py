"""The words of the command that reports on performance."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import AnyPortfolio, Json, home_of

Since = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, such as 2026-03-01, or 90d ago.")]
Until = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")]
Period = Annotated[str, typer.Option("--period", help="day, week or month: the rows of the table.")]
Which = Annotated[str, typer.Option("--table", help="For --csv and --parquet: round_trips, fills, equity or periods.")]
Csv = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write a table as CSV.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="Write a table as Parquet.")]
Html = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the whole report as one page with charts.")]


def report(context: typer.Context, portfolio: AnyPortfolio = "", since: Since = None, until: Until = None,
           period: Period = "month", table: Which = "round_trips", csv: Csv = None, parquet: Parquet = None, html: Html = None,
           as_json: Json = False) -> None:
    """How it went: equity, drawdown, ratios, round trips, costs, and what the results came from."""
    from tui.commands import reporting

    reporting.report(home_of(context), reporting.Wanted(portfolio, since, until, period, table, csv, parquet, html),
                     as_json=as_json)


COMMANDS = {"report": report}
