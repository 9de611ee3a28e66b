"""Open risk: what the book loses if every current stop fills, in minor units, never below 0, always rounded up.

Risk is measured from the current mark to the stop. `value_num / value_den` is the money of one tick times one lot.
"""

from engine.kernel.rounding import scaled_up

BPS = 10_000
PPM = 1_000_000


def gapped_stop(sign: int, stop_ticks: int, gap_bps: int) -> int:
    """Where a stop fills if the market jumps `gap_bps` past it, rounded to the worse side; never below 0."""
    if gap_bps == 0:
        return stop_ticks
    gap_ticks = scaled_up(stop_ticks, gap_bps, BPS)
    return max(0, stop_ticks - gap_ticks) if sign > 0 else stop_ticks + gap_ticks


def open_risk_minor(lots: int, mark_ticks: int, stop_ticks: int, value_num: int, value_den: int, gap_bps: int,
                    fee_ppm: int) -> int:
    """What `lots` (signed) lose from the mark if their stop fills `gap_bps` past itself, exit fee included.

    Without a stop (0) the whole notional is at risk. Past a stop beyond the mark no price can be lost, only the fee.
    """
    if lots == 0:
        return 0
    sign = 1 if lots > 0 else -1
    size_lots = lots * sign
    if stop_ticks <= 0:
        return scaled_up(mark_ticks * size_lots, value_num, value_den)
    exit_ticks = gapped_stop(sign, stop_ticks, gap_bps)
    loss_minor = scaled_up(max(0, (mark_ticks - exit_ticks) * lots), value_num, value_den)
    fee_minor = scaled_up(scaled_up(exit_ticks * size_lots, value_num, value_den), fee_ppm, PPM)
    return loss_minor + fee_minor


def order_risk_minor(side: int, leaves_lots: int, price_ticks: int, stop_ticks: int, value_num: int, value_den: int,
                     gap_bps: int, fee_ppm: int) -> int:
    """What an entry order's open lots would put at risk once filled at `price_ticks`: what the position would count.

    The same number before and after the fill, so that heat does not jump when an order becomes a position.
    """
    if leaves_lots <= 0:
        return 0
    return open_risk_minor(side * leaves_lots, price_ticks, stop_ticks, value_num, value_den, gap_bps, fee_ppm)


def heat_bps(risk_minor: int, equity_minor: int) -> int:
    """Heat in hundredths of a percent of equity, rounded up; without equity any risk is beyond every limit."""
    if risk_minor <= 0:
        return 0
    if equity_minor <= 0:
        return 1 << 62
    return scaled_up(risk_minor, BPS, equity_minor)
