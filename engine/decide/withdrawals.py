"""Working entries withdrawn: what every halt, brake and end has in common."""

from engine.decide import parents
from engine.orders import Purpose
from engine.service import AlertLevel
from engine.turn import Turn
from engine.units import seconds_to_ns


def withdraw_entries(turn: Turn, portfolio: str, reason: str) -> int:
    """Cancel our working entries of a portfolio (of all where it is empty), those over time too; how many."""
    entries = [order for order in turn.state.orders.values()
               if order.intent.purpose is Purpose.ENTRY and not order.external and portfolio in ("", order.intent.portfolio)]
    ended = parents.withdraw(turn, portfolio, reason)
    for order in entries:
        turn.cancel(order, reason)
    return len(entries) + ended


def withdraw_after_silence(turn: Turn) -> None:
    """Cancel on disconnect: where an account's connection has been gone for too long, its entries must not fill unseen.

    A cancel may get through where the stream does not; what could not be cancelled then is cancelled once the connection is
    back. Stops and targets stay.
    """
    grace_seconds = turn.state.settings.cancel_on_disconnect_seconds
    if not grace_seconds:
        return
    gone = {key: bool(known.down_since_ns) and turn.at_ns - known.down_since_ns >= seconds_to_ns(grace_seconds)
            for key, known in turn.state.accounts.items()}
    for order in list(turn.state.orders.values()):
        account = order.intent.account
        if order.intent.purpose is not Purpose.ENTRY or order.external or account not in gone:
            continue
        if gone[account] or order.intended_at_ns < turn.state.accounts[account].withdraw_before_ns:
            before = len(turn.events)
            turn.cancel(order, f"the connection was gone for {grace_seconds:g} s")
            if len(turn.events) > before:
                turn.alert(AlertLevel.WARN, "silent", order.client_order_id,
                           f"{account} was out of reach for {grace_seconds:g} s: this entry is withdrawn, stops stay")
