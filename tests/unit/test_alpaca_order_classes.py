"""Orders that go out together at Alpaca: what is one request, what it says, and whose leg is whose."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.alpaca.order_classes import Families, class_request, lead_of, leg_in, together
from brokers.alpaca.wire import WireOrder
from engine.inputs import Refused
from engine.orders import OrderIntent, OrderKind, Purpose, Side, TimeInForce
from tests.conformance.desk import bracket, intent
from tests.unit.test_alpaca_ordering import COIN, FRACTION, SHARE

GTC = {"time_in_force": "gtc"}


def pair(**more: Any) -> list[OrderIntent]:
    """A target and its stop, as the engine makes them."""
    common = {"oco_group": "p", "reduce_only": True, **more}
    return [intent("p", Side.SELL, kind=OrderKind.LIMIT, limit_ticks=12_000, purpose=Purpose.TARGET, **common),
            intent("p-s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500, purpose=Purpose.STOP, **common)]


def changed(orders: list[OrderIntent], place: int, **fields: Any) -> list[OrderIntent]:
    return [msgspec.structs.replace(order, **fields) if at == place else order for at, order in enumerate(orders)]


def wire(order_id: str, client_order_id: str, kind: str, **more: Any) -> WireOrder:
    given = {"status": "new", "qty": Decimal(10), "order_class": "bracket", **more}
    return WireOrder(id=order_id, client_order_id=client_order_id, symbol="AAPL", side="sell", type=kind, **given)


def family(**stop: Any) -> WireOrder:
    legs = [wire("T", "x1", "limit"), wire("S", "x2", "stop", **stop)]
    return wire("E", "e", "market", legs=legs, status="filled")


def test_a_bracket_is_one_request() -> None:
    assert class_request(bracket(kind=OrderKind.LIMIT, limit_ticks=10_000), SHARE) == {
        "symbol": "AAPL", "qty": "10", "side": "buy", "type": "limit", "limit_price": "100", "client_order_id": "e", **GTC,
        "stop_loss": {"stop_price": "90"}, "take_profit": {"limit_price": "110"}, "order_class": "bracket"}


def test_a_stop_alone_makes_it_an_oto() -> None:
    body = class_request(bracket()[:2], SHARE)
    assert isinstance(body, dict)
    assert (body["order_class"], body["stop_loss"], body.get("take_profit")) == ("oto", {"stop_price": "90"}, None)


def test_a_target_and_a_stop_are_an_oco_whose_limit_is_told_once() -> None:
    assert class_request(pair(), SHARE) == {
        "symbol": "AAPL", "qty": "10", "side": "sell", "type": "limit", "client_order_id": "p", **GTC, "order_class": "oco",
        "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "95"}}


def test_a_stop_limit_keeps_its_limit() -> None:
    body = class_request(changed(pair(), 1, kind=OrderKind.STOP_LIMIT, limit_ticks=9_400), SHARE)
    assert isinstance(body, dict)
    assert body["stop_loss"] == {"stop_price": "95", "limit_price": "94"}


@pytest.mark.parametrize("orders", [
    changed(bracket(), 0, kind=OrderKind.STOP, trigger_ticks=10_000), changed(bracket(), 0, time_in_force=TimeInForce.IOC),
    changed(bracket(), 1, order_lots=9), changed(bracket(), 2, kind=OrderKind.STOP), bracket()[::2],
    changed(pair(), 0, kind=OrderKind.MARKET), changed(pair(), 1, kind=OrderKind.TRAILING_STOP, trail_ticks=5)])
def test_what_the_venue_would_not_take_is_refused_before_it_is_sent(orders: list[OrderIntent]) -> None:
    answer = class_request(orders, SHARE)
    assert isinstance(answer, Refused)
    assert answer.code == "unsupported"


def test_neither_coins_nor_fractions_go_together() -> None:
    assert isinstance(class_request(bracket(), COIN), Refused)
    assert isinstance(class_request(bracket(order_lots=1_500_000), FRACTION), Refused)


def test_what_belongs_together_goes_together_and_nothing_else() -> None:
    alone = [intent("a"), intent("a-s", Side.SELL), intent("z-t", Side.SELL, oco_group="z")]
    groups = together([*alone, *pair(), *bracket()])
    assert [[each.client_order_id for each in group] for group in groups] == [
        ["a"], ["a-s"], ["z-t"], ["p", "p-s"], ["e", "e-s", "e-t"]]


@pytest.mark.parametrize(("client_order_id", "lead"), [("e-1-7-s", "e-1-7"), ("e-1-7-t", "e-1-7"), ("e-1-7", ""), ("", "")])
def test_a_leg_is_named_after_its_first_order(client_order_id: str, lead: str) -> None:
    assert lead_of(client_order_id) == lead


def test_legs_are_strange_until_they_are_told_with_their_first_order() -> None:
    families, lead = Families(), family()
    assert lead.legs is not None
    assert all(families.is_strange(order) for order in (lead, *lead.legs))
    assert not families.is_strange(wire("P", "plain", "limit", order_class=""))
    families.learn(lead)
    assert not any(families.is_strange(order) for order in (lead, *lead.legs))
    assert [families.ours(order).client_order_id for order in (lead, *lead.legs)] == ["e", "e-t", "e-s"]


def test_it_does_not_matter_whether_a_leg_was_seen_by_itself_before() -> None:
    families, lead = Families(), family()
    assert lead.legs is not None
    families.leave(lead.legs[1])
    families.learn(lead)
    assert families.ours(lead.legs[1]).client_order_id == "e-s"
    families.leave(lead.legs[1])
    assert families.ours(lead.legs[1]).client_order_id == "e-s", "what is known is not forgotten"


@pytest.mark.parametrize(("qty", "filled", "status", "told"), [
    (6, 6, "filled", "canceled"), (10, 10, "filled", "filled"), (6, 2, "partially_filled", "partially_filled")])
def test_a_shrunk_stop_keeps_the_size_it_was_sent_with(qty: int, filled: int, status: str, told: str) -> None:
    families = Families()
    stop = leg_in(family(qty=Decimal(qty), filled_qty=Decimal(filled), status=status), "e-s", families)
    assert stop is not None
    assert (stop.qty, stop.filled_qty, stop.status) == (Decimal(10), Decimal(filled), told)


def test_a_leg_that_was_replaced_by_hand_is_closed_and_its_heir_is_nobodys() -> None:
    families = Families()
    lead = wire("E", "e", "market", legs=[wire("T", "x1", "limit"), wire("S2", "x3", "stop", replaces="S", status="held")])
    stop = leg_in(lead, "e-s", families)
    assert stop is not None
    assert lead.legs is not None
    assert (stop.id, stop.status, stop.client_order_id) == ("S", "replaced", "e-s")
    assert families.ours(lead.legs[1]).client_order_id == "x3"
    assert not families.is_strange(lead.legs[1])


def test_a_leg_that_the_venue_does_not_have_is_not_there() -> None:
    assert leg_in(wire("E", "e", "market", legs=None), "e-s", Families()) is None
