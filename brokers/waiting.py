"""How long to leave a venue alone: as long as it asks for, and ever longer where it cannot be reached."""

import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

STEADY_SECONDS = 30.0


class Backoff:
    """Waits that double from `first_seconds` up to `longest_seconds`, each spread between half and all of it, so that many
    clients do not come back at the same moment. What held for `steady_seconds` after a wait begins anew; what breaks again at
    once does not, or a venue that lets one in and drops one would be stormed."""

    def __init__(self, first_seconds: float, longest_seconds: float, *, steady_seconds: float = STEADY_SECONDS,
                 now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._first_seconds, self._longest_seconds, self._steady_seconds = first_seconds, longest_seconds, steady_seconds
        self._now_seconds = now_seconds
        self._chance = random.Random()  # noqa: S311 - spreads reconnections
        self._failures = 0
        self._over_at = 0.0

    def next_seconds(self) -> float:
        """How long to wait after one more failure."""
        now = self._now_seconds()
        self._failures = 1 if not self._failures or now - self._over_at > self._steady_seconds else self._failures + 1
        longest = min(self._longest_seconds, self._first_seconds * 2.0 ** min(self._failures - 1, 30))
        wait_seconds = longest * self._chance.uniform(0.5, 1.0)
        self._over_at = now + wait_seconds
        return wait_seconds


def retry_after_seconds(value: str) -> float | None:
    """What a `Retry-After` header asks for: seconds, or until a date (RFC 9110, section 10.2.3); None where it is neither."""
    with suppress(ValueError):
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    with suppress(ValueError):
        until = parsedate_to_datetime(value)
        return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None
