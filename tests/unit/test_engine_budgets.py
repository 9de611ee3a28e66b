"""Budgets of strategies: capital that compounds or is fixed, a part of the heat, and what an entry makes of them."""

from decimal import Decimal
from typing import Any

import pytest

from engine.budgets import uses
from engine.config import check_config, parse_config
from engine.inputs import AutomationLevel, Limits, PlaceOrder, SizeSpec
from engine.orders import Side
from engine.risk_views import risk_view
from engine.strategy_state import StrategySettings
from tests.unit.engine_desk import Desk, settings_of
from tests.unit.test_engine_construction import ROOMY

CASH = 10_000_000


def desk_of(*strategies: StrategySettings, limits: Limits = ROOMY) -> Desk:
    """A desk on 100,000.00 whose portfolio executes by itself."""
    desk = Desk(settings=settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=limits, strategies=strategies))
    desk.quote(10_000, instrument_id="OTHER@paper")
    assert desk.state.accounts["acct"].cash_minor == CASH
    return desk


def strategy(name: str = "s", **budget: Any) -> StrategySettings:
    return StrategySettings(name, "ema_cross", "main", ("COIN",), **budget)


def want(command_id: str = "c", symbol: str = "COIN", origin: str = "s", **size: Any) -> PlaceOrder:
    return PlaceOrder(command_id, symbol, Side.BUY, stop=Decimal(95), origin=origin, **size)


def size_of(desk: Desk, **size: Any) -> int:
    assert desk.do(want(**size)).accepted
    return desk.sent[0].order_lots


@pytest.mark.parametrize(("budget", "lots"), [
    ({}, 200), ({"capital_fraction": 0.1}, 20), ({"capital_fixed": Decimal(5_000)}, 10)])
def test_a_size_by_risk_is_a_part_of_the_strategys_capital(budget: dict[str, Any], lots: int) -> None:
    """1 % of what it has, at 5.00 a coin."""
    assert size_of(desk_of(strategy(**budget)), risk_percent=Decimal(1)) == lots


def test_a_share_is_one_of_the_capital_too() -> None:
    assert size_of(desk_of(strategy(capital_fraction=0.1)), size=SizeSpec(share_percent=Decimal(50))) == 50


def test_capital_that_compounds_follows_the_equity_and_fixed_capital_does_not() -> None:
    desk = desk_of(strategy(capital_fraction=0.1), strategy("f", capital_fixed=Decimal(5_000)))
    desk.enter("m", 100, symbol="OTHER")
    desk.quote(11_000, instrument_id="OTHER@paper")
    found = {use.strategy: use for use in uses(desk.state, desk.market, "main")}
    equity = CASH + 100 * 1_000
    assert found["s"].capital_minor == equity // 10
    assert found["f"].capital_minor == 500_000
    assert found["manual"].capital_minor is None and found["manual"].work_minor == 1_100_000


def test_an_order_of_a_plain_quantity_beyond_the_capital_is_refused() -> None:
    refusal = desk_of(strategy(capital_fixed=Decimal(1_000))).do(want(quantity=Decimal(11))).refusal
    assert refusal is not None and refusal.check == "strategy capital"
    assert refusal.message == "s would have 1100.00 USD at work; its capital is 1000.00 USD"


def test_any_other_size_is_cut_to_the_budgets_with_a_record() -> None:
    desk = desk_of(strategy(capital_fraction=0.5, heat_budget_fraction=0.002))
    assert size_of(desk, size=SizeSpec(largest=True)) == 40
    clamps = [clamp for event in desk.events for clamp in getattr(event, "clamps", ())]
    assert [clamp.limit for clamp in clamps][-2:] == ["strategy capital", "strategy heat"]
    assert clamps[-1].allowed == "0.20%"


def test_what_is_held_and_what_works_count_together() -> None:
    desk = desk_of(strategy(capital_fixed=Decimal(3_000)))
    desk.do(want("a", quantity=Decimal(10)))
    entry = desk.sent[0].client_order_id
    assert desk.do(want("b", symbol="OTHER", quantity=Decimal(15))).accepted
    desk.accept()
    desk.fill(entry, 10)
    refusal = desk.do(want("c", quantity=Decimal(6))).refusal
    assert refusal is not None and refusal.check == "strategy capital"
    assert desk.do(want("d", quantity=Decimal(5))).accepted


def test_what_a_person_adds_to_a_strategys_position_counts_against_its_budget() -> None:
    desk = desk_of(strategy(capital_fixed=Decimal(1_000)))
    desk.do(want("a", quantity=Decimal(8)))
    desk.accept()
    desk.fill(desk.sent[0].client_order_id, 8)
    refusal = desk.do(want("b", origin="manual", quantity=Decimal(5))).refusal
    assert refusal is not None and refusal.check == "strategy capital"
    assert desk.do(want("c", symbol="OTHER", origin="manual", quantity=Decimal(5))).accepted


def test_one_strategys_budget_is_nothing_to_another() -> None:
    desk = desk_of(strategy(capital_fixed=Decimal(100)), strategy("t"))
    assert desk.do(want(symbol="OTHER", origin="t", quantity=Decimal(50))).accepted


def test_the_use_of_each_strategy_is_shown() -> None:
    desk = desk_of(strategy(capital_fixed=Decimal(4_000), heat_budget_fraction=0.01))
    desk.do(want("a", quantity=Decimal(10)))
    (budget,) = risk_view(desk.state, desk.market, desk.at_ns, "main").budgets
    assert (budget.strategy, budget.work, budget.capital, budget.used_percent) == ("s", Decimal(1_000), Decimal(4_000), 25.0)
    assert (budget.heat_percent, budget.heat_limit_percent, budget.compounds) == (0.05, 1.0, False)


def test_budgets_in_the_configuration() -> None:
    text = '[[strategies]]\nname = "s"\nrule = "ema_cross"\nsymbols = ["BTC/USD"]\n'
    made = parse_config(text + "capital_fixed = 2500\nheat_budget_fraction = 0.02\n", "c").settings().strategies[0]
    assert (made.capital_fixed, made.capital_fraction, made.heat_budget_fraction) == (Decimal(2_500), 0.0, 0.02)
    both = check_config(text + "capital_fixed = 2500\ncapital_fraction = 0.5\n", "c").errors
    assert any("capital compounds or is fixed" in line for line in both)
    idle = check_config(text + "heat_budget_fraction = 0.5\ncapital_fraction = 1.5\n", "c").warnings
    assert any("it never binds" in line for line in idle) and any("cannot all be at work at once" in line for line in idle)


def test_heat_budgets_that_are_more_than_all_of_the_heat_are_told() -> None:
    one = '[[strategies]]\nname = "{0}"\nrule = "momentum"\nsymbols = ["{1}"]\nheat_budget_fraction = {2}\n'
    for share, told in ((0.04, True), (0.03, False)):
        text = one.format("a", "AAPL", share) + one.format("b", "MSFT", share)
        checked = check_config(text, "c")
        assert not checked.errors, checked.errors
        assert any("cannot all use theirs at once" in line for line in checked.warnings) is told
