"""Orders over time: slices add up to the parent, count in full before they are sent, and end for a stated reason."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.heat import heat_lines
from engine.inputs import AutomationLevel, Bar, CancelOrder, Limits, SetTradingState, TradingState
from engine.orders import OrderKind, Purpose, Side
from engine.parent_events import ParentEnded, ParentSliced
from engine.parents import OverTime, Parent, Style, cumulative_lots, due_times, slice_count, volume_weights
from engine.service import Receipt
from engine.units import NS_PER_SECOND
from engine.valuation import heat_minor
from tests.unit.engine_desk import COIN_ID, Desk, bought, fold, rows_of, settings_of

HOUR = OverTime(3_600)
FAST = OverTime(600)


def desk_of(**limits: Any) -> Desk:
    return Desk(settings=settings_of("main", limits=Limits(max_heat_fraction=0.5, stale_quote_seconds=1e6, **limits)))


def begin(desk: Desk, quantity: int = 100, over: OverTime = FAST, **more: Any) -> Parent:
    receipt = desk.do(bought("p", quantity, over=over, **more))
    assert receipt.accepted, receipt.refusal
    return desk.state.parents[receipt.order_ids[0]]


def run(desk: Desk, seconds: int, *, fill: bool = True, step: int = 5) -> None:
    """Time passes beat by beat; whatever is sent is taken and filled by the venue."""
    for _ in range(seconds // step):
        settle(desk, fill=fill)
        desk.beat(step)
    settle(desk, fill=fill)


def settle(desk: Desk, *, fill: bool = True) -> None:
    desk.accept()
    for order in desk.open(Purpose.ENTRY) + desk.open(Purpose.EXIT):
        if fill:
            desk.fill(order.client_order_id, order.leaves_lots)
    desk.accept()
    desk.confirm_cancels()


def parent_of(desk: Desk) -> Parent:
    return next(iter(desk.state.parents.values()))


def test_a_slice_is_not_counted_twice_by_its_own_checks() -> None:
    """All of it is exactly what a position may be: each slice still goes, since its lots were reserved for it."""
    desk = desk_of(max_position_fraction=0.1)
    begin(desk)
    run(desk, 600)
    assert desk.held.lots == 100
    assert parent_of(desk).ended_as == "done"


# ---- in the heat ---------------------------------------------------------------------------------------------------------------


def test_what_is_still_to_be_sent_is_a_line_of_its_own_until_nothing_is() -> None:
    desk = desk_of()
    begin(desk)
    run(desk, 60)
    lines = heat_lines(desk.state, desk.market, "main")
    assert {line.status for line in lines} == {"position", "over time"}
    assert sum(line.lots for line in lines) == 100
    assert sum(line.risk_minor for line in lines) == heat_minor(desk.state, desk.market, "main")
    while not desk.state.parents or parent_of(desk).unsent_lots(0):
        run(desk, 30)
    assert [line.status for line in heat_lines(desk.state, desk.market, "main")] == ["position"], "no line of nothing"


# ---- the plan ---------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 10**9), st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_the_plan_adds_up_and_never_goes_back(lots: int, weights: list[float]) -> None:
    plan = cumulative_lots(lots, weights)
    assert plan[-1] == lots
    assert list(plan) == sorted(plan) and plan[0] >= 0


@given(st.text(min_size=1, max_size=20), st.integers(60, 86_400), st.integers(1, 60))
def test_slices_are_due_in_order_within_the_time_and_the_same_every_time(name: str, seconds: int, count: int) -> None:
    due = due_times(name, 7, seconds, count)
    assert due == due_times(name, 7, seconds, count)
    assert list(due) == sorted(set(due)) and due[0] == 7
    assert due[-1] < 7 + seconds * NS_PER_SECOND


def test_a_slice_is_never_smaller_than_the_venue_takes() -> None:
    assert slice_count(3_600, 100, 1) == 60
    assert slice_count(3_600, 100, 40) == 2
    assert slice_count(60, 5, 10) == 1


def test_volume_by_the_time_of_day_is_found_in_past_days() -> None:
    hour = 3_600 * NS_PER_SECOND
    day = 24 * hour
    bars = [(hour * place, hour * (place + 1), 300 if place == 10 else 100) for place in range(24)]
    due = [3 * day + 9 * hour, 3 * day + 10 * hour, 3 * day + 11 * hour]
    assert volume_weights(bars, due, 3 * day + 12 * hour) == [100.0, 300.0, 100.0]


def test_bars_of_a_day_say_nothing_of_the_time_of_day() -> None:
    day = 86_400 * NS_PER_SECOND
    assert volume_weights([(0, day, 500)], [5 * day, 5 * day + day // 4], 5 * day + day // 2) == [1.0, 1.0]


# ---- at work ----------------------------------------------------------------------------------------------------------------


def test_a_parent_is_bought_in_slices_that_add_up_to_it() -> None:
    desk = desk_of()
    parent = begin(desk)
    run(desk, 620)
    entries = [one for one in desk.sent if one.purpose is Purpose.ENTRY]
    assert len(entries) == len(parent.due_ns) == 20
    assert sum(one.order_lots for one in entries) == 100 == desk.held.lots
    assert parent_of(desk).ended_as == "done"
    assert desk.held.stop_ticks == 9_500
    assert fold(rows_of(desk)) == desk.state


def test_the_whole_of_it_is_counted_from_the_first_moment_on() -> None:
    desk = desk_of()
    begin(desk)
    seen = [heat_minor(desk.state, desk.market, "main")]
    for _ in range(30):
        settle(desk)
        desk.beat(20)
        seen.append(heat_minor(desk.state, desk.market, "main"))
    assert set(seen) == {100 * 500}


def test_what_would_be_too_hot_as_a_whole_is_refused_at_once() -> None:
    desk = desk_of()
    receipt = desk.do(bought("p", 900, "30", over=HOUR))
    assert receipt.refusal is not None and not desk.sent and not desk.state.parents


def test_another_order_finds_the_room_already_taken() -> None:
    desk = Desk(settings=settings_of("main", limits=Limits(max_heat_fraction=0.01)))
    begin(desk, quantity=150)
    refusal = desk.do(bought("q", 100, symbol="COIN")).refusal
    assert refusal is not None and refusal.check == "heat"


def test_an_entry_with_another_stop_waits_until_it_is_over() -> None:
    """Both would end under one stop, and what is still unsent would risk more than was counted."""
    desk = desk_of()
    begin(desk)
    settle(desk)
    resting = {"kind": OrderKind.LIMIT, "limit": Decimal(99)}
    refusal = desk.do(bought("q", 10, "90", **resting)).refusal
    assert refusal is not None and refusal.check == "one stop"
    assert desk.do(bought("r", 10, "95", **resting)).refusal is None


def test_the_first_slice_of_a_flat_position_brings_its_stop() -> None:
    desk = desk_of()
    begin(desk)
    assert [one.purpose for one in desk.sent] == [Purpose.ENTRY, Purpose.STOP]
    assert {one.slice_of for one in desk.sent if one.purpose is Purpose.STOP} == {""}


def test_a_person_ends_it_and_keeps_what_was_bought() -> None:
    desk = desk_of()
    parent = begin(desk)
    run(desk, 200)
    held = desk.held.lots
    receipt = desk.do(CancelOrder("x", parent.parent_id))
    assert receipt.accepted and parent_of(desk).ended_as == "cancelled by user"
    run(desk, 600)
    assert desk.held.lots == held and desk.held.stop_ticks == 9_500


def test_a_halt_ends_it_and_withdraws_what_works() -> None:
    desk = desk_of()
    begin(desk, kind=OrderKind.LIMIT, limit=Decimal(99))
    desk.accept()
    desk.do(SetTradingState("h", TradingState.HALTED))
    assert not parent_of(desk).works
    assert desk.sent[0].client_order_id in desk.cancels
    desk.confirm_cancels()
    run(desk, 700)
    assert desk.open(Purpose.ENTRY) == [] and len(desk.sent) == 2


def test_a_stop_that_was_hit_ends_it() -> None:
    desk = desk_of()
    begin(desk)
    run(desk, 100)
    stop = desk.open(Purpose.STOP)[0]
    desk.quote(9_400)
    desk.fill(stop.client_order_id, desk.held.lots, 9_400)
    desk.beat()
    assert parent_of(desk).ended_as == "its position was left meanwhile"
    run(desk, 700)
    assert desk.position is None


def test_missed_slices_are_made_up_for_a_little_at_a_time() -> None:
    desk = desk_of()
    begin(desk)
    settle(desk)
    desk.later(300)
    desk.beat()
    settle(desk)
    late = [one.order_lots for one in desk.sent if one.purpose is Purpose.ENTRY][-1]
    assert late == 10
    run(desk, 320)
    assert desk.held.lots == 100


def test_what_could_not_be_sent_in_time_is_told() -> None:
    desk = desk_of()
    begin(desk)
    settle(desk)
    desk.beat(601)
    ended = desk.of(ParentEnded)
    assert [one.outcome for one in ended] == ["its time is over"]
    assert "BUY 5 of 100 COIN" in next(alert.text for alert in desk.state.alerts.values() if alert.code == "over-time")


def test_it_stays_within_its_share_of_the_volume() -> None:
    desk = desk_of()
    close_ns = desk.at_ns
    desk.take(Bar(COIN_ID, close_ns - 60 * NS_PER_SECOND, close_ns, 10_000, 10_000, 10_000, 10_000, 1_000))
    begin(desk, over=OverTime(600, Style.TWAP, Decimal(10)))
    run(desk, 100)
    assert desk.position is None
    assert "10 % of the volume" in desk.of(ParentSliced)[-1].waiting
    desk.take(Bar(COIN_ID, desk.at_ns - 60 * NS_PER_SECOND, desk.at_ns, 10_000, 10_000, 10_000, 10_000, 120))
    run(desk, 120)
    assert desk.held.lots == 12


def test_a_position_is_left_in_slices_and_never_turned() -> None:
    desk = desk_of()
    desk.enter("e", 100)
    receipt = desk.do(bought("s", 60, None, side=Side.SELL, over=FAST))
    assert receipt.accepted, receipt.refusal
    sizes = []
    for _ in range(130):
        settle(desk)
        sizes.append(desk.held.lots)
        desk.beat(5)
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == 20
    assert desk.held.lots == 40 and parent_of(desk).ended_as == "done"


@pytest.mark.parametrize(("over", "check"), [
    (OverTime(30), "over"), (OverTime(8 * 86_400), "over"), (OverTime(600, Style.VWAP), "volume"),
    (OverTime(600, participation_percent=Decimal(0)), "participation"),
    (OverTime(600, participation_percent=Decimal(5)), "volume"),
])
def test_what_cannot_be_meant_is_refused_by_name(over: OverTime, check: str) -> None:
    receipt: Receipt = desk_of().do(bought("p", 100, over=over))
    assert receipt.refusal is not None and receipt.refusal.check == check


def test_one_at_a_time_in_an_instrument() -> None:
    desk = desk_of()
    begin(desk)
    refusal = desk.do(bought("q", 50, over=FAST)).refusal
    assert refusal is not None and refusal.check == "over"


def test_a_strategys_waits_for_a_person_as_a_whole() -> None:
    desk = Desk(settings=settings_of("main", automation=AutomationLevel.SUGGEST_ONLY, limits=Limits(max_heat_fraction=0.5)))
    receipt = desk.do(bought("p", 100, over=FAST, origin="dca"))
    assert receipt.proposal_id and not desk.state.parents
    assert desk.state.proposals[receipt.proposal_id].want.over == FAST
    assert desk.state.proposals[receipt.proposal_id].card.over == "600 s, twap", "a person reads it on the card"
    refusal = desk.do(bought("q", 100, over=OverTime(5), origin="dca")).refusal
    assert refusal is not None and refusal.check == "over", "nobody is asked for what could not be done"


def test_a_restart_goes_on_and_doubles_nothing() -> None:
    first = desk_of()
    begin(first)
    run(first, 300)
    bought_before = first.held.lots
    second = Desk(settings=first.settings, state=fold(rows_of(first)), live=False)
    second.market = first.market
    second.at_ns = first.at_ns
    second.start()
    second.quote(10_000)
    run(second, 320)
    assert second.held.lots == 100 > bought_before
    assert parent_of(second).ended_as == "done"
