"""From a rule's want to an order on its way, or to the check that refuses it; plain functions that also compile.

The order of the checks and their arithmetic are those of `engine.want`, `engine.sizing`, `engine.limits` and `engine.risk`; a
size is cut by each limit in turn. Refusals and cuts are counted by their place in `CHECKS`.
"""

from typing import Any, NamedTuple

from engine.backtest.holdings import (
    ASK,
    AT_WORK,
    BID,
    BUCKET_COUNTS,
    BUCKET_HEAT_MINOR,
    BUCKET_NO,
    CASH,
    CLASS_NO,
    COUNT,
    CUTS,
    DAY_EQUITY,
    ENTERABLE,
    ENTERED_MINOR,
    ENTRIES,
    EQUITY,
    HEAT_MINOR,
    HIGH_WATER,
    IN_BUCKET,
    IN_CLASS,
    IN_SECTOR,
    LONG_OVER,
    LOTS,
    MAX_LOTS,
    MAX_TICKS,
    MIN_LOTS,
    MIN_NOTIONAL_MINOR,
    NATIVE,
    REFUSED,
    ROLLED,
    SAME_SIDE_LOTS,
    SECTOR_NO,
    SHORT_OVER,
    SHORTABLE,
    SIZE_DEN,
    SIZE_NUM,
    STOP,
    STRICTEST,
    TAKER_PPM,
    TARGET,
    VALUE_DEN,
    VALUE_NUM,
    WAITING,
    WAITING_HOLD_NS,
    WAITING_LOTS,
    WAITING_STOP,
    WAITING_TARGET,
    WAITING_TRAIL,
    WEEK_EQUITY,
    leaves_whole,
)
from engine.kernel.exits import tighter_stop, trail_level
from engine.kernel.heat import open_risk_minor
from engine.kernel.money import fee_minor, notional_minor, share_of, signed_notional_minor
from engine.kernel.rounding import scaled_down
from engine.kernel.sizing import lots_for_notional, lots_for_risk
from engine.kernel.wants import BY_RISK, LONGEST_HOLD_NS, RuleWant

CHECKS = ("", "reduces", "risk", "size", "brake", "regime", "maximum quantity", "order notional", "risk per order",
          "position share", "buying power", "gross exposure", "net exposure", "sector share", "asset class share",
          "bucket share", "heat", "bucket heat", "daily notional", "strategy capital", "strategy heat", "instrument",
          "trading state", "leaving", "minimum quantity", "price collar", "stop required", "stop side", "target side",
          "self match", "spread", "reward to risk", "day loss", "week loss", "drawdown", "orders a day", "minimum notional",
          "positions", "trail", "price", "max hold")
(PASSED, REDUCES, RISK, SIZE, BRAKE, REGIME, MOST_LOTS, ORDER_NOTIONAL, RISK_PER_ORDER, POSITION_SHARE, BUYING_POWER, GROSS, NET,
 SECTOR, ASSET_CLASS, BUCKET, HEAT, BUCKET_HEAT, DAILY_NOTIONAL, STRATEGY_CAPITAL, STRATEGY_HEAT, INSTRUMENT, TRADING_STATE,
 LEAVES, LEAST_LOTS, COLLAR, STOP_REQUIRED, STOP_SIDE, TARGET_SIDE, SELF_MATCH, SPREAD, REWARD, DAY_LOSS, WEEK_LOSS, DRAWDOWN,
 ORDERS_A_DAY, LEAST_NOTIONAL, POSITIONS, TRAIL_REACH, PRICE, MAX_HOLD) = range(41)
UNBOUNDED = 1 << 62
BPS = 10_000
NS_PER_SECOND = 1_000_000_000


class Limits(NamedTuple):
    """The limits of a portfolio as numbers; 0 is off where the limit can be off. `small_num / small_den` is `small_size`.

    The last three are the strategy's own: its capital as a part of the equity (0: none) or fixed (-1: none), its heat budget.
    """

    order_fraction: float
    order_cap_minor: int
    risk_fraction: float
    position_fraction: float
    leverage: float
    gross_fraction: float
    net_fraction: float
    sector_fraction: float
    class_fraction: float
    bucket_fraction: float
    heat_fraction: float
    bucket_heat_fraction: float
    daily_fraction: float
    orders_per_day: int
    max_positions: int
    collar_bps: int
    max_spread_bps: int
    min_reward: float
    require_stop: int
    day_loss: float
    week_loss: float
    drawdown: float
    losing_streak: int
    cooldown_ns: int
    small_fraction: float
    small_size: float
    small_num: int
    small_den: int
    halt_multiple: float
    capital_fraction: float
    capital_minor: int
    strategy_heat_fraction: float


class Entry(NamedTuple):
    """An entry at the price it is judged by: `price_ticks` where it would be taken, `stop_ticks` what will govern it."""

    sign: int
    price_ticks: int
    stop_ticks: int


def value_minor(w: Any, at: int) -> int:
    """What a holding is worth at the price where it could leave."""
    lots = w[at + LOTS]
    if lots == 0:
        return 0
    return signed_notional_minor(w[at + BID] if lots > 0 else w[at + ASK], lots, w[at + VALUE_NUM], w[at + VALUE_DEN])


def first_stop(sign: int, stop_ticks: int, trail_ticks: int, entry_ticks: int) -> int:
    """The stop that a position entered at that price would start with; 0 where the plan has none."""
    return tighter_stop(sign, stop_ticks, trail_level(sign, entry_ticks, trail_ticks, 0))


def governing_stop(w: Any, at: int, sign: int, stop_ticks: int, trail_ticks: int, entry_ticks: int) -> int:
    """The stop that will govern an entry's lots: a position that has one keeps it when it grows."""
    if w[at + LOTS] * sign > 0 and w[at + STOP] != 0:
        return int(w[at + STOP])
    return first_stop(sign, stop_ticks, trail_ticks, entry_ticks)


# ---- the portfolio before an entry ---------------------------------------------------------------------------------------------


def empty_book(w: Any, limits: Limits) -> float:
    """Begin a book with the cash alone; what the brakes leave of the usual size."""
    for field in range(EQUITY, REFUSED):
        w[field] = 0
    w[EQUITY] = w[CASH]
    return limits.small_size if w[STRICTEST] > 0 else 1.0


def risk_at(w: Any, at: int, signed_lots: int, price_ticks: int, stop_ticks: int, gap_bps: int) -> int:
    """What lots lose from a price down to a stop, the allowance for a gap and the fee of leaving included."""
    return open_risk_minor(signed_lots, price_ticks, stop_ticks, w[at + VALUE_NUM], w[at + VALUE_DEN], gap_bps, w[at + TAKER_PPM])


def add_line(w: Any, own: int, at: int, own_sign: int, gap_bps: int) -> None:
    """Count the holding and the working entry of the row `at`; `own` is the entry's row, `own_sign` its side where it is this
    very instrument, else 0."""
    lots, waiting = w[at + LOTS], w[at + WAITING]
    if lots == 0 and waiting == 0:
        return
    value, working, heat = value_minor(w, at), 0, 0
    if lots != 0:
        heat = risk_at(w, at, lots, w[at + BID] if lots > 0 else w[at + ASK], w[at + STOP], gap_bps)
    if lots * own_sign > 0:
        w[SAME_SIDE_LOTS] += abs(lots)
    if waiting != 0:
        price = w[at + ASK] if waiting > 0 else w[at + BID]
        working = notional_minor(price, w[at + WAITING_LOTS], w[at + VALUE_NUM], w[at + VALUE_DEN])
        stop = governing_stop(w, at, waiting, w[at + WAITING_STOP], w[at + WAITING_TRAIL], price)
        heat += risk_at(w, at, waiting * w[at + WAITING_LOTS], price, stop, gap_bps)
        if waiting == own_sign:
            w[SAME_SIDE_LOTS] += w[at + WAITING_LOTS]
    gross = abs(value) + working
    w[EQUITY] += value
    w[AT_WORK] += gross
    w[LONG_OVER] += value + (working if waiting > 0 else 0)
    w[SHORT_OVER] += (working if waiting < 0 else 0) - value
    w[HEAT_MINOR] += heat
    w[COUNT] += 1
    if w[at + SECTOR_NO] == w[own + SECTOR_NO]:
        w[IN_SECTOR] += gross
    if w[at + CLASS_NO] == w[own + CLASS_NO]:
        w[IN_CLASS] += gross
    if w[at + BUCKET_NO] == w[own + BUCKET_NO]:
        w[IN_BUCKET] += gross
        w[BUCKET_HEAT_MINOR] += heat


# ---- size ----------------------------------------------------------------------------------------------------------------------


def sizing_minor(equity: int, limits: Limits) -> int:
    """What sizes are parts of: the strategy's capital, else the equity."""
    if limits.capital_minor >= 0:
        return max(0, min(equity, limits.capital_minor))
    if limits.capital_fraction > 0.0:
        return max(0, int(equity * limits.capital_fraction))
    return equity


def order_cap_minor(w: Any, limits: Limits, factor: float) -> int:
    """The largest order in money."""
    cap = int(w[EQUITY] * limits.order_fraction)
    if limits.order_cap_minor > 0:
        cap = min(cap, limits.order_cap_minor)
    return max(0, int(cap * factor))


def excess(w: Any, at: int, check: int, limits: Limits, factor: float, entry: Entry, gap_bps: int, lots: int) -> float:
    """By how much that many lots are beyond what a check on size lets pass, in the check's own measure; at most 0 where they
    pass. It grows with the lots, nearly in proportion."""
    if check == RISK_PER_ORDER or check == HEAT or check == BUCKET_HEAT or check == STRATEGY_HEAT:
        risk = risk_at(w, at, entry.sign * lots, entry.price_ticks, entry.stop_ticks, gap_bps)
        return heat_excess(w, check, limits, factor, risk)
    size = lots + w[SAME_SIDE_LOTS] if check == POSITION_SHARE else lots
    more = notional_minor(entry.price_ticks, size, w[at + VALUE_NUM], w[at + VALUE_DEN])
    if check == BUYING_POWER:
        fee = fee_minor(entry.price_ticks, lots, w[at + VALUE_NUM], w[at + VALUE_DEN], w[at + TAKER_PPM])
        return float(more + fee - (int(w[EQUITY] * limits.leverage) - w[AT_WORK]))
    if check == DAILY_NOTIONAL:
        first = w[DAY_EQUITY] if w[ROLLED] != 0 else w[EQUITY]
        return float(w[ENTERED_MINOR] + more - int(max(0, first) * limits.daily_fraction))
    if check == STRATEGY_CAPITAL:
        return float(w[AT_WORK] + more - sizing_minor(w[EQUITY], limits))
    return share_excess(w, check, limits, entry.sign, more)


def heat_excess(w: Any, check: int, limits: Limits, factor: float, risk: int) -> float:
    """The checks on what may be lost."""
    if check == RISK_PER_ORDER:
        return share_of(risk, w[EQUITY]) - limits.risk_fraction * factor
    if check == HEAT:
        return share_of(w[HEAT_MINOR] + risk, w[EQUITY]) - limits.heat_fraction * factor
    if check == STRATEGY_HEAT:
        return share_of(w[HEAT_MINOR] + risk, w[EQUITY]) - limits.strategy_heat_fraction * factor
    return share_of(w[BUCKET_HEAT_MINOR] + risk, w[EQUITY]) - limits.bucket_heat_fraction * factor


def share_excess(w: Any, check: int, limits: Limits, sign: int, more: int) -> float:
    """The checks on what is at work, as shares of equity."""
    total, limit = more, limits.position_fraction
    if check == GROSS:
        total, limit = w[AT_WORK] + more, limits.gross_fraction
    elif check == NET:
        total, limit = max(0, (w[LONG_OVER] if sign > 0 else w[SHORT_OVER]) + more), limits.net_fraction
    elif check == SECTOR:
        total, limit = w[IN_SECTOR] + more, limits.sector_fraction
    elif check == ASSET_CLASS:
        total, limit = w[IN_CLASS] + more, limits.class_fraction
    elif check == BUCKET:
        total, limit = w[IN_BUCKET] + more, limits.bucket_fraction
    return share_of(total, w[EQUITY]) - limit


def is_on(w: Any, at: int, check: int, limits: Limits) -> bool:
    """Whether a check on size is on at all."""
    limit = 1.0
    if check == RISK_PER_ORDER:
        limit = limits.risk_fraction
    elif check == GROSS:
        limit = limits.gross_fraction
    elif check == NET:
        limit = limits.net_fraction
    elif check == SECTOR:
        limit = limits.sector_fraction if w[at + SECTOR_NO] >= 0 else 0.0
    elif check == ASSET_CLASS:
        limit = limits.class_fraction
    elif check == BUCKET:
        limit = limits.bucket_fraction if w[at + BUCKET_COUNTS] != 0 else 0.0
    elif check == BUCKET_HEAT:
        limit = limits.bucket_heat_fraction
    elif check == DAILY_NOTIONAL:
        limit = limits.daily_fraction
    elif check == STRATEGY_CAPITAL:
        limit = 1.0 if limits.capital_minor >= 0 else limits.capital_fraction
    elif check == STRATEGY_HEAT:
        limit = limits.strategy_heat_fraction
    return limit > 0.0


def largest_passing(w: Any, at: int, check: int, limits: Limits, factor: float, entry: Entry, gap_bps: int,
                    most_lots: int) -> int:
    """The most lots up to `most_lots` that pass a check, 0 where none do.

    Looked for around where the excess would be nothing if it grew in proportion, in steps of twice the length, then halved.
    An order's size in money needs no search.
    """
    if check == ORDER_NOTIONAL:
        cap = order_cap_minor(w, limits, factor)
        return lots_for_notional(cap, entry.price_ticks, w[at + VALUE_NUM], w[at + VALUE_DEN], most_lots)
    too_far = excess(w, at, check, limits, factor, entry, gap_bps, most_lots)
    if too_far <= 0.0:
        return most_lots
    within = excess(w, at, check, limits, factor, entry, gap_bps, 0)
    if within > 0.0:
        return 0
    least, most, step = 0, most_lots, 1
    lots = min(most_lots - 1, int(most_lots * (within / (within - too_far))))
    while most - least > 1:
        passes = excess(w, at, check, limits, factor, entry, gap_bps, lots) <= 0.0
        if passes:
            least = lots
        else:
            most = lots
        lots = least + step if passes else most - step
        step *= 2
        if not least < lots < most:
            lots = (least + most) // 2
    return least


def asked_lots(w: Any, at: int, limits: Limits, entry: Entry, want: RuleWant) -> int:
    """What a want asks for before any limit; -1 where its size cannot be told."""
    capital = sizing_minor(w[EQUITY], limits)
    if want.size_kind == BY_RISK:
        if entry.stop_ticks <= 0 or want.size_bps <= 0:
            return -1
        return lots_for_risk(capital, want.size_bps, entry.price_ticks, entry.stop_ticks, w[at + VALUE_NUM], w[at + VALUE_DEN],
                             UNBOUNDED)
    budget = scaled_down(max(0, capital), want.size_bps, BPS)
    return lots_for_notional(budget, entry.price_ticks, w[at + VALUE_NUM], w[at + VALUE_DEN], UNBOUNDED)


def sized(w: Any, at: int, limits: Limits, factor: float, entry: Entry, want: RuleWant, gap_bps: int) -> tuple[int, int]:
    """The lots of a want within every limit: `(lots, refusing check)`; each cut is counted."""
    lots = asked_lots(w, at, limits, entry, want)
    if lots < 1:
        return 0, RISK if lots < 0 else SIZE
    last = SIZE
    for check in range(BRAKE, STRATEGY_HEAT + 1):
        least = lots
        if check == BRAKE:
            if factor < 1.0:
                least = scaled_down(lots, limits.small_num, limits.small_den)
        elif check == REGIME:
            if w[SIZE_NUM] < w[SIZE_DEN]:
                least = scaled_down(lots, w[SIZE_NUM], w[SIZE_DEN])
        elif check == MOST_LOTS:
            least = min(lots, max(0, w[at + MAX_LOTS] - w[SAME_SIDE_LOTS]))
        elif lots > 0 and is_on(w, at, check, limits):
            least = largest_passing(w, at, check, limits, factor, entry, gap_bps, lots)
        if least < lots:
            lots, last = least, check
            w[CUTS + check] += 1
    return (lots, PASSED) if lots > 0 else (0, last)


# ---- checks that do not depend on size -----------------------------------------------------------------------------------------


def refusing_check(w: Any, at: int, limits: Limits, entry: Entry, want: RuleWant, lots: int) -> int:
    """The first check beside those on size that refuses an entry; 0 where none does."""
    failed = level_check(w, at, limits, entry, want, lots)
    if failed == PASSED:
        failed = losing_check(w, limits)
    if failed != PASSED:
        return failed
    if limits.orders_per_day and w[ENTRIES] >= limits.orders_per_day:
        return ORDERS_A_DAY
    if limits.max_positions and w[SAME_SIDE_LOTS] == 0 and w[COUNT] >= limits.max_positions:
        return POSITIONS
    if notional_minor(entry.price_ticks, lots, w[at + VALUE_NUM], w[at + VALUE_DEN]) < w[at + MIN_NOTIONAL_MINOR]:
        return LEAST_NOTIONAL
    return PASSED


def level_check(w: Any, at: int, limits: Limits, entry: Entry, want: RuleWant, lots: int) -> int:
    """The first check of standing, spread and exit levels that fails; 0 where none does."""
    sign, price, bid, ask = want.sign, entry.price_ticks, w[at + BID], w[at + ASK]
    spread_bps = (ask - bid) * BPS / bid
    near = min(bid, price) if sign > 0 else max(ask, price)
    stop = first_stop(sign, want.stop_ticks, want.trail_ticks, price)
    failed = PASSED
    if w[at + ENTERABLE] == 0 or (sign < 0 and w[at + SHORTABLE] == 0):
        failed = INSTRUMENT
    elif w[STRICTEST] >= 2:
        failed = TRADING_STATE
    elif leaves_whole(w, at):
        failed = LEAVES
    elif lots < w[at + MIN_LOTS]:
        failed = LEAST_LOTS
    elif spread_bps > limits.collar_bps:
        failed = COLLAR
    elif limits.require_stop and stop == 0 and entry.stop_ticks == 0:
        failed = STOP_REQUIRED
    elif stop != 0 and (near - stop) * sign <= 0:
        failed = STOP_SIDE
    elif want.target_ticks != 0 and (want.target_ticks - price) * sign <= 0:
        failed = TARGET_SIDE
    elif w[at + LOTS] != 0 and w[at + TARGET] != 0 and (price - w[at + TARGET]) * sign >= 0:
        failed = SELF_MATCH
    elif limits.max_spread_bps and spread_bps > limits.max_spread_bps:
        failed = SPREAD
    elif limits.min_reward > 0.0 and not reward_passes(limits, entry, want):
        failed = REWARD
    return failed


def plan_check(w: Any, at: int, want: RuleWant) -> int:
    """The first part of an exit plan that the instrument cannot express; 0 where it can be meant."""
    if want.trail_ticks > w[at + MAX_TICKS]:
        return TRAIL_REACH
    if want.stop_ticks > w[at + MAX_TICKS] or want.target_ticks > w[at + MAX_TICKS]:
        return PRICE
    return MAX_HOLD if want.max_hold_ns > LONGEST_HOLD_NS else PASSED


def losing_check(w: Any, limits: Limits) -> int:
    """The first loss that has reached its limit at this very moment; 0 where none has, and before the first day began."""
    if w[ROLLED] == 0:
        return PASSED
    if limits.day_loss > 0.0 and loss_share(w[DAY_EQUITY], w[EQUITY]) >= limits.day_loss:
        return DAY_LOSS
    if limits.week_loss > 0.0 and loss_share(w[WEEK_EQUITY], w[EQUITY]) >= limits.week_loss:
        return WEEK_LOSS
    if limits.drawdown > 0.0 and loss_share(w[HIGH_WATER], w[EQUITY]) >= limits.drawdown:
        return DRAWDOWN
    return PASSED


def reward_passes(limits: Limits, entry: Entry, want: RuleWant) -> bool:
    """Whether the way to the target is long enough beside the way to the stop; a trailing stop without a target is open."""
    if want.target_ticks == 0:
        return want.trail_ticks > 0
    if entry.stop_ticks == 0 or entry.price_ticks == entry.stop_ticks:
        return False
    return (want.target_ticks - entry.price_ticks) * entry.sign / abs(entry.price_ticks - entry.stop_ticks) >= limits.min_reward


def loss_share(baseline_minor: int, equity: int) -> float:
    """What was lost since a baseline, as a part of it; a gain is 0."""
    lost = max(0, baseline_minor - equity)
    if baseline_minor > 0:
        return lost / baseline_minor
    return 1.0 if lost > 0 else 0.0


# ---- orders --------------------------------------------------------------------------------------------------------------------


def enter(w: Any, at: int, limits: Limits, factor: float, want: RuleWant, gap_bps: int) -> None:
    """A want to enter becomes an order on its way, or what refused it is counted."""
    price = w[at + ASK] if want.sign > 0 else w[at + BID]
    entry = Entry(want.sign, price, governing_stop(w, at, want.sign, want.stop_ticks, want.trail_ticks, price))
    check, lots = plan_check(w, at, want), 0
    if check == PASSED and w[at + LOTS] * want.sign < 0:
        check = REDUCES
    elif check == PASSED:
        lots, check = sized(w, at, limits, factor, entry, want, gap_bps)
    if check == PASSED:
        check = refusing_check(w, at, limits, entry, want, lots)
    if check != PASSED:
        w[REFUSED + check] += 1
        return
    w[ENTRIES] += 1
    w[ENTERED_MINOR] += notional_minor(price, lots, w[at + VALUE_NUM], w[at + VALUE_DEN])
    w[at + NATIVE] = 1 if want.stop_ticks > 0 and w[at + LOTS] == 0 else 0
    w[at + WAITING], w[at + WAITING_LOTS] = want.sign, lots
    w[at + WAITING_STOP], w[at + WAITING_TARGET], w[at + WAITING_TRAIL] = want.stop_ticks, want.target_ticks, want.trail_ticks
    w[at + WAITING_HOLD_NS] = -(-want.max_hold_ns // NS_PER_SECOND) * NS_PER_SECOND


def leaving_lots(lots: int, size_bps: int) -> int:
    """How many lots a part of a holding is, at least one; 0 stands for all of it."""
    size = abs(lots)
    part = size if size_bps >= BPS else max(1, size * size_bps // BPS)
    return 0 if part >= size else part
