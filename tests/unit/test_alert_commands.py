"""Alert rules set, replaced, read and refused by command, and how they go on across a restart."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.alert_events import AlertRuleFired, AlertRuleNoted, AlertRuleSwitched
from engine.alert_language import parse_condition
from engine.alert_rules import AlertRule, AllOf, AnyOf, Term
from engine.inputs import (
    EnableAlertRule,
    ReadAlertRule,
    RemoveAlertRule,
    SetAlertRule,
)
from tests.unit.alert_desk import again, fired, rule, watch
from tests.unit.engine_desk import NATIVE, OTHER, Desk

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
