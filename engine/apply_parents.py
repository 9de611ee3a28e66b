"""Events of orders over time folded into the state."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.event_base import Event
from engine.orders import Order
from engine.parent_events import ParentAccepted, ParentEnded, ParentSliced
from engine.parents import Parent
from engine.positions import Position
from engine.units import Lots

KEPT_PARENTS = 100

replace = msgspec.structs.replace
type Parents = dict[str, Parent]
type Fold = Callable[[Parents, Any, int], Parents]


def _accepted(parents: Parents, event: ParentAccepted, _: int) -> Parents:
    ended = [key for key, known in parents.items() if not known.works]
    forgotten = set(ended[:max(0, len(ended) - KEPT_PARENTS)])
    return {**{key: known for key, known in parents.items() if key not in forgotten}, event.parent.parent_id: event.parent}


def _sliced(parents: Parents, event: ParentSliced, _: int) -> Parents:
    return _changed(parents, event.parent_id,
                    lambda known: replace(known, next_slice=event.place + 1, waiting=event.waiting))


def _ended(parents: Parents, event: ParentEnded, at_ns: int) -> Parents:
    return _changed(parents, event.parent_id, lambda known: replace(
        known, ended_as=event.outcome, ended_at_ns=at_ns, filled_lots=event.done_lots or known.filled_lots))


def filled(parents: Parents, order: Order | None, lots: Lots, position: Position | None) -> Parents:
    """A fill of a slice, also one that came after the parent had ended, and the position after it."""
    if order is None or not order.intent.slice_of:
        return parents
    opened_ns = position.opened_at_ns if position else 0
    return _changed(parents, order.intent.slice_of, lambda known: replace(
        known, filled_lots=known.filled_lots + lots, opened_ns=known.opened_ns or opened_ns))


def _changed(parents: Parents, parent_id: str, change: Callable[[Parent], Parent]) -> Parents:
    known = parents.get(parent_id)
    return parents if known is None else {**parents, parent_id: change(known)}


FOLDS: dict[type[Event], Fold] = {
    ParentAccepted: _accepted, ParentSliced: _sliced, ParentEnded: _ended}
