"""The terminal or browser that shows a screen: whether there is one, and what happens once it is gone."""

import os
import select
import sys
import threading
from typing import TYPE_CHECKING

from engine.errors import UsageError

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp

WEB_DRIVER = "textual.drivers.web_driver:WebDriver"
LAST_SECONDS = 5.0


def require_screen(instead: str) -> None:
    """Raise `UsageError` where there is neither a terminal nor a browser for a screen."""
    if os.environ.get("TEXTUAL_DRIVER") != WEB_DRIVER and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"there is no terminal here for the screen; use `{instead}`")


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
