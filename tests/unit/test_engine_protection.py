"""Keeping positions protected: where stops live, how they move, and what happens when one does not stand."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from engine.events import ExitWanted, LevelTouched, StopMoved
from engine.inputs import (
    Bar,
    CancelOrder,
    ClosePosition,
    MarketTrade,
    NotSent,
    SetProtection,
    SubmitAnswered,
    TrailSpec,
    Unanswered,
    VenueCapabilities,
)
from engine.orders import ClosedAs, OrderKind, OrderStatus, Purpose, Side
from engine.service import StopHome
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import (
    COIN_ID,
    NATIVE,
    NO_BRACKETS,
    NO_STOPS,
    PLAIN,
    Desk,
    alerts,
    bought,
    coin,
    home_of,
    stop_ticks,
    the_stop,
)

SECOND = NS_PER_SECOND
KEY = f"main|{COIN_ID}"


# ---- the first stop ---------------------------------------------------------------------------------------------------------


def test_with_native_brackets_stop_and_target_go_out_with_the_entry() -> None:
    desk = Desk(can=NATIVE)
    desk.do(bought(target=Decimal(110)))
    entry, stop, target = desk.sent
    assert [(one.purpose, one.kind, one.order_lots, one.trigger_ticks or one.limit_ticks) for one in (entry, stop, target)] == [
        (Purpose.ENTRY, OrderKind.MARKET, 10, 0), (Purpose.STOP, OrderKind.STOP, 10, 9_500),
        (Purpose.TARGET, OrderKind.LIMIT, 10, 11_000)]
    assert stop.parent_id == target.parent_id == entry.client_order_id
    assert stop.oco_group == target.oco_group != ""
    assert stop.reduce_only and target.reduce_only
    desk.accept()
    desk.forget()
    desk.fill(entry.client_order_id, 10)
    assert desk.sent == [], "what protects is there already"
    assert home_of(desk) is StopHome.VENUE
    assert desk.held.bare_since_ns == 0


def test_without_brackets_stop_and_target_follow_the_fill() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.do(bought(target=Decimal(110)))
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY]
    desk.accept()
    desk.forget()
    desk.fill(desk.open(Purpose.ENTRY)[0].client_order_id, 10)
    assert [(one.purpose, one.order_lots, one.trigger_ticks or one.limit_ticks, one.reduce_only) for one in desk.sent] == [
        (Purpose.STOP, 10, 9_500, True), (Purpose.TARGET, 10, 11_000, True)]
    assert home_of(desk) is StopHome.PENDING
    assert desk.held.bare_since_ns == 0, "meanwhile the engine watches"
    desk.accept()
    assert home_of(desk) is StopHome.VENUE


def test_a_venue_without_oco_gets_the_stop_and_the_engine_watches_the_target() -> None:
    desk = Desk(can=PLAIN)
    desk.enter(target=Decimal(110))
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY, Purpose.STOP]
    desk.quote(11_000)
    assert [event.reason for event in desk.of(ExitWanted)] == ["target reached"]


def test_a_venue_without_stops_leaves_the_stop_to_the_engine() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(target=Decimal(110))
    assert home_of(desk) is StopHome.ENGINE
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY, Purpose.TARGET]
    desk.forget()
    desk.quote(9_501)
    assert desk.sent == []
    desk.quote(9_500)
    assert [(one.purpose, one.kind, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, OrderKind.MARKET, 10)]


@pytest.mark.parametrize(("side", "stop", "hit"), [(Side.BUY, "95", 9_500), (Side.SELL, "105", 10_500)])
def test_the_engine_leaves_by_itself_on_either_side(side: Side, stop: str, hit: int) -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(stop=stop, side=side)
    desk.forget()
    desk.quote(hit)
    assert [(one.side, one.order_lots, one.purpose) for one in desk.sent] == [(side.opposite, 10, Purpose.EXIT)]


def test_a_partial_fill_and_then_more_end_with_one_stop_for_all() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.do(bought())
    desk.accept()
    entry = desk.open(Purpose.ENTRY)[0].client_order_id
    desk.fill(entry, 4)
    desk.accept()
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [4]
    assert home_of(desk) is StopHome.VENUE
    desk.fill(entry, 6)
    assert desk.held.bare_since_ns == 0
    desk.confirm_cancels()
    desk.accept()
    desk.confirm_cancels()
    assert [(order.intent.order_lots, order.status) for order in desk.open(Purpose.STOP)] == [(10, OrderStatus.NEW)]
    assert home_of(desk) is StopHome.VENUE


def test_a_native_child_counts_only_as_far_as_its_entry_filled() -> None:
    desk = Desk(can=NATIVE)
    desk.do(bought())
    desk.accept()
    desk.fill(desk.open(Purpose.ENTRY)[0].client_order_id, 4)
    assert len(desk.open(Purpose.STOP)) == 1
    assert home_of(desk) is StopHome.VENUE


def test_an_entry_that_ends_without_a_fill_takes_its_children_along() -> None:
    desk = Desk(can=NATIVE)
    (entry, *_) = desk.do(bought(target=Decimal(110))).order_ids
    desk.accept()
    desk.closed(entry, ClosedAs.EXPIRED)
    assert sorted(desk.cancels) == [f"{entry}-s", f"{entry}-t"]
    assert alerts(desk, "stop-refused") == []


def test_a_refused_entry_and_its_refused_children_are_one_message() -> None:
    desk = Desk(can=NATIVE)
    for order_id in desk.do(bought(target=Decimal(110))).order_ids:
        desk.refuse(order_id, "no money")
    assert alerts(desk, "entry-refused") == ["the venue refused: no money"]
    assert alerts(desk, "stop-refused") == alerts(desk, "target-refused") == []
    assert desk.state.orders == {}


# ---- a stop that does not stand ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("can", [NATIVE, NO_BRACKETS, PLAIN], ids=["brackets", "children", "plain"])
def test_a_stop_that_vanished_at_the_venue_is_placed_again(can: VenueCapabilities) -> None:
    desk = Desk(can=can)
    desk.enter()
    gone = the_stop(desk)
    desk.forget()
    desk.closed(gone)
    assert [(one.purpose, one.trigger_ticks, one.order_lots) for one in desk.sent] == [(Purpose.STOP, 9_500, 10)]
    assert desk.sent[0].client_order_id != gone
    assert home_of(desk) is StopHome.PENDING
    assert desk.held.bare_since_ns == 0
    desk.accept()
    assert home_of(desk) is StopHome.VENUE


def test_a_refused_stop_is_watched_by_the_engine_and_retried_ever_more_slowly() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(accept=False)
    attempts_at = [desk.at_ns]
    desk.refuse(the_stop(desk), "too many stops")
    assert home_of(desk) is StopHome.ENGINE
    assert desk.held.bare_since_ns == 0
    assert alerts(desk, "stop-refused") == ["the venue refused: too many stops"]
    for _ in range(60):
        desk.quote(10_000)
        desk.beat()
        for stop in desk.open(Purpose.STOP):
            attempts_at.append(desk.at_ns)
            desk.refuse(stop.client_order_id)
    waits = [(later - earlier) // SECOND for earlier, later in pairwise(attempts_at)]
    assert waits == [2, 4, 8, 16], "each wait is twice the one before"
    desk.forget()
    desk.quote(9_500)
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT], "and the engine acts on its own"


@pytest.mark.parametrize("answer", [NotSent("no line"), Unanswered("timeout")])
def test_a_stop_without_an_answer_is_watched_and_looked_up(answer: Any) -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(accept=False)
    stop = the_stop(desk)
    desk.take(SubmitAnswered(stop, answer))
    assert desk.held.bare_since_ns == 0
    assert home_of(desk) is (StopHome.PENDING if isinstance(answer, Unanswered) else StopHome.ENGINE)
    desk.quote(10_000)
    desk.forget()
    desk.quote(9_500)
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT], "what may not stand is no reason to wait"


def test_a_level_that_was_passed_before_the_stop_could_stand_leaves_at_once() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.do(bought())
    desk.accept()
    desk.quote(9_400)
    desk.forget()
    desk.fill(desk.open(Purpose.ENTRY)[0].client_order_id, 10, 9_400)
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, 10)]
    assert [event.reason for event in desk.of(ExitWanted)] == ["the stop's level was already passed"]


def test_the_venue_gets_a_moment_with_its_stop_and_then_the_engine_leaves() -> None:
    desk = Desk(can=NATIVE)
    desk.enter()
    desk.forget()
    desk.quote(9_500)
    assert [type(event) for event in desk.events] == [LevelTouched]
    desk.beat(2.9)
    assert desk.sent == []
    desk.beat(0.1)
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT]
    assert alerts(desk, "venue-silent")


def test_a_touch_that_passed_clears_itself() -> None:
    desk = Desk(can=NATIVE)
    desk.enter()
    desk.quote(9_500)
    desk.quote(9_800)
    desk.forget()
    desk.beat(3)
    assert [event.at_ns for event in desk.of(LevelTouched)] == [0]
    assert desk.held.touched_at_ns == 0
    assert desk.sent == []


def seen_wide(**more: Any) -> Desk:
    """A stop at rest at 95, the last price 99.90, then an empty book: 85 / 115."""
    desk = Desk(**more)
    desk.enter()
    desk.take(MarketTrade(COIN_ID, 9_990, 1, 0, desk.at_ns))
    desk.forget()
    desk.quote(8_500, 11_500)
    return desk


def test_an_empty_book_is_no_reason_to_take_the_venues_stop_away() -> None:
    desk = seen_wide(can=NATIVE)
    desk.beat(3)
    assert (desk.of(LevelTouched), desk.sent, desk.cancels) == ([], [], [])
    desk.take(MarketTrade(COIN_ID, 9_480, 1, 0, desk.at_ns))
    desk.quote(8_500, 11_500)
    desk.beat(3)
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT], "once something was traded there and the stop did nothing"


def test_a_book_that_empties_while_the_venue_has_its_moment_clears_the_touch() -> None:
    desk = Desk(can=NATIVE)
    desk.enter()
    desk.quote(9_500)
    desk.take(MarketTrade(COIN_ID, 9_990, 1, 0, desk.at_ns))
    desk.quote(9_400, 10_400)
    desk.beat(3)
    assert desk.held.touched_at_ns == 0
    assert [one for one in desk.sent if one.purpose is Purpose.EXIT] == []


def test_where_the_engine_alone_watches_the_side_of_the_exit_counts_however_wide() -> None:
    desk = seen_wide(can=NO_STOPS)
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT]


def test_a_stop_that_fills_at_the_venue_ends_position_target_and_watch() -> None:
    desk = Desk(can=NATIVE)
    desk.enter(target=Decimal(110))
    desk.quote(9_500)
    desk.forget()
    desk.fill(the_stop(desk), 10, 9_500)
    assert desk.position is None
    assert desk.cancels == [order.client_order_id for order in desk.open(Purpose.TARGET)]
    assert desk.state.watches == {}
    assert desk.state.homes == {}
    assert desk.state.round_trips[-1].realized_minor == -5_000


# ---- moving the stop --------------------------------------------------------------------------------------------------------


def test_trailing_places_the_new_stop_before_the_old_one_goes() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    old = the_stop(desk)
    desk.forget()
    desk.quote(10_100)
    assert (desk.held.stop_ticks, desk.cancels) == (9_600, [])
    assert [one.trigger_ticks for one in desk.sent] == [9_600]
    assert sorted(stop_ticks(desk)) == [9_500, 9_600]
    desk.accept()
    assert desk.cancels == [old]
    desk.closed(old)
    assert stop_ticks(desk) == [9_600]
    assert home_of(desk) is StopHome.VENUE


def test_what_was_sold_elsewhere_makes_the_stop_smaller_new_first() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(target=Decimal(110))
    old = [order.client_order_id for order in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET))]
    for _ in range(2):
        desk.reported(positions={COIN_ID: 6})
        desk.later(desk.settings.settle_seconds + 1)
    assert [order.intent.order_lots for order in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET))] == [10, 6, 10, 6]
    assert desk.cancels == [], "until the smaller ones stand"
    desk.accept()
    assert desk.cancels == old
    desk.confirm_cancels()
    assert [order.intent.order_lots for order in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET))] == [6, 6]
    desk.forget()
    desk.beat()
    assert (desk.sent, desk.cancels) == ([], [])


def test_a_stop_is_not_made_smaller_than_the_venue_takes_one() -> None:
    """It only reduces, so it guards the rest as well; a smaller one would be refused every minute."""
    desk = Desk(can=NO_BRACKETS, instruments=(coin(min_lots=5),))
    desk.enter()
    desk.forget()
    for _ in range(2):
        desk.reported(positions={COIN_ID: 3})
        desk.later(desk.settings.settle_seconds + 1)
    assert desk.held.lots == 3
    assert (desk.sent, desk.cancels) == ([], [])


def test_a_stop_is_not_made_smaller_while_a_part_is_on_its_way_out() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.do(ClosePosition("half", "COIN", quantity=Decimal(5)))
    part = desk.open(Purpose.EXIT)[0].client_order_id
    desk.accept(part)
    for _ in range(4):
        desk.fill(part, 1)
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [10]
    desk.fill(part, 1)
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [10, 5]


def test_without_reduce_only_the_old_stop_goes_first_while_the_engine_watches() -> None:
    desk = Desk(can=PLAIN)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    old = the_stop(desk)
    desk.forget()
    desk.quote(10_100)
    assert (desk.cancels, desk.sent) == ([old], [])
    assert desk.held.bare_since_ns == 0
    desk.closed(old)
    assert [one.trigger_ticks for one in desk.sent] == [9_600]
    assert desk.held.bare_since_ns == 0
    assert home_of(desk) is StopHome.PENDING
    desk.accept()
    assert home_of(desk) is StopHome.VENUE
    assert desk.held.bare_total_ns == 0


def test_between_two_stops_the_engine_still_acts() -> None:
    desk = Desk(can=PLAIN)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    old = the_stop(desk)
    desk.quote(10_100)
    desk.closed(old)
    desk.forget()
    desk.quote(9_590)
    assert [event.reason for event in desk.of(ExitWanted)] == ["stop hit"]


@pytest.mark.parametrize("can", [NO_BRACKETS, PLAIN], ids=["new first", "cancel first"])
def test_an_old_stop_further_away_is_no_reason_to_wait(can: VenueCapabilities) -> None:
    """The venue gets its moment only for an order that stands at the level; one that trails behind would fill later, or not."""
    desk = Desk(can=can)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    desk.quote(10_100)
    desk.forget()
    desk.quote(9_590)
    assert [event.reason for event in desk.of(ExitWanted)] == ["stop hit"]


def test_a_stop_that_is_being_cancelled_is_no_reason_to_wait() -> None:
    desk = Desk(can=PLAIN)
    desk.enter()
    desk.do(SetProtection("p", "COIN", stop=Decimal(94)))
    assert desk.cancels
    desk.forget()
    desk.quote(9_400)
    assert [event.reason for event in desk.of(ExitWanted)] == ["stop hit"]


def test_a_refused_new_stop_leaves_the_old_one_standing() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    old = the_stop(desk)
    desk.quote(10_100)
    new = next(order.client_order_id for order in desk.open(Purpose.STOP) if order.client_order_id != old)
    desk.forget()
    desk.refuse(new)
    assert desk.cancels == []
    assert the_stop(desk) == old
    assert desk.held.bare_since_ns == 0


def test_a_trail_moves_by_steps_and_never_back() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(10)))
    moved: list[int] = []
    for price in (10_010, 10_049, 10_050, 10_000, 10_060, 10_099, 10_100, 10_040, 10_500):
        desk.forget()
        desk.quote(price)
        moved += [event.stop_ticks for event in desk.of(StopMoved)]
    assert moved == [9_050, 9_100, 9_500], "a step is a twentieth of the trail's distance"


def test_a_bar_moves_the_trail_to_its_best_price_exactly() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(10)))
    opened = desk.at_ns
    desk.later(60)
    desk.take(Bar(COIN_ID, opened, desk.at_ns, 10_000, 10_013, 9_990, 10_000, 1))
    assert desk.held.stop_ticks == 9_013


@pytest.mark.parametrize(("side", "stop", "at", "due"), [(Side.BUY, "95", "103", 10_300), (Side.SELL, "105", "97", 9_700)])
def test_breakeven_puts_the_stop_at_the_entry_once(side: Side, stop: str, at: str, due: int) -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(side=side, stop=stop, breakeven_at=Decimal(at))
    desk.forget()
    desk.quote(due - side.sign)
    assert desk.events == []
    desk.quote(due)
    assert desk.held.stop_ticks == 10_000
    desk.accept()
    desk.confirm_cancels()
    assert stop_ticks(desk) == [10_000]
    desk.forget()
    desk.quote(due + 10 * side.sign)
    assert desk.events == []


@pytest.mark.parametrize("can", [NATIVE, NO_BRACKETS, PLAIN], ids=["brackets", "children", "plain"])
def test_a_new_plan_moves_the_stop_at_the_venue(can: VenueCapabilities) -> None:
    desk = Desk(can=can)
    desk.enter()
    assert desk.do(SetProtection("p", "COIN", stop=Decimal(97))).accepted
    for _ in range(3):
        desk.confirm_cancels()
        desk.accept()
    assert stop_ticks(desk) == [9_700]
    assert home_of(desk) is StopHome.VENUE
    assert desk.held.bare_total_ns == 0


def test_protection_cannot_be_cancelled_away() -> None:
    desk = Desk()
    desk.enter()
    receipt = desk.do(CancelOrder("x", the_stop(desk)))
    assert receipt.refusal is not None
    assert receipt.refusal.check == "protection"
    assert desk.cancels == []
