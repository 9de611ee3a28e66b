"""What a backtest's account holds of one instrument, and how fills change it; plain functions that also compile.

The arithmetic is that of `engine.positions`: the same rounding, so that money is equal to the minor unit. Codes of fills are
those of `engine.kernel.exits`, with `ENTERED` and `RULE_LEFT` beside them.
"""

from typing import Any, NamedTuple

from engine.kernel.exits import ExitState, trailed
from engine.kernel.money import fee_minor, signed_notional_minor
from engine.kernel.rounding import scaled_down

ENTERED = 0
RULE_LEFT = 4
NEVER_LEAVING = 0

FILLS, TRIPS, EXPOSED, STREAK = 0, 1, 2, 3
TALLIES = 4
FILL_FIELDS = ("instrument", "at_ns", "sign", "lots", "ticks", "fee_minor", "maker", "code", "place")
TRIP_FIELDS = ("instrument", "sign", "lots", "opened_ns", "closed_ns", "entry_value", "exit_value", "realized_minor", "fees_minor",
               "risk_minor", "code", "low_ticks", "high_ticks", "opened_place", "closed_place")


class Terms(NamedTuple):
    """What of an instrument the account needs; `fee_ppm` in parts per million of the notional, `enterable` 0 where the lists of
    the portfolio allow no entry. `sector`, `asset_class` and `bucket` are numbers of groups, -1 for none; `bucket_counts` 1 where the
    bucket is more than the instrument itself."""

    value_num: int
    value_den: int
    taker_ppm: int
    maker_ppm: int
    min_lots: int
    max_lots: int
    max_ticks: int
    min_notional_minor: int
    shortable: int
    enterable: int
    sector: int
    asset_class: int
    bucket: int
    bucket_counts: int
    always_open: int


class Holding(NamedTuple):
    """A position with its exit plan; `lots` is signed and 0 when flat. `leaving` is why all of it (or `leaving_lots` of it) goes
    with the next quote, 0 where it stays. `low_ticks` and `high_ticks` are the extremes seen since entry."""

    lots: int
    entry_value: int
    cost_minor: int
    opened_ns: int
    opened_place: int
    stop_ticks: int
    best_ticks: int
    target_ticks: int
    trail_ticks: int
    max_hold_ns: int
    realized_minor: int
    fees_minor: int
    closed_lots: int
    closed_value: int
    closed_entry_value: int
    risk_minor: int
    low_ticks: int
    high_ticks: int
    leaving: int
    leaving_lots: int


class Waiting(NamedTuple):
    """An entry on its way to the next quote; `sign` 0 is none. `native` where its stop and target went with it."""

    sign: int
    lots: int
    stop_ticks: int
    target_ticks: int
    trail_ticks: int
    max_hold_ns: int
    decision_ticks: int
    native: int


class Log(NamedTuple):
    """Where fills and round trips are written: rows of FILL_FIELDS and TRIP_FIELDS, and how many there are of each. Rows beyond
    the arrays are counted, not written."""

    fills: Any
    trips: Any
    tally: Any


def nothing_held() -> Holding:
    return Holding(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def none_waiting() -> Waiting:
    return Waiting(0, 0, 0, 0, 0, 0, 0, 0)


def sign_of(lots: int) -> int:
    return 1 if lots > 0 else -1


def entry_ticks_of(held: Holding) -> int:
    """The average entry, rounded away from risk: a long's up, a short's down; 0 when flat."""
    if held.lots == 0:
        return 0
    if held.lots > 0:
        return -(-held.entry_value // held.lots)
    return held.entry_value // -held.lots


def exit_state_of(held: Holding) -> ExitState:
    """The position as the exit rules see it."""
    return ExitState(sign_of(held.lots), entry_ticks_of(held), held.opened_ns, held.stop_ticks, held.best_ticks,
                     held.target_ticks, held.trail_ticks, 0, 0, 0, held.max_hold_ns)


def with_stop(held: Holding, stop_ticks: int, best_ticks: int) -> Holding:
    """The stop has followed the price."""
    return Holding(held.lots, held.entry_value, held.cost_minor, held.opened_ns, held.opened_place, stop_ticks, best_ticks,
                   held.target_ticks, held.trail_ticks, held.max_hold_ns, held.realized_minor, held.fees_minor, held.closed_lots,
                   held.closed_value, held.closed_entry_value, held.risk_minor, held.low_ticks, held.high_ticks, held.leaving,
                   held.leaving_lots)


def with_extremes(held: Holding, low_ticks: int, high_ticks: int) -> Holding:
    """One more bar was lived through."""
    return Holding(held.lots, held.entry_value, held.cost_minor, held.opened_ns, held.opened_place, held.stop_ticks,
                   held.best_ticks, held.target_ticks, held.trail_ticks, held.max_hold_ns, held.realized_minor, held.fees_minor,
                   held.closed_lots, held.closed_value, held.closed_entry_value, held.risk_minor,
                   min(held.low_ticks, low_ticks), max(held.high_ticks, high_ticks), held.leaving, held.leaving_lots)


def on_its_way_out(held: Holding, code: int, lots: int) -> Holding:
    """It leaves with the next quote: all of it, or `lots`; a whole exit outranks a part."""
    if held.leaving != NEVER_LEAVING and (held.leaving_lots == 0 or lots != 0):
        return held
    return Holding(held.lots, held.entry_value, held.cost_minor, held.opened_ns, held.opened_place, held.stop_ticks,
                   held.best_ticks, held.target_ticks, held.trail_ticks, held.max_hold_ns, held.realized_minor, held.fees_minor,
                   held.closed_lots, held.closed_value, held.closed_entry_value, held.risk_minor, held.low_ticks, held.high_ticks,
                   code, lots)


def write_fill(log: Log, instrument: int, at_ns: int, sign: int, lots: int, ticks: int, fee: int, maker: int, code: int,
               place: int) -> None:
    """One fill into the log."""
    row = log.tally[FILLS]
    log.tally[FILLS] = row + 1
    if row >= len(log.fills):
        return
    out = log.fills[row]
    out[0], out[1], out[2], out[3], out[4] = instrument, at_ns, sign, lots, ticks
    out[5], out[6], out[7], out[8] = fee, maker, code, place


def write_trip(log: Log, instrument: int, ended: Holding, sign: int, at_ns: int, code: int, place: int) -> None:
    """One round trip into the log."""
    row = log.tally[TRIPS]
    log.tally[TRIPS] = row + 1
    log.tally[EXPOSED] += place - ended.opened_place + 1
    result = ended.realized_minor - ended.fees_minor
    if result != 0:
        log.tally[STREAK] = log.tally[STREAK] + 1 if result < 0 else 0
    if row >= len(log.trips):
        return
    out = log.trips[row]
    out[0], out[1], out[2], out[3], out[4] = instrument, sign, ended.closed_lots, ended.opened_ns, at_ns
    out[5], out[6], out[7], out[8] = ended.closed_entry_value, ended.closed_value, ended.realized_minor, ended.fees_minor
    out[9], out[10], out[11], out[12] = ended.risk_minor, code, ended.low_ticks, ended.high_ticks
    out[13], out[14] = ended.opened_place, place


def risk_of(cost_minor: int, lots: int, stop_ticks: int, terms: Terms) -> int:
    """What lots bought for `cost_minor` lose at the stop, fees apart; 0 without a stop."""
    if stop_ticks == 0:
        return 0
    return max(0, cost_minor - signed_notional_minor(stop_ticks, lots, terms.value_num, terms.value_den))


def entered(terms: Terms, held: Holding, want: Waiting, ticks: int, at_ns: int, place: int, cash: int, instrument: int,
            log: Log) -> tuple[Holding, int]:
    """An entry's fill: a new position under its plan, or more of one that stays under its own: `(holding, cash)`."""
    lots = want.sign * want.lots
    fee = fee_minor(ticks, want.lots, terms.value_num, terms.value_den, terms.taker_ppm)
    received = signed_notional_minor(ticks, -lots, terms.value_num, terms.value_den)
    write_fill(log, instrument, at_ns, want.sign, want.lots, ticks, fee, 0, ENTERED, place)
    cash = cash + received - fee
    if held.lots == 0:
        bare = Holding(lots, want.lots * ticks, -received, at_ns, place, want.stop_ticks, ticks, want.target_ticks,
                       want.trail_ticks, want.max_hold_ns, 0, fee, 0, 0, 0, 0, ticks, ticks, NEVER_LEAVING, 0)
        return planned(terms, bare, ticks), cash
    more = Holding(held.lots + lots, held.entry_value + want.lots * ticks, held.cost_minor - received, held.opened_ns,
                   held.opened_place, held.stop_ticks, held.best_ticks, held.target_ticks, held.trail_ticks, held.max_hold_ns,
                   held.realized_minor, held.fees_minor + fee, held.closed_lots, held.closed_value, held.closed_entry_value,
                   held.risk_minor + risk_of(-received, lots, held.stop_ticks, terms), held.low_ticks, held.high_ticks,
                   held.leaving, held.leaving_lots)
    if held.stop_ticks != 0 or (want.stop_ticks == 0 and want.trail_ticks == 0):
        return more, cash
    bare = Holding(more.lots, more.entry_value, more.cost_minor, more.opened_ns, more.opened_place, want.stop_ticks,
                   more.best_ticks, want.target_ticks, want.trail_ticks, want.max_hold_ns, more.realized_minor, more.fees_minor,
                   more.closed_lots, more.closed_value, more.closed_entry_value, 0, more.low_ticks, more.high_ticks, more.leaving,
                   more.leaving_lots)
    return planned(terms, bare, ticks), cash


def planned(terms: Terms, held: Holding, ticks: int) -> Holding:
    """The position with the stop that its plan asks for at the price of its fill, and 1R for the whole of it."""
    stop_ticks, best_ticks = trailed(exit_state_of(held), ticks)
    risk = risk_of(held.cost_minor, held.lots, stop_ticks, terms)
    return Holding(held.lots, held.entry_value, held.cost_minor, held.opened_ns, held.opened_place, stop_ticks, best_ticks,
                   held.target_ticks, held.trail_ticks, held.max_hold_ns, held.realized_minor, held.fees_minor, held.closed_lots,
                   held.closed_value, held.closed_entry_value, risk, held.low_ticks, held.high_ticks, held.leaving,
                   held.leaving_lots)


def left(terms: Terms, held: Holding, lots: int, ticks: int, maker: int, code: int, at_ns: int, place: int, cash: int,
         instrument: int, log: Log) -> tuple[Holding, int]:
    """`lots` of a position leave at a price: `(holding, cash)`; a position that is flat has made a round trip."""
    sign, size = sign_of(held.lots), abs(held.lots)
    fee = fee_minor(ticks, lots, terms.value_num, terms.value_den, terms.maker_ppm if maker else terms.taker_ppm)
    received = signed_notional_minor(ticks, sign * lots, terms.value_num, terms.value_den)
    write_fill(log, instrument, at_ns, -sign, lots, ticks, fee, maker, code, place)
    cost = held.cost_minor if lots == size else scaled_down(held.cost_minor, lots, size)
    value = held.entry_value if lots == size else scaled_down(held.entry_value, lots, size)
    after = Holding(held.lots - sign * lots, held.entry_value - value, held.cost_minor - cost, held.opened_ns, held.opened_place,
                    held.stop_ticks, held.best_ticks, held.target_ticks, held.trail_ticks, held.max_hold_ns,
                    held.realized_minor + received - cost, held.fees_minor + fee, held.closed_lots + lots,
                    held.closed_value + lots * ticks, held.closed_entry_value + value, held.risk_minor,
                    min(held.low_ticks, ticks), max(held.high_ticks, ticks), NEVER_LEAVING, 0)
    cash = cash + received - fee
    if after.lots == 0:
        write_trip(log, instrument, after, sign, at_ns, code, place)
        return nothing_held(), cash
    return after, cash
