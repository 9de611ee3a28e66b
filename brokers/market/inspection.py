"""One full pass over a tape: rows, times, increments, bar length, gaps and bad rows."""

import math
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec

from brokers.market.columns import (
    BadRow,
    Bars,
    Prints,
    decimals_of,
    read_bars,
    read_prints,
)
from brokers.market.formats import Chunk, Source, open_source
from brokers.market.naming import NamedInstrument, minor_exponent_of, named_instrument
from engine.errors import InstrumentError, TapeError
from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.units import MAX_PRODUCT, NS_PER_SECOND, Nanoseconds

KEPT_BAD_ROWS = 50
DAY_SECONDS = 86_400
DAY_NS = DAY_SECONDS * NS_PER_SECOND
LONG_WEEKEND_NS = 5 * DAY_NS
LEAST_QUANTITY = 10_000
PRICE_HEADROOM = 10
VOLUME_HEADROOM = 100  # what longer bars may add up to
ROUNDING = 0.01
CRYPTO_FEE_PPM = 1_000
SHARE_DECIMALS = 2


class TapeReport(msgspec.Struct, frozen=True):
    """What is in a tape. `gaps` counts missing stretches between bars, `longest_gap_ns` the longest of them."""

    path: str
    kind: str
    symbol: str
    rows: int
    first_ns: Nanoseconds
    last_ns: Nanoseconds
    bar_seconds: int
    tick_size: Decimal
    lot_size: Decimal
    gaps: int
    longest_gap_ns: Nanoseconds
    bad_count: int
    bad_rows: tuple[str, ...]
    instrument: Instrument


class TapeTerms(msgspec.Struct, frozen=True):
    """What a person declares of a tape; None is "find out"."""

    symbol: str | None = None
    venue: str = "paper"
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    bar_seconds: int | None = None
    taker_fee_ppm: int | None = None
    maker_fee_ppm: int | None = None


class _Survey:
    """Gathers facts over the chunks of one pass."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.rows = 0
        self.first_ns: Nanoseconds = -1
        self.last_ns: Nanoseconds = -1
        self.highest = 0.0
        self.lowest = math.inf
        self.most = 0.0
        self.price_decimals = 0
        self.quantity_decimals = 0
        self.deltas: Counter[int] = Counter()
        self.day_deltas: Counter[int] = Counter()
        self.bad_count = 0
        self.bad_rows: list[BadRow] = []

    def run(self, *, tolerate: bool) -> None:
        try:
            for chunk in self.source.chunks():
                self._take(chunk)
        except TapeError as error:
            if not tolerate or not self.rows:
                raise
            self._note([BadRow(0, "file", str(error))])

    def _take(self, chunk: Chunk) -> None:
        layout = self.source.layout
        if layout.kind == "bars":
            bars = read_bars(chunk, layout, self.last_ns)
            self._note(bars.bad_rows)
            self._measure_bars(bars.columns)
        else:
            prints = read_prints(chunk, layout, self.last_ns)
            self._note(prints.bad_rows)
            self._measure_prints(prints.columns)
        self._measure_decimals(chunk)

    def _note(self, bad_rows: list[BadRow]) -> None:
        self.bad_count += len(bad_rows)
        self.bad_rows.extend(bad_rows[:KEPT_BAD_ROWS - len(self.bad_rows)])

    def _measure_bars(self, bars: Bars) -> None:
        if bars.times:
            before = [self.last_ns, *bars.times[:-1]] if self.last_ns >= 0 else bars.times[:-1]
            after = bars.times if self.last_ns >= 0 else bars.times[1:]
            self.deltas.update(later - earlier for earlier, later in zip(before, after, strict=True))
            self.day_deltas.update(later - earlier for earlier, later in zip(before, after, strict=True)
                                   if later // DAY_NS == earlier // DAY_NS)
            self.highest = max(self.highest, *bars.highs)
            self.lowest = min(self.lowest, *bars.lows)
            self.most = max(self.most, *bars.volumes)
            self._extend(bars.times)

    def _measure_prints(self, prints: Prints) -> None:
        if prints.times:
            self.highest = max(self.highest, *prints.prices)
            self.lowest = min(self.lowest, *prints.prices)
            self.most = max(self.most, *prints.quantities)
            self._extend(prints.times)

    def _extend(self, times: list[Nanoseconds]) -> None:
        self.rows += len(times)
        self.first_ns = times[0] if self.first_ns < 0 else self.first_ns
        self.last_ns = times[-1]

    def _measure_decimals(self, chunk: Chunk) -> None:
        at = self.source.layout.columns
        quantity = at.get("volume", at.get("quantity"))
        for index in [at[name] for name in ("open", "high", "low", "close", "price") if name in at]:
            self.price_decimals = max(self.price_decimals, _decimals(chunk, index))
        if quantity is not None:
            self.quantity_decimals = max(self.quantity_decimals, _decimals(chunk, quantity))


def _decimals(chunk: Chunk, index: int) -> int:
    values = [row[index] for row in chunk.rows if index < len(row)]
    try:
        return decimals_of(values)
    except ArithmeticError:  # bad rows are in it: only what reads as a number counts
        return decimals_of([value for value in values if _reads(value)])


def _reads(value: object) -> bool:
    try:
        return Decimal(str(value)).is_finite()
    except ArithmeticError:
        return False


def survey(path: Path, terms: TapeTerms, *, on_bad: str) -> tuple[Source, TapeReport]:
    """Read a tape once; raises `TapeError` where it cannot be used, with `on_bad` "refuse" for any bad row too."""
    source = open_source(path)
    facts = _Survey(source)
    facts.run(tolerate=on_bad == "skip")
    if on_bad == "refuse" and facts.bad_count:
        more = f" and {facts.bad_count - 1} more bad rows" if facts.bad_count > 1 else ""
        raise TapeError(f"{path}: {facts.bad_rows[0]}{more}; {_remedy(facts.bad_rows[0])}")
    if not facts.rows:
        raise TapeError(f"{path}: no usable row; name a file with rows of bars or market trades")
    named = named_instrument(path, terms.symbol)
    if named is None:
        raise TapeError(f"{path}: the file's name tells no symbol; name one with --symbol")
    bar_seconds = _bar_seconds(facts, named, terms)
    gaps, longest_ns = _gaps(facts, named, bar_seconds)
    instrument = _instrument(facts, named, terms)
    return source, TapeReport(
        path=str(path), kind=source.layout.kind, symbol=named.symbol, rows=facts.rows, first_ns=facts.first_ns,
        last_ns=facts.last_ns, bar_seconds=bar_seconds, tick_size=instrument.tick_size, lot_size=instrument.lot_size,
        gaps=gaps, longest_gap_ns=longest_ns, bad_count=facts.bad_count,
        bad_rows=tuple(str(row) for row in facts.bad_rows), instrument=instrument)


def _remedy(row: BadRow) -> str:
    if row.reason.endswith("is not a time"):
        return "write times as 2024-01-31T12:00:00Z, in one column, or as numbers"
    if row.reason == "time goes backwards":
        return "sort the rows, oldest first"
    return "repair the file or read it with --on-bad skip"


def inspect(path: Path, *, symbol: str | None = None) -> TapeReport:
    """What a tape holds, bad rows and all; raises `TapeError` only where nothing of it can be read."""
    return survey(Path(path), TapeTerms(symbol=symbol), on_bad="skip")[1]


def _bar_seconds(facts: _Survey, named: NamedInstrument, terms: TapeTerms) -> int:
    if facts.source.layout.kind != "bars":
        return 0
    seconds = terms.bar_seconds or named.bar_seconds
    if not seconds and facts.deltas:
        seconds = facts.deltas.most_common(1)[0][0] // NS_PER_SECOND
    if not seconds:
        raise TapeError(f"{facts.source.path}: the length of its bars cannot be told; declare it, for instance "
                        "as _5m in the file's name")
    shortest_ns = min(facts.deltas, default=seconds * NS_PER_SECOND)
    if shortest_ns < seconds * NS_PER_SECOND:
        raise TapeError(f"{facts.source.path}: bars of {seconds} s overlap, some begin only "
                        f"{shortest_ns / NS_PER_SECOND:g} s apart; repair the file, "
                        "or say the true length in its name, as in _5m")
    return seconds


def _gaps(facts: _Survey, named: NamedInstrument, bar_seconds: int) -> tuple[int, Nanoseconds]:
    """Missing stretches; a share's nights and weekends are none."""
    if facts.source.layout.kind != "bars":
        return 0, 0
    deltas, allowed_ns = facts.deltas, bar_seconds * NS_PER_SECOND
    if named.asset_class is AssetClass.EQUITY:
        if bar_seconds >= DAY_SECONDS:
            allowed_ns = max(allowed_ns, LONG_WEEKEND_NS)
        else:
            deltas = facts.day_deltas
    missing = {delta: count for delta, count in deltas.items() if delta > allowed_ns}
    return sum(missing.values()), max(missing, default=0)


def _instrument(facts: _Survey, named: NamedInstrument, terms: TapeTerms) -> Instrument:
    equity = named.asset_class is AssetClass.EQUITY
    decimals = max(facts.price_decimals, SHARE_DECIMALS) if equity else facts.price_decimals
    tick_size = terms.tick_size or Decimal(1).scaleb(-decimals)
    _refuse_finer(facts, tick_size, terms)
    exponent = minor_exponent_of(named.quote_currency)
    max_ticks = max(1_000, PRICE_HEADROOM * (int(Decimal(str(facts.highest)) / tick_size) + 1))
    lot_size = terms.lot_size or (Decimal(1) if equity else Decimal(1).scaleb(-facts.quantity_decimals))
    max_lots = _most_lots(tick_size, lot_size, exponent, max_ticks)
    most = Decimal(repr(facts.most))
    while terms.lot_size is None and lot_size < 1 and (
            max_lots * lot_size < LEAST_QUANTITY or most / lot_size >= MAX_PRODUCT // VOLUME_HEADROOM):
        lot_size = lot_size.scaleb(1)
        max_lots = _most_lots(tick_size, lot_size, exponent, max_ticks)
    default_fee_ppm = 0 if equity else CRYPTO_FEE_PPM
    try:
        return Instrument(
            instrument_id=instrument_id_of(named.symbol, terms.venue), symbol=named.symbol, venue=terms.venue,
            asset_class=named.asset_class, base_currency=named.base_currency, quote_currency=named.quote_currency,
            tick_size=tick_size, lot_size=lot_size, minor_exponent=exponent, max_ticks=max_ticks, max_lots=max_lots,
            taker_fee_ppm=default_fee_ppm if terms.taker_fee_ppm is None else terms.taker_fee_ppm,
            maker_fee_ppm=default_fee_ppm if terms.maker_fee_ppm is None else terms.maker_fee_ppm)
    except InstrumentError as error:
        raise TapeError(f"{facts.source.path}: {error}") from error


def _refuse_finer(facts: _Survey, tick_size: Decimal, terms: TapeTerms) -> None:
    """Raises `TapeError` where the smallest price is far from every whole tick, unless that tick was asked for."""
    ticks = facts.lowest / float(tick_size)
    if terms.tick_size is None and abs(max(1, round(ticks)) - ticks) > ROUNDING * ticks:
        raise TapeError(f"{facts.source.path}: prices down to {facts.lowest:.12g} cannot be told in ticks of {tick_size}; scale "
                        "the prices up")


def _most_lots(tick_size: Decimal, lot_size: Decimal, exponent: int, max_ticks: int) -> int:
    """The largest quantity whose products stay inside 62 bits, at most 10^12 lots."""
    value_num = (tick_size * lot_size).scaleb(exponent).as_integer_ratio()[0]
    return max(1, min(10 ** 12, (MAX_PRODUCT - 1) // (max_ticks * value_num)))
