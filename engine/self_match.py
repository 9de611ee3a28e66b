"""Self-match prevention: an order of ours never goes out where it would meet another one of ours.

Orders of one instrument at one venue can meet whichever portfolio they are of. A resting limit order is met by an order of the
other side whose price reaches it; a stop that has not been touched rests where nothing can meet it. An entry that would meet
anything of ours is refused. An exit is never held back: the entries that it would meet are withdrawn at the same moment.
"""

from collections.abc import Iterator

from engine.limits import check
from engine.orders import Order, OrderIntent, OrderKind, Purpose
from engine.service import CheckView
from engine.state import State
from engine.units import Ticks


def met_by(state: State, intent: OrderIntent, reach_ticks: Ticks) -> Iterator[Order]:
    """Our orders that one with this intent would meet, if it executes up to `reach_ticks`."""
    sign = intent.side.sign
    for order in state.orders.values():
        resting = order.intent
        if resting.instrument_id == intent.instrument_id and resting.side is not intent.side \
                and resting.kind is OrderKind.LIMIT and (reach_ticks - resting.limit_ticks) * sign >= 0:
            yield order


def reach_of(intent: OrderIntent, taking: Ticks) -> Ticks:
    """How far into the book an entry may execute; `taking` is where the market could be taken.

    A limit is the furthest, on both sides and also where better prices wait; a stop begins at its trigger or, where the market is
    past it, at the market.
    """
    if intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
        return intent.limit_ticks
    if intent.kind is OrderKind.STOP:
        return max(intent.trigger_ticks, taking) if intent.side.sign > 0 else min(intent.trigger_ticks, taking)
    return taking


def self_match_check(state: State, intent: OrderIntent, taking: Ticks) -> CheckView:
    """Whether an entry would meet an order of ours."""
    met = next(met_by(state, intent, reach_of(intent, taking)), None)
    if met is None:
        return check("self match", True, "none", "none")  # noqa: FBT003
    instrument = state.instruments[intent.instrument_id]
    price = instrument.price(met.intent.limit_ticks)
    return check("self match", False, "none", met.client_order_id,  # noqa: FBT003
                 f"it would meet our own {met.intent.side} at {price} ({met.client_order_id}, {met.intent.portfolio}); "
                 "cancel that order first")


def entries_met_by_exit(state: State, intent: OrderIntent, leaving_ticks: Ticks) -> list[Order]:
    """Our entries that an exit would meet on its arrival: where it takes the market, or rests at its limit."""
    if intent.kind not in (OrderKind.MARKET, OrderKind.LIMIT):
        return []
    reach = intent.limit_ticks if intent.kind is OrderKind.LIMIT else leaving_ticks
    return [order for order in met_by(state, intent, reach)
            if order.intent.purpose is Purpose.ENTRY and not order.external] if reach else []
