"""Attached screens as real processes on a real headless engine: they come, go, are dropped, and the engine goes on."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.inputs import TradingState
from engine.service import Snapshot
from store.home import Home
from tui.commands.link import look
from tui.control_client import ControlClient

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60.0
CONFIG = "[market]\nalways_open = true\n[health]\nport = 0\n"
PROGRAM = [sys.executable, "-m", "tui.cli"]


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Screen:
    """The program in a pseudo-terminal; `control` makes it the controlling one, as a login does."""

    def __init__(self, home: Path, *arguments: str, control: bool = True, size: tuple[int, int] = (120, 35)) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        environment = os.environ | {"QUARTERDECK_HOME": str(home), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
        environment.pop("TEXTUAL_DRIVER", None)

        def begin() -> None:
            os.setsid()
            if control:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([*PROGRAM, *arguments], stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        close_fds=True, preexec_fn=begin)  # noqa: PLW1509 - one thread, before exec
        os.close(slave)
        self.seen = b""
        self.open = True

    def read(self) -> str:
        """Everything drawn so far, without its escape sequences."""
        while self.open and select.select([self.master], [], [], 0.02)[0]:
            try:
                self.seen += os.read(self.master, 1 << 16)
            except OSError:
                break
        return re.sub(rb"\x1b(\[[0-9;?<>=]*[A-Za-z]|\][^\x07]*\x07|[=>])", b"", self.seen).decode(errors="replace")

    def sees(self, *words: str) -> None:
        until(lambda: all(word in self.read() for word in words), f"{words} in:\n{self.read()[-3_000:]}")

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def drop(self) -> None:
        """The other side is gone: a closed window, a lost connection."""
        self.open = False
        os.close(self.master)

    def ended(self) -> int:
        """Its exit status."""
        if self.open:
            until(lambda: self.read() is not None and self.process.poll() is not None, "the screen did not end")
        return self.process.wait(PATIENCE_SECONDS)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.open:
            self.drop()


class Headless:
    """An unattended engine as its own process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, exist_ok=True)
        (path / "config.toml").write_text(CONFIG)
        self.begin()

    def begin(self) -> None:
        environment = os.environ | {"QUARTERDECK_HOME": str(self.path), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([*PROGRAM, "run", "--headless"], env=environment, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        until(self.answers, "the engine did not answer")

    def answers(self) -> bool:
        with contextlib.suppress(Exception):
            ControlClient(Home(self.path).socket, "0.1.0").close()
            return True
        return False

    def snapshot(self) -> Snapshot:
        found = look(self.path)
        assert found.pid == self.process.pid and found.snapshot is not None
        return found.snapshot

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Headless]:
    one = Headless(tmp_path / "h")
    yield one
    if one.process.poll() is None:
        one.end()


@pytest.fixture
def screens() -> Iterator[Callable[..., Screen]]:
    opened: list[Screen] = []

    def begin(*given: object, **options: bool) -> Screen:
        opened.append(Screen(*given, **options))  # type: ignore[arg-type]
        return opened[-1]

    yield begin
    for one in opened:
        one.close()


@pytest.mark.slow
def test_screens_come_and_go_and_are_dropped_and_the_engine_goes_on(
        engine: Headless, screens: Callable[..., Screen], tmp_path: Path) -> None:
    home = engine.path
    onlooker, full = screens(home, "attach", "--read-only"), screens(home, "attach")
    onlooker.sees("READ ONLY", "Positions")
    full.sees("PAPER", "Positions")
    assert "READ ONLY" not in full.read()
    full.press(b"\x1b[20~")  # F9
    until(lambda: engine.snapshot().accounts[0].trading_state is TradingState.HALTED, "F9 did not halt")
    onlooker.sees("HALTED")

    dropped = [screens(home, "attach"), screens(home, "attach", control=False)]
    for one in dropped:
        one.sees("Positions")
        one.drop()
    assert [one.ended() for one in dropped] == [0, 0], "a closed terminal ends its own screen, with and without a hang-up"
    full.process.send_signal(signal.SIGHUP)
    assert full.ended() == 0
    hard = screens(home, "attach")
    hard.sees("Positions")
    hard.process.kill()
    hard.process.wait()
    before = engine.snapshot().version
    until(lambda: engine.snapshot().version > before, "the engine stands still")
    assert "control clients" in engine.snapshot().health.queues
    until(lambda: engine.snapshot().health.queues["control clients"] <= 2, "dropped clients still count")
    defects = list((home / "logs").glob("defect-*"))
    assert not defects, defects[0].read_text()

    alone = screens(tmp_path / "elsewhere", "attach", "--socket", str(home / "engine.sock"))
    alone.sees("Positions", "HALTED")
    assert not (tmp_path / "elsewhere").exists(), "over a forwarded socket no home is needed"
    alone.press(b"q")
    assert alone.ended() == 0

    engine.end()
    onlooker.sees("the engine cannot be reached")
    engine.begin()
    onlooker.seen = b""
    onlooker.sees("journal")
    onlooker.press(b"q")
    assert onlooker.ended() == 0


def test_without_an_engine_there_is_one_line_and_a_status(tmp_path: Path, screens: Callable[..., Screen]) -> None:
    (tmp_path / "h").mkdir(mode=0o700)
    for arguments in (("attach",), ("attach", "--socket", str(tmp_path / "no.sock"))):
        screen = screens(tmp_path / "h", *arguments)
        assert screen.ended() == 3
        assert "no engine answers on the control socket" in screen.read()
        assert "Traceback" not in screen.read()
