"""What an analyst says of one instrument: a model's typed answer, or the rule's."""

from enum import StrEnum

import msgspec


class Stance(StrEnum):
    LONG = "long"
    SHORT = "short"
    FLAT = "flat"
    EXIT = "exit"


class Claim(msgspec.Struct, frozen=True):
    """A number that the answer rests on, as it stands in the snapshot's facts."""

    evidence_id: str
    field: str
    value: float


class Opinion(msgspec.Struct, frozen=True):
    """Version 1 of what a model returns. `p_up` is the probability that the close after `horizon_days` trading days is above the
    snapshot's mark, and always there: it is the scored series. `p_win` is that of the target before the stop, None when flat or
    leaving. Distances in bps of the mark."""

    symbol: str
    stance: Stance
    p_up: float
    p_win: float | None
    horizon_days: int
    target_bps: int
    stop_bps: int
    thesis: str
    against: str
    evidence: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    event_tags: tuple[str, ...] = ()


class Verdict(StrEnum):
    """What became of a raw answer. `RETRY` is asked again once with the error, then it counts as `ABSTAIN`; `REJECT` is not
    asked again: that would teach the model to fit the check."""

    ACCEPT = "accept"
    ACCEPT_REPAIRED = "accept_repaired"
    RETRY = "retry"
    ABSTAIN = "abstain"
    REJECT = "reject"


class Reading(msgspec.Struct, frozen=True):
    """A raw answer as it was read: the opinion where it was accepted, else the code that says why not. `repairs` are the codes
    of the lossless repairs, `message` the machine error with which the model is asked again."""

    verdict: Verdict
    code: str = ""
    repairs: tuple[str, ...] = ()
    opinion: Opinion | None = None
    message: str = ""
