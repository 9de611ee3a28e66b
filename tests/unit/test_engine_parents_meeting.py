"""What else happens while an order over time works: others trade in its instrument, a panic, a split, odd remainders."""

from decimal import Decimal

import msgspec
import pytest

from engine.inputs import (
    Bar,
    CancelOrder,
    ClosePosition,
    Flatten,
    Limits,
    SetTradingState,
    TradingState,
    VenuePosition,
    VenueReported,
)
from engine.instruments import AssetClass
from engine.orders import OrderKind, Purpose, Side
from engine.parent_events import ParentEnded
from engine.parent_views import parent_view
from engine.parents import Style
from engine.service import OrderView
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN, COIN_ID, OTHER, Desk, alerts, bought, coin, fold, rows_of, settings_of
from tests.unit.test_engine_parents import FAST, HOUR, begin, desk_of, parent_of, run, settle


def leave(desk: Desk, quantity: int = 60) -> None:
    """Begin to leave a long over ten minutes."""
    receipt = desk.do(bought("s", quantity, None, side=Side.SELL, over=FAST))
    assert receipt.accepted, receipt.refusal


def left_lots(desk: Desk) -> int:
    """What exits have sold, stops apart."""
    orders = (*desk.state.orders.values(), *desk.state.closed.values())
    return sum(order.cum_lots for order in orders if order.intent.purpose is Purpose.EXIT)


def stopped_out(desk: Desk, ticks: int = 9_500) -> None:
    """The stop takes all of the position."""
    stop = desk.open(Purpose.STOP)[0]
    desk.fill(stop.client_order_id, abs(desk.held.lots), ticks)
    desk.later(0.2)
    desk.confirm_cancels()


def add(desk: Desk, quantity: int, stop: str, **more: object) -> None:
    """Another entry, taken and filled at once."""
    receipt = desk.do(bought("more", quantity, stop, **more))
    assert receipt.accepted, receipt.refusal
    desk.accept()
    desk.fill(receipt.order_ids[0], quantity)
    desk.accept()


# ---- others in its instrument --------------------------------------------------------------------------------------------------


def test_what_is_added_to_a_position_meanwhile_is_not_sold_with_it() -> None:
    desk = desk_of()
    desk.enter("e", 100)
    leave(desk)
    run(desk, 60)
    add(desk, 50, "95")
    run(desk, 700)
    assert (left_lots(desk), desk.held.lots) == (60, 90)
    assert parent_of(desk).ended_as == "done"


def test_what_left_it_by_hand_counts() -> None:
    desk = desk_of()
    desk.enter("e", 100)
    leave(desk)
    run(desk, 60)
    assert desk.do(ClosePosition("hand", "COIN", quantity=Decimal(20))).accepted
    run(desk, 700)
    assert (left_lots(desk), desk.held.lots) == (60, 40)


@pytest.mark.parametrize(("side", "stop"), [(Side.BUY, "90"), (Side.SELL, "105")])
def test_a_position_that_was_opened_anew_is_not_left_for_the_one_before(side: Side, stop: str) -> None:
    """All within a beat, or while no engine ran."""
    desk = desk_of()
    desk.enter("e", 100)
    leave(desk)
    run(desk, 30)
    stopped_out(desk)
    add(desk, 100, stop, side=side)
    sold = left_lots(desk)
    run(desk, 700)
    assert left_lots(desk) == sold
    assert desk.held.lots == 100 * side.sign
    assert parent_of(desk).ended_as == "its position was left meanwhile"


def test_a_position_that_was_opened_anew_is_not_added_to() -> None:
    desk = desk_of()
    begin(desk)
    run(desk, 60)
    stopped_out(desk)
    add(desk, 10, "95")
    run(desk, 700)
    assert desk.held.lots == 10
    assert parent_of(desk).ended_as == "its position was left meanwhile"


def test_it_ends_where_a_position_of_the_other_side_is_opened() -> None:
    desk = desk_of()
    begin(desk, kind=OrderKind.LIMIT, limit=Decimal(99))
    run(desk, 30, fill=False)
    receipt = desk.do(bought("n", 50, "105", side=Side.SELL))
    desk.accept()
    desk.fill(receipt.order_ids[0], 50)
    desk.beat()
    assert parent_of(desk).ended_as == "a position of the other side is held"
    run(desk, 700, fill=False)
    assert desk.held.lots == -50 and not desk.open(Purpose.ENTRY)


# ---- panic and splits ----------------------------------------------------------------------------------------------------------


def test_nothing_goes_on_after_a_panic_that_is_over() -> None:
    """Nothing of it was filled, so no position tells that it was left."""
    desk = desk_of()
    begin(desk, kind=OrderKind.LIMIT, limit=Decimal(99), over=HOUR)
    run(desk, 60, fill=False)
    desk.do(Flatten("f"))
    desk.beat()
    for order in list(desk.state.orders):
        desk.closed(order)
    desk.reported()
    assert desk.state.flatten is not None and desk.state.flatten.finished
    assert parent_of(desk).ended_as == "main is HALTED"
    assert desk.do(SetTradingState("r", TradingState.ACTIVE)).accepted
    desk.forget()
    run(desk, 4_000, step=30, fill=False)
    assert not desk.sent


def test_a_split_ends_it_as_it_ends_other_orders_at_old_prices() -> None:
    share = msgspec.structs.replace(COIN, asset_class=AssetClass.EQUITY)
    desk = Desk(settings=settings_of("main", limits=Limits(max_heat_fraction=0.5, stale_quote_seconds=1e6)), instruments=(share,))
    desk.enter("e", 100)
    leave(desk)
    run(desk, 60)
    held = desk.held.lots
    report = msgspec.structs.replace(desk.report(), positions=(VenuePosition(COIN_ID, 2 * held, 5_000.0),))
    desk.take(VenueReported(report))
    ended, = desk.of(ParentEnded)
    assert (ended.outcome, ended.done_lots) == ("its price is from before the split", 100 - held)
    desk.quote(5_000)
    run(desk, 700)
    assert desk.held.lots == 2 * held


# ---- slices and remainders -----------------------------------------------------------------------------------------------------


def test_slices_that_are_alike_are_no_duplicates() -> None:
    desk = desk_of(duplicate_seconds=60.0)
    begin(desk)
    run(desk, 595)
    assert desk.held.lots == 100
    same = desk.do(bought("d1", 5)), desk.do(bought("d2", 5))
    assert same[1].refusal is not None and same[1].refusal.check == "duplicate", "other orders are, as ever"


def test_what_the_venue_would_not_take_alone_goes_with_the_slice_before() -> None:
    """The price fell by a hair, so that a slice of five is too small from now on: they go by ten, the last ones too."""
    instrument = coin(min_notional_minor=50_000)
    desk = Desk(settings=settings_of("main", limits=Limits(max_heat_fraction=0.5, stale_quote_seconds=1e6)),
                instruments=(instrument, OTHER))
    begin(desk)
    desk.quote(9_900)
    run(desk, 620)
    sizes = [one.order_lots for one in desk.sent if one.purpose is Purpose.ENTRY]
    assert sum(sizes) == 100 == desk.held.lots and sizes[-1] == 15
    assert parent_of(desk).ended_as == "done"


def test_a_volume_profile_of_a_quiet_end_leaves_no_remainder() -> None:
    desk = Desk(settings=settings_of("main", limits=Limits(max_heat_fraction=0.5, stale_quote_seconds=1e6)),
                instruments=(coin(min_lots=4), OTHER))
    day_ns, start_ns = 86_400 * NS_PER_SECOND, desk.at_ns
    for place, volume in enumerate((1_000, 1_000, 1_000, 10)):  # yesterday, at the same time of day
        open_ns = start_ns - day_ns + place * 150 * NS_PER_SECOND
        desk.take(Bar(COIN_ID, open_ns, open_ns + 150 * NS_PER_SECOND, 10_000, 10_000, 10_000, 10_000, volume))
    begin(desk, over=msgspec.structs.replace(FAST, style=Style.VWAP))
    run(desk, 620)
    assert desk.held.lots == 100 and parent_of(desk).ended_as == "done"
    assert min(one.order_lots for one in desk.sent if one.purpose is Purpose.ENTRY) >= 4


# ---- the end -------------------------------------------------------------------------------------------------------------------


def shown(desk: Desk) -> OrderView:
    return parent_view(desk.state, desk.at_ns, parent_of(desk))


def test_an_ended_exit_keeps_telling_how_far_it_got() -> None:
    desk = desk_of()
    desk.enter("e", 100)
    leave(desk)
    run(desk, 60)
    assert desk.do(CancelOrder("x", parent_of(desk).parent_id)).accepted
    settle(desk)
    done = shown(desk).filled
    assert 0 < done < 60
    stopped_out(desk)
    assert (shown(desk).filled, shown(desk).reason) == (done, "cancelled by user")
    assert f"SELL {done} of 60 COIN: cancelled by user" in alerts(desk, "over-time")
    assert fold(rows_of(desk)) == desk.state


def test_a_second_cancel_is_told_that_there_is_nothing_left_to_cancel() -> None:
    desk = desk_of()
    parent = begin(desk, kind=OrderKind.LIMIT, limit=Decimal(99))
    assert desk.do(CancelOrder("x", parent.parent_id)).accepted
    refusal = desk.do(CancelOrder("y", parent.parent_id)).refusal
    assert refusal is not None and refusal.message == f"there is no open order {parent.parent_id}"


def test_a_slice_that_nobody_answered_still_counts_after_its_parent_was_cancelled() -> None:
    """It is cancelled too; where it was filled all the same, its stop follows and no more is bought."""
    desk = desk_of()
    parent = begin(desk)
    assert desk.do(CancelOrder("x", parent.parent_id)).accepted
    (entry,) = desk.open(Purpose.ENTRY)
    assert entry.client_order_id in desk.cancels
    desk.fill(entry.client_order_id, entry.leaves_lots)
    desk.accept()
    desk.beat()
    assert sum(stop.leaves_lots for stop in desk.open(Purpose.STOP)) == desk.held.lots == 5
    assert shown(desk).filled == 5
    run(desk, 700)
    assert desk.held.lots == 5
