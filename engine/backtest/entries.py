"""From a rule's want to an order's size, or to the check that refuses it; plain functions that also compile.

The order of the checks and their arithmetic are those of `engine.want`, `engine.sizing`, `engine.limits` and `engine.risk`; a
size is cut by each limit in turn. Refusals and cuts are counted by the names in `CHECKS`.
"""

from typing import Any, NamedTuple

from engine.backtest.holdings import Holding, Terms, Waiting, sign_of
from engine.kernel.exits import tighter_stop, trail_level
from engine.kernel.heat import open_risk_minor, order_risk_minor
from engine.kernel.money import fee_minor, notional_minor, share_of, signed_notional_minor
from engine.kernel.rounding import scaled_down
from engine.kernel.sizing import lots_for_notional, lots_for_risk
from engine.kernel.wants import BY_RISK, RuleWant

CHECKS = ("", "reduces", "risk", "size", "brake", "maximum quantity", "order notional", "risk per order", "position share",
          "buying power", "gross exposure", "net exposure", "sector share", "asset class share", "bucket share", "heat",
          "bucket heat", "daily notional", "instrument", "trading state", "minimum quantity", "price collar", "stop required",
          "stop side", "target side", "spread", "reward to risk", "day loss", "week loss", "drawdown", "orders a day",
          "minimum notional", "positions")
(PASSED, REDUCES, RISK, SIZE, BRAKE, MOST_LOTS, ORDER_NOTIONAL, RISK_PER_ORDER, POSITION_SHARE, BUYING_POWER, GROSS, NET, SECTOR,
 ASSET_CLASS, BUCKET, HEAT, BUCKET_HEAT, DAILY_NOTIONAL, INSTRUMENT, TRADING_STATE, LEAST_LOTS, COLLAR, STOP_REQUIRED, STOP_SIDE,
 TARGET_SIDE, SPREAD, REWARD, DAY_LOSS, WEEK_LOSS, DRAWDOWN, ORDERS_A_DAY, LEAST_NOTIONAL, POSITIONS) = range(33)
FIRST_SIZE_CHECK, LAST_SIZE_CHECK = ORDER_NOTIONAL, DAILY_NOTIONAL
UNBOUNDED = 1 << 62
BPS = 10_000

# what outlives a bar: the day and its baselines, what was entered in it, the brakes' levels, and the strictest of these
(DAY, WEEK, DAY_EQUITY, WEEK_EQUITY, HIGH_WATER, ENTRIES, ENTERED_MINOR, LEVEL_DAY, LEVEL_WEEK, LEVEL_DRAWDOWN, LEVEL_STREAK,
 PAUSED_UNTIL_NS, ROLLED, STRICTEST) = range(14)
LIFE_FIELDS = 14


class Limits(NamedTuple):
    """The limits of a portfolio as numbers; 0 is off where the limit can be off. `small_num / small_den` is `small_size`."""

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


class Book(NamedTuple):
    """The portfolio before an entry, as the checks on size see it. `count` is how many instruments are held or wanted."""

    equity: int
    gross: int
    net: int
    sector: int
    asset_class: int
    bucket: int
    heat: int
    bucket_heat: int
    same_side_lots: int
    count: int
    day_equity: int
    day_notional: int
    size_factor: float


class Entry(NamedTuple):
    """An entry at the price it is judged by: `price_ticks` where it would be taken, `stop_ticks` what will govern it."""

    sign: int
    price_ticks: int
    stop_ticks: int


def value_minor(terms: Terms, held: Holding, bid: int, ask: int) -> int:
    """What a holding is worth at the price where it could leave."""
    if held.lots == 0:
        return 0
    return signed_notional_minor(bid if held.lots > 0 else ask, held.lots, terms.value_num, terms.value_den)


def first_stop(sign: int, stop_ticks: int, trail_ticks: int, entry_ticks: int) -> int:
    """The stop that a position entered at that price would start with; 0 where the plan has none."""
    return tighter_stop(sign, stop_ticks, trail_level(sign, entry_ticks, trail_ticks, 0))


def governing_stop(held: Holding, sign: int, stop_ticks: int, trail_ticks: int, entry_ticks: int) -> int:
    """The stop that will govern an entry's lots: a position that has one keeps it when it grows."""
    if held.lots * sign > 0 and held.stop_ticks != 0:
        return held.stop_ticks
    return first_stop(sign, stop_ticks, trail_ticks, entry_ticks)


def with_line(book: Book, mine: Terms, terms: Terms, held: Holding, want: Waiting, bid: int, ask: int, own_sign: int,
              gap_bps: int) -> Book:
    """The book with one more instrument's holding and working entry; `own_sign` is the entry's side where it is the entry's
    own instrument, else 0."""
    if held.lots == 0 and want.sign == 0:
        return book
    value = value_minor(terms, held, bid, ask)
    heat = 0
    if held.lots != 0:
        heat = open_risk_minor(held.lots, bid if held.lots > 0 else ask, held.stop_ticks, terms.value_num, terms.value_den,
                               gap_bps, terms.taker_ppm)
    working = 0
    same_side = 0
    if held.lots * own_sign > 0:
        same_side = abs(held.lots)
    if want.sign != 0:
        price = ask if want.sign > 0 else bid
        working = notional_minor(price, want.lots, terms.value_num, terms.value_den)
        stop = governing_stop(held, want.sign, want.stop_ticks, want.trail_ticks, price)
        heat += order_risk_minor(want.sign, want.lots, price, stop, terms.value_num, terms.value_den, gap_bps, terms.taker_ppm)
        if want.sign == own_sign:
            same_side += want.lots
    gross = abs(value) + working
    in_bucket = terms.bucket == mine.bucket
    return Book(book.equity + value, book.gross + gross, book.net + value + want.sign * working,
                book.sector + (gross if terms.sector == mine.sector else 0),
                book.asset_class + (gross if terms.asset_class == mine.asset_class else 0),
                book.bucket + (gross if in_bucket else 0), book.heat + heat, book.bucket_heat + (heat if in_bucket else 0),
                book.same_side_lots + same_side, book.count + 1, book.day_equity, book.day_notional, book.size_factor)


def order_cap_minor(limits: Limits, book: Book) -> int:
    """The largest order in money."""
    cap = int(book.equity * limits.order_fraction)
    if limits.order_cap_minor > 0:
        cap = min(cap, limits.order_cap_minor)
    return max(0, int(cap * book.size_factor))


def size_passes(check: int, limits: Limits, terms: Terms, book: Book, entry: Entry, gap_bps: int, lots: int) -> bool:
    """Whether one check on size lets that many lots pass; each only gets harder with size."""
    price, num, den = entry.price_ticks, terms.value_num, terms.value_den
    if check == ORDER_NOTIONAL:
        return notional_minor(price, lots, num, den) <= order_cap_minor(limits, book)
    if check == POSITION_SHARE:
        return share_of(notional_minor(price, book.same_side_lots + lots, num, den), book.equity) <= limits.position_fraction
    if check == BUYING_POWER:
        needed = notional_minor(price, lots, num, den) + fee_minor(price, lots, num, den, terms.taker_ppm)
        return needed <= int(book.equity * limits.leverage) - book.gross
    if check == GROSS:
        return share_of(book.gross + notional_minor(price, lots, num, den), book.equity) <= limits.gross_fraction
    if check == NET:
        net = abs(book.net + entry.sign * notional_minor(price, lots, num, den))
        return share_of(net, book.equity) <= limits.net_fraction
    if check == SECTOR:
        return share_of(book.sector + notional_minor(price, lots, num, den), book.equity) <= limits.sector_fraction
    if check == ASSET_CLASS:
        return share_of(book.asset_class + notional_minor(price, lots, num, den), book.equity) <= limits.class_fraction
    if check == BUCKET:
        return share_of(book.bucket + notional_minor(price, lots, num, den), book.equity) <= limits.bucket_fraction
    if check == DAILY_NOTIONAL:
        cap = int(max(0, book.day_equity) * limits.daily_fraction)
        return book.day_notional + notional_minor(price, lots, num, den) <= cap
    risk = order_risk_minor(entry.sign, lots, price, entry.stop_ticks, num, den, gap_bps, terms.taker_ppm)
    if check == RISK_PER_ORDER:
        return share_of(risk, book.equity) <= limits.risk_fraction * book.size_factor
    if check == HEAT:
        return share_of(book.heat + risk, book.equity) <= limits.heat_fraction * book.size_factor
    return share_of(book.bucket_heat + risk, book.equity) <= limits.bucket_heat_fraction * book.size_factor


def is_on(check: int, limits: Limits, terms: Terms) -> bool:
    """Whether a check on size is on at all."""
    if check == RISK_PER_ORDER:
        return limits.risk_fraction > 0.0
    if check == GROSS:
        return limits.gross_fraction > 0.0
    if check == NET:
        return limits.net_fraction > 0.0
    if check == SECTOR:
        return limits.sector_fraction > 0.0 and terms.sector >= 0
    if check == ASSET_CLASS:
        return limits.class_fraction > 0.0
    if check == BUCKET:
        return limits.bucket_fraction > 0.0 and terms.bucket_counts != 0
    if check == BUCKET_HEAT:
        return limits.bucket_heat_fraction > 0.0
    if check == DAILY_NOTIONAL:
        return limits.daily_fraction > 0.0
    return True


def largest_passing(check: int, limits: Limits, terms: Terms, book: Book, entry: Entry, gap_bps: int, too_many: int) -> int:
    """The most lots below `too_many` that pass a check, 0 where none do."""
    least, most = 0, too_many
    while most - least > 1:
        middle = (least + most) // 2
        if size_passes(check, limits, terms, book, entry, gap_bps, middle):
            least = middle
        else:
            most = middle
    return least


def asked_lots(limits: Limits, terms: Terms, book: Book, entry: Entry, want: RuleWant) -> int:
    """What a want asks for before any limit; -1 where its size cannot be told."""
    if want.size_kind == BY_RISK:
        if entry.stop_ticks <= 0 or want.size_bps <= 0:
            return -1
        return lots_for_risk(book.equity, want.size_bps, entry.price_ticks, entry.stop_ticks, terms.value_num, terms.value_den,
                             UNBOUNDED)
    budget = scaled_down(max(0, book.equity), want.size_bps, BPS)
    return lots_for_notional(budget, entry.price_ticks, terms.value_num, terms.value_den, UNBOUNDED)


def sized(limits: Limits, terms: Terms, book: Book, entry: Entry, want: RuleWant, gap_bps: int, cuts: Any) -> tuple[int, int]:
    """The lots of a want within every limit: `(lots, refusing check)`; each cut is counted in `cuts`."""
    lots = asked_lots(limits, terms, book, entry, want)
    if lots < 1:
        return 0, RISK if lots < 0 else SIZE
    last = SIZE
    if book.size_factor < 1.0:
        smaller = scaled_down(lots, limits.small_num, limits.small_den)
        if smaller < lots:
            lots, last = smaller, BRAKE
            cuts[BRAKE] += 1
    if lots > terms.max_lots:
        lots, last = terms.max_lots, MOST_LOTS
        cuts[MOST_LOTS] += 1
    for check in range(FIRST_SIZE_CHECK, LAST_SIZE_CHECK + 1):
        if lots > 0 and is_on(check, limits, terms) and not size_passes(check, limits, terms, book, entry, gap_bps, lots):
            lots, last = largest_passing(check, limits, terms, book, entry, gap_bps, lots), check
            cuts[check] += 1
    return (lots, PASSED) if lots > 0 else (0, last)


def refusing_check(limits: Limits, terms: Terms, book: Book, entry: Entry, want: RuleWant, bid: int, ask: int, lots: int,
                   life: Any) -> int:
    """The first check beside those on size that refuses an entry; 0 where none does."""
    sign = want.sign
    if not terms.enterable or (sign < 0 and not terms.shortable):
        return INSTRUMENT
    if life[STRICTEST] >= 2:
        return TRADING_STATE
    if lots < terms.min_lots:
        return LEAST_LOTS
    spread_bps = (ask - bid) * BPS / bid
    if spread_bps > limits.collar_bps:
        return COLLAR
    near = min(bid, entry.price_ticks) if sign > 0 else max(ask, entry.price_ticks)
    stop = first_stop(sign, want.stop_ticks, want.trail_ticks, entry.price_ticks)
    if limits.require_stop and stop == 0 and entry.stop_ticks == 0:
        return STOP_REQUIRED
    if stop != 0 and (near - stop) * sign <= 0:
        return STOP_SIDE
    if want.target_ticks != 0 and (want.target_ticks - entry.price_ticks) * sign <= 0:
        return TARGET_SIDE
    if limits.max_spread_bps and spread_bps > limits.max_spread_bps:
        return SPREAD
    if limits.min_reward > 0.0 and not reward_passes(limits, entry, want):
        return REWARD
    if loss_share(life[DAY_EQUITY], book.equity) >= limits.day_loss > 0.0:
        return DAY_LOSS
    if loss_share(life[WEEK_EQUITY], book.equity) >= limits.week_loss > 0.0:
        return WEEK_LOSS
    if loss_share(life[HIGH_WATER], book.equity) >= limits.drawdown > 0.0:
        return DRAWDOWN
    if limits.orders_per_day and life[ENTRIES] >= limits.orders_per_day:
        return ORDERS_A_DAY
    if limits.max_positions and book.same_side_lots == 0 and book.count >= limits.max_positions:
        return POSITIONS
    if notional_minor(entry.price_ticks, lots, terms.value_num, terms.value_den) < terms.min_notional_minor:
        return LEAST_NOTIONAL
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


def entry_of(limits: Limits, terms: Terms, book: Book, held: Holding, want: RuleWant, bid: int, ask: int, gap_bps: int, life: Any,
             refused: Any, cuts: Any) -> Waiting:
    """A want to enter as an order on its way, or none; what refused it is counted."""
    price = ask if want.sign > 0 else bid
    stop = governing_stop(held, want.sign, want.stop_ticks, want.trail_ticks, price)
    entry = Entry(want.sign, price, stop)
    check = REDUCES if held.lots * want.sign < 0 else PASSED
    lots = 0
    if check == PASSED:
        lots, check = sized(limits, terms, book, entry, want, gap_bps, cuts)
    if check == PASSED:
        check = refusing_check(limits, terms, book, entry, want, bid, ask, lots, life)
    if check != PASSED:
        refused[check] += 1
        return Waiting(0, 0, 0, 0, 0, 0, 0, 0)
    life[ENTRIES] += 1
    life[ENTERED_MINOR] += notional_minor(price, lots, terms.value_num, terms.value_den)
    native = 1 if want.stop_ticks > 0 and held.lots == 0 else 0
    hold_ns = -(-want.max_hold_ns // 1_000_000_000) * 1_000_000_000
    return Waiting(want.sign, lots, want.stop_ticks, want.target_ticks, want.trail_ticks, hold_ns, price, native)


def leaving_lots(held: Holding, want: RuleWant) -> int:
    """How many lots a part of a holding is, at least one; 0 stands for all of it."""
    size = abs(held.lots)
    lots = size if want.size_bps >= BPS else max(1, size * want.size_bps // BPS)
    return 0 if lots >= size else lots


def side_held(held: Holding) -> int:
    """+1 long, -1 short, 0 flat."""
    return 0 if held.lots == 0 else sign_of(held.lots)
