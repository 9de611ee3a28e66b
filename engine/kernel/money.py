"""Money of ticks and lots in minor units, rounded against us: an asset is worth less, a liability and a cost weigh more.

`value_num / value_den` is the money of one tick times one lot.
"""

import math

from engine.kernel.rounding import scaled_up

PPM = 1_000_000


def signed_notional_minor(ticks: int, signed_lots: int, value_num: int, value_den: int) -> int:
    """What a signed quantity is worth, rounded down."""
    return ticks * signed_lots * value_num // value_den


def notional_minor(ticks: int, lots: int, value_num: int, value_den: int) -> int:
    """The size of a quantity in money, rounded up; `lots` >= 0."""
    return -(-(ticks * lots * value_num) // value_den)


def fee_minor(ticks: int, lots: int, value_num: int, value_den: int, fee_ppm: int) -> int:
    """The fee of one fill, rounded up."""
    return scaled_up(ticks * lots * value_num, fee_ppm, value_den * PPM)


def share_of(part_minor: int, whole_minor: int) -> float:
    """A part of a whole; infinite where there is no whole to speak of."""
    if whole_minor > 0:
        return part_minor / whole_minor
    return math.inf if part_minor > 0 else 0.0
