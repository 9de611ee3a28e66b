"""What is recorded of orders over time."""

from engine.event_base import Event
from engine.parents import Parent
from engine.units import Lots


class ParentAccepted(Event, frozen=True, omit_defaults=True):
    """A parent order passed its checks as a whole; its slices follow."""

    parent: Parent
    command_id: str = ""


class ParentSliced(Event, frozen=True, omit_defaults=True):
    """A slice was due: `lots` go out in the same transaction, and `waiting` is why not all of what was due."""

    parent_id: str
    place: int
    lots: Lots
    waiting: str = ""


class ParentEnded(Event, frozen=True, omit_defaults=True):
    """Nothing more of it is sent; what is working of it is withdrawn. `done_lots` is how far one got that reduces a position."""

    parent_id: str
    outcome: str
    command_id: str = ""
    done_lots: Lots = 0
