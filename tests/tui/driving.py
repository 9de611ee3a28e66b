"""Driving the app: start it on a scripted service, wait for what must come, read what is on the screen."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from engine.service import Snapshot
from tests.tui.scripted_service import ScriptedService
from tui.app import QuarterdeckApp

PATIENCE_SECONDS = 60.0
SOON_SECONDS = 0.02  # as far as Textual looks ahead: longer than a frame, shorter than any pause that a person would see
TURNS = 2_000


async def settled(*_: float) -> None:
    """Return once the loop has nothing to do, now or soon.

    Textual's own wait sleeps at least 20 ms a time, twice a key, and takes a process that gets no processor for one that is
    done. This one asks the loop itself: nothing is ready to run, and no timer is due within a frame.
    """
    loop: Any = asyncio.get_running_loop()
    for _turn in range(TURNS):
        await asyncio.sleep(0)
        due = [handle.when() for handle in loop._scheduled if not handle.cancelled()]
        left = min(due, default=loop.time() + 1) - loop.time()
        if not loop._ready and left > SOON_SECONDS:
            return
        if not loop._ready:
            await asyncio.sleep(max(0.0, left))


class HandClock:
    """A monotonic clock that moves only when a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Driver:
    """The app, its service, its clock, and ways to wait without a fixed pause."""

    def __init__(self, app: QuarterdeckApp, service: ScriptedService, pilot: Pilot[None], clock: HandClock) -> None:
        self.app, self.service, self.pilot, self.clock = app, service, pilot, clock

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the app work until the condition holds; a deadline, far beyond what it takes, ends a wait in vain."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"did not happen; on the screen:\n{self.text}"
            await self.pilot.pause(0.01)

    async def publish(self, newer: Snapshot) -> None:
        """Publish a snapshot and wait until it is shown."""
        self.service.publish(newer)
        await self.until(lambda: self.app.snapshot is not None and self.app.snapshot.version >= newer.version)
        await self.pilot.pause()

    async def sees(self, *words: str) -> None:
        """Wait until all these words are on the screen."""
        await self.until(lambda: all(word in self.text for word in words))

    @property
    def text(self) -> str:
        """The screen as text, line by line."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in lines)

    def sent(self, kind: type[Any]) -> list[Any]:
        """The commands of a kind that reached the service."""
        return [command for command in self.service.sent if isinstance(command, kind)]


def looked_at(driver: Driver) -> bool:
    """Whether the card on the screen can be answered by now; time passes with each look."""
    driver.clock.seconds += 2
    return getattr(driver.app.screen, "armed", False)


@asynccontextmanager
async def driving(first: Snapshot | None = None, *, size: tuple[int, int] = (120, 35),
                  service: ScriptedService | None = None, **options: Any) -> AsyncIterator[Driver]:
    """A running app that has shown its first snapshot."""
    service = service or ScriptedService(first)
    clock = HandClock()
    app = QuarterdeckApp(service, now_seconds=clock, **options)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("app", "pilot"):
            patch.setattr(f"textual.{module}.wait_for_idle", settled)
        async with app.run_test(size=size) as pilot:
            driver = Driver(app, service, pilot, clock)
            await driver.until(lambda: app.snapshot is not None)
            await pilot.pause()
            yield driver
