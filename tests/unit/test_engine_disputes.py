"""Disputed orders: what they count for, and how a person settles them."""

import pytest

from engine.effects import AskReport
from engine.events import OrderSettled
from engine.inputs import Accepted, OrderMissing, Refused, SettleOrder, SubmitAnswered, Unanswered
from engine.orders import ClosedAs, OrderStatus, Purpose
from engine.service import StopHome
from engine.valuation import entry_orders
from tests.unit.engine_desk import ACCOUNT, NO_BRACKETS, Desk, bought, fold, home_of, rows_of, the_stop


def disputed(desk: Desk) -> str:
    """An entry of which every query of a settle time found no trace, and which the venue then shows after all."""
    entry = desk.do(bought()).order_ids[0]
    desk.take(SubmitAnswered(entry, Unanswered("timeout")))
    for _ in range(4):
        desk.later(11)
        desk.take(OrderMissing(ACCOUNT, entry))
    desk.take(desk.order_report(desk.order(entry)))
    assert desk.order(entry).status is OrderStatus.DISPUTED
    return entry


@pytest.mark.parametrize(("filled", "status"), [(True, OrderStatus.FILLED), (False, OrderStatus.CANCELED)])
def test_a_person_settles_it_with_a_reason_and_what_is_held_follows_the_venue(filled: bool, status: OrderStatus) -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = disputed(desk)
    assert [order.client_order_id for order in entry_orders(desk.state, "main")] == [entry], "it counts in full"
    desk.forget()
    receipt = desk.do(SettleOrder("s", entry, filled, "the venue's page says so", by="kim"))
    assert receipt.accepted
    assert desk.order(entry).status is status
    assert desk.order(entry).closed_reason == f"settled as {status.value.lower()} by kim: the venue's page says so"
    assert desk.of(OrderSettled) == [OrderSettled(entry, filled, "the venue's page says so", "kim", "s")]
    assert entry_orders(desk.state, "main") == []
    assert desk.position is None
    assert [type(effect) for effect in desk.effects].count(AskReport) == 1
    assert desk.cancels == ([] if filled else [entry]), "what is said to be gone is cancelled all the same"


def test_a_settled_order_survives_a_replay() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.do(SettleOrder("s", disputed(desk), filled=True, reason="seen"))
    assert fold(rows_of(desk)) == desk.state


def test_a_late_fill_of_a_settled_order_is_counted() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = disputed(desk)
    desk.do(SettleOrder("s", entry, filled=False, reason="seen"))
    desk.fill(entry, 10)
    assert desk.held.lots == 10
    assert desk.order(entry).status is OrderStatus.FILLED


def test_the_venues_later_word_outranks_the_persons() -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = disputed(desk)
    desk.do(SettleOrder("s", entry, filled=True, reason="seen"))
    desk.closed(entry, ClosedAs.EXPIRED)
    assert desk.order(entry).status is OrderStatus.EXPIRED


@pytest.mark.parametrize(("reason", "known", "check"), [("seen", False, "order"), (" ", True, "reason")])
def test_only_a_disputed_order_and_only_with_a_reason(reason: str, known: bool, check: str) -> None:
    desk = Desk(can=NO_BRACKETS)
    entry = disputed(desk) if known else desk.enter()
    refusal = desk.do(SettleOrder("s", entry, filled=True, reason=reason)).refusal
    assert refusal is not None and refusal.check == check
    refusal = desk.do(SettleOrder("t", "nobody", filled=True, reason="seen")).refusal
    assert refusal is not None and refusal.value == "unknown"


def test_a_disputed_stop_is_no_protection_and_another_takes_its_place() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    old = the_stop(desk)
    desk.forget()
    desk.take(SubmitAnswered(old, Refused("no such order")))
    assert desk.order(old).status is OrderStatus.DISPUTED
    assert [one.purpose for one in desk.sent] == [Purpose.STOP]
    assert home_of(desk) is StopHome.PENDING
    desk.take(SubmitAnswered(desk.sent[0].client_order_id, Accepted("v-new")))
    assert (home_of(desk), desk.state.homes[desk.held.key].detail) == (StopHome.VENUE, "v-new")
    assert desk.cancels == [old]
