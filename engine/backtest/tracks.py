"""A backtest as the record that reports are made from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.analytics.records import EquityCurve, FillRecord, Track, trip_record
from engine.backtest.holdings import ENTERED
from engine.backtest.results import EXIT_REASONS, BacktestResult, TestedFill
from engine.backtest.run import Series
from engine.instruments import Instrument

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray


def track_of(result: BacktestResult, series: Sequence[Series], name: str = "") -> Track:
    """The equity of every close with what was held then, the round trips and the fills, each beside the price that it was decided
    at: a stop's or target's level, or the market at the close after which the rule wanted it."""
    first = result.instruments[0]
    by_id = {one.instrument_id: one for one in result.instruments}
    curve = EquityCurve(result.equity_at_ns.tolist(), result.equity_minor.tolist(), [0] * len(result.equity_minor),
                        gross_minor(result, series).tolist())
    return Track(name or result.strategy, first.quote_currency, first.minor_exponent, curve,
                 [trip_record(trip, by_id[trip.instrument_id]) for trip in result.round_trips()],
                 [_fill_record(result.strategy, fill, by_id[fill.instrument_id]) for fill in result.fill_rows()])


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
        "entry" if fill.code == ENTERED else EXIT_REASONS[fill.code], fill.sign, float(instrument.quantity(fill.lots)),
        float(instrument.price(fill.ticks)), instrument.notional_minor(fill.ticks, fill.lots), fill.fee_minor, slipped)
