"""The workstation in a browser on this machine, for as long as this command runs."""

import importlib.util
import os
import signal
import stat
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import ConfigError, EngineUnreachable, QuarterdeckError
from engine.pulses import Pulses
from tui.printing import print_note

if TYPE_CHECKING:
    from store.home import Home

HOST = "127.0.0.1"
SHORTEST_TOKEN = 20
START_SECONDS = 30.0
MISSING = "serve: textual-serve is not installed; in the clone `uv sync --extra serve`, or `uv tool install '.[serve]'`"


def serve(path: Path, port: int, *, read_only: bool, token_file: Path | None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP. The engine has to run already, and goes on."""
    if importlib.util.find_spec("textual_serve") is None:
        raise ConfigError(MISSING)
    from tui.browser import Browser, new_token
    from tui.commands.link import connect, existing_home
    from tui.http_server import HttpServer
    from tui.logs import quiet_log

    home = existing_home(path)
    connect(home).close()
    token = _kept_token(token_file, new_token()) if token_file is not None else new_token()
    browser = Browser(_window_command(home, read_only=read_only), token, lambda: _answers(home))
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with quiet_log(home.logs):
        server = HttpServer("serve", browser.app, HOST, port, Pulses())
        server.start()
        try:
            server.settled.wait(START_SECONDS)
            if server.failure or not server.port:
                raise QuarterdeckError(f"serve: {server.failure or 'it does not listen'}; choose another --port")
            _tell(server.port, "" if token_file is not None else token)
            ended.wait()
        finally:
            server.close()
    return 0


def _tell(port: int, token: str) -> None:
    print(f"http://{HOST}:{port}/?token={token or 'TOKEN'}", flush=True)
    print_note("this address opens the workstation: it is shown once, whoever has it is in" if token else
               "TOKEN is what the token file holds")
    print_note("ctrl+c ends it; the engine goes on")


def _window_command(home: "Home", *, read_only: bool) -> list[str]:
    only = ["--read-only"] if read_only else []
    return [sys.executable, "-m", "tui.cli", "--home", str(home.path), "attach", *only]


def _answers(home: "Home") -> bool:
    from tui.commands.link import connect

    try:
        connect(home).close()
    except EngineUnreachable:
        return False
    return True


def _kept_token(path: Path, fresh: str) -> str:
    """The token of a file of its owner alone; where there is none it is made, with a fresh one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read_token(path)
    except OSError as error:
        raise ConfigError(f"{path}: the token cannot be kept there: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{fresh}\n")
    return fresh


def _read_token(path: Path) -> str:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: the token cannot be read: {error}") from error
    if mode & 0o077:
        raise ConfigError(f"{path}: others may read it ({mode:o}); `chmod 600` it, or take another file")
    if len(token) < SHORTEST_TOKEN:
        raise ConfigError(f"{path}: a token has at least {SHORTEST_TOKEN} characters; remove the file to have one made")
    return token
