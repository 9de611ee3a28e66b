"""The paper venue behind whatever a scene breaks, and the stopwatch that looks at the venue itself."""

from collections.abc import Callable, Sequence

import msgspec

from brokers.paper.broker import PaperBroker
from engine.inputs import (
    Accepted,
    CancelAnswer,
    ConnectionChanged,
    FillReported,
    MarketItem,
    MarketTrade,
    NotSent,
    OrderMissing,
    OrderReport,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side
from engine.ports import VenueMessage
from engine.rehearsal.scenes import NEVER, START_NS, Breakage, Fault, Scene
from engine.rehearsal.stopwatch import Sight, Stopwatch
from engine.units import NS_PER_SECOND, Lots, Nanoseconds

STOPS = frozenset({OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.TRAILING_STOP})
TIMEOUT = "timeout"


class Window:
    """When a fault is at work; one that begins with a submission has no beginning before that."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        timed = fault.at_second < NEVER
        self.from_ns: Nanoseconds = START_NS + round(fault.at_second * NS_PER_SECOND) if timed else 0
        self.to_ns: Nanoseconds = self.from_ns + round(fault.seconds * NS_PER_SECOND) if timed else 0

    def begin(self, at_ns: Nanoseconds) -> None:
        """The submission that it waits for has come."""
        self.from_ns, self.to_ns = at_ns, at_ns + round(self.fault.seconds * NS_PER_SECOND)

    def open_at(self, at_ns: Nanoseconds) -> bool:
        return self.from_ns <= at_ns < self.to_ns


class RehearsedBroker:
    """`engine.ports.Broker` and `MarketObserver` around a paper venue.

    `guards` says whether the engine itself could leave an instrument now. `kill` ends this process; it is called with the
    stopwatch as it stands.
    """

    def __init__(self, venue: PaperBroker, scene: Scene, hidden: dict[int, MarketItem], stopwatch: Stopwatch,
                 kill: Callable[[Stopwatch], None] | None = None) -> None:
        self.account, self.capabilities = venue.account, venue.capabilities
        self.guards: Callable[[str], bool] = lambda _: False
        self.stopwatch = stopwatch
        self._venue, self._scene, self._hidden, self._kill = venue, scene, hidden, kill
        faults = [fault for fault in scene.faults if kill is not None or fault.breakage is not Breakage.PROCESS]
        self._windows = [Window(fault) for fault in faults]
        self._submits = 0
        self._sink: Callable[[VenueMessage], None] | None = None
        self._now_ns: Nanoseconds = 0
        self._was_down = self._halted = self._placed_foreign = False
        self._sent: dict[str, OrderIntent] = {}

    # ---- the port ----

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        self._sink = sink
        return await self._venue.connect(self._on_message)

    async def close(self) -> None:
        """A last look, and the venue is let go."""
        if self._sink is not None:
            self._sink = None
            self.look(self._now_ns)
        await self._venue.close()

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        self._remember(intents)
        self._submits += 1
        killed = None
        for window in self._windows:
            if window.fault.at_submit == self._submits:
                window.begin(self._now_ns)
                killed = window.fault if window.fault.breakage is Breakage.PROCESS else killed
        if killed is not None and self._kill is not None:
            if killed.sent:
                await self._venue.submit(intents)
            self._kill(self.stopwatch)
        if self._broken(Breakage.LINE):
            return [NotSent("no connection") for _ in intents]
        answers = await self._venue.submit(intents)
        return [Unanswered(TIMEOUT) for _ in intents] if self._broken(Breakage.ANSWER) else answers

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        if self._broken(Breakage.LINE):
            return NotSent("no connection")
        answer = await self._venue.cancel(client_order_id, venue_order_id)
        return Unanswered(TIMEOUT) if self._broken(Breakage.ANSWER) else answer

    async def cancel_all(self) -> int | Unanswered:
        return Unanswered(TIMEOUT) if self._unreachable else await self._venue.cancel_all()

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        return Unanswered(TIMEOUT) if self._unreachable else self._ahead(await self._venue.order(client_order_id))

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        if self._unreachable:
            return Unanswered(TIMEOUT)
        ahead_ns = self._ahead_ns
        found = await self._venue.report(since_ns - ahead_ns, client_order_ids)
        if isinstance(found, Unanswered) or not ahead_ns:
            return found
        return msgspec.structs.replace(
            found, venue_time_ns=found.venue_time_ns + ahead_ns, clock_ahead_ns=-ahead_ns,
            fills=tuple(map(self._ahead, found.fills)), open_orders=tuple(map(self._ahead, found.open_orders)),
            looked_up=tuple(map(self._ahead, found.looked_up)))

    # ---- the market, and what time brings ----

    def see(self, item: MarketItem, at_ns: Nanoseconds) -> None:
        """Look at the venue as the item before left it, then show it this one."""
        if at_ns > self._venue.cursor_ns:
            self.look(at_ns)
        self._now_ns = max(self._now_ns, at_ns)
        if isinstance(item, MarketTrade) and not item.price_ticks:
            item = self._hidden[item.lots]
        self._follow_breakages()
        self._venue.see(item, at_ns)
        if self._scene.foreign_order and not self._placed_foreign:
            self._place_foreign(item.instrument_id)

    def advance(self, now_ns: Nanoseconds) -> None:
        self._venue.advance(now_ns)

    @property
    def cursor_ns(self) -> Nanoseconds:
        return self._venue.cursor_ns

    def look(self, at_ns: Nanoseconds) -> None:
        """What the venue itself holds and guards, whatever the engine believes."""
        report = self._venue.venue.report(at_ns, ())
        held = {position.instrument_id: position.lots for position in report.positions}
        bare = sum(max(0, abs(lots) - self._stop_lots(report, instrument_id, lots)) for instrument_id, lots in held.items()
                   if not self.guards(instrument_id))
        self.stopwatch.note(Sight(at_ns, sum(map(abs, held.values())), bare, len(report.open_orders)))

    @staticmethod
    def _stop_lots(report: VenueReport, instrument_id: str, lots: Lots) -> Lots:
        side = Side.SELL if lots > 0 else Side.BUY
        return sum(order.order_lots - order.cum_lots for order in report.open_orders
                   if order.instrument_id == instrument_id and order.kind in STOPS and order.side is side)

    # ---- what breaks ----

    def _broken(self, breakage: Breakage) -> bool:
        return any(window.fault.breakage is breakage and window.open_at(self._now_ns) for window in self._windows)

    @property
    def _unreachable(self) -> bool:
        return self._broken(Breakage.LINE) or self._broken(Breakage.ANSWER)

    def disk_full(self) -> bool:
        """Whether the journal's disk is full now."""
        return self._broken(Breakage.DISK)

    def _follow_breakages(self) -> None:
        """The line goes and comes back, the venue halts and opens an instrument."""
        self.stopwatch.able_ns = max([self.stopwatch.able_ns, *(window.to_ns for window in self._windows
                                                                if window.open_at(self._now_ns))])
        down = self._broken(Breakage.LINE)
        if down is not self._was_down:
            self._was_down = down
            self._emit(ConnectionChanged(self.account, up=not down, detail="the line broke" if down else "the line is back"))
        halted = self._broken(Breakage.MARKET)
        if halted is not self._halted:
            self._halted = halted
            self._venue.list_instruments([msgspec.structs.replace(one, tradable=not halted)
                                          for one in self._venue.venue.listing()])

    def _remember(self, intents: Sequence[OrderIntent]) -> None:
        """Every order that leaves: one id has one content, and while entries are blocked by a breakage none goes."""
        self.stopwatch.submits += 1
        for intent in intents:
            if self._sent.setdefault(intent.client_order_id, intent) != intent:
                told = f"{intent.client_order_id} was sent with two contents"
                self.stopwatch.conflicts = (*self.stopwatch.conflicts, told)
            if intent.purpose is Purpose.ENTRY and (self.disk_full() or self._broken(Breakage.FEED)):
                self.stopwatch.entries_in_need += 1

    def _place_foreign(self, instrument_id: str) -> None:
        """Somebody else's resting order on the account, far from the market."""
        self._placed_foreign = True
        intent = OrderIntent("foreign", self._scene.incident, self.account, instrument_id, Side.BUY, 10, OrderKind.LIMIT,
                             Purpose.ENTRY, limit_ticks=2_000)
        (answer,) = self._venue.venue.submit([intent])
        if not isinstance(answer, Accepted):
            self.stopwatch.conflicts = (*self.stopwatch.conflicts, f"the foreign order of the scene was not taken: {answer}")

    # ---- the venue's words ----

    @property
    def _ahead_ns(self) -> Nanoseconds:
        return round(self._scene.ahead_seconds * NS_PER_SECOND)

    def _ahead[F](self, found: F) -> F:
        """Something of the venue's, at the time that its clock shows."""
        if self._ahead_ns and isinstance(found, FillReported):
            return FillReported(self._ahead(found.fill))  # type: ignore[return-value]
        if self._ahead_ns and isinstance(found, OrderReport | Fill):
            return msgspec.structs.replace(found, at_ns=found.at_ns + self._ahead_ns)
        return found

    def _on_message(self, message: VenueMessage) -> None:
        if not self._unreachable:
            self._emit(self._ahead(message))

    def _emit(self, message: VenueMessage) -> None:
        if self._sink is not None:
            self._sink(message)
