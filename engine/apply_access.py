"""Events of access folded into the state."""

from collections.abc import Callable
from typing import Any

from engine.access import AccessState
from engine.access_events import AccessDenied, AccessGranted
from engine.event_base import Event
from engine.events import Recorded
from engine.state import Changes, State


def _granted(state: State, event: AccessGranted, _: Recorded) -> Changes:
    return {"access": AccessState(used_step=max(state.access.used_step, event.step))}


def _denied(state: State, event: AccessDenied, _: Recorded) -> Changes:
    return {"access": AccessState(event.failures, event.retry_at_ns, state.access.used_step)}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {AccessGranted: _granted, AccessDenied: _denied}
