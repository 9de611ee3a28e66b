"""How often something may happen: a share that refills evenly, for each kind by itself."""

from collections.abc import Callable

SECONDS_PER_MINUTE = 60.0


class Paces:
    """How many of each kind in the last minute, evenly refilled."""

    def __init__(self, now_seconds: Callable[[], float]) -> None:
        self._now_seconds = now_seconds
        self._left: dict[str, tuple[float, float]] = {}

    def spend(self, kind: str, per_minute: float) -> bool:
        """Use one up; False where none is left."""
        now = self._now_seconds()
        at, left = self._left.pop(kind, (now, per_minute))
        left = min(per_minute, left + (now - at) * per_minute / SECONDS_PER_MINUTE)
        self._left[kind] = (now, left - 1 if left >= 1 else left)
        return left >= 1
