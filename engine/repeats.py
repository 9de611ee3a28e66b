"""The repeated-execution throttle of RTS 6, article 15: a strategy that enters the same way again and again is stopped until a
person lets it go on.

The same way is the same instrument on the same side. What counts is an entry that executed, in whole or in part, without a
person having approved it, within `repeat_seconds`, and since the strategy was last let go; an order worked off in slices is one
execution. Exits are never counted nor held back.
"""

from engine.inputs import AutomationLevel
from engine.limits import check
from engine.orders import Order, OrderIntent, Purpose
from engine.service import BrakeLevel, CheckView
from engine.state import PortfolioState, State
from engine.units import Nanoseconds, seconds_to_ns

MANUAL = "manual"
BRAKE = "repeats of "


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
    for order in (*state.orders.values(), *state.closed.values()):
        intent = order.intent
        if intent.portfolio == name and _counts(portfolio, order, since_ns):
            ways = found.setdefault((intent.strategy, intent.instrument_id, intent.side.sign), {})
            ways[intent.slice_of or intent.client_order_id] = None
    return found


def _counts(portfolio: PortfolioState, order: Order, since_ns: Nanoseconds) -> bool:
    if order.external or order.intent.purpose is not Purpose.ENTRY or not order.cum_lots:
        return False
    brake = portfolio.brakes.get(BRAKE + order.intent.strategy)
    released_ns = brake.released_at_ns if brake else 0
    return is_throttled(portfolio, order.intent.strategy) and order.intended_at_ns >= max(since_ns, released_ns)


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
