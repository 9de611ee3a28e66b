"""Orders that go out together: brackets and OTO (an entry with its exits), OCO (a target and a stop), whole shares only.

What Alpaca documents of its order classes, and what follows here:

- One request has one client order id, that of its first order: the entry, or of an OCO the limit. The others, its legs, get ids
  of the venue's making. Ours of a leg is the first order's with `-s` (the stop) or `-t` (the target), so that each is found by
  asking for the first one with `nested=true`, also after a lost answer and in a new process.
- The exits of a bracket are "held" until the entry has filled to the last share: `children_wait`. They cover nothing before, and
  the engine watches alone. Nothing is sent beside them: it would hold the shares that the waking exits need.
- The venue refuses an order on the other side of an open one that it could meet (a possible wash trade), a plain stop beside a
  working entry always. Orders of a class are exempt. So a position with stop and target can be built in several orders; one
  with a stop alone, as a single exit after the fill, can not, and its stop waits while an entry works: the engine watches.
- The stop beside a working limit is "held" too, in no list of open orders, and works: the venue watches its price. It is looked
  up by its first order. The engine watches as well, and leaves where the venue does not act on a level.
- A limit that fills in part shrinks the stop. Ours keeps its size, and closes as canceled once it has filled what was left.
- Whatever ends one order of a group ends the others: both are cancelled, the stop first; a refused second cancel is asked about.
- Day or gtc, legs as their first order; no extended hours, no fractions, no coins. Sent with entries that are good till
  cancelled; everything else the engine does itself.
- An order that somebody replaces on the venue's own screen comes back under another id: ours is closed, the new one is shown as
  not ours. The target that is left of the pair protects nothing, so it makes room for a new pair at the plan's levels, and what
  hangs on it at the venue goes with it: levels are changed with `protect`, not there.

Not documented is what becomes of the exits of an entry that ends half filled. Nothing is built on it: they count as gone, are
cancelled, and the engine places a pair of its own for what is held.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from brokers.alpaca.ordering import order_request, plain
from brokers.alpaca.wire import WireOrder
from engine.inputs import Refused
from engine.instruments import AssetClass, Instrument
from engine.orders import STOP_SUFFIX, TARGET_SUFFIX, OrderIntent, OrderKind, Purpose, TimeInForce

CLASSES = frozenset({"bracket", "oco", "oto"})
MOST_KNOWN = 20_000


def lead_of(client_order_id: str) -> str:
    """The id of the order that this one goes out with, empty for one that is sent by itself."""
    for suffix in (STOP_SUFFIX, TARGET_SUFFIX):
        if client_order_id.endswith(suffix):
            return client_order_id.removesuffix(suffix)
    return ""


# ---- what we send ----------------------------------------------------------------------------------------------------------


def together(intents: Sequence[OrderIntent]) -> list[list[OrderIntent]]:
    """The orders by request: each with what is named after it and comes along, the first one first."""
    groups = {intent.client_order_id: [intent] for intent in intents}
    for intent in intents:
        lead = groups.get(lead_of(intent.client_order_id))
        tie = intent.parent_id or intent.oco_group
        if lead is not None and tie and tie in (lead[0].client_order_id, lead[0].oco_group):
            lead.append(intent)
            del groups[intent.client_order_id]
    return list(groups.values())


def class_request(group: Sequence[OrderIntent], instrument: Instrument) -> dict[str, object] | Refused:
    """The body of the request for orders that go out together; or why the venue would not take them."""
    lead, *legs = group
    refused = _why_not(lead, legs, instrument)
    if refused:
        return Refused(refused, "unsupported")
    simple = order_request(lead, instrument)
    if isinstance(simple, Refused):
        return simple
    body: dict[str, object] = dict(simple)
    pair = lead.purpose is Purpose.TARGET
    if pair:
        body["take_profit"] = {"limit_price": body.pop("limit_price")}
    for leg in legs:
        if leg.purpose is Purpose.TARGET:
            body["take_profit"] = {"limit_price": plain(instrument.price(leg.limit_ticks))}
        else:
            body["stop_loss"] = _stop_terms(leg, instrument)
    body["order_class"] = "oco" if pair else "bracket" if len(legs) > 1 else "oto"
    return body


def _stop_terms(leg: OrderIntent, instrument: Instrument) -> dict[str, str]:
    limit = {"limit_price": plain(instrument.price(leg.limit_ticks))} if leg.kind is OrderKind.STOP_LIMIT else {}
    return {"stop_price": plain(instrument.price(leg.trigger_ticks)), **limit}


def _why_not(lead: OrderIntent, legs: Sequence[OrderIntent], instrument: Instrument) -> str:
    if instrument.asset_class is AssetClass.CRYPTO or instrument.quantity(lead.order_lots) % 1:
        return "this venue takes brackets and pairs for whole shares alone"
    if lead.kind not in (OrderKind.MARKET, OrderKind.LIMIT) or lead.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        return "this venue takes exits with a market or limit order that is day or gtc alone"
    kinds = sorted((leg.purpose, leg.kind) for leg in legs)
    stop = [(Purpose.STOP, OrderKind.STOP)], [(Purpose.STOP, OrderKind.STOP_LIMIT)]
    allowed = stop if lead.purpose is Purpose.TARGET else (*stop, *([*one, (Purpose.TARGET, OrderKind.LIMIT)] for one in stop))
    if kinds not in allowed or (lead.purpose is Purpose.TARGET and lead.kind is not OrderKind.LIMIT):
        return "this venue takes a stop, or a stop and a target, with an entry, and a stop with a target"
    if any(leg.order_lots != lead.order_lots for leg in legs):
        return "this venue takes orders of one size together"
    return ""


# ---- what the venue says ---------------------------------------------------------------------------------------------------


class Leg(NamedTuple):
    """A leg by our id, and of how many shares it was at first."""

    client_order_id: str
    qty: Decimal | None


class Families:
    """Which of the venue's orders are legs of which of ours, as learnt from answers that nest them."""

    def __init__(self) -> None:
        self._legs: dict[str, Leg | None] = {}

    def learn(self, order: WireOrder) -> None:
        """Note an order that its group was told with, and its legs. A leg that replaces another one is nobody's but the one's
        who asked for it."""
        self._note(order.id, None)
        for leg in order.legs or ():
            name = order.client_order_id + (TARGET_SUFFIX if leg.type == OrderKind.LIMIT.value else STOP_SUFFIX)
            self._note(leg.id, None if leg.replaces else Leg(name, order.qty))

    def leave(self, order: WireOrder) -> None:
        """Nobody's leg, as far as can be found out: it keeps the venue's id."""
        self._note(order.id, None)

    def _note(self, order_id: str, leg: Leg | None) -> None:
        if len(self._legs) >= MOST_KNOWN and order_id not in self._legs:
            del self._legs[next(iter(self._legs))]
        self._legs[order_id] = self._legs.get(order_id) or leg

    def is_strange(self, order: WireOrder) -> bool:
        """It belongs to a group, and it is not known to which, so its id says nothing yet."""
        return (order.order_class or "") in CLASSES and order.id not in self._legs

    def ours(self, order: WireOrder) -> WireOrder:
        """The order under our id and with the size that it was sent with. A leg that its twin has shrunk is full to the venue
        when it has filled the rest; of what we sent, the difference is canceled."""
        leg = self._legs.get(order.id)
        if leg is None:
            return order
        short = order.status == "filled" and (order.filled_qty or Decimal(0)) < (leg.qty or Decimal(0))
        return msgspec.structs.replace(order, client_order_id=leg.client_order_id, qty=leg.qty,
                                       status="canceled" if short else order.status)


def leg_in(lead: WireOrder, client_order_id: str, families: Families) -> WireOrder | None:
    """The leg of that id of ours, as the venue tells it with its first order; None where it does not."""
    families.learn(lead)
    legs = [families.ours(leg) for leg in lead.legs or ()]
    found = next((leg for leg in legs if leg.client_order_id == client_order_id), None)
    if found is not None:
        return found
    wanted_limit = client_order_id.endswith(TARGET_SUFFIX)
    heir = next((leg for leg in legs if leg.replaces and (leg.type == OrderKind.LIMIT.value) is wanted_limit), None)
    if heir is None or heir.replaces is None:
        return None
    return msgspec.structs.replace(heir, id=heir.replaces, client_order_id=client_order_id, qty=lead.qty, filled_qty=None,
                                   filled_avg_price=None, status="replaced")
