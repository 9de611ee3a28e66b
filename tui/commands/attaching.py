"""The screen on an engine that runs elsewhere; the engine goes on when the screen closes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tui.terminal import require_screen
from tui.version import VERSION

if TYPE_CHECKING:
    from store.home import Home
    from tui.control_client import ControlClient


def attach(path: Path, *, read_only: bool, socket: Path | None) -> int:
    """Open the screen on the engine that holds the home, or on the one that answers on `socket`."""
    require_screen("quarterdeck status")
    from engine.config import Config, load_config
    from store.home import Home
    from tui.attached import Attached
    from tui.commands.link import existing_home
    from tui.commands.running import show_screen

    home = Home(path) if socket is not None else existing_home(path)
    config = load_config(home.config) if home.config.is_file() else Config()
    attached = Attached(_reach(home, socket, read_only=read_only))
    try:
        show_screen(attached, home, config, ends_engine=False, gate=attached)
    finally:
        attached.close()
    return 0


def _reach(home: "Home", socket: Path | None, *, read_only: bool) -> "Callable[[], ControlClient]":
    def reach() -> "ControlClient":
        from tui.commands.link import connect
        from tui.control_client import ControlClient

        if socket is not None:
            return ControlClient(socket, VERSION, read_only=read_only)
        return connect(home, read_only=read_only)

    return reach
