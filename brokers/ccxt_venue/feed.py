"""A crypto venue's market data behind the engine's `MarketFeed` port: best prices, prints, one-minute bars, the past."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

from brokers.ccxt_venue.answers import cause_of
from brokers.ccxt_venue.bars import MINUTE_NS, BarBuilder
from brokers.ccxt_venue.numbers import NS_PER_MS, exact_or_zero, ns_of
from brokers.ccxt_venue.profiles import profile_of
from brokers.ccxt_venue.session import VENUES_OWN, Endpoints, Session, configured
from brokers.waiting import Backoff
from engine.errors import VenueUnreachable
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import Instrument
from engine.trading_hours import NS_PER_DAY
from engine.units import Nanoseconds, steps_down, steps_nearest

log = logging.getLogger("quarterdeck.ccxt")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
SWEEP_SECONDS = 1.0
SAME_AGAIN_SECONDS = 1.0
BAR_DELAY_NS = 2_000_000_000
BARS_A_PAGE = 300
MOST_PAGES = 20


class Scale(NamedTuple):
    """Steps per unit of price and quantity, as floats: ccxt gives floats, and the nearest step of one that stands for a
    decimal is exact."""

    instrument_id: str
    ticks: float
    lots: float


class CcxtFeed:
    """Market data of the instruments that `instruments` names when `run` begins (the broker's listing, usually).

    No key is needed. While the venue is silent its quotes grow old, which blocks entries by itself.
    """

    def __init__(self, exchange_id: str, *, instruments: Callable[[], Sequence[Instrument]], endpoints: Endpoints = VENUES_OWN,
                 sandbox: bool = False, rate_limit_ms: int | None = None, poll_seconds: float = 2.0) -> None:
        self.exchange_id = exchange_id
        self._instruments = instruments
        self._endpoints, self._sandbox, self._rate_limit_ms = endpoints, sandbox, rate_limit_ms
        self._poll_seconds = poll_seconds
        self._session = Session(exchange_id, endpoints=endpoints, sandbox=sandbox, rate_limit_ms=rate_limit_ms)
        self._scales: dict[str, Scale] = {}
        self._bars = BarBuilder()
        self._last: dict[str, tuple[tuple[Any, ...], float]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = asyncio.Event()
        self._sink: Callable[[MarketItem], None] = lambda _: None
        self._past: Any = None
        self._past_lock = Lock()  # one client, and charts and research ask for the past in threads of their own

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        """Hand items to `sink` until `close`. Raises `VenueUnreachable` and `ConfigError` where it cannot begin; what breaks
        later is begun again."""
        self._sink = sink
        self._scales = {each.symbol: Scale(each.instrument_id, float(1 / each.tick_size), float(1 / each.lot_size))
                        for each in self._instruments()}
        try:
            await self._session.open()
        except VenueUnreachable:
            if self._closed.is_set():  # closed while it was opening
                return
            raise
        self._tasks = [asyncio.create_task(work) for work in self._work()]
        try:
            await self._closed.wait()
        finally:  # also where the caller is cancelled
            await self._stop()

    async def close(self) -> None:
        """End `run` at once."""
        self._closed.set()
        await self._stop()

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    # ---- live ----

    def _work(self) -> Iterator[Any]:
        exchange, symbols = self._session.exchange, list(self._scales)
        has = exchange.has
        if has.get("watchBidsAsks") is True:
            yield self._keep(partial(exchange.watch_bids_asks, symbols), self._take_tickers)
            yield self._sweep()
        elif has.get("watchTicker"):
            for symbol in symbols:
                yield self._keep(partial(exchange.watch_ticker, symbol), self._take_ticker)
        else:
            yield self._keep(self._polled, self._take_tickers)
        if has.get("watchTradesForSymbols") is True:
            yield self._keep(partial(exchange.watch_trades_for_symbols, symbols), self._take_trades, self._begin_bars)
            yield self._close_bars()
        elif has.get("watchTrades"):
            for symbol in symbols:
                yield self._keep(partial(exchange.watch_trades, symbol), self._take_trades, self._begin_bars)
            yield self._close_bars()

    async def _keep(self, method: Callable[[], Awaitable[Any]], take: Callable[[Any], None],
                    begin: Callable[[], None] | None = None) -> None:
        """Take what comes, for ever; after a break begin again, ever more slowly."""
        backoff, begun = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS), False
        while True:
            if begin is not None and not begun:
                begin()
                begun = True
            try:
                take(await method())
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
            except Exception as error:  # noqa: BLE001 - whatever broke, the quotes grow old and it is tried again
                log.warning("%s market data: %s", self.exchange_id, cause_of(error))
            begun = False
            await asyncio.sleep(backoff.next_seconds())

    def _take_tickers(self, tickers: Any) -> None:
        for ticker in tickers.values():
            self._take_ticker(ticker)

    def _take_ticker(self, ticker: Any, *, cached: bool = False) -> None:
        """A new price at once; the same one that the venue says again now and then, since in a quiet market it would grow old
        and be taken for silence. What lies in a cache says nothing new of the venue."""
        scale = self._scales.get(ticker.get("symbol") or "")
        quote = quote_of(ticker, scale, time.time_ns()) if scale is not None else None
        if quote is None:
            return
        told, told_at = self._last.get(quote.instrument_id, (None, 0.0))
        now = time.monotonic()
        if told != quote[1:5] or (not cached and now - told_at >= SAME_AGAIN_SECONDS):
            self._last[quote.instrument_id] = quote[1:5], now
            self._sink(quote)

    async def _sweep(self) -> None:
        """ccxt hands over one symbol a message and may drop what came for another meanwhile; its cache has it."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            exchange = self._session.exchange
            for symbol in self._scales:
                ticker = exchange.bidsasks.get(symbol) or exchange.tickers.get(symbol)
                if ticker:
                    self._take_ticker(ticker, cached=True)

    async def _polled(self) -> Any:
        await asyncio.sleep(self._poll_seconds)
        exchange = self._session.exchange
        method = exchange.fetch_bids_asks if exchange.has.get("fetchBidsAsks") else exchange.fetch_tickers
        return await self._session.call(method, list(self._scales))

    def _take_trades(self, trades: Any) -> None:
        for trade in trades:
            scale = self._scales.get(trade.get("symbol") or "")
            item = market_trade_of(trade, scale, time.time_ns()) if scale is not None else None
            if item is not None:
                self._sink(item)
                for bar in self._bars.take(item):
                    self._sink(bar)

    def _begin_bars(self) -> None:
        self._bars.begin(time.time_ns())

    async def _close_bars(self) -> None:
        """A minute is told once it is over and late prints had their time, whether the next one trades or not."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            for bar in self._bars.close_until(time.time_ns() - BAR_DELAY_NS):
                self._sink(bar)

    # ---- past ----

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed one-minute bars, oldest first; none where the venue does not answer. Blocks: call it in a thread."""
        return self._closed_bars(instrument_id, "1m", MINUTE_NS, limit)

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed bars of half an hour, oldest first; none where the venue does not answer. Blocks."""
        return self._closed_bars(instrument_id, "30m", 30 * MINUTE_NS, limit)

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed days of UTC, oldest first; none where the venue does not answer. Blocks."""
        return self._closed_bars(instrument_id, "1d", NS_PER_DAY, limit)

    def _closed_bars(self, instrument_id: str, timeframe: str, length_ns: Nanoseconds, limit: int) -> Sequence[Bar]:
        instrument = next((each for each in self._instruments() if each.instrument_id == instrument_id), None)
        if instrument is None or limit < 1:
            return []
        try:
            with self._past_lock:
                rows = self._rows(instrument.symbol, timeframe, length_ns // NS_PER_MS, limit)
        except Exception as error:  # noqa: BLE001 - a chart without a past is no reason to stop; the log says why
            log.warning("%s: no past bars of %s: %s", self.exchange_id, instrument.symbol, cause_of(error))
            return []
        now_ns = time.time_ns()
        bars = sorted((bar_of(row, instrument, length_ns) for row in rows), key=lambda bar: bar.open_ns)
        return [bar for bar in bars if bar.close_ns <= now_ns][-limit:]

    def _rows(self, symbol: str, timeframe: str, length_ms: int, limit: int) -> list[Any]:
        """Rows from `limit` bars ago on, in as many pages as the venue needs."""
        if self._past is None:
            import ccxt

            self._past = configured(getattr(ccxt, self.exchange_id), profile_of(self.exchange_id), endpoints=self._endpoints,
                                    sandbox=self._sandbox, rate_limit_ms=self._rate_limit_ms)
        now_ms = time.time_ns() // NS_PER_MS
        since_ms = now_ms - (limit + 1) * length_ms
        rows: dict[int, Any] = {}
        for _ in range(MOST_PAGES):
            page = self._past.fetch_ohlcv(symbol, timeframe, since_ms, BARS_A_PAGE)
            fresh = [row for row in page if row[0] not in rows]
            rows.update({row[0]: row for row in fresh})
            if not fresh or max(rows) + length_ms > now_ms:
                break
            since_ms = max(rows) + length_ms
        return list(rows.values())


def quote_of(ticker: Any, scale: Scale, now_ns: int) -> Quote | None:
    """Best bid and ask; None where a side is missing or they are crossed."""
    bid, ask = ticker.get("bid"), ticker.get("ask")
    if not bid or not ask or bid > ask:
        return None
    bid_ticks, ask_ticks = round(bid * scale.ticks), round(ask * scale.ticks)
    if bid_ticks < 1:
        return None
    return Quote(scale.instrument_id, bid_ticks, ask_ticks, int((ticker.get("bidVolume") or 0) * scale.lots + 1e-9),
                 int((ticker.get("askVolume") or 0) * scale.lots + 1e-9), ns_of(ticker.get("timestamp")) or now_ns)


def market_trade_of(trade: Any, scale: Scale, now_ns: int) -> MarketTrade | None:
    """A print; None where it is less than a lot."""
    price_ticks = round((trade.get("price") or 0) * scale.ticks)
    lots = int((trade.get("amount") or 0) * scale.lots + 1e-9)
    if price_ticks < 1 or lots < 1:
        return None
    aggressor = {"buy": 1, "sell": -1}.get(trade.get("side") or "", 0)
    return MarketTrade(scale.instrument_id, price_ticks, lots, aggressor, ns_of(trade.get("timestamp")) or now_ns)


def bar_of(row: Sequence[Any], instrument: Instrument, length_ns: Nanoseconds = MINUTE_NS) -> Bar:
    """A row of ccxt: milliseconds, open, high, low, close, volume."""
    opened, high, low, closed = (steps_nearest(exact_or_zero(price), instrument.tick_size) for price in row[1:5])
    open_ns = int(row[0]) * NS_PER_MS
    return Bar(instrument.instrument_id, open_ns, open_ns + length_ns, opened, high, low, closed,
               steps_down(exact_or_zero(row[5]), instrument.lot_size))
