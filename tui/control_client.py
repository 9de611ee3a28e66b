"""The control socket's client: the `Service` of an engine in another process.

A thread reads answers and pushed snapshots; calls may come from any thread or event loop. Every wait has an end: an
engine that does not answer is `EngineUnreachable`, never a hanging command.
"""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path

import msgspec

from engine.errors import EngineUnreachable
from engine.inputs import Bar, Command, PlaceOrder
from engine.service import (
    AccessView,
    OrderCard,
    PerformanceQuery,
    PerformanceView,
    Receipt,
    Refusal,
    ResearchPage,
    ResearchQuery,
    Snapshot,
)
from tui.control_protocol import (
    MAX_RESPONSE_BYTES,
    PROTOCOL,
    Hello,
    Reply,
    UnlockAnswer,
    WhatIfAnswer,
    exception_of,
    request_line,
)

CALL_SECONDS = 30.0
CONNECT_SECONDS = 3.0
HANG_UP_SECONDS = 1.0

reply_decoder = msgspec.json.Decoder(Reply)
performance_decoder = msgspec.json.Decoder(PerformanceView)
research_page_decoder = msgspec.json.Decoder(ResearchPage)
unlock_answer_decoder = msgspec.json.Decoder(UnlockAnswer)
access_decoder = msgspec.json.Decoder(AccessView)
snapshot_decoder = msgspec.json.Decoder(Snapshot)
receipt_decoder = msgspec.json.Decoder(Receipt)
hello_decoder = msgspec.json.Decoder(Hello)
what_if_decoder = msgspec.json.Decoder(WhatIfAnswer)
bars_decoder: msgspec.json.Decoder[list[Bar]] = msgspec.json.Decoder(list[Bar])


class ControlClient:
    """A connection to a running engine; implements `engine.service.Service`, with blocking twins for commands.

    Raises `EngineUnreachable` where nothing answers in time, where the connection is lost, and where the engine speaks
    another protocol.
    """

    def __init__(self, path: Path, version: str, *, connect_seconds: float = CONNECT_SECONDS,
                 call_seconds: float = CALL_SECONDS, read_only: bool = False) -> None:
        self._path = path
        self._call_seconds = call_seconds
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[msgspec.Raw]] = {}
        self._wakers: list[Callable[[], None]] = []
        self._latest: Snapshot | None = None
        self._subscribed = False
        self._lost = ""
        self._socket = _connected(path, connect_seconds)
        self._reader = threading.Thread(target=self._read, name="control-client", daemon=True)
        self._reader.start()
        try:
            said = {"protocol": PROTOCOL, "version": version, "read_only": read_only}
            self.hello = hello_decoder.decode(self._call("hello", said, connect_seconds))
            if read_only and not self.hello.access.read_only:
                raise EngineUnreachable(f"{path}: the engine {self.hello.version} does not know of looking on only; "
                                        "use the same version of both")
        except EngineUnreachable:
            self.close()
            raise
        self._access, self._access_at = self.hello.access, time.monotonic()

    @property
    def lost(self) -> str:
        """Why the connection is gone, empty while it is there."""
        return self._lost

    def close(self) -> None:
        """Hang up; pending calls fail as unreachable."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    # ---- Service ---------------------------------------------------------------------------------------------------

    def latest(self) -> Snapshot:
        """The newest snapshot received, or one asked for where none was pushed yet."""
        if self._subscribed and self._latest is not None:
            return self._latest
        return self.snapshot_now()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Pushed snapshots, the newest only; raises `EngineUnreachable` once the connection is lost."""
        import asyncio

        loop, fresh = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the app's loop is closed: nobody listens any more
                loop.call_soon_threadsafe(fresh.set)

        with self._lock:
            self._wakers.append(wake)
        try:
            if not self._subscribed:
                self._subscribed = True
                await asyncio.wrap_future(self._post("subscribe", {}))
            elif self._latest is not None or self._lost:
                fresh.set()
            while True:
                await fresh.wait()
                fresh.clear()
                if self._lost:
                    raise EngineUnreachable(self._lost)
                if self._latest is not None:
                    yield self._latest
        finally:
            with self._lock:
                self._wakers.remove(wake)

    async def send(self, command: Command) -> Receipt:
        return receipt_decoder.decode(await self._called("send", command))

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return _card_or_refusal(await self._called("what_if", order))

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return bars_decoder.decode(await self._called("bars", {"instrument_id": instrument_id, "limit": limit}))

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        return performance_decoder.decode(await self._called("performance", query))

    async def research(self, query: ResearchQuery) -> ResearchPage:
        return research_page_decoder.decode(await self._called("research", query))

    # ---- access ----------------------------------------------------------------------------------------------------

    def access(self) -> AccessView:
        """What this connection may do, as the engine last said and time went on since."""
        left = max(0.0, self._access.unlocked_seconds - (time.monotonic() - self._access_at))
        return msgspec.structs.replace(self._access, unlocked_seconds=left)

    async def unlock(self, code: str) -> Receipt:
        return self._unlocked(await self._called("unlock", {"code": code}))

    async def lock(self) -> None:
        self._keep_access(access_decoder.decode(await self._called("lock", {})))

    def unlock_now(self, code: str) -> Receipt:
        """Unlock this connection with a PIN or an authenticator's code."""
        return self._unlocked(self._call("unlock", {"code": code}))

    def approve_by_code_now(self, proposal_id: str, code: str, totp: str) -> Receipt:
        """Approve one pending trade by a notice's code and an authenticator's."""
        return receipt_decoder.decode(self._call("approve_by_code", {"proposal_id": proposal_id, "code": code, "totp": totp}))

    def reload_access_now(self) -> AccessView:
        """Have the engine ask its key store again for what codes are compared with."""
        return access_decoder.decode(self._call("reload_access", {}))

    def _unlocked(self, answer: msgspec.Raw) -> Receipt:
        found = unlock_answer_decoder.decode(answer)
        self._keep_access(found.access)
        return found.receipt

    def _keep_access(self, access: AccessView) -> None:
        self._access, self._access_at = access, time.monotonic()

    # ---- blocking twins for commands ---------------------------------------------------------------------------------

    def snapshot_now(self) -> Snapshot:
        """A snapshot asked for now."""
        return snapshot_decoder.decode(self._call("snapshot", {}))

    def send_now(self, command: Command, seconds: float | None = None) -> Receipt:
        """Send a command and wait for its receipt."""
        return receipt_decoder.decode(self._call("send", command, seconds))

    def what_if_now(self, order: PlaceOrder) -> OrderCard | Refusal:
        """The card of an order, nothing is sent to the venue."""
        return _card_or_refusal(self._call("what_if", order))

    def research_now(self, query: ResearchQuery) -> ResearchPage:
        """What the record of research says."""
        return research_page_decoder.decode(self._call("research", query))

    def ping(self, seconds: float) -> None:
        """Return if the engine's process answers within `seconds`."""
        self._call("ping", {}, seconds)

    def stop_engine(self) -> None:
        """Ask the engine to end cleanly."""
        self._call("stop", {})

    # ---- the wire --------------------------------------------------------------------------------------------------

    async def _called(self, method: str, params: object) -> msgspec.Raw:
        import asyncio

        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._post(method, params)), self._call_seconds)
        except TimeoutError:
            raise self._no_answer(method, self._call_seconds) from None

    def _call(self, method: str, params: object, seconds: float | None = None) -> msgspec.Raw:
        allowed = self._call_seconds if seconds is None else seconds
        try:
            return self._post(method, params).result(allowed)
        except FutureTimeout:
            raise self._no_answer(method, allowed) from None

    def _no_answer(self, method: str, seconds: float) -> EngineUnreachable:
        return EngineUnreachable(f"{self._path}: the engine did not answer {method} in {seconds:.1f} s; it may hang")

    def _post(self, method: str, params: object) -> Future[msgspec.Raw]:
        call_id = next(self._ids)
        future: Future[msgspec.Raw] = Future()
        line = request_line(call_id, method, params)
        with self._lock:
            if self._lost:
                raise EngineUnreachable(self._lost)
            self._waiting[call_id] = future
            try:
                self._socket.sendall(line)
            except OSError:
                broken = True
            else:
                broken = False
        if broken:  # what the engine said before it hung up may still be unread: the reader fails the future with it
            self._reader.join(HANG_UP_SECONDS)
            self._lose(f"{self._path}: the engine hung up")
        return future

    def _read(self) -> None:
        pending = bytearray()
        cause = f"{self._path}: the engine hung up"
        try:
            while chunk := self._socket.recv(1 << 18):
                pending += chunk
                if b"\n" in chunk:
                    *lines, rest = bytes(pending).split(b"\n")
                    pending = bytearray(rest)
                    for line in lines:
                        self._take(reply_decoder.decode(line))
                elif len(pending) > MAX_RESPONSE_BYTES:
                    cause = f"{self._path}: an answer is longer than {MAX_RESPONSE_BYTES} bytes"
                    break
        except OSError:
            pass  # closed by us or by the engine: told to the callers below
        except msgspec.DecodeError as error:
            cause = f"{self._path}: the engine's answer is not understood: {error}"
        self._lose(cause)

    def _take(self, reply: Reply) -> None:
        if reply.method == "snapshot":
            self._latest = snapshot_decoder.decode(reply.params)
            with self._lock:
                wakers = tuple(self._wakers)
            for wake in wakers:
                wake()
            return
        if not isinstance(reply.id, int):
            if reply.error is not None:
                self._lose(reply.error.message)
            return
        with self._lock:
            future = self._waiting.pop(reply.id, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if reply.error is not None:
            future.set_exception(exception_of(reply.error))
        else:
            future.set_result(reply.result.copy())

    def _lose(self, cause: str) -> None:
        with self._lock:
            self._lost = self._lost or cause
            waiting, self._waiting = self._waiting, {}
            wakers = tuple(self._wakers)
        for future in waiting.values():
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineUnreachable(cause))
        for wake in wakers:
            wake()


def _card_or_refusal(answer: msgspec.Raw) -> OrderCard | Refusal:
    decoded = what_if_decoder.decode(answer)
    if decoded.card is not None:
        return decoded.card
    if decoded.refusal is not None:
        return decoded.refusal
    raise EngineUnreachable("the engine answered what_if with neither card nor refusal; use the same version of both")


def _connected(path: Path, seconds: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        connection.connect(str(path))
    except OSError as error:
        connection.close()
        cause = "it takes no connections" if isinstance(error, TimeoutError) else str(error.strerror or error).lower()
        raise EngineUnreachable(f"{path}: no engine answers on the control socket ({cause})") from error
    connection.settimeout(None)
    return connection
