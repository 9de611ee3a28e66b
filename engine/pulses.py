"""Who works in an engine's process, when each was last seen working, and what waits for it; written and read by any thread.

Every write replaces one value, which is safe without a lock; a reader may see one worker a moment later than another.
"""

import time
from collections.abc import Callable

from engine.health_words import WorkerView


class Pulses:
    """The heartbeats of workers, the depths of their queues, and counts of what they did."""

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._now_seconds = now_seconds
        self._beats: dict[str, tuple[float, float]] = {}
        self.queues: dict[str, int] = {}
        self.counts: dict[str, int] = {}

    def beat(self, worker: str, longest_seconds: float = 0.0) -> None:
        """A worker is at work; it will say so again within `longest_seconds` (0: whenever there is something to do)."""
        self._beats[worker] = (self._now_seconds(), longest_seconds)

    def end(self, worker: str) -> None:
        """A worker has ended as it should: its silence means nothing."""
        self._beats.pop(worker, None)

    def views(self) -> tuple[WorkerView, ...]:
        """Every worker and how long it has been silent, by name."""
        now = self._now_seconds()
        return tuple(WorkerView(name, max(0.0, now - at), longest) for name, (at, longest) in sorted(self._beats.copy().items()))
