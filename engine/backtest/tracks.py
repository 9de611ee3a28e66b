"""A backtest as a track: the same reports, tables and pages as for paper and real accounts."""

from itertools import accumulate
from typing import TYPE_CHECKING

from engine.analytics.records import EquityCurve, FillRecord, Track, trip_record
from engine.backtest.holdings import ENTERED
from engine.backtest.results import EXIT_REASONS, BacktestResult, TestedFill
from engine.instruments import Instrument

if TYPE_CHECKING:
    from engine.backtest.results import Column


def track_of(result: BacktestResult) -> Track:
    """What a report is made of. Nothing is paid in; the fills of a pass know no decision price, so they tell no slippage."""
    known = {one.instrument_id: one for one in result.instruments}
    first = result.instruments[0]
    flow = [0] * len(result.equity_at_ns)
    curve = EquityCurve(result.equity_at_ns.tolist(), result.equity_minor.tolist(), flow, held_minor(result).tolist())
    return Track(
        result.strategy, first.quote_currency, first.minor_exponent, curve,
        tuple(trip_record(trip, known[trip.instrument_id]) for trip in result.round_trips()),
        tuple(_fill(fill, known[fill.instrument_id], result.strategy) for fill in result.fill_rows()))


def _fill(fill: TestedFill, instrument: Instrument, strategy: str) -> FillRecord:
    purpose = "entry" if fill.code == ENTERED else EXIT_REASONS.get(fill.code, "exit")
    return FillRecord(
        fill.at_ns, fill.instrument_id, instrument.symbol, strategy, "strategy", purpose, fill.sign,
        float(instrument.quantity(fill.lots)), float(instrument.price(fill.ticks)),
        instrument.notional_minor(fill.ticks, fill.lots), fill.fee_minor, None)


def held_minor(result: BacktestResult) -> "Column":
    """The size of what was held at each point of the curve, at the price of each instrument's last fill."""
    import numpy as np

    by_instrument: dict[str, list[TestedFill]] = {}
    for fill in result.fill_rows():
        by_instrument.setdefault(fill.instrument_id, []).append(fill)
    known = {one.instrument_id: one for one in result.instruments}
    held: Column = np.zeros(len(result.equity_at_ns), dtype=np.int64)
    for instrument_id, fills in by_instrument.items():
        lots = accumulate(fill.sign * fill.lots for fill in fills)
        worth = np.array([known[instrument_id].notional_minor(fill.ticks, abs(count))
                          for fill, count in zip(fills, lots, strict=True)])
        place = np.searchsorted(np.array([fill.at_ns for fill in fills]), result.equity_at_ns, side="right") - 1
        held += np.where(place >= 0, worth[np.maximum(place, 0)], 0)
    return held
