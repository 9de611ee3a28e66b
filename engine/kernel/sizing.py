"""How many lots: by the risk that a stop leaves, by notional, and the smallest of all caps. Always rounded down.

`value_num / value_den` is the money of one tick times one lot, in minor units.
"""

import math
from collections.abc import Sequence

from engine.kernel.rounding import scaled_down

BPS = 10_000


def lots_for_money(budget_minor: int, ticks: int, value_num: int, value_den: int, cap_lots: int) -> int:
    """The most lots whose worth over `ticks` stays within `budget_minor`, at most `cap_lots`; 0 without a budget."""
    if budget_minor <= 0 or ticks <= 0 or cap_lots <= 0:
        return 0
    per_lot = ticks * value_num
    if budget_minor // per_lot >= -(-cap_lots // value_den):
        return cap_lots  # keeps the exact quotient below within 64 bits
    return min(cap_lots, scaled_down(budget_minor, value_den, per_lot))


def lots_for_risk(equity_minor: int, risk_bps: int, entry_ticks: int, stop_ticks: int, value_num: int,
                  value_den: int, cap_lots: int) -> int:
    """Fixed-fractional size: the lots that lose at most `risk_bps` of equity between entry and stop.

    0 without a stop, or with a stop at the entry: where the risk is not known there is no size for it.
    """
    if equity_minor <= 0 or risk_bps <= 0 or entry_ticks <= 0 or stop_ticks <= 0:
        return 0
    budget_minor = scaled_down(equity_minor, risk_bps, BPS)
    return lots_for_money(budget_minor, abs(entry_ticks - stop_ticks), value_num, value_den, cap_lots)


def lots_for_notional(notional_minor: int, price_ticks: int, value_num: int, value_den: int, cap_lots: int) -> int:
    """The most lots whose notional at `price_ticks` stays within `notional_minor`, at most `cap_lots`."""
    return lots_for_money(notional_minor, price_ticks, value_num, value_den, cap_lots)


def wilson_low(share: float, count: int) -> float:
    """The lower end of Wilson's interval, one standard error wide, of a share seen in `count` trials."""
    if count <= 0:
        return 0.0
    centre = share + 0.5 / count
    spread = math.sqrt(share * (1.0 - share) / count + 0.25 / (count * count))
    return max(0.0, (centre - spread) / (1.0 + 1.0 / count))


def kelly_bps(win_rate: float, payoff: float, count: int, part: float) -> int:
    """What a part of the Kelly fraction risks, in hundredths of a percent of equity, rounded down; 0 without an edge.

    `payoff` is the mean win over the mean loss. The win rate is taken at the lower end of what `count` round trips say of it,
    so that a short record bets less.
    """
    if payoff <= 0.0:
        return 0
    likely = wilson_low(win_rate, count)
    full = likely - (1.0 - likely) / payoff
    return int(full * part * BPS) if full > 0.0 else 0


def smallest_cap(caps_lots: Sequence[int]) -> tuple[int, int]:
    """The smallest of some caps, never below 0, and the place of the first that binds: `(lots, index)`."""
    index = 0
    for place in range(1, len(caps_lots)):
        if caps_lots[place] < caps_lots[index]:
            index = place
    return max(0, caps_lots[index]), index
