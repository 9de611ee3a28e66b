"""Candidates by keyboard: stages, gates, a promotion that asks for the name, and the way back."""

from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import DemoteCandidate, PromoteCandidate, Stage
from engine.service import CandidateView, GateView, StageChangeView
from tests.tui.driving import Driver, driving
from tests.tui.views import NOW_NS, SECOND, snapshot

DAY = 86_400 * SECOND
PARITY = GateView("parity", True, "the same as the engine", "the same fills")
PAPER_GATES = (
    GateView("paper days", True, "at least 30", "41.5"), GateView("paper round trips", False, "at least 30", "22"),
    GateView("paper drawdown", True, "at most 10.0%", "3.1%"), GateView("paper return", True, "at least 0.0%", "1.2%"), PARITY,
    GateView("settled forecasts", True, "at least 100", "240"), GateView("Brier score", False, "at most 0.24", "0.251"))


def view(name: str = "trend", **changes: Any) -> CandidateView:
    fields: dict[str, Any] = {
        "name": name, "rule": "ema_cross", "portfolio": "main", "live": False, "stage": "paper", "next_stage": "staged_live",
        "since_ns": NOW_NS - 42 * DAY, "digest": "0badcafe0badcafe", "uses_model": True, "may_enter": True,
        "capital_percent": 100.0,
        "days": 41.5, "round_trips": 22, "net": Decimal("1204.10"), "money_decimals": 2, "currency": "USD",
        "drawdown_percent": 3.1, "losing_streak": 1, "gates": PAPER_GATES, "evidence": (),
        "history": (StageChangeView("paper", NOW_NS - 42 * DAY, "ada", "a fair file [x]"),)}
    return CandidateView(**{**fields, **changes})


READY = view("reversion", rule="mean_reversion", stage="backtest", next_stage="paper", round_trips=0, days=0.0, net=Decimal(0),
             drawdown_percent=0.0, uses_model=False,
             gates=(GateView("backtest days", True, "at least 180", "400.0"), PARITY))
STAGED = view("breakout", rule="breakout", portfolio="coins", live=True, stage="staged_live", next_stage="full_live",
              capital_percent=25.0, uses_model=False, net=Decimal("-310.55"), drawdown_percent=8.25, gates=(
                  GateView("staged days", False, "at least 60", "12.0"), PARITY))
BARRED = view("grid", rule="grid", portfolio="coins", live=True, stage="research", next_stage="backtest", may_enter=False,
              since_ns=0, days=0.0, round_trips=0, net=Decimal(0), drawdown_percent=0.0,
              gates=(GateView("backtest", False, "one of this form", "none recorded"),), history=(), uses_model=False)
WITH_CANDIDATES = snapshot(candidates=(view(), READY, STAGED, BARRED))


async def opened(driver: Driver) -> None:
    await driver.press("C")
    await driver.sees("Candidates", "trend")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_stages_and_what_the_next_one_asks_for_are_shown(size: tuple[int, int]) -> None:
    async with driving(WITH_CANDIDATES, size=size) as driver:
        await opened(driver)
        await driver.sees("staged_live", "5 of 7", "✓ all", "+1,204.10", "✗ paper round trips", "(needed: at least 30)",
                          "✓ parity", "✗ Brier score", "0.251", "a fair file [x]", "main, paper: enters with 100% of its capital")
        await driver.press("down", "down")
        await driver.sees("■ staged_live", "coins, real money: enters with 25% of its capital", "✗ staged days")
        await driver.press("down")
        await driver.sees("coins, real money: enters nothing", "none recorded")


async def test_a_promotion_asks_for_the_name_and_is_of_what_was_shown() -> None:
    async with driving(WITH_CANDIDATES) as driver:
        await opened(driver)
        await driver.press("down", "f5")
        await driver.sees("Promote reversion", "from backtest to paper", "nothing with real money", "2 gates are met")
        await driver.press(*"reversiom", "enter")
        await driver.sees("type reversion to promote it")
        assert not driver.sent(PromoteCandidate)
        await driver.press("backspace", "n", "enter", "enter")
        await driver.until(lambda: driver.sent(PromoteCandidate))
        sent = driver.sent(PromoteCandidate)[0]
        assert (sent.strategy, sent.stage, sent.digest) == ("reversion", Stage.PAPER, "0badcafe0badcafe")


async def test_what_real_money_means_is_said_before_it_is_asked() -> None:
    ready = view(gates=tuple(GateView(gate.name, True, gate.needed, gate.found) for gate in PAPER_GATES))
    async with driving(snapshot(candidates=(ready,))) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.sees("It may then enter with REAL MONEY.", "7 gates are met, form 0badcafe0badcafe")
        await driver.press("escape")
        assert not driver.sent(PromoteCandidate)


async def test_unmet_gates_are_named_and_nothing_is_sent() -> None:
    async with driving(WITH_CANDIDATES) as driver:
        await opened(driver)
        await driver.press("f5")
        await driver.sees("staged_live still asks for: paper round trips, Brier score")
        assert not driver.sent(PromoteCandidate)


async def test_a_demotion_asks_once_and_its_safe_answer_has_the_focus() -> None:
    async with driving(WITH_CANDIDATES) as driver:
        await opened(driver)
        await driver.press("d")
        await driver.sees("trend goes one stage back from paper", "stays protected")
        await driver.press("enter")
        assert not driver.sent(DemoteCandidate)
        await driver.press("d")
        await driver.sees("goes one stage back")
        await driver.press("right", "enter")
        await driver.until(lambda: driver.sent(DemoteCandidate))
        assert driver.sent(DemoteCandidate)[0].strategy == "trend"


async def test_the_last_stage_and_the_first_say_that_there_is_no_further_one() -> None:
    last = view(stage="full_live", next_stage="", gates=())
    async with driving(snapshot(candidates=(last, BARRED))) as driver:
        await opened(driver)
        await driver.sees("nothing: this is the last stage")
        await driver.press("f5")
        await driver.sees("there is no further stage")
        await driver.press("down", "d")
        await driver.sees("there is no stage before it")
