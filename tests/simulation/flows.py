"""Money that comes and goes at the venue in the simulation, without a word of it: in some worlds a person pays in and takes
out, and small costs are booked."""

from collections.abc import Iterator
from random import Random

from brokers.paper.venue import PaperVenue
from engine.brakes import is_valued, losses
from engine.events import Event
from engine.flow_events import CashAdjusted, CashNature, FlowValued
from engine.market import MarketView
from engine.state import State
from engine.valuation import equity_minor

EXACT = 1e-6
PARTS = (-0.6, -0.25, -0.02, -0.001, 0.001, 0.1, 0.7, 3.0)
LAST_PLACE = 150


def has_flows(seed: int) -> bool:
    """A fifth of the worlds."""
    return seed % 5 == 4


class Payments:
    """What is paid, at which places of the tape; each once, whatever the engine dies of meanwhile."""

    def __init__(self, seed: int, venue: PaperVenue) -> None:
        random = Random(seed * 198_491_317 + 23)
        count = random.randint(1, 5) if has_flows(seed) else 0
        self._due = {random.randrange(10, LAST_PLACE): random.choice(PARTS) for _ in range(count)}
        self._venue = venue

    def pump(self, place: int) -> None:
        """Let happen what is due there."""
        part = self._due.pop(place, None)
        ledger = self._venue._ledger.state
        if part is not None and ledger.cash_minor > 0:
            ledger.cash_minor += int(part * ledger.cash_minor)


def hidden_losses(before: State, after: State, event: Event, market: MarketView) -> Iterator[str]:
    """No money that comes or goes makes a loss a smaller part than it was, and what is a cost makes it larger."""
    if not isinstance(event, CashAdjusted | FlowValued) or not is_valued(after, market, "main"):
        return
    if isinstance(event, CashAdjusted) and event.nature in (CashNature.SHIFT, CashNature.WAITING):
        return
    lost = {one.brake: one.loss_fraction for one in losses(before.portfolios["main"], equity_minor(before, market, "main"))}
    for one in losses(after.portfolios["main"], equity_minor(after, market, "main")):
        if one.loss_fraction < lost.get(one.brake, 0.0) - EXACT:
            yield f"{one.brake} of {lost[one.brake]:.6f} became {one.loss_fraction:.6f} by {event}"
