"""Splits and dividends: from a file of them, or told by a column of adjusted closes."""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from brokers.market.columns import LATEST_NS, decimals_of
from brokers.market.formats import open_source, parse_time, raw_rows
from engine.backtest.actions import Dividend, Split
from engine.errors import TapeError
from engine.units import Nanoseconds

ADJUSTED = "adj_close"
FIELDS = ("symbol", "date", "kind", "value")
WRITE = "write SYMBOL,2020-08-31,split,4:1 or ...,dividend,0.205"
LEAST_DIVIDEND = 2e-4
SPLIT_FROM, REVERSE_TO = 1.2, 0.9
LARGEST_TERM = 20
SPLIT_TOLERANCE = 0.005


class Actions(NamedTuple):
    splits: tuple[Split, ...] = ()
    dividends: tuple[Dividend, ...] = ()


class Close(NamedTuple):
    """A close with its adjusted one; `error` is how far rounding may have moved the latter."""

    at_ns: Nanoseconds
    close: float
    adjusted: float
    error: float


def read_actions(path: Path) -> Actions:
    """A table with the columns symbol, date, kind (split or dividend) and value: "3:2" new shares for old ones, or cash for one
    share. Raises `TapeError` naming the line."""
    rows = raw_rows(path)
    header = [name.strip().lower() for name in next(rows, [])]
    if any(name not in header for name in FIELDS):
        raise TapeError(f"{path}: line 1: the columns must be {', '.join(FIELDS)}; found {', '.join(header) or 'none'}")
    splits, dividends = [], []
    lines: dict[tuple[str, Nanoseconds, str], int] = {}
    for line, row in enumerate(rows, 2):
        if not any(row):
            continue
        try:
            symbol, date, kind, value = _cells(header, row)
            at_ns, number = _date(date), _number(value)
        except ValueError as error:
            raise TapeError(f"{path}: line {line}: {error}") from None
        if kind not in ("split", "dividend") or number <= 0 or (kind == "dividend" and ":" in value):
            raise TapeError(f"{path}: line {line}: {kind} {value}; write a split as 4:1, a dividend as cash above 0")
        before = lines.setdefault((symbol, at_ns, kind), line)
        if before != line:
            told = f"the {kind} of {symbol} on {date} stands in line {before} already; leave one of them"
            raise TapeError(f"{path}: line {line}: {told}")
        if kind == "split":
            splits.append(Split(symbol, at_ns, number))
        else:
            dividends.append(Dividend(symbol, at_ns, number))
    return Actions(tuple(splits), tuple(dividends))


def _cells(header: Sequence[str], row: Sequence[str]) -> tuple[str, ...]:
    """Symbol, date, kind and value of a row; raises `ValueError` saying what is wrong, as the others here."""
    if len(row) < len(header) or any(row[len(header):]):
        raise ValueError(f"{len(row)} columns where the first line has {len(header)}; {WRITE}")
    cells = tuple(row[header.index(name)].strip() for name in FIELDS)
    if not cells[0]:
        raise ValueError(f"no symbol; {WRITE}")
    return cells


def _date(text: str) -> Nanoseconds:
    try:
        at_ns = parse_time(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no date; {WRITE}") from None
    if not 0 <= at_ns < LATEST_NS:
        raise ValueError(f"{text[:40]!r} is not between 1970 and 2115")
    return at_ns


def _number(text: str) -> Fraction:
    new, colon, old = text.partition(":")
    try:
        return Fraction(new) / Fraction(old if colon else "1")
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"{text[:40]!r} is no {'ratio' if colon else 'number'}; {WRITE}") from None


def has_adjusted(path: Path) -> bool:
    """Whether a file of bars tells adjusted closes."""
    return ADJUSTED in [name.strip().lower() for name in next(raw_rows(path), [])]


def actions_of_adjusted(path: Path, symbol: str) -> Actions:
    """The splits and dividends that the adjusted closes of a file tell. Raises `TapeError` where it has none.

    Where adjusted / close grows from one bar to the next by a simple ratio of at least 1.2, or falls by one, shares were split; a
    smaller growth r was a dividend of the close before x (1 - 1 / r). A split and a dividend of one day are told as the split.
    """
    splits, dividends = [], []
    for before, now in itertools.pairwise(_closes(path)):
        growth = now.adjusted / now.close / (before.adjusted / before.close)
        ratio = Fraction(growth).limit_denominator(LARGEST_TERM)
        is_split = growth >= SPLIT_FROM or growth <= REVERSE_TO
        if is_split and ratio.numerator <= 10 * LARGEST_TERM and abs(float(ratio) / growth - 1) <= SPLIT_TOLERANCE:
            splits.append(Split(symbol, now.at_ns, ratio))
        elif growth - 1 > max(LEAST_DIVIDEND, before.error + now.error):
            dividends.append(Dividend(symbol, now.at_ns, Fraction(str(round(before.close * (1 - 1 / growth), 4)))))
    return Actions(tuple(splits), tuple(dividends))


def _closes(path: Path) -> Sequence[Close]:
    source = open_source(path)
    rows = raw_rows(path)
    header = [name.strip().lower() for name in next(rows, [])]
    if ADJUSTED not in header or "close" not in source.layout.columns:
        raise TapeError(f"{path}: no column {ADJUSTED}; name a file of splits and dividends with --actions FILE")
    kept = [row for row in rows if any(row)]
    time_at, close_at, adjusted_at = source.layout.columns["time"], source.layout.columns["close"], header.index(ADJUSTED)
    found = list(_parsed(path, kept, (time_at, close_at, adjusted_at)))
    step = 10.0 ** -decimals_of([row[adjusted_at] for row in kept])
    return [one._replace(error=step / one.adjusted) for one in found]


def _parsed(path: Path, rows: Sequence[Sequence[str]], places: tuple[int, int, int]) -> Iterator[Close]:
    for line, row in enumerate(rows, 2):
        try:
            one = Close(parse_time(row[places[0]]), float(row[places[1]]), float(row[places[2]]), 0.0)
            if not (0 < one.close < float("inf") and 0 < one.adjusted < float("inf")):
                raise ValueError("closes must be above 0")
        except (ValueError, IndexError) as error:
            raise TapeError(f"{path}: line {line}: {error}; mend the row, or name the actions with --actions FILE") from None
        yield one
