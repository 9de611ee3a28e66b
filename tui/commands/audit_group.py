"""The words of the commands about the audit trail."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave

audit = typer.Typer(help="Who did what and when: export, verify.", rich_markup_mode=None)

NewFile = Annotated[Path, typer.Argument(metavar="FILE", help="A new file; .csv, .jsonl or .parquet.", show_default=False)]
OldFile = Annotated[Path, typer.Argument(metavar="FILE", help="A file of `audit export`; its proof lies beside.")]
From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="From then on, UTC; else from the beginning.")]
To = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Up to the end of that day, or a time; else until now.")]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="csv, jsonl or parquet; else as the file is named.")]
Against = Annotated[Path | None, typer.Option("--against", metavar="JOURNAL", help="A journal.db, of the home or of a backup.")]


@audit.command("export")
def export(context: typer.Context, target: NewFile, begins: From = None, ends: To = None, form: Format = "",
           as_json: Json = False) -> None:
    """Orders, approvals, limits, arming, trading state, logins: with each row's hash, and a proof beside."""
    from tui.commands import auditing

    leave(auditing.export(home_of(context), target, begins, ends, form, as_json=as_json))


@audit.command("verify")
def verify(file: OldFile, against: Against = None, as_json: Json = False) -> None:
    """Prove an exported trail; with --against, that it is the journal's and whole."""
    from tui.commands import auditing

    leave(auditing.verify(file, against, as_json=as_json))
