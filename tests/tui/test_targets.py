"""The targets by keyboard: drift, the orders that would undo it, and a rebalancing."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import Rebalance
from engine.service import Mode, TargetLineView, TargetsView
from tests.tui.driving import Driver, driving
from tests.tui.views import NOW_NS, snapshot


def line(symbol: str, target: float, actual: float, change: str = "0", note: str = "") -> TargetLineView:
    return TargetLineView(symbol, f"{symbol}@SIM", target, actual, actual - target, abs(actual - target) > 5, Decimal("1.5"),
                          Decimal(change), Decimal("100.00"), abs(Decimal(change)) * 100, note)


def view(**changes: Any) -> TargetsView:
    fields: dict[str, Any] = {
        "portfolio": "main", "currency": "USD", "money_decimals": 2, "method": "risk_parity", "returns": 120,
        "base": Decimal("100000.00"), "cash_percent": 12.5, "cash_target_percent": 5.0, "drift_band_percent": 5.0,
        "relative_band_percent": 25.0, "stop_percent": 20.0, "turnover_percent": 14.25, "due": True, "capped": False,
        "lines": (line("BTC/USD", 30.25, 42.5, "-0.1225"), line("ETH/USD", 46.5, 30.0, "1.9"),
                  line("SOL/USD", 18.25, 15.0, note="was stopped out [x]; bought again in 3.0 days"))}
    return TargetsView(**{**fields, **changes})


async def opened(driver: Driver) -> None:
    await driver.press("T")
    await driver.sees("Targets of main")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_target_actual_drift_and_orders_are_shown(size: tuple[int, int]) -> None:
    async with driving(snapshot(targets=(view(),)), size=size) as driver:
        await opened(driver)
        await driver.sees("BTC/USD", "42.50%", "+12.25% !", "close", "buy", "cash", "risk parity of 120 returns",
                          "turns over 14.25%", "5 points or 25% of the target; stops 20% away", "Rebalance")
        if size[0] > 120:
            await driver.sees("was stopped out [x]")


async def test_rebalancing_is_one_key_and_its_outcome_is_told() -> None:
    async with driving(snapshot(targets=(view(),))) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.until(lambda: driver.sent(Rebalance))
        assert driver.sent(Rebalance)[0].portfolio == "main"
        done = view(due=False, run_id="r", run_by="user", run_started_at_ns=NOW_NS, run_text="reduced BTC/USD; bought ETH/USD")
        await driver.publish(snapshot(2, targets=(done,)))
        await driver.sees("nothing to do", "last run", "reduced BTC/USD; bought ETH/USD")


async def test_a_key_held_down_rebalances_once() -> None:
    async with driving(snapshot(targets=(view(),))) as driver:
        driver.service.hold = asyncio.Event()
        await opened(driver)
        await driver.press("f5", "f5", "f5")
        await driver.pilot.pause()
        driver.service.hold.set()
        await driver.until(lambda: driver.sent(Rebalance))
        await driver.pilot.pause()
        assert len(driver.sent(Rebalance)) == 1


async def test_real_money_is_asked_for_once_more_with_cancel_focused() -> None:
    async with driving(snapshot(targets=(view(),), mode=Mode.LIVE)) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.sees("Rebalance main with real money?", "Send LIVE orders")
        await driver.press("enter")
        await driver.pilot.pause()
        assert driver.sent(Rebalance) == []
        await driver.press("f5", "right", "enter")
        await driver.until(lambda: driver.sent(Rebalance))


async def test_a_yes_to_real_money_is_not_sent_to_an_engine_that_fell_silent_under_the_question() -> None:
    async with driving(snapshot(targets=(view(),), mode=Mode.LIVE)) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.sees("Rebalance main with real money?")
        driver.clock.seconds += 11
        await driver.press("right", "enter")
        await driver.sees("not sent: the engine says nothing")
        assert driver.sent(Rebalance) == []


async def test_why_nothing_can_be_worked_out_is_said_and_nothing_is_sent() -> None:
    async with driving(snapshot(targets=(view(lines=(), refusal="there are too few bars of BTC/USD"),))) as driver:
        await opened(driver)
        await driver.sees("there are too few bars of BTC/USD")
        await driver.press("f5")
        await driver.pilot.pause()
        assert not driver.sent(Rebalance)


async def test_a_portfolio_without_targets_says_so_and_p_shows_one_that_has_some() -> None:
    async with driving(snapshot(targets=(view(portfolio="other"),))) as driver:
        await opened(driver)
        await driver.sees("no targets: give the portfolio a [portfolio.targets] section")
        await driver.press("p")
        await driver.sees("Targets of other", "ETH/USD")
