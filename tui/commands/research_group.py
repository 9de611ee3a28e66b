"""The words of the commands about research: runs, decisions, calibration, threads, events."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import AnyPortfolio, Json, Portfolio, home_of, leave

research = typer.Typer(
    help="Research: run, drill, export, import, stop, status, changes, release.", rich_markup_mode=None)

Symbols = Annotated[list[str] | None, typer.Argument(metavar="[SYMBOL]...", help="What to look into; else a scan chooses.")]
Recording = Annotated[str, typer.Option("--replay", metavar="RUN|FILE",
                                        help="Do a recorded run again; asks no model, and has to come to the same.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin it and leave; a running engine does it.")]
Most = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many, the newest.")]
ChangeId = Annotated[str, typer.Argument(metavar="CHANGE", help="As `research changes` names it.", show_default=False)]
Why = Annotated[str, typer.Option("--reason", help="Why, for the record.")]


@research.command("run")
def run(context: typer.Context, symbols: Symbols = None, portfolio: Portfolio = "", replay: Recording = "",
        no_wait: NoWait = False, as_json: Json = False) -> None:
    """Look into a portfolio's market now: every decision is scored, and put before a person where the portfolio allows it."""
    from tui.commands import research_replaying, researching

    home, named = home_of(context), tuple(symbols or ())
    leave(research_replaying.replay(home, replay, named, as_json=as_json) if replay
          else researching.run(home, researching.Asked(named, portfolio, drill=False), waits=not no_wait, as_json=as_json))


@research.command("drill")
def drill(context: typer.Context, symbols: Symbols = None, portfolio: Portfolio = "", no_wait: NoWait = False,
          as_json: Json = False) -> None:
    """The same as a rehearsal: scored, never proposed."""
    from tui.commands import researching

    leave(researching.run(home_of(context), researching.Asked(tuple(symbols or ()), portfolio, drill=True),
                          waits=not no_wait, as_json=as_json))


@research.command("export")
def export(context: typer.Context, run_id: Annotated[str, typer.Argument(metavar="RUN", help="As `decisions` names it.")],
           target: Annotated[Path, typer.Argument(metavar="FILE", help="A new file, such as run.jsonl.gz.")]) -> None:
    """Write a run with all that a replay needs into one file; no key is in it."""
    from tui.commands import research_replaying

    leave(research_replaying.export_run(home_of(context), run_id, target))


@research.command("import")
def import_(context: typer.Context, source: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")]) -> None:
    """Take the runs of a file into the archive, to look into them and to replay them."""
    from tui.commands import research_replaying

    leave(research_replaying.import_runs(home_of(context), source))


@research.command("stop")
def stop(context: typer.Context, portfolio: Portfolio = "", as_json: Json = False) -> None:
    """End the run of a portfolio that is under way."""
    from tui.commands import researching

    leave(researching.stop(home_of(context), portfolio, as_json=as_json))


@research.command("status")
def status(context: typer.Context, as_json: Json = False) -> None:
    """Who answers, what it may spend, what each portfolio makes of it and why."""
    from tui.commands import researching

    researching.status(home_of(context), as_json=as_json)


@research.command("changes")
def changes(context: typer.Context, as_json: Json = False) -> None:
    """Changes of parameters that the nightly learning proposes, with their evidence."""
    from tui.commands import research_record

    research_record.changes(home_of(context), as_json=as_json)


@research.command("apply")
def apply(context: typer.Context, change: ChangeId, as_json: Json = False) -> None:
    """Apply a proposed change."""
    from tui.commands import researching

    leave(researching.settle_change(home_of(context), change, "", applies=True, as_json=as_json))


@research.command("reject")
def reject(context: typer.Context, change: ChangeId, reason: Why = "", as_json: Json = False) -> None:
    """Leave a parameter as it is."""
    from tui.commands import researching

    leave(researching.settle_change(home_of(context), change, reason, applies=False, as_json=as_json))


@research.command("release")
def release(context: typer.Context, portfolio: Portfolio = "", reason: Why = "", as_json: Json = False) -> None:
    """Let a portfolio act on its research again after a degradation alarm."""
    from tui.commands import researching

    leave(researching.release(home_of(context), portfolio, reason, as_json=as_json))


def calibration(context: typer.Context, as_json: Json = False) -> None:
    """How good the forecasts were: scores, skill and reliability of each cell."""
    from tui.commands import research_record

    research_record.calibration(home_of(context), as_json=as_json)


def threads(context: typer.Context, portfolio: AnyPortfolio = "", as_json: Json = False) -> None:
    """What each portfolio's research remembers of the last seven days."""
    from tui.commands import research_record

    research_record.threads(home_of(context), portfolio, as_json=as_json)


def events(context: typer.Context, day: Annotated[str, typer.Argument(metavar="[DAY]", help="2026-03-08; else today.")] = "",
           portfolio: AnyPortfolio = "", as_json: Json = False) -> None:
    """What happened, whom it concerns, and what may follow."""
    from tui.commands import research_record

    research_record.events(home_of(context), day, portfolio, as_json=as_json)


def decisions(context: typer.Context, decision: Annotated[
        str, typer.Argument(metavar="[ID]", help="One decision with everything that it rests on.")] = "",
        everything: Annotated[bool, typer.Option("--all", help="Include what is settled.")] = False,
        researched: Annotated[bool, typer.Option("--research", help="What research decided, and how it turned out.")] = False,
        portfolio: AnyPortfolio = "", limit: Most = 50, as_json: Json = False) -> None:
    """Trades that wait for a person; with --research what research decided, with an ID one decision in full."""
    from tui.commands import queries, research_record

    home: Path = home_of(context)
    if decision:
        research_record.decision(home, decision, as_json=as_json)
    elif researched:
        research_record.decisions(home, portfolio, limit, as_json=as_json)
    else:
        queries.decisions(home, everything=everything, as_json=as_json)


COMMANDS = {one.__name__: one for one in (decisions, calibration, threads, events)}
