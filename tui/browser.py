"""The screen in a browser on this machine: textual-serve behind a token, for names of this machine alone.

Each browser window is a process of its own that attaches over the control socket, so that nothing here can hold the engine up.
The token is asked once, in the address; after that a cookie of this browser alone stands for it. Whoever has neither sees
nothing, not even a file.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import re
import secrets
import shlex
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from tui.paces import SECONDS_PER_MINUTE, Paces

if TYPE_CHECKING:
    from aiohttp import web

OWN_NAMES = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?")
COOKIE = "quarterdeck"
TOKEN_BYTES = 32
MAX_SESSIONS = 8
MAX_MESSAGE_BYTES = 64 << 10
LARGEST_SIDE = 1_000
END_SECONDS = 5.0
LOGGED_EVERY_SECONDS = 60.0
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
                               "img-src 'self' data:; connect-src 'self' ws:; frame-ancestors 'none'; form-action 'none'",
    "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
}
_log = logging.getLogger("quarterdeck.serve")


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Doorkeeper:
    """Lets in who has the token or the cookie; the others are refused with one word, counted, and logged once a minute."""

    def __init__(self, token: str, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._token = token
        self._cookie = secrets.token_urlsafe(TOKEN_BYTES)
        self._paces = Paces(now_seconds)
        self.refused: dict[str, int] = {}

    def middleware(self) -> Any:
        """What every request goes through first, whatever it asks for."""
        from aiohttp import web

        @web.middleware
        async def door(request: web.Request,
                       handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
            answer = self.answer(request)
            if answer is None:
                answer = await handler(request)
            if not answer.prepared:
                answer.headers.update(HEADERS)
            return answer

        return door

    def answer(self, request: "web.Request") -> "web.StreamResponse | None":
        """The answer to one who may not come in, or is sent on with a cookie; None for who may."""
        from aiohttp import web

        if not OWN_NAMES.fullmatch(request.headers.get("Host", "")):  # a page of elsewhere can bind a name of its own to us
            return self._refusal(403, "not under that name")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.headers.get('Host', '')}":
            return self._refusal(403, "not from that page")
        if request.method not in ("GET", "HEAD"):
            return self._refusal(405, "only to look at")
        if _same(request.cookies.get(COOKIE, ""), self._cookie):
            return None
        given = request.query.get("token")
        if given is None or request.path != "/":
            return self._refusal(401, "no token")
        if not _same(given, self._token):
            return self._refusal(401, "not that token")
        sent_on = web.Response(status=303, headers={"Location": "/"})
        sent_on.set_cookie(COOKIE, self._cookie, httponly=True, samesite="Strict", path="/")
        return sent_on

    def _refusal(self, status: int, why: str) -> "web.Response":
        from aiohttp import web

        self.note(f"{status} {why}")
        return web.Response(status=status, text=f"{why}\n")

    def note(self, what: str) -> None:
        """Count something refused, and log it unless one of its kind was logged a moment ago."""
        self.refused[what] = self.refused.get(what, 0) + 1
        if self._paces.spend(what, SECONDS_PER_MINUTE / LOGGED_EVERY_SECONDS):
            _log.warning("serve: refused: %s; others of this kind are counted only", what)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), expected.encode())


class Browser:
    """Serves a command of this program to browsers. `engine_answers` is asked before a window begins."""

    def __init__(self, command: Sequence[str], token: str, engine_answers: Callable[[], bool]) -> None:
        from textual_serve.server import Server

        self.door = Doorkeeper(token)
        self._engine_answers = engine_answers
        self._server = Server(f"exec {shlex.join(command)}", title="Quarterdeck")
        self._command = self._server.command
        self._sessions = 0

    def app(self) -> "web.Application":
        """The application: textual-serve's page and its files, our own windows, all behind the door."""
        import aiohttp_jinja2
        import jinja2
        from aiohttp import web

        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a broken request is its sender's affair
        app = web.Application(middlewares=[self.door.middleware()], client_max_size=MAX_MESSAGE_BYTES)
        aiohttp_jinja2.setup(app, loader=jinja2.FileSystemLoader(self._server.templates_path))
        app.add_routes([
            web.get("/", self._page, name="index"), web.get("/ws", self._window, name="websocket"),
            web.static("/static", self._server.statics_path, name="static")])
        return app

    async def _page(self, request: "web.Request") -> "web.StreamResponse":
        """The page, which comes back to where it was asked for: behind a forwarded port that is another one than ours."""
        self._server.public_url = f"http://{request.headers['Host']}"
        answer: web.StreamResponse = await self._server.handle_index(request)
        return answer

    async def _window(self, request: "web.Request") -> "web.StreamResponse":
        """One browser window: a process attached to the engine, ended with the window, and the window with it."""
        from aiohttp import web

        if self._sessions >= MAX_SESSIONS:
            self.door.note("503 too many windows")
            return web.Response(status=503, text="too many windows; close another one first\n")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return web.Response(status=400, text="only for the page itself\n")
        if not await asyncio.to_thread(self._engine_answers):
            return web.Response(status=503, text="no engine answers\n")
        self._sessions += 1
        try:
            return await self._shown(request)
        finally:
            self._sessions -= 1

    async def _shown(self, request: "web.Request") -> "web.WebSocketResponse":
        from aiohttp import web
        from textual_serve.app_service import AppService

        window = web.WebSocketResponse(heartbeat=15, max_msg_size=MAX_MESSAGE_BYTES)
        await window.prepare(request)
        service = AppService(self._command, write_bytes=window.send_bytes, write_str=window.send_str, close=_closing(window),
                             download_manager=self._server.download_manager)
        await service.start(_side(request.query.get("width"), 80), _side(request.query.get("height"), 24))
        ended = asyncio.create_task(_close_with(service, window))
        try:
            async for message in window:
                if not await take_message(service, message.data):
                    self.door.note("a message that is none")
                    break
        finally:
            ended.cancel()
            await _end(service)
            await window.close()
        return window


def _closing(window: "web.WebSocketResponse") -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        await window.close()

    return close


async def _end(service: Any) -> None:
    """Ask the window's process to leave, and end it where it does not; textual-serve itself would wait for ever."""
    process = service._process  # noqa: SLF001
    stopping = asyncio.create_task(service.stop())
    gone = asyncio.create_task(process.wait())
    await asyncio.wait({gone}, timeout=END_SECONDS)
    if not gone.done():
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await asyncio.gather(gone, stopping, return_exceptions=True)


async def _close_with(service: Any, window: "web.WebSocketResponse") -> None:
    """Close the window once its process has ended by itself."""
    task = service._task  # noqa: SLF001 - textual-serve tells nobody else
    if task is not None:
        await asyncio.wait({task})
        await window.close()


async def take_message(service: Any, data: object) -> bool:
    """Hand a browser's message to the process; False for what a page of ours does not send."""
    try:
        kind, *rest = json.loads(data) if isinstance(data, str) else (None,)
    except (ValueError, TypeError, RecursionError):
        return False
    match kind, rest:
        case "stdin", [str() as typed]:
            await service.send_bytes(typed.encode(errors="replace"))
        case "resize", [{"width": int() as width, "height": int() as height}]:
            await service.set_terminal_size(_bounded(width), _bounded(height))
        case "ping", [value]:
            await service.remote_write_str(json.dumps(["pong", value]))
        case "focus" | "blur", _:
            await (service.focus() if kind == "focus" else service.blur())
        case _:
            return False
    return True


def _side(text: str | None, default: int) -> int:
    return _bounded(int(text)) if text is not None and text.isascii() and text.isdigit() and len(text) < 6 else default


def _bounded(cells: int) -> int:
    return min(LARGEST_SIDE, max(1, cells))
