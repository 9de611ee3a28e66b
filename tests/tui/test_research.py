"""The research screen by keyboard: what it may do, what it decided, how good it was, what it remembers, what happened."""

from decimal import Decimal

import pytest

from engine.errors import UsageError
from engine.inputs import ApplyResearchChange, RejectResearchChange, RunResearch, StopResearch
from engine.service import RunView
from tests.tui.driving import Driver, driving
from tests.tui.research_views import CALIBRATION, CELL, PAGE, RUN, research
from tests.tui.views import NOW_NS, snapshot
from tui.screens.research_lines import calibration_lines, plot_lines, run_lines

WITH_RESEARCH = snapshot(research=(research(),))


async def opened(app: Driver) -> None:
    app.service.research_page = PAGE
    await app.press("K")
    await app.sees("Research of main: now")


async def turned(app: Driver, count: int, *words: str) -> None:
    for _ in range(count):
        await app.press("n")
    await app.sees(*words)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_who_answers_what_it_may_do_and_the_run_under_way(size: tuple[int, int]) -> None:
    async with driving(WITH_RESEARCH, size=size) as app:
        await opened(app)
        await app.sees("claude-sonnet-5-5", "127.0.0.1:8077", "suggest_only", "resolved forecasts: 120", "$1.2345 of $10.00",
                       "✓ market", "p up 57 %", "… strategy", "✗ risk", "TIMEOUT", "· news")
        if size == (80, 24):
            await app.press("space")
        await app.sees("✗ resolved forecasts", "(needed: at least 200)")


async def test_rules_alone_are_labelled_and_research_that_is_off_says_how_to_switch_it_on() -> None:
    rules = research(badge="RULES, NO MODEL", host="", run=None, conditions=(), fallback="", acts_as="auto_execute")
    async with driving(snapshot(research=(rules,)), size=(80, 24)) as app:
        await opened(app)
        await app.sees("RULES, NO MODEL")
    async with driving(snapshot(), size=(80, 24)) as app:
        await app.press("K")
        await app.sees("Research is off.", "enabled = true")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_decisions_and_everything_that_one_rests_on(size: tuple[int, int]) -> None:
    async with driving(WITH_RESEARCH, size=size) as app:
        await opened(app)
        await turned(app, 1, "AAPL", "58.0", "scored_only", "n=312, skill +0.6 % [−0.4, +1.5]", "[bold]not markup[/]")
        await app.press("down")
        await app.sees("no data", "stance flat", "news: role words")
        await app.press("up", "enter")
        await app.sees("long AAPL", "Voices", "TIMEOUT")
        await app.press("end", "pagedown", "pagedown", "pagedown")
        await app.sees("[red]no markup[/]", "as_of")
        await app.press("escape")
        await app.sees("Research of main: decisions")


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_how_good_the_forecasts_were_is_told_with_its_uncertainty(size: tuple[int, int]) -> None:
    async with driving(WITH_RESEARCH, size=size) as app:
        await opened(app)
        await turned(app, 2, "312 (141 in effect), 7 open, 2 void", "0.2471", "+0.6 % [−0.4, +1.5]", "ALARM", "100%", "○", "●")
        if size == (160, 45):
            await app.sees("Where results came from", "+312.40", "3 declined: +28.5 bps")


def test_the_cost_of_a_run_is_told_whole_on_a_narrow_screen() -> None:
    run = RunView("r6714ad9b-28-41", "person", "ETH/USD", ("ETH/USD",), 1, NOW_NS, NOW_NS + 1, (), Decimal("12.3456"),
                  "1 of 1 looked at")
    lines = ["".join(piece for piece, _ in line) for line in run_lines(run, 74)]
    assert all(len(line) <= 74 for line in lines)
    assert "$12.3456" in " ".join(lines)


async def test_no_score_is_no_data_and_never_nought() -> None:
    text = "\n".join("".join(piece for piece, _ in line) for line in calibration_lines(CALIBRATION, 120))
    blank = text[text.index("rule/1"):]
    assert "no data" in blank
    assert "0.0000" not in blank
    assert "0.000" not in blank


def test_a_perfect_forecaster_lies_on_the_diagonal_and_few_forecasts_are_drawn_hollow() -> None:
    drawn = ["".join(piece for piece, _ in line) for line in plot_lines(CELL.bins)]
    assert sum(line.count("●") for line in drawn) + sum(line.count("○") for line in drawn) == 10
    assert sum(line.count("○") for line in drawn) == sum(one.hollow for one in CELL.bins)
    assert plot_lines(()) == plot_lines([])


async def test_a_proposed_change_is_applied_after_a_question_or_left() -> None:
    async with driving(WITH_RESEARCH, size=(100, 40)) as app:
        await opened(app)
        await turned(app, 2, "Brier")
        await app.press("y")
        await app.sees("Apply a change", "1 → 2", "forward Brier")
        await app.press("enter")
        assert not app.sent(ApplyResearchChange)
        await app.press("y", "right", "enter")
        await app.until(lambda: app.sent(ApplyResearchChange))
        assert app.sent(ApplyResearchChange)[0].change_id == "c1"
        await app.press("d")
        await app.until(lambda: app.sent(RejectResearchChange))


async def test_threads_and_events_are_plain_text() -> None:
    async with driving(WITH_RESEARCH, size=(100, 40)) as app:
        await opened(app)
        await turned(app, 3, "approved, filled 10 @ 227.50")
        await turned(app, 1, "Events of 2026-03-06", "earnings", "[link=x]", "WITHHELD (instruction words)", "● AAPL",
                     "no history", "semiconductors: 3 names", "12 items")


async def test_a_run_is_begun_and_ended_by_key_and_its_end_is_followed() -> None:
    async with driving(WITH_RESEARCH, size=(80, 24)) as app:
        await opened(app)
        await app.press("f5")
        await app.until(lambda: app.sent(RunResearch))
        await app.press("x")
        await app.until(lambda: app.sent(StopResearch))
        await turned(app, 1, "AAPL")
        asked = len(app.service.research_queries)
        ended = RUN.__class__(**{**{name: getattr(RUN, name) for name in RUN.__struct_fields__}, "ended_at_ns": NOW_NS,
                                 "cost_usd": Decimal("0.36")})
        app.service.publish(snapshot(version=99, research=(research(run=ended),)))
        await app.until(lambda: len(app.service.research_queries) > asked)


async def test_a_record_that_cannot_be_read_is_told() -> None:
    async with driving(WITH_RESEARCH, size=(80, 24)) as app:
        await opened(app)
        app.service.research_page = UsageError("this engine keeps no record of research")
        await turned(app, 1, "no answer: this engine keeps no record")
