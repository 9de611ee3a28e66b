"""Blocking work beside an event loop, in a thread that nobody waits for: neither the loop's end nor the process's."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


async def aside[T](work: Callable[[], T]) -> T:
    """The result of `work`, or what it raises. A cancelled wait leaves the work to itself."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(act: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if future.done() else act())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            failure = error
            settle(lambda: future.set_exception(failure))
        else:
            settle(lambda: future.set_result(result))

    threading.Thread(target=run, name="news-work", daemon=True).start()
    return await future
