"""Rows of a tape as checked columns of integers; a chunk that is not clean is gone through row by row."""

import math
from collections.abc import Sequence
from decimal import Decimal
from operator import ge, gt, lt
from typing import NamedTuple

from brokers.market.formats import Chunk, Layout, is_zoned, parse_time, parse_times
from engine.units import Lots, Nanoseconds, Ticks

MOST_DECIMALS = 8
MOST_COUNTED = 1e16
LATEST_NS = 1 << 62
BUYING = frozenset({"buy", "b", "bid", "1", "true"})
SELLING = frozenset({"sell", "s", "ask", "-1", "false"})


class BadRow(NamedTuple):
    """One row that cannot be meant: where, and why."""

    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.reason}"


class Steps(NamedTuple):
    """Tick and lot, with the float factors that turn a price or quantity into steps."""

    tick_size: Decimal
    lot_size: Decimal

    def tick_factor(self) -> float:
        return _factor(self.tick_size)

    def lot_factor(self) -> float:
        return _factor(self.lot_size)


class Bars(NamedTuple):
    """Checked bars in columns."""

    times: list[Nanoseconds]
    opens: list[float]
    highs: list[float]
    lows: list[float]
    closes: list[float]
    volumes: list[float]


class Prints(NamedTuple):
    """Checked market trades in columns; `aggressors` is +1, -1 or 0 for unknown."""

    times: list[Nanoseconds]
    prices: list[float]
    quantities: list[float]
    aggressors: list[int]


class Outcome[T](NamedTuple):
    """The good part of a chunk, what was bad in it, and the last good row's time."""

    columns: T
    bad_rows: list[BadRow]
    last_ns: Nanoseconds


def _factor(step: Decimal) -> float:
    per_unit = 1 / step
    return float(per_unit) if per_unit == per_unit.to_integral_value() else 1.0 / float(step)


def to_ticks(prices: Sequence[float], factor: float) -> list[Ticks]:
    """Prices as nearest whole ticks, never below one."""
    ticks = [round(price * factor) for price in prices]
    return ticks if not ticks or min(ticks) >= 1 else [max(1, tick) for tick in ticks]


def to_lots(quantities: Sequence[float], factor: float) -> list[Lots]:
    """Quantities as whole lots, rounded down; the smallest surplus covers what binary fractions lose. What is above zero is one
    lot at least: no volume would bind nothing."""
    lots = [math.floor(quantity * factor + 1e-6) for quantity in quantities]
    if lots and min(lots) < 1:
        return [max(count, int(quantity > 0)) for count, quantity in zip(lots, quantities, strict=True)]
    return lots


def decimals_of(values: Sequence[object]) -> int:
    """The most decimal places that any of these numbers is written with, at most eight; a text's last zeros do not count."""
    texts = [value for value in values if isinstance(value, str)]
    padded = len(texts) == len(values)
    if not padded:
        texts = [repr(value) if isinstance(value, float) else str(value) for value in values]
    letters = "".join(texts)
    longest = 0
    if "e" in letters or "E" in letters:
        for text in texts:
            exponent = Decimal(text).normalize().as_tuple().exponent
            longest = max(longest, -exponent if isinstance(exponent, int) else 0)
        texts = [text for text in texts if "e" not in text and "E" not in text]
    for text in texts:
        point = text.find(".") + 1
        if point and len(text) - point > longest:  # seldom: most have as many as those before
            longest = max(longest, len(text.rstrip("0") if padded else text) - point)
    return min(MOST_DECIMALS, longest)


def read_bars(chunk: Chunk, layout: Layout, last_ns: Nanoseconds) -> Outcome[Bars]:
    """The chunk's bars; `last_ns` is the time of the bar before (-1 for none)."""
    try:
        bars = _fast_bars(chunk, layout)
        if _bars_are_clean(bars, last_ns):
            return Outcome(bars, [], bars.times[-1])
    except (ValueError, TypeError, IndexError, OverflowError):
        pass  # some row is not clean: find it
    return _careful_bars(chunk, layout, last_ns)


def _fast_bars(chunk: Chunk, layout: Layout) -> Bars:
    at, columns = layout.columns, _columns_of(chunk, layout)
    opens, highs, lows, closes = (_floats(columns[at[name]]) for name in ("open", "high", "low", "close"))
    times = parse_times(columns[at["time"]], zoned=layout.zoned)
    volumes = _floats(columns[at["volume"]]) if "volume" in at else [0.0] * len(times)
    return Bars(times, opens, highs, lows, closes, volumes)


def _columns_of(chunk: Chunk, layout: Layout) -> list[tuple[object, ...]]:
    columns = chunk.columns()
    if layout.width and len(columns) != layout.width:
        raise ValueError("rows of another width than the first line")
    return columns


def _floats(values: Sequence[object]) -> list[float]:
    return list(map(float, values))  # type: ignore[arg-type]


def _bars_are_clean(bars: Bars, last_ns: Nanoseconds) -> bool:
    return (bars.times[0] > last_ns and bars.times[-1] < LATEST_NS and all(map(lt, bars.times, bars.times[1:]))
            and min(bars.lows) > 0 and max(bars.highs) < MOST_COUNTED
            and all(map(ge, bars.highs, bars.opens)) and all(map(ge, bars.highs, bars.closes))
            and all(map(ge, bars.opens, bars.lows)) and all(map(ge, bars.closes, bars.lows))
            and min(bars.volumes) >= 0 and max(bars.volumes) < MOST_COUNTED and not any(map(math.isnan, bars.volumes)))


def _careful_bars(chunk: Chunk, layout: Layout, last_ns: Nanoseconds) -> Outcome[Bars]:
    bars = Bars([], [], [], [], [], [])
    bad_rows: list[BadRow] = []
    for line, row in enumerate(chunk.rows, chunk.first_line):
        if not row:
            continue
        try:
            _check_width(row, layout, line)
            at_ns = _time_of(row, layout, line)
            opened, high, low, close = (_price_of(row, layout, line, name) for name in ("open", "high", "low", "close"))
            volume = _number_of(row, layout, line, "volume") if "volume" in layout.columns else 0.0
            _check_bar(line, at_ns, last_ns, (opened, high, low, close), volume)
        except _RowFault as fault:
            bad_rows.append(fault.bad_row)
            continue
        last_ns = at_ns
        bars.times.append(at_ns)
        for values, value in zip(bars[1:], (opened, high, low, close, volume), strict=True):
            values.append(value)
    return Outcome(bars, bad_rows, last_ns)


def _check_bar(line: int, at_ns: Nanoseconds, last_ns: Nanoseconds, prices: tuple[float, float, float, float],
               volume: float) -> None:
    opened, high, low, close = prices
    if at_ns == last_ns:
        raise _RowFault(BadRow(line, "time", "the same time as the bar before"))
    if at_ns < last_ns:
        raise _RowFault(BadRow(line, "time", "time goes backwards"))
    if high < low:
        raise _RowFault(BadRow(line, "high", f"high {high:.12g} is below low {low:.12g}"))
    for name, value in (("open", opened), ("close", close)):
        if not low <= value <= high:
            raise _RowFault(BadRow(line, name, f"{name} {value:.12g} lies outside {low:.12g} to {high:.12g}"))
    if volume < 0:
        raise _RowFault(BadRow(line, "volume", "negative volume"))


def read_prints(chunk: Chunk, layout: Layout, last_ns: Nanoseconds) -> Outcome[Prints]:
    """The chunk's market trades; several may share one time."""
    try:
        prints = _fast_prints(chunk, layout)
        if _prints_are_clean(prints, last_ns) and _ids_differ(chunk, layout):
            return Outcome(prints, [], prints.times[-1])
    except (ValueError, TypeError, IndexError, KeyError, OverflowError):
        pass  # some row is not clean: find it
    return _careful_prints(chunk, layout, last_ns)


def _fast_prints(chunk: Chunk, layout: Layout) -> Prints:
    at, columns = layout.columns, _columns_of(chunk, layout)
    prices, quantities = _floats(columns[at["price"]]), _floats(columns[at["quantity"]])
    times = parse_times(columns[at["time"]], zoned=layout.zoned)
    aggressors = [_sign_of(value) for value in columns[at["side"]]] if "side" in at else [0] * len(times)
    return Prints(times, prices, quantities, aggressors)


def _prints_are_clean(prints: Prints, last_ns: Nanoseconds) -> bool:
    return (prints.times[0] >= max(0, last_ns) and prints.times[-1] < LATEST_NS
            and not any(map(gt, prints.times, prints.times[1:]))
            and all(0 < price < MOST_COUNTED for price in prints.prices)
            and all(0 < quantity < MOST_COUNTED for quantity in prints.quantities))


def _ids_differ(chunk: Chunk, layout: Layout) -> bool:
    if "trade_id" not in layout.columns:
        return True
    ids = chunk.columns()[layout.columns["trade_id"]]
    return len(set(ids)) == len(ids)


def _careful_prints(chunk: Chunk, layout: Layout, last_ns: Nanoseconds) -> Outcome[Prints]:
    prints = Prints([], [], [], [])
    bad_rows: list[BadRow] = []
    seen: set[object] = set()
    for line, row in enumerate(chunk.rows, chunk.first_line):
        if not row:
            continue
        try:
            _check_width(row, layout, line)
            at_ns = _time_of(row, layout, line)
            price, quantity = _price_of(row, layout, line, "price"), _price_of(row, layout, line, "quantity")
            if at_ns < last_ns:
                raise _RowFault(BadRow(line, "time", "time goes backwards"))
            if "trade_id" in layout.columns:
                trade_id = _cell(row, layout, line, "trade_id")
                if trade_id in seen:
                    raise _RowFault(BadRow(line, "trade_id", f"{trade_id} appears twice"))
                seen.add(trade_id)
            aggressor = _sign_of(_cell(row, layout, line, "side")) if "side" in layout.columns else 0
        except _RowFault as fault:
            bad_rows.append(fault.bad_row)
            continue
        last_ns = at_ns
        prints.times.append(at_ns)
        prints.prices.append(price)
        prints.quantities.append(quantity)
        prints.aggressors.append(aggressor)
    return Outcome(prints, bad_rows, last_ns)


def _sign_of(value: object) -> int:
    text = str(value).strip().lower()
    return 1 if text in BUYING else -1 if text in SELLING else 0


class _RowFault(Exception):
    """Carries a bad row out of the checks of one row."""

    def __init__(self, bad_row: BadRow) -> None:
        super().__init__(str(bad_row))
        self.bad_row = bad_row


def _check_width(row: Sequence[object], layout: Layout, line: int) -> None:
    """A row may end in empty cells beyond the columns of the first line; anything else there has shifted the others."""
    if layout.width and len(row) > layout.width and any(cell != "" for cell in row[layout.width:]):
        raise _RowFault(BadRow(line, str(layout.width + 1), f"the first line has {layout.width} columns, this one {len(row)}"))


def _cell(row: Sequence[object], layout: Layout, line: int, field: str) -> object:
    index = layout.columns[field]
    if index >= len(row):
        raise _RowFault(BadRow(line, field, f"the row has only {len(row)} columns"))
    value = row[index]
    if value is None or value == "":
        raise _RowFault(BadRow(line, field, "empty"))
    return value


def _time_of(row: Sequence[object], layout: Layout, line: int) -> Nanoseconds:
    value = _cell(row, layout, line, "time")
    try:
        at_ns = parse_time(value)
    except (ValueError, OverflowError):
        raise _RowFault(BadRow(line, "time", f"{_short(value)} is not a time")) from None
    if not 0 <= at_ns < LATEST_NS:
        raise _RowFault(BadRow(line, "time", f"{_short(value)} is not between 1970 and 2115"))
    zoned = is_zoned(value)
    if zoned is not None and layout.zoned is not None and zoned != layout.zoned:
        words = "with a time zone, the first has none" if zoned else "without a time zone, the first names one"
        raise _RowFault(BadRow(line, "time", f"{_short(value)} is {words}"))
    return at_ns


def _number_of(row: Sequence[object], layout: Layout, line: int, field: str) -> float:
    value = _cell(row, layout, line, field)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError):
        raise _RowFault(BadRow(line, field, f"{_short(value)} is not a number")) from None
    if not math.isfinite(number):
        raise _RowFault(BadRow(line, field, f"{_short(value)} is not a finite number"))
    if number >= MOST_COUNTED:
        raise _RowFault(BadRow(line, field, f"{number:.12g} is more than can be counted"))
    return number


def _price_of(row: Sequence[object], layout: Layout, line: int, field: str) -> float:
    number = _number_of(row, layout, line, field)
    if number <= 0:
        raise _RowFault(BadRow(line, field, "must be above zero"))
    return number


def _short(value: object) -> str:
    return repr(str(value)[:40])
