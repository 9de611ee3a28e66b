"""What the market is like on a day, from daily closes alone: regime, volatility, rotation of sectors, indicators.

All of it is a function of bars that were closed by then, and so is its vintage: the close of the newest one.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from statistics import fmean, median
from typing import NamedTuple

import msgspec

from engine.inputs import Bar
from engine.instruments import DAY_NS, Instrument
from engine.kernel.indicators import latest_atr, rsi_grow, rsi_value
from engine.research.impact import Volatility
from engine.units import Nanoseconds

FAST_DAYS, SLOW_DAYS = 50, 200
VOLATILITY_DAYS = 20
USUAL_DAYS = 252
LEAST_HISTORY_DAYS = 60
SIDEWAYS_FRACTION = 0.01
ATR_DAYS = 14
RSI_DAYS = 14
ROTATION_WEEKS = (1, 4, 12)
DAYS_A_WEEK = {True: 7, False: 5}
UNKNOWN = "unknown"


class Regime(msgspec.Struct, frozen=True):
    """Trend by the means of 50 and 200 days, volatility by the percentile of the last 20 days' among those of the last year, in
    three bands; `vintage_ns` is the close of the newest bar."""

    trend: str
    volatility: str
    percentile: float | None
    vintage_ns: Nanoseconds

    @property
    def words(self) -> str:
        """Such as "trend up, wild"."""
        return f"{self.trend}, {self.volatility}"


class SectorRank(msgspec.Struct, frozen=True):
    """A sector's place by relative strength over 1, 4 and 12 weeks, 1 the strongest; `strength_percent` is its mean return less
    that of all, None where the past does not reach back so far."""

    sector: str
    ranks: tuple[int | None, ...]
    strength_percent: tuple[float | None, ...]
    members: int


class MarketDay(msgspec.Struct, frozen=True):
    """The market of one day as it was first seen on it: regime and indicators of each name (their vintage is the regime's), how
    sectors stood, and the notes that were known."""

    day: int
    known_at_ns: Nanoseconds
    regimes: dict[str, Regime] = {}
    sectors: tuple[SectorRank, ...] = ()
    events: tuple[str, ...] = ()
    indicators: dict[str, dict[str, float]] = {}


class Past(NamedTuple):
    """The closed daily bars of an instrument, oldest first."""

    instrument: Instrument
    bars: Sequence[Bar]

    def until(self, as_of_ns: Nanoseconds) -> "Past":
        """Without what was not over by then."""
        return self._replace(bars=[bar for bar in self.bars if bar.close_ns <= as_of_ns])

    @property
    def closes(self) -> list[float]:
        return [float(bar.close_ticks) for bar in self.bars]


def regime_of(past: Past) -> Regime:
    """The regime after the newest bar. Sideways: the two means lie within 1 %, or the close is between them and its trend."""
    closes = past.closes
    vintage_ns = past.bars[-1].close_ns if past.bars else 0
    rank = volatility_percentile(closes)
    band = UNKNOWN if rank is None else "calm" if rank < 1 / 3 else "normal" if rank < 2 / 3 else "wild"
    return Regime(_trend(closes), band, rank, vintage_ns)


def _trend(closes: Sequence[float]) -> str:
    if len(closes) < SLOW_DAYS:
        return UNKNOWN
    fast, slow = fmean(closes[-FAST_DAYS:]), fmean(closes[-SLOW_DAYS:])
    if abs(fast / slow - 1) < SIDEWAYS_FRACTION:
        return "range"
    if fast > slow and closes[-1] > slow:
        return "trend up"
    return "trend down" if fast < slow and closes[-1] < slow else "range"


def returns_of(closes: Sequence[float]) -> list[float]:
    """Logarithmic daily returns."""
    return [math.log(after / before) for before, after in pairwise(closes)]


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation over all of them; exact sums, since equal pasts must give equal figures."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) * (value - mean) for value in values) / len(values))


def rolling_volatility(closes: Sequence[float]) -> list[float]:
    """The standard deviation of each 20 successive daily returns within the last year, oldest first."""
    returns = returns_of(closes[-(USUAL_DAYS + VOLATILITY_DAYS):])
    return [_deviation(returns[end - VOLATILITY_DAYS:end]) for end in range(VOLATILITY_DAYS, len(returns) + 1)]


def volatility_percentile(closes: Sequence[float]) -> float | None:
    """The share of the last year's 20-day volatilities that lie below the newest one; None under sixty days of past."""
    if len(closes) < LEAST_HISTORY_DAYS:
        return None
    rolling = rolling_volatility(closes)
    return sum(one < rolling[-1] for one in rolling) / len(rolling)


def volatility_of(past: Past) -> Volatility | None:
    """Daily standard deviations in bps, of the last 20 days and usually (the median of the last year's); None without a past."""
    if len(past.bars) < LEAST_HISTORY_DAYS:
        return None
    rolling = rolling_volatility(past.closes)
    return Volatility(rolling[-1] * 10_000, median(rolling) * 10_000, regime_of(past).volatility)


def rotation(pasts: Iterable[Past], sectors: Mapping[str, str]) -> tuple[SectorRank, ...]:
    """How sectors stand over 1, 4 and 12 weeks; a symbol without a sector counts with its class. Fewer than two sectors have no
    order."""
    members: dict[str, list[Past]] = {}
    for past in pasts:
        sector = sectors.get(past.instrument.symbol, past.instrument.asset_class.value)
        members.setdefault(sector, []).append(past)
    if len(members) < 2:
        return ()
    spans = [_strengths(members, weeks) for weeks in ROTATION_WEEKS]
    return tuple(SectorRank(sector, tuple(_rank(span, sector) for span in spans), tuple(span.get(sector) for span in spans),
                            len(members[sector])) for sector in sorted(members))


def _strengths(members: Mapping[str, Sequence[Past]], weeks: int) -> dict[str, float]:
    returns = {sector: [value for past in pasts if (value := _return_percent(past, weeks)) is not None]
               for sector, pasts in members.items()}
    everybody = [value for values in returns.values() for value in values]
    return {sector: fmean(values) - fmean(everybody) for sector, values in returns.items() if values}


def _return_percent(past: Past, weeks: int) -> float | None:
    days = weeks * DAYS_A_WEEK[past.instrument.trading_day_ns >= DAY_NS]
    closes = past.closes
    return (closes[-1] / closes[-1 - days] - 1) * 100 if len(closes) > days else None


def _rank(strengths: Mapping[str, float], sector: str) -> int | None:
    if sector not in strengths:
        return None
    return 1 + sum(value > strengths[sector] for value in strengths.values())


def indicators_of(past: Past) -> dict[str, float]:
    """The usual figures in prices of the instrument: means of 20, 50 and 200 days, Wilder's ATR and RSI of 14, returns over 5, 21
    and 63 days in percent, 20-day volatility a year in percent; what the past does not reach is left out."""
    closes, tick = past.closes, float(past.instrument.tick_size)
    found: dict[str, float] = {}
    for days in (20, FAST_DAYS, SLOW_DAYS):
        if len(closes) >= days:
            found[f"sma{days}"] = fmean(closes[-days:]) * tick
    for days in (5, 21, 63):
        if len(closes) > days:
            found[f"return_{days}d_percent"] = (closes[-1] / closes[-1 - days] - 1) * 100
    if (atr := atr_ticks(past.bars)) is not None:
        found["atr14"] = atr * tick
    if (rsi := rsi_of(closes)) is not None:
        found["rsi14"] = rsi
    if len(closes) > VOLATILITY_DAYS:
        year = 365 if past.instrument.trading_day_ns >= DAY_NS else 252
        found["volatility_20d_percent"] = _deviation(returns_of(closes)[-VOLATILITY_DAYS:]) * math.sqrt(year) * 100
    return {name: round(value, 6) for name, value in found.items()}


def atr_ticks(bars: Sequence[Bar]) -> float | None:
    """Wilder's mean of the true range of 14 days, in ticks; None without 14 bars."""
    found = latest_atr([bar.high_ticks for bar in bars], [bar.low_ticks for bar in bars], [bar.close_ticks for bar in bars],
                       ATR_DAYS)
    return None if math.isnan(found) else found


def rsi_of(closes: Sequence[float]) -> float | None:
    """Wilder's relative strength index of 14 days; None without 15 closes."""
    seen, gain, loss = 0, 0.0, 0.0
    for before, after in pairwise(closes):
        seen, gain, loss = rsi_grow(seen, gain, loss, RSI_DAYS, after - before)
    return rsi_value(gain, loss) if seen >= RSI_DAYS else None


def abnormal_bps(symbol: str, since_ns: Nanoseconds, pasts: Mapping[str, Past]) -> tuple[float, Nanoseconds] | None:
    """The return from the last close known at `since_ns` to the next close after it, less the median of what others of its class
    made between the same closes, in bps; and when that was known. None while that close is not there.

    With fewer than two others nothing is taken off.
    """
    own = _next_return(pasts[symbol].bars, since_ns) if symbol in pasts else None
    if own is None:
        return None
    made, closed_ns = own
    others = [other[0] for name, past in pasts.items()
              if name != symbol and past.instrument.asset_class is pasts[symbol].instrument.asset_class
              and (other := _next_return(past.bars, since_ns)) is not None and other[1] == closed_ns]
    return (made - (median(others) if len(others) >= 2 else 0.0)) * 10_000, closed_ns


def _next_return(bars: Sequence[Bar], since_ns: Nanoseconds) -> tuple[float, Nanoseconds] | None:
    place = bisect_right(bars, since_ns, key=attrgetter("close_ns"))
    if not 0 < place < len(bars):
        return None
    return bars[place].close_ticks / bars[place - 1].close_ticks - 1, bars[place].close_ns


def market_day(day: int, known_at_ns: Nanoseconds, pasts: Sequence[Past], sectors: Mapping[str, str],
               events: Sequence[str] = ()) -> MarketDay:
    """The market of a day out of what was closed by `known_at_ns`."""
    known = [past for one in pasts if (past := one.until(known_at_ns)).bars]
    return MarketDay(day, known_at_ns, {past.instrument.symbol: regime_of(past) for past in known}, rotation(known, sectors),
                     tuple(events), {past.instrument.symbol: indicators_of(past) for past in known})
