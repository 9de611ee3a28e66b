"""What is recorded of candidates: evidence, and every step up or down."""

from engine.candidates import Evidence, Stage, StageResults
from engine.event_base import Event


class EvidenceRecorded(Event, frozen=True, omit_defaults=True):
    """Something was found of a strategy in the form that it has now."""

    strategy: str
    evidence: Evidence
    command_id: str = ""


class CandidatePromoted(Event, frozen=True, omit_defaults=True):
    """A person let a strategy go one stage further; `gates` are what was asked and found, in words, `evidence` and `results`
    what that rested on."""

    strategy: str
    stage: Stage
    digest: str
    symbols: tuple[str, ...]
    by: str
    reason: str = ""
    gates: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    results: StageResults = StageResults()
    command_id: str = ""


class CandidateDemoted(Event, frozen=True, omit_defaults=True):
    """A strategy went back: a person's wish, a broken bound, or another form than was approved."""

    strategy: str
    stage: Stage
    by: str
    reason: str
    command_id: str = ""
