"""Health by keyboard: all is well, what is not comes first with what to do, an engine that hangs is seen to hang."""

import msgspec
import pytest

from engine.health_words import WorkerView
from engine.inputs import Connectivity
from tests.tui.driving import Driver, driving
from tests.tui.views import account, health, position, snapshot

WELL = snapshot(positions=(position(),), alerts=(), proposals=(), health=msgspec.structs.replace(
    health(), workers=(WorkerView("clock", 0.4, 15.0), WorkerView("feed", 0.1, 0.0)), queues={"commands": 0, "market": 3}))
AILING = snapshot(
    2, alerts=(), accounts=(account(connectivity=Connectivity.DOWN),),
    positions=(position(unprotected_now=True),), health=msgspec.structs.replace(
        health(), workers=(WorkerView("control-socket", 47.0, 15.0),), unwritable="the disk [is] full", defects=2))


async def opened(driver: Driver) -> None:
    await driver.press("H")
    await driver.sees("Health")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_healthy_engine_says_so_line_by_line(size: tuple[int, int]) -> None:
    async with driving(WELL, size=size) as driver:
        await opened(driver)
        await driver.sees("PAPER", "Health: all is well", "clock, feed", "commands 0, market 3", "every one protected")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_what_is_not_well_is_told_first_with_what_to_do(size: tuple[int, int]) -> None:
    async with driving(WELL, size=size) as driver:
        await opened(driver)
        await driver.publish(AILING)
        await driver.sees("something FAILS", "2 inputs could not be decided on", "the disk [is] full", "control-socket",
                          "nothing guards AAPL", "the venue is down", "→ free space")
        text = driver.text
        assert text.index("✗ FAIL") < text.index("✓ ok") and "✓ ok" not in text[:text.rindex("✗ FAIL")]


async def test_an_engine_that_hangs_is_seen_to_hang_and_esc_leads_back() -> None:
    async with driving(WELL) as driver:
        await opened(driver)
        driver.clock.seconds += 40
        await driver.sees("has said nothing for 40 s", "something FAILS")
        await driver.press("escape")
        await driver.until(lambda: "something FAILS" not in driver.text)
