"""How fast requests may go: one rate for an account, with a share that only exits and cancels may use."""

import asyncio
import time

from aiolimiter import AsyncLimiter

REQUESTS_PER_MINUTE = 200
RESERVED_PER_MINUTE = 40
LONGEST_WAIT_SECONDS = 4.0
MINUTE_SECONDS = 60.0


class RequestPace:
    """Lets requests through at the venue's rate. What may not wait that long is not sent at all, which is a clear answer."""

    def __init__(self, per_minute: int = REQUESTS_PER_MINUTE, reserved: int = RESERVED_PER_MINUTE,
                 longest_wait_seconds: float = LONGEST_WAIT_SECONDS) -> None:
        self._all = AsyncLimiter(per_minute, MINUTE_SECONDS)
        self._ordinary = AsyncLimiter(max(1, per_minute - reserved), MINUTE_SECONDS)
        self._longest_wait_seconds = longest_wait_seconds
        self._resume_at = 0.0

    async def take(self, *, urgent: bool) -> bool:
        """Wait for a place; False where there was none in time. `urgent` may use the reserved share."""
        try:
            async with asyncio.timeout(self._longest_wait_seconds):
                await asyncio.sleep(max(0.0, self._resume_at - time.monotonic()))
                if not urgent:
                    await self._ordinary.acquire()
                await self._all.acquire()
        except TimeoutError:
            return False
        return True

    def pause(self, seconds: float) -> None:
        """The venue asked us to wait: nothing goes before that, not even an exit, since it would be refused."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)
