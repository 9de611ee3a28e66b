"""The repeated-execution throttle of RTS 6, article 15: a strategy that enters the same way again and again is stopped until a
person lets it go on.

The same way is the same instrument on the same side. What counts is an entry that executed, in whole or in part, without a
person having approved it, within `repeat_seconds`, and since the strategy was last let go; an order worked off in slices is one
execution. Exits are never counted nor held back.

What a venue keeps refusing is throttled as well, whoever asks: after three refusals in a row of one kind in one instrument the
next entry there may try only after a minute, then two, up to an hour.
"""

from itertools import chain

from engine.inputs import AutomationLevel
from engine.limits import check
from engine.orders import Order, OrderIntent, OrderStatus, Purpose
from engine.service import BrakeLevel, CheckView
from engine.state import PortfolioState, State
from engine.units import NS_PER_SECOND, Nanoseconds, seconds_to_ns

MANUAL = "manual"
BRAKE = "repeats of "
SAME_REFUSALS = 3
FIRST_PROBE_SECONDS = 60
LONGEST_PROBE_SECONDS = 3_600


def is_throttled(portfolio: PortfolioState, strategy: str) -> bool:
    """Whether the throttle looks at a strategy at all: a person's own orders and approvals are nobody's repetition."""
    settings = portfolio.settings
    return bool(settings.limits.max_repeated_executions) and strategy not in ("", MANUAL) \
        and settings.automation is AutomationLevel.AUTO_EXECUTE


def repeats(state: State, at_ns: Nanoseconds, name: str) -> dict[tuple[str, str, int], dict[str, None]]:
    """What each strategy of a portfolio has entered each way lately, by strategy, instrument and sign of the side: the ids of the
    orders, or of the orders that they were slices of."""
    portfolio = state.portfolios[name]
    since_ns = at_ns - seconds_to_ns(portfolio.settings.limits.repeat_seconds)
    found: dict[tuple[str, str, int], dict[str, None]] = {}
    for order in chain(state.orders.values(), state.closed.values()):
        if order.intended_at_ns < since_ns:  # asked first: on every beat most orders are older
            continue
        intent = order.intent
        if intent.portfolio == name and _counts(portfolio, order):
            ways = found.setdefault((intent.strategy, intent.instrument_id, intent.side.sign), {})
            ways[intent.slice_of or intent.client_order_id] = None
    return found


def _counts(portfolio: PortfolioState, order: Order) -> bool:
    if order.external or order.intent.purpose is not Purpose.ENTRY or not order.cum_lots:
        return False
    brake = portfolio.brakes.get(BRAKE + order.intent.strategy)
    released_ns = brake.released_at_ns if brake else 0
    return is_throttled(portfolio, order.intent.strategy) and order.intended_at_ns >= released_ns


def is_stopped(portfolio: PortfolioState, strategy: str) -> bool:
    brake = portfolio.brakes.get(BRAKE + strategy)
    return brake is not None and brake.level is BrakeLevel.STOPPED


def repeat_check(state: State, at_ns: Nanoseconds, intent: OrderIntent) -> CheckView | None:
    """Whether a strategy may enter this way once more; None where the throttle does not look at it."""
    portfolio = state.portfolios[intent.portfolio]
    if is_stopped(portfolio, intent.strategy):
        return check("repeated execution", False, "not stopped", "stopped",  # noqa: FBT003
                     f"{intent.strategy} is stopped in {intent.portfolio} "
                     f"({portfolio.brakes[BRAKE + intent.strategy].cause}); resume lets it go on")
    if not is_throttled(portfolio, intent.strategy):
        return None
    most = portfolio.settings.limits.max_repeated_executions
    same = repeats(state, at_ns, intent.portfolio).get((intent.strategy, intent.instrument_id, intent.side.sign), {})
    count = sum(1 for order_id in same if order_id != intent.slice_of)
    return check("repeated execution", count < most, most, count, told(state, intent, count, most))


def told(state: State, intent: OrderIntent, count: int, most: int) -> str:
    """The cause in words."""
    seconds = state.portfolios[intent.portfolio].settings.limits.repeat_seconds
    symbol = state.instruments[intent.instrument_id].symbol
    return (f"{intent.strategy} has executed {intent.side} {symbol} {count} times within {seconds:g} s; "
            f"after {most} times a person must let it go on")


def venue_refusals_check(state: State, at_ns: Nanoseconds, intent: OrderIntent) -> CheckView | None:
    """Whether an entry may try once more where the venue has refused the last ones in its instrument, each for the same reason;
    None where it has not."""
    same = _refused_in_a_row(state, intent)
    if len(same) < SAME_REFUSALS:
        return None
    wait_seconds = min(LONGEST_PROBE_SECONDS, FIRST_PROBE_SECONDS << min(len(same) - SAME_REFUSALS, 10))
    left_seconds = wait_seconds - (at_ns - same[0].closed_at_ns) / NS_PER_SECOND
    symbol = state.instruments[intent.instrument_id].symbol
    return check("venue refusals", left_seconds <= 0, f"{SAME_REFUSALS} in a row", len(same),
                 f"the venue refused the last {len(same)} entries in {symbol} ({same[0].closed_reason}); mend that, the next one "
                 f"may try in {max(0.0, left_seconds):.0f} s")


def _refused_in_a_row(state: State, intent: OrderIntent) -> list[Order]:
    """The newest entries of the account in an instrument, as long as the venue refused them with the words of the newest, but for
    numbers in them."""
    tried = sorted((order for order in chain(state.orders.values(), state.closed.values())
                    if order.intent.instrument_id == intent.instrument_id and order.intent.account == intent.account
                    and order.intent.purpose is Purpose.ENTRY and not order.external),
                   key=lambda order: order.intended_at_ns, reverse=True)
    found: list[Order] = []
    for order in tried:
        if order.status is OrderStatus.DENIED:
            continue
        if order.status is not OrderStatus.REJECTED or (found and _words(order) != _words(found[0])):
            break
        found.append(order)
    return found


def _words(order: Order) -> str:
    return "".join(sign for sign in order.closed_reason if not sign.isdigit())
