"""What companies do to their shares, and what borrowed shares cost: splits, cash dividends and the fee of shorts.

Splits: all bars are restated in one unit, of as many shares at any time as make it whole: after a split of 2 for 1 that is two
shares at twice the price. No price is rounded; lots, levels and what a rule remembers go through a split exactly, and no money
changes. Volumes are rounded down.

Dividends: at the first moment at or after its time, once the bars that end then have closed and before any that opens, a long
is paid lots x dividend, rounded down, and a short pays it, rounded up. What enters at that open gets none. A dividend is told in
the money of one share of its own day.

Borrowing: at the first moment of each new day (UTC) a short pays its worth at the newest price x the rate of a year x the days
since / 365, rounded up.

Dividends and fees are cash of the account, no part of a round trip's result.
"""

import itertools
import math
import operator
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

from engine.backtest.brakes import NS_PER_DAY
from engine.backtest.entries import value_minor
from engine.backtest.holdings import (
    ACTION_FIELDS,
    ACTIONS_END,
    BORROW_DAY,
    BORROW_MINOR,
    BORROW_PPM,
    CASH,
    DIVIDENDS_MINOR,
    HEAD,
    LOTS,
    NEXT_ACTION,
    ROW,
)
from engine.errors import InstrumentError
from engine.instruments import Instrument
from engine.kernel.money import PPM
from engine.kernel.rounding import scaled_up
from engine.kernel.wants import BarColumns
from engine.units import MAX_PRODUCT, Nanoseconds

DAYS_A_YEAR = 365


class Split(NamedTuple):
    """`ratio` new shares for each old one, from the first bar on that opens at `at_ns` or later."""

    symbol: str
    at_ns: Nanoseconds
    ratio: Fraction


class Dividend(NamedTuple):
    """Cash for one share, in the quote currency, for who held it before `at_ns`."""

    symbol: str
    at_ns: Nanoseconds
    cash: Fraction


# ---- splits ----------------------------------------------------------------------------------------------------------------


def shares_of(instrument: Instrument, splits: Sequence[Split]) -> list[tuple[Nanoseconds, int]]:
    """How many shares one unit is, from when on: the smallest whole numbers."""
    own = sorted((one for one in splits if instrument.is_called(one.symbol)), key=lambda one: one.at_ns)
    found = [Fraction(1), *itertools.accumulate((one.ratio for one in own), operator.mul)]
    whole = math.lcm(*(one.denominator for one in found))
    shares = [int(one * whole) for one in found]
    common = math.gcd(*shares)
    return list(zip([0, *(one.at_ns for one in own)], [one // common for one in shares], strict=True))


def restated(instrument: Instrument, bars: BarColumns, splits: Sequence[Split]) -> tuple[Instrument, BarColumns]:
    """An instrument and its bars in units that its splits leave alone; raises `InstrumentError` where prices do not fit."""
    import numpy

    shares = shares_of(instrument, splits)
    if len(shares) == 1:
        return instrument, bars
    opens_ns, closes_ns, *columns, volumes = [numpy.array(column, numpy.int64) for column in bars]
    highest = int(columns[1].max()) * max(many for _, many in shares)
    if highest >= MAX_PRODUCT // 2:
        raise InstrumentError(f"{instrument.instrument_id}: prices across its splits do not fit 62 bits; leave the oldest out")
    row = numpy.searchsorted([at_ns for at_ns, _ in shares], opens_ns, side="right") - 1
    many = numpy.array([many for _, many in shares])[row]
    max_ticks = max(instrument.max_ticks, 2 * highest)
    max_lots = max(instrument.min_lots, instrument.max_lots * instrument.max_ticks // max_ticks)
    whole = msgspec.structs.replace(instrument, max_ticks=max_ticks, max_lots=max_lots)
    stated: list[Any] = [opens_ns, closes_ns, *(column * many for column in columns), volumes // many]
    return whole, BarColumns(*stated)


def dividend_rows(instruments: Sequence[Instrument], dividends: Sequence[Dividend], splits: Sequence[Split]) -> list[list[int]]:
    """Dividends as a pass reads them, in the order of time: time, row of the instrument, minor units of one lot as a fraction."""
    rows = []
    for number, instrument in enumerate(instruments):
        shares = shares_of(instrument, splits)
        for one in dividends:
            if not instrument.is_called(one.symbol):
                continue
            many = next(many for at_ns, many in reversed(shares) if at_ns <= one.at_ns)
            money = (one.cash * many * Fraction(instrument.lot_size) * Fraction(instrument.multiplier)
                     * 10 ** instrument.minor_exponent)
            if max(money.numerator * instrument.max_lots, money.denominator) >= MAX_PRODUCT:
                raise InstrumentError(f"{instrument.instrument_id}: a dividend of {one.cash} does not fit 62 bits; round it")
            rows.append([one.at_ns, HEAD + number * ROW, money.numerator, money.denominator])
    return sorted(rows)


def held_return(instrument: Instrument, bars: BarColumns, dividends: Sequence[Dividend], splits: Sequence[Split]) -> float:
    """What buying at the first open and holding brought, as a part of it: the way to the last close, and dividends as cash."""
    first, last = float(bars.opens[0]), float(bars.closes[-1])
    lot_minor = first * instrument.value_num / instrument.value_den
    paid = sum(numerator / denominator for at_ns, _, numerator, denominator in dividend_rows([instrument], dividends, splits)
               if bars.opens_ns[0] < at_ns <= bars.closes_ns[-1])
    return last / first - 1 + paid / lot_minor


# ---- in the pass; these compile too ------------------------------------------------------------------------------------------


def settle_actions(w: Any, count: int, now_ns: int) -> None:
    """What holdings receive and owe at this moment, in the place of `engine.backtest.passes.before_opens`."""
    pay_dividends(w, now_ns)
    pay_for_borrowing(w, count, now_ns)


def pay_dividends(w: Any, now_ns: int) -> None:
    """Every dividend that is due."""
    while w[NEXT_ACTION] < w[ACTIONS_END] and w[w[NEXT_ACTION]] <= now_ns:
        row = w[NEXT_ACTION]
        cash = w[w[row + 1] + LOTS] * w[row + 2] // w[row + 3]
        w[CASH] += cash
        w[DIVIDENDS_MINOR] += cash
        w[NEXT_ACTION] = row + ACTION_FIELDS


def pay_for_borrowing(w: Any, count: int, now_ns: int) -> None:
    """The fee of every short for the days since it was last asked for."""
    day = now_ns // NS_PER_DAY
    days = day - w[BORROW_DAY]
    if days == 0:
        return
    for at in range(HEAD, HEAD + count * ROW, ROW):
        if w[BORROW_DAY] != 0 and w[at + LOTS] < 0 and w[BORROW_PPM] > 0:
            fee = scaled_up(-value_minor(w, at), w[BORROW_PPM] * days, PPM * DAYS_A_YEAR)
            w[CASH] -= fee
            w[BORROW_MINOR] += fee
    w[BORROW_DAY] = day
