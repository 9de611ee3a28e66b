"""When an alert rule fires: levels, crossings, repetition with hysteresis and cool-down, expiry."""



from engine.alert_events import AlertRuleFired
from engine.effects import Notify
from engine.events import AlertRaised
from engine.inputs import (
    EnableAlertRule,
)
from tests.unit.alert_desk import fired, watch
from tests.unit.engine_desk import COIN_ID, OTHER, Desk

# ---- levels --------------------------------------------------------------------------------------------------------------


def test_a_level_fires_once_with_what_it_saw() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101 and spread < 50bps")
    for price in (10_050, 10_100, 10_101, 10_090, 10_200):
        desk.quote(price)
    assert fired(desk) == 1
    event = desk.of(AlertRuleFired)[0]
    assert event.reading == "COIN price 101.01, COIN spread 0bps"
    assert desk.of(AlertRaised)[-1].text == "COIN price > 101 and spread < 50bps (COIN price 101.01, COIN spread 0bps)"
    assert [effect for effect in desk.effects if isinstance(effect, Notify)]
    assert not desk.state.alert_index
    assert desk.state.alert_rules["r"].ended == "fired"


def test_a_wide_spread_holds_the_rule_back() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101 and spread < 50bps")
    desk.quote(10_150, 10_250)
    assert fired(desk) == 0
    desk.quote(10_150, 10_160)
    assert fired(desk) == 1


def test_exactly_at_the_level_is_not_above_it() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", rule_id="above")
    watch(desk, "COIN price >= 101", rule_id="at-least")
    desk.quote(10_100)
    assert (fired(desk, "above"), fired(desk, "at-least")) == (0, 1)
    desk.quote(10_100, 10_101)
    assert fired(desk, "above") == 1, "the price is the middle of bid and ask"


def test_a_quiet_quote_costs_no_decision() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101")
    desk.quote(10_000)
    before = desk.state
    assert desk.quote(10_050).state is before
    assert COIN_ID in desk.market.alert_memo.bands


def test_other_instruments_are_not_asked() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101")
    desk.quote(20_000, instrument_id=OTHER.instrument_id)
    assert fired(desk) == 0


def test_a_rule_over_two_instruments() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101 and OTHER price < 99")
    desk.quote(10_200)
    assert fired(desk) == 0, "nothing is known of the other one yet"
    desk.quote(9_800, instrument_id=OTHER.instrument_id)
    assert fired(desk) == 1


# ---- crossings -----------------------------------------------------------------------------------------------------------


def test_a_crossing_needs_both_sides() -> None:
    desk = Desk()
    desk.quote(10_200)
    watch(desk, "COIN price crosses above 101")
    desk.quote(10_300)
    assert fired(desk) == 0
    desk.quote(10_000)
    desk.quote(10_101)
    assert fired(desk) == 1


def test_a_trembling_price_crosses_once() -> None:
    desk = Desk()
    watch(desk, "COIN price crosses above 100", repeat=True, cooldown_seconds=0, hysteresis_bps=50)
    desk.quote(9_900)
    for price in (10_001, 9_990, 10_001, 9_980, 10_002):
        desk.quote(price)
    assert fired(desk) == 1
    desk.quote(9_949)
    desk.quote(10_001)
    assert fired(desk) == 2


def test_a_crossing_is_true_only_at_its_moment() -> None:
    desk = Desk()
    watch(desk, "COIN price crosses above 101 and spread < 50bps")
    desk.quote(10_000)
    desk.quote(10_150, 10_250)
    desk.quote(10_150, 10_160)
    assert fired(desk) == 0


def test_both_ways() -> None:
    desk = Desk()
    watch(desk, "COIN price crosses 101", repeat=True, cooldown_seconds=0)
    for price in (10_000, 10_200, 10_000, 10_200):
        desk.quote(price)
    assert fired(desk) == 3


# ---- repeating -----------------------------------------------------------------------------------------------------------


def test_a_repeating_rule_waits_until_it_is_over_by_its_hysteresis() -> None:
    desk = Desk()
    watch(desk, "COIN price > 100", repeat=True, cooldown_seconds=0, hysteresis_bps=100)
    for price in (10_001, 10_500, 9_950, 10_001, 9_901):
        desk.quote(price)
    assert fired(desk) == 1
    assert not desk.state.alert_rules["r"].armed
    desk.quote(9_900)
    assert desk.state.alert_rules["r"].armed
    desk.quote(10_001)
    assert fired(desk) == 2


def test_a_cool_down_holds_back_and_then_lets_go() -> None:
    desk = Desk()
    watch(desk, "COIN price > 100", repeat=True, cooldown_seconds=60)
    for price in (10_001, 9_000, 10_001):
        desk.quote(price)
    assert fired(desk) == 1
    desk.beat(59)
    assert fired(desk) == 1
    desk.beat(1)
    assert fired(desk) == 2


def test_a_rule_expires() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", lasts_seconds=60)
    desk.later(61)
    desk.quote(10_200)
    assert fired(desk) == 0
    assert desk.state.alert_rules["r"].ended == "expired"
    assert desk.do(EnableAlertRule("on", "r")).accepted
    desk.quote(10_200)
    assert fired(desk) == 1
