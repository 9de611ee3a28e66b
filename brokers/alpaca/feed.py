"""Alpaca's market data behind the engine's `MarketFeed` port: quotes, prints and one-minute bars, live and past."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from brokers.alpaca.answers import fault_of, readable
from brokers.alpaca.endpoints import AlpacaEndpoints, KeySource, endpoints_of
from brokers.alpaca.streams import MarketSession, StreamKeeper
from brokers.alpaca.wire import WireBar, WireBars, nanoseconds_of
from brokers.sessions import EPOCH_ORDINAL, bounds_of_day, regular_hours
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import AssetClass, Instrument
from engine.trading_hours import SessionBounds, SessionLookup, day_of_utc
from engine.units import NS_PER_SECOND, Nanoseconds, steps_down, steps_nearest

log = logging.getLogger("quarterdeck.alpaca")

MINUTE_NS = 60 * NS_PER_SECOND
MOST_BARS = 10_000
HISTORY_DAYS = 10
HALF_HOURS_A_SESSION = 13
ROWS_A_SESSION_BAR = 3  # 16 hours with trades, 6.5 of them of the session
DAY_NS = 86_400 * NS_PER_SECOND

UNPRICED_CONDITIONS = frozenset("BCGHIMNPQRTUVWZ4579")
"""Conditions of a print that does not set the last price: averaged, late, out of hours, odd lots, official opens and closes."""


class BarLength(NamedTuple):
    """A length of bars by the venue's name for it, and how far back that many of them reach at most."""

    timeframe: str
    reach: Callable[[int], timedelta]
    bounds: Callable[[Nanoseconds, Instrument], tuple[Nanoseconds, Nanoseconds]]

    def rows_a_bar(self, instrument: Instrument) -> int:
        """How many rows to ask for to have one bar of a session: those of a share come from 4 in the morning to 8 at night."""
        return ROWS_A_SESSION_BAR if instrument.asset_class is AssetClass.EQUITY and self.timeframe != DAYS.timeframe else 1


class Hours:
    """Whether a market trades at a moment; the session that was looked up last is kept, since each price asks."""

    def __init__(self, sessions: SessionLookup) -> None:
        self._sessions = sessions
        self._last: dict[str, SessionBounds] = {}

    def hold(self, session: str, at_ns: Nanoseconds) -> bool:
        last = self._last.get(session)
        if last is None or not last.holds(at_ns):
            last = self._last[session] = self._sessions(session, at_ns)
        return last.holds(at_ns)


class Scale(NamedTuple):
    """An instrument's steps per unit of price and quantity, as floats: the stream gives floats, and the nearest step of a
    float that stands for a decimal is exact."""

    instrument_id: str
    ticks: float
    lots: float
    sizes_known: bool
    session: str


class AlpacaFeed:
    """Market data of the instruments that `instruments` names when `run` begins (the broker's listing, usually).

    `stock_feed` is "iex", which every account has, or "sip". Shares come without the sizes of bid and ask: the venue's unit
    for them differs by feed and date. While a stream is down its quotes grow old, which blocks entries by itself.

    What comes outside the hours that `sessions` tells is no price and is left out, live and past: of a share it is a wide quote
    of one venue that nobody trades at, no order of ours could be filled then, and a stop or a brake that took it for the market
    would sell at the next open, whatever that is. By itself the feed knows no hours.
    """

    def __init__(self, key_source: KeySource, *, paper: bool, instruments: Callable[[], Sequence[Instrument]],
                 endpoints: AlpacaEndpoints | None = None, stock_feed: str = "iex",
                 sessions: SessionLookup = lambda _, at_ns: day_of_utc(at_ns)) -> None:
        self._key_source = key_source
        self._endpoints = endpoints or endpoints_of(paper=paper)
        self._instruments = instruments
        self._stock_feed = stock_feed
        self._hours = Hours(sessions)
        self._scales: dict[str, Scale] = {}
        self._keepers: list[StreamKeeper] = []
        self._closed = asyncio.Event()
        self._client: Any = None
        self._past_lock = Lock()  # one session, and charts and research ask for the past in threads of their own

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        """Hand items to `sink` until `close`; a stream that breaks is opened again."""
        shares, coins = self._by_class()
        self._scales = {instrument.symbol: _scale_of(instrument) for instrument in (*shares, *coins)}
        for name, chosen, are_coins in (("shares", shares, False), ("coins", coins, True)):
            if chosen:
                make_session = self._sessions(chosen, coins=are_coins)
                self._keepers.append(StreamKeeper(name, make_session, lambda frame: self._take(frame, sink), _quiet))
                self._keepers[-1].start()
        try:
            await self._closed.wait()
        finally:  # also where the caller is cancelled
            await self._stop_streams()

    async def close(self) -> None:
        """End `run` at once."""
        self._closed.set()
        await self._stop_streams()

    async def _stop_streams(self) -> None:
        keepers, self._keepers = self._keepers, []
        for keeper in keepers:
            await keeper.stop()

    def streams_up(self) -> Mapping[str, bool]:
        """Which streams are connected."""
        return {keeper.name: keeper.up.is_set() for keeper in self._keepers}

    def _by_class(self) -> tuple[list[Instrument], list[Instrument]]:
        listed = self._instruments()
        return ([each for each in listed if each.asset_class is AssetClass.EQUITY],
                [each for each in listed if each.asset_class is AssetClass.CRYPTO])

    def _sessions(self, chosen: Sequence[Instrument], *, coins: bool) -> Any:
        symbols = tuple(instrument.symbol for instrument in chosen)

        def make() -> MarketSession:
            from brokers.alpaca.sdk import market_stream

            return MarketSession(market_stream(self._key_source(), self._endpoints, coins=coins, feed=self._stock_feed), symbols)

        async def make_session() -> MarketSession:
            return await asyncio.to_thread(make)

        return make_session

    # ---- live ----

    def _take(self, frame: bytes | str, sink: Callable[[MarketItem], None]) -> None:
        import msgpack

        for message in msgpack.unpackb(frame):
            if message["T"] == "error":
                log.warning("alpaca market data: %s (%s)", readable(str(message.get("msg"))), message.get("code"))
            scale = self._scales.get(message.get("S", ""))
            item = _item_of(message, scale) if scale is not None else None
            if item is not None and scale is not None and self._hours.hold(scale.session, began_ns(item)):
                sink(item)

    # ---- past ----

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed one-minute bars, oldest first; none where the venue does not answer. Blocks: call it in a thread."""
        return self._past(instrument_id, MINUTES, limit)

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed bars of half an hour, oldest first; none where the venue does not answer. Blocks."""
        return self._past(instrument_id, HALF_HOURS, limit)

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The last closed daily bars, oldest first, adjusted for splits; none where the venue does not answer. Blocks."""
        return self._past(instrument_id, DAYS, limit)

    def _past(self, instrument_id: str, length: "BarLength", limit: int) -> Sequence[Bar]:
        instrument = next((each for each in self._instruments() if each.instrument_id == instrument_id), None)
        if instrument is None or limit < 1:
            return []
        try:
            with self._past_lock:
                rows = self._rows(instrument, length, min(limit * length.rows_a_bar(instrument), MOST_BARS))
            told = (bar for bar in _bars_of(rows, instrument, length) if self._hours.hold(instrument.session, bar.open_ns))
            bars = sorted(told, key=began_ns)
        except Exception as error:  # noqa: BLE001 - a chart without a past is no reason to stop; the log says why
            log.warning("alpaca: no past bars of %s: %s", instrument.symbol, fault_of(error).cause)
            return []
        now_ns = time.time_ns()
        return [bar for bar in bars if bar.close_ns <= now_ns][-limit:]

    def _rows(self, instrument: Instrument, length: BarLength, limit: int) -> list[WireBar]:
        from brokers.alpaca.sdk import market_client

        if self._client is None:
            self._client = market_client(self._key_source(), self._endpoints)
        start = datetime.now(UTC) - length.reach(limit)
        query = {"symbols": instrument.symbol, "timeframe": length.timeframe, "sort": "desc", "limit": str(limit),
                 "start": start.strftime("%Y-%m-%dT%H:%M:%SZ")}
        path, version = "/crypto/us/bars", "v1beta3"
        if instrument.asset_class is AssetClass.EQUITY:
            path, version = "/stocks/bars", "v2"
            query |= {"feed": self._stock_feed, "adjustment": "split"}
        body = self._client._request("GET", path, query, api_version=version)  # noqa: SLF001 - its get() would not pass this on
        return (msgspec.json.decode(body, type=WireBars).bars or {}).get(instrument.symbol, [])


def _quiet(_up: bool, _detail: str) -> None:  # noqa: FBT001 - the keeper's callback
    """Market data that stop show by their age; the keeper has written it to the log."""


def _scale_of(instrument: Instrument) -> Scale:
    return Scale(instrument.instrument_id, float(1 / instrument.tick_size), float(1 / instrument.lot_size),
                 instrument.asset_class is AssetClass.CRYPTO, instrument.session)


def began_ns(item: MarketItem) -> Nanoseconds:
    return item.open_ns if isinstance(item, Bar) else item.at_ns


def _item_of(message: dict[str, Any], scale: Scale) -> MarketItem | None:
    """A message of the stream as a market item; None for what is no price."""
    kind = message["T"]
    if kind == "q":
        return _quote_of(message, scale)
    if kind == "t":
        return _market_trade_of(message, scale)
    if kind == "b":
        opened, high, low, closed = (round(message[name] * scale.ticks) for name in ("o", "h", "l", "c"))
        open_ns = message["t"].to_unix_nano()
        volume_lots = int(message["v"] * scale.lots)
        return Bar(scale.instrument_id, open_ns, open_ns + MINUTE_NS, opened, high, low, closed, volume_lots)
    return None


def _quote_of(message: dict[str, Any], scale: Scale) -> Quote | None:
    bid_ticks, ask_ticks = round(message["bp"] * scale.ticks), round(message["ap"] * scale.ticks)
    if bid_ticks < 1 or ask_ticks < 1:  # a side is empty
        return None
    sizes = (int(message["bs"] * scale.lots), int(message["as"] * scale.lots)) if scale.sizes_known else (0, 0)
    return Quote(scale.instrument_id, bid_ticks, ask_ticks, *sizes, message["t"].to_unix_nano())


def _market_trade_of(message: dict[str, Any], scale: Scale) -> MarketTrade | None:
    price_ticks, lots = round(message["p"] * scale.ticks), int(message["s"] * scale.lots)
    if price_ticks < 1 or lots < 1 or not UNPRICED_CONDITIONS.isdisjoint(message.get("c") or ()):
        return None
    aggressor = {"B": 1, "S": -1}.get(message.get("tks", ""), 0)
    return MarketTrade(scale.instrument_id, price_ticks, lots, aggressor, message["t"].to_unix_nano())


def _bars_of(rows: list[WireBar], instrument: Instrument, length: BarLength) -> Iterator[Bar]:
    for row in rows:
        open_ns, close_ns = length.bounds(nanoseconds_of(row.t), instrument)
        opened, high, low, closed = (steps_nearest(price, instrument.tick_size) for price in (row.o, row.h, row.l, row.c))
        yield Bar(instrument.instrument_id, open_ns, close_ns, opened, high, low, closed,
                  steps_down(row.v, instrument.lot_size))


def _day_of(stamp_ns: Nanoseconds, instrument: Instrument) -> tuple[Nanoseconds, Nanoseconds]:
    """A share's day is stamped with midnight in New York, 4 or 5 o'clock UTC of the same date; a coin's begins at its stamp."""
    if instrument.asset_class is not AssetClass.EQUITY:
        return stamp_ns, stamp_ns + DAY_NS
    day = stamp_ns // DAY_NS
    bounds = bounds_of_day(instrument.session, day)
    return bounds or regular_hours(instrument.session, date.fromordinal(EPOCH_ORDINAL + day))


MINUTES = BarLength("1Min", lambda _: timedelta(days=HISTORY_DAYS), lambda at_ns, _: (at_ns, at_ns + MINUTE_NS))
HALF_HOURS = BarLength("30Min", lambda limit: timedelta(days=limit // HALF_HOURS_A_SESSION * 3 // 2 + HISTORY_DAYS),
                       lambda at_ns, _: (at_ns, at_ns + 30 * MINUTE_NS))
DAYS = BarLength("1Day", lambda limit: timedelta(days=limit * 3 // 2 + HISTORY_DAYS), _day_of)
