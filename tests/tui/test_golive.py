"""The gates before real money, opened from the palette."""

import pytest

from engine.service import GoLiveGate, GoLiveView
from tests.tui.driving import driving
from tests.tui.views import snapshot

GATES = (
    GoLiveGate("rehearsal", False, "every incident passed with version 0.1.0 within 30 days",
               "8 of 10 incidents; halt FAILED, crash with 0.0.9 [x]", "`quarterdeck rehearse --all`"),
    GoLiveGate("paper days", True, "at least 20", "31", "trade on paper"))
WITH_GATES = snapshot(golive=(GoLiveView("other", live=False, gates=()), GoLiveView("main", live=True, gates=GATES)))


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_gates_are_listed_with_what_is_missing_and_what_to_do(size: tuple[int, int]) -> None:
    async with driving(WITH_GATES, size=size) as driver:
        await driver.press("colon")
        await driver.press(*"go live", "enter")
        await driver.sees("Go live: main (real money), 1 of 2 gates not met", "✗ no", "halt FAILED, crash with 0.0.9 [x]",
                          "every incident passed with version 0.1.0", "`quarterdeck rehearse --all`", "looks at backup, journal")
        await driver.press("down")
        await driver.sees("at least 20", "31")
        await driver.press("escape")
        await driver.until(lambda: "Go live" not in driver.text)


async def test_an_engine_without_portfolios_shows_an_empty_list() -> None:
    async with driving(snapshot(golive=())) as driver:
        await driver.press("colon")
        await driver.press(*"go live", "enter")
        await driver.sees("No portfolio is configured.")
