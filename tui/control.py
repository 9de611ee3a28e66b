"""The control socket's server: other processes of the same user reach the running engine through it.

It runs its own event loop in its own thread and never makes the engine wait: a slow reader gets fewer snapshots, a
broken request gets an error, and too many connections are turned away.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import HomeLocked, QuarterdeckError, StoreError
from engine.pulses import Pulses
from engine.service import OrderCard, Service, Snapshot
from tui.control_protocol import (
    ENGINE_ERROR,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_REQUEST_BYTES,
    METHOD_UNKNOWN,
    PARSE_ERROR,
    PROTOCOL,
    Hello,
    Request,
    RpcError,
    WhatIfAnswer,
    bars_params_decoder,
    command_decoder,
    error_line,
    finite,
    finite_card,
    hello_params_decoder,
    order_decoder,
    performance_query_decoder,
    request_decoder,
    result_line,
    snapshot_line,
)

MAX_CONNECTIONS = 32
MAX_CALLS_IN_FLIGHT = 32
MAX_BARS = 5_000
START_SECONDS = 10.0
BEAT_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 15.0


class _CallFailed(Exception):
    """A call that is answered with an error; never leaves this module."""

    def __init__(self, code: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.error = RpcError(code, message, kind)


class ControlServer:
    """Serves one `Service` on a Unix socket of mode 0600 until closed.

    `on_stop` is called, in the server's thread, when a client asks the engine to stop; `pulses` are told that it is at work.
    """

    def __init__(self, service: Service, path: Path, hello: Hello, on_stop: Callable[[], None],
                 pulses: Pulses | None = None) -> None:
        self._service = service
        self._pulses = pulses or Pulses()
        self._path = path
        self._hello = hello
        self._on_stop = on_stop
        self._encoded: tuple[Snapshot, bytes] | None = None
        self._connections: dict[int, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control-socket", daemon=True)
        self._listener: socket.socket | None = None

    def start(self) -> None:
        """Bind and serve; raises `HomeLocked` where another process answers there, `StoreError` where binding fails."""
        self._listener = _bind(self._path)
        self._thread.start()
        self._ready.wait(START_SECONDS)

    def close(self) -> None:
        """Stop serving, drop all connections and remove the socket file; safe to call twice."""
        loop, closing = self._loop, self._closing
        if loop is None or closing is None or not self._thread.is_alive():
            return
        with contextlib.suppress(RuntimeError):  # the loop ended between the check and the call
            loop.call_soon_threadsafe(closing.set)
        self._thread.join(START_SECONDS)
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        assert self._listener is not None
        server = await asyncio.start_unix_server(self._accept, sock=self._listener, limit=MAX_REQUEST_BYTES)
        self._ready.set()
        while not self._closing.is_set():
            self._pulses.beat("control-socket", LONGEST_SILENCE_SECONDS)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await self._closing.wait()
        server.close()
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.write(error_line(None, RpcError(ENGINE_ERROR, "too many connections; close another client first")))
            await _closed(writer)
            return
        self._connections[id(task)] = task
        try:
            await _Connection(self, reader, writer).serve()
        finally:
            self._connections.pop(id(task), None)

    def snapshot_bytes(self, snapshot: Snapshot) -> bytes:
        """The pushed line of a snapshot, encoded once for all subscribers."""
        if self._encoded is None or self._encoded[0] is not snapshot:
            self._encoded = (snapshot, snapshot_line(snapshot))
        return self._encoded[1]

    async def call(self, request: Request) -> object:
        """The result of one call; raises for what is answered with an error."""
        match request.method:
            case "hello":
                return self._greet(request)
            case "ping":
                return "pong"
            case "stop":
                self._on_stop()
                return "stopping"
            case _:
                return await self._ask_engine(request)

    async def _ask_engine(self, request: Request) -> object:
        match request.method:
            case "snapshot":
                return finite(self._service.latest())
            case "send":
                return await self._service.send(command_decoder.decode(request.params))
            case "what_if":
                answer = await self._service.what_if(order_decoder.decode(request.params))
                if isinstance(answer, OrderCard):
                    return WhatIfAnswer(card=finite_card(answer))
                return WhatIfAnswer(refusal=answer)
            case "bars":
                wanted = bars_params_decoder.decode(request.params)
                if not 1 <= wanted.limit <= MAX_BARS:
                    raise _CallFailed(INVALID_PARAMS, f"bars: limit is {wanted.limit}; allowed is 1 to {MAX_BARS}")
                return list(await self._service.bars(wanted.instrument_id, wanted.limit))
            case "performance":
                return await self._service.performance(performance_query_decoder.decode(request.params))
            case _:
                raise _CallFailed(METHOD_UNKNOWN, f'there is no method "{request.method}"')

    def subscribe(self) -> AsyncIterator[Snapshot]:
        """The service's snapshots, newest only."""
        return self._service.snapshots()

    def _greet(self, request: Request) -> Hello:
        theirs = hello_params_decoder.decode(request.params)
        if theirs.protocol != PROTOCOL:
            raise _CallFailed(
                INVALID_REQUEST,
                f"the engine {self._hello.version} speaks control protocol {PROTOCOL}, the client {theirs.version} "
                f"speaks {theirs.protocol}; use the same version of both", "EngineUnreachable")
        return self._hello


class _Connection:
    """One client: calls are answered as they finish, snapshots are pushed once subscribed."""

    def __init__(self, server: ControlServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscribed = False
        self._free_calls = asyncio.Semaphore(MAX_CALLS_IN_FLIGHT)

    async def serve(self) -> None:
        try:
            while line := await self._next_line():
                await self._take(line)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: nothing is owed to it
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await _closed(self._writer)

    async def _next_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:
            self._writer.write(error_line(None, RpcError(
                INVALID_REQUEST, f"the request is longer than {MAX_REQUEST_BYTES} bytes; the connection is closed")))
            return b""

    async def _take(self, line: bytes) -> None:
        try:
            request = request_decoder.decode(line)
        except (msgspec.DecodeError, ValueError) as error:
            code = INVALID_REQUEST if isinstance(error, msgspec.ValidationError) else PARSE_ERROR
            self._writer.write(error_line(None, RpcError(code, f"not a JSON-RPC 2.0 request: {error}")))
            await self._writer.drain()
            return
        if request.method == "subscribe":
            self._writer.write(result_line(request.id, "subscribed"))
            if not self._subscribed:
                self._subscribed = True
                self._keep(self._push())
            return
        await self._free_calls.acquire()
        self._keep(self._answer(request))

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            line = result_line(request.id, await self._server.call(request))
        except _CallFailed as failure:
            line = error_line(request.id, failure.error)
        except msgspec.ValidationError as error:
            line = error_line(request.id, RpcError(INVALID_PARAMS, f"{request.method}: {error}"))
        except msgspec.DecodeError as error:
            line = error_line(request.id, RpcError(PARSE_ERROR, f"{request.method}: {error}"))
        except QuarterdeckError as error:
            line = error_line(request.id, RpcError(ENGINE_ERROR, str(error), type(error).__name__))
        except Exception as error:  # noqa: BLE001 - a defect in one call must not take the socket down
            told = f"{request.method}: {type(error).__name__}: {error}"
            line = error_line(request.id, RpcError(INTERNAL_ERROR, told))
        finally:
            self._free_calls.release()
        if request.id is None:
            return
        with contextlib.suppress(ConnectionError):
            self._writer.write(line)
            await self._writer.drain()

    async def _push(self) -> None:
        # drain() holds back a slow reader's next snapshot and the iterator then gives the newest: nothing queues up.
        with contextlib.suppress(ConnectionError, QuarterdeckError):
            async for snapshot in self._server.subscribe():
                self._writer.write(self._server.snapshot_bytes(snapshot))
                await self._writer.drain()
        self._writer.close()


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError, TimeoutError, BrokenPipeError):
        await asyncio.wait_for(writer.wait_closed(), 1.0)


def _bind(path: Path) -> socket.socket:
    """A listening socket of mode 0600; a file that a dead process left behind is replaced."""
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)  # before listen(): nobody can connect while the mode is wider
        listener.listen(MAX_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise StoreError(f"{path}: the control socket cannot be opened: {error.strerror or error}") from error
    return listener


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_socket():
        raise StoreError(f"{path}: not a socket; move this file away, the control socket belongs here")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(1.0)
    try:
        probe.connect(str(path))
    except (ConnectionRefusedError, FileNotFoundError):
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: the control socket cannot be probed: {error.strerror or error}") from error
    else:
        raise HomeLocked(f"{path}: another process answers on the control socket; stop it first")
    finally:
        probe.close()
