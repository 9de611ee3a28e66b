"""The control socket's server: other processes of the same user reach the running engine through it.

It runs its own event loop in its own thread and never makes the engine wait: a slow reader gets fewer snapshots, a
broken request gets an error, and too many connections are turned away. Each connection is a session of its own, which may only
look on, or has to be unlocked (`tui.access`). What is refused is counted, and told in the log once a minute for each kind.
"""

import asyncio
import contextlib
import logging
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from engine.errors import HomeLocked, StoreError
from engine.pulses import Pulses
from engine.service import OrderCard, Receipt, Service, Snapshot
from tui.accepting import stop_accepting
from tui.access import READ_ONLY, Gatekeeper, Session
from tui.control_connection import CallFailed, Connection, closed
from tui.control_protocol import (
    ENGINE_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_REQUEST_BYTES,
    METHOD_UNKNOWN,
    PROTOCOL,
    Hello,
    Request,
    RpcError,
    UnlockAnswer,
    WhatIfAnswer,
    approval_decoder,
    bars_params_decoder,
    command_decoder,
    error_line,
    finite,
    finite_card,
    hello_params_decoder,
    order_decoder,
    performance_query_decoder,
    research_query_decoder,
    snapshot_line,
    unlock_decoder,
)
from tui.paces import SECONDS_PER_MINUTE, Paces

MAX_CONNECTIONS = 32
MAX_BARS = 5_000
START_SECONDS = 10.0
BEAT_SECONDS = 1.0
LONGEST_SILENCE_SECONDS = 15.0
LOGGED_EVERY_SECONDS = 60.0
_log = logging.getLogger("quarterdeck.control")


class ControlServer:
    """Serves one `Service` on a Unix socket of mode 0600 until closed.

    `on_stop` is called, in the server's thread, when a client asks the engine to stop; `pulses` are told that it is at work;
    `gate` says who has to unlock what (nobody anything where it is left out).
    """

    def __init__(self, service: Service, path: Path, hello: Hello, on_stop: Callable[[], None],
                 pulses: Pulses | None = None, gate: Gatekeeper | None = None) -> None:
        self._service = service
        self._gate = gate or Gatekeeper(service)
        self._paces = Paces(time.monotonic)
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
        await stop_accepting(server)
        tasks = list(self._connections.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MAX_CONNECTIONS:
            self.note("too many connections")
            writer.write(error_line(None, RpcError(ENGINE_ERROR, "too many connections; close another client first")))
            await closed(writer)
            return
        self._connections[id(task)] = task
        self._pulses.queues["control clients"] = len(self._connections)
        session = Session(self._gate, _peer(writer), remote=True)
        try:
            await Connection(self, session, reader, writer).serve()
        except asyncio.CancelledError:  # a cancelled connection would be told in the log as a defect
            if self._closing is None or not self._closing.is_set():
                raise
        finally:
            self._connections.pop(id(task), None)
            self._pulses.queues["control clients"] = len(self._connections)

    def note(self, kind: str, detail: str = "") -> None:
        """Count something refused, and log it unless one of its kind was logged a moment ago."""
        name = f"socket refused: {kind}"
        self._pulses.counts[name] = self._pulses.counts.get(name, 0) + 1
        if self._paces.spend(kind, SECONDS_PER_MINUTE / LOGGED_EVERY_SECONDS):
            shown = "".join(letter if letter.isprintable() else " " for letter in detail[:200])
            _log.warning("control socket: refused: %s (%s); others of this kind are counted only", kind, shown or "-")

    def snapshot_bytes(self, snapshot: Snapshot) -> bytes:
        """The pushed line of a snapshot, encoded once for all subscribers."""
        if self._encoded is None or self._encoded[0] is not snapshot:
            self._encoded = (snapshot, snapshot_line(snapshot))
        return self._encoded[1]

    async def call(self, request: Request, session: Session) -> object:
        """The result of one call; raises for what is answered with an error."""
        match request.method:
            case "hello":
                return self._greet(request, session)
            case "ping":
                return "pong"
            case "stop":
                return self._stop(session)
            case "unlock":
                receipt = await session.unlock(unlock_decoder.decode(request.params).code)
                return UnlockAnswer(self._counted(receipt), session.access())
            case "lock":
                await session.lock()
                return session.access()
            case "approve_by_code":
                given = approval_decoder.decode(request.params)
                return self._counted(await session.approve(given.proposal_id, given.code, given.totp))
            case "reload_access":
                if session.read_only:
                    raise CallFailed(ENGINE_ERROR, READ_ONLY)
                await asyncio.to_thread(self._gate.reload)
                return session.access()
            case "send":
                command = command_decoder.decode(request.params)
                refused = session.refusal_of(command)
                return self._counted(refused) if refused is not None else await self._service.send(command)
            case _:
                return await self._ask_engine(request)

    def _stop(self, session: Session) -> str:
        refused = session.refusal_of_stop()
        if refused is not None and refused.refusal is not None:
            self._counted(refused)
            raise CallFailed(ENGINE_ERROR, refused.refusal.message)
        self._on_stop()
        return "stopping"

    def _counted(self, receipt: Receipt) -> Receipt:
        """The receipt; counted and logged where the gate refused."""
        if receipt.refusal is not None:
            self.note(receipt.refusal.check, receipt.refusal.message)
        return receipt

    async def _ask_engine(self, request: Request) -> object:
        match request.method:
            case "snapshot":
                return finite(self._service.latest())
            case "what_if":
                answer = await self._service.what_if(order_decoder.decode(request.params))
                if isinstance(answer, OrderCard):
                    return WhatIfAnswer(card=finite_card(answer))
                return WhatIfAnswer(refusal=answer)
            case "bars":
                wanted = bars_params_decoder.decode(request.params)
                if not 1 <= wanted.limit <= MAX_BARS:
                    raise CallFailed(INVALID_PARAMS, f"bars: limit is {wanted.limit}; allowed is 1 to {MAX_BARS}")
                return list(await self._service.bars(wanted.instrument_id, wanted.limit))
            case "performance":
                return await self._service.performance(performance_query_decoder.decode(request.params))
            case "research":
                return await self._service.research(research_query_decoder.decode(request.params))
            case _:
                raise CallFailed(METHOD_UNKNOWN, f'there is no method "{request.method}"')

    def subscribe(self) -> AsyncIterator[Snapshot]:
        """The service's snapshots, newest only."""
        return self._service.snapshots()

    def _greet(self, request: Request, session: Session) -> Hello:
        theirs = hello_params_decoder.decode(request.params)
        session.read_only = session.read_only or theirs.read_only  # once given up it is not had back
        if theirs.protocol != PROTOCOL:
            raise CallFailed(
                INVALID_REQUEST,
                f"the engine {self._hello.version} speaks control protocol {PROTOCOL}, the client {theirs.version} "
                f"speaks {theirs.protocol}; use the same version of both", "EngineUnreachable")
        return msgspec.structs.replace(self._hello, access=session.access())


def _peer(writer: asyncio.StreamWriter) -> str:
    """Who is at the other end, as far as the system tells."""
    option = getattr(socket, "SO_PEERCRED", None)
    peer = writer.get_extra_info("socket")
    if option is None or peer is None:
        return "a client"
    with contextlib.suppress(OSError):
        pid, *_ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i")))
        return f"a client (process {pid})"
    return "a client"


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
