"""Alert rules on the bare core: when they fire, what they do, and that it happens once."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule, AllOf, AnyOf, Term
from engine.apply import apply
from engine.effects import Notify
from engine.events import (
    AlertRaised,
    AlertRuleFired,
    AlertRuleNoted,
    AlertRuleSwitched,
    OrderIntended,
    PlanSet,
    ProposalRaised,
    TradingStateChanged,
    WantRefused,
)
from engine.inputs import (
    AutomationLevel,
    Bar,
    ConnectionChanged,
    EnableAlertRule,
    Limits,
    ReadAlertRule,
    RemoveAlertRule,
    SetAlertRule,
    SetTradingState,
    TradingState,
)
from engine.orders import Purpose
from engine.service import Receipt
from engine.state import State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import COIN_ID, NATIVE, OTHER, Desk, settings_of


def rule(condition: str, do: str = "notify", rule_id: str = "r", **more: Any) -> AlertRule:
    return AlertRule(rule_id, parse_condition(condition), actions=parse_actions(do), **more)


def watch(desk: Desk, condition: str, do: str = "notify", rule_id: str = "r", **more: Any) -> Receipt:
    receipt = desk.do(SetAlertRule(f"set-{rule_id}-{desk.state.seq}", rule(condition, do, rule_id, **more)))
    assert receipt.accepted, receipt.refusal
    return receipt


def fired(desk: Desk, rule_id: str = "r") -> int:
    return sum(1 for event in desk.of(AlertRuleFired) if event.rule_id == rule_id)


def again(desk: Desk, **more: Any) -> Desk:
    """The engine after a crash: what was journaled, and a market picture that knows nothing yet."""
    state = State()
    for row in desk.rows:
        state = apply(state, row)
    assert encode_state(decode_state(encode_state(state))) == encode_state(state)
    after = Desk(state=state, settings=desk.settings, can=desk.can, live=False, **more)
    after.at_ns = state.at_ns + NS_PER_SECOND
    return after


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


# ---- time, bars and money ------------------------------------------------------------------------------------------------


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


# ---- actions -------------------------------------------------------------------------------------------------------------


def automatic(**more: Any) -> Desk:
    limits = Limits(max_heat_fraction=0.5)
    return Desk(settings=settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=limits), **more)


def test_an_order_takes_the_way_of_every_order_in_one_transaction() -> None:
    desk = automatic()
    watch(desk, "COIN price > 101", "buy 5 COIN stop 95")
    decision = desk.quote(10_200)
    kinds = [type(row.event) for row in decision.events]
    assert kinds.index(AlertRuleFired) < kinds.index(OrderIntended)
    entry = next(intent for intent in desk.sent if intent.purpose is Purpose.ENTRY)
    assert (entry.order_lots, entry.strategy) == (5, "alert:r")


def test_where_approvals_are_asked_for_it_becomes_a_pending_trade() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", "buy 5 COIN stop 95")
    desk.quote(10_200)
    assert len(desk.of(ProposalRaised)) == 1
    assert not desk.of(OrderIntended)


def test_a_refused_action_is_told_and_the_rule_has_fired() -> None:
    desk = automatic()
    watch(desk, "COIN price > 101", "buy 5 COIN")
    desk.quote(10_200)
    assert fired(desk) == 1
    assert desk.of(WantRefused)[0].check == "stop required"
    assert desk.of(AlertRaised)[-1].code == "alert-action"


def test_an_order_waits_for_the_venue() -> None:
    desk = automatic()
    watch(desk, "COIN price > 101", "buy 5 COIN stop 95")
    desk.take(ConnectionChanged("acct", up=False))
    desk.quote(10_200)
    assert fired(desk) == 0
    desk.take(ConnectionChanged("acct", up=True))
    desk.reported()
    desk.quote(10_200)
    assert fired(desk) == 1
    assert desk.of(OrderIntended)


def test_close() -> None:
    desk = Desk()
    desk.enter()
    watch(desk, "COIN price < 98", "close COIN")
    desk.quote(9_799)
    assert desk.held.exit_reason == "closed by alert r"


@pytest.mark.parametrize(("aim", "stop"), [("97", 9_700), ("1%", 9_999), ("entry", 10_000), ("94", 9_500)])
def test_a_stop_is_tightened_and_never_loosened(aim: str, stop: int) -> None:
    desk = Desk()
    desk.enter()
    watch(desk, "COIN price > 100.5", f"tighten COIN to {aim}")
    desk.quote(10_100)
    assert fired(desk) == 1
    assert desk.held.stop_ticks == stop
    assert len(desk.of(PlanSet)) == (0 if aim == "94" else 1)


def test_halting_never_undoes_what_is_stricter() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", "halt")
    desk.quote(10_200)
    assert desk.state.portfolios["main"].trading_state is TradingState.HALTED
    watch(desk, "COIN price > 101", "reduce", rule_id="later")
    desk.quote(10_200)
    assert desk.state.portfolios["main"].trading_state is TradingState.HALTED
    desk.do(SetTradingState("resume", TradingState.ACTIVE))
    watch(desk, "COIN price > 101", "halt everything", rule_id="all")
    desk.quote(10_200)
    assert desk.state.trading_state is TradingState.HALTED
    assert len([event for event in desk.of(TradingStateChanged) if event.by.startswith("alert")]) == 2


# ---- commands ------------------------------------------------------------------------------------------------------------


def test_commands_take_effect_once() -> None:
    desk = Desk()
    command = SetAlertRule("one", rule("COIN price > 101", rule_id=""))
    desk.do(command)
    [rule_id] = desk.state.alert_rules
    assert rule_id.startswith("a")
    assert "already done" in desk.do(command).text
    assert list(desk.state.alert_rules) == [rule_id]
    assert desk.do(EnableAlertRule("off", rule_id, enabled=False)).accepted
    assert not desk.state.alert_index
    desk.quote(10_200)
    assert not desk.of(AlertRuleFired)
    assert desk.do(EnableAlertRule("on", rule_id)).accepted
    desk.quote(10_200)
    assert fired(desk, rule_id) == 1
    assert desk.do(RemoveAlertRule("gone", rule_id)).accepted
    assert not desk.state.alert_rules
    assert not desk.do(RemoveAlertRule("gone-2", rule_id)).accepted


def test_a_replaced_rule_starts_anew() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101")
    desk.quote(10_200)
    watch(desk, "OTHER price > 101")
    assert list(desk.state.alert_index) == [OTHER.instrument_id]
    assert desk.state.alert_rules["r"].fired_count == 0


@pytest.mark.parametrize(("wrong", "words"), [
    (rule("NOPE price > 1"), "not listed"),
    (rule("COIN price > 1", portfolio="nope"), "no portfolio"),
    (rule("COIN price > 1", "close NOPE"), "not listed"),
    (rule("COIN price > 1", rule_id="a b"), "a rule's id"),
    (rule("COIN price > 1", hysteresis_bps=9_999), "hysteresis"),
    (rule("COIN price > 1", cooldown_seconds=-1), "cool-down"),
    (AlertRule("r", AnyOf((parse_condition("heat > 1%"), AllOf(())))), "at least two"),
    (AlertRule("r", parse_condition("heat > 1%"), actions=()), "actions"),
])
def test_a_rule_that_cannot_be_meant_is_refused(wrong: AlertRule, words: str) -> None:
    receipt = Desk().do(SetAlertRule("c", wrong))
    assert receipt.refusal is not None
    assert words in receipt.refusal.message


@pytest.mark.parametrize("fields", [
    {"level": Decimal("NaN")}, {"level": Decimal("Infinity")}, {"level": Decimal("1E+500")}, {"level": Decimal(-1)},
    {"symbol": ""}, {"over_seconds": 5}, {"bars": 5}, {"word": "x"}])
def test_a_term_from_the_socket_is_held_against_the_same_rules(fields: dict[str, Any]) -> None:
    term = parse_condition("COIN price > 1")
    assert isinstance(term, Term)
    receipt = Desk().do(SetAlertRule("c", AlertRule("r", msgspec.structs.replace(term, **fields))))
    assert not receipt.accepted


def test_a_rule_can_be_read_without_being_set() -> None:
    desk = Desk()
    receipt = desk.do(ReadAlertRule("c", rule("COIN price > 99 and OTHER price > 1")))
    assert [(one.value, one.holds) for one in receipt.readings] == [("100", True), ("not known", None)]
    assert "cannot be told yet" in receipt.text
    desk.quote(10_000, instrument_id=OTHER.instrument_id)
    assert "it holds now" in desk.do(ReadAlertRule("d", rule("COIN price > 99 and OTHER price > 1"))).text
    assert not desk.state.alert_rules


# ---- across a restart ----------------------------------------------------------------------------------------------------


def test_a_level_that_came_true_meanwhile_fires_at_the_first_quote() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101")
    desk.quote(10_000)
    after = again(desk)
    after.start()
    after.beat()
    assert fired(after) == 0
    after.quote(10_200)
    assert fired(after) == 1
    third = again(after)
    third.start()
    third.quote(10_200)
    assert fired(third) == 0


def test_a_crossing_compares_with_the_side_that_was_journaled() -> None:
    desk = Desk()
    watch(desk, "COIN price crosses above 101")
    desk.quote(10_000)
    assert desk.of(AlertRuleNoted)[-1].sides == (-1,)
    after = again(desk)
    after.start()
    after.quote(10_200)
    assert fired(after) == 1


def test_what_has_fired_is_not_readied_by_not_knowing() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", repeat=True, cooldown_seconds=0)
    desk.quote(10_200)
    after = again(desk)
    after.start()
    after.beat(100)
    after.quote(10_200)
    assert fired(after) == 0
    after.quote(10_000)
    after.quote(10_200)
    assert fired(after) == 1


def test_a_venue_that_is_just_coming_up_is_not_down() -> None:
    desk = Desk()
    watch(desk, "connection is down")
    after = again(desk)
    from engine.inputs import EngineStarted

    after.take(EngineStarted("e", "test", after.settings, after.instruments, {"acct": NATIVE}))
    after.beat()
    assert fired(after) == 0
    after.beat(31)
    assert fired(after) == 1


def test_an_expiry_is_journaled_once() -> None:
    desk = Desk()
    watch(desk, "COIN price > 101", lasts_seconds=5)
    desk.beat(6)
    desk.beat(6)
    assert len(desk.of(AlertRuleSwitched)) == 1
