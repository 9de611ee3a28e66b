"""What a report is made from: one small record that a backtest, the paper venue and real accounts all give alike.

Money is in minor units of the track's currency; prices and quantities are floats, since nothing is booked with them here.
A backtest fills a `Track` from its arrays, the store from its tables (`store.history`).
"""

from collections.abc import Sequence
from typing import NamedTuple

from engine.instruments import Instrument
from engine.orders import Fill, OrderIntent, Purpose
from engine.positions import RoundTrip, decision_of
from engine.units import Minor, Nanoseconds, Ticks


class EquityCurve(NamedTuple):
    """What an account was worth over time: parallel columns (lists or 1-D arrays), oldest first, times not falling.

    `flow_minor` is what was paid in (or out, negative) since the point before, which is no result of trading; 0 at the first
    point. `gross_minor` is the size of all that was held then.
    """

    at_ns: Sequence[Nanoseconds]
    equity_minor: Sequence[Minor]
    flow_minor: Sequence[Minor]
    gross_minor: Sequence[Minor]


class TripRecord(NamedTuple):
    """A position from flat to flat. `realized_minor` is before `fees_minor`; `initial_risk_minor` is 1R (0: no stop).

    `adverse_fraction` and `favourable_fraction` are the worst and the best price seen while it was held, as a part of the
    average entry price, both >= 0 (MAE and MFE); None where nothing was seen. Whole bars count once the position was open at
    their open; of the bar in which it ended only the exit price counts.
    """

    instrument_id: str
    symbol: str
    strategy: str
    decision: str
    side: int
    quantity: float
    opened_at_ns: Nanoseconds
    closed_at_ns: Nanoseconds
    entry_price: float
    exit_price: float
    realized_minor: Minor
    fees_minor: Minor
    initial_risk_minor: Minor
    exit_reason: str
    adverse_fraction: float | None = None
    favourable_fraction: float | None = None
    regime: str = ""

    @property
    def net_minor(self) -> Minor:
        """The result, fees included."""
        return self.realized_minor - self.fees_minor


class FillRecord(NamedTuple):
    """One execution. `sign` is +1 for a buy; `slippage_minor` is what it cost against the price that was decided on, negative
    where it was better; None where no such price is known."""

    at_ns: Nanoseconds
    instrument_id: str
    symbol: str
    strategy: str
    decision: str
    purpose: str
    sign: int
    quantity: float
    price: float
    notional_minor: Minor
    fee_minor: Minor
    slippage_minor: Minor | None


class Track(NamedTuple):
    """All that a report needs of one portfolio or one backtest; where `every_close`, the curve has a point at each close of what
    was traded."""

    name: str
    currency: str
    minor_exponent: int
    curve: EquityCurve
    trips: Sequence[TripRecord]
    fills: Sequence[FillRecord]
    every_close: bool = False


def trip_record(trip: RoundTrip, instrument: Instrument) -> TripRecord:
    """A round trip of the engine, in prices."""
    adverse, favourable = excursions(trip.side, trip.entry_ticks, trip.low_ticks, trip.high_ticks)
    return TripRecord(
        trip.instrument_id, instrument.symbol, trip.strategy, trip.decision or "unknown", trip.side,
        float(instrument.quantity(trip.lots)), trip.opened_at_ns, trip.closed_at_ns, _price(trip.entry_ticks, instrument),
        _price(trip.exit_ticks, instrument), trip.realized_minor, trip.fees_minor, trip.initial_risk_minor, trip.exit_reason,
        adverse, favourable, trip.regime)


def _price(ticks: float, instrument: Instrument) -> float:
    """An average price, without the last digits that binary fractions leave behind."""
    return float(f"{ticks * float(instrument.tick_size):.12g}")


def excursions(side: int, entry_ticks: float, low_ticks: Ticks, high_ticks: Ticks) -> tuple[float | None, float | None]:
    """Worst and best move as parts of the entry, both >= 0; None where no prices are known."""
    if not entry_ticks or not low_ticks or not high_ticks:
        return None, None
    down, up = max(0.0, 1 - low_ticks / entry_ticks), max(0.0, high_ticks / entry_ticks - 1)
    return (down, up) if side > 0 else (up, down)


def decided_ticks(intent: OrderIntent) -> Ticks:
    """The price that an order was meant to execute at: a stop's trigger, a target's limit, else the market as it was seen."""
    if intent.purpose is Purpose.STOP and intent.trigger_ticks:
        return intent.trigger_ticks
    if intent.purpose is Purpose.TARGET and intent.limit_ticks:
        return intent.limit_ticks
    return intent.decision_ticks


def slippage_minor(fill: Fill, decided: Ticks, instrument: Instrument) -> Minor | None:
    """What a fill cost against the price decided on; None where there is none."""
    if not decided:
        return None
    return instrument.signed_notional_minor((fill.last_ticks - decided) * fill.side.sign, fill.last_lots)


def fill_record(fill: Fill, intent: OrderIntent | None, instrument: Instrument) -> FillRecord:
    """A fill of the engine, in prices; without an order it was somebody else's."""
    strategy = intent.strategy if intent else "EXTERNAL"
    return FillRecord(
        fill.at_ns, fill.instrument_id, instrument.symbol, strategy, decision_of(intent),
        intent.purpose.value if intent else Purpose.ENTRY.value, fill.side.sign, float(instrument.quantity(fill.last_lots)),
        float(instrument.price(fill.last_ticks)), instrument.notional_minor(fill.last_ticks, fill.last_lots), fill.fee_minor,
        slippage_minor(fill, decided_ticks(intent), instrument) if intent else None)
