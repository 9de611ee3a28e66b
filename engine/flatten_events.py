"""What is recorded of the second stage of panic, from its start to the venue's own word."""

from engine.event_base import Event
from engine.service import FlattenLine
from engine.units import Nanoseconds


class FlattenStarted(Event, frozen=True, omit_defaults=True):
    """Second stage of panic: `deadline_ns` is when it gives up and says what is left."""

    portfolio: str
    accounts: tuple[str, ...]
    deadline_ns: Nanoseconds
    by: str
    command_id: str


class FlattenProgressed(Event, frozen=True, omit_defaults=True):
    """What the venue itself reported: orders still open, and lots left in every instrument."""

    account: str
    open_orders: int
    lines: tuple[FlattenLine, ...]
    flat: bool


class FlattenFinished(Event, frozen=True, omit_defaults=True):
    flat: bool
    detail: str
