"""A backtest as the record that reports are made from."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from engine.analytics.records import EquityCurve, FillRecord, Track, trip_record
from engine.backtest.holdings import ENTERED
from engine.backtest.results import BacktestResult, TestedFill
from engine.backtest.run import Series
from engine.instruments import Instrument
from engine.kernel.exits import STOP_HIT, TARGET_HIT
from engine.kernel.regimes import regime_at
from engine.kernel.wants import BarColumns
from engine.market import NS_PER_DAY
from engine.orders import Purpose
from engine.positions import RoundTrip
from engine.regimes import USUAL_REGIMES, DayRegime, RegimeSettings
from engine.units import Nanoseconds

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

PURPOSES = {ENTERED: Purpose.ENTRY, STOP_HIT: Purpose.STOP, TARGET_HIT: Purpose.TARGET}


def track_of(result: BacktestResult, series: Sequence[Series], name: str = "",
             regimes: RegimeSettings = USUAL_REGIMES) -> Track:
    """The equity of every close with what was held then, the round trips with the regime that they began in, and the fills, each
    beside the price that it was decided at: a stop's or target's level, or the market at the close after which it was wanted."""
    first = result.instruments[0]
    by_id = {one.instrument_id: one for one in result.instruments}
    curve = EquityCurve(result.equity_at_ns.tolist(), result.equity_minor.tolist(), [0] * len(result.equity_minor),
                        gross_minor(result, series).tolist())
    return Track(name or result.strategy, first.quote_currency, first.minor_exponent, curve,
                 [trip_record(trip, by_id[trip.instrument_id]) for trip in _in_regimes(result, series, regimes)],
                 [_fill_record(result.strategy, fill, by_id[fill.instrument_id]) for fill in result.fill_rows()],
                 every_close=True)


def _in_regimes(result: BacktestResult, series: Sequence[Series], settings: RegimeSettings) -> Iterator[RoundTrip]:
    """The round trips with the words of the regime at their opening."""
    numbers = {one.instrument.instrument_id: number for number, one in enumerate(series)}
    beats = _Beats(series)
    known: dict[tuple[int, int], str] = {}
    for trip in result.round_trips():
        number = numbers[trip.instrument_id]
        bars = series[number].bars
        told = known_bars(bars, beats.last_before(trip.opened_at_ns, number), settings)
        if (number, told) not in known:
            known[number, told] = _regime_words(bars, told, settings)
        yield replace(trip, regime=known[number, told])


class _Beats:
    """When the engine beats on the tape of these bars: before the closes of a moment; where nothing closes before the first quote
    reaches it, and then an entry of that quote has filled already."""

    def __init__(self, series: Sequence[Series]) -> None:
        from numpy import concatenate, unique

        self._columns = [one.bars for one in series]
        self._opens: NDArray[int64] = unique(concatenate([bars.opens_ns for bars in self._columns]))
        self._closes: NDArray[int64] = unique(concatenate([bars.closes_ns for bars in self._columns]))

    def last_before(self, filled_at_ns: Nanoseconds, number: int) -> Nanoseconds:
        """The last beat before an entry into the instrument of that number filled; 0 where there was none."""
        from numpy import searchsorted

        closed, opened = int(searchsorted(self._closes, filled_at_ns, side="right")), int(searchsorted(self._opens, filled_at_ns))
        newest = max(int(self._closes[closed - 1]) if closed else 0, int(self._opens[opened - 1]) if opened else 0)
        if newest < filled_at_ns and any(_opens_at(bars, filled_at_ns) for bars in self._columns[:number]):
            return filled_at_ns
        return newest


def _opens_at(bars: BarColumns, at_ns: Nanoseconds) -> bool:
    from numpy import searchsorted

    place = int(searchsorted(bars.opens_ns, at_ns))
    return place < len(bars.opens_ns) and int(bars.opens_ns[place]) == at_ns


def known_bars(bars: BarColumns, at_ns: Nanoseconds, settings: RegimeSettings) -> int:
    """How many bars the engine had seen when it told the regime in force after a beat: those that closed before the day began, or
    the least number needed where there were fewer then; 0 where none was told yet."""
    from numpy import searchsorted

    by_day = int(searchsorted(bars.closes_ns, at_ns - at_ns % NS_PER_DAY))
    if by_day >= settings.needed_bars:
        return by_day
    return settings.needed_bars if int(searchsorted(bars.closes_ns, at_ns)) >= settings.needed_bars else 0


def _regime_words(bars: BarColumns, told: int, settings: RegimeSettings) -> str:
    if not told:
        return ""
    closes = [int(close) for close in bars.closes[told - settings.needed_bars:told]]
    found = regime_at(closes, len(closes) - 1, len(closes), settings.trend_bars, settings.volatility_bars, settings.usual_bars,
                      settings.trend_from, settings.calm_below, settings.wild_from)
    return DayRegime(0, found.trend, found.volatility, found.efficiency, found.ratio).words


def gross_minor(result: BacktestResult, series: Sequence[Series]) -> "NDArray[int64]":
    """The size of all that was held at each close, in minor units, to the nearest."""
    import numpy

    total: Any = numpy.zeros(len(result.equity_at_ns))
    first_place = 0
    for number, one in enumerate(series):
        count = len(one.bars.closes)
        mine = result.fills[result.fills[:, 0] == number]
        moves = numpy.bincount(mine[:, 8] - first_place, weights=mine[:, 2] * mine[:, 3], minlength=count)
        worth = numpy.abs(moves.cumsum()) * numpy.asarray(one.bars.closes) * one.instrument.value_num / one.instrument.value_den
        at = numpy.searchsorted(one.bars.closes_ns, result.equity_at_ns, side="right") - 1
        total += numpy.where(at >= 0, worth[numpy.maximum(at, 0)], 0.0)
        first_place += count
    rounded: NDArray[int64] = numpy.rint(total).astype(numpy.int64)
    return rounded


def _fill_record(strategy: str, fill: TestedFill, instrument: Instrument) -> FillRecord:
    slipped = instrument.signed_notional_minor((fill.ticks - fill.decided_ticks) * fill.sign, fill.lots)
    return FillRecord(
        fill.at_ns, fill.instrument_id, instrument.symbol, strategy, "strategy",
        PURPOSES.get(fill.code, Purpose.EXIT).value, fill.sign, float(instrument.quantity(fill.lots)),
        float(instrument.price(fill.ticks)), instrument.notional_minor(fill.ticks, fill.lots), fill.fee_minor, slipped)
