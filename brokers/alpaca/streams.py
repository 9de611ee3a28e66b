"""Keeping a stream of alpaca-py open: connect, read until it breaks, wait a little longer each time, connect again.

alpaca-py's own endless loop is not used: it does not say when a connection broke, and swallows what a handler raises. Its
parts are: the handshake, the key, the subscription.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from brokers.alpaca.answers import readable
from brokers.waiting import Backoff

log = logging.getLogger("quarterdeck.alpaca")

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0
QUIET_SECONDS = 15.0


class Session(Protocol):
    """One connection of a stream."""

    async def open(self) -> None:
        """Connect, show the key, subscribe; returns once messages flow."""
        ...

    async def receive(self) -> bytes | str: ...

    async def close(self) -> None: ...


class StreamKeeper:
    """Runs one stream in a task of its own. `changed(up, detail)` is called whenever it comes or goes."""

    def __init__(self, name: str, make_session: Callable[[], Awaitable[Session]], handle: Callable[[bytes | str], None],
                 changed: Callable[[bool, str], None], *, first_wait_seconds: float = FIRST_WAIT_SECONDS) -> None:
        self.name = name
        self._make_session = make_session
        self._handle = handle
        self._changed = changed
        self._backoff = Backoff(first_wait_seconds, LONGEST_WAIT_SECONDS)
        self._task: asyncio.Task[None] | None = None
        self.up = asyncio.Event()
        self.failure = ""
        self.handled = 0

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"alpaca {self.name}")

    async def stop(self) -> None:
        """End the stream; nothing is handed on afterwards."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            try:
                session = await self._make_session()
                try:
                    async with asyncio.timeout(QUIET_SECONDS):
                        await session.open()
                    self._set_up(up=True, detail="")
                    while True:
                        self._take(await session.receive())
                finally:
                    await session.close()
            except Exception as error:  # noqa: BLE001 - whatever broke it, a stream is opened again
                self._set_up(up=False, detail=_told(error))
                await asyncio.sleep(self._backoff.next_seconds())

    def _take(self, frame: bytes | str) -> None:
        try:
            self._handle(frame)
        except Exception as error:  # noqa: BLE001 - one message that cannot be read must not stop the others
            log.warning("alpaca %s: a message could not be read (%s)", self.name, type(error).__name__)
        self.handled += 1

    def _set_up(self, *, up: bool, detail: str) -> None:
        self.failure = detail
        if up == self.up.is_set():
            return
        log.log(logging.INFO if up else logging.WARNING, "alpaca %s stream is %s %s", self.name, "up" if up else "down", detail)
        if up:
            self.up.set()
        else:
            self.up.clear()
        self._changed(up, detail)


def _told(error: Exception) -> str:
    """Why a stream broke. alpaca-py's own `ValueError` says it in words; others may quote what was sent."""
    name = type(error).__name__
    return f"{name}: {readable(str(error))}" if name in {"ValueError", "ConnectionClosedError", "ConnectionClosedOK"} else name


class AccountSession:
    """The account's stream: orders and executions as they happen."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def open(self) -> None:
        """Ready once the venue has said that it will send: only then can nothing be missed unnoticed."""
        import msgspec

        from brokers.alpaca.wire import WireFrame, WireListening

        async def unused(_message: object) -> None:
            """alpaca-py subscribes only with a handler; frames are read here instead."""

        self._stream.subscribe_trade_updates(unused)
        await self._stream._start_ws()  # noqa: SLF001 - its handshake, see above
        while True:
            frame = msgspec.json.decode(await self.receive(), type=WireFrame)
            if frame.stream == "listening":
                break
        if "trade_updates" not in msgspec.json.decode(frame.data, type=WireListening).streams:
            raise ValueError("the venue does not send this account's orders")

    async def receive(self) -> bytes | str:
        frame: bytes | str = await self._stream._ws.recv()  # noqa: SLF001 - its socket, see above
        return frame

    async def close(self) -> None:
        await self._stream.close()


class MarketSession:
    """The market's stream of some symbols: quotes, prints, one-minute bars."""

    def __init__(self, stream: Any, symbols: tuple[str, ...]) -> None:
        self._stream = stream
        self._symbols = symbols

    async def open(self) -> None:
        async def unused(_message: object) -> None:
            """alpaca-py subscribes only with a handler; frames are read here instead."""

        for subscribe in (self._stream.subscribe_quotes, self._stream.subscribe_trades, self._stream.subscribe_bars):
            subscribe(unused, *self._symbols)
        await self._stream._start_ws()  # noqa: SLF001 - its handshake, see above
        await self._stream._send_subscribe_msg()  # noqa: SLF001

    async def receive(self) -> bytes | str:
        frame: bytes | str = await self._stream._ws.recv()  # noqa: SLF001
        return frame

    async def close(self) -> None:
        await self._stream.close()
