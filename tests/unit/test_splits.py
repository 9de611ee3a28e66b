"""Stock splits: lots that changed without money move every level along; lots that cost money are drift."""

from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest

from engine.events import DriftSeen, PositionSplit
from engine.inputs import TrailSpec, VenueCapabilities, VenuePosition, VenueReported
from engine.instruments import AssetClass
from engine.orders import OrderKind, OrderStatus, Purpose
from engine.splits import split_ratio
from engine.valuation import equity_minor
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, NO_BRACKETS, PLAIN, Desk, alerts, bought, fold, rows_of

SHARE = msgspec.structs.replace(COIN, asset_class=AssetClass.EQUITY)


@pytest.mark.parametrize(("ours", "theirs", "average", "ratio"), [
    (10, 20, 5_000.0, Fraction(2)), (15, 22, 10_000 * 15 / 22.5, Fraction(3, 2)), (100, 10, 100_000.0, Fraction(1, 10)),
    (-10, -40, 2_500.0, Fraction(4)), (7, 350, 200.0, Fraction(50)),
    (10, 20, 10_000.0, None), (10, 20, 7_500.0, None), (10, 11, 10_000.0, None), (10, 20, 0.0, None), (10, -20, 5_000.0, None),
    (10, 10, 10_000.0, None)])
def test_lots_that_cost_nothing_are_a_split(ours: int, theirs: int, average: float, ratio: Fraction | None) -> None:
    assert split_ratio(SHARE, ours, 10_000 * ours, theirs, average) == ratio
    assert split_ratio(COIN, ours, 10_000 * ours, theirs, average) is None, "coins are not split"


def desk_with(can: VenueCapabilities = NO_BRACKETS) -> Desk:
    return Desk(can=can, instruments=(SHARE,))


def split(desk: Desk, lots: int, average_ticks: float) -> None:
    report = msgspec.structs.replace(desk.report(), positions=(VenuePosition(COIN_ID, lots, average_ticks),))
    desk.take(VenueReported(report))


def test_stop_target_and_trail_move_along_and_nothing_is_sold() -> None:
    desk = desk_with()
    desk.enter(target=Decimal(110))
    (old,) = desk.open(Purpose.STOP)
    before, sent_before = desk.held, len(desk.sent)
    split(desk, 20, 5_000.0)
    (event,) = desk.of(PositionSplit)
    assert (event.lots_before, event.lots_after, event.numerator, event.denominator) == (10, 20, 2, 1)
    assert (desk.held.lots, desk.held.stop_ticks, desk.held.plan.target_ticks) == (20, 4_750, 5_500)
    assert (desk.held.cost_minor, desk.held.initial_risk_minor) == (before.cost_minor, before.initial_risk_minor)
    assert [(one.order_lots, one.trigger_ticks) for one in desk.sent[sent_before:] if one.purpose is Purpose.STOP] == [
        (20, 4_750)]
    assert old.client_order_id in desk.cancels, "the stop of before goes"
    desk.accept()
    desk.closed(old.client_order_id)
    assert [(one.intent.order_lots, one.intent.trigger_ticks) for one in desk.open(Purpose.STOP)] == [(20, 4_750)]
    assert desk.of(DriftSeen) == []
    assert "COIN was split 2:1: 10 lots are now 20" in alerts(desk, "split")[0]
    for ticks in (5_000, 5_000, 4_990):
        desk.later(1)
        desk.quote(ticks)
    assert (desk.held.lots, desk.held.exit_reason) == (20, ""), "half the price is no loss"
    assert equity_minor(desk.state, desk.market, "main") == 10_000_000 - 20 * 10
    assert fold(rows_of(desk)) == desk.state


def test_a_stop_at_the_old_level_goes_first_where_the_venue_takes_no_second_one() -> None:
    """It would sell at the open: better bare while the market is closed than out by mistake."""
    desk = desk_with(PLAIN)
    desk.enter()
    (old,) = desk.open(Purpose.STOP)
    desk.forget()
    split(desk, 20, 5_000.0)
    assert desk.cancels == [old.client_order_id]
    desk.closed(old.client_order_id)
    assert {one.trigger_ticks for one in desk.sent} == {4_750}
    assert sum(one.order_lots for one in desk.sent) == 20, "in parts, as the old one gives its lots free"


def test_a_trail_keeps_its_distance_in_worth_and_a_stop_rounds_away_from_risk() -> None:
    desk = desk_with()
    desk.enter(stop=None, trail=TrailSpec(price=Decimal(5)))
    split(desk, 30, 10_000 / 3)
    assert (desk.held.plan.trail_ticks, desk.held.stop_ticks) == (166, 3_167)


def test_an_entry_at_the_old_price_is_withdrawn() -> None:
    desk = desk_with()
    desk.enter()
    desk.later(60)
    desk.quote(10_000)
    waiting = desk.do(bought("w", 5, "95", kind=OrderKind.LIMIT, limit=Decimal(98))).order_ids[0]
    desk.accept()
    desk.forget()
    split(desk, 20, 5_000.0)
    assert waiting in desk.cancels
    assert desk.order(waiting).status is OrderStatus.PENDING_CANCEL


def test_what_a_stream_told_before_is_no_drift_afterwards() -> None:
    desk = desk_with()
    desk.enter()
    split(desk, 20, 5_000.0)
    assert desk.state.accounts[ACCOUNT].unstreamed == {COIN_ID: 10}
    assert desk.state.accounts[ACCOUNT].drifts == {}
    split(desk, 20, 5_000.0)
    assert len(desk.of(PositionSplit)) == 1


def test_lots_that_cost_money_are_drift_as_ever() -> None:
    desk = desk_with()
    desk.enter()
    split(desk, 20, 10_000.0)
    assert desk.of(PositionSplit) == []
    assert [(one.our_lots, one.venue_lots) for one in desk.of(DriftSeen)] == [(10, 20)]
