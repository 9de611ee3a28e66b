"""What a backtest's account holds of each instrument, and how fills change it; plain functions that also compile.

All that changes during a pass lies in one flat array of integers, `w`: the account first, then a row for each instrument, then
the logs of fills and of round trips. `at` is where a row begins; the names below are places in either. The arithmetic is that of
`engine.positions`, with the same rounding, so that money is equal to the minor unit. Codes of fills are those of
`engine.kernel.exits`, with `ENTERED` and `RULE_LEFT` beside them.
"""

from typing import Any, NamedTuple

from engine.kernel.exits import better_price, tighter_stop, trail_level
from engine.kernel.money import fee_minor, signed_notional_minor
from engine.kernel.rounding import scaled_down

ENTERED = 0
RULE_LEFT = 4
STAYS = 0

# the account: how many fills and round trips there were (more than have room are counted, not written) and where they are
# written, cash, losing round trips in a row; the day and its baselines, what was entered in it, the brakes and their strictest
(FILLS, FILLS_AT, FILLS_ROOM, TRIPS, TRIPS_AT, TRIPS_ROOM, CASH, STREAK, DAY, WEEK, DAY_EQUITY, WEEK_EQUITY, HIGH_WATER, ENTRIES,
 ENTERED_MINOR, LEVEL_DAY, LEVEL_WEEK, LEVEL_DRAWDOWN, LEVEL_STREAK, PAUSED_UNTIL_NS, ROLLED, STRICTEST) = range(22)
# the portfolio as the checks on an entry's size see it; LONG_OVER is what longs are more than shorts where of the waiting entries
# only longs fill, SHORT_OVER the other way round
(EQUITY, AT_WORK, LONG_OVER, SHORT_OVER, IN_SECTOR, IN_CLASS, IN_BUCKET, HEAT_MINOR, BUCKET_HEAT_MINOR, SAME_SIDE_LOTS,
 COUNT) = range(22, 33)
# counters by check
REFUSED, CUTS = 33, 83
# dividends that are still to come and where they end, four integers each; the fee of shorts, its last day; what both came to
NEXT_ACTION, ACTIONS_END, BORROW_PPM, BORROW_DAY, DIVIDENDS_MINOR, BORROW_MINOR = range(133, 139)
# what part of its usual size an entry has by the regime at each bar: where those of all bars begin (0: it has all of it
# everywhere), that of the entry in question, and the whole that they are parts of
SIZES_AT, SIZE_NUM, SIZE_DEN, HEAD = range(139, 143)
ACTION_FIELDS = 4

# the terms of an instrument: fees in parts per million; ENTERABLE 0 where the portfolio's lists allow no entry; the numbers of
# its groups, -1 for none, BUCKET_COUNTS 1 where the bucket is more than the instrument itself; ALWAYS_OPEN 1 without sessions
(VALUE_NUM, VALUE_DEN, TAKER_PPM, MAKER_PPM, MIN_LOTS, MAX_LOTS, MAX_TICKS, MIN_NOTIONAL_MINOR, SHORTABLE, ENTERABLE, SECTOR_NO,
 CLASS_NO, BUCKET_NO, BUCKET_COUNTS, ALWAYS_OPEN) = range(15)
# a position: signed lots and their entry, its exit plan, what was closed of it, the extremes seen, and why it goes with the
# next quote (LEAVING, 0 where it stays; LEAVING_LOTS 0 for all of it; LEAVING_TICKS the price at which that was decided)
(LOTS, ENTRY_VALUE, COST_MINOR, OPENED_NS, OPENED_PLACE, STOP, BEST, TARGET, TRAIL, HOLD_NS, REALIZED_MINOR, FEES_MINOR,
 CLOSED_LOTS, CLOSED_VALUE, CLOSED_ENTRY_VALUE, RISK_MINOR, LOW, HIGH, LEAVING, LEAVING_LOTS, LEAVING_TICKS) = range(15, 36)
# an entry that waits for the next quote (sign 0: none); NATIVE 1 where its stop and target went with it
WAITING, WAITING_LOTS, WAITING_STOP, WAITING_TARGET, WAITING_TRAIL, WAITING_HOLD_NS, NATIVE = range(36, 43)
# the newest quote or bar as the engine sees it
BID, ASK = 43, 44
ROW = 45

FILL_FIELDS = ("instrument", "at_ns", "sign", "lots", "ticks", "fee_minor", "maker", "code", "place",
               "decided_ticks")
TRIP_FIELDS = ("instrument", "sign", "lots", "opened_ns", "closed_ns", "entry_value", "exit_value", "realized_minor",
               "fees_minor", "risk_minor", "code", "low_ticks", "high_ticks", "opened_place", "closed_place")
FILL_ROW, TRIP_ROW = 10, 15


class Moment(NamedTuple):
    """When and where something happens: a time, the place of the bar, the number of the instrument."""

    at_ns: int
    place: int
    instrument: int


def sign_of(lots: int) -> int:
    return 1 if lots > 0 else -1


def entry_ticks_of(w: Any, at: int) -> int:
    """The average entry, rounded away from risk: a long's up, a short's down; 0 when flat."""
    lots = w[at + LOTS]
    if lots == 0:
        return 0
    return int(-(-w[at + ENTRY_VALUE] // lots)) if lots > 0 else int(w[at + ENTRY_VALUE] // -lots)


def trailed_row(w: Any, at: int, price_ticks: int) -> tuple[int, int]:
    """The stop and the best price once a price was seen."""
    sign = sign_of(w[at + LOTS])
    best = better_price(sign, w[at + BEST], price_ticks)
    return tighter_stop(sign, w[at + STOP], trail_level(sign, best, w[at + TRAIL], 0)), best


def leave_later(w: Any, at: int, code: int, lots: int, decided_ticks: int) -> None:
    """It leaves with the next quote: all of it (0), or `lots`; a whole exit outranks a part."""
    if w[at + LEAVING] == STAYS or (w[at + LEAVING_LOTS] != 0 and lots == 0):
        w[at + LEAVING], w[at + LEAVING_LOTS], w[at + LEAVING_TICKS] = code, lots, decided_ticks


def leaves_whole(w: Any, at: int) -> bool:
    """All of it is on its way out."""
    return bool(w[at + LEAVING] != STAYS and w[at + LEAVING_LOTS] == 0)


def write_fill(w: Any, when: Moment, sign: int, lots: int, ticks: int, fee: int, maker: int, code: int,
               decided_ticks: int) -> None:
    """One fill into the log; `decided_ticks` is the price that it was meant to execute at."""
    number = w[FILLS]
    w[FILLS] = number + 1
    if number < w[FILLS_ROOM]:
        to = w[FILLS_AT] + number * FILL_ROW
        w[to], w[to + 1], w[to + 2], w[to + 3], w[to + 4] = when.instrument, when.at_ns, sign, lots, ticks
        w[to + 5], w[to + 6], w[to + 7], w[to + 8], w[to + 9] = fee, maker, code, when.place, decided_ticks


def write_trip(w: Any, at: int, when: Moment, sign: int, code: int) -> None:
    """One round trip into the log."""
    number = w[TRIPS]
    w[TRIPS] = number + 1
    result = w[at + REALIZED_MINOR] - w[at + FEES_MINOR]
    if result != 0:
        w[STREAK] = w[STREAK] + 1 if result < 0 else 0
    if number < w[TRIPS_ROOM]:
        to = w[TRIPS_AT] + number * TRIP_ROW
        w[to], w[to + 1], w[to + 2], w[to + 3] = when.instrument, sign, w[at + CLOSED_LOTS], w[at + OPENED_NS]
        w[to + 4], w[to + 5], w[to + 6] = when.at_ns, w[at + CLOSED_ENTRY_VALUE], w[at + CLOSED_VALUE]
        w[to + 7], w[to + 8], w[to + 9], w[to + 10] = w[at + REALIZED_MINOR], w[at + FEES_MINOR], w[at + RISK_MINOR], code
        w[to + 11], w[to + 12], w[to + 13], w[to + 14] = w[at + LOW], w[at + HIGH], w[at + OPENED_PLACE], when.place


def risk_of(w: Any, at: int, cost_minor: int, lots: int) -> int:
    """What lots bought for `cost_minor` lose at the stop, fees apart; 0 without a stop."""
    if w[at + STOP] == 0:
        return 0
    return max(0, cost_minor - signed_notional_minor(w[at + STOP], lots, w[at + VALUE_NUM], w[at + VALUE_DEN]))


def entered(w: Any, at: int, ticks: int, when: Moment) -> None:
    """The waiting entry fills: a new position under its plan, or more of one that stays under its own. It was decided at the mark
    that is still known from the last close."""
    size = w[at + WAITING_LOTS]
    lots = w[at + WAITING] * size
    fee = fee_minor(ticks, size, w[at + VALUE_NUM], w[at + VALUE_DEN], w[at + TAKER_PPM])
    paid = -signed_notional_minor(ticks, -lots, w[at + VALUE_NUM], w[at + VALUE_DEN])
    decided = w[at + ASK] if w[at + WAITING] > 0 else w[at + BID]
    write_fill(w, when, w[at + WAITING], size, ticks, fee, 0, ENTERED, decided)
    w[CASH] -= paid + fee
    fresh = w[at + LOTS] == 0
    if fresh:
        for field in range(at + LOTS, at + WAITING):
            w[field] = 0
        w[at + OPENED_NS], w[at + OPENED_PLACE] = when.at_ns, when.place
        w[at + BEST], w[at + LOW], w[at + HIGH] = ticks, ticks, ticks
    w[at + LOTS] += lots
    w[at + ENTRY_VALUE] += size * ticks
    w[at + COST_MINOR] += paid
    w[at + FEES_MINOR] += fee
    if w[at + STOP] != 0:
        w[at + RISK_MINOR] += risk_of(w, at, paid, lots)
    elif fresh or w[at + WAITING_STOP] != 0 or w[at + WAITING_TRAIL] != 0:
        w[at + STOP], w[at + TARGET], w[at + TRAIL] = w[at + WAITING_STOP], w[at + WAITING_TARGET], w[at + WAITING_TRAIL]
        w[at + HOLD_NS] = w[at + WAITING_HOLD_NS]
        w[at + STOP], w[at + BEST] = trailed_row(w, at, ticks)
        w[at + RISK_MINOR] = risk_of(w, at, w[at + COST_MINOR], w[at + LOTS])
    w[at + WAITING] = 0


def left(w: Any, at: int, lots: int, ticks: int, maker: int, code: int, when: Moment, decided_ticks: int) -> None:
    """`lots` of a position leave at a price; a position that is flat has made a round trip."""
    sign, size = sign_of(w[at + LOTS]), abs(w[at + LOTS])
    fee = fee_minor(ticks, lots, w[at + VALUE_NUM], w[at + VALUE_DEN], w[at + MAKER_PPM] if maker else w[at + TAKER_PPM])
    received = signed_notional_minor(ticks, sign * lots, w[at + VALUE_NUM], w[at + VALUE_DEN])
    write_fill(w, when, -sign, lots, ticks, fee, maker, code, decided_ticks)
    w[CASH] += received - fee
    cost, value = w[at + COST_MINOR], w[at + ENTRY_VALUE]
    if lots != size:
        cost, value = scaled_down(cost, lots, size), scaled_down(value, lots, size)
    w[at + LOTS] -= sign * lots
    w[at + ENTRY_VALUE] -= value
    w[at + COST_MINOR] -= cost
    w[at + REALIZED_MINOR] += received - cost
    w[at + FEES_MINOR] += fee
    w[at + CLOSED_LOTS] += lots
    w[at + CLOSED_VALUE] += lots * ticks
    w[at + CLOSED_ENTRY_VALUE] += value
    w[at + LOW], w[at + HIGH] = min(w[at + LOW], ticks), max(w[at + HIGH], ticks)
    w[at + LEAVING], w[at + LEAVING_LOTS] = STAYS, 0
    if w[at + LOTS] == 0:
        write_trip(w, at, when, sign, code)
