"""The command line. Words and options only; the work is done in tui.commands.

Exit status: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 no engine or venue reachable. A failure is
one line on standard error; the details of an unexpected one go to a file whose path the line names.
"""

import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import typer

from engine.errors import QuarterdeckError
from tui.commands import (
    history_words,
    live_words,
    looking,
    operating,
    ordering,
    report_words,
    research_group,
    risk_words,
    search_words,
    target_words,
    tending,
)
from tui.output import close
from tui.printing import print_error

USAGE_STATUS = 2
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)
INTERRUPTED_STATUS = 130
HOME_OPTION = "--home"

COMMANDS: dict[str, Callable[..., None]] = {
    **operating.COMMANDS, **looking.COMMANDS, **research_group.COMMANDS, **report_words.COMMANDS, **risk_words.COMMANDS,
    **ordering.COMMANDS, **target_words.COMMANDS, **history_words.COMMANDS, **search_words.COMMANDS, **tending.COMMANDS,
    **live_words.COMMANDS}


def run(arguments: list[str]) -> int:
    """Run one command line; the exit status. Nothing escapes as a traceback."""
    ordered = _home_first(arguments)
    try:
        status = typer.main.get_command(_command_line(_named(ordered))).main(
            ordered, prog_name="quarterdeck", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except BrokenPipeError:
        close()
        return 1
    except (Exception, KeyboardInterrupt) as failure:  # noqa: BLE001 - the last line of defence against a traceback
        return _told(failure, ordered)


def _told(failure: BaseException, arguments: Sequence[str]) -> int:
    """Say in one line what went wrong; the exit status."""
    match failure:
        case typer.Exit():
            return failure.exit_code
        case typer.Abort() | KeyboardInterrupt():
            print_error("interrupted")
            return INTERRUPTED_STATUS
        case typer.TyperException():
            print_error(_usage_line(failure))
            return USAGE_STATUS
        case QuarterdeckError():
            print_error(str(failure))
            return failure.exit_status
        case OSError() if failure.errno in FULL:
            close()
            print_error(f"cannot write, to standard output or to the home: {failure.strerror}; what was asked for may be done "
                        "all the same")
            return 1
        case _:
            print_error(_defect_line(failure, arguments))
            return 1


def _command_line(only: str | None) -> typer.Typer:
    """The command line, with one command alone where that is named: building all of them costs a third of a second."""
    app = typer.Typer(name="quarterdeck", add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False,
                      rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
    app.callback(invoke_without_command=True)(operating.begin)
    for name, command in COMMANDS.items():
        if only in (None, name):
            app.command(name)(command)
    for name, group in tending.GROUPS.items():
        if only in (None, name):
            app.add_typer(group, name=name)
    return app


def _named(ordered: Sequence[str]) -> str | None:
    """The known command that a command line names, None where it asks for help or names none that is known."""
    rest = list(ordered)
    while rest and rest[0].startswith(HOME_OPTION):
        del rest[:1 if "=" in rest[0] else 2]
    return rest[0] if rest and (rest[0] in COMMANDS or rest[0] in tending.GROUPS) else None


def _home_first(arguments: list[str]) -> list[str]:
    """Let `--home` stand anywhere: it means the same to every command."""
    moved: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest.append(argument)
            rest.extend(remaining)
        elif argument == HOME_OPTION:
            moved.append(argument)
            with suppress(StopIteration):
                moved.append(next(remaining))
        elif argument.startswith(f"{HOME_OPTION}="):
            moved.append(argument)
        else:
            rest.append(argument)
    return [*moved, *rest]


def _usage_line(wrong: typer.TyperException) -> str:
    message = wrong.format_message() if hasattr(wrong, "format_message") else str(wrong)
    context = getattr(wrong, "ctx", None)
    path = context.command_path if context is not None else "quarterdeck"
    return f"{' '.join(message.split()).rstrip('.')}; see `{path} --help`"


def _defect_line(defect: BaseException, arguments: Sequence[str]) -> str:
    told = f"unexpected {type(defect).__name__}: {defect}"
    try:
        path = _defect_file(_home_path(arguments))
        with path.open("a", encoding="utf-8") as file:
            file.write(f"arguments: {list(arguments)!r}\n")
            traceback.print_exception(defect, file=file)
    except OSError:
        return f"{told}; the details could not be written anywhere"
    return f"{told}; details in {path}"


def _home_path(ordered: Sequence[str]) -> Path:
    from store.home import default_home_path

    if len(ordered) > 1 and ordered[0] == HOME_OPTION:
        return Path(ordered[1])
    if ordered and ordered[0].startswith(f"{HOME_OPTION}="):
        return Path(ordered[0].partition("=")[2])
    return default_home_path(os.environ)


def _defect_file(home: Path) -> Path:
    """A file for the details of a defect: in the home's logs where that is possible, else in the temporary folder."""
    from tempfile import mkstemp

    logs = home / "logs"
    folder = logs if logs.is_dir() and os.access(logs, os.W_OK) else None
    descriptor, name = mkstemp(prefix="defect-", suffix=".log", dir=folder)
    os.close(descriptor)
    return Path(name)
