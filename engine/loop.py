"""The single writer: one input at a time through `decide`, its events to the journal, its effects to whoever releases them.

Nothing here waits; the runner commits what was appended before it releases an effect.
"""

from collections.abc import Sequence

from engine.decide import decide
from engine.effects import Effect
from engine.events import encode
from engine.inputs import Bar, Input, MarketTrade, Quote
from engine.market import MarketView
from engine.ports import Journal, JournalRow
from engine.state import State
from engine.turn import Stamped
from engine.units import Nanoseconds


class Loop:
    """Owns the state and the picture of the market."""

    def __init__(self, state: State, market: MarketView, journal: Journal) -> None:
        self.state = state
        self.market = market
        self._journal = journal
        self.inputs_taken = 0
        self.last_at_ns: Nanoseconds = state.at_ns

    def take(self, at_ns: Nanoseconds, taken: Input) -> Sequence[Effect]:
        """Decide on one input at a time that never runs backwards; what it asks of the world is returned."""
        if at_ns > self.last_at_ns:
            self.last_at_ns = at_ns
        else:
            at_ns = self.last_at_ns
        self.inputs_taken += 1
        kind = type(taken)
        if (kind is Quote or kind is MarketTrade or kind is Bar) and not self.market.see(taken, at_ns):  # type: ignore[arg-type]
            return ()
        decision = decide(self.state, Stamped(at_ns, taken, self.market))
        if decision.events:
            rows = []
            for recorded in decision.events:
                kind_name, version, payload = encode(recorded.event)
                rows.append(JournalRow(recorded.seq, recorded.at_ns, kind_name, version, payload))
            self._journal.append(rows)
            self.state = decision.state
        return decision.effects
