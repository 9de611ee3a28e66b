"""What an alert rule can look at: bars, volume, silence, results, ages, heat, drawdown, connections."""

import pytest

from engine.alert_events import AlertRuleFired
from engine.inputs import (
    Bar,
    ConnectionChanged,
)
from tests.unit.alert_desk import fired, watch
from tests.unit.engine_desk import COIN_ID, Desk


def bars(desk: Desk, *closes: int, seconds: int = 60, volume: int = 100) -> None:
    for close in closes:
        opened = desk.at_ns
        desk.later(seconds)
        desk.take(Bar(COIN_ID, opened, desk.at_ns, close, close + 10, close - 10, close, volume))


def test_a_move_is_measured_from_the_bar_that_was_closed_then() -> None:
    desk = Desk()
    watch(desk, "COIN move over 2m > 3%")
    bars(desk, 10_000, 10_000)
    desk.quote(10_400)
    assert fired(desk) == 0, "no bar is two minutes old"
    bars(desk, 10_000)
    desk.quote(10_300)
    assert fired(desk) == 0
    desk.quote(10_301)
    assert fired(desk) == 1


def test_a_mean_of_closes() -> None:
    desk = Desk()
    watch(desk, "COIN price crosses above ema(3)")
    bars(desk, 10_000, 10_000, 10_000, 9_900)
    desk.quote(9_900)
    assert fired(desk) == 0
    desk.quote(9_951)
    assert fired(desk) == 1


def test_an_average_range_in_percent_of_the_price() -> None:
    desk = Desk()
    watch(desk, "COIN atr(3) >= 0.2%")
    bars(desk, 10_000, 10_000)
    assert fired(desk) == 0
    bars(desk, 10_000)
    assert fired(desk) == 1


def test_a_relative_strength_index_of_closes() -> None:
    """Changes of +30, -10, +10: gains of 40 in 50 are 80. One of +30 more: Wilder's means are 170/9 and 20/9: 17 in 19."""
    desk = Desk()
    watch(desk, "COIN rsi(3) > 80")
    bars(desk, 10_000, 10_030, 10_020)
    assert fired(desk) == 0, "too few changes"
    bars(desk, 10_030)
    assert fired(desk) == 0, "80 is not above 80"
    bars(desk, 10_060)
    assert fired(desk) == 1
    assert desk.of(AlertRuleFired)[-1].reading == f"COIN rsi {100 * 17 / 19:.8f}"


def test_volume_of_the_window() -> None:
    desk = Desk()
    watch(desk, "COIN volume over 3m > 250")
    bars(desk, 10_000, 10_000)
    assert fired(desk) == 0
    bars(desk, 10_000)
    assert fired(desk) == 1


def test_a_silent_quote() -> None:
    desk = Desk()
    watch(desk, "COIN quote age > 30s")
    desk.beat(30)
    assert fired(desk) == 0
    desk.beat(1)
    assert fired(desk) == 1


@pytest.mark.parametrize(("condition", "price"), [
    ("COIN pnl > 50", 10_501), ("COIN pnl >= 5%", 10_500), ("COIN pnl > 1R", 10_501), ("COIN pnl < -20", 9_799)])
def test_the_result_of_a_position(condition: str, price: int) -> None:
    desk = Desk()
    watch(desk, condition)
    desk.quote(12_000)
    desk.quote(10_000)
    desk.enter(lots=10)
    towards = 1 if price < 10_000 else -1
    desk.quote(price + towards)
    assert fired(desk) == 0
    desk.quote(price)
    assert fired(desk) == 1


def test_the_result_of_a_short_is_taken_at_the_ask() -> None:
    from engine.orders import Side

    desk = Desk()
    desk.enter(lots=10, stop="105", side=Side.SELL)
    watch(desk, "COIN pnl > 50")
    desk.quote(9_400, 9_500)
    assert fired(desk) == 0
    desk.quote(9_400, 9_499)
    assert fired(desk) == 1


def test_the_age_of_a_position() -> None:
    desk = Desk()
    watch(desk, "COIN age > 1m", repeat=True, cooldown_seconds=0)
    desk.beat(100)
    desk.quote(10_000)
    desk.enter()
    desk.beat(60)
    assert fired(desk) == 0
    desk.beat(1)
    assert fired(desk) == 1


def test_heat_drawdown_and_the_day() -> None:
    desk = Desk()
    watch(desk, "heat > 0.04%", rule_id="heat")
    watch(desk, "drawdown > 0.1%", rule_id="drawdown")
    watch(desk, "day pnl < -150", rule_id="day")
    desk.beat()
    desk.enter(lots=100, stop="90")
    desk.beat()
    assert (fired(desk, "heat"), fired(desk, "drawdown"), fired(desk, "day")) == (1, 0, 0)
    desk.quote(9_850)
    desk.beat()
    assert (fired(desk, "drawdown"), fired(desk, "day")) == (1, 0)
    desk.quote(9_849)
    desk.beat()
    assert fired(desk, "day") == 1


def test_a_connection_that_went_down() -> None:
    desk = Desk()
    watch(desk, "connection is down")
    desk.beat()
    assert fired(desk) == 0
    desk.take(ConnectionChanged("acct", up=False))
    desk.beat()
    assert fired(desk) == 1
