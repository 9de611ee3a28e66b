"""Rehearsals folded into the state, and round trips on paper counted with the fills that end them."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.event_base import Event
from engine.events import Recorded
from engine.golive_events import RehearsalRecorded
from engine.golive_words import RehearsalState
from engine.positions import RoundTrip
from engine.state import Changes, State


def counted(state: State, trips: Sequence[RoundTrip]) -> Changes:
    """The record on paper with these round trips; those with real money are no part of it, nor those on invented prices."""
    where = [state.portfolios[trip.portfolio].settings for trip in trips]
    count = sum(not one.live and not one.simulated for one in where)
    if not count:
        return {}
    known = state.paper_record
    new_day = not known.day_count or state.day != known.last_day
    return {"paper_record": msgspec.structs.replace(
        known, day_count=known.day_count + new_day, last_day=state.day, round_trips=known.round_trips + count)}


def _rehearsed(state: State, event: RehearsalRecorded, recorded: Recorded) -> Changes:
    newest = {one.incident.value: RehearsalState(event.version, recorded.at_ns, event.by, one.passed, one.seed)
              for one in event.found}
    return {"rehearsals": {**state.rehearsals, **newest}}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {RehearsalRecorded: _rehearsed}
