"""An HTTP server in a thread of its own, through aiohttp, which is imported there: neither start nor engine waits for it.

It holds a bounded number of connections, and none that does not ask for anything.
"""

import asyncio
import ipaddress
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from engine.health import NOT_LISTENING
from engine.pulses import Pulses
from tui.accepting import stop_accepting

if TYPE_CHECKING:
    from aiohttp import web

BEAT_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 15.0
CLOSE_SECONDS = 5.0
GRACE_SECONDS = 1.0
MAX_CONNECTIONS = 64
COUNT_SECONDS = 0.05  # a connection counts once its accepting is through
FIRST_SECONDS = 10.0
KEEP_SECONDS = 15.0
_log = logging.getLogger("quarterdeck.http")


class HttpServer:
    """Serves the application that `make` builds; one that cannot listen says so in the log and in the engine's health."""

    def __init__(self, name: str, make: "Callable[[], web.Application]", host: str, port: int, pulses: Pulses) -> None:
        self._name = name
        self._make = make
        self._host = host
        self._asked_port = port
        self._pulses = pulses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.port = 0
        self.failure = ""
        self.settled = threading.Event()

    def start(self) -> None:
        """Begin to serve, some time soon; `settled` is set once it listens on `port`, or has failed."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        self.settled.wait(CLOSE_SECONDS)
        if self._loop is not None and self._ending is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(CLOSE_SECONDS)
        self._pulses.end(self._name)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self.failure = f"{self._host}:{self._asked_port} cannot be listened on: {error.strerror or error}"
        except Exception as error:  # noqa: BLE001 - an engine goes on without it, and says so
            self.failure = f"{type(error).__name__}: {error}"
        if self.failure:
            _log.error("%s: %s", self._name, self.failure)
            self._pulses.counts[f"{self._name}{NOT_LISTENING}"] = 1
        self.settled.set()

    async def _serve(self) -> None:
        from aiohttp import web

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        runner = web.AppRunner(self._make(), access_log=None, handle_signals=False, shutdown_timeout=GRACE_SECONDS,
                               keepalive_timeout=KEEP_SECONDS)
        await runner.setup()
        assert runner.server is not None
        listener: asyncio.Server | None = None
        try:
            listener = await self._loop.create_server(partial(self._connection, runner.server), self._host, self._asked_port)
            self.port = int(listener.sockets[0].getsockname()[1])
            _log.info("%s: listening on %s:%s", self._name, self._host, self.port)
            self.settled.set()
            while not self._ending.is_set():
                self._pulses.beat(self._name, LONGEST_SILENCE_SECONDS)
                try:
                    async with asyncio.timeout(BEAT_SECONDS):
                        await self._ending.wait()
                except TimeoutError:
                    continue
        finally:
            if listener is not None:
                await stop_accepting(listener)
            await runner.cleanup()

    def _connection(self, server: "web.Server") -> asyncio.BaseProtocol:
        """What speaks on a new connection; one too many is hung up on at once, one that asks for nothing a little later."""
        handler, loop = server(), asyncio.get_running_loop()
        loop.call_later(COUNT_SECONDS, self._hang_up_if_too_many, server, handler)
        loop.call_later(FIRST_SECONDS, _hang_up_if_silent, handler)
        return handler

    def _hang_up_if_too_many(self, server: "web.Server", handler: "web.RequestHandler") -> None:
        if handler in server.connections[MAX_CONNECTIONS:]:
            name = f"{self._name} turned away"
            self._pulses.counts[name] = self._pulses.counts.get(name, 0) + 1
            handler.force_close()


def _hang_up_if_silent(handler: "web.RequestHandler") -> None:
    if not handler._request_count:  # noqa: SLF001 - aiohttp itself closes a connection only once it has asked for something
        handler.force_close()


def is_own_host(header: str, host: str) -> bool:
    """Whether a request's Host names this machine as an address: a page of elsewhere cannot make a browser ask as `localhost`
    under a name of its own."""
    name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
    name = name.strip("[]")
    if name in ("localhost", host):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
