"""What happens on the account, told to the engine: from the stream where there is one, and by asking in any case.

Streams drop messages without a word, so orders at work are compared with the venue's lists now and then, quickly while no
stream is up. Executions go through one queue, in order, and each is told once.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from brokers.ccxt_venue.answers import cause_of, is_a
from brokers.ccxt_venue.fills import Execution, FillBook, execution_of
from brokers.ccxt_venue.known_orders import KnownOrder, KnownOrders
from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import NS_PER_MS, exact
from brokers.ccxt_venue.order_terms import report_of
from brokers.ccxt_venue.private_stream import PrivateStream
from brokers.ccxt_venue.queries import Queries, raw_client_id
from brokers.ccxt_venue.session import Session
from engine.inputs import ConnectionChanged, FillReported, OrderReport
from engine.orders import Fill, FillSource
from engine.ports import VenueMessage
from engine.units import NS_PER_SECOND, Nanoseconds

OVERLAP_NS = 60 * NS_PER_SECOND
STREAM_LAG_NS = 5 * NS_PER_SECOND
CLOCK_SECONDS = 3_600.0
PRICE_SECONDS = 60.0
IN_FLIGHT_SECONDS = 2.0
RETRY_SECONDS = 1.0
KEPT_TOLD = 20_000
FAILURES_BEFORE_DOWN = 2
REDIAL_SECONDS = 15.0


class AccountWatch:
    """Follows one account from `start` to `stop`; every message goes to `sink`."""

    def __init__(self, account: str, session: Session, listing: Listing, book: FillBook,
                 sink: Callable[[VenueMessage], None], poll_seconds: float) -> None:
        self.account = account
        self.known = KnownOrders()
        self.queries = Queries(session, listing, self.known)
        self.stream = PrivateStream(session, self._take_orders, self._take_trades, self._stream_changed)
        self.in_flight = 0
        self._session, self._listing, self._book, self._sink = session, listing, book, sink
        self._poll_seconds = poll_seconds
        self._queue: asyncio.Queue[Execution | OrderReport] = asyncio.Queue()
        self._told: dict[tuple[str, str], None] = {}
        self._prices: dict[str, tuple[float, Decimal | None]] = {}
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._streams = False
        self._linked = True
        self._redialled_at = 0.0
        self._down_since_ns: Nanoseconds = 0
        self._gap: tuple[Nanoseconds] | None = None
        self._begun = False
        self._failures = 0
        self._started_ns: Nanoseconds = 0
        self._since_ns: Nanoseconds = 0
        self._clock_read_at = time.monotonic()

    async def start(self, venue_ns: Nanoseconds, stream_seconds: float) -> None:
        """Open the stream, wait for it a while, and begin to ask; fills before `venue_ns` are a report's affair."""
        self._started_ns = self._since_ns = venue_ns
        self._streams = self.stream.start()
        self._tasks = [asyncio.create_task(self._tell_executions())]
        if self._streams:
            await self.stream.wait_up(stream_seconds)
        self._begun = True
        self._tasks.append(asyncio.create_task(self._poll_for_ever()))

    async def stop(self) -> None:
        await self.stream.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def nudge(self) -> None:
        """Something was asked of the venue: where no stream tells what came of it, look at once."""
        if not (self.stream.up and self.stream.tells_fills):
            self._wake.set()

    def measure_soon(self) -> None:
        """Our clock moved: measured before the next look, which follows at once."""
        self._clock_read_at = -CLOCK_SECONDS
        self._wake.set()

    # ---- what the stream says ----

    def _take_orders(self, orders: list[Any]) -> None:
        only_hints = self._session.profile.only_hints
        for order in orders:
            if only_hints is not None and only_hints(order):
                self._wake.set()
            else:
                self.heard(order, from_stream=True)

    def _take_trades(self, trades: list[Any]) -> None:
        for trade in trades:
            execution = execution_of(trade, self._session.profile.client_id_field)
            if execution is not None and execution.symbol in self._listing.instruments:
                self._queue.put_nowait(execution)

    def heard(self, order: Any, client_order_id: str = "", *, from_stream: bool = False) -> OrderReport | None:
        """What the venue says of an order: bound to our id, and told once where it is news."""
        instrument = self._listing.by_symbol(order.get("symbol"))
        if instrument is None:
            return None
        raw_id = client_order_id or self._session.profile.wire_ids.inward(raw_client_id(order))
        known = self.known.seen(raw_id, str(order.get("id") or ""), instrument.symbol)
        report = report_of(self.account, instrument, order, known.client_order_id, known.intent)
        if known.told is None and not known.sent:
            known.told_lots = max(known.told_lots, report.cum_lots)  # what it filled before we knew it, a report tells
        if self.known.news(known, report):
            self._tell_order(report)
        if report.cum_lots > known.told_lots and (not from_stream or not self.stream.tells_fills):
            self._wake.set()
        return report

    def _tell_order(self, report: OrderReport) -> None:
        """A closing word waits in the queue behind the fills that came before it; how much is filled, the fills say."""
        if report.closed_as is not None:
            self._queue.put_nowait(report)
        elif not report.cum_lots:
            self._sink(report)

    # ---- executions, in order, each once ----

    async def _tell_executions(self) -> None:
        while True:
            item = await self._queue.get()
            if isinstance(item, OrderReport):
                self._sink(item)
                continue
            try:
                await self._tell(item)
            except Exception as error:  # noqa: BLE001 - whatever the venue did not answer, the fill is told later
                self._failed(error)
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._queue.put_nowait, item)

    async def _tell(self, execution: Execution) -> None:
        """Tell a fill; what is older than this connection (some streams begin with history) is a report's affair."""
        if execution.key in self._told or execution.at_ns < self._started_ns:
            return
        fill = await self.fill_of(execution, FillSource.STREAM)
        self._told[execution.key] = None
        if len(self._told) > 2 * KEPT_TOLD:
            for key in list(self._told)[:KEPT_TOLD]:
                del self._told[key]
        known = self.known.by_venue(execution.venue_order_id) or self.known.by_client(fill.client_order_id)
        if known is not None:
            known.told_lots += fill.last_lots
        self._sink(FillReported(fill))

    async def fill_of(self, execution: Execution, source: FillSource) -> Fill:
        """The fill of an execution, with our id and every fee valued; raises what ccxt raises."""
        instrument = self._listing.instruments[execution.symbol]
        client_order_id = await self._client_id_of(execution)
        for currency, _ in execution.fees:
            if currency not in (instrument.base_currency, instrument.quote_currency):
                await self._learn_price(currency, instrument.quote_currency)
        return self._book.fill_of(execution, client_order_id, self._price_of, source)

    async def _client_id_of(self, execution: Execution) -> str:
        """Whose order it was. A fill may overtake the answer to its own order, so that is waited for a moment."""
        if execution.wire_id:
            client_order_id = self._session.profile.wire_ids.inward(execution.wire_id)
            return self.known.seen(client_order_id, execution.venue_order_id, execution.symbol).client_order_id
        until = time.monotonic() + IN_FLIGHT_SECONDS
        known = self.known.by_venue(execution.venue_order_id)
        while known is None and self.in_flight and time.monotonic() < until:
            await asyncio.sleep(0.01)
            known = self.known.by_venue(execution.venue_order_id)
        if known is None and execution.venue_order_id:
            order = await self.queries.order_by_venue(execution.venue_order_id, execution.symbol)
            if order is not None:
                client_order_id = self._session.profile.wire_ids.inward(raw_client_id(order))
                known = self.known.seen(client_order_id, execution.venue_order_id, execution.symbol)
        return known.client_order_id if known else ""

    async def _learn_price(self, currency: str, quote_currency: str) -> None:
        """What a third coin costs in the quote currency; not known is an answer too, and asked again later."""
        read_at, _ = self._prices.get(currency, (-PRICE_SECONDS, None))
        if time.monotonic() - read_at < PRICE_SECONDS:
            return
        symbol = f"{currency}/{quote_currency}"
        price = None
        if symbol in self._session.exchange.markets:
            try:
                ticker = await self._session.call(self._session.exchange.fetch_ticker, symbol)
                price = exact(ticker.get("bid")) or exact(ticker.get("last"))
            except Exception as error:  # noqa: BLE001 - a fee's value must not hold up the fill
                self._failed(error)
        self._prices[currency] = (time.monotonic(), price)

    def _price_of(self, currency: str) -> Decimal | None:
        return self._prices.get(currency, (0.0, None))[1]

    # ---- asking ----

    async def _poll_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval())
            self._wake.clear()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - what the venue does not answer now it is asked again
                self._failed(error)
            else:
                self._answered()

    def _interval(self) -> float:
        quick = not self.stream.up and (bool(self.known.working()) or not self._linked)
        return self._poll_seconds * self._session.profile.looks[0 if quick else 1]

    async def look(self) -> None:
        """Compare the orders at work with the venue's lists and fetch the fills since the last look; once the stream is back,
        everybody's orders and fills since it went down."""
        if time.monotonic() - self._clock_read_at > CLOCK_SECONDS:
            self._clock_read_at = time.monotonic()
            await self._session.measure_clock()
        working = self.known.working()
        gap = self._gap
        symbols = sorted(self._listing.instruments if gap else {known.symbol for known in working})
        if not symbols:
            if not self.stream.up:
                await self._session.measure_clock()  # is anybody there?
            return
        began_ns = time.time_ns() - self._session.skew_ms * NS_PER_MS
        missed = False
        for execution in await self.queries.executions(min((self._since_ns, *(gap or ()))) - OVERLAP_NS, symbols):
            late = self._started_ns <= execution.at_ns < began_ns - STREAM_LAG_NS
            missed |= late and gap is None and execution.key not in self._told
            self._queue.put_nowait(execution)
        await self._look_at_orders(working, symbols)
        self._since_ns = max(self._since_ns, began_ns)
        if self._gap is gap:
            self._gap = None
        if missed and self.stream.up and self.stream.tells_fills:
            self._redialled_at = time.monotonic()
            await self.stream.redial("the stream did not tell a fill; it is dialled again")

    async def _look_at_orders(self, working: list[KnownOrder], symbols: list[str]) -> None:
        open_ids = set()
        for order in await self.queries.open_orders(symbols):
            open_ids.add(str(order.get("id")))
            self.heard(order)
        for known in working:
            if known.venue_order_id in open_ids or known.closed:
                continue
            order = (await self.queries.order_by_venue(known.venue_order_id, known.symbol) if known.venue_order_id
                     else await self.queries.order_by_client(known.client_order_id))
            if order is not None:
                self.heard(order, known.client_order_id)

    # ---- is the venue there? ----

    def _stream_changed(self, up: bool, detail: str) -> None:  # noqa: FBT001 - a callback of one flag and one text
        redialling, self._redialled_at = bool(self._redialled_at), 0.0 if up else self._redialled_at
        if not up:
            self._down_since_ns = self._down_since_ns or time.time_ns() - self._session.skew_ms * NS_PER_MS
            if not redialling:
                self._link(up=False, detail=detail)
        elif self._begun and self._linked:  # it was asked meanwhile: nothing that we guard there is given up, the gap is fetched
            self._gap = (min((self._down_since_ns or self._started_ns, *(self._gap or ()))),)
        elif self._begun:
            self._link(up=True, detail=detail)  # what happened meanwhile is asked for
        self._down_since_ns = 0 if up else self._down_since_ns
        self._wake.set()

    def _failed(self, error: Exception) -> None:
        if is_a(error, "InvalidNonce"):
            self._clock_read_at = -CLOCK_SECONDS  # measured before the next look
        self._failures += 1
        if not self.stream.up and self._failures >= FAILURES_BEFORE_DOWN:
            self._link(up=False, detail=self._session.clean(cause_of(error)))

    def _answered(self) -> None:
        self._failures = 0
        if self._redialled_at and not self.stream.up and time.monotonic() - self._redialled_at > REDIAL_SECONDS:
            self._redialled_at = 0.0
            self._link(up=False, detail="the stream does not come back")
        if not self.stream.up:
            self._link(up=True, detail="the venue is asked, its stream is down" if self._streams else "the venue answers")

    def _link(self, *, up: bool, detail: str) -> None:
        if self._linked is not up:
            self._linked = up
            self._sink(ConnectionChanged(self.account, up=up, detail=detail))
