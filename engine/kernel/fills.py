"""What an order would have got: on a quote, and pessimistically inside a bar. Prices of 0 ticks mean "not filled".

`side` is +1 for a buy and -1 for a sell. A buy is measured against the ask, a sell against the bid.
"""

from engine.kernel.rounding import scaled_down, scaled_up

MARKET = 0
LIMIT = 1
STOP = 2
STOP_LIMIT = 3

BPS = 10_000


def fillable_lots(available_lots: int, share_bps: int, lot: int) -> int:
    """The part of what is available that we may assume to get, in whole multiples of `lot`, rounded down."""
    if available_lots <= 0 or share_bps <= 0:
        return 0
    return scaled_down(available_lots, share_bps, BPS) // lot * lot


def triggered(side: int, trigger_ticks: int, price_ticks: int) -> bool:
    """Whether a stop order's trigger is reached: a buy's from below, a sell's from above; equality counts."""
    return price_ticks > 0 and (price_ticks - trigger_ticks) * side >= 0


def fill_on_quote(side: int, kind_code: int, limit_ticks: int, trigger_ticks: int, bid_ticks: int,
                  ask_ticks: int) -> int:
    """The price at which a quote fills the order at once, 0 where it does not: the far side, never better.

    A stop-limit whose trigger an earlier quote reached is asked about as a limit.
    """
    price_ticks = ask_ticks if side > 0 else bid_ticks
    if price_ticks <= 0:
        return 0
    if (kind_code == STOP or kind_code == STOP_LIMIT) and not triggered(side, trigger_ticks, price_ticks):
        return 0
    if (kind_code == LIMIT or kind_code == STOP_LIMIT) and (limit_ticks - price_ticks) * side < 0:
        return 0
    return price_ticks


def limit_in_bar(side: int, limit_ticks: int, open_ticks: int, high_ticks: int, low_ticks: int,
                 touch_fills: bool) -> int:
    """The price a resting limit gets in a bar: the open where that is better, else its limit once traded through.

    The market must trade beyond the limit: others stand before us at the limit itself. `touch_fills` takes that back.
    """
    if (limit_ticks - open_ticks) * side > 0:
        return open_ticks
    reach_ticks = low_ticks if side > 0 else high_ticks
    beyond_ticks = (limit_ticks - reach_ticks) * side
    return limit_ticks if beyond_ticks > 0 or (touch_fills and beyond_ticks == 0) else 0


def stop_limit_in_bar(side: int, limit_ticks: int, trigger_ticks: int, open_ticks: int, high_ticks: int,
                      low_ticks: int, close_ticks: int, touch_fills: bool) -> int:
    """The price a stop-limit gets in a bar: past its trigger at the open it is a limit for the whole bar.

    Triggered inside the bar, nobody knows what came after, save that the close did: it must lie beyond the limit, and
    the price is the worst that limit and bar allow.
    """
    if triggered(side, trigger_ticks, open_ticks):
        return limit_in_bar(side, limit_ticks, open_ticks, high_ticks, low_ticks, touch_fills)
    worst_ticks = high_ticks if side > 0 else low_ticks
    if not triggered(side, trigger_ticks, worst_ticks):
        return 0
    beyond_ticks = (limit_ticks - close_ticks) * side
    if beyond_ticks > 0 or (touch_fills and beyond_ticks == 0):
        return min(limit_ticks, worst_ticks) if side > 0 else max(limit_ticks, worst_ticks)
    return 0


def fill_in_bar(side: int, kind_code: int, limit_ticks: int, trigger_ticks: int, open_ticks: int, high_ticks: int,
                low_ticks: int, close_ticks: int, touch_fills: bool) -> int:
    """The pessimistic price of an order that rests when a bar opens, 0 where the bar does not fill it.

    Market: the open. Limit: its limit, or a better open. Stop: its trigger, or a worse open.
    """
    if kind_code == MARKET:
        return open_ticks
    if kind_code == LIMIT:
        return limit_in_bar(side, limit_ticks, open_ticks, high_ticks, low_ticks, touch_fills)
    if kind_code == STOP_LIMIT:
        return stop_limit_in_bar(side, limit_ticks, trigger_ticks, open_ticks, high_ticks, low_ticks, close_ticks,
                                 touch_fills)
    if triggered(side, trigger_ticks, open_ticks):
        return open_ticks
    return trigger_ticks if triggered(side, trigger_ticks, high_ticks if side > 0 else low_ticks) else 0


def with_slippage(price_ticks: int, side: int, slippage_bps: int) -> int:
    """A price made worse by `slippage_bps`, rounded further away; a sell never below one tick, 0 stays 0."""
    if price_ticks <= 0:
        return 0
    slip_ticks = scaled_up(price_ticks, slippage_bps, BPS)
    return price_ticks + slip_ticks if side > 0 else max(1, price_ticks - slip_ticks)
