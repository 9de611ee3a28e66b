"""What a closed bar means for the position that its open has filled, for a target that rests at the venue, and for time."""

from decimal import Decimal

from engine.events import ExitWanted, LevelTouched, StopMoved
from engine.inputs import Bar, TrailSpec
from engine.kernel.exits import SAME_MOMENT_NS
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, Desk, bought

MINUTE_NS = 60 * NS_PER_SECOND


def entered(**want: object) -> Desk:
    """Ten COIN at 100.00, filled some nanoseconds after the desk's moment, and what protects them confirmed."""
    desk = Desk()
    want.setdefault("stop", "95")
    receipt = desk.do(bought(**want))  # type: ignore[arg-type]
    desk.accept()
    desk.fill(receipt.order_ids[0], 10, at_ns=desk.at_ns + 7)
    desk.accept()
    desk.forget()
    return desk


def close_bar(desk: Desk, high: int, low: int, close: int) -> None:
    open_ns = desk.held.opened_at_ns - 7
    desk.later(60)
    desk.take(Bar(COIN_ID, open_ns, open_ns + MINUTE_NS, 10_000, high, low, close, 1_000))


def test_a_stop_follows_the_bar_whose_open_filled_the_entry() -> None:
    desk = entered(stop=None, trail=TrailSpec(price=Decimal(3)))
    assert desk.held.stop_ticks == 9_700
    close_bar(desk, 10_200, 9_900, 10_100)
    assert [moved.stop_ticks for moved in desk.of(StopMoved)] == [9_900]


def test_a_bar_that_only_touches_a_target_at_the_venue_moves_the_stop_and_leaves_the_target_to_the_venue() -> None:
    desk = entered(stop="95", target=Decimal(102), trail=TrailSpec(price=Decimal(3)))
    close_bar(desk, 10_200, 9_990, 10_100)
    assert desk.of(LevelTouched) == []
    assert desk.of(ExitWanted) == []
    assert [moved.stop_ticks for moved in desk.of(StopMoved)] == [9_900]


def test_a_hold_that_ends_with_the_bar_is_over_though_the_fill_came_nanoseconds_after_its_open() -> None:
    desk = entered(max_hold_seconds=60)
    assert desk.held.opened_at_ns + 60 * NS_PER_SECOND - SAME_MOMENT_NS < desk.held.opened_at_ns - 7 + MINUTE_NS
    close_bar(desk, 10_050, 9_950, 10_000)
    assert [wanted.reason for wanted in desk.of(ExitWanted)] == ["held for its maximum time"]


def test_a_fill_newer_than_any_quote_is_not_judged_by_the_old_quote() -> None:
    """The market has gapped above the old bid by more than the trail: the stop lies above that bid and is still to be placed."""
    desk = Desk()
    receipt = desk.do(bought(stop=None, trail=TrailSpec(price=Decimal(1))))
    desk.accept()
    desk.fill(receipt.order_ids[0], 10, 10_500, at_ns=desk.at_ns + 7)
    assert desk.of(ExitWanted) == []
    assert [one.trigger_ticks for one in desk.sent if one.trigger_ticks] == [10_400]
