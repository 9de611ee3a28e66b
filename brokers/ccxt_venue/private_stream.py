"""The account's own stream: orders and executions as they happen, with reconnection and a word on every drop."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from brokers.ccxt_venue.answers import cause_of
from brokers.ccxt_venue.session import Session
from brokers.waiting import Backoff

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
CONFIRM_SECONDS = 30.0


class PrivateStream:
    """Watches orders, and executions where the venue streams them. `on_change` hears of every up and down.

    It is up once the venue has confirmed the subscription, not when a socket opens: in between, words are lost.
    """

    def __init__(self, session: Session, on_orders: Callable[[list[Any]], None], on_trades: Callable[[list[Any]], None],
                 on_change: Callable[[bool, str], None]) -> None:
        self._session = session
        self._on_orders, self._on_trades, self._on_change = on_orders, on_trades, on_change
        self._tasks: list[asyncio.Task[None]] = []
        self._confirmed = asyncio.Event()

    @property
    def up(self) -> bool:
        return self._confirmed.is_set()

    @property
    def tells_fills(self) -> bool:
        return bool(self._session.exchange.has.get("watchMyTrades"))

    def start(self) -> bool:
        """Begin; False where the venue streams no orders."""
        exchange = self._session.exchange
        if not self._session.profile.stream or not exchange.has.get("watchOrders"):
            return False
        if self._session.profile.confirms is not None:
            self._session.watchers.append(self._look_for_confirmation)
        else:
            self._confirm_on_connect(exchange)
        self._tasks = [asyncio.create_task(self._watch(exchange.watch_orders, self._on_orders))]
        if self.tells_fills:
            self._tasks.append(asyncio.create_task(self._watch(exchange.watch_my_trades, self._on_trades)))
        self._tasks.append(asyncio.create_task(self._redial_unconfirmed()))
        return True

    async def wait_up(self, seconds: float) -> bool:
        """Wait for the confirmation, a bounded time."""
        try:
            await asyncio.wait_for(self._confirmed.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def redial(self, why: str) -> None:
        """Drop the connection, because it cannot be trusted; the watchers dial again."""
        self._down(why)
        await self._session.exchange.close_ws_clients()

    def _look_for_confirmation(self, message: Any) -> None:
        confirms = self._session.profile.confirms
        if confirms is not None and confirms(message):
            self._up()

    def _confirm_on_connect(self, exchange: Any) -> None:
        connected = exchange.on_connected

        def noted(client: Any, message: Any = None) -> None:
            connected(client, message)
            self._up()

        exchange.on_connected = noted

    def _up(self) -> None:
        if not self._confirmed.is_set():
            self._confirmed.set()
            self._on_change(True, "the venue's stream is up")  # noqa: FBT003 - a callback of one flag and one text

    def _down(self, why: str) -> None:
        if self._confirmed.is_set():
            self._confirmed.clear()
            self._on_change(False, why)  # noqa: FBT003

    async def _watch(self, method: Callable[[], Awaitable[list[Any]]], take: Callable[[list[Any]], None]) -> None:
        """Take what comes, for ever. Nothing is awaited between two calls, so that no message falls between them."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        while True:
            try:
                take(await method())
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                why = "the stream was closed"  # ccxt cancels its futures when it closes a connection
            except Exception as error:  # noqa: BLE001 - a stream that ended for any reason is dialled again
                why = self._session.clean(cause_of(error))
            self._down(why)
            await asyncio.sleep(backoff.next_seconds())

    async def _redial_unconfirmed(self) -> None:
        """A connection that the venue never confirms would be waited on for ever."""
        while True:
            await asyncio.sleep(CONFIRM_SECONDS)
            if not self.up and not await self.wait_up(CONFIRM_SECONDS):
                await self._session.exchange.close_ws_clients()
