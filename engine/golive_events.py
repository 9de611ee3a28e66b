"""What is recorded on the way to real money."""

from engine.event_base import Event
from engine.golive_words import Rehearsed


class RehearsalRecorded(Event, frozen=True, omit_defaults=True):
    """Incidents were rehearsed with a version of the program; every measure is part of the record."""

    version: str
    found: tuple[Rehearsed, ...]
    by: str
    command_id: str = ""
