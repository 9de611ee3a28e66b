"""Screens that must not change unnoticed, as SVG pictures beside this file.

`QUARTERDECK_PICTURES=write pytest tests/golden/test_screens.py` draws them anew; look at each before it is committed.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from engine.inputs import Connectivity, TradingState
from engine.service import AccessView, FlattenLine, FlattenView, Mode, Snapshot, StopHome
from tests.tui.driving import Driver, driving
from tests.tui.research_views import PAGE
from tests.tui.risk_book import crowded_book, with_used_limits
from tests.tui.test_access import LOCKING, ScriptedGate
from tests.tui.test_candidates import WITH_CANDIDATES
from tests.tui.test_research import WITH_RESEARCH
from tests.tui.test_research_card import WITH_RESEARCH_CARD
from tests.tui.test_schedule import WITH_JOBS
from tests.tui.test_strategies import WITH_STRATEGIES
from tests.tui.views import NOW_NS, account, position, snapshot

PICTURES = Path(__file__).parent / "screens"
PATIENCE_SECONDS = 15.0  # a screen that changed takes as long, and many may change at once
HALTED = (account(trading_state=TradingState.HALTED, trading_state_cause="panic key"),)
TROUBLE = snapshot(
    accounts=(account(trading_state=TradingState.REDUCING, connectivity=Connectivity.DOWN,
                      drift=("AAPL@SIM: ours 120, venue 100",)),),
    positions=(position(unprotected_now=True, unprotected_seconds=12.0, stop=None, stop_distance_percent=None,
                        stop_home=StopHome.NONE, stop_home_detail="the venue refused the stop"), position("MSFT")))
FLATTEN_LINES = (FlattenLine("paper-1", "AAPL@SIM", 120, 0, 0.8, "closed"),
                 FlattenLine("paper-1", "TSLA@SIM", 10, 10, None, "waiting for the venue"))
FLATTENING = snapshot(accounts=HALTED, flatten=FlattenView(NOW_NS, finished=False, flat=False, open_orders_left=1,
                                                           lines=FLATTEN_LINES, detail=""))
CROWDED = snapshot(risks=(with_used_limits(crowded_book()),))
EMPTY = snapshot(positions=(), orders=(), fills=(), proposals=(), alerts=(), quotes=())


@pytest.mark.parametrize(("name", "size", "keys", "first", "options"), [
    ("main-80x24", (80, 24), (), None, {}),
    ("main-120x35", (120, 35), (), None, {}),
    ("main-160x45", (160, 45), (), None, {}),
    ("main-live", (120, 35), (), snapshot(mode=Mode.LIVE), {}),
    ("main-contrast", (120, 35), (), None, {"theme_name": "contrast"}),
    ("main-daylight", (120, 35), (), None, {"theme_name": "daylight"}),
    ("main-empty", (80, 24), (), EMPTY, {}),
    ("main-trouble", (80, 24), (), TROUBLE, {}),
    ("chart-80x24", (80, 24), ("7",), None, {}),
    ("card-80x24", (80, 24), ("2", "enter"), None, {}),
    ("card-research-80x24", (80, 24), ("2", "enter"), WITH_RESEARCH_CARD, {}),
    ("card-research-160x45", (160, 45), ("2", "enter"), WITH_RESEARCH_CARD, {}),
    ("decisions-research-80x24", (80, 24), ("2",), WITH_RESEARCH_CARD, {}),
    ("ticket-80x24", (80, 24), ("b", "1", "0"), None, {}),
    ("flatten-question", (80, 24), ("ctrl+x",), None, {}),
    ("flatten-progress", (80, 24), ("ctrl+x",), FLATTENING, {}),
    ("help-80x24", (80, 24), ("question_mark",), None, {}),
    ("risk-80x24", (80, 24), ("r",), CROWDED, {}),
    ("risk-correlation-80x24", (80, 24), ("r", "n", "n", "n", "n", "n"), CROWDED, {}),
    ("risk-160x45", (160, 45), ("r",), CROWDED, {}),
    ("schedule-80x24", (80, 24), ("S",), WITH_JOBS, {}),
    ("strategies-80x24", (80, 24), ("A",), WITH_STRATEGIES, {}),
    ("strategies-160x45", (160, 45), ("A", "down"), WITH_STRATEGIES, {}),
    ("candidates-80x24", (80, 24), ("C",), WITH_CANDIDATES, {}),
    ("candidates-160x45", (160, 45), ("C", "down", "down"), WITH_CANDIDATES, {}),
    ("candidates-promote-80x24", (80, 24), ("C", "down", "f5"), WITH_CANDIDATES, {}),
    ("performance-80x24", (80, 24), ("P",), None, {}),
    ("performance-figures-80x24", (80, 24), ("P", "n"), None, {}),
    ("performance-causes-80x24", (80, 24), ("P", "n", "n"), None, {}),
    ("performance-trips-80x24", (80, 24), ("P", "n", "n", "n"), None, {}),
    ("performance-160x45", (160, 45), ("P",), None, {}),
    ("performance-trip-160x45", (160, 45), ("P", "enter"), None, {}),
    ("research-80x24", (80, 24), ("K",), WITH_RESEARCH, {}),
    ("research-160x45", (160, 45), ("K",), WITH_RESEARCH, {}),
    ("research-decisions-80x24", (80, 24), ("K", "n"), WITH_RESEARCH, {}),
    ("research-calibration-80x24", (80, 24), ("K", "n", "n"), WITH_RESEARCH, {}),
    ("research-calibration-160x45", (160, 45), ("K", "n", "n"), WITH_RESEARCH, {}),
    ("research-events-160x45", (160, 45), ("K", "n", "n", "n", "n"), WITH_RESEARCH, {}),
    ("read-only-80x24", (80, 24), ("b",), None, {"gate": ScriptedGate(AccessView(read_only=True))}),
    ("locked-80x24", (80, 24), ("L",), None, {"gate": ScriptedGate(LOCKING)}),
    ("too-small", (50, 12), (), None, {}),
])
async def test_screen(name: str, size: tuple[int, int], keys: tuple[str, ...], first: Snapshot | None,
                      options: dict[str, Any]) -> None:
    await compare(name, size, keys, first, options)


async def test_screen_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    await compare("main-no-colour", (120, 35), (), None, {})


async def drawn(driver: Driver, name: str) -> str:
    await driver.pilot.pause(0.02)
    await driver.pilot.pause()
    return driver.app.export_screenshot(title=name)


async def still(driver: Driver, name: str, wanted: str) -> str:
    """The screen once it is drawn twice alike, and as it is wanted unless that does not come about for a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    picture, before = await drawn(driver, name), ""
    while picture != before or (wanted not in ("", picture) and time.monotonic() < deadline):
        picture, before = await drawn(driver, name), picture
    return picture


async def compare(name: str, size: tuple[int, int], keys: tuple[str, ...], first: Snapshot | None,
                  options: dict[str, Any]) -> None:
    path, writing = PICTURES / f"{name}.svg", os.environ.get("QUARTERDECK_PICTURES") == "write"
    wanted = path.read_text("utf-8") if path.is_file() and not writing else ""
    async with driving(first, size=size, **options) as driver:
        driver.service.research_page = PAGE
        await driver.press(*keys[:1])
        if keys[:1] == ("P",):
            await driver.until(lambda: getattr(driver.app.screen, "view", None) is not None)
        await driver.press(*keys[1:])
        chart = driver.app.workstation.query_one("#chart")
        if "7" in keys:
            await driver.until(lambda: chart.display)
        await driver.until(lambda: not chart.display or not driver.app.snapshot.quotes or chart.has_bars)  # type: ignore[attr-defined,union-attr]
        if "ticket" in name:
            await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        picture = await still(driver, name, wanted)
    if writing:
        path.write_text(picture, "utf-8")
    assert path.is_file(), f"no picture yet; draw it: QUARTERDECK_PICTURES=write pytest {Path(__file__).name}"
    if path.read_text("utf-8") != picture:
        seen = Path(tempfile.mkdtemp(prefix="screen-")) / path.name
        seen.write_text(picture, "utf-8")
        pytest.fail(f"the screen changed: compare {path} with {seen}, and draw it anew if it is meant")
