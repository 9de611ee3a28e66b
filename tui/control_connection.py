"""One client of the control socket: calls are answered as they finish, snapshots are pushed once subscribed.

Whatever a client sends or fails to send, it costs a bounded number of bytes and calls, and in the end its own connection.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

import msgspec

from engine.errors import QuarterdeckError
from engine.service import Snapshot
from tui.access import Session
from tui.control_protocol import (
    ENGINE_ERROR,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_REQUEST_BYTES,
    PARSE_ERROR,
    Request,
    RpcError,
    error_line,
    request_decoder,
    result_line,
)

MAX_CALLS_IN_FLIGHT = 8
MAX_BAD_REQUESTS = 20
FIRST_SECONDS = 10.0
LINE_SECONDS = 10.0
STALL_SECONDS = 60.0
CLOSE_SECONDS = 1.0


class CallFailed(Exception):
    """A call that is answered with an error; never leaves the control socket's modules."""

    def __init__(self, code: int, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.error = RpcError(code, message, kind)


class _Ended(Exception):
    """The connection is over, for the reason given; never leaves this module."""


class Server(Protocol):
    """What a connection asks of the server."""

    async def call(self, request: Request, session: Session) -> object: ...

    def subscribe(self) -> AsyncIterator[Snapshot]: ...

    def snapshot_bytes(self, snapshot: Snapshot) -> bytes: ...

    def note(self, kind: str, detail: str = "") -> None: ...


class Connection:
    """Reads requests in order and answers them as they are done; a line has to come whole within `LINE_SECONDS`, the first one
    within `FIRST_SECONDS`, and what is written has to be read within `STALL_SECONDS`."""

    def __init__(self, server: Server, session: Session, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._session = session
        self._reader = reader
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()
        self._subscribed = False
        self._understood = False
        self._bad_requests = 0
        self._free_calls = asyncio.Semaphore(MAX_CALLS_IN_FLIGHT)
        self._writing = asyncio.Lock()

    async def serve(self) -> None:
        try:
            while line := await self._next_line():
                await self._take(line)
        except _Ended as end:
            self._server.note(str(end))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away: nothing is owed to it
        finally:
            for task in tuple(self._tasks):
                task.cancel()
            try:
                await asyncio.gather(*self._tasks, return_exceptions=True)
            finally:  # also where the server's own end cancels this one
                await closed(self._writer)

    async def _next_line(self) -> bytes:
        """The next line with its end, empty where the client is done."""
        try:
            async with asyncio.timeout(None if self._understood else FIRST_SECONDS):
                first = await self._reader.read(1)
            async with asyncio.timeout(LINE_SECONDS):
                return first + await self._reader.readline() if first not in (b"", b"\n") else first
        except TimeoutError:
            raise _Ended("a request that never came whole") from None
        except ValueError:
            told = f"the request is longer than {MAX_REQUEST_BYTES} bytes; the connection is closed"
            await self._write(error_line(None, RpcError(INVALID_REQUEST, told)))
            raise _Ended("too long a request") from None

    async def _take(self, line: bytes) -> None:
        try:
            request = request_decoder.decode(line)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            await self._refuse(error)
            return
        self._understood = True
        if request.method == "subscribe":
            await self._write(result_line(request.id, "subscribed"))
            if not self._subscribed:
                self._subscribed = True
                self._keep(self._push())
            return
        await self._free_calls.acquire()
        self._keep(self._answer(request))

    async def _refuse(self, error: Exception) -> None:
        """Answer what is no request; a client that sends nothing else is hung up on."""
        code = INVALID_REQUEST if isinstance(error, msgspec.ValidationError) else PARSE_ERROR
        self._server.note("not a request", str(error))
        await self._write(error_line(None, RpcError(code, f"not a JSON-RPC 2.0 request: {error}")))
        self._bad_requests += 1
        if self._bad_requests >= MAX_BAD_REQUESTS:
            raise _Ended("too many requests that are none")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            line = await self._answer_to(request)
            if request.id is not None:
                await self._write(line)
        except ConnectionError:
            pass  # nobody waits for it any more
        finally:
            self._free_calls.release()

    async def _answer_to(self, request: Request) -> bytes:
        try:
            return result_line(request.id, await self._server.call(request, self._session))
        except CallFailed as failure:
            return error_line(request.id, failure.error)
        except msgspec.ValidationError as error:
            return error_line(request.id, RpcError(INVALID_PARAMS, f"{request.method}: {error}"))
        except (msgspec.DecodeError, RecursionError) as error:
            return error_line(request.id, RpcError(PARSE_ERROR, f"{request.method}: {error}"))
        except QuarterdeckError as error:
            return error_line(request.id, RpcError(ENGINE_ERROR, str(error), type(error).__name__))
        except Exception as error:  # noqa: BLE001 - a defect in one call must not take the socket down
            told = f"{request.method}: {type(error).__name__}: {error}"
            return error_line(request.id, RpcError(INTERNAL_ERROR, told))

    async def _write(self, line: bytes) -> None:
        """One line at a time, so that a client which does not read holds up itself alone; in the end it is hung up on."""
        async with self._writing:
            self._writer.write(line)
            try:
                async with asyncio.timeout(STALL_SECONDS):
                    await self._writer.drain()
            except TimeoutError:
                self._server.note("a client that does not read")
                self._writer.transport.abort()
                raise ConnectionAbortedError from None

    async def _push(self) -> None:
        # _write() holds back a slow reader's next snapshot and the iterator then gives the newest: nothing queues up.
        with contextlib.suppress(ConnectionError, QuarterdeckError):
            async for snapshot in self._server.subscribe():
                await self._write(self._server.snapshot_bytes(snapshot))
        self._writer.close()


async def closed(writer: asyncio.StreamWriter) -> None:
    """Hang up, and wait a moment for what was written to leave."""
    writer.close()
    try:
        with contextlib.suppress(ConnectionError, TimeoutError, BrokenPipeError):
            await asyncio.wait_for(writer.wait_closed(), CLOSE_SECONDS)
    finally:
        writer.transport.abort()  # whatever is left to write, nobody waits for it
