"""Recorded tapes: files of bars or market trades as market items in time order."""

import heapq
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from pathlib import Path

from brokers.market.columns import Steps, read_bars, read_prints, to_lots, to_ticks
from brokers.market.formats import Chunk, Source
from brokers.market.inspection import (
    DAY_SECONDS,
    TapeReport,
    TapeTerms,
    inspect,
    survey,
)
from brokers.sessions import NS_PER_DAY, regular_hours
from engine.errors import TapeError
from engine.inputs import Bar, MarketItem, MarketTrade, Quote
from engine.instruments import ALWAYS_OPEN, AssetClass, Instrument
from engine.units import NS_PER_SECOND, Nanoseconds, Ticks

DEFAULT_SPREAD_BPS = 2
SHARES_SESSION = "XNYS"
SATURDAY, SUNDAY = 5, 6
NS_PER_HOUR = 3_600 * NS_PER_SECOND


class RecordedTape:
    """One file as a tape; made by `open_tape`. The file is read anew, in a stream, each time items are asked for.

    A bar comes as a quote at its open, with a synthetic spread around the open, and as the bar at its close. A market
    trade that moves the price comes after the quote it implies.
    """

    def __init__(self, source: Source, report: TapeReport, *, spread_bps: int, warmup: int) -> None:
        self.report = report
        self._source = source
        self._spread_bps = spread_bps
        self._warmup = warmup if report.kind == "bars" else 0
        self._history: tuple[Bar, ...] | None = None

    @property
    def instrument(self) -> Instrument:
        return self.report.instrument

    @property
    def bad_rows(self) -> tuple[str, ...]:
        """The first bad rows that were left out; `report.bad_count` is how many there are."""
        return self.report.bad_rows

    def instruments(self) -> tuple[Instrument, ...]:
        return (self.instrument,)

    def items(self) -> Iterator[MarketItem]:
        return self._bar_items() if self.report.kind == "bars" else self._print_items()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """The bars set aside as warm-up, oldest first."""
        if instrument_id != self.instrument.instrument_id or limit <= 0:
            return ()
        if self._history is None:
            self._history = tuple(bar for _, bar in zip(range(self._warmup), self._bars(), strict=False))
        return self._history[-limit:]

    @cached_property
    def bar_session(self) -> str:
        """The hours that longer bars of it keep to. A recorded market is open whenever it has rows, but a share's longer bars end
        with its session, as they do at a venue; what has a bar at a time when no share trades is none. Reads the file once."""
        instrument = self.instrument
        share = self.report.kind == "bars" and instrument.asset_class is AssetClass.EQUITY and instrument.session == ALWAYS_OPEN
        return SHARES_SESSION if share and not any(_no_share_trades(bar.open_ns) for bar in self._bars()) else instrument.session

    def _bars(self) -> Iterator[Bar]:
        instrument, layout = self.instrument, self._source.layout
        instrument_id = instrument.instrument_id
        steps = Steps(instrument.tick_size, instrument.lot_size)
        tick_factor, lot_factor = steps.tick_factor(), steps.lot_factor()
        last_ns: Nanoseconds = -1
        make = Bar._make
        for chunk in self._chunks():
            outcome = read_bars(chunk, layout, last_ns)
            last_ns = outcome.last_ns
            bars = outcome.columns
            opens_ns, closes_ns = self._bounds(bars.times)
            ticks = [to_ticks(prices, tick_factor) for prices in (bars.opens, bars.highs, bars.lows, bars.closes)]
            yield from map(make, zip([instrument_id] * len(opens_ns), opens_ns, closes_ns, *ticks,
                                     to_lots(bars.volumes, lot_factor), strict=True))

    def _bounds(self, times: list[Nanoseconds]) -> tuple[list[Nanoseconds], list[Nanoseconds]]:
        """When bars open and close; a share's daily bar is its session, whatever midnight its row is stamped with."""
        if self.report.bar_seconds == DAY_SECONDS and self.instrument.asset_class is AssetClass.EQUITY:
            sessions = [_session_of_stamp(at_ns) for at_ns in times]
            return [session[0] for session in sessions], [session[1] for session in sessions]
        length_ns = self.report.bar_seconds * NS_PER_SECOND
        return times, [at_ns + length_ns for at_ns in times]

    def _bar_items(self) -> Iterator[MarketItem]:
        spread_bps = self._spread_bps
        make = Quote._make
        bars = self._bars()
        for _ in zip(range(self._warmup), bars, strict=False):
            pass
        for bar in bars:
            open_ticks = bar[3]
            spread = max(1, open_ticks * spread_bps // 10_000) if spread_bps else 0
            bid_ticks = open_ticks - spread // 2
            yield make((bar[0], bid_ticks, bid_ticks + spread, 0, 0, bar[1]))
            yield bar

    def _print_items(self) -> Iterator[MarketItem]:
        instrument, layout = self.instrument, self._source.layout
        instrument_id = instrument.instrument_id
        steps = Steps(instrument.tick_size, instrument.lot_size)
        tick_factor, lot_factor = steps.tick_factor(), steps.lot_factor()
        last_ns: Nanoseconds = -1
        last_ticks: Ticks = 0
        for chunk in self._chunks():
            outcome = read_prints(chunk, layout, last_ns)
            last_ns = outcome.last_ns
            prints = outcome.columns
            rows = zip(prints.times, to_ticks(prints.prices, tick_factor), to_lots(prints.quantities, lot_factor),
                       prints.aggressors, strict=True)
            for at_ns, ticks, lots, aggressor in rows:
                if ticks != last_ticks:
                    last_ticks = ticks
                    spread = max(1, ticks * self._spread_bps // 10_000) if self._spread_bps else 0
                    bid_ticks = max(1, ticks - spread // 2)
                    yield Quote(instrument_id, bid_ticks, bid_ticks + spread, 0, 0, at_ns)
                yield MarketTrade(instrument_id, ticks, max(1, lots), aggressor, at_ns)

    def _chunks(self) -> Iterator[Chunk]:
        try:
            yield from self._source.chunks()
        except TapeError:
            if not self.report.bad_count:
                raise  # it read to its end a moment ago; a file known to break off ends where it breaks


class MergedTape:
    """Several tapes as one, by time; at the same time bars that close come before quotes that open, each in the order of the
    tapes: what is wanted after a bar meets the next open whichever tape is named first. Raises `TapeError` where two
    tapes disagree on an instrument."""

    def __init__(self, tapes: Sequence[RecordedTape]) -> None:
        if not tapes:
            raise TapeError("no tape to read; name at least one file")
        self._tapes = tuple(tapes)
        self._instruments: dict[str, Instrument] = {}
        for tape in tapes:
            known = self._instruments.setdefault(tape.instrument.instrument_id, tape.instrument)
            if (known.tick_size, known.lot_size) != (tape.instrument.tick_size, tape.instrument.lot_size):
                raise TapeError(f"{tape.report.path}: {known.symbol} has tick {tape.instrument.tick_size} and lot "
                                f"{tape.instrument.lot_size} here but {known.tick_size} and {known.lot_size} in "
                                "another file; declare the tick and the lot")

    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(self._instruments.values())

    def items(self) -> Iterator[MarketItem]:
        if len(self._tapes) == 1:
            return self._tapes[0].items()
        return heapq.merge(*(tape.items() for tape in self._tapes), key=_moment)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        bars = [bar for tape in self._tapes for bar in tape.history(instrument_id, limit)]
        return sorted(bars, key=item_time_ns)[-limit:] if limit > 0 else []


def open_tape(path: Path | str, *, on_bad: str = "refuse",  # noqa: PLR0913 - all that a person may declare
              symbol: str | None = None, venue: str = "paper",
              tick_size: Decimal | None = None, lot_size: Decimal | None = None, bar_seconds: int | None = None,
              spread_bps: int = DEFAULT_SPREAD_BPS, warmup: int = 0, taker_fee_ppm: int | None = None,
              maker_fee_ppm: int | None = None) -> RecordedTape:
    """Open a CSV, CSV.gz or Parquet file of bars or market trades.

    `on_bad` "refuse" raises on the first bad row, "skip" leaves bad rows out and lists them. What is not declared is
    found out by one pass over the file. The first `warmup` bars become history. Raises `TapeError`.
    """
    if on_bad not in ("refuse", "skip"):
        raise TapeError(f"on_bad is {on_bad!r}; it is either refuse or skip")
    terms = TapeTerms(symbol=symbol, venue=venue, tick_size=tick_size, lot_size=lot_size, bar_seconds=bar_seconds,
                      taker_fee_ppm=taker_fee_ppm, maker_fee_ppm=maker_fee_ppm)
    source, report = survey(Path(path), terms, on_bad=on_bad)
    return RecordedTape(source, report, spread_bps=spread_bps, warmup=warmup)


def _no_share_trades(at_ns: Nanoseconds) -> bool:
    """Whether it is a weekend, or the dead of night in New York (20:00 to 4:00, whatever the season)."""
    day, within_ns = divmod(at_ns, NS_PER_DAY)
    hour, weekday = within_ns // NS_PER_HOUR, (day + 3) % 7  # 1970-01-01 was a Thursday
    return 1 <= hour < 8 or weekday == SUNDAY or (weekday == SATURDAY and hour >= 1)


def item_time_ns(item: MarketItem) -> Nanoseconds:
    """When an item becomes known."""
    return item.close_ns if isinstance(item, Bar) else item.at_ns


def _moment(item: MarketItem) -> tuple[Nanoseconds, bool]:
    return (item.close_ns, False) if isinstance(item, Bar) else (item.at_ns, True)


@lru_cache(maxsize=32_768)
def _session_of_stamp(at_ns: Nanoseconds) -> tuple[Nanoseconds, Nanoseconds]:
    day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1_000)).date()
    return regular_hours(SHARES_SESSION, day)


__all__ = ["MergedTape", "RecordedTape", "TapeReport", "inspect", "item_time_ns", "open_tape"]
