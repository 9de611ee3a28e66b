"""What losses are measured from: never from a guess, and never moved by money that comes or goes into a loss of its own."""



import msgspec
import pytest

from engine.brakes import DAY_LOSS
from engine.events import BrakeSet, FlattenStarted, PositionSplit
from engine.inputs import (
    Bar,
    ConnectionChanged,
    EngineStarted,
    Limits,
    SetTradingState,
    TradingState,
    VenuePosition,
    VenueReported,
)
from engine.instruments import AssetClass
from engine.state import State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from engine.valuation import equity_minor
from tests.unit.alert_desk import fired, watch
from tests.unit.engine_desk import CASH_MINOR, COIN, COIN_ID, Desk, settings_of
from tests.unit.test_engine_brakes import DAY_SECONDS, brake, desk, falls_to, portfolio


def restarted(made: Desk, *, days: float = 0.0) -> Desk:
    """The engine after a restart, so many days later, before any price."""
    restored: State = decode_state(encode_state(made.state))
    again = Desk(settings=made.settings, state=restored, live=False)
    again.later(days * DAY_SECONDS)
    again.start()
    return again


def test_a_day_that_has_to_begin_without_a_price_counts_from_the_first_one() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_990)
    again = restarted(made, days=1)
    for _ in range(3):
        again.beat(121)
    again.quote(13_000)
    again.beat()
    assert again.state.day == made.state.day + 1
    assert portfolio(again).day_equity_minor == 13_000_000
    falls_to(again, 12_480)
    assert again.state.effective_state("main") is TradingState.REDUCING
    assert brake(again, DAY_LOSS).baseline_minor == 13_000_000


def test_an_overnight_gap_is_no_loss_of_the_day_that_began_without_a_price() -> None:
    made = desk(max_day_loss_fraction=0.04, max_drawdown_fraction=0.5)
    falls_to(made, 9_990)
    again = restarted(made, days=1)
    again.beat(121)
    again.quote(9_000)
    again.beat()
    assert portfolio(again).day_equity_minor == 9_000_000
    assert again.state.effective_state("main") is TradingState.ACTIVE


def test_who_resumes_before_any_price_lets_losses_count_from_the_first_one() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_400)
    again = restarted(made)
    assert again.do(SetTradingState("go", TradingState.ACTIVE, "main", "looked at it", "ann")).accepted
    again.quote(9_400)
    again.beat()
    assert again.state.effective_state("main") is TradingState.ACTIVE
    assert portfolio(again).day_equity_minor == 9_400_000
    falls_to(again, 9_024)
    assert again.state.effective_state("main") is TradingState.REDUCING


@pytest.mark.parametrize("ticks", [15_000, 7_000])
def test_what_was_sold_beside_us_is_neither_a_loss_nor_a_gain_of_the_day(ticks: int) -> None:
    """A part of what had risen, or fallen, since it was entered goes at the venue's own screen: worth became money."""
    made = desk(max_day_loss_fraction=0.04, max_drawdown_fraction=0.9)
    made.later(DAY_SECONDS)
    falls_to(made, ticks)
    before = portfolio(made)
    money = made.state.accounts["acct"].cash_minor + 400 * ticks
    told = msgspec.structs.replace(made.report(cash_minor=money), positions=(VenuePosition(COIN_ID, 600, 10_000.0),))
    for _ in range(3):
        made.later(20)
        made.quote(ticks)
        made.take(VenueReported(msgspec.structs.replace(told, venue_time_ns=made.at_ns)))
        made.beat()
    assert made.held.lots == 600
    assert equity_minor(made.state, made.market, "main") == before.day_equity_minor
    after = portfolio(made)
    assert (after.day_equity_minor, after.week_equity_minor, after.high_water_minor) == (
        before.day_equity_minor, before.week_equity_minor, before.high_water_minor)
    falls_to(made, round(ticks - 0.04 * 1_000 * ticks / 600))
    assert made.state.effective_state("main") is TradingState.REDUCING


@pytest.mark.parametrize(("lots", "average"), [(1_800, 5_000.0), (450, 20_000.0)])
def test_a_split_is_no_gain_and_no_loss_while_only_closes_of_before_are_known(lots: int, average: float) -> None:
    share = msgspec.structs.replace(COIN, asset_class=AssetClass.EQUITY)
    made = Desk(instruments=(share,), max_order_notional_fraction=2.0, max_position_fraction=2.0, max_heat_fraction=1.0,
                max_risk_per_order_fraction=0.0, stale_quote_seconds=1e3)
    made.beat()
    made.enter(lots=900, stop="10")
    made.take(Bar(COIN_ID, made.at_ns - 60 * NS_PER_SECOND, made.at_ns, 10_000, 10_000, 10_000, 10_000, 5))
    made.beat()
    told = msgspec.structs.replace(made.report(), positions=(VenuePosition(COIN_ID, lots, average),))
    made.later(3_600)
    made.take(VenueReported(msgspec.structs.replace(told, venue_time_ns=made.at_ns)))
    made.beat()
    made.quote(round(average))
    made.beat()
    assert len(made.of(PositionSplit)) == 1
    assert (portfolio(made).high_water_minor, made.of(BrakeSet)) == (CASH_MINOR, [])


def overnight(limits: Limits) -> Desk:
    """Two portfolios, one with all its money in coins; a restart a day later, at which the other one's venue stays silent."""
    made = Desk(settings=settings_of("main", "side", limits=limits))
    made.beat()
    made.enter(lots=1_000, stop="10")
    made.beat()
    again = Desk(settings=made.settings, state=decode_state(encode_state(made.state)), live=False)
    again.later(DAY_SECONDS)
    again.take(EngineStarted("e", "test", again.settings, again.instruments, {
        one.account: again.can for one in again.settings.portfolios}))
    again.take(ConnectionChanged("acct", up=True))
    again.reported()
    return again


ROOMY = Limits(max_order_notional_fraction=2.0, max_position_fraction=2.0, max_leverage=2.0, max_heat_fraction=1.0,
               max_risk_per_order_fraction=0.0, max_bucket_fraction=0.0, stale_quote_seconds=1e3, max_week_loss_fraction=0.5,
               max_drawdown_fraction=0.5, max_day_loss_fraction=0.04, brake_flatten=True)


def test_what_was_lost_over_night_is_no_loss_of_the_day_while_the_new_day_waits_for_another_portfolio() -> None:
    again = overnight(ROOMY)
    again.quote(9_300)
    again.beat()
    assert (again.of(BrakeSet), again.of(FlattenStarted)) == ([], [])
    again.beat(121)
    assert portfolio(again).day_equity_minor == 9_300_000
    falls_to(again, 8_928)
    assert again.state.effective_state("main") is TradingState.REDUCING


def test_no_rule_takes_what_was_lost_over_night_for_the_result_of_the_day() -> None:
    made = desk(max_day_loss_fraction=0.0)
    watch(made, "COIN price < 95 and day pnl < -5%", "close COIN")
    again = restarted(made, days=1)
    again.quote(9_300)
    again.beat()
    again.quote(9_290)
    assert fired(again) == 0
    falls_to(again, 8_800)
    assert fired(again) == 1
