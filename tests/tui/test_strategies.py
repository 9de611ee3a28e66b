"""Strategies by keyboard: what each holds and wanted, what kept it, and a switch that asks first."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from engine.inputs import EnableStrategy
from engine.service import BudgetView, RegimeView, StrategyLine, StrategyView
from tests.tui.driving import Driver, driving
from tests.tui.risk_book import crowded_book
from tests.tui.views import NOW_NS, SECOND, snapshot


def line(symbol: str, **changes: Any) -> StrategyLine:
    fields: dict[str, Any] = {
        "symbol": symbol, "instrument_id": f"{symbol}@SIM", "bars": 12_480, "quantity": Decimal(0), "entry": None, "waiting": "",
        "want": "", "want_at_ns": 0, "refusal": ""}
    return StrategyLine(**{**fields, **changes})


def view(name: str, *lines: StrategyLine, **changes: Any) -> StrategyView:
    fields: dict[str, Any] = {
        "name": name, "rule": "ema_cross", "portfolio": "main", "symbols": tuple(one.symbol for one in lines),
        "params": {"fast": 12, "slow": 48, "risk_bps": 50}, "warmup_bars": 144, "enabled": True, "note": "", "lines": lines}
    return StrategyView(**{**fields, **changes})


BOUGHT = "buy: the average of 12 bars crossed above that of 48"
TREND = view(
    "trend",
    line("BTC/USD", quantity=Decimal("0.3500"), entry=Decimal("61250.00"), want=BOUGHT, want_at_ns=NOW_NS - 3_600 * SECOND),
    line("ETH/USD", want=BOUGHT, want_at_ns=NOW_NS - 7_200 * SECOND,
         refusal="heat would be 6.4%, above the limit of 6.0% [x]"))
PAIRS = view(
    "gold against silver", line("XAU/USD", bars=40, waiting="buy"), line("XAG/USD", bars=40), rule="pairs", enabled=False,
    note="stopped by user", warmup_bars=100)
UNKNOWN = view("of my own", rule="mine", symbols=("NONE/USD",), note="NONE/USD: no such instrument", params={})
REGIMES = (RegimeView("BTC/USD", "BTC/USD@SIM", 20_520, "trend up", "wild", 0.41, 1.83, 50.0),)
BUDGETS = (BudgetView("trend", Decimal("21344.58"), Decimal("50000.00"), True, 42.69, 1.25, 2.0),)


def with_strategies(version: int, *views: StrategyView) -> Any:
    book = msgspec.structs.replace(crowded_book(), budgets=BUDGETS)
    return snapshot(version, strategies=views, regimes=REGIMES, risks=(book,))


WITH_STRATEGIES = with_strategies(1, TREND, PAIRS, UNKNOWN)


async def opened(driver: Driver) -> None:
    await driver.press("A")
    await driver.sees("STRATEGY", "trend")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_strategy_says_what_it_holds_and_wanted_its_budget_and_its_market(size: tuple[int, int]) -> None:
    async with driving(WITH_STRATEGIES, size=size) as driver:
        await opened(driver)
        await driver.sees("● yes", "○ no", "BTC/USD", "0.3500", "✓ 03-08 13:32", "✗ 03-08 12:32", "never", "ema_cross",
                          "fast 12, slow 48", "holds    0.3500 at 61,250.00", "the average of 12 bars",
                          "21,344.58 at work, 42.69% of its 50,000.00",
                          "trend up, wild")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_one_that_cannot_run_is_off_and_says_why(size: tuple[int, int]) -> None:
    broken = view("of my own", line("BTC/USD", quantity=Decimal("0.3500"), entry=Decimal("61250.00")), rule="mine", enabled=False,
                  params={}, problem="strategies/mine.py:3: invalid [syntax]; once that is mended, start the engine again")
    async with driving(with_strategies(1, broken, TREND), size=size) as driver:
        await opened(driver)
        await driver.sees("✗ off", "● yes", "off      strategies/mine.py:3: invalid [syntax]; once that is",
                          "0.3500 at 61,250.00")


async def test_why_nothing_came_of_a_want_is_said_as_plain_text() -> None:
    async with driving(WITH_STRATEGIES) as driver:
        await opened(driver)
        await driver.press("down")
        await driver.sees("refused  heat would be 6.4%, above the limit of 6.0% [x]", "not known yet")


async def test_what_is_missing_of_a_strategy_is_said() -> None:
    async with driving(WITH_STRATEGIES) as driver:
        await opened(driver)
        await driver.press("down", "down")
        await driver.sees("60 bars to go", "a buy on its way", "note     stopped by user")
        await driver.press("end")
        await driver.sees("NONE/USD: no such instrument")


async def test_a_switch_asks_first_and_enter_changes_nothing() -> None:
    async with driving(WITH_STRATEGIES) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.sees("Stop trend", "What it holds stays")
        await driver.press("enter")
        await driver.sees("STRATEGY")
        assert not driver.sent(EnableStrategy)


@pytest.mark.parametrize(("downs", "name", "enabled"), [(0, "trend", False), (3, "gold against silver", True)])
async def test_a_strategy_is_stopped_and_let_run(downs: int, name: str, enabled: bool) -> None:
    async with driving(WITH_STRATEGIES) as driver:
        await opened(driver)
        await driver.press(*["down"] * downs, "f5")
        await driver.sees("Leave as is")
        await driver.press("right", "enter")
        await driver.until(lambda: driver.sent(EnableStrategy))
        sent = driver.sent(EnableStrategy)[0]
        assert (sent.strategy, sent.enabled, sent.by) == (name, enabled, "user")


async def test_a_switch_shows_in_the_list_once_the_engine_has_done_it() -> None:
    async with driving(with_strategies(1, TREND)) as driver:
        await opened(driver)
        assert "○ no" not in driver.text
        await driver.publish(with_strategies(2, msgspec.structs.replace(TREND, enabled=False, note="stopped by user")))
        await driver.sees("○ no", "stopped by user")


async def test_without_strategies_the_screen_says_where_they_come_from() -> None:
    async with driving(snapshot()) as driver:
        await driver.press("A")
        await driver.sees("No strategies: [[strategies]] sections")
        await driver.press("f5")
        assert len(driver.app.screen_stack) == 2


async def test_the_length_of_the_bars_that_it_sees_is_said() -> None:
    hourly = view("hourly", line("BTC/USD", bars=120), bar_seconds=3_600, params={"fast": 12})
    async with driving(with_strategies(1, hourly, TREND), size=(160, 45)) as driver:
        await opened(driver)
        await driver.sees("ema_cross of main on bars of 1h; fast 12", "144 bars, 120 seen; 24 bars to go")
        await driver.press("down")
        await driver.sees("ema_cross of main on the feed's bars; fast 12, slow 48")
