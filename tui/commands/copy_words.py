"""The words of the commands that copy a home and put it back."""

from pathlib import Path
from typing import Annotated

import typer

from engine.errors import UsageError
from tui.commands.options import Json, Yes, home_of, leave

What = Annotated[list[str] | None, typer.Argument(
    metavar="[FOLDER] | list | verify NAME", help="Where to; else the home's backups.", show_default=False)]
Backup = Annotated[Path, typer.Argument(metavar="BACKUP", help="Its name in `backup list`, its folder or its sealed file.")]
Replace = Annotated[bool, typer.Option("--replace", help="Move the home's content aside first.")]
Until = Annotated[str | None, typer.Option("--until", metavar="ROW|TIME", help="Cut the journal there; the rest goes to a file.")]
Encrypt = Annotated[bool, typer.Option("--encrypt", help="Seal it with a passphrase, in the age format.")]
Recipient = Annotated[str, typer.Option("--recipient", metavar="KEY", help="Seal it to an age public key.", show_default=False)]
Identity = Annotated[Path | None, typer.Option("--identity", metavar="FILE", help="The file of the age private key.")]
Before = Annotated[str, typer.Option("--before", metavar="DATE", help="Rows from before then, UTC.")]
Copy = Annotated[Path | None, typer.Option("--copy", metavar="FOLDER", help="Put a copy of the file there.")]


def backup(context: typer.Context, what: What = None, encrypt: Encrypt = False, recipient: Recipient = "",
           identity: Identity = None, as_json: Json = False) -> None:
    """Copy what lasts, and prove the copy; `backup list` names the copies, `backup verify NAME` reads one back."""
    from tui.commands import copying

    match what or []:
        case ["list"]:
            leave(copying.list_backups(home_of(context), as_json=as_json))
        case ["verify", name]:
            leave(copying.verify_backup(home_of(context), name, identity, as_json=as_json))
        case [] | [_]:
            target = Path(what[0]) if what else None
            leave(copying.backup(home_of(context), target, encrypt=encrypt, recipient=recipient, as_json=as_json))
        case words:
            raise UsageError(f"backup {' '.join(words)}: say a folder, `list`, or `verify NAME`")


def restore(context: typer.Context, source: Backup, until: Until = None, replace: Replace = False, identity: Identity = None,
            yes: Yes = False, as_json: Json = False) -> None:
    """Put a backup into the home; with --until as of a row or a time, halted."""
    from tui.commands import copying

    leave(copying.restore(home_of(context), source, until=until, replace=replace, identity=identity, yes=yes, as_json=as_json))


def archive(context: typer.Context, before: Before, copy: Copy = None, encrypt: Encrypt = False, recipient: Recipient = "",
            yes: Yes = False, as_json: Json = False) -> None:
    """Move old rows to a compressed file that `verify` and `export` read as before; no engine may run."""
    from tui.commands import copying

    leave(copying.archive_journal(home_of(context), before, copy, encrypt=encrypt, recipient=recipient, yes=yes, as_json=as_json))
