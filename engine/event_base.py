"""What every event is."""

import msgspec


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of every event; it exists so that a function can say that it takes one."""
