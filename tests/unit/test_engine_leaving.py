"""Leaving positions, surprises on the way, and the ledger of where every stop lives."""

from decimal import Decimal

import pytest

from engine.events import ExitRetried, ExitWanted, ProtectionChanged
from engine.inputs import (
    CancelAnswered,
    CancelRefused,
    ClosePosition,
    ConnectionChanged,
    SetProtection,
    SetTradingState,
    TradingState,
    VenueCapabilities,
)
from engine.orders import OrderKind, OrderStatus, Purpose, Side
from engine.positions import EXTERNAL
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
    fold,
    home_of,
    rows_of,
    stop_ticks,
    the_stop,
)

SECOND = NS_PER_SECOND
KEY = f"main|{COIN_ID}"


# ---- leaving ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("can", [NO_BRACKETS, PLAIN], ids=["reduce-only", "plain"])
def test_the_longest_hold_ends_a_position(can: VenueCapabilities) -> None:
    desk = Desk(can=can)
    desk.enter(max_hold_seconds=60)
    desk.forget()
    desk.quote(10_000)
    desk.beat(59.9)
    assert desk.of(ExitWanted) == []
    desk.beat(0.1)
    assert [event.reason for event in desk.of(ExitWanted)] == ["held for its maximum time"]
    desk.confirm_cancels()
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, 10)]


def test_without_reduce_only_the_stop_goes_before_the_exit_is_sent() -> None:
    desk = Desk(can=PLAIN)
    desk.enter()
    stop = the_stop(desk)
    desk.forget()
    desk.do(ClosePosition("x", "COIN"))
    assert (desk.cancels, desk.sent) == ([stop], [])
    desk.closed(stop)
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, 10)]


def test_with_reduce_only_the_exit_goes_at_once_and_the_stop_afterwards() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    stop = the_stop(desk)
    desk.forget()
    desk.do(ClosePosition("x", "COIN"))
    (leaving,) = desk.sent
    assert (leaving.purpose, leaving.order_lots, desk.cancels) == (Purpose.EXIT, 10, [])
    desk.accept()
    desk.fill(leaving.client_order_id, 10)
    assert desk.position is None
    assert desk.cancels == [stop]


@pytest.mark.parametrize("can", [NATIVE, NO_BRACKETS, PLAIN], ids=["brackets", "children", "plain"])
def test_a_part_is_closed_and_the_rest_keeps_a_stop_of_its_size(can: VenueCapabilities) -> None:
    desk = Desk(can=can)
    desk.enter()
    assert desk.do(ClosePosition("x", "COIN", quantity=Decimal(4))).accepted
    desk.confirm_cancels()
    (leaving,) = desk.open(Purpose.EXIT)
    assert leaving.intent.order_lots == 4
    desk.accept()
    desk.fill(leaving.client_order_id, 4)
    for _ in range(3):
        desk.accept()
        desk.confirm_cancels()
    assert (desk.held.lots, desk.held.exit_reason) == (6, "")
    assert home_of(desk) is StopHome.VENUE
    stops = desk.open(Purpose.STOP)
    assert sum(order.leaves_lots for order in stops) == 6 or can.reduce_only
    assert stop_ticks(desk) == [9_500]


def test_nothing_is_added_to_what_is_on_its_way_out() -> None:
    """It was sent and withdrawn at once; a venue that is quick fills it behind the exit."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter(lots=4)
    desk.do(ClosePosition("part", "COIN", quantity=Decimal(1)))
    assert desk.do(bought("more", 3)).accepted, "a part that leaves is no reason"
    desk.do(ClosePosition("whole", "COIN"))
    desk.forget()
    refused = desk.do(bought("again", 4)).refusal
    assert refused is not None
    assert (refused.check, refused.value, desk.sent) == ("leaving", "leaving", [])
    assert "COIN is on its way out (closed by" in refused.message


def test_nothing_is_added_to_what_its_stop_has_begun_to_leave() -> None:
    desk = Desk(can=NATIVE)
    desk.enter(lots=4)
    desk.fill(the_stop(desk), 1, 9_500)
    refused = desk.do(bought("again", 4)).refusal
    assert refused is not None
    assert refused.message == "COIN is on its way out (its stop is being filled); enter anew once it is flat"


def test_a_whole_close_outranks_a_part() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.do(ClosePosition("part", "COIN", quantity=Decimal(4)))
    desk.do(ClosePosition("whole", "COIN"))
    assert sorted(order.intent.order_lots for order in desk.open(Purpose.EXIT)) == [4, 6]
    assert desk.do(ClosePosition("again", "COIN")).text.startswith("COIN is already on its way out")


@pytest.mark.parametrize("quantity", ["11", "10.5", "0", "-1"])
def test_more_than_is_held_cannot_be_closed(quantity: str) -> None:
    desk = Desk()
    desk.enter()
    desk.forget()
    assert not desk.do(ClosePosition("x", "COIN", quantity=Decimal(quantity))).accepted
    assert desk.sent == []


def test_a_sell_of_what_is_held_reduces_and_never_turns() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.forget()
    assert not desk.do(bought("s", 11, None, side=Side.SELL)).accepted
    assert not desk.do(bought("t", 5, "105", side=Side.SELL)).accepted
    assert desk.sent == []
    assert desk.do(bought("u", 5, None, side=Side.SELL)).accepted
    assert [(one.purpose, one.side, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, Side.SELL, 5)]


def test_a_refused_exit_is_tried_again_with_growing_waits_and_through_the_book() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.do(ClosePosition("x", "COIN"))
    kinds: list[OrderKind] = []
    for _ in range(20):
        for order in desk.open(Purpose.EXIT):
            kinds.append(order.intent.kind)
            desk.refuse(order.client_order_id)
        desk.quote(10_000)
        desk.beat()
    assert kinds[:4] == [OrderKind.MARKET, OrderKind.MARKET, OrderKind.LIMIT, OrderKind.MARKET]
    retries = desk.of(ExitRetried)
    assert [event.attempts for event in retries[:4]] == [1, 2, 3, 4]
    assert len(alerts(desk, "exit-failed")) >= 3
    assert desk.held.exit_reason, "it stays decided until it is done"


def test_an_exit_that_filled_in_part_is_completed() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.do(ClosePosition("x", "COIN"))
    (first,) = desk.open(Purpose.EXIT)
    desk.accept()
    desk.fill(first.client_order_id, 4)
    desk.closed(first.client_order_id)
    desk.beat(1)
    assert [order.intent.order_lots for order in desk.open(Purpose.EXIT)] == [6]


def test_leaving_withdraws_entries_that_would_add() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    (resting,) = desk.do(bought("more", 5, kind=OrderKind.LIMIT, limit=Decimal(99))).order_ids
    desk.accept()
    desk.do(ClosePosition("x", "COIN"))
    assert resting in desk.cancels


# ---- surprises --------------------------------------------------------------------------------------------------------------


def test_an_exit_that_overfilled_is_cut_back_to_flat() -> None:
    """Both ends of an OCO pair filled: what they turned is closed at once."""
    desk = Desk(can=NO_BRACKETS)
    desk.enter(target=Decimal(110))
    stop, (target,) = the_stop(desk), desk.open(Purpose.TARGET)
    desk.fill(stop, 10, 9_500)
    desk.forget()
    desk.fill(target.client_order_id, 10, 11_000)
    assert desk.held.lots == -10
    assert [event.reason for event in desk.of(ExitWanted)] == ["an exit filled beyond the position"]
    assert [(one.purpose, one.side, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, Side.BUY, 10)]


def test_orders_that_protect_nothing_are_cancelled() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(target=Decimal(110))
    left = {order.client_order_id for order in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET))}
    desk.forget()
    desk.reported(positions={})
    desk.later(31)
    desk.reported(positions={})
    assert desk.position is None
    assert set(desk.cancels) == left


def test_a_refused_cancel_is_looked_into() -> None:
    desk = Desk(can=PLAIN)
    desk.enter()
    stop = the_stop(desk)
    desk.do(ClosePosition("x", "COIN"))
    request = desk.order(stop).cancel_requests[-1]
    desk.take(CancelAnswered(stop, request, CancelRefused("unknown order", unknown_order=True)))
    assert desk.order(stop).cancel_answers == (request,)
    assert desk.order(stop).status in (OrderStatus.NEW, OrderStatus.PENDING_CANCEL)


def test_a_halt_leaves_protection_where_it_is() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter(target=Decimal(110))
    (resting,) = desk.do(bought("more", 5, kind=OrderKind.LIMIT, limit=Decimal(99))).order_ids
    desk.accept()
    desk.forget()
    desk.do(SetTradingState("h", TradingState.HALTED))
    assert desk.cancels == [resting]
    desk.closed(resting)
    desk.closed(the_stop(desk))
    assert [one.purpose for one in desk.sent] == [Purpose.STOP], "and it is put back while halted"


def test_a_foreign_position_is_left_alone_until_it_is_given_a_plan() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.reported(positions={COIN_ID: 5})
    desk.later(31)
    desk.quote(10_000)
    desk.forget()
    desk.reported(positions={COIN_ID: 5})
    assert desk.held.strategy == EXTERNAL
    assert desk.sent == []
    assert home_of(desk) is StopHome.NONE
    assert alerts(desk, "unprotected")
    assert desk.do(SetProtection("p", "COIN", stop=Decimal(95))).accepted
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.STOP, 5)]


# ---- the ledger -------------------------------------------------------------------------------------------------------------


def test_a_lost_connection_bares_what_the_engine_alone_watched() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.take(ConnectionChanged("acct", up=False))
    assert home_of(desk) is StopHome.NONE
    assert desk.held.bare_since_ns == desk.at_ns
    desk.later(7)
    desk.take(ConnectionChanged("acct", up=True))
    desk.reported()
    assert home_of(desk) is StopHome.ENGINE
    assert (desk.held.bare_since_ns, desk.held.bare_total_ns) == (0, 7 * SECOND)


def test_a_lost_connection_does_not_bare_what_rests_at_the_venue() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.take(ConnectionChanged("acct", up=False))
    assert home_of(desk) is StopHome.VENUE
    assert desk.held.bare_since_ns == 0


def test_a_silent_market_bares_what_the_engine_alone_watched() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.beat(60)
    assert home_of(desk) is StopHome.ENGINE
    desk.beat(1)
    assert home_of(desk) is StopHome.NONE
    desk.later(9)
    desk.quote(10_000)
    desk.beat(0)
    assert home_of(desk) is StopHome.ENGINE
    assert desk.held.bare_total_ns == 9 * SECOND


def again(desk: Desk, seconds: float) -> Desk:
    """The engine stopped, and comes up after a while on its journal."""
    other = Desk(settings=desk.settings, can=desk.can, state=fold(rows_of(desk)), live=False)
    other.later(seconds)
    other.start()
    other.quote(10_000)
    other.beat(0)
    return other


def test_bare_seconds_go_on_over_a_restart() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.beat(5)
    stopped = desk.state.at_ns
    later = again(desk, 100)
    assert home_of(later) is StopHome.ENGINE
    assert later.held.bare_total_ns == later.at_ns - stopped, "nobody watched since the last thing that is known"
    assert later.held.bare_since_ns == 0


def test_a_restart_does_not_bare_what_rests_at_the_venue() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    later = again(desk, 100)
    assert home_of(later) is StopHome.VENUE
    assert (later.held.bare_since_ns, later.held.bare_total_ns) == (0, 0)


def test_bare_before_a_restart_stays_bare_since_then() -> None:
    desk = Desk(can=NO_STOPS)
    desk.enter()
    desk.take(ConnectionChanged("acct", up=False))
    since = desk.at_ns
    later = again(desk, 50)
    assert later.held.bare_total_ns == 50 * SECOND
    assert later.at_ns - since == 50 * SECOND


def test_the_ledger_is_written_only_when_something_changed() -> None:
    desk = Desk(can=NO_BRACKETS)
    desk.enter()
    desk.forget()
    for _ in range(5):
        desk.quote(10_000)
        desk.beat()
        desk.reported()
    assert desk.of(ProtectionChanged) == []
