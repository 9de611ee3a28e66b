"""The two clocks: the system's, and one that only moves when it is told to."""

import time
from collections.abc import Callable

from engine.units import Nanoseconds


class SystemClock:
    """Wall time that never runs backwards, within a run and, given the journal's newest time, over runs: it follows the monotonic
    clock from where it started, and takes a forward correction (a laptop that slept) but not a backward one."""

    def __init__(self, wall: Callable[[], Nanoseconds] = time.time_ns,
                 steady: Callable[[], Nanoseconds] = time.monotonic_ns, not_before_ns: Nanoseconds = 0) -> None:
        self._wall = wall
        self._steady = steady
        self._known = max(wall(), not_before_ns), steady()  # one pair, replaced whole: other threads read the clock too

    def now_ns(self) -> Nanoseconds:
        """The later of the wall clock and our own count: after a step back deadlines must go on, not wait it out."""
        last_ns, known_ns = self._known
        steady_ns = self._steady()
        now_ns = max(self._wall(), last_ns + steady_ns - known_ns)
        self._known = now_ns, steady_ns
        return now_ns

    def ahead_ns(self) -> Nanoseconds:
        """How far our own count is ahead of a wall clock that was set back; 0 where it was not."""
        return max(0, self.now_ns() - self._wall())


class VirtualClock:
    """Time as a tape or a test says it is."""

    def __init__(self, start_ns: Nanoseconds = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> Nanoseconds:
        return self._now_ns

    def advance_to(self, at_ns: Nanoseconds) -> None:
        """Move forward to `at_ns`; an earlier time changes nothing."""
        self._now_ns = max(self._now_ns, at_ns)
