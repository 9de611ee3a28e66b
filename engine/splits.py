"""Stock splits, told from a venue's report: the lots changed, and no money did.

A venue tells nobody that a share was split; it holds other lots at another average price. Lots that came or went without money
are a split (or a merger of shares), and every level of the position moves with it, away from risk. Whatever costs money is drift.
"""

from fractions import Fraction
from math import ceil, floor

import msgspec

from engine.instruments import AssetClass, Instrument
from engine.positions import ExitPlan, Position
from engine.units import Lots, Ticks

LARGEST_SUM = 201
COST_TOLERANCE = 0.02


def split_ratio(instrument: Instrument, our_lots: Lots, our_value: int, venue_lots: Lots,
                average_ticks: float) -> Fraction | None:
    """New lots for one old lot, the simplest ratio that explains the change (a rest of a lot is paid out); None where it is none.

    `our_value` is our entry in ticks times lots, `average_ticks` the venue's average price now."""
    same_side = our_lots * venue_lots > 0 and our_lots != venue_lots
    if instrument.asset_class is not AssetClass.EQUITY or not same_side or not average_ticks:
        return None
    ours, theirs, value = abs(our_lots), abs(venue_lots), abs(our_value)
    if abs(average_ticks * theirs - value) > COST_TOLERANCE * value + average_ticks:  # the last: a rest that was paid out
        return None
    for total in range(3, LARGEST_SUM + 1):
        for old in range(1, total):
            if ours * (total - old) // old == theirs:
                ratio = Fraction(total - old, old)
                expected = value / ours / float(ratio)
                return ratio if abs(average_ticks - expected) <= COST_TOLERANCE * expected else None
    return None


def after_split(position: Position, lots: Lots, ratio: Fraction) -> Position:
    """The position in its new lots: money and risk stay what they were, prices are divided by the ratio."""
    long = position.lots > 0
    plan = position.plan

    def guard(ticks: Ticks) -> Ticks:
        return max(1, ceil(ticks / ratio) if long else floor(ticks / ratio)) if ticks else 0

    def near(ticks: Ticks) -> Ticks:
        return max(1, round(ticks / ratio)) if ticks else 0

    return msgspec.structs.replace(
        position, lots=lots, stop_ticks=guard(position.stop_ticks), best_ticks=near(position.best_ticks), touched_at_ns=0,
        exit_lots=floor(position.exit_lots * ratio), closed_lots=round(position.closed_lots * ratio),
        entered_lots=round(position.entered_lots * ratio), entered_ticks=position.entered_ticks / float(ratio),
        exited_ticks=position.exited_ticks / float(ratio), low_ticks=near(position.low_ticks),
        high_ticks=near(position.high_ticks),
        plan=ExitPlan(guard(plan.stop_ticks), near(plan.target_ticks), max(1, floor(plan.trail_ticks / ratio)) if plan.trail_ticks
                      else 0, plan.trail_bps, near(plan.breakeven_at_ticks), near(plan.breakeven_to_ticks), plan.max_hold_ns))
