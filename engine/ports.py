"""Small protocols through which the shell reaches the world; adapters live in `brokers` and `store`."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from engine.analytics.records import Track
from engine.effects import Notify
from engine.inputs import (
    Bar,
    CancelAnswer,
    ConnectionChanged,
    FillReported,
    InstrumentsListed,
    MarketItem,
    OrderMissing,
    OrderReport,
    SubmitAnswer,
    Unanswered,
    VenueCapabilities,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import OrderIntent
from engine.performance_words import PerformanceQuery
from engine.research.acted import Results
from engine.research.decided import Forecast
from engine.research_state import SealedDecision
from engine.research_words import RateOfCode, ResearchPage, ResearchQuery
from engine.units import Nanoseconds

type VenueMessage = OrderReport | FillReported | ConnectionChanged | InstrumentsListed


class Clock(Protocol):
    """Where the shell reads the time; the core never does."""

    def now_ns(self) -> Nanoseconds: ...


class Broker(Protocol):
    """One account at one venue. Answers are values; nothing here raises for what a venue may say."""

    account: str
    capabilities: VenueCapabilities

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:
        """Open the account, list what can be traded, and from now on hand every stream message to `sink`, which is
        called in the caller's event loop; raises `VenueUnreachable`."""
        ...

    async def close(self) -> None: ...

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        """Send one order, or an entry with its protective children (`parent_id`); one answer each, in order."""
        ...

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:
        """Ask to cancel one order, ours or foreign; `Accepted` means asked, the closing word comes as a report."""
        ...

    async def cancel_all(self) -> int | Unanswered:
        """Cancel every open order of the account, foreign ones too; how many were open."""
        ...

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:
        """Look one order up by our id."""
        ...

    async def report(self, since_ns: Nanoseconds, client_order_ids: Sequence[str]) -> VenueReport | Unanswered:
        """Server time, fills since `since_ns`, open orders, each named order, positions, balances: complete or not at all."""
        ...


@runtime_checkable
class MarketObserver(Protocol):
    """A venue that lives on the same market data as the engine (the paper venue): it sees every item first.

    `cursor_ns` is the time of the newest item that its memory has kept; what is not newer it ignores."""

    def see(self, item: MarketItem, at_ns: Nanoseconds) -> None: ...

    def advance(self, now_ns: Nanoseconds) -> None: ...

    @property
    def cursor_ns(self) -> Nanoseconds: ...


class Tape(Protocol):
    """Market data in time order, recorded or simulated, with times of its own.

    A bar of a tape comes as two items: a `Quote` at its open and the `Bar` at its close, so that nothing inside a bar is
    known before it is over.
    """

    def instruments(self) -> tuple[Instrument, ...]: ...

    def items(self) -> Iterator[MarketItem]: ...

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """Closed bars before the first item, oldest first, for warm-up and charts."""
        ...


class MarketFeed(Protocol):
    """Market data as it happens: every item is handed to `sink` in the caller's event loop until `close`."""

    async def run(self, sink: Callable[[MarketItem], None]) -> None: ...

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]: ...

    async def close(self) -> None: ...


@runtime_checkable
class HalfHours(Protocol):
    """The past in half hours, within which no market opens or closes: a feed that knows it."""

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The newest `limit` closed bars of half an hour of UTC, oldest first, adjusted for splits where the source does that.
        None where nobody answers. Blocks, in any thread: never call it in a loop."""
        ...


@runtime_checkable
class DailyBars(Protocol):
    """The past in days: a feed or a tape that knows it."""

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The newest `limit` closed daily bars, oldest first, adjusted for splits where the source does that; a share's bar is
        its session, a coin's a day of 24 hours. None where nobody answers. Blocks, in any thread: never call it in a loop."""
        ...


class JournalRow(NamedTuple):
    """One journaled event: `payload` is its canonical JSON."""

    seq: int
    at_ns: Nanoseconds
    kind: str
    version: int
    payload: bytes


class Journal(Protocol):
    """The append-only record. `append` queues rows as one transaction; `wait_durable` returns once all queued rows are
    on disk, or raises `JournalUnwritable`: then nothing that depends on them may happen."""

    def append(self, rows: Sequence[JournalRow]) -> None: ...

    async def wait_durable(self) -> None: ...

    async def retry(self) -> None:
        """After a failure: write what is still queued, in order; raises `JournalUnwritable` while that fails."""
        ...


class History(Protocol):
    """What was recorded of portfolios, for reports; called in any thread, and may take its time."""

    def track(self, query: PerformanceQuery) -> Track: ...


class ResearchRecord(Protocol):
    """What was recorded of research; called in any thread, and may take its time."""

    def page(self, query: ResearchQuery) -> ResearchPage:
        """The answer; raises `UsageError` for a decision or a portfolio that is not known."""
        ...


class ForecastsKnown(NamedTuple):
    """The forecasts that were sealed up to a journal row, how answers of models were coded lately, what came of decisions, and
    every decision whose forecast is resolved."""

    through_seq: int
    forecasts: Sequence[Forecast]
    codes: tuple[RateOfCode, ...] = ()
    results: Results = Results()
    resolved: Sequence[SealedDecision] = ()


class LearningRecord(Protocol):
    """What the learning looks at; called in any thread, and may take its time."""

    def forecasts(self) -> ForecastsKnown: ...


class Notifier(Protocol):
    """Tells a person away from the screen. It takes a notice at once and never raises; telling is its own affair."""

    def notify(self, notice: Notify) -> None: ...
