"""Alert rules on the bare core: how a test sets one, counts its firings, and starts the engine anew."""

from typing import Any

from engine.alert_events import AlertRuleFired
from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.apply import apply
from engine.inputs import (
    SetAlertRule,
)
from engine.service import Receipt
from engine.state import State, decode_state, encode_state
from engine.units import NS_PER_SECOND
from tests.unit.engine_desk import Desk


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
