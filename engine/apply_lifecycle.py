"""Events of candidates folded into the state, and the round trips of a stage counted with the fills that end them."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engine.candidates import KEPT_CHANGES, NEW, NO_RESULTS, Candidate, Stage, StageChange, with_trip
from engine.event_base import Event
from engine.events import Recorded
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted, EvidenceRecorded
from engine.positions import RoundTrip
from engine.state import Changes, State

replace = msgspec.structs.replace


def counted(state: State, trips: Sequence[RoundTrip]) -> Changes:
    """The results of the stages in which these round trips were made: paper's on paper, live ones with real money."""
    candidates = state.candidates
    for trip in trips:
        known = candidates.get(trip.strategy)
        if known is None or known.stage not in (Stage.PAPER, Stage.STAGED_LIVE, Stage.FULL_LIVE):
            continue
        where = state.portfolios[trip.portfolio].settings
        if where.live is known.stage.is_live:
            results = with_trip(known.results, trip, known.since_ns)
            results = replace(results, simulated=known.results.simulated or where.simulated)
            candidates = {**candidates, trip.strategy: replace(known, results=results)}
    return {} if candidates is state.candidates else {"candidates": candidates}


def _recorded(state: State, event: EvidenceRecorded, _: Recorded) -> Changes:
    """The newest of each kind; what was found of another form is of no use any more."""
    known = state.candidates.get(event.strategy, NEW)
    same = {kind: one for kind, one in known.evidence.items() if one.digest == event.evidence.digest}
    return _put(state, event.strategy, replace(known, evidence={**same, event.evidence.kind.value: event.evidence}))


def _promoted(state: State, event: CandidatePromoted, recorded: Recorded) -> Changes:
    known = state.candidates.get(event.strategy, NEW)
    return _put(state, event.strategy, _moved(
        replace(known, digest=event.digest, symbols=event.symbols), event.stage, recorded, event.by, event.reason))


def _demoted(state: State, event: CandidateDemoted, recorded: Recorded) -> Changes:
    return _put(state, event.strategy, _moved(
        state.candidates.get(event.strategy, NEW), event.stage, recorded, event.by, event.reason))


def _moved(known: Candidate, stage: Stage, recorded: Recorded, by: str, reason: str) -> Candidate:
    """In another stage, whose results begin with nothing."""
    history = (*known.history, StageChange(stage, recorded.at_ns, by, reason))[-KEPT_CHANGES:]
    return replace(known, stage=stage, since_ns=recorded.at_ns, results=NO_RESULTS, history=history)


def _put(state: State, strategy: str, after: Candidate) -> Changes:
    return {"candidates": {**state.candidates, strategy: after}}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    EvidenceRecorded: _recorded, CandidatePromoted: _promoted, CandidateDemoted: _demoted,
}
