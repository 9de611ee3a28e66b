"""Brakes: steps down with the loss, latched with cause and baseline, kept over restarts and midnights, let go by time or by a
person; money that comes or goes is no result, and exits are never held back."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.apply import apply
from engine.brakes import DAY_LOSS, DRAWDOWN, LOSING_STREAK, WEEK_LOSS, week_of
from engine.events import BrakeReleased, BrakeSet, CashAdjusted, DayRolled, FlattenStarted, HighWaterRaised, Recorded
from engine.inputs import ClosePosition, ConnectionChanged, EngineStarted, SetTradingState, TradingState
from engine.market import MarketView
from engine.orders import OrderKind
from engine.service import BrakeLevel
from engine.state import Brake, PortfolioState, State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import CASH_MINOR, COIN_ID, Desk, bought, settings_of
from tui.compose import day_number_in

DAY_SECONDS = 86_400.0
SMALL_LOSSES = {"max_week_loss_fraction": 0.0, "max_drawdown_fraction": 0.0}


def desk(**limits: Any) -> Desk:
    """A desk that holds 1,000 coins of 100.00, all of its equity, behind a stop far away; a tick is one percent of a percent."""
    made = Desk(**{"max_order_notional_fraction": 2.0, "max_position_fraction": 2.0, "max_leverage": 2.0,
                   "max_heat_fraction": 1.0, "max_risk_per_order_fraction": 0.0, "max_bucket_fraction": 0.0,
                   "stale_quote_seconds": 1e3, **SMALL_LOSSES, **limits})
    made.beat()
    made.enter(lots=1_000, stop="10")
    made.beat()
    made.forget()
    return made


def falls_to(made: Desk, ticks: int) -> None:
    made.quote(ticks)
    made.beat()


def portfolio(made: Desk) -> PortfolioState:
    return made.state.portfolios["main"]


def brake(made: Desk, name: str) -> Brake:
    return portfolio(made).brakes[name]


@pytest.mark.parametrize(("limit", "name"), [
    ("max_day_loss_fraction", DAY_LOSS), ("max_week_loss_fraction", WEEK_LOSS), ("max_drawdown_fraction", DRAWDOWN)])
def test_a_loss_brakes_in_steps_that_name_limit_and_value(limit: str, name: str) -> None:
    made = desk(**{"max_day_loss_fraction": 0.0, limit: 0.04})
    falls_to(made, 9_801)
    assert not portfolio(made).braked
    falls_to(made, 9_800)
    assert brake(made, name).level is BrakeLevel.SMALLER
    assert made.state.effective_state("main") is TradingState.ACTIVE
    falls_to(made, 9_600)
    assert made.state.effective_state("main") is TradingState.REDUCING
    assert brake(made, name).cause == f"{name} 4.00%, limit 4.00%"
    assert brake(made, name).baseline_minor == CASH_MINOR
    falls_to(made, 9_400)
    assert made.state.effective_state("main") is TradingState.HALTED
    assert [one.level for one in made.of(BrakeSet)] == [BrakeLevel.SMALLER, BrakeLevel.REDUCING, BrakeLevel.HALTED]


def test_a_brake_does_not_step_up_when_the_loss_comes_back() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_600)
    falls_to(made, 10_100)
    assert brake(made, DAY_LOSS).level is BrakeLevel.REDUCING
    assert len(made.of(BrakeSet)) == 1


def test_a_braked_portfolio_refuses_entries_and_lets_exits_go() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_400)
    refused = made.do(bought("more", 1)).refusal
    assert refused is not None
    assert (refused.check, refused.value) == ("trading state", "HALTED")
    assert made.do(ClosePosition("out", "COIN")).accepted


def test_working_entries_are_withdrawn_when_a_brake_stops_entries() -> None:
    made = desk(max_day_loss_fraction=0.04)
    receipt = made.do(bought("rest", 1, "10", kind=OrderKind.LIMIT, limit=Decimal(90)))
    assert receipt.accepted, receipt.refusal
    made.accept()
    falls_to(made, 9_600)
    assert receipt.order_ids[0] in made.cancels


def test_halting_flattens_where_the_portfolio_is_set_so() -> None:
    made = desk(max_day_loss_fraction=0.04, brake_flatten=True)
    falls_to(made, 9_400)
    assert len(made.of(FlattenStarted)) == 1


def test_a_deposit_is_no_gain_and_a_withdrawal_no_loss() -> None:
    made = desk(max_day_loss_fraction=0.04, max_drawdown_fraction=0.04)
    rows = made.state.seq
    made.state = apply(made.state, Recorded(rows + 1, made.at_ns, CashAdjusted("acct", -CASH_MINOR // 2, "withdrawn")))
    made.beat()
    assert not made.of(BrakeSet)
    made.state = apply(made.state, Recorded(rows + 2, made.at_ns, CashAdjusted("acct", 9 * CASH_MINOR, "deposited")))
    made.beat()
    assert not made.of(HighWaterRaised)
    falls_to(made, 9_000)
    assert not made.of(BrakeSet), "a tenth of a million is a small part of nine and a half"


def test_the_high_water_mark_is_recorded_by_steps() -> None:
    made = desk()
    for ticks in range(10_000, 10_200):
        falls_to(made, ticks)
    raised = [one.equity_minor for one in made.of(HighWaterRaised)]
    assert 10 < len(raised) < 25
    assert raised == sorted(raised)
    assert portfolio(made).high_water_minor == raised[-1]


@pytest.mark.parametrize("back", [0.0, 3_600.0])
def test_a_latched_state_outlasts_a_restart_in_mid_drawdown(back: float) -> None:
    made = desk(max_day_loss_fraction=0.0, max_drawdown_fraction=0.04)
    falls_to(made, 9_600)
    restored: State = decode_state(encode_state(made.state))
    again = Desk(settings=made.settings, state=restored, live=False)
    again.later(back)
    again.start()
    assert again.state.portfolios["main"].brakes == portfolio(made).brakes
    assert again.state.effective_state("main") is TradingState.REDUCING
    again.beat()
    assert not again.of(BrakeSet), "without a price nothing is concluded"
    again.quote(9_600)
    again.beat()
    assert again.state.portfolios["main"].high_water_minor == CASH_MINOR
    assert again.state.effective_state("main") is TradingState.REDUCING


def test_a_day_brake_ends_with_the_day_and_the_week_brake_with_the_week() -> None:
    made = desk(max_day_loss_fraction=0.04, max_week_loss_fraction=0.05)  # the desk's first day is a Saturday
    falls_to(made, 9_500)
    made.quote(9_500)
    made.beat(DAY_SECONDS)
    assert brake(made, DAY_LOSS).level is BrakeLevel.NONE
    assert brake(made, DAY_LOSS).release_cause == "a new day"
    assert brake(made, WEEK_LOSS).level is BrakeLevel.REDUCING
    assert portfolio(made).day_equity_minor == 9_500_000
    made.beat(DAY_SECONDS)
    assert brake(made, WEEK_LOSS).level is BrakeLevel.NONE
    assert made.state.effective_state("main") is TradingState.ACTIVE


def test_a_halt_outlasts_the_day() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_400)
    made.beat(DAY_SECONDS)
    assert made.state.effective_state("main") is TradingState.HALTED


def test_a_person_who_resumes_is_named_and_losses_count_anew() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_400)
    assert made.do(SetTradingState("go", TradingState.ACTIVE, "main", "looked at it", "ann")).accepted
    known = brake(made, DAY_LOSS)
    assert (known.level, known.released_by, known.release_cause) == (BrakeLevel.NONE, "ann", "looked at it")
    assert portfolio(made).day_equity_minor == 9_400_000
    made.beat()
    assert made.state.effective_state("main") is TradingState.ACTIVE
    assert len(made.of(BrakeReleased)) == 1
    falls_to(made, 9_024)
    assert made.state.effective_state("main") is TradingState.REDUCING


def test_a_losing_streak_pauses_entries_for_its_time() -> None:
    made = Desk(max_losing_streak=2, cooldown_seconds=600, duplicate_seconds=0, stale_quote_seconds=1e4)
    made.beat()
    for place in range(2):
        made.quote(10_000)
        made.enter(f"in{place}", 10)
        made.do(ClosePosition(f"out{place}", "COIN"))
        leaving = made.sent[-1].client_order_id
        made.accept()
        made.fill(leaving, 10, 9_990)
        made.confirm_cancels()
        made.beat()
    assert portfolio(made).losing_streak == 2
    assert brake(made, LOSING_STREAK).level is BrakeLevel.REDUCING
    assert not made.do(bought("third")).accepted
    made.beat(598)
    assert made.state.effective_state("main") is TradingState.REDUCING
    made.beat(10)
    assert made.state.effective_state("main") is TradingState.ACTIVE
    assert portfolio(made).losing_streak == 0
    assert brake(made, LOSING_STREAK).release_cause == "the pause is over"


@pytest.mark.parametrize("day", [8, 9])  # New York's clocks go forward on 2026-03-08
@pytest.mark.parametrize("month", [3, 11])  # and back on 2026-11-01
def test_days_roll_at_local_midnight_whatever_the_clocks_do(month: int, day: int) -> None:
    zone = ZoneInfo("America/New_York")
    first = datetime(2026, month, day if month == 3 else day - 7, tzinfo=zone)
    made = desk(max_day_loss_fraction=0.04)
    made.market = _in_zone(made, "America/New_York")
    midnight_ns = int(first.timestamp()) * NS_PER_SECOND
    made.at_ns = midnight_ns - 10 * NS_PER_SECOND
    made.quote(10_000)
    made.beat(1)
    falls_to(made, 9_600)
    assert made.state.effective_state("main") is TradingState.REDUCING
    before = made.state.day
    again = Desk(settings=made.settings, state=decode_state(encode_state(made.state)), live=False)
    again.market = _in_zone(again, "America/New_York")
    again.at_ns = midnight_ns + NS_PER_SECOND
    again.start()
    again.quote(9_600)
    again.beat(1)
    assert again.state.day == before + 1
    assert again.state.effective_state("main") is TradingState.ACTIVE


def _in_zone(made: Desk, zone: str) -> MarketView:
    view = MarketView(day_number_in(zone))
    view.marks.update(made.market.marks)
    return view


@pytest.mark.parametrize(("day", "week"), [("1970-01-04", -1), ("1970-01-05", 0), ("2026-03-08", 2930), ("2026-03-09", 2931)])
def test_weeks_begin_on_monday(day: str, week: int) -> None:
    number = datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp() // 86_400
    assert week_of(int(number)) == week


def test_no_day_begins_on_guessed_prices() -> None:
    made = desk()
    restored = decode_state(encode_state(made.state))
    again = Desk(settings=made.settings, state=restored, live=False)
    again.later(DAY_SECONDS)
    again.start()
    again.beat()
    assert again.state.day == made.state.day
    again.quote(11_000, instrument_id=COIN_ID)
    again.beat()
    assert again.state.portfolios["main"].day_equity_minor == 11_000_000


def test_an_account_that_is_never_heard_of_keeps_no_other_from_being_braked() -> None:
    """Its portfolio's losses count from the moment on at which its worth is known."""
    made = Desk(settings=settings_of("main", "side"), live=False)
    capabilities = {one.account: made.can for one in made.settings.portfolios}
    made.take(EngineStarted("e", "test", made.settings, made.instruments, capabilities))
    made.take(ConnectionChanged("acct", up=True))
    made.reported()
    made.beat()
    assert made.state.portfolios["main"].day_equity_minor is None, "the other one has a moment to answer"
    made.beat(121)
    first = made.state.portfolios
    assert (first["main"].day_equity_minor, first["main"].high_water_minor) == (CASH_MINOR, CASH_MINOR)
    assert first["side"].day_equity_minor is None
    made.take(ConnectionChanged("acct-side", up=True))
    made.reported(account="acct-side", cash_minor=500_000)
    made.reported(cash_minor=CASH_MINOR + 7)
    made.beat()
    then = made.state.portfolios
    assert (then["side"].day_equity_minor, then["side"].week_equity_minor, then["side"].high_water_minor) == (500_000,) * 3
    assert then["main"].day_equity_minor == CASH_MINOR + 7, "a deposit moves it, the other's beginning does not"
    assert len(made.of(DayRolled)) == 2
    made.beat()
    assert len(made.of(DayRolled)) == 2
