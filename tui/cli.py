"""The console script, `quarterdeck` and `qd`: says the version at once, hands everything else to tui.command_line."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tui.garbage import look_no_more, look_seldom
from tui.output import close, make_usable
from tui.version import VERSION

# How long a thread may compute before another gets its turn. Python's own 5 ms would be the delay of each step of an order or a
# stop while a report or a screen is made beside it; at 1 ms what is made beside it takes no longer.
TURN_SECONDS = 0.001


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command line and exit with its status."""
    look_seldom()
    sys.setswitchinterval(TURN_SECONDS)
    make_usable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would look for some in every installed package
    status = run(list(sys.argv[1:] if arguments is None else arguments))
    look_no_more()
    sys.exit(status)


def run(arguments: list[str]) -> int:
    """Run one command line; the exit status. Nothing escapes as a traceback."""
    if arguments == ["--version"]:
        with suppress(OSError):
            print(f"quarterdeck {VERSION}", flush=True)
            return 0
        close()
        return 1
    from tui.command_line import run as run_command

    return run_command(arguments)


if __name__ == "__main__":
    main()
