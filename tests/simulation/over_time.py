"""Orders over time in the simulation: some are asked for, and none may do more than it was asked, whatever crashes in between."""

from collections import Counter
from decimal import Decimal
from random import Random

from msgspec.structs import replace

from engine.events import OrderFilled, OrderIntended, decode
from engine.inputs import Command, PlaceOrder
from engine.orders import OrderKind, Side
from engine.parent_events import ParentAccepted, ParentSliced
from engine.parents import OverTime, Style
from engine.ports import JournalRow
from engine.units import Nanoseconds


def spread(random: Random, orders: list[PlaceOrder], from_ns: Nanoseconds,
           span_ns: Nanoseconds) -> list[tuple[Nanoseconds, Command]]:
    """The same orders, each to be worked off over time; a sell of what is held leaves it in slices."""
    found: list[tuple[Nanoseconds, Command]] = []
    for order in orders:
        over = OverTime(random.choice((60, 120, 300)), random.choice(tuple(Style)), random.choice((None, None, Decimal(25))))
        want = replace(order, over=over)
        if random.random() < 0.3:
            want = replace(want, side=Side.SELL, quantity=order.quantity or Decimal(1), risk_percent=None, size=None, limit=None,
                           trigger=None, stop=None, target=None, trail=None, kind=OrderKind.MARKET, origin="manual")
        found.append((from_ns + random.randrange(span_ns) + 1, want))
    return found


def overdone(rows: list[JournalRow]) -> list[str]:
    """What an order over time did beyond its terms: more filled than asked, a slice sent twice."""
    asked: dict[str, int] = {}
    parent_of: dict[str, str] = {}
    filled: Counter[str] = Counter()
    slices: Counter[tuple[str, int]] = Counter()
    for row in rows:
        event = decode(row.kind, row.payload)
        match event:
            case ParentAccepted(parent=parent):
                asked[parent.parent_id] = parent.intent.order_lots
            case ParentSliced(parent_id=parent_id, place=place):
                slices[parent_id, place] += 1
            case OrderIntended(intent=intent) if intent.slice_of:
                parent_of[intent.client_order_id] = intent.slice_of
            case OrderFilled(fill=fill) if fill.client_order_id in parent_of:
                filled[parent_of[fill.client_order_id]] += fill.last_lots
    return [*(f"{key} filled {lots} lots of {asked[key]}" for key, lots in filled.items() if lots > asked[key]),
            *(f"slice {place} of {key} came {count} times" for (key, place), count in slices.items() if count > 1)]
