"""No bare moment of our own making: stops resized and moved where exits may not add up to more than is held, with and without
a fresh price, and fills that come while the venue is being asked."""

import pytest

from engine.inputs import (
    ClosePosition,
    ConnectionChanged,
    OrderMissing,
    SetProtection,
    SubmitAnswered,
    TrailSpec,
    Unanswered,
    VenueCapabilities,
)
from engine.orders import OrderKind, Purpose
from engine.protection import MOST_PIECES, STALE_WATCH_NS
from engine.service import StopHome
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import (
    ACCOUNT,
    COIN_ID,
    NATIVE,
    NO_BRACKETS,
    PLAIN,
    Desk,
    bought,
    coin,
    home_of,
    stop_ticks,
    the_stop,
)

BLIND_SECONDS = STALE_WATCH_NS // NS_PER_SECOND + 1


def grown(first: int = 4, *, blind: bool, rest: int = 6, desk: Desk | None = None) -> Desk:
    """A position of which a part was filled and protected, and then the rest came in, with or without a fresh price."""
    desk = desk or Desk(can=PLAIN)
    entry = desk.do(bought(quantity=first + rest)).order_ids[0]
    desk.accept()
    desk.fill(entry, first)
    desk.accept()
    if blind:
        desk.beat(BLIND_SECONDS)
    desk.forget()
    desk.fill(entry, rest)
    return desk


@pytest.mark.parametrize("blind", [False, True])
def test_what_grows_gets_a_second_stop_for_the_difference(blind: bool) -> None:
    desk = grown(blind=blind)
    assert desk.cancels == []
    assert [(one.purpose, one.order_lots, one.trigger_ticks, one.oco_group) for one in desk.sent] == [
        (Purpose.STOP, 6, 9_500, "")]
    desk.accept()
    assert home_of(desk) is StopHome.VENUE
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [4, 6]
    desk.forget()
    desk.quote(10_000)
    desk.beat()
    assert (desk.cancels, desk.sent) == ([], []), "two stops for the whole are as good as one"


def test_until_the_second_stop_stands_a_blind_engine_says_that_the_position_is_bare() -> None:
    desk = grown(blind=True)
    assert home_of(desk) is StopHome.PENDING
    since_ns = desk.held.bare_since_ns
    assert since_ns == desk.at_ns
    desk.later(2)
    desk.accept()
    assert (desk.held.bare_since_ns, desk.held.bare_total_ns) == (0, 2 * NS_PER_SECOND)


def test_many_pieces_become_one_stop_once_the_engine_watches() -> None:
    desk = Desk(can=PLAIN)
    entry = desk.do(bought(quantity=10)).order_ids[0]
    desk.accept()
    desk.beat(BLIND_SECONDS)
    for _ in range(MOST_PIECES + 1):
        desk.fill(entry, 1)
        desk.accept()
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [1] * MOST_PIECES
    assert desk.cancels == [], "blind, the pieces stay"
    desk.quote(10_000)
    desk.beat()
    assert len(desk.cancels) == MOST_PIECES
    desk.confirm_cancels()
    desk.accept()
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [MOST_PIECES + 1]
    assert home_of(desk) is StopHome.VENUE


@pytest.mark.parametrize("blind", [False, True])
def test_a_difference_that_the_venue_would_not_take_waits_for_a_price(blind: bool) -> None:
    desk = grown(rest=1, blind=blind, desk=Desk(can=PLAIN, instruments=(coin(min_lots=2),)))
    assert desk.sent == []
    assert len(desk.cancels) == (0 if blind else 1)
    desk.quote(10_000)
    desk.beat()
    desk.confirm_cancels()
    desk.accept()
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [5]


def test_a_moved_stop_keeps_its_old_order_until_the_engine_can_watch() -> None:
    desk = Desk(can=PLAIN)
    desk.enter()
    desk.beat(BLIND_SECONDS)
    desk.forget()
    desk.do(SetProtection("p", "COIN", stop=desk.instruments[0].price(9_600)))
    desk.beat()
    assert (desk.cancels, desk.sent, stop_ticks(desk)) == ([], [], [9_500])
    assert home_of(desk) is StopHome.VENUE
    desk.quote(10_000)
    desk.beat()
    assert len(desk.cancels) == 1
    desk.confirm_cancels()
    desk.accept()
    assert stop_ticks(desk) == [9_600]
    assert desk.held.bare_total_ns == 0


def test_a_stop_for_too_many_lots_goes_only_while_the_engine_watches() -> None:
    """Some of the position was sold by another hand: the old stop could turn it, but nothing else guards the rest."""
    desk = Desk(can=PLAIN)
    desk.enter(lots=10)
    desk.beat(BLIND_SECONDS)
    desk.forget()
    desk.reported(positions={COIN_ID: 6})
    desk.beat(desk.settings.settle_seconds)
    desk.reported(positions={COIN_ID: 6})
    assert desk.held.lots == 6
    assert desk.cancels == []
    desk.quote(10_000)
    desk.beat()
    desk.confirm_cancels()
    desk.accept()
    assert [order.intent.order_lots for order in desk.open(Purpose.STOP)] == [6]


def test_a_trailing_stop_of_two_pieces_moves_as_one() -> None:
    desk = Desk(can=PLAIN)
    entry = desk.do(bought(stop=None, trail=TrailSpec(price=desk.instruments[0].price(500)))).order_ids[0]
    desk.accept()
    for lots in (4, 6):
        desk.fill(entry, lots)
        desk.accept()
    desk.quote(10_200)
    desk.confirm_cancels()
    desk.accept()
    assert [(order.intent.order_lots, order.intent.trigger_ticks) for order in desk.open(Purpose.STOP)] == [(10, 9_700)]
    assert desk.held.bare_total_ns == 0


def test_a_cancel_that_was_lost_is_not_repeated_blindly() -> None:
    """What was to be replaced while the engine watched stays while it does not: after a restart, or when prices stopped."""
    desk = Desk(can=PLAIN)
    desk.enter()
    desk.do(SetProtection("p", "COIN", stop=desk.instruments[0].price(9_600)))
    stop = the_stop(desk)
    assert desk.cancels == [stop]
    desk.beat(BLIND_SECONDS)
    assert desk.held.bare_since_ns, "the cancel may have been heard"
    desk.forget()
    desk.reported()
    assert (desk.cancels, home_of(desk), desk.held.bare_since_ns) == ([], StopHome.VENUE, 0)
    desk.quote(10_000)
    desk.beat()
    assert desk.cancels == [stop], "and now it is asked anew"


# ---- while the venue is being asked -----------------------------------------------------------------------------------------


def filled_while_asking(can: VenueCapabilities) -> Desk:
    """A working entry fills between a reconnect and the first report after it."""
    desk = Desk(can=can)
    entry = desk.do(bought()).order_ids[0]
    desk.accept()
    desk.take(ConnectionChanged(ACCOUNT, up=False))
    desk.take(ConnectionChanged(ACCOUNT, up=True))
    desk.forget()
    desk.fill(entry, 10)
    return desk


def test_where_orders_can_only_reduce_protection_does_not_wait_for_the_report() -> None:
    desk = filled_while_asking(NO_BRACKETS)
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.STOP, 10)]
    assert desk.held.bare_since_ns == 0, "the engine watches, and may act"
    desk.accept()
    assert home_of(desk) is StopHome.VENUE


def test_elsewhere_it_waits_for_the_report_and_the_ledger_says_so() -> None:
    desk = filled_while_asking(PLAIN)
    assert desk.sent == []
    assert (home_of(desk), desk.held.bare_since_ns) == (StopHome.NONE, desk.at_ns)
    desk.later(3)
    desk.reported()
    assert [one.purpose for one in desk.sent] == [Purpose.STOP]
    assert (desk.held.bare_since_ns, desk.held.bare_total_ns) == (0, 3 * NS_PER_SECOND), "from here on the engine watches"


def test_an_exit_that_can_only_reduce_does_not_wait_for_the_report_either() -> None:
    desk = filled_while_asking(NO_BRACKETS)
    desk.accept()
    desk.forget()
    assert desk.do(ClosePosition("x", "COIN")).accepted
    assert [one.purpose for one in desk.sent] == [Purpose.EXIT]


def test_a_bracket_that_never_arrived_is_protected_the_moment_its_entry_fills() -> None:
    desk = Desk(can=NATIVE)
    entry, stop = desk.do(bought("c", 10, "95")).order_ids
    for one in (entry, stop):
        desk.take(SubmitAnswered(one, Unanswered("the process died")))
    for one in (entry, stop):
        desk.take(OrderMissing(ACCOUNT, one, definitive=True))
    desk.forget()
    desk.fill(entry, 10)
    assert [(one.kind, one.trigger_ticks) for one in desk.sent] == [(OrderKind.STOP, 9_500)], "nobody refused that stop"
