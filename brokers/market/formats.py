"""Files of bars and market trades as chunks of columns: CSV, CSV.gz and Parquet, with or without a header."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine.errors import TapeError, TapeMissing
from engine.units import NS_PER_SECOND, Nanoseconds

CHUNK_ROWS = 4096
BAR_FIELDS = ("time", "open", "high", "low", "close", "volume")
TRADE_FIELDS = ("time", "price", "quantity", "side", "trade_id")
NAMES = {
    "time": ("timestamp", "time", "date", "datetime", "ts", "open_time", "opentime", "open time", "unix", "t",
             "timestamp_ms", "time_ms", "begin"),
    "open": ("open", "o", "open_price"), "high": ("high", "h", "high_price"), "low": ("low", "l", "low_price"),
    "close": ("close", "c", "close_price"), "volume": ("volume", "v", "vol", "base_volume", "volume_base"),
    "price": ("price", "p", "trade_price"), "quantity": ("amount", "quantity", "qty", "size", "q", "volume", "vol"),
    "side": ("side", "taker_side", "aggressor", "type"), "trade_id": ("id", "trade_id", "tid", "trade id"),
}
DIGITS_OF_UNITS = ((10 ** 11, NS_PER_SECOND), (10 ** 14, 1_000_000), (10 ** 17, 1_000), (10 ** 20, 1))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARQUET = (".parquet", ".pq")
GZIP = b"\x1f\x8b"
NO_TEXT = (
    (b"PK", "a zip archive; unpack it first"), (b"BZh", "compressed by bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed by xz; unpack it first"), (b"\x28\xb5\x2f\xfd", "compressed by zstd; unpack it first"),
    (b"\xff\xfe", "text in UTF-16; save it in UTF-8"), (b"\xfe\xff", "text in UTF-16; save it in UTF-8"),
)
SEPARATORS = {";": "';'", "\t": "a tab", "|": "'|'"}


class Layout(NamedTuple):
    """Which column holds which field; `kind` is "bars" or "trades". `zoned` is whether the first time names its zone, None where
    times are numbers. `width` is how many columns the first line names, 0 where rows cannot have more."""

    kind: str
    columns: dict[str, int]
    has_header: bool
    zoned: bool | None = None
    width: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        names = BAR_FIELDS if self.kind == "bars" else TRADE_FIELDS
        return tuple(name for name in names if name in self.columns)


class Chunk(NamedTuple):
    """Some consecutive rows; `first_line` is the line (CSV) or row (Parquet) of the first, counted from 1."""

    first_line: int
    rows: Sequence[Sequence[object]]

    def columns(self) -> list[tuple[object, ...]]:
        """The chunk turned on its side; raises `ValueError` where rows differ in length."""
        return list(zip(*self.rows, strict=True))


class Source(NamedTuple):
    """A readable file: its layout, and its rows from the start as often as asked."""

    path: Path
    layout: Layout

    def chunks(self) -> Iterator[Chunk]:
        if self.path.suffix.lower() in PARQUET:
            return _parquet_chunks(self.path, self.layout)
        return _csv_chunks(self.path, skip_header=self.layout.has_header)


def open_source(path: Path) -> Source:
    """Find out what a file holds; raises `TapeError` naming the file and what is wrong with it."""
    _refuse_what_is_no_table(path)
    if path.suffix.lower() in PARQUET:
        return Source(path, _layout_of_header(path, _parquet_names(path)))
    first_rows: list[Sequence[object]] = []
    for chunk in _csv_chunks(path, skip_header=False):
        first_rows = [row for row in chunk.rows if row]
        break
    if not first_rows:
        raise TapeError(f"{path}: the file is empty; name one with rows of bars or market trades")
    first = [str(value) for value in first_rows[0]]
    _refuse_other_separators(path, first)
    headed = _is_header(first)
    layout = _layout_of_header(path, first) if headed else _layout_of_values(path, first)
    data, place = first_rows[headed:headed + 1], layout.columns["time"]
    zoned = is_zoned(data[0][place]) if data and place < len(data[0]) else None
    return Source(path, layout._replace(zoned=zoned, width=len(first)))


def _refuse_what_is_no_table(path: Path) -> None:
    """Raises `TapeError` for what is no file, or one of another kind than its name says."""
    try:
        if not path.is_file():
            raise TapeMissing(f"{path}: no such file" if not path.exists() else f"{path}: not a file; name one with rows")
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not start:
        raise TapeError(f"{path}: the file is empty; name one with rows of bars or market trades")
    suffix = path.suffix.lower()
    if suffix == ".gz" and not start.startswith(GZIP):
        raise TapeError(f"{path}: not compressed by gzip; call it {path.stem}")
    if start.startswith(GZIP) and suffix != ".gz":
        raise TapeError(f"{path}: compressed by gzip; call it {path.name}.gz")
    if start.startswith(b"PAR1") and suffix not in PARQUET:
        raise TapeError(f"{path}: a Parquet file; call it {path.stem}.parquet")
    for magic, told in NO_TEXT:
        if start.startswith(magic):
            raise TapeError(f"{path}: {told}")


def _unreadable(path: Path, error: OSError) -> TapeError:
    return TapeError(f"{path}: cannot be read ({error.strerror or error}); see who may read it, and its name")


def _is_header(first: Sequence[str]) -> bool:
    """A header holds at least two cells, none of them a number or a time."""
    return len(first) > 1 and not any(_is_number(cell) or _is_time(cell) for cell in first if cell.strip())


def _layout_of_header(path: Path, header: Sequence[str]) -> Layout:
    names = [name.strip().lstrip("\ufeff").strip('"').lower() for name in header]
    bars = _columns(names, BAR_FIELDS)
    if all(field in bars for field in ("time", "open", "high", "low", "close")):
        return _once_each(path, names, Layout("bars", bars, has_header=True))
    trades = _columns(names, TRADE_FIELDS)
    if all(field in trades for field in ("time", "price", "quantity")):
        return _once_each(path, names, Layout("trades", trades, has_header=True))
    if "price" in trades or "quantity" in trades:
        missing = [field for field in ("time", "price", "quantity") if field not in trades]
    else:
        missing = [field for field in ("time", "open", "high", "low", "close") if field not in bars]
    raise TapeError(f"{path}: no column for {', '.join(missing)} among {', '.join(names[:12])}; "
                    "bars need time, open, high, low, close, trades need time, price, quantity")


def _once_each(path: Path, names: Sequence[str], layout: Layout) -> Layout:
    for index in layout.columns.values():
        if names.count(names[index]) > 1:
            raise TapeError(f"{path}: line 1: two columns are called {names[index]}; leave one of them")
    return layout


def _refuse_other_separators(path: Path, first: Sequence[str]) -> None:
    for mark, word in SEPARATORS.items():
        if any(mark in cell for cell in first):
            raise TapeError(f"{path}: line 1: columns are separated by {word}; save the file with commas between columns and "
                            "points in numbers")


def _columns(names: Sequence[str], fields: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for field in fields:
        for name in NAMES[field]:
            if name in names:
                found[field] = names.index(name)
                break
    return found


def _layout_of_values(path: Path, first: Sequence[str]) -> Layout:
    """Without a header the usual orders are tried: time, price, quantity; exchange trades; time and OHLCV."""
    words = {cell.strip().lower() for cell in first}
    if len(first) == 3:
        return Layout("trades", {"time": 0, "price": 1, "quantity": 2}, has_header=False)
    if words & {"buy", "sell"} and len(first) >= 5:
        side = next(index for index, cell in enumerate(first) if cell.strip().lower() in ("buy", "sell"))
        return Layout("trades", {"time": 0, "trade_id": 1, "side": side, "price": side + 1, "quantity": side + 2},
                      has_header=False)
    if len(first) >= 5:
        count = min(len(first), len(BAR_FIELDS))
        return Layout("bars", {field: index for index, field in enumerate(BAR_FIELDS[:count])}, has_header=False)
    if len(first) == 1:
        raise TapeError(f"{path}: line 1: a single column, {first[0][:40]!r}; begin the file with the names of its columns, "
                        "separated by commas")
    raise TapeError(f"{path}: {len(first)} columns and no header; name the columns in a first line")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


# ---- reading ---------------------------------------------------------------------------------------------------------


def _csv_chunks(path: Path, *, skip_header: bool) -> Iterator[Chunk]:
    line = 1
    try:
        with _open_text(path) as text:
            reader = csv.reader(text)
            rows: list[Sequence[object]] = []
            for row in reader:
                if skip_header:
                    if row:
                        skip_header = False
                    line = reader.line_num + 1
                    continue
                rows.append(row)
                if len(rows) == CHUNK_ROWS:
                    yield Chunk(line, rows)
                    line, rows = reader.line_num + 1, []
            if rows:
                yield Chunk(line, rows)
    except (EOFError, zlib.error) as error:
        raise TapeError(f"{path}: compressed data end too early, after line {line}; fetch the file again") from error
    except UnicodeDecodeError as error:
        raise TapeError(f"{path}: line {line} or after: not text in UTF-8; save it as CSV in UTF-8, or as Parquet") from error
    except (gzip.BadGzipFile, csv.Error) as error:
        raise TapeError(f"{path}: line {line} or after: not readable as text ({error}); fetch the file again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def raw_rows(path: Path) -> Iterator[list[str]]:
    """The rows of a table as text, its header, or the names of its columns, first. Raises `TapeError` where it cannot be read."""
    _refuse_what_is_no_table(path)
    chunks = _csv_chunks(path, skip_header=False)
    if path.suffix.lower() in PARQUET:
        names = _parquet_names(path)
        yield names
        chunks = _parquet_chunks(path, Layout("bars", {name: place for place, name in enumerate(names)}, has_header=True))
    for chunk in chunks:
        yield from (["" if cell is None else str(cell) for cell in row] for row in chunk.rows)


def _open_text(path: Path) -> io.TextIOBase:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open("r", encoding="utf-8-sig", newline="")


def _parquet_names(path: Path) -> list[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        return [str(name) for name in pyarrow.parquet.read_schema(path).names]
    except (pyarrow.ArrowException, OSError) as error:
        raise TapeError(f"{path}: not a readable Parquet file ({_first_line(error)}); fetch or write it again") from error


def _parquet_chunks(path: Path, layout: Layout) -> Iterator[Chunk]:
    """Rows with the wanted columns alone at their places; times as whole nanoseconds where they are typed."""
    import pyarrow
    import pyarrow.parquet

    line = 1
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for batch in file.iter_batches(batch_size=CHUNK_ROWS, columns=[names[i] for i in layout.columns.values()]):
                by_name = {name: _plain_values(batch.column(name)) for name in batch.schema.names}
                width = max(layout.columns.values()) + 1
                blank: list[object] = [None] * batch.num_rows
                columns = [by_name.get(names[index], blank) for index in range(width)]
                yield Chunk(line, list(zip(*columns, strict=True)))
                line += batch.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        told = f"row {line} or after cannot be read ({_first_line(error)}); fetch or write the file again"
        raise TapeError(f"{path}: {told}") from error


def _plain_values(column: object) -> list[object]:
    import pyarrow

    array: pyarrow.Array = column
    if pyarrow.types.is_timestamp(array.type):
        array = array.cast(pyarrow.timestamp("ns", array.type.tz)).cast(pyarrow.int64())
    elif pyarrow.types.is_float32(array.type) or pyarrow.types.is_decimal(array.type):
        array = array.cast(pyarrow.string())  # as written: 106.34 of half the digits is 106.33999633789062 of all
    values: list[object] = array.to_pylist()
    return values


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


# ---- times -----------------------------------------------------------------------------------------------------------


def parse_time(value: object) -> Nanoseconds:
    """One instant as nanoseconds since 1970 UTC: ISO 8601 (UTC where no zone is given), or a count of seconds,
    milliseconds, microseconds or nanoseconds told apart by size; raises `ValueError`."""
    if isinstance(value, int):
        return value * unit_ns(value)
    text = str(value).strip()
    if text.lstrip("+-").isdigit() and len(text) != 8:
        count = int(text)
        return count * unit_ns(count)
    try:
        return _iso_ns(datetime.fromisoformat(text))
    except ValueError:
        seconds = float(text)
        return round(seconds * 1_000_000) * 1_000 * unit_ns(int(seconds)) // NS_PER_SECOND


def is_zoned(value: object) -> bool | None:
    """Whether a time names its zone; None for a number, and for what is no time."""
    text = str(value).strip()
    if text.isdigit() and len(text) != 8:
        return None
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return None


def unit_ns(count: int) -> int:
    """Nanoseconds of the unit in which `count` is a date of our era; raises `ValueError` for what cannot be one."""
    for below, factor in DIGITS_OF_UNITS:
        if abs(count) < below:
            return factor
    raise ValueError(f"{count} is no time")


def _iso_ns(moment: datetime) -> Nanoseconds:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * NS_PER_SECOND + delta.microseconds * 1_000


def parse_times(values: Sequence[object], *, zoned: bool | None = None) -> list[Nanoseconds]:
    """Many instants of one style, fast, with a zone or without where `zoned` says so; raises `ValueError` or `TypeError` where
    one of them is not of that style."""
    first = values[0]
    if isinstance(first, int) or (isinstance(first, str) and first.isdigit() and len(first) != 8):
        counts = [int(value) for value in values]  # type: ignore[call-overload]
        factor = unit_ns(counts[0])
        if unit_ns(min(counts)) != factor or unit_ns(max(counts)) != factor:
            raise ValueError("times of different units")
        return [count * factor for count in counts]
    moments = list(map(datetime.fromisoformat, values))  # type: ignore[arg-type]
    naive = sum(moment.tzinfo is None for moment in moments)
    if naive not in (0, len(moments)) or (zoned is not None and zoned == bool(naive)):
        raise ValueError("times with and without a zone")
    if naive:
        return [_iso_ns(moment) for moment in moments]
    return [int(moment.timestamp() // 1) * NS_PER_SECOND + moment.microsecond * 1_000 for moment in moments]
