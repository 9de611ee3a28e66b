"""The words of the commands that look after a home."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands.access_group import access
from tui.commands.alert_group import alert
from tui.commands.audit_group import audit
from tui.commands.candidate_group import candidates
from tui.commands.copy_words import archive, backup, restore
from tui.commands.notify_group import notify
from tui.commands.options import Json, Yes, home_of, leave
from tui.commands.research_group import research
from tui.commands.schedule_group import schedule
from tui.commands.service_group import service
from tui.commands.strategy_group import strategies
from tui.commands.webhook_group import webhook

journal = typer.Typer(help="The append-only record: verify, tail, export, archive.", rich_markup_mode=None)
config = typer.Typer(help="The configuration: check, show, migrate.", rich_markup_mode=None)
keys = typer.Typer(help="Keys of real venues: set, list, test, delete.", rich_markup_mode=None)
themes = typer.Typer(help="Colours of the screen.", rich_markup_mode=None)


NewFile = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A new file; else standard output.")]
Bundle = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new .zip file.")]
Amounts = Annotated[bool, typer.Option("--amounts", help="Leave quantities, balances and other numbers in.")]
OldRows = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A file of archived or cut rows; else the journal.")]
Write = Annotated[bool, typer.Option("--write", help="Write it; the old file is kept.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file; a copy of it is kept.")]


@journal.command()
def verify(context: typer.Context, file: OldRows = None, as_json: Json = False) -> None:
    """Prove every row against its hash; names the row where one is damaged."""
    from tui.commands import upkeep

    leave(upkeep.archive_verify(file, as_json=as_json) if file else upkeep.journal_verify(home_of(context), as_json=as_json))


@journal.command()
def tail(context: typer.Context, rows: Annotated[int, typer.Option("--rows", "-n", min=1, help="How many.")] = 20,
         as_json: Json = False) -> None:
    """The newest rows."""
    from tui.commands import upkeep

    leave(upkeep.journal_tail(home_of(context), rows, as_json=as_json))


@journal.command()
def export(context: typer.Context, target: NewFile = None,
           as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of JSON lines.")] = False) -> None:
    """The whole journal as JSON lines or CSV."""
    from tui.commands import upkeep

    leave(upkeep.journal_export(home_of(context), target, as_csv=as_csv))


def support_bundle(context: typer.Context, target: Bundle = None, amounts: Amounts = False, as_json: Json = False) -> None:
    """What a helper needs to know of this home, without secrets; says first what it will hold."""
    from tui.commands import bundling

    leave(bundling.support_bundle(home_of(context), target, amounts=amounts, as_json=as_json))


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Look the home over, and say what to do."""
    from tui.commands import doctoring

    leave(doctoring.doctor(home_of(context), as_json=as_json))


def health(context: typer.Context, as_json: Json = False) -> None:
    """What is well with the running engine, and what is not."""
    from tui.commands import health as work

    leave(work.health(home_of(context), as_json=as_json))


def init(context: typer.Context, force: Force = False) -> None:
    """Write config.toml, every setting commented."""
    from tui.commands import upkeep

    leave(upkeep.init(home_of(context), force=force))


def locate(context: typer.Context, as_json: Json = False) -> None:
    """Where the home and its files lie."""
    from tui.commands import upkeep

    leave(upkeep.locate(home_of(context), as_json=as_json))


def venues(as_json: Json = False) -> None:
    """What each venue does by itself, and what the engine does in its stead."""
    from tui.commands import venues as work

    leave(work.venues(as_json=as_json))


@config.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Everything wrong in the configuration, and what in it contradicts itself."""
    from tui.commands import upkeep

    leave(upkeep.config_check(home_of(context), as_json=as_json))


@config.command("show")
def show(context: typer.Context, as_json: Json = False) -> None:
    """The configuration in force, defaults included."""
    from tui.commands import upkeep

    leave(upkeep.config_show(home_of(context), as_json=as_json))


@config.command("migrate")
def migrate(context: typer.Context, write: Write = False, as_json: Json = False) -> None:
    """Bring an older file up to date: shown as a diff, comments kept."""
    from tui.commands import config_migrating

    leave(config_migrating.migrate(home_of(context), write=write, as_json=as_json))


@themes.command("list")
def themes_list(context: typer.Context, as_json: Json = False) -> None:
    """The themes there are."""
    from tui.commands import upkeep

    leave(upkeep.themes_list(home_of(context), as_json=as_json))


Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account, by its name in config.toml.")]


@keys.command("set")
def keys_set(context: typer.Context, account: Account,
             from_stdin: Annotated[bool, typer.Option("--stdin", help="Read it from standard input: a line each for key id, "
                                                                      "secret and passphrase, or JSON.")] = False) -> None:
    """Store an account's key; asks for it without showing it. A key is never an argument."""
    from tui.commands import keys as work

    leave(work.set_key(home_of(context), account, from_stdin=from_stdin))


@keys.command("list")
def keys_list(context: typer.Context, as_json: Json = False) -> None:
    """Which accounts have a key; shows none of it."""
    from tui.commands import keys as work

    leave(work.list_keys(home_of(context), as_json=as_json))


@keys.command("test")
def keys_test(context: typer.Context, account: Account, as_json: Json = False) -> None:
    """Ask the venue what an account's key may do."""
    from tui.commands import keys as work

    leave(work.test_key(home_of(context), account, as_json=as_json))


@keys.command("delete")
def keys_delete(context: typer.Context, account: Account, yes: Yes = False) -> None:
    """Forget an account's key."""
    from tui.commands import keys as work

    leave(work.delete_key(home_of(context), account, yes=yes))


journal.command("archive")(archive)

COMMANDS = {one.__name__: one for one in (backup, restore, doctor, health, init, locate, venues)} | {
    "support-bundle": support_bundle}
GROUPS = {"access": access, "alert": alert, "audit": audit, "journal": journal, "config": config, "keys": keys, "themes": themes,
          "notify": notify, "webhook": webhook, "schedule": schedule, "service": service, "strategies": strategies,
          "candidates": candidates, "research": research}
