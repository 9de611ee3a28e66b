"""Snapshots for whoever looks: built at most ten times a second in the engine's loop, handed to any thread."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from engine.service import Snapshot

SNAPSHOT_SECONDS = 0.1


class Publisher:
    """The newest snapshot and those who wait for the next one."""

    def __init__(self, first: Snapshot) -> None:
        self.latest = first
        self.closed = False
        self._published_at = 0.0
        self._subscribers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def publish(self, build: Callable[[int], Snapshot], *, force: bool = False) -> None:
        """Build and hand out the next snapshot, unless the last one is too young; `build` takes its version."""
        now = time.monotonic()
        if not force and now - self._published_at < SNAPSHOT_SECONDS:
            return
        self._published_at = now
        self.latest = build(self.latest.version + 1)
        self._wake()

    def close(self) -> None:
        """There will be no more; whoever waits is told."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        for loop, event in list(self._subscribers):
            with suppress(RuntimeError):  # that loop has ended, and with it whoever looked
                loop.call_soon_threadsafe(event.set)

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Snapshots as they are published, the newest only; ends when the publisher is closed."""
        event = asyncio.Event()
        subscription = (asyncio.get_running_loop(), event)
        self._subscribers.append(subscription)
        try:
            version = -1
            while True:
                event.clear()
                newest = self.latest
                if newest.version != version:
                    version = newest.version
                    yield newest
                elif self.closed:
                    return
                else:
                    await event.wait()
        finally:
            self._subscribers.remove(subscription)
