"""The terminal or browser that shows a screen: whether there is one, and what happens once it is gone."""

import asyncio
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from engine.errors import UsageError

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
LAST_SECONDS = 5.0


def require_screen(instead: str) -> None:
    """Raise `UsageError` where there is neither a terminal nor a browser for a screen."""
    if os.environ.get("TEXTUAL_DRIVER") != WEB_DRIVER and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"there is no terminal here for the screen; use `{instead}`")


class SurvivingOutput:
    """A terminal's output that takes what is written to it also once nobody is there any more.

    Textual writes in a thread of its own, which an error would end; the app's end then waits for that thread for ever. An empty
    text has all that was written before it handed on, and then calls `asked`.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.asked: Callable[[], object] | None = None

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        if not text and self.asked is not None:
            self.flush()
            with suppress(RuntimeError):  # the app's loop is closed: nobody waits any more
                self.asked()
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def outlive_terminal() -> None:
    """Have the app, once it is made, write to a terminal that may go away."""
    if sys.__stderr__ is not None:
        sys.__stderr__ = SurvivingOutput(sys.__stderr__)  # type: ignore[misc,assignment]  # where Textual's driver looks


async def terminal_took(write: Callable[[str], None]) -> None:
    """Return once the terminal took everything that was given to `write`, the driver's.

    Textual keeps thirty writes waiting. Over a slow link they would be many seconds of frames, each older than the next, with the
    answer to a key behind them all.
    """
    output: object = sys.__stderr__
    if isinstance(output, SurvivingOutput):
        loop, took = asyncio.get_running_loop(), asyncio.Event()
        output.asked = lambda: loop.call_soon_threadsafe(took.set)
        write("")
        await took.wait()


def end_with_terminal(app: "QuarterdeckApp") -> None:
    """From now on leave the app once the other side of standard input is gone: nobody can see it any more. One whose engine
    lives elsewhere is ended hard where a dead terminal holds it up."""
    threading.Thread(target=_end_with_terminal, args=(app,), name="terminal", daemon=True).start()


def _end_with_terminal(app: "QuarterdeckApp") -> None:
    if sys.__stdin__ is None:
        return
    watch = select.poll()
    watch.register(sys.__stdin__.fileno(), 0)
    while not any(seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, seen in watch.poll()):
        continue
    try:
        app.call_from_thread(app.exit)
    except RuntimeError:
        return  # the app is gone already
    if not app.ends_engine:
        threading.Event().wait(LAST_SECONDS)
        os._exit(0)
