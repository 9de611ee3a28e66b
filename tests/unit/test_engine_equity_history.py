"""What reports need and prices alone cannot tell later: worth over time, extremes of positions, averages, who decided."""

import pytest

from engine.analytics.records import decided_ticks, fill_record, slippage_minor, trip_record
from engine.events import CashAdjusted, EquityMarked, OrderFilled
from engine.inputs import Approve, Bar, EngineStopping
from engine.orders import Purpose, Side
from engine.positions import RoundTrip
from engine.regimes import DayRegime
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN, COIN_ID, Desk, bought, fold, rows_of, the_stop


def marks(desk: Desk) -> list[EquityMarked]:
    return desk.of(EquityMarked)


def ended(desk: Desk) -> RoundTrip:
    (trip,) = desk.state.round_trips
    return trip


# ---- worth over time -----------------------------------------------------------------------------------------------------------


def test_worth_is_recorded_when_it_changed_and_every_five_minutes_at_most() -> None:
    desk = Desk()
    desk.beat()
    assert [mark.equity_minor for mark in marks(desk)] == [{"main": 10_000_000}]  # with the new day
    desk.beat(600)
    assert len(marks(desk)) == 1, "nothing is held: nothing changed"
    desk.quote(10_000)
    desk.enter(lots=10)
    desk.quote(10_100)
    desk.beat()
    assert marks(desk)[-1] == EquityMarked({"main": 10_001_000}, {"main": 101_000}, {f"main|{COIN_ID}": (10_000, 10_100)})
    desk.quote(10_200)
    desk.beat(299)
    assert len(marks(desk)) == 2, "five minutes are not over"
    desk.beat(1)
    assert marks(desk)[-1].equity_minor == {"main": 10_002_000}
    desk.beat(400)
    assert len(marks(desk)) == 3


def test_the_end_of_a_round_trip_is_recorded_with_the_next_beat() -> None:
    desk = Desk()
    desk.beat()
    desk.enter(lots=10)
    desk.fill(the_stop(desk), 10, 9_500)
    desk.beat()
    assert marks(desk)[-1].equity_minor == {"main": 9_995_000}
    count = len(marks(desk))
    desk.beat()
    assert len(marks(desk)) == count


def test_the_end_of_a_run_is_recorded_at_once() -> None:
    desk = Desk()
    desk.beat()
    desk.enter(lots=10)
    desk.quote(10_300)
    desk.take(EngineStopping())
    assert marks(desk)[-1].equity_minor == {"main": 10_003_000}


def test_a_portfolio_without_a_price_is_not_recorded() -> None:
    desk = Desk()
    desk.beat()
    desk.enter(lots=10)
    lost = Desk(state=desk.state, live=False)  # restarted: no price has come yet
    lost.start()
    lost.beat(400)
    assert marks(lost) == []
    lost.quote(10_050)
    lost.beat(1)
    assert marks(lost)[-1].equity_minor == {"main": 10_000_500}


def test_a_deposit_moves_worth_and_what_was_paid_in_alike() -> None:
    desk = Desk()
    desk.beat()
    before = desk.state.portfolios["main"]
    desk.reported(cash_minor=10_500_000)
    assert desk.of(CashAdjusted)[-1].delta_minor == 500_000
    desk.beat(300)
    after = desk.state.portfolios["main"]
    assert after.marked_equity_minor == 10_500_000
    assert after.adjusted_minor - before.adjusted_minor == 500_000


# ---- extremes ------------------------------------------------------------------------------------------------------------------


def test_a_round_trip_knows_the_worst_and_best_price_and_its_averages() -> None:
    desk = Desk()
    desk.quote(9_000)  # before the entry: does not count
    desk.quote(10_000)
    desk.later(1)
    desk.enter(lots=10, stop="60")
    for bid in (9_800, 10_600, 10_200):
        desk.later(1)
        desk.quote(bid)
    desk.fill(the_stop(desk), 4, 10_400)
    desk.later(1)
    desk.quote(9_700)
    desk.fill(the_stop(desk), 6, 10_100)
    trip = ended(desk)
    assert trip.entry_ticks == 10_000.0
    assert trip.exit_ticks == pytest.approx((4 * 10_400 + 6 * 10_100) / 10)
    assert (trip.low_ticks, trip.high_ticks) == (9_700, 10_600)
    assert trip.decision == "manual"
    record = trip_record(trip, COIN)
    assert (record.entry_price, record.quantity, record.net_minor) == (100.0, 10.0, 2_200)
    assert record.adverse_fraction == pytest.approx(0.03)
    assert record.favourable_fraction == pytest.approx(0.06)


def test_a_short_suffers_from_high_prices() -> None:
    desk = Desk()
    desk.later(1)
    desk.enter(lots=10, stop="150", side=Side.SELL)
    desk.later(1)
    desk.quote(10_300, 10_400)
    desk.quote(9_500, 9_600)
    desk.fill(the_stop(desk), 10, 9_700)
    trip = ended(desk)
    assert (trip.low_ticks, trip.high_ticks) == (9_600, 10_400), "a short leaves at the ask"
    record = trip_record(trip, COIN)
    assert record.adverse_fraction == pytest.approx(0.04)
    assert record.favourable_fraction == pytest.approx(0.04)


def test_of_a_bar_that_was_open_before_the_entry_only_the_close_counts() -> None:
    desk = Desk()
    opened_ns = desk.at_ns
    desk.later(5)
    desk.enter(lots=10, stop="60")
    desk.later(55)
    desk.take(Bar(COIN_ID, opened_ns, desk.at_ns, 10_000, 12_000, 8_000, 10_100, 5))
    desk.later(60)
    desk.take(Bar(COIN_ID, desk.at_ns - 60 * NS_PER_SECOND, desk.at_ns, 10_100, 10_500, 9_900, 10_200, 5))
    desk.fill(the_stop(desk), 10, 10_000)
    assert (ended(desk).low_ticks, ended(desk).high_ticks) == (9_900, 10_500)


def test_extremes_survive_a_restart_as_far_as_they_were_recorded() -> None:
    desk = Desk()
    desk.beat()
    desk.enter(lots=10, stop="60")
    desk.quote(9_100)
    desk.quote(10_900)
    desk.beat(300)
    again = Desk(state=fold(rows_of(desk)), live=False)
    assert again.state == desk.state
    assert (again.held.low_ticks, again.held.high_ticks) == (9_100, 10_900)


def test_fills_that_were_recorded_before_extremes_were_kept_still_fold() -> None:
    desk = Desk()
    desk.enter(lots=10, stop="60")
    old = [row if row.kind != "OrderFilled" else row._replace(payload=row.payload.replace(b'"low_ticks"', b'"ignored"'))
           for row in rows_of(desk)]
    assert fold(old).positions.keys() == desk.state.positions.keys()


# ---- who decided, and at which price -------------------------------------------------------------------------------------------


def test_an_approved_proposal_is_told_from_a_strategy_that_acts_by_itself() -> None:
    desk = Desk()
    receipt = desk.do(bought("a", 10, origin="momentum"))
    proposal = desk.state.proposals[receipt.proposal_id]
    sent = desk.do(Approve("b", proposal.proposal_id, proposal.digest, by="ada"))
    desk.fill(sent.order_ids[0], 10)
    assert (desk.held.strategy, desk.held.decision) == ("momentum", "approved proposal")
    assert desk.order(sent.order_ids[0]).intent.approved_by == "ada"


def test_a_round_trip_keeps_the_regime_in_which_it_was_opened() -> None:
    desk = Desk()
    desk.changed(regimes={COIN_ID: DayRegime(1, 1, 1, 0.5, 2.0)})
    desk.enter(lots=10)
    desk.changed(regimes={COIN_ID: DayRegime(2, 0, -1, 0.1, 0.5)})
    desk.fill(the_stop(desk), 10, 9_500)
    assert ended(desk).regime == "trend up, wild"
    assert trip_record(ended(desk), COIN).regime == "trend up, wild"


@pytest.mark.parametrize(("side", "ticks", "cost"), [(Side.BUY, 10_010, 100), (Side.BUY, 9_990, -100), (Side.SELL, 9_990, 100)])
def test_slippage_is_what_a_fill_cost_against_the_decision(side: Side, ticks: int, cost: int) -> None:
    desk = Desk()
    entry = desk.enter(lots=10, stop="50" if side is Side.BUY else "150", side=side, at_ticks=ticks)
    fill = desk.of(OrderFilled)[-1].fill
    record = fill_record(fill, desk.order(entry).intent, COIN)
    assert (record.slippage_minor, record.sign) == (cost, side.sign)


def test_a_stop_is_held_against_its_level_not_against_the_market_when_it_was_placed() -> None:
    desk = Desk()
    desk.enter(lots=10, stop="95")
    stop = desk.order(the_stop(desk)).intent
    assert stop.purpose is Purpose.STOP
    assert decided_ticks(stop) == 9_500
    assert slippage_minor(desk.fill_of(stop.client_order_id, 10, 9_480), 9_500, COIN) == 200
    assert slippage_minor(desk.fill_of(stop.client_order_id, 10, 9_480), 0, COIN) is None
