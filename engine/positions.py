"""Fills folded into positions, exactly: money in minor units, so cash plus positions is equity to the last unit."""

from typing import NamedTuple

import msgspec

from engine.units import Lots, Minor, Nanoseconds, Ticks


class ExitPlan(NamedTuple):
    """How a position is protected, in ticks; 0 stands for "not asked".

    `trail_ticks` (a price offset, also what an ATR trail was resolved to) and `trail_bps` are alternatives.
    Breakeven moves the stop to `breakeven_to_ticks` once the price has reached `breakeven_at_ticks`.
    """

    stop_ticks: Ticks = 0
    target_ticks: Ticks = 0
    trail_ticks: Ticks = 0
    trail_bps: int = 0
    breakeven_at_ticks: Ticks = 0
    breakeven_to_ticks: Ticks = 0
    max_hold_ns: Nanoseconds = 0

    @property
    def protects(self) -> bool:
        """Whether the plan bounds a loss."""
        return bool(self.stop_ticks or self.trail_ticks or self.trail_bps)


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """The signed net of fills in one instrument of one portfolio.

    `cost_minor` is the signed money paid for the open lots (negative for a short), fees apart. `stop_ticks` is the
    level in force (it never retreats), `best_ticks` the best price since entry, `initial_risk_minor` is 1R, fixed at
    entry. `bare_since_ns` is when the position last lost its stop (0 while protected), `bare_total_ns` the sum so far.
    """

    portfolio: str
    account: str
    instrument_id: str
    strategy: str
    lots: Lots
    cost_minor: Minor
    opened_at_ns: Nanoseconds
    opened_by: str
    realized_minor: Minor = 0
    fees_minor: Minor = 0
    plan: ExitPlan = ExitPlan()
    stop_ticks: Ticks = 0
    best_ticks: Ticks = 0
    initial_risk_minor: Minor = 0
    bare_since_ns: Nanoseconds = 0
    bare_total_ns: Nanoseconds = 0

    @property
    def key(self) -> str:
        return position_key(self.portfolio, self.instrument_id)

    @property
    def sign(self) -> int:
        return (self.lots > 0) - (self.lots < 0)


class RoundTrip(msgspec.Struct, frozen=True):
    """A position from flat to flat, or the part of it that a reversal ended."""

    portfolio: str
    instrument_id: str
    strategy: str
    side: int
    lots: Lots
    opened_at_ns: Nanoseconds
    closed_at_ns: Nanoseconds
    realized_minor: Minor
    fees_minor: Minor
    initial_risk_minor: Minor
    exit_reason: str


def position_key(portfolio: str, instrument_id: str) -> str:
    """The key of a position in the state."""
    return f"{portfolio}|{instrument_id}"


def closed_cost_minor(cost_minor: Minor, lots: Lots, closed_lots: Lots) -> Minor:
    """The share of the cost that leaves with `closed_lots`; the rest stays exact because it is found by subtraction."""
    return cost_minor if closed_lots == abs(lots) else cost_minor * closed_lots // abs(lots)
