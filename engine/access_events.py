"""What is recorded of access: each code that opened something, and each that did not. Never a code."""

from engine.event_base import Event
from engine.units import Nanoseconds


class AccessGranted(Event, frozen=True, omit_defaults=True):
    """A right code; `step` is the time step that it used up, 0 for a PIN."""

    by: str
    way: str
    what: str
    step: int = 0
    command_id: str = ""


class AccessDenied(Event, frozen=True, omit_defaults=True):
    """A wrong code, or one that was used before: so many in a row, and when the next try counts."""

    by: str
    what: str
    reason: str
    failures: int
    retry_at_ns: Nanoseconds
    command_id: str = ""
