"""An order over time as a person sees it: one line among the orders, with how far it is."""

from engine.instruments import Instrument
from engine.orders import OrderStatus
from engine.parents import Parent
from engine.service import OrderView
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds

DONE = "done"


def parent_view(state: State, at_ns: Nanoseconds, parent: Parent) -> OrderView:
    """The parent as a line of the orders; its slices have lines of their own while they work."""
    intent = parent.intent
    instrument = state.instruments[intent.instrument_id]
    done_lots = min(parent.done_lots(state.position(intent.portfolio, intent.instrument_id)), intent.order_lots)
    return OrderView(
        client_order_id=parent.parent_id, venue_order_id="", portfolio=intent.portfolio, symbol=instrument.symbol,
        instrument_id=intent.instrument_id, side=intent.side, purpose=intent.purpose, kind=intent.kind,
        quantity=instrument.quantity(intent.order_lots), filled=instrument.quantity(done_lots),
        limit=instrument.price(intent.limit_ticks) if intent.limit_ticks else None, trigger=None, average=None,
        status=_status(parent, done_lots), working=parent.works, time_in_force=intent.time_in_force,
        placed_at_ns=parent.started_at_ns, age_seconds=(at_ns - parent.started_at_ns) / NS_PER_SECOND,
        reason=_progress(parent, at_ns, instrument), strategy=intent.strategy, external=False, style=parent.style)


def _status(parent: Parent, done_lots: int) -> OrderStatus:
    if parent.works:
        return OrderStatus.PARTIALLY_FILLED if done_lots else OrderStatus.NEW
    if parent.ended_as == DONE:
        return OrderStatus.FILLED
    return OrderStatus.CANCELED


def _progress(parent: Parent, at_ns: Nanoseconds, instrument: Instrument) -> str:
    """Which slice comes when, and what the last one waited for."""
    if not parent.works:
        return parent.ended_as
    count, sent = len(parent.due_ns), parent.next_slice
    if parent.waiting:
        return f"slice {sent} of {count} waits: {parent.waiting}"
    if sent >= count:
        return f"all {count} slices sent, ends in {_seconds(parent.ends_at_ns - at_ns)}"
    planned = parent.due_lots[sent] - (parent.due_lots[sent - 1] if sent else 0)
    return f"slice {sent + 1} of {count}: {instrument.quantity(planned)} in {_seconds(parent.due_ns[sent] - at_ns)}"


def _seconds(ns: Nanoseconds) -> str:
    return f"{max(0, ns) // NS_PER_SECOND} s"


