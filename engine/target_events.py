"""What the engine records of a run toward a portfolio's targets."""

from engine.event_base import Event
from engine.targets import RebalanceLine


class RebalanceStarted(Event, frozen=True, omit_defaults=True):
    """A portfolio is brought back to its targets: what each instrument was decided to give or take;
    or, where `waits` says for what, it is to be once that is there."""

    portfolio: str
    by: str
    asks: bool
    lines: tuple[RebalanceLine, ...]
    command_id: str
    waits: str = ""


class RebalanceEnded(Event, frozen=True, omit_defaults=True):
    """Everything that the run could do has been asked for; `outcome` says what, and what was left out and why."""

    portfolio: str
    outcome: str
