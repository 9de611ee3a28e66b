"""The single writer: one input at a time through `decide`, its events to the journal, its effects to whoever releases them.

Nothing here waits; the runner commits what was appended before it releases an effect. A decision that fails by a defect of
ours changes nothing: the input is dropped, `on_defect` is told, and the stops of every position are watched on.
"""

from collections.abc import Callable, Sequence

from engine.decide import decide
from engine.decide.marks import follow
from engine.desk import Desk
from engine.effects import Answer, Effect
from engine.events import encode
from engine.inputs import Bar, Input, MarketItem, MarketTrade, Quote
from engine.market import MarketView
from engine.ports import Journal, JournalRow
from engine.service import Receipt, Refusal
from engine.state import State
from engine.turn import Decision, Stamped
from engine.units import Nanoseconds


class Loop:
    """Owns the state, the picture of the market, and the desk at which strategies look at it."""

    def __init__(self, state: State, market: MarketView, journal: Journal,
                 on_defect: Callable[[Input, Exception], None], desk: Desk | None = None) -> None:
        self.state = state
        self.desk = desk or Desk()
        self.desk_wanted = False
        self.bars_unseen: list[Bar] = []
        self.market = market
        self.defects = 0
        self.recorded: dict[str, int] = {}
        self._journal = journal
        self._on_defect = on_defect
        self.inputs_taken = 0
        self.last_at_ns: Nanoseconds = state.at_ns
        for position in state.positions.values():
            follow(market, position)

    def take(self, at_ns: Nanoseconds, taken: Input) -> Sequence[Effect]:
        """Decide on one input at a time that never runs backwards, and on what the strategies want after a bar that it brought;
        what all of it asks of the world is returned."""
        effects = self.take_alone(at_ns, taken)
        return (*effects, *self.ask_desk()) if self.bars_unseen and type(taken) is Bar else effects

    def take_alone(self, at_ns: Nanoseconds, taken: Input) -> Sequence[Effect]:
        """The same, where more bars close at this moment: the strategies see a bar once they are asked."""
        if at_ns > self.last_at_ns:
            self.last_at_ns = at_ns
        else:
            at_ns = self.last_at_ns
        self.inputs_taken += 1
        kind = type(taken)
        if kind is Quote or kind is MarketTrade or kind is Bar:
            if not self.market.see(taken, at_ns):  # type: ignore[arg-type]
                return ()
            if kind is Bar and not self.desk.idle:
                self.bars_unseen.append(taken)  # type: ignore[arg-type]
        return self._decide(at_ns, taken)

    def ask_desk(self) -> Sequence[Effect]:
        """Let the strategies see the bars of a moment, in their order; each is decided on before the next one's turn."""
        bars, self.bars_unseen = self.bars_unseen, []
        effects: tuple[Effect, ...] = ()
        self.desk_wanted = False
        for bar in bars:
            for wanted in self.desk.bar_closed(bar, self.state, self.market):
                self.desk_wanted = True
                effects = (*effects, *self._decide(self.last_at_ns, wanted))
        return effects

    def remember(self, item: MarketItem, at_ns: Nanoseconds, *, more_close: bool) -> None:
        """An item of a tape from before the point at which a run goes on: seen, not decided on. Where the run went on within a
        moment at which more bars close, nobody had asked the strategies yet."""
        if self.market.see(item, at_ns) and type(item) is Bar and not self.desk.idle:
            self.bars_unseen.append(item)
        if not more_close:
            bars, self.bars_unseen = self.bars_unseen, []
            for bar in bars:
                self.desk.history(bar, self.state, self.market)

    def warm(self, bars: Sequence[Bar]) -> None:
        """Closed bars of one instrument from before those seen so far, oldest first."""
        self.market.warm(list(bars))
        if bars:
            self.desk.warm(bars[0].instrument_id, self.state, self.market)

    def warm_longer(self, bar_ns: Nanoseconds, parts: Sequence[Bar]) -> None:
        """Closed bars of one instrument, oldest first, from which longer ones are joined for strategies that look at those."""
        if parts:
            self.desk.warm_longer(bar_ns, parts, self.state, self.market)

    def _decide(self, at_ns: Nanoseconds, taken: Input) -> Sequence[Effect]:
        try:
            decision = decide(self.state, Stamped(at_ns, taken, self.market))
            rows = _rows(decision) if decision.events else []
        except Exception as error:  # noqa: BLE001 - an engine that dies of one input leaves every position alone
            return self._drop(taken, error)
        if rows:
            self._journal.append(rows)
            for row in rows:
                self.recorded[row.kind] = self.recorded.get(row.kind, 0) + 1
            self.state = decision.state
        return decision.effects

    def _drop(self, taken: Input, error: Exception) -> Sequence[Effect]:
        """Nothing of the failed decision has happened; whoever gave a command is told so."""
        self.defects += 1
        self._on_defect(taken, error)
        command_id = getattr(taken, "command_id", "")
        if not command_id:
            return ()
        refusal = Refusal("defect", "a decision", type(error).__name__,
                          f"a defect in the engine: {type(error).__name__}; nothing was done, the log has the details")
        return (Answer(Receipt(command_id, accepted=False, seq=self.state.seq, refusal=refusal)),)


def _rows(decision: Decision) -> list[JournalRow]:
    rows = []
    for recorded in decision.events:
        kind_name, version, payload = encode(recorded.event)
        rows.append(JournalRow(recorded.seq, recorded.at_ns, kind_name, version, payload))
    return rows
