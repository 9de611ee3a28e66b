"""Leaves models alone for a while once several calls in a row of minutes have failed: the rules answer then."""

from collections import deque

from engine.research.settings import BreakerSettings
from engine.units import NS_PER_SECOND

FAILURES = frozenset({"TIMEOUT", "RATE_LIMITED", "OVERLOADED", "SERVER_ERROR", "UNREACHABLE", "BAD_KEY", "BAD_REQUEST",
                      "MALFORMED"})


class Breaker:
    """Opens after `failures` failed calls within the window, and closes by itself after the rest."""

    def __init__(self, settings: BreakerSettings = BreakerSettings()) -> None:  # noqa: B008 - frozen
        self._settings = settings
        self._failed_ns: deque[int] = deque(maxlen=settings.failures)
        self.open_until_ns = 0

    def is_open(self, now_ns: int) -> bool:
        """Whether no model is to be asked now."""
        return now_ns < self.open_until_ns

    def heard(self, code: str, now_ns: int) -> None:
        """Count what became of a call; "" is an answer. Codes that are our own doing, such as BUDGET, count as nothing."""
        if code not in FAILURES or self.is_open(now_ns):
            return
        self._failed_ns.append(now_ns)
        window_ns = round(self._settings.window_seconds * NS_PER_SECOND)
        if len(self._failed_ns) == self._settings.failures and now_ns - self._failed_ns[0] <= window_ns:
            self.open_until_ns = now_ns + round(self._settings.rest_seconds * NS_PER_SECOND)
            self._failed_ns.clear()
