"""What is told of candidates: the stage of each strategy, what its next stage asks for, and how it came to where it is."""

from decimal import Decimal

import msgspec


class GateView(msgspec.Struct, frozen=True):
    """One thing that a promotion asks for, and what was found."""

    name: str
    met: bool
    needed: str
    found: str


class EvidenceView(msgspec.Struct, frozen=True):
    """What was found of a strategy; `current` where it was found of the form that it has now."""

    kind: str
    source: str
    text: str
    at_ns: int
    by: str
    current: bool


class StageChangeView(msgspec.Struct, frozen=True):
    stage: str
    at_ns: int
    by: str
    reason: str


class CandidateView(msgspec.Struct, frozen=True):
    """A strategy's stage and the way to the next (empty at the end of the way).

    `digest` binds a promotion to the rule and the parameters shown. `may_enter` tells whether it may enter where it trades now,
    `capital_percent` with what part of its capital. The results are of its own round trips in this stage; fractions in percent of
    its capital.
    """

    name: str
    rule: str
    portfolio: str
    live: bool
    stage: str
    next_stage: str
    since_ns: int
    digest: str
    uses_model: bool
    may_enter: bool
    capital_percent: float
    days: float
    round_trips: int
    net: Decimal
    money_decimals: int
    currency: str
    drawdown_percent: float
    losing_streak: int
    gates: tuple[GateView, ...]
    evidence: tuple[EvidenceView, ...]
    history: tuple[StageChangeView, ...]

    @property
    def ready(self) -> bool:
        """Whether a person may promote it now."""
        return bool(self.gates) and all(gate.met for gate in self.gates)
