"""An exit that may never have arrived, at a venue that refuses a client order id for ever: sent again under the same id and
with the same content, so that it is there soon and never twice. An entry is not."""

from decimal import Decimal

import pytest

from engine.effects import SubmitOrders
from engine.events import OrderResent
from engine.inputs import (
    CancelAnswered,
    CancelRefused,
    ClosePosition,
    Duplicate,
    Flatten,
    OrderMissing,
    SubmitAnswered,
    Unanswered,
    VenueCapabilities,
)
from engine.orders import OrderStatus, Purpose
from tests.unit.engine_desk import ACCOUNT, PLAIN, Desk, alerts, bought, the_stop

FOR_EVER = VenueCapabilities(stop=True, bracket=False, oco=False, reduce_only=False, idempotent_ids=True)
PAIRS_FOR_EVER = VenueCapabilities(stop=True, bracket=False, oco=True, reduce_only=False, idempotent_ids=True)
LOST = Unanswered("the venue did not answer (ReadTimeout)")


def with_lost_stop(can: VenueCapabilities = FOR_EVER) -> tuple[Desk, str]:
    """Ten lots held; nobody knows whether their stop arrived."""
    desk = Desk(can=can)
    desk.enter(accept=False)
    stop = the_stop(desk)
    desk.take(SubmitAnswered(stop, LOST))
    desk.forget()
    return desk, stop


def leaving() -> tuple[Desk, str]:
    """Ten lots on their way out at market; nobody knows whether that order arrived."""
    desk = Desk(can=FOR_EVER)
    desk.enter()
    assert desk.do(ClosePosition("x", "COIN")).accepted
    desk.confirm_cancels()
    (exit_,) = desk.open(Purpose.EXIT)
    desk.take(SubmitAnswered(exit_.client_order_id, LOST))
    desk.forget()
    return desk, exit_.client_order_id


def test_a_lost_stop_goes_out_once_more_under_its_id_as_soon_as_the_venue_does_not_know_it() -> None:
    desk, stop = with_lost_stop()
    intent = desk.order(stop).intent
    desk.take(OrderMissing(ACCOUNT, stop))
    assert desk.sent == [intent]
    assert desk.of(OrderResent) == [OrderResent(stop)]
    desk.accept(stop)
    assert desk.order(stop).status is OrderStatus.NEW


def test_a_lost_exit_waits_for_no_settle_time() -> None:
    desk, exit_ = leaving()
    desk.take(OrderMissing(ACCOUNT, exit_))
    assert [one.client_order_id for one in desk.sent] == [exit_]


def test_the_venue_had_it_after_all_and_says_so() -> None:
    desk, exit_ = leaving()
    desk.take(OrderMissing(ACCOUNT, exit_))
    desk.take(SubmitAnswered(exit_, Duplicate()))
    desk.take(desk.order_report(desk.order(exit_)))
    desk.fill(exit_, 10)
    assert desk.position is None
    assert len(desk.sent) == 1


def test_a_venue_that_stays_silent_is_not_stormed_and_not_asked_for_ever() -> None:
    desk, stop = with_lost_stop()
    for _ in range(300):
        desk.take(OrderMissing(ACCOUNT, stop))
        if desk.order(stop).closed:
            break
        if desk.sent and desk.order(stop).status is OrderStatus.PENDING_NEW:
            desk.take(SubmitAnswered(stop, LOST))
        desk.later(1)
        desk.quote(10_000)
    again = [one for one in desk.sent if one.client_order_id == stop]
    assert len(again) == 6, "at once, then every five seconds, for half a minute"
    assert desk.order(stop).status is OrderStatus.REJECTED
    assert alerts(desk, "no-trace")


@pytest.mark.parametrize("sold", [10, 4])
def test_what_was_sold_meanwhile_is_never_sold_twice(sold: int) -> None:
    desk, stop = with_lost_stop()
    for _ in range(2):
        desk.reported(positions={"COIN@paper": 10 - sold})
        desk.later(desk.settings.settle_seconds + 1)
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, stop))
    assert stop not in [one.client_order_id for one in desk.sent]


def test_a_pair_goes_out_again_as_the_one_request_that_it_was() -> None:
    desk = Desk(can=PAIRS_FOR_EVER)
    entry = desk.do(bought(target=Decimal(120))).order_ids[0]
    desk.accept(entry)
    desk.fill(entry, 10)
    pair = desk.sent[1:]
    for one in pair:
        desk.take(SubmitAnswered(one.client_order_id, LOST))
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, pair[1].client_order_id))
    assert desk.sent == [], "its target names the request"
    desk.take(OrderMissing(ACCOUNT, pair[0].client_order_id))
    requests = [[each.intent for each in effect.approved] for effect in desk.effects if isinstance(effect, SubmitOrders)]
    assert requests == [pair]


def test_half_of_a_pair_that_left_a_trace_keeps_it_from_going_again() -> None:
    desk = Desk(can=PAIRS_FOR_EVER)
    entry = desk.do(bought(target=Decimal(120))).order_ids[0]
    desk.accept(entry)
    desk.fill(entry, 10)
    target, stop = (one.client_order_id for one in desk.sent[1:])
    desk.take(SubmitAnswered(target, LOST))
    desk.take(SubmitAnswered(stop, LOST))
    desk.accept(stop)
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, target))
    assert desk.sent == []


def test_what_was_to_be_cancelled_does_not_come_back() -> None:
    desk, stop = with_lost_stop()
    assert desk.do(ClosePosition("x", "COIN")).accepted
    (request,) = desk.order(stop).cancel_requests
    desk.take(CancelAnswered(stop, request, CancelRefused("no such order", unknown_order=True)))
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, stop))
    assert desk.sent == [], "it would hold what the exit is to sell"


def test_a_panic_lets_no_stop_come_back_behind_it() -> None:
    desk, stop = with_lost_stop()
    assert desk.do(Flatten("panic")).accepted
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, stop))
    assert desk.sent == []


def test_an_entry_is_not_sent_again() -> None:
    desk = Desk(can=FOR_EVER)
    (entry,) = desk.do(bought()).order_ids
    desk.take(SubmitAnswered(entry, LOST))
    desk.forget()
    desk.take(OrderMissing(ACCOUNT, entry))
    assert desk.sent == []


def test_nor_is_anything_at_a_venue_that_may_take_an_id_twice() -> None:
    desk, stop = with_lost_stop(PLAIN)
    desk.take(OrderMissing(ACCOUNT, stop))
    assert desk.sent == []
