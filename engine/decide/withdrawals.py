"""Working entries withdrawn: what every halt, brake and end has in common."""

from engine.orders import Purpose
from engine.turn import Turn


def withdraw_entries(turn: Turn, portfolio: str, reason: str) -> int:
    """Cancel our working entries of a portfolio (of all where it is empty); how many."""
    entries = [order for order in turn.state.orders.values()
               if order.intent.purpose is Purpose.ENTRY and not order.external and portfolio in ("", order.intent.portfolio)]
    for order in entries:
        turn.cancel(order, reason)
    return len(entries)
