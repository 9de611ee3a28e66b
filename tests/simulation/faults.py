"""A venue behind a bad line: the real paper venue, with every fault that a real one has shown, chosen by a seed."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

import msgspec

from brokers.paper.broker import PaperBroker
from engine.inputs import (
    Accepted,
    CancelAnswer,
    CancelRefused,
    ConnectionChanged,
    Duplicate,
    FillReported,
    MarketItem,
    MarketTrade,
    NotSent,
    OrderMissing,
    OrderReport,
    Refused,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side
from engine.ports import VenueMessage

SUBMIT_FAULTS = ("request lost", "answer lost", "request late", "request doubled", "refused", "not sent", "answer too slow")
MESSAGE_FAULTS = ("message lost", "message late", "message doubled", "messages reordered", "trade id with other numbers")
ORDER_MESSAGE_FAULTS = MESSAGE_FAULTS[:-1]
CANCEL_FAULTS = ("cancel lost", "cancel answer lost", "cancel refused")
QUERY_FAULTS = ("query unanswered", "report unanswered", "cancel-all unanswered")
WINDOWS = ("rate limited", "maintenance")
WORLD_FAULTS = ("disconnect", "stop cancelled at the venue", "foreign order", *WINDOWS)
SHOWN_FAULTS = ("stream gap", "partial fill", "skewed clock", "silent feed")
ALL_FAULTS = (*SUBMIT_FAULTS, *MESSAGE_FAULTS, *CANCEL_FAULTS, *QUERY_FAULTS, *WORLD_FAULTS, *SHOWN_FAULTS)


class FaultyBroker:
    """`engine.ports.Broker` and `MarketObserver` around a paper venue; `quiet` ends all new faults.

    What was sent is remembered by client id, so that a second, different order under one id is noticed. The venue's clock is
    `skew_ns` ahead of ours. Items in `hidden` the venue sees in place of prints without a price, whose lots are
    their place there.
    """

    def __init__(self, venue: PaperBroker, seed: int, rate: float, skew_ns: int = 0) -> None:
        self.venue = venue
        self.account = venue.account
        self.capabilities = venue.capabilities
        self.quiet = False
        self.counts: Counter[str] = Counter()
        self.sent: dict[str, OrderIntent] = {}
        self.conflicts: list[str] = []
        self.on_submit: Callable[[Sequence[OrderIntent]], None] = lambda intents: None
        self.on_cancel: Callable[[str], None] = lambda client_order_id: None
        self.on_look: Callable[[], None] = lambda: None
        self.clashes = 0
        self.hidden: dict[int, MarketItem] = {}
        self._random = Random(seed)
        self._rate = rate
        self._sink: Callable[[VenueMessage], None] | None = None
        self._late: list[tuple[int, Callable[[], object]]] = []
        self._items = 0
        self._down_until = 0
        self._window = ""
        self._window_until = 0
        self._holding = False
        self._foreign = 0
        self._skew_ns = skew_ns

    def _shut(self) -> str:
        """The window that the venue is in, whose doing this call then is."""
        if self.quiet or self._items >= self._window_until:
            return ""
        self.counts[self._window] += 1
        return self._window

    def _fault(self, *kinds: str) -> str:
        if self.quiet or self._random.random() >= self._rate:
            return ""
        kind = self._random.choice(kinds)
        self.counts[kind] += 1
        return kind

    # ---- the port ----

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        self._sink = sink
        return await self.venue.connect(self._on_message)

    async def close(self) -> None:
        self._sink = None

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        self._remember(intents)
        self.on_submit(intents)
        if self._is_down:
            return [NotSent("no connection") for _ in intents]
        if shut := self._shut():
            answers: tuple[SubmitAnswer, ...] = (Unanswered(f"503, {shut}"), Refused(f"the venue refuses everything: {shut}"))
            throttled: tuple[SubmitAnswer, ...] = (Unanswered("429, retry after 4 s"), NotSent("held back: retry after 4 s"))
            answer = self._random.choice(answers if shut == "maintenance" else throttled)
            return [answer for _ in intents]
        fault = self._fault(*SUBMIT_FAULTS)
        if fault == "not sent":
            return [NotSent("the line was down before sending") for _ in intents]
        if fault == "refused":
            return [Refused("refused for no good reason") for _ in intents]
        if fault == "request lost":
            return [Unanswered("timeout") for _ in intents]
        if fault == "request late":
            self._later(lambda: self.venue.venue.submit(intents))
            return [Unanswered("timeout") for _ in intents]
        self._holding = fault == "answer too slow"
        taken = await self.venue.submit(intents)
        self._holding = False
        if fault == "request doubled":
            again = await self.venue.submit(intents)
            if any(isinstance(answer, Accepted) for answer in again):
                self.conflicts.append(f"the venue took {intents[0].client_order_id} twice")
            return [Duplicate() for _ in intents] if any(isinstance(answer, Accepted) for answer in taken) else taken
        return [Unanswered("timeout") for _ in intents] if fault in ("answer lost", "answer too slow") else taken

    def _remember(self, intents: Sequence[OrderIntent]) -> None:
        for intent in intents:
            known = self.sent.setdefault(intent.client_order_id, intent)
            if known != intent:
                self.conflicts.append(f"{intent.client_order_id} was sent with two contents")

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        self.on_cancel(client_order_id)
        if self._is_down:
            return NotSent("no connection")
        if shut := self._shut():
            return self._random.choice((Unanswered(shut), NotSent(shut) if shut == "rate limited" else CancelRefused(shut)))
        fault = self._fault(*CANCEL_FAULTS)
        if fault == "cancel lost":
            return Unanswered("timeout")
        if fault == "cancel refused":
            return CancelRefused("unknown order", unknown_order=True)
        answer = await self.venue.cancel(client_order_id, venue_order_id)
        return Unanswered("timeout") if fault == "cancel answer lost" else answer

    async def cancel_all(self) -> int | Unanswered:
        if self._is_down or self._shut() or self._fault("cancel-all unanswered"):
            return Unanswered("timeout")
        return await self.venue.cancel_all()

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        if self._is_down or self._shut() or self._fault("query unanswered"):
            return Unanswered("timeout")
        return self._not_definitive(self._skewed(await self.venue.order(client_order_id)))

    async def report(self, since_ns: int, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        if self._is_down or self._shut() or self._fault("report unanswered"):
            return Unanswered("timeout")
        report = await self.venue.report(since_ns - self._skew_ns, client_order_ids)
        if isinstance(report, Unanswered):
            return report
        self.counts["skewed clock"] += bool(self._skew_ns)
        looked_up = tuple(self._not_definitive(self._skewed(found)) for found in report.looked_up)
        return VenueReport(report.account, report.venue_time_ns + self._skew_ns,
                           tuple(self._skewed(fill) for fill in report.fills),
                           tuple(self._skewed(found) for found in report.open_orders), looked_up,
                           report.positions, report.cash_minor, report.instruments)

    def _skewed[F](self, found: F) -> F:
        """Something of the venue's, with the time that the venue's clock shows."""
        if self._skew_ns and isinstance(found, FillReported):
            return FillReported(self._skewed(found.fill))  # type: ignore[return-value]
        if self._skew_ns and isinstance(found, OrderReport | Fill):
            return msgspec.structs.replace(found, at_ns=found.at_ns + self._skew_ns)
        return found

    def _not_definitive[F](self, found: F) -> F:
        """Absence proves nothing while a request may still be on its way."""
        if isinstance(found, OrderMissing) and self._late:
            return OrderMissing(found.account, found.client_order_id, definitive=False)  # type: ignore[return-value]
        return found

    # ---- the market, and what time brings ----

    def see(self, item: MarketItem, at_ns: int) -> None:
        self._items += 1
        if isinstance(item, MarketTrade) and not item.price_ticks:
            item = self.hidden[item.lots]
            self.counts["silent feed"] += 1
        self.on_look()
        self._release_late()
        if not self.quiet and self._random.random() < self._rate / 40:
            self._world_fault()
        self.venue.see(item, at_ns)

    def advance(self, now_ns: int) -> None:
        self.venue.advance(now_ns)

    @property
    def cursor_ns(self) -> int:
        return self.venue.cursor_ns

    @property
    def _is_down(self) -> bool:
        return self._items < self._down_until

    def _release_late(self) -> None:
        due = [act for items, act in self._late if items <= self._items]
        self._late = [entry for entry in self._late if entry[0] > self._items]
        for act in due:
            act()
        if self._down_until and self._items == self._down_until:
            self._emit(ConnectionChanged(self.account, up=True))

    def _later(self, act: Callable[[], object]) -> None:
        self._late.append((self._items + self._random.randint(1, 6), act))

    def _world_fault(self) -> None:
        kind = self._random.choice(WORLD_FAULTS)
        if kind in WINDOWS:
            self._window, self._window_until = kind, self._items + self._random.randint(3, 12)
            return
        if kind == "disconnect" and not self._is_down:
            self._down_until = self._items + self._random.randint(2, 8)
            self._emit(ConnectionChanged(self.account, up=False, detail="the line broke"))
        elif kind == "stop cancelled at the venue":
            stops = [found for found in self.venue.venue.report(0, ()).open_orders if found.kind is OrderKind.STOP]
            if not stops:
                return
            self.venue.venue.cancel(self._random.choice(stops).client_order_id, "")
        elif kind == "foreign order":
            self._place_foreign()
        self.counts[kind] += 1

    def _place_foreign(self) -> None:
        """Somebody else's resting limit, far from the market."""
        instrument = self._random.choice(self.venue.venue.listing())
        mark = self.venue.mark(instrument.instrument_id)
        if mark is None or not mark.bid_ticks:
            return
        self._foreign += 1
        self.venue.venue.submit([OrderIntent(
            f"foreign-{self._foreign}", "main", self.account, instrument.instrument_id, Side.BUY,
            max(instrument.min_lots, 1), OrderKind.LIMIT, Purpose.ENTRY, limit_ticks=max(1, mark.bid_ticks // 3))])

    # ---- messages ----

    def _on_message(self, message: VenueMessage) -> None:
        message = self._skewed(message)
        if self._is_down:
            self.counts["stream gap"] += 1
            return
        if self._holding:
            self._later(lambda: self._emit(message))
            return
        fault = self._fault(*(MESSAGE_FAULTS if isinstance(message, FillReported) else ORDER_MESSAGE_FAULTS))
        if fault == "message lost":
            return
        if fault in ("message late", "messages reordered"):
            self._later(lambda: self._emit(message))
            return
        self._emit(message)
        if fault == "message doubled":
            self._emit(message)
        elif isinstance(message, FillReported) and fault == "trade id with other numbers":
            self.clashes += 1
            self._emit(FillReported(msgspec.structs.replace(message.fill, last_lots=message.fill.last_lots + 1)))

    def _emit(self, message: VenueMessage) -> None:
        if self._sink is not None:
            self._sink(message)
