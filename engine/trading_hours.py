"""When a market trades, as the rest of the engine asks for it. The hours themselves come from a calendar outside."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from engine.instruments import ALWAYS_OPEN
from engine.units import NS_PER_SECOND, Nanoseconds

NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_DAY = 86_400 * NS_PER_SECOND
FAR_FUTURE_NS = 1 << 62


class SessionBounds(NamedTuple):
    """One session as `[open_ns, close_ns)`."""

    open_ns: Nanoseconds
    close_ns: Nanoseconds

    def holds(self, at_ns: Nanoseconds) -> bool:
        """Whether the market trades at that moment."""
        return self.open_ns <= at_ns < self.close_ns


type SessionLookup = Callable[[str, Nanoseconds], SessionBounds]


def day_of_utc(at_ns: Nanoseconds) -> SessionBounds:
    """The session of a market that never closes."""
    start_ns = at_ns // NS_PER_DAY * NS_PER_DAY
    return SessionBounds(start_ns, start_ns + NS_PER_DAY)


def moment_text(at_ns: Nanoseconds) -> str:
    """A moment as events and messages tell it, to the minute."""
    return f"{datetime.fromtimestamp(at_ns // NS_PER_SECOND, UTC):%Y-%m-%d %H:%M} UTC"


def only_always_open(session: str, at_ns: Nanoseconds) -> SessionBounds:
    """The lookup of an engine without a calendar: what is not always open never opens."""
    return day_of_utc(at_ns) if session == ALWAYS_OPEN else SessionBounds(FAR_FUTURE_NS, FAR_FUTURE_NS)
