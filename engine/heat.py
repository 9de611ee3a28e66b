"""Heat with its provenance: what each position and each working entry may lose, of what that is made, in which bucket, and what
is left of the sum once the correlation of returns is taken into account."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import NamedTuple

from engine.correlation import correlation_of
from engine.inputs import Settings
from engine.instruments import Instrument
from engine.kernel.heat import open_risk_minor
from engine.market import MarketView
from engine.orders import Order
from engine.positions import Position
from engine.state import State
from engine.units import Lots, Minor, Ticks
from engine.valuation import (
    entry_orders,
    entry_risk_minor,
    entry_stop_ticks,
    mark_ticks,
    portfolio_positions,
    position_risk_minor,
    reference_ticks,
)

ALONE = ""
OVER_TIME = "over time"


class HeatLine(NamedTuple):
    """One open risk: a position down to its stop, or a working entry down to the stop that it would start with.

    `risk_minor` is `distance_minor` (to the stop; all of it where there is none) plus `gap_minor` (the allowance for a fill
    beyond the stop) plus `fee_minor` (of leaving). `client_order_id` is empty for a position; `status` is that of the order, or
    says that it is a position, or what an order over time has still to send.
    """

    portfolio: str
    instrument_id: str
    client_order_id: str
    status: str
    sign: int
    lots: Lots
    price_ticks: Ticks
    stop_ticks: Ticks
    risk_minor: Minor
    distance_minor: Minor
    gap_minor: Minor
    fee_minor: Minor
    bucket: str


def sector_of(settings: Settings, instrument: Instrument) -> str:
    """The sector that the configuration gives an instrument, by symbol or by id; empty where it gives none."""
    return settings.sectors.get(instrument.symbol) or settings.sectors.get(instrument.instrument_id, "")


def bucket_of(settings: Settings, instrument: Instrument) -> str:
    """The correlation bucket of an instrument: the configured one, else its sector's, else its own."""
    named = settings.buckets.get(instrument.symbol) or settings.buckets.get(instrument.instrument_id)
    return named or sector_of(settings, instrument) or instrument.symbol


def heat_lines(state: State, market: MarketView, portfolio: str) -> list[HeatLine]:
    """Every open risk of a portfolio; their sum is its heat."""
    lines = [_position_line(state, market, position) for position in portfolio_positions(state, portfolio)]
    return lines + [_order_line(state, market, order) for order in entry_orders(state, portfolio) if order.leaves_lots]


def _position_line(state: State, market: MarketView, position: Position) -> HeatLine:
    return _line(state, position.instrument_id, HeatLine(
        position.portfolio, position.instrument_id, "", "position", position.sign, abs(position.lots),
        mark_ticks(state, market, position), position.stop_ticks, position_risk_minor(state, market, position), 0, 0, 0, ""))


def _order_line(state: State, market: MarketView, order: Order) -> HeatLine:
    entry = reference_ticks(market, order)
    status = OVER_TIME if order.client_order_id in state.parents else order.status
    return _line(state, order.intent.instrument_id, HeatLine(
        order.intent.portfolio, order.intent.instrument_id, order.client_order_id, status, order.intent.side.sign,
        order.leaves_lots, entry, entry_stop_ticks(state, order.intent, entry), entry_risk_minor(state, market, order),
        0, 0, 0, ""))


def _line(state: State, instrument_id: str, line: HeatLine) -> HeatLine:
    """The line with its risk taken apart and its bucket."""
    instrument = state.instruments[instrument_id]
    bucket = bucket_of(state.settings, instrument)
    if not line.stop_ticks:
        return line._replace(distance_minor=line.risk_minor, bucket=bucket)
    terms = (line.sign * line.lots, line.price_ticks, line.stop_ticks, instrument.value_num, instrument.value_den)
    distance = min(line.risk_minor, open_risk_minor(*terms, 0, 0))
    gapped = min(line.risk_minor, open_risk_minor(*terms, state.settings.gap_allowance_bps, 0))
    return line._replace(distance_minor=distance, gap_minor=gapped - distance, fee_minor=line.risk_minor - gapped, bucket=bucket)


def bucket_heat(lines: Sequence[HeatLine]) -> dict[str, Minor]:
    """The heat of each bucket."""
    heats: dict[str, Minor] = {}
    for line in lines:
        heats[line.bucket] = heats.get(line.bucket, 0) + line.risk_minor
    return heats


class CorrelatedHeat(NamedTuple):
    """Heat under the measured correlation: `sqrt(squares) + unknown`, where what nothing is known of counts in full.

    `along` is how the book moves with one more unit of risk in a given instrument, None where nothing is known of it.
    """

    squares: float
    unknown_minor: Minor
    plain_minor: Minor
    along: float | None = None

    def minor(self, more_minor: Minor = 0) -> Minor:
        """Heat with that much more risk in the given instrument, rounded up; never above the plain sum."""
        plain = self.plain_minor + more_minor
        if self.along is None:
            known, unknown = self.squares, self.unknown_minor + more_minor
        else:
            known, unknown = self.squares + 2 * more_minor * self.along + float(more_minor) ** 2, self.unknown_minor
        return min(plain, ceil(sqrt(max(0.0, known))) + unknown)


def correlated_heat(market: MarketView, lines: Sequence[HeatLine], more_in: str = ALONE, sign: int = 1) -> CorrelatedHeat:
    """Heat under the correlation of these lines' instruments, and of `more_in`, where an entry of that sign is thought of.

    An instrument with risks of both directions, or without enough bars, counts in full.
    """
    signed: dict[str, Minor] = {}
    plain: dict[str, Minor] = {}
    for line in lines:
        signed[line.instrument_id] = signed.get(line.instrument_id, 0) + line.sign * line.risk_minor
        plain[line.instrument_id] = plain.get(line.instrument_id, 0) + line.risk_minor
    found = correlation_of(market, [*plain, more_in] if more_in else list(plain))
    one_way = {key: risk for key, risk in signed.items() if key in found.places and abs(risk) == plain[key]
               and not (key == more_in and risk * sign < 0)}
    unknown = sum(risk for key, risk in plain.items() if key not in one_way)
    squares = sum(risk * sum(other * found.matrix[found.places[key]][found.places[name]] for name, other in one_way.items())
                  for key, risk in one_way.items())
    along = None
    if more_in in found.places and (more_in in one_way or more_in not in plain):
        row = found.matrix[found.places[more_in]]
        along = sign * sum(risk * row[found.places[key]] for key, risk in one_way.items())
    return CorrelatedHeat(float(squares), unknown, sum(plain.values()), along)
