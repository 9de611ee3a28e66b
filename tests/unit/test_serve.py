"""The screen in a browser: windows on a real engine for who has the token; everything hostile refused, the engine unaffected."""

import asyncio
import contextlib
import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import tui.browser
import tui.http_server
from engine.config import check_config
from engine.errors import ConfigError, QuarterdeckError
from engine.inputs import SetTradingState, TradingState
from engine.pulses import Pulses
from store.home import Home, open_home
from tui.browser import COOKIE, Browser, new_token, take_message
from tui.cli import run
from tui.commands.serving import _kept_token
from tui.compose import open_engine
from tui.http_server import HttpServer
from tui.running_engine import RunningEngine

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 60.0
TOKEN = new_token()


class Served:
    """A browser's server in front of a running engine."""

    def __init__(self, home: Home, running: RunningEngine, command: list[str] | None = None) -> None:
        self.running = running
        attach = [sys.executable, "-m", "tui.cli", "--home", str(home.path), "attach"]
        self.answers = True
        self.browser = Browser(command or attach, TOKEN, lambda: self.answers)
        self.server = HttpServer("serve", self.browser.app, "127.0.0.1", 0, Pulses())
        self.server.start()
        assert self.server.settled.wait(PATIENCE_SECONDS) and not self.server.failure

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=PATIENCE_SECONDS)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
        finally:
            connection.close()

    def cookie(self) -> str:
        status, headers, _ = self.get(f"/?token={TOKEN}")
        assert (status, headers["Location"]) == (303, "/")
        assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]
        found = re.match(rf"{COOKIE}=([^;]+)", headers["Set-Cookie"])
        assert found is not None and found[1] != TOKEN
        return found[1]

    def raw(self, sent: bytes) -> bytes:
        """What comes back for bytes as they are, until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=PATIENCE_SECONDS) as wire:
            wire.sendall(sent)
            return wire.recv(4_096)

    def is_well(self) -> bool:
        """Whether the engine still answers and its snapshots move on."""
        version = self.running.engine.latest().version
        until(lambda: self.running.engine.latest().version > version)
        receipt = asyncio.run(self.running.engine.send(SetTradingState(f"h{time.time_ns()}", TradingState.HALTED)))
        return receipt.accepted and self.running.engine.defects == 0


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    opened: list[Served] = []
    home = open_home(tmp_path / "h")
    config = check_config("[market]\nalways_open = true\n[health]\nport = 0\n", "config.toml").config
    assert config is not None
    running = open_engine(home, config)

    def begin(command: list[str] | None = None) -> Served:
        opened.append(Served(home, running, command))
        return opened[-1]

    yield begin
    for one in opened:
        one.server.close()
    running.close()


async def window(served: Served, cookie: str, seen: list[bytes], *keys: str, until_painted: bytes = b"Positions") -> None:
    """One browser window: waits for its first picture, types, and waits for its end where it typed something."""
    address = f"http://127.0.0.1:{served.server.port}"
    async with aiohttp.ClientSession(cookies={COOKIE: cookie}) as session, \
            session.ws_connect(f"{address}/ws?width=100&height=30", headers={"Origin": address}) as wire:
        while until_painted not in b"".join(seen):
            message = await asyncio.wait_for(wire.receive(), PATIENCE_SECONDS)
            assert message.type is aiohttp.WSMsgType.BINARY, message
            seen.append(message.data)
        for key in keys:
            await wire.send_str(json.dumps(["stdin", key]))
        while keys:
            message = await asyncio.wait_for(wire.receive(), PATIENCE_SECONDS)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return


def test_a_window_shows_the_engine_and_ends_without_it(served: Callable[..., Served]) -> None:
    one = served()
    cookie = one.cookie()
    status, headers, page = one.get("/", Cookie=f"{COOKIE}={cookie}")
    assert status == 200 and f"ws://127.0.0.1:{one.server.port}/ws" in page and TOKEN not in page
    assert "default-src 'self'" in headers["Content-Security-Policy"] and headers["Referrer-Policy"] == "no-referrer"
    assert one.get("/static/js/textual.js", Cookie=f"{COOKIE}={cookie}")[0] == 200
    seen: list[bytes] = []
    asyncio.run(window(one, cookie, seen, "q"))
    assert b"PAPER" in b"".join(seen)
    asyncio.run(window(one, cookie, [], "\x1b[20~", "q", until_painted=b"Positions"))
    until(lambda: one.running.engine.latest().accounts[0].trading_state is TradingState.HALTED)
    asyncio.run(window(one, cookie, []))  # a tab that is closed without a word
    until(lambda: one.browser._sessions == 0)
    assert one.is_well()


def test_a_window_goes_on_showing_what_the_engine_says(served: Callable[..., Served]) -> None:
    one = served()

    async def look() -> None:
        seen: list[bytes] = []
        looking = asyncio.create_task(window(one, one.cookie(), seen, until_painted=b"HALTED"))
        while b"Positions" not in b"".join(seen):
            await asyncio.wait({looking}, timeout=0.05)
            assert not looking.done()
        await asyncio.to_thread(one.is_well)  # it halts, which nobody did in the window
        await asyncio.wait_for(looking, PATIENCE_SECONDS)

    asyncio.run(look())


def test_without_the_token_there_is_nothing_to_see(served: Callable[..., Served], caplog: pytest.LogCaptureFixture) -> None:
    one = served()
    cookie = one.cookie()
    own = f"{COOKIE}={cookie}"
    for expected, found in (
            (401, one.get("/")), (401, one.get("/static/js/textual.js")), (401, one.get("/ws")), (401, one.get("/?token=")),
            (401, one.get(f"/?token={TOKEN[:-1]}")), (401, one.get(f"/?token={TOKEN}x")), (401, one.get("/?token=%ff%00")),
            (401, one.get(f"/ws?token={TOKEN}")), (401, one.get(f"/static/?token={TOKEN}")),
            (401, one.get("/", Cookie=f"{COOKIE}={TOKEN}")), (401, one.get("/", Cookie=f"{COOKIE}={cookie[:-1]}")),
            (403, one.get("/", Cookie=own, Host="evil.example")), (403, one.get("/", Cookie=own, Host="127.0.0.1.evil.example")),
            (403, one.get("/", Cookie=own, Host="10.0.0.1")), (403, one.get("/", Cookie=own, Host='127.0.0.1:"><script>')),
            (403, one.get("/ws", Cookie=own, Origin="http://evil.example")), (403, one.get("/", Cookie=own, Origin="null")),
            (405, one.get("/", "POST", Cookie=own)), (405, one.get("/", "DELETE", Cookie=own)),
            (404, one.get("/static/../../etc/passwd", Cookie=own)), (404, one.get("/static/%2e%2e/%2e%2e/server.py", Cookie=own)),
            (404, one.get("/static/..%2f..%2fserver.py", Cookie=own)), (403, one.get("/static/", Cookie=own)),
            (404, one.get("/download/x", Cookie=own)), (400, one.get("/ws", Cookie=own)),
            (200, one.get("/", Cookie=own, Host=f"localhost:{one.server.port}")), (200, one.get("/", Cookie=own))):
        assert found[0] == expected, found
    logged = [record.getMessage() for record in caplog.records if record.name == "quarterdeck.serve"]
    assert len(logged) == len(set(logged)) == len(one.browser.door.refused), "each kind is logged once"
    assert one.browser.door.refused["401 no token"] >= 4
    assert TOKEN not in caplog.text and cookie not in caplog.text
    assert one.is_well()


def test_garbage_on_the_wire_ends_its_own_connection_alone(
        served: Callable[..., Served], caplog: pytest.LogCaptureFixture) -> None:
    one = served()
    for garbage in (b"\x16\x03\x01\x02\x00" * 50, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
                    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n"):
        answer = one.raw(garbage)
        assert not answer or b" 400 " in answer.split(b"\r\n")[0] + b" ", answer[:200]
    assert "Traceback" not in caplog.text
    assert one.get("/")[0] == 401 and one.is_well()


def test_connections_that_ask_nothing_are_hung_up_on_and_their_number_is_bounded(
        served: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.http_server, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(tui.http_server, "MAX_CONNECTIONS", 5)
    one = served()
    held = [socket.create_connection(("127.0.0.1", one.server.port), timeout=PATIENCE_SECONDS) for _ in range(12)]
    for number, wire in enumerate(held):
        if number % 2:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: 127")  # half a request, and never the rest
    for wire in held:
        with contextlib.suppress(ConnectionResetError):
            assert wire.recv(100) == b""
        wire.close()
    monkeypatch.setattr(tui.http_server, "FIRST_SECONDS", PATIENCE_SECONDS)
    until(lambda: _answers(one))
    assert one.server._pulses.counts["serve turned away"] >= 7
    assert one.is_well()


def _answers(one: Served) -> bool:
    try:
        return one.get("/")[0] == 401
    except OSError:
        return False


SLEEPER = [sys.executable, "-c", "import sys, time; print('__GANGLION__', flush=True); sys.stdin.buffer.read(); time.sleep(99)"]


def test_windows_are_bounded_and_a_process_that_does_not_leave_is_ended(
        served: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.browser, "MAX_SESSIONS", 2)
    monkeypatch.setattr(tui.browser, "END_SECONDS", 0.2)
    one = served(SLEEPER)
    cookie, address = one.cookie(), f"http://127.0.0.1:{one.server.port}"

    async def three() -> int:
        async with aiohttp.ClientSession(cookies={COOKIE: cookie}) as session:
            first, second = await session.ws_connect(f"{address}/ws"), await session.ws_connect(f"{address}/ws")
            async with session.get(f"{address}/ws", headers={"Upgrade": "websocket"}) as third:
                status = third.status
            await first.send_str('["reboot"]')  # nothing that the page says: the window is over
            assert (await asyncio.wait_for(first.receive(), PATIENCE_SECONDS)).type is aiohttp.WSMsgType.CLOSE
            await second.close()
            return status

    assert asyncio.run(three()) == 503
    until(lambda: one.browser._sessions == 0)
    one.answers = False
    assert one.get("/ws", Cookie=f"{COOKIE}={cookie}", Upgrade="websocket")[0] == 503
    assert one.is_well()


class Heard:
    """What a window's process would hear."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    async def send_bytes(self, data: bytes) -> None:
        self.heard.append(data)

    async def set_terminal_size(self, width: int, height: int) -> None:
        self.heard.append((width, height))

    async def remote_write_str(self, text: str) -> None:
        self.heard.append(text)

    async def focus(self) -> None:
        self.heard.append("focus")

    async def blur(self) -> None:
        self.heard.append("blur")


@pytest.mark.parametrize(("message", "heard"), [
    ('["stdin", "q"]', b"q"), ('["resize", {"width": 90, "height": 99999999}]', (90, 1_000)), ('["ping", "7"]', '["pong", "7"]'),
    ('["focus"]', "focus"), ('["blur", null]', "blur"), ("", None), ("[" * 50_000, None), (b"\x00", None), ("null", None),
    ('["stdin", 5]', None), ('["stdin"]', None), ('["resize", {"width": "9", "height": 1}]', None), ('["quit"]', None),
    ('{"a": 1}', None), ("5", None)])
def test_only_what_the_page_sends_reaches_a_process(message: object, heard: object) -> None:
    process = Heard()
    assert asyncio.run(take_message(process, message)) is (heard is not None)
    assert process.heard == ([heard] if heard is not None else [])


def test_the_token_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    assert _kept_token(path, TOKEN) == TOKEN
    assert path.stat().st_mode & 0o777 == 0o600
    assert _kept_token(path, new_token()) == TOKEN
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        _kept_token(path, TOKEN)
    path.chmod(0o600)
    path.write_text("short")
    with pytest.raises(ConfigError, match="at least 20"):
        _kept_token(path, TOKEN)
    with pytest.raises(QuarterdeckError):
        _kept_token(tmp_path / "no" / "token", TOKEN)


def test_serve_without_an_engine_or_the_library_is_one_line(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    assert run(["serve"]) == 3
    assert "no engine answers" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert run(["serve"]) == 2
    assert "uv sync --extra serve" in capsys.readouterr().err
