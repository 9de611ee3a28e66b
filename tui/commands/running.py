"""Running an engine: as the workstation, unattended, or attached to one that runs."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import HomeLocked, QuarterdeckError, UsageError
from tui.garbage import look_usually
from tui.printing import print_error
from tui.version import VERSION

if TYPE_CHECKING:
    from engine.config import Config
    from engine.service import AccessGate, Service
    from store.home import Home
    from tui.running_engine import RunningEngine

BEAT_SECONDS = 0.5


def workstation(path: Path) -> int:
    """Open the screen on an engine of its own; the engine ends with the screen, its stops stay at the venue."""
    require_terminal("quarterdeck run --headless")
    from engine.config import load_config
    from store.home import open_home
    from tui.compose import open_engine

    home = open_home(path)
    config = load_config(home.config)
    painted = threading.Event()
    with open_engine(home, config, painted=painted) as running:
        _show_own(running, home, config, painted.set)
        if running.engine.failure:
            raise QuarterdeckError(running.engine.failure)
    return 0


def require_terminal(instead: str) -> None:
    """Raise `UsageError` where there is no terminal for a screen."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(f"there is no terminal here for the screen; use `{instead}`")


def _show_own(running: "RunningEngine", home: "Home", config: "Config", on_painted: Callable[[], None]) -> None:
    """The screen of the engine's own process; behind the gate where everybody has to unlock."""
    from tui.access import GuardedService, Session

    if config.access.unlock != "everybody":
        show_screen(running.engine, home, config, ends_engine=True, on_painted=on_painted)
        return
    own = GuardedService(running.engine, Session(running.gate, "the workstation", remote=False))
    show_screen(own, home, config, ends_engine=True, gate=own, on_painted=on_painted)


def show_screen(service: "Service", home: "Home", config: "Config", *, ends_engine: bool,
                gate: "AccessGate | None" = None, on_painted: Callable[[], None] = lambda: None) -> None:
    """Run the app until the person leaves, or the terminal or a service manager ends it."""
    from zoneinfo import ZoneInfo

    from tui.app import QuarterdeckApp
    from tui.logs import SCREEN_LOG_FILE, start_logs
    from tui.terminal import end_with_terminal, outlive_terminal

    log = config.log
    if home.path.is_dir():
        start_logs(home.logs, log.level, log.file_megabytes, log.files_kept, file_name=SCREEN_LOG_FILE, to_stderr=False)
    else:  # attached to an engine of another machine, on one that has no home
        logging.getLogger().addHandler(logging.NullHandler())
    outlive_terminal()
    app = QuarterdeckApp(service, home_themes=home.themes, theme_name=config.app.theme, ends_engine=ends_engine,
                         zone=ZoneInfo(config.app.zone), gate=gate)
    app.on_painted = on_painted
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: app.exit())
    end_with_terminal(app)
    app.run()


def headless(path: Path) -> int:
    """The engine unattended, until SIGTERM, SIGINT, SIGHUP (unless the caller lets that be ignored, as nohup does), a `stop` over
    the socket, or its own failure. One that cannot start tells whoever is away from the screen."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())
    try:
        running, config = _opened(path, stop)
    except HomeLocked:
        raise  # another engine watches
    except Exception as error:
        from tui.compose_notify import tell_failed_start

        tell_failed_start(path, str(error) if isinstance(error, QuarterdeckError) else type(error).__name__)
        raise
    with running:
        return _attend(running, config, stop)


def _opened(path: Path, stop: threading.Event) -> "tuple[RunningEngine, Config]":
    """The engine of a home, started; raises as `open_engine` does."""
    from engine.config import load_config
    from store.home import open_home
    from tui.compose import HEADLESS_WARM_BARS, open_engine
    from tui.compose_notify import forget_failed_start

    home = open_home(path)
    config = load_config(home.config)
    running = open_engine(home, config, on_stop=stop.set, warm_bars=HEADLESS_WARM_BARS, on_ready=_tell_ready)
    forget_failed_start(home)
    return running, config


def _tell_ready(running: "RunningEngine") -> None:
    """Say on standard output and to the service manager that positions are watched and commands answered."""
    from tui.systemd import notify

    with suppress(OSError):  # standard output may be a full disk, or a pipe whose reader has gone: no reason to end
        print(f"quarterdeck {VERSION} {running.engine.parts.mode.value} ready: home {running.home.path}, process {os.getpid()}, "
              f"socket {running.home.socket}", flush=True)
    notify("READY=1")


def _attend(running: "RunningEngine", config: "Config", stop: threading.Event) -> int:
    """Log what happens and tell the service manager how we are, until the end."""
    from tui.commands.narrating import Narrator
    from tui.logs import start_logs
    from tui.systemd import notify, watchdog_seconds

    log = start_logs(running.home.logs, config.log.level, config.log.file_megabytes, config.log.files_kept)
    narrator = Narrator(log)
    log.info("started", version=VERSION, mode=running.engine.parts.mode.value, home=str(running.home.path), pid=os.getpid())
    look_usually()
    beat = min(BEAT_SECONDS, watchdog_seconds() or BEAT_SECONDS)
    running.serve_health(config)
    running.serve_webhook(config)
    while not stop.wait(beat) and not running.engine.finished.is_set():
        if narrator.tell(running.engine.latest()):
            notify("WATCHDOG=1")
    notify("STOPPING=1")
    narrator.tell(running.engine.latest())
    failure = running.engine.failure
    log.info("stopping", failure=failure or "")
    if failure:
        print_error(failure)
        return QuarterdeckError.exit_status
    return 0
