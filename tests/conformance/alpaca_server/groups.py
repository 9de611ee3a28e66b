"""Brackets, OTO and OCO at the local Alpaca, as its documentation has them: held legs, which wake when the entry has filled to
the last share; one client order id for all; the end of one is the end of the others; a limit in parts shrinks the stop."""

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from tests.conformance.alpaca_server.words import SPACE, Answer, error

ENDED = ("filled", "canceled", "expired", "rejected", "replaced")
LIMIT, STOP = "limit", "stop"


def class_problem(body: dict[str, Any], asset_class: str) -> Answer | None:
    """What the venue has against a request with an order class."""
    kind = body["order_class"]
    exits = [name for name in ("take_profit", "stop_loss") if body.get(name)]
    wanted = {"bracket": (2,), "oco": (2,), "oto": (1,)}.get(kind)
    if wanted is None:
        return error(422, f"invalid order_class {kind}", 40010001)
    if len(exits) not in wanted:
        return error(422, f"{kind} orders require take_profit.limit_price", 40010001)
    if asset_class != "us_equity" or Decimal(body["qty"]) % 1:
        return error(422, f"{kind} orders are not allowed for this quantity or asset", 42210000)
    if body["time_in_force"] not in ("day", "gtc") or body["type"] not in ("market", LIMIT):
        return error(422, f"{kind} orders must be market or limit, and day or gtc", 42210000)
    if kind == "oco" and (body["type"] != LIMIT or "limit_price" in body):
        return error(422, "oco orders must be limit orders, with their price in take_profit", 42210000)
    return _prices_problem(body)


def _prices_problem(body: dict[str, Any]) -> Answer | None:
    """The target lies beyond the stop, and the stop on the losing side of a limit entry."""
    exit_is_sale = (body["side"] == "sell") == (body["order_class"] == "oco")
    sign = 1 if exit_is_sale else -1
    target, stop = (Decimal(body[name][price]) if body.get(name) else None
                    for name, price in (("take_profit", "limit_price"), ("stop_loss", "stop_price")))
    if target is not None and stop is not None and (target - stop) * sign <= 0:
        return error(422, "take_profit.limit_price must be beyond stop_loss.stop_price", 42210000)
    base = Decimal(body["limit_price"]) if "limit_price" in body else None
    if base is not None and stop is not None and (base - stop) * sign < Decimal("0.01"):
        return error(422, "stop_loss.stop_price must be at least 0.01 from the base price", 42210000)
    return None


def may_meet(standing: dict[str, Any], body: dict[str, Any]) -> bool:
    """The venue's own table of possible wash trades: orders of two sides, unless both have limits that do not cross. Those of a
    class, and those that trail, are left out of it."""
    if standing["symbol"] != body["symbol"] or standing["side"] == body["side"]:
        return False
    if any(order.get("order_class") or order["type"] == "trailing_stop" for order in (standing, body)):
        return False
    if not all(order.get("limit_price") for order in (standing, body)):
        return True
    buy, sell = (standing, body) if body["side"] == "sell" else (body, standing)
    return Decimal(buy["limit_price"]) >= Decimal(sell["limit_price"])


def leg_bodies(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The legs of a request, each as a request of its own under an id that the venue makes up."""
    oco = body["order_class"] == "oco"
    side = body["side"] if oco else {"buy": "sell", "sell": "buy"}[body["side"]]
    for name, kind in (("take_profit", LIMIT), ("stop_loss", STOP)):
        if not body.get(name) or (oco and kind == LIMIT):
            continue
        own_id = str(uuid.uuid5(SPACE, f"leg {kind} of {body['client_order_id']}"))
        prices = dict(body[name])
        yield {"symbol": body["symbol"], "qty": body["qty"], "side": side, "time_in_force": body["time_in_force"],
               "type": "stop_limit" if kind == STOP and "limit_price" in prices else kind, "client_order_id": own_id,
               "order_class": body["order_class"], **prices}


class Group:
    """The orders of one request. `submit` brings one to the market, `end` takes one away, `tell` publishes an event."""

    def __init__(self, lead: dict[str, Any], legs: list[dict[str, Any]], submit: Callable[[dict[str, Any], str], Answer | None],
                 end: Callable[[dict[str, Any]], None], tell: Callable[[str, dict[str, Any]], None]) -> None:
        self.lead, self.legs = lead, legs
        self.awake = lead["order_class"] == "oco"
        self.triggered = False
        self._submit, self._end, self._tell = submit, end, tell
        for leg in legs:
            leg["status"] = "held"
            tell("held", leg)
        if self.awake:
            self._submit(legs[0], lead["client_order_id"])

    @property
    def members(self) -> list[dict[str, Any]]:
        return [self.lead, *self.legs]

    @property
    def exits(self) -> list[dict[str, Any]]:
        return self.members if self.lead["order_class"] == "oco" else self.legs

    def filled(self, order: dict[str, Any]) -> None:
        """One of them filled, in part or in full."""
        if order is self.lead and not self.awake:
            if order["status"] == "filled":
                self._wake()
            return
        self.triggered = self.triggered or order["type"] != LIMIT
        for other in self.exits:
            left = Decimal(self.lead["qty"]) - Decimal(order["filled_qty"])
            if other is order or other["status"] in ENDED or not left:
                continue
            if self.triggered:
                self._end(other)
            else:
                other["qty"] = str(left)

    def _wake(self) -> None:
        """The limit goes to the market; the stop beside it stays held, and works."""
        self.awake = True
        for leg in self.legs:
            if leg["status"] in ENDED:
                continue
            if leg["type"] == LIMIT or len(self.legs) == 1:
                leg["status"] = "new"
                self._tell("new", leg)
            self._submit(leg, self.lead["client_order_id"])

    def ended(self, order: dict[str, Any]) -> None:
        """One of them ended without being filled: so do the others, but for a stop that has begun to fill."""
        if self.triggered:
            return
        for other in self.members:
            if other is not order and other["status"] not in ENDED:
                self._end(other)

    def nested(self) -> dict[str, Any]:
        return {**self.lead, "legs": [dict(leg) for leg in self.legs]}
