"""Events of strategies and of regimes folded into the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.events import Event, Recorded, WantRefused
from engine.regimes import DayRegime
from engine.state import Changes, State
from engine.strategy_events import RegimeFound, StrategyActed, StrategySwitched
from engine.strategy_state import StrategyPlace, StrategyState

replace = msgspec.structs.replace


def _acted(state: State, event: StrategyActed, recorded: Recorded) -> Changes:
    known = state.strategies.get(event.strategy) or StrategyState()
    place = known.places.get(event.instrument_id) or StrategyPlace(0)
    place = replace(place, acted_ns=event.close_ns, memory=event.memory)
    if event.want:
        place = replace(place, want=event.want, want_at_ns=recorded.at_ns, refusal="")
    return _put(state, event.strategy, replace(known, places={**known.places, event.instrument_id: place}))


def _refused(state: State, event: WantRefused, _: Recorded) -> Changes:
    """A refusal of what a strategy asked for is shown with it; its name is the first part of the command's id."""
    name, _separator, rest = event.command_id.partition(":")
    known = state.strategies.get(name)
    if known is None:
        return {}
    instrument_id = rest.rpartition(":")[0]
    at = instrument_id if instrument_id in known.places else ""
    place = known.places.get(at)
    if place is None:
        return {}
    told = event.message if not place.refusal else f"{place.refusal}; {event.message}"
    return _put(state, name, replace(known, places={**known.places, at: replace(place, refusal=told)}))


def _switched(state: State, event: StrategySwitched, recorded: Recorded) -> Changes:
    known = state.strategies.get(event.strategy) or StrategyState()
    return _put(state, event.strategy, replace(known, switched=event.enabled, switched_by=event.by, switch_reason=event.reason,
                                               switched_at_ns=recorded.at_ns))


def _regime_found(state: State, event: RegimeFound, _: Recorded) -> Changes:
    found = DayRegime(event.day, event.trend, event.volatility, event.efficiency, event.ratio)
    return {"regimes": {**state.regimes, event.instrument_id: found}}


def _put(state: State, strategy: str, after: StrategyState) -> Changes:
    return {"strategies": {**state.strategies, strategy: after}}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    StrategyActed: _acted, StrategySwitched: _switched, WantRefused: _refused,
    RegimeFound: _regime_found,
}
