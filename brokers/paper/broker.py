"""The paper venue behind the engine's `Broker` port."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from brokers.paper.memory import Memory, SqliteMemory, TransientMemory
from brokers.paper.records import PaperOptions, VenueTotals
from brokers.paper.venue import PaperVenue
from engine.errors import StoreError
from engine.inputs import (
    CancelAnswer,
    ConnectionChanged,
    MarketItem,
    OrderMissing,
    OrderReport,
    Quote,
    SubmitAnswer,
    Unanswered,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import OrderIntent
from engine.ports import VenueMessage
from engine.units import Nanoseconds


class PaperBroker:
    """One paper account. Without a `memory_path` its memory ends with the object.

    Messages go to the sink in the caller's thread, after their cause is committed; while nothing is connected they are
    dropped, as a real stream's would be, and a report tells what happened. Raises `StoreError` where the memory file
    cannot be opened, `InstrumentError` where an instrument does not fit the account.
    """

    def __init__(self, account: str, memory_path: Path | None = None, options: PaperOptions | None = None,
                 instruments: Sequence[Instrument] = ()) -> None:
        self.account = account
        self.options = options or PaperOptions()
        self.capabilities = self.options.capabilities
        memory: Memory = (SqliteMemory(Path(memory_path), account, self.options) if memory_path is not None
                          else TransientMemory(self.options))
        self.venue = PaperVenue(account, self.options, memory, instruments)
        self._sink: Callable[[VenueMessage], None] | None = None
        self._memory_failed = False
        self._closed = False

    # ---- the port ----

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        self.venue.drain()
        self.venue.expect_reread()
        self._sink = sink
        return self.venue.listing()

    async def close(self) -> None:
        """Write prices and time down and let go; safe to call twice."""
        self._sink = None
        if not self._closed:
            self._closed = True
            with suppress(StoreError):  # prices and time alone are lost, and reading the data again brings them back
                self.venue.close()

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        answers = self.venue.submit(intents)
        self._deliver()
        return answers

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        answer = self.venue.cancel(client_order_id, venue_order_id)
        self._deliver()
        return answer

    async def cancel_all(self) -> int | Unanswered:
        try:
            count = self.venue.cancel_all()
        except StoreError as error:
            return Unanswered(str(error))
        self._deliver()
        return count

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        try:
            found = self.venue.lookup(client_order_id)
        except StoreError as error:
            return Unanswered(str(error))
        self._deliver()
        return found

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        try:
            report = self.venue.report(since_ns, client_order_ids)
        except StoreError as error:
            return Unanswered(str(error))
        self._deliver()
        return report

    # ---- what only a simulated venue has ----

    def list_instruments(self, instruments: Sequence[Instrument]) -> None:
        """Add what can be traded."""
        self.venue.list_instruments(instruments)

    def see(self, item: MarketItem, at_ns: Nanoseconds) -> None:
        """The venue sees a market item: its time moves to `at_ns`, orders execute, messages reach the sink."""
        self._watch_memory(lambda: self.venue.see(item, at_ns))

    def advance(self, now_ns: Nanoseconds) -> None:
        """Time passes: latency and expiries."""
        self._watch_memory(lambda: self.venue.advance(now_ns))

    @property
    def cursor_ns(self) -> Nanoseconds:
        """The venue's time; items up to here need not be shown again."""
        return self.venue.cursor_ns

    def mark(self, instrument_id: str) -> Quote | None:
        """The last price, None before the first."""
        return self.venue.mark(instrument_id)

    def snapshot_totals(self) -> VenueTotals:
        """Cash, equity, positions."""
        return self.venue.totals()

    def _watch_memory(self, step: Callable[[], None]) -> None:
        """A memory that cannot be written is a venue that is down, until it can be written again."""
        try:
            step()
            if self._memory_failed:
                self.venue.commit_marks()  # does it take a write again?
        except StoreError as error:
            if not self._memory_failed:
                self._memory_failed = True
                self._send(ConnectionChanged(self.account, up=False, detail=str(error)))
            return
        if self._memory_failed:
            self._memory_failed = False
            self._send(ConnectionChanged(self.account, up=True, detail="the paper venue's memory can be written again"))
        self._deliver()

    def _deliver(self) -> None:
        for message in self.venue.drain():
            self._send(message)

    def _send(self, message: VenueMessage) -> None:
        if self._sink is not None:
            self._sink(message)
