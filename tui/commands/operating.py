"""The words of the commands that run an engine: the workstation, unattended, attached, on a recorded tape."""

from pathlib import Path
from typing import Annotated

import typer

from tui.commands.options import Json, home_of, leave
from tui.version import VERSION


def begin(context: typer.Context,
          home: Annotated[Path | None, typer.Option("--home", envvar="QUARTERDECK_HOME", show_envvar=False,
                                                    help="The home folder; else QUARTERDECK_HOME, else the "
                                                         "platform's data folder.")] = None,
          version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """A trading workstation that lives in a terminal. Without a command it opens, on paper money."""
    if version:
        print(f"quarterdeck {VERSION}")
        raise typer.Exit
    if home is not None:
        context.obj = home.expanduser().absolute()
    if context.invoked_subcommand is None:
        from tui.commands import running

        leave(running.workstation(home_of(context)))


def run(context: typer.Context,
        headless: Annotated[bool, typer.Option("--headless", help="No screen: logs, control socket, systemd.")] = False,
        ) -> None:
    """Run the engine; without --headless as the workstation."""
    from tui.commands import running

    leave(running.headless(home_of(context)) if headless else running.workstation(home_of(context)))


ReadOnly = Annotated[bool, typer.Option("--read-only", help="Only look on: nothing is sent to the engine.")]
Socket = Annotated[Path | None, typer.Option("--socket", help="A control socket, forwarded from another machine.")]


def attach(context: typer.Context, read_only: ReadOnly = False, socket: Socket = None) -> None:
    """Open the workstation on an engine that already runs."""
    from tui.commands import attaching

    leave(attaching.attach(home_of(context), read_only=read_only, socket=socket))


Port = Annotated[int, typer.Option("--port", min=0, max=65_535, help="The port on this machine (0: a free one).")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="Keep the token in this file, which only its owner may "
                                                "read; else a new one is made each time.")]


def serve(context: typer.Context, port: Port = 8765, read_only: ReadOnly = False, token_file: TokenFile = None) -> None:
    """Show the workstation of a running engine in a browser on this machine, to whoever has the token."""
    from tui.commands import serving

    leave(serving.serve(home_of(context), port, read_only=read_only, token_file=token_file))


Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV, CSV.gz or Parquet tapes.")]
Speed = Annotated[str | None, typer.Option("--speed", help="Times real time, or max; 60, or max without screen.")]
Headless = Annotated[bool, typer.Option("--headless", help="No screen; ends with a report.")]
Script = Annotated[Path | None, typer.Option("--script", help="Timed commands, one JSON object a line.")]
OnBad = Annotated[str, typer.Option("--on-bad", help="A bad row: refuse the tape, or skip the row.")]
TapeSymbol = Annotated[str | None, typer.Option("--symbol", help="Where the file's name does not tell.")]
Cash = Annotated[str | None, typer.Option("--cash", help="Money at the start, in the tape's currency.")]
Inspect = Annotated[bool, typer.Option("--inspect", help="Only say what the tape holds.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew instead of where it was left.")]
Report = Annotated[Path | None, typer.Option("--report", help="Write the report, as JSON, to this file.")]


def replay(context: typer.Context, files: Files, speed: Speed = None, headless: Headless = False, script: Script = None,
           on_bad: OnBad = "refuse", symbol: TapeSymbol = None, cash: Cash = None, inspect: Inspect = False,
           fresh: Fresh = False, report: Report = None, as_json: Json = False) -> None:
    """Play recorded bars or trades through the engine.

    Each replay has a home of its own, under replays/ or where --home says, and goes on where it was left.
    """
    from tui.commands import replaying
    from tui.commands.parsing import maybe_positive

    if inspect:
        leave(replaying.inspect_tapes(files, symbol=symbol, as_json=as_json))
        return
    wish = replaying.Wish(tuple(files), replaying.speed_of(speed), headless, script, on_bad, symbol,
                          maybe_positive(cash, "--cash"), fresh, report, as_json)
    chosen = context.find_root().get_parameter_source("home")
    named = chosen is not None and chosen.name == "COMMANDLINE"
    leave(replaying.replay(home_of(context), wish, own_home=named))


COMMANDS = {one.__name__: one for one in (run, attach, serve, replay)}
