"""Stop and target as one pair where exits may not add up to more than is held, and brackets whose exits wait for the whole
entry: what covers what, what is sent beside it, and who watches meanwhile."""

from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import ClosePosition, EngineStopping, SetProtection, VenueCapabilities
from engine.orders import ClosedAs, OrderKind, Purpose, Side, TimeInForce
from engine.protection import REFUSALS_BEFORE_STOP_ALONE, STALE_WATCH_NS
from engine.service import StopHome
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, PLAIN, Desk, bought, home_of

PAIRS = VenueCapabilities(stop=True, bracket=False, oco=True, reduce_only=False)
WAITING = VenueCapabilities(stop=True, bracket=True, oco=True, reduce_only=False, children_wait=True)
BLIND_SECONDS = STALE_WATCH_NS // NS_PER_SECOND + 1


def exits(desk: Desk) -> list[tuple[Purpose, int, int]]:
    """Purpose, size and level of every exit that may still execute."""
    return [(order.intent.purpose, order.intent.order_lots, order.intent.trigger_ticks or order.intent.limit_ticks)
            for order in (*desk.open(Purpose.TARGET), *desk.open(Purpose.STOP))]


def pair(lots: int, stop: int = 9_500, target: int = 12_000) -> list[tuple[Purpose, int, int]]:
    return [(Purpose.TARGET, lots, target), (Purpose.STOP, lots, stop)]


def paired(**more: Any) -> Desk:
    """Ten lots held, their stop and target at rest."""
    desk = Desk(can=PAIRS)
    desk.enter(target=Decimal(120), **more)
    return desk


def waiting_entry(lots: int = 10, **more: Any) -> tuple[Desk, str]:
    """A bracket at the venue, its entry working at 99."""
    desk = Desk(can=WAITING)
    receipt = desk.do(bought(quantity=lots, target=Decimal(120), kind=OrderKind.LIMIT, limit=Decimal(99), **more))
    assert receipt.accepted, receipt.refusal
    desk.accept()
    return desk, receipt.order_ids[0]


# ---- pairs ---------------------------------------------------------------------------------------------------------------


def test_stop_and_target_go_out_together_and_are_named_after_each_other() -> None:
    desk = paired()
    target, stop = desk.sent[1:]
    assert exits(desk) == pair(10)
    assert (stop.client_order_id, stop.oco_group, target.oco_group) == (
        f"{target.client_order_id}-s", target.client_order_id, target.client_order_id)
    assert home_of(desk) is StopHome.VENUE
    desk.forget()
    desk.beat()
    assert (desk.sent, desk.cancels) == ([], [])


def test_a_pair_covers_what_it_covers_once() -> None:
    desk = Desk(can=PAIRS)
    entry = desk.do(bought(quantity=10, target=Decimal(120))).order_ids[0]
    desk.accept()
    for lots in (4, 6):
        desk.fill(entry, lots)
        desk.accept()
    assert sorted(exits(desk)) == sorted(pair(4) + pair(6))
    assert desk.cancels == []


@pytest.mark.parametrize("change", [{"stop": Decimal(96)}, {"target": Decimal(125)}])
def test_a_changed_level_replaces_the_pair_and_the_engine_watches_meanwhile(change: dict[str, Any]) -> None:
    desk = paired()
    desk.forget()
    assert desk.do(SetProtection("p", "COIN", **change)).accepted
    assert desk.sent == [], "the shares are held by what stands"
    assert [each[-2:] == "-s" for each in desk.cancels] == [True, False], "the stop first: a second cancel may be refused"
    assert (home_of(desk), desk.held.bare_since_ns) == (StopHome.ENGINE, 0)
    desk.confirm_cancels()
    desk.accept()
    assert exits(desk) == pair(10, 9_600 if "stop" in change else 9_500, 12_500 if "target" in change else 12_000)


def test_a_blind_engine_leaves_the_pair_where_it_stands() -> None:
    desk = paired()
    desk.beat(BLIND_SECONDS)
    desk.forget()
    desk.do(SetProtection("p", "COIN", target=Decimal(125)))
    assert (desk.sent, desk.cancels) == ([], [])
    desk.quote(10_000)
    desk.beat()
    assert len(desk.cancels) == 2


def test_a_target_that_goes_leaves_the_stop_alone_after_one_exchange() -> None:
    desk = paired()
    desk.do(SetProtection("p", "COIN", clear=("target",)))
    desk.confirm_cancels()
    desk.accept()
    assert exits(desk) == [(Purpose.STOP, 10, 9_500)]


def test_a_target_in_part_leaves_a_stop_for_the_rest_and_neither_is_touched() -> None:
    desk = paired()
    target, stop = desk.open(Purpose.TARGET)[0], desk.open(Purpose.STOP)[0]
    desk.forget()
    desk.fill(target.client_order_id, 4, 12_000)
    desk.beat()
    assert (desk.sent, desk.cancels) == ([], [])
    assert [desk.state.covered_lots(each) for each in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET))] == [6, 6]
    assert home_of(desk) is StopHome.VENUE
    desk.fill(stop.client_order_id, 6, 9_500)
    assert desk.position is None
    desk.closed(stop.client_order_id)
    desk.closed(target.client_order_id)
    assert desk.state.orders == {}


def test_what_the_venue_ends_of_a_pair_is_replaced_whole() -> None:
    desk = paired()
    for order in (*desk.open(Purpose.STOP), *desk.open(Purpose.TARGET)):
        desk.closed(order.client_order_id)
    desk.accept()
    assert exits(desk) == pair(10)


def test_a_target_whose_stop_is_gone_protects_nothing_and_makes_room_even_while_nobody_watches() -> None:
    desk = paired()
    desk.beat(BLIND_SECONDS)
    desk.closed(desk.open(Purpose.STOP)[0].client_order_id)
    desk.confirm_cancels()
    desk.accept()
    assert exits(desk) == pair(10)


def test_a_pair_that_is_refused_again_and_again_becomes_a_stop_alone() -> None:
    desk = Desk(can=PAIRS)
    entry = desk.do(bought(quantity=10, target=Decimal(120))).order_ids[0]
    desk.accept()
    desk.fill(entry, 10)
    for _ in range(REFUSALS_BEFORE_STOP_ALONE):
        assert exits(desk) == pair(10)
        for order in (*desk.open(Purpose.TARGET), *desk.open(Purpose.STOP)):
            desk.refuse(order.client_order_id)
        assert home_of(desk) is StopHome.ENGINE
        desk.beat(5)
    desk.accept()
    assert exits(desk) == [(Purpose.STOP, 10, 9_500)]
    desk.forget()
    desk.quote(10_000)
    for _ in range(20):
        desk.beat(40)
        desk.quote(10_000)
    assert (desk.sent, desk.cancels) == ([], []), "it is not tried again and again"


def test_leaving_takes_the_pair_away_first() -> None:
    desk = paired()
    desk.forget()
    desk.do(ClosePosition("x", "COIN"))
    assert (len(desk.cancels), desk.sent) == (2, [])
    desk.confirm_cancels()
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, 10)]


def test_an_entry_of_the_other_direction_does_not_keep_a_position_from_leaving() -> None:
    """A buy was working when a sale opened a short position: what may be bought back is not more than is held."""
    desk = Desk(can=PLAIN)
    entry = desk.do(bought(quantity=10, kind=OrderKind.LIMIT, limit=Decimal(90), stop="85")).order_ids[0]
    desk.accept()
    desk.fill("nobody", 5, side=Side.SELL)
    assert desk.held.lots == -5
    desk.forget()
    assert desk.do(ClosePosition("x", "COIN")).accepted
    assert desk.cancels == [entry]
    desk.confirm_cancels()
    assert [(one.purpose, one.side, one.order_lots) for one in desk.sent] == [(Purpose.EXIT, Side.BUY, 5)]


def test_a_venue_without_pairs_gets_the_stop_alone() -> None:
    desk = Desk(can=PLAIN)
    desk.enter(target=Decimal(120))
    assert exits(desk) == [(Purpose.STOP, 10, 9_500)]


# ---- brackets whose exits wait -------------------------------------------------------------------------------------------


def test_exits_go_along_with_an_entry_and_cover_it_once_it_is_filled() -> None:
    desk, entry = waiting_entry()
    assert [one.client_order_id for one in desk.sent] == [entry, f"{entry}-s", f"{entry}-t"]
    desk.fill(entry, 4, 9_900)
    assert [desk.state.covered_lots(each) for each in desk.open(Purpose.STOP)] == [0]
    assert (home_of(desk), desk.held.bare_since_ns) == (StopHome.ENGINE, 0)
    assert "once the entry is filled in full" in desk.state.homes[f"main|{COIN_ID}"].detail
    desk.forget()
    desk.beat()
    assert (desk.sent, desk.cancels) == ([], []), "what stood beside would take the shares of the exits that wake"
    desk.fill(entry, 6, 9_900)
    assert home_of(desk) is StopHome.VENUE
    assert (desk.sent, desk.cancels) == ([], [])


def test_the_engine_leaves_at_the_stop_while_the_exits_wait() -> None:
    desk, entry = waiting_entry()
    desk.fill(entry, 4, 9_900)
    desk.quote(9_450)
    desk.beat()
    assert set(desk.cancels) == {entry, f"{entry}-s", f"{entry}-t"}
    desk.confirm_cancels()
    assert [(one.purpose, one.order_lots) for one in desk.sent[3:]] == [(Purpose.EXIT, 4)]


def test_where_nobody_can_watch_the_rest_of_the_entry_goes_and_a_pair_comes() -> None:
    desk, entry = waiting_entry()
    desk.fill(entry, 4, 9_900)
    desk.beat(BLIND_SECONDS)
    assert desk.cancels == [entry]
    assert desk.held.bare_since_ns
    for ended in (entry, f"{entry}-s", f"{entry}-t"):
        desk.closed(ended)
    desk.accept()
    assert exits(desk) == pair(4)
    assert (home_of(desk), desk.held.bare_since_ns) == (StopHome.VENUE, 0)


def test_an_entry_that_ends_half_filled_gets_a_pair_even_if_its_exits_do_not_end() -> None:
    desk, entry = waiting_entry()
    desk.fill(entry, 4, 9_900)
    desk.forget()
    desk.closed(entry, ClosedAs.CANCELED)
    assert [(one.purpose, one.order_lots) for one in desk.sent] == [(Purpose.TARGET, 4), (Purpose.STOP, 4)]
    assert set(desk.cancels) == {f"{entry}-s", f"{entry}-t"}, "they can never work"


@pytest.mark.parametrize("more", [
    {"time_in_force": TimeInForce.DAY}, {"time_in_force": TimeInForce.IOC},
    {"kind": OrderKind.STOP, "limit": None, "trigger": Decimal(101)}])
def test_entries_that_end_by_themselves_or_wait_for_a_price_go_alone(more: dict[str, Any]) -> None:
    desk = Desk(can=WAITING)
    wanted: dict[str, Any] = {"kind": OrderKind.LIMIT, "limit": Decimal(99), **more}
    assert desk.do(bought(quantity=10, target=Decimal(120), **wanted)).accepted
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY]


def test_without_a_target_the_stop_goes_along_alone() -> None:
    desk = Desk(can=WAITING)
    desk.do(bought(quantity=10))
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY, Purpose.STOP]


def test_an_engine_that_stops_withdraws_an_entry_whose_stop_would_wait() -> None:
    desk, entry = waiting_entry()
    desk.take(EngineStopping())
    assert desk.cancels == [entry]
