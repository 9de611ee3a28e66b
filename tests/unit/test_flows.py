"""Deposits and withdrawals: a loss stays the part that it was, no brake comes too late for it, and a cost is a loss."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.apply_risk import moved
from engine.brakes import losses
from engine.events import BrakeSet, CashAdjusted, HighWaterRaised, PositionAdjusted
from engine.flow_events import CashNature, FlowValued
from engine.inputs import Bar, EngineStarted, SetTradingState, TradingState, VenueReported
from engine.risk_views import risk_view
from engine.service import AlertLevel
from engine.state import PortfolioState, decode_state, encode_state
from engine.tolerance import Limits
from engine.units import NS_PER_SECOND
from engine.valuation import equity_minor
from engine.views import account_view
from tests.unit.engine_desk import CASH_MINOR, COIN_ID, OTHER, Desk, alerts, fold, rows_of, settings_of, the_stop
from tests.unit.test_brake_baselines import restarted
from tests.unit.test_engine_brakes import desk, falls_to, portfolio

LIMITS: dict[str, Any] = {"max_day_loss_fraction": 0.1, "max_week_loss_fraction": 0.1, "max_drawdown_fraction": 0.1,
                          "brake_small_fraction": 0.0}


def comes(made: Desk, delta_minor: int) -> CashAdjusted:
    """The venue's cash changes without a fill, and a quiet report tells it."""
    made.reported(cash_minor=made.state.accounts["acct"].cash_minor + delta_minor)
    event: CashAdjusted = made.of(CashAdjusted)[-1]
    assert event.delta_minor == delta_minor
    made.beat()
    return event


def lost(made: Desk) -> dict[str, float]:
    found = losses(portfolio(made), equity_minor(made.state, made.market, "main"))
    return {loss.brake: round(loss.loss_fraction, 6) for loss in found}


def marked(made: Desk) -> None:
    """Its worth is recorded, so that it is known just before what comes next."""
    made.later(300)
    falls_to(made, made.market.marks[COIN_ID].bid_ticks)


@pytest.mark.parametrize("delta_minor", [9_600_000, 100_000_000, 250_000, -4_800_000, -8_000_000, -100_000])
def test_a_loss_stays_the_part_that_it_was(delta_minor: int) -> None:
    made = desk(**LIMITS)
    falls_to(made, 9_600)
    marked(made)
    assert comes(made, delta_minor).nature is CashNature.FLOW
    assert lost(made) == {"day loss": 0.04, "week loss": 0.04, "drawdown": 0.04}
    assert not made.of(BrakeSet) and not made.of(HighWaterRaised)


def test_by_hand_a_deposit_hides_no_loss_and_the_rest_of_the_limit_is_left() -> None:
    """100,000 became 91,000: 9 % of 10. 91,000 more make 182,000 of 200,000: entries end at 180,000, 2,000 further down, where
    the 1,000 coins cost 89.00. Moved by the sum alone, it would be 9,000 of 191,000, and entries would end at 171,900."""
    made = desk(**LIMITS)
    falls_to(made, 9_100)
    marked(made)
    comes(made, 9_100_000)
    assert portfolio(made).day_equity_minor == 20_000_000
    falls_to(made, 8_901)
    assert not made.of(BrakeSet)
    falls_to(made, 8_900)
    assert {one.brake for one in made.of(BrakeSet)} == {"day loss", "week loss", "drawdown"}


def test_by_hand_a_withdrawal_makes_no_loss_of_its_own() -> None:
    """100,000 became 94,000 in coins; half of it, booked out, leaves 47,000 of 50,000: 6 % as before, and not 6,000 of 53,000."""
    made = desk(**LIMITS)
    falls_to(made, 9_400)
    marked(made)
    comes(made, -4_700_000)
    assert portfolio(made).day_equity_minor == 5_000_000
    assert not made.of(BrakeSet)


def test_the_result_of_the_day_in_money_is_what_was_lost_and_in_parts_what_it_was_of() -> None:
    made = desk(**LIMITS)
    falls_to(made, 9_600)
    marked(made)
    comes(made, 9_600_000)
    view = account_view(made.state, made.market, made.at_ns, "main")
    assert (float(view.day_pnl), round(view.day_pnl_percent, 6)) == (-4_000.0, -4.0)
    made.later(86_400)
    falls_to(made, 9_600)
    view = account_view(made.state, made.market, made.at_ns, "main")
    assert (float(view.day_pnl), portfolio(made).day_surplus_minor) == (0.0, 0)


# ---- when it came is not known ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delta_minor", "worth"), [(5_000_000, 9_600_000), (-5_000_000, CASH_MINOR)])
def test_between_two_looks_the_moment_counts_that_makes_the_loss_larger(delta_minor: int, worth: int) -> None:
    """Its worth fell from 100,000 to 96,000 since it was recorded: what came is a part of the smaller, what went of the
    larger."""
    made = desk(**LIMITS)
    made.quote(9_600)
    assert comes(made, delta_minor).equity_minor == worth


def test_the_next_flow_is_a_part_of_what_was_there_after_the_one_before() -> None:
    made = desk(**LIMITS)
    comes(made, CASH_MINOR)
    assert portfolio(made).marked_equity_minor == 2 * CASH_MINOR
    assert comes(made, -CASH_MINOR).equity_minor == 2 * CASH_MINOR
    assert portfolio(made).day_equity_minor == CASH_MINOR


def test_goods_that_came_in_one_report_are_each_a_part_of_what_was_there_after_the_one_before() -> None:
    made = desk(**LIMITS)
    for seconds in (1, made.state.settings.settle_seconds + 1):
        made.later(seconds)
        made.quote(10_000, instrument_id=OTHER.instrument_id)
        made.reported(positions={COIN_ID: 1_500, OTHER.instrument_id: 500})
    assert [one.equity_minor for one in made.of(PositionAdjusted)] == [CASH_MINOR, CASH_MINOR + 5_000_000]
    made.beat()
    assert not made.of(BrakeSet) and not any(lost(made).values())


def test_goods_that_an_account_begins_with_are_not_all_that_it_is_worth() -> None:
    """Its cash is told after them; a flow before its worth is first recorded would be a part of the goods alone."""
    made = Desk(live=False)
    made.take(EngineStarted("e", "test", made.settings, made.instruments, {"acct": made.can}))
    made.quote(10_000)
    made.reported(positions={COIN_ID: 500})
    assert (made.held.lots, portfolio(made).marked_equity_minor) == (500, None)


def test_goods_without_a_quote_are_worth_what_they_are_valued_at() -> None:
    """A share outside of its session has its last close alone; what was paid for it long ago is no price of today."""
    made = desk(**LIMITS)
    opened_ns = made.at_ns - 60 * NS_PER_SECOND
    made.market.warm([Bar(OTHER.instrument_id, opened_ns, made.at_ns, 20_000, 20_000, 20_000, 20_000, 1)])
    for seconds in (1, made.state.settings.settle_seconds + 1):
        made.later(seconds)
        told = made.report(positions={COIN_ID: 1_000, OTHER.instrument_id: 500})
        lots = tuple(msgspec.structs.replace(one, average_ticks=5_000.0) for one in told.positions)
        made.take(VenueReported(msgspec.structs.replace(told, positions=lots)))
    assert equity_minor(made.state, made.market, "main") == 2 * CASH_MINOR
    assert portfolio(made).day_equity_minor == 2 * CASH_MINOR


# ---- before there is a price ------------------------------------------------------------------------------------------------


def test_what_came_while_no_engine_ran_waits_for_the_first_price() -> None:
    made = desk(**LIMITS)
    again = restarted(made)
    again.reported(cash_minor=made.state.accounts["acct"].cash_minor + CASH_MINOR)
    assert again.of(CashAdjusted)[-1].nature is CashNature.WAITING
    assert again.state.accounts["acct"].cash_minor == made.state.accounts["acct"].cash_minor + CASH_MINOR
    again.beat()
    assert portfolio(again).day_equity_minor == CASH_MINOR and not again.of(FlowValued)
    again.reported(cash_minor=again.state.accounts["acct"].cash_minor + CASH_MINOR)
    assert portfolio(again).waiting_flow_minor == 2 * CASH_MINOR
    restored = decode_state(encode_state(again.state))
    third = Desk(settings=made.settings, state=restored, live=False)
    third.start()
    falls_to(third, 9_500)
    assert third.of(FlowValued)[-1].equity_minor == 9_500_000
    assert lost(third)["day loss"] == 0.05
    assert portfolio(third).waiting_flow_minor == 0


def test_who_resumes_while_a_flow_waits_lets_losses_count_from_what_is_there_then() -> None:
    made = desk(**LIMITS)
    falls_to(made, 8_400)
    again = restarted(made)
    again.reported(cash_minor=again.state.accounts["acct"].cash_minor + CASH_MINOR)
    again.quote(8_400)
    assert lost(again)["day loss"] == 0.16, "no part of the money that waits hides a loss meanwhile"
    shown = {one.name: one.used for one in risk_view(again.state, again.market, again.at_ns, "main").limits}
    assert shown["max_day_loss_fraction"] == "16.00 %"
    assert again.do(SetTradingState("go", TradingState.ACTIVE, "main", "looked at it", "ann")).accepted
    again.beat()
    assert (portfolio(again).day_equity_minor, lost(again)["day loss"]) == (CASH_MINOR + 8_400_000, 0.0)


def test_a_replay_of_the_journal_comes_to_the_same() -> None:
    made = Desk(settings=settings_of("main", limits=Limits(**LIMITS)))
    made.beat()
    made.enter(lots=200)
    for ticks, delta_minor in ((9_700, 1_234_567), (9_801, -20_000), (9_650, -3_333_333)):
        made.quote(ticks)
        comes(made, delta_minor)
        made.later(60)
    assert [one.nature for one in made.of(CashAdjusted)[1:]] == [CashNature.FLOW, CashNature.COST, CashNature.FLOW]
    assert fold(rows_of(made)) == made.state


def test_a_report_that_fills_have_overtaken_tells_of_no_money() -> None:
    """A round trip that was streamed while the report was made is in our cash and not in its; lots agree, both are flat."""
    made = Desk()
    old = made.report()
    made.later(5)
    made.enter(lots=10)
    made.fill(the_stop(made), 10, 9_500)
    made.forget()
    made.take(VenueReported(old))
    assert made.of(CashAdjusted) == []
    made.reported(cash_minor=made.state.accounts["acct"].cash_minor)
    assert made.of(CashAdjusted) == []


# ---- what is a cost ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delta_minor", "nature"), [
    (-1, CashNature.COST), (-50_000, CashNature.COST), (-50_001, CashNature.FLOW), (1, CashNature.FLOW),
    (50_000, CashNature.FLOW)])
def test_a_little_less_is_a_cost_and_counts_as_a_loss(delta_minor: int, nature: CashNature) -> None:
    made = desk(**LIMITS)
    before = portfolio(made)
    assert comes(made, delta_minor).nature is nature
    after = portfolio(made)
    if nature is CashNature.COST:
        assert (after.day_equity_minor, after.fees_minor - before.fees_minor) == (before.day_equity_minor, -delta_minor)
        assert after.adjusted_minor == before.adjusted_minor
    cost = sum(position.cost_minor for position in made.state.positions.values())
    assert made.state.accounts["acct"].cash_minor == after.adjusted_minor + after.realized_minor - after.fees_minor - cost


def test_costs_add_up_to_a_brake() -> None:
    made = desk(**{**LIMITS, "max_day_loss_fraction": 0.012})
    for _ in range(3):
        comes(made, -40_000)
    assert {one.brake for one in made.of(BrakeSet)} == {"day loss"}
    told = alerts(made, "cash")
    assert told[-1] == "the venue's cash differs from ours by -400.00 USD; its word was taken, as a cost, which is a loss"
    assert made.state.alerts["cash:acct"].level is AlertLevel.WARN


# ---- everything that there is -----------------------------------------------------------------------------------------------


def state_of(baseline: int) -> PortfolioState:
    (chosen,) = settings_of("main", limits=Limits(**LIMITS)).portfolios
    return PortfolioState(chosen, day_equity_minor=baseline, week_equity_minor=baseline, high_water_minor=baseline)


@settings(max_examples=300)
@given(baseline=st.integers(1, 10**12), equity=st.integers(1, 10**12), flows=st.lists(st.integers(-10**12, 10**12), max_size=8))
def test_no_row_of_flows_makes_a_loss_smaller_or_much_larger(baseline: int, equity: int, flows: list[int]) -> None:
    known, worth = state_of(baseline), equity
    part = Fraction(equity, baseline)
    for flow in flows:
        flow = max(flow, 1 - worth)
        known = moved(known, flow, worth)
        worth += flow
        assert known.day_equity_minor is not None
        assert Fraction(worth, known.day_equity_minor) <= part
        assert known.day_equity_minor - 1 < worth / part * (1 + Fraction(len(flows) * baseline, 1)), "rounded, and no more"
        part = Fraction(worth, known.day_equity_minor)
    result: Any = known.day_result_minor(worth)
    assert result == equity - baseline, "in money nothing came and nothing went"
    assert known.day_equity_minor == known.week_equity_minor == known.high_water_minor


@pytest.mark.parametrize(("equity", "delta", "after"), [(0, 500, 1_500), (100, -100, 0), (100, -300, 0), (-10, 5, 1_005)])
def test_where_nothing_was_or_is_left(equity: int, delta: int, after: int) -> None:
    assert moved(state_of(1_000), delta, equity).day_equity_minor == after
