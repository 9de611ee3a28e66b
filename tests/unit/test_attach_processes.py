"""Attached screens as real processes on a real headless engine: they come, go, are dropped, and the engine goes on."""

import asyncio
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

import aiohttp
import pytest

from engine.inputs import TradingState
from engine.service import Snapshot
from store.home import Home
from tui.commands.link import look
from tui.control_client import ControlClient

pytestmark = pytest.mark.slow

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
        self.columns = size[0]
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

    def drawn_anew(self) -> str:
        """The whole screen as it is now: another width has all of it painted."""
        self.seen, self.columns = b"", 241 - self.columns
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 35, self.columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)
        deadline = time.monotonic() + 2
        while "Positions" not in self.read() and time.monotonic() < deadline:
            continue
        return self.read()

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
        self.said = self.path.with_suffix(".log")
        with self.said.open("ab") as file:
            self.process = subprocess.Popen([*PROGRAM, "run", "--headless"], env=environment, stdout=file, stderr=file,
                                            stdin=subprocess.DEVNULL)
        until(lambda: self.process.poll() is not None or self.answers(), "the engine did not answer")
        assert self.process.poll() is None, self.said.read_text()[-2_000:]

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
    until(lambda: "● venue" in (text := onlooker.drawn_anew()) and "cannot be reached" not in text, "it was not found again")
    onlooker.press(b"q")
    assert onlooker.ended() == 0


class Serving:
    """`quarterdeck serve` as its own process."""

    def __init__(self, home: Path) -> None:
        environment = os.environ | {"QUARTERDECK_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen([*PROGRAM, "serve", "--port", "0"], env=environment, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()

    def windows(self) -> list[int]:
        """The processes that show a window."""
        listed = Path(f"/proc/{self.process.pid}/task")
        return [int(child) for task in listed.glob("*") for child in (task / "children").read_text().split()]


async def shown(address: str) -> aiohttp.ClientSession:
    """A browser with one window that shows the engine."""
    browser = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))  # unsafe: it keeps cookies of an address
    async with browser.get(address) as page:
        assert page.status == 200
    root = address.partition("?")[0]
    wire = await browser.ws_connect(f"{root}ws?width=100&height=30", headers={"Origin": root.rstrip("/")})
    seen = b""
    while b"Positions" not in seen:
        seen += (await asyncio.wait_for(wire.receive(), PATIENCE_SECONDS)).data
    return browser


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_serving_ends_with_its_windows_and_without_the_engine(engine: Headless, number: signal.Signals) -> None:
    serving = Serving(engine.path)

    async def watched() -> list[int]:
        browser = await shown(serving.address)
        windows = serving.windows()
        serving.process.send_signal(number)
        status = await asyncio.to_thread(serving.process.wait, PATIENCE_SECONDS)
        serving.process.stdout.close()  # type: ignore[union-attr]
        assert status == (-number if number is signal.SIGKILL else 0)
        await browser.close()
        return windows

    windows = asyncio.run(watched())
    assert len(windows) == 1
    until(lambda: not any(Path(f"/proc/{one}").exists() for one in windows), "a window outlives the server")
    before = engine.snapshot().version
    until(lambda: engine.snapshot().version > before, "the engine stands still")


def test_without_an_engine_there_is_one_line_and_a_status(tmp_path: Path, screens: Callable[..., Screen]) -> None:
    (tmp_path / "h").mkdir(mode=0o700)
    for arguments in (("attach",), ("attach", "--socket", str(tmp_path / "no.sock"))):
        screen = screens(tmp_path / "h", *arguments)
        assert screen.ended() == 3
        assert "no engine answers on the control socket" in screen.read()
        assert "Traceback" not in screen.read()
