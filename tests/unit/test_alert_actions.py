"""What an alert rule does: orders through every check, closes, tighter stops, halts."""

from typing import Any

import pytest

from engine.alert_events import AlertRuleFired
from engine.events import AlertRaised, OrderIntended, PlanSet, ProposalRaised, TradingStateChanged, WantRefused
from engine.inputs import (
    AutomationLevel,
    ConnectionChanged,
    Limits,
    SetTradingState,
    TradingState,
)
from engine.orders import Purpose
from tests.unit.alert_desk import fired, watch
from tests.unit.engine_desk import Desk, settings_of


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
