"""Events of orders folded into the state: what was asked, what the venue said of it."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine import orders as order_facts
from engine.events import (
    CancelRequested,
    CancelSettled,
    Event,
    ExternalOrderSeen,
    OrderAcked,
    OrderClosed,
    OrderDenied,
    OrderIntended,
    OrderMissed,
    OrderResent,
    OrderSettled,
    OrderUnanswered,
    Recorded,
)
from engine.orders import Order, Purpose
from engine.state import KEPT_CLOSED_ORDERS, Changes, State, newest
from engine.valuation import worst_entry_ticks

replace = msgspec.structs.replace


def _order_intended(state: State, event: OrderIntended, recorded: Recorded) -> Changes:
    order = order_facts.with_sent(Order(intent=event.intent, intended_at_ns=recorded.at_ns), recorded.at_ns)
    changes: Changes = {"orders": {**state.orders, order.client_order_id: order}}
    if event.intent.purpose is Purpose.ENTRY:
        known = state.portfolios[event.intent.portfolio]
        entry = worst_entry_ticks(event.intent, event.intent.decision_ticks)
        notional = state.instruments[event.intent.instrument_id].notional_minor(entry, event.intent.order_lots)
        changes["portfolios"] = {**state.portfolios, event.intent.portfolio: replace(
            known, day_entry_count=known.day_entry_count + 1,
            day_entry_notional_minor=known.day_entry_notional_minor + notional)}
    return changes


def order_changes(state: State, client_order_id: str, change: Callable[[Order], Order]) -> Changes:
    """The order moved between `orders` and `closed` as its facts say; an unknown id changes nothing."""
    order = state.order(client_order_id)
    if order is None:
        return {}
    after = change(order)
    changes: Changes = {}
    if after.closed:
        if client_order_id in state.orders:
            changes["orders"] = {key: kept for key, kept in state.orders.items() if key != client_order_id}
        changes["closed"] = newest({**state.closed, client_order_id: after}, KEPT_CLOSED_ORDERS)
        if client_order_id in state.misses:
            changes["misses"] = {key: count for key, count in state.misses.items() if key != client_order_id}
        return changes
    changes["orders"] = {**state.orders, client_order_id: after}
    if client_order_id in state.closed:
        changes["closed"] = {key: kept for key, kept in state.closed.items() if key != client_order_id}
    return changes


def _order_resent(state: State, event: OrderResent, recorded: Recorded) -> Changes:
    return order_changes(state, event.client_order_id,
                          lambda order: replace(order, sent_at_ns=recorded.at_ns, send_unanswered=False))


def _order_denied(state: State, event: OrderDenied, _: Recorded) -> Changes:
    return order_changes(state, event.client_order_id, lambda order: order_facts.with_denied(order, event.reason))


def _order_unanswered(state: State, event: OrderUnanswered, _: Recorded) -> Changes:
    return order_changes(state, event.client_order_id, order_facts.with_unanswered)


def _order_acked(state: State, event: OrderAcked, _: Recorded) -> Changes:
    changes = order_changes(state, event.client_order_id,
                             lambda order: order_facts.with_ack(order, event.venue_order_id))
    if event.client_order_id in state.misses:
        changes["misses"] = {key: count for key, count in state.misses.items() if key != event.client_order_id}
    return changes


def _cancel_requested(state: State, event: CancelRequested, recorded: Recorded) -> Changes:
    return order_changes(state, event.client_order_id, lambda order: order_facts.with_cancel_request(
        order, event.request_id, recorded.at_ns))


def _cancel_settled(state: State, event: CancelSettled, _: Recorded) -> Changes:
    return order_changes(state, event.client_order_id,
                          lambda order: order_facts.with_cancel_answer(order, event.request_id))


def _order_closed(state: State, event: OrderClosed, recorded: Recorded) -> Changes:
    return order_changes(state, event.client_order_id, lambda order: order_facts.with_closed(
        order, event.closed_as, event.reason, recorded.at_ns))


def _order_settled(state: State, event: OrderSettled, recorded: Recorded) -> Changes:
    reason = f"settled as {'filled' if event.filled else 'canceled'} by {event.by}: {event.reason}"
    return order_changes(state, event.client_order_id, lambda order: order_facts.with_settled(
        order, filled=event.filled, reason=reason, at_ns=recorded.at_ns))


def _order_missed(state: State, event: OrderMissed, _: Recorded) -> Changes:
    return {"misses": {**state.misses, event.client_order_id: state.misses.get(event.client_order_id, 0) + 1}}


def _external_order_seen(state: State, event: ExternalOrderSeen, recorded: Recorded) -> Changes:
    order = Order(intent=event.intent, intended_at_ns=recorded.at_ns, sent_at_ns=recorded.at_ns, acked=True,
                  venue_order_id=event.venue_order_id, external=True)
    return {"orders": {**state.orders, order.client_order_id: order}}


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    OrderIntended: _order_intended, OrderResent: _order_resent, OrderDenied: _order_denied, OrderUnanswered: _order_unanswered,
    OrderAcked: _order_acked, OrderSettled: _order_settled, CancelRequested: _cancel_requested, CancelSettled: _cancel_settled,
    OrderClosed: _order_closed, OrderMissed: _order_missed, ExternalOrderSeen: _external_order_seen,
}
