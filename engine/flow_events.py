"""What the engine records of money that came or went without a fill."""

from enum import StrEnum

from engine.event_base import Event
from engine.units import Minor


class CashNature(StrEnum):
    """What a difference of cash is taken for: the balance that an account begins with (`shift`), a deposit or withdrawal
    (`flow`), one whose portfolio had no price at that moment (`waiting`), or a cost such as fees, interest and funding."""

    SHIFT = "shift"
    FLOW = "flow"
    WAITING = "waiting"
    COST = "cost"


class CashAdjusted(Event, frozen=True, omit_defaults=True):
    """The venue's cash replaced ours; `equity_minor` is what a flow's portfolio was worth before it."""

    account: str
    delta_minor: Minor
    reason: str
    nature: CashNature = CashNature.SHIFT
    equity_minor: Minor = 0


class FlowValued(Event, frozen=True, omit_defaults=True):
    """What a portfolio was worth before the flows that waited for a price."""

    portfolio: str
    equity_minor: Minor
