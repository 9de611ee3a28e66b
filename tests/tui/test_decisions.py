"""Approval is bound to the card that was read: painted, armed, unchanged, pending, once."""

from decimal import Decimal

import msgspec
import pytest

from engine.inputs import Approve, Decline, Halve
from engine.service import DecisionStatus, ProposalStatus, ProposalView, Receipt, Refusal
from tests.tui.driving import Driver, driving
from tests.tui.research_views import DONE, decision, research
from tests.tui.views import card, proposal, quote, snapshot
from tui.panes.research_line import research_line


async def open_card(driver: Driver) -> None:
    await driver.press("2", "enter")
    await driver.sees("Decision: BUY 50 AMD")
    await driver.pilot.pause()


def with_proposal(version: int, first: ProposalView) -> object:
    return snapshot(version, proposals=(first,))


async def test_the_card_shows_terms_worst_case_heat_checks_and_time_left() -> None:
    async with driving(size=(80, 24)) as driver:
        await open_card(driver)
        await driver.sees("BUY 50 AMD  limit 158.20", "−316.58 USD", "3.10% → 3.40%", "61.0% → 68.6%", "0:42 left",
                          "trading state", "digest-of-P-1", "Breakout over", "157.33 – 158.91")


async def test_it_cannot_be_approved_before_it_was_on_the_screen() -> None:
    async with driving() as driver:
        await open_card(driver)
        await driver.press("a")
        await driver.sees("not yet")
        driver.clock.seconds += 0.5
        await driver.press("a")
        driver.clock.seconds += 0.5
        await driver.press("a")
        assert driver.sent(Approve) == [], "a key held down starts the time again and never approves"
        driver.clock.seconds += 1.0
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))
        [command] = driver.sent(Approve)
        assert (command.proposal_id, command.digest) == ("P-1", "digest-of-P-1")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        await driver.sees("✓ approved BUY AMD")


async def test_the_market_of_now_and_its_age_run_on_beside_the_price_that_the_card_was_made_with() -> None:
    async with driving(snapshot(quotes=(quote("AMD", "158.12"),)), size=(80, 24)) as driver:
        await open_card(driver)
        await driver.sees("when raised 158.12", "market now  158.13  <1s old")
        driver.clock.seconds += 1
        await driver.pilot.pause()
        await driver.publish(snapshot(2, quotes=(quote("AMD", "151.00", age_seconds=44.0, stale=True),)))
        await driver.sees("when raised 158.12", "market now  151.01  44s old STALE")
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))


async def test_a_changed_card_needs_a_new_look() -> None:
    async with driving() as driver:
        await open_card(driver)
        driver.clock.seconds += 1.0
        changed = proposal(digest="another", card=card(limit=Decimal("158.40")))
        await driver.publish(snapshot(2, proposals=(changed,)))
        await driver.sees("THIS CARD CHANGED", "limit 158.40")
        driver.clock.seconds += 1.0
        await driver.press("a")
        assert driver.sent(Approve) == []
        await driver.press("enter", "a")
        assert driver.sent(Approve) == [], "seen is not yet looked at"
        driver.clock.seconds += 1.0
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))
        assert driver.sent(Approve)[0].digest == "another"


async def test_two_quick_presses_approve_once() -> None:
    async with driving() as driver:
        await open_card(driver)
        driver.clock.seconds += 1.0
        await driver.press("a", "a", "a")
        await driver.until(lambda: driver.sent(Approve))
        await driver.pilot.pause()
        assert len(driver.sent(Approve)) == 1


async def test_an_expired_decision_cannot_be_approved() -> None:
    async with driving() as driver:
        await open_card(driver)
        driver.clock.seconds += 1.0
        gone = msgspec.structs.replace(proposal(), status=ProposalStatus.EXPIRED, seconds_left=0.0,
                                       status_reason="nobody answered in 120s")
        await driver.publish(snapshot(2, proposals=(gone,)))
        await driver.press("a")
        await driver.sees("EXPIRED: nobody answered in 120s", "nothing to approve")
        assert driver.sent(Approve) == []


async def test_a_refused_approval_says_why_and_stays() -> None:
    async with driving() as driver:
        driver.service.answer = lambda command: Receipt(
            command.command_id, accepted=False, seq=0,
            refusal=Refusal("price band", "157.33 to 158.91", "159.20", "the market left the band"))
        await open_card(driver)
        driver.clock.seconds += 1.0
        await driver.press("a")
        await driver.sees("refused: the market left the band (159.20 against 157.33 to 158.91)")
        assert len(driver.app.screen_stack) == 2


async def test_declining_takes_a_reason() -> None:
    async with driving() as driver:
        await driver.press("2", "d", *"late", "enter")
        await driver.until(lambda: driver.sent(Decline))
        assert (driver.sent(Decline)[0].proposal_id, driver.sent(Decline)[0].reason) == ("P-1", "late")


async def test_the_list_alone_never_approves() -> None:
    async with driving() as driver:
        await driver.press("2", "a", "a", "escape", "down", "a", "a")
        assert driver.sent(Approve) == []


async def test_the_cursor_stays_on_its_decision_when_others_arrive() -> None:
    async with driving() as driver:
        await driver.press("2", "down")
        pane = driver.app.workstation.query_one("#decisions")
        before = pane.cursor_key  # type: ignore[attr-defined]
        sooner = proposal("P-9", expires_at_ns=1, seconds_left=5.0)
        await driver.publish(snapshot(2, proposals=(sooner, *snapshot().proposals)))
        assert pane.cursor_key == before == "P-2"  # type: ignore[attr-defined]


async def test_an_order_by_hand_can_be_halved_too() -> None:
    async with driving(size=(80, 24)) as driver:
        await open_card(driver)
        driver.clock.seconds += 1.0
        await driver.press("f")
        await driver.sees("no text behind this is marked")
        await driver.press("i")
        await driver.sees("no research lies behind this")
        await driver.press("h")
        await driver.until(lambda: driver.sent(Halve))
        assert (driver.sent(Halve)[0].proposal_id, driver.sent(Halve)[0].digest) == ("P-1", "digest-of-P-1")


@pytest.mark.parametrize(("size", "words"), [
    ((80, 24), ("AAPL 1/2 ✓…✗· $0.07 · claude-sonnet-5-5 · suggest_only! · $1.23 of $10.00",)),
    ((160, 45), ("AAPL 1/2 ✓…✗· $0.07 · claude-sonnet-5-5",))])
async def test_the_edge_of_the_pane_tells_what_research_does(size: tuple[int, int], words: tuple[str, ...]) -> None:
    async with driving(snapshot(research=(research(),)), size=size) as driver:
        await driver.press("2")
        await driver.sees(*words)
        await driver.publish(snapshot(2, research=(research(badge="RULES, NO MODEL", host="", run=None, fallback="",
                                                            acts_as="auto_execute"),)))
        await driver.sees("RULES, NO MODEL · auto_execute")
        await driver.press("z")
        await driver.sees("RULES, NO MODEL · auto_execute · $1.23 of $10.00")
        await driver.publish(snapshot(3))
        assert "NO MODEL" not in driver.text, "research that is off says nothing"


def test_the_line_of_research_gives_up_the_least_first() -> None:
    full = research_line((research(),), 300)
    assert full == ("AAPL 1/2 ✓market …strategy ✗risk ·news $0.07 · claude-sonnet-5-5 at 127.0.0.1:8077 · suggest_only "
                    "instead of auto_execute: resolved forecasts: 120, asked at least 200 · $1.23 of $10.00")
    assert all(len(research_line((research(),), width)) <= width for width in range(300))
    assert research_line((research(),), 24) == "AAPL 1/2 ✓…✗· $0.07"
    assert research_line((), 80) == ""
    assert research_line((research(badge="RULES, NO MODEL", host="", run=None, fallback="", spent_usd=Decimal(0)),), 80) == (
        "RULES, NO MODEL · suggest_only")
    paused = research(breaker="14:40:00", run=None, fallback="")
    assert "models left alone until 14:40:00, rules act" in research_line((paused,), 200)
    two = (research("other", run=None), research())
    assert research_line(two, 300).startswith("main · AAPL 1/2"), "the one that works is told"


async def test_what_became_of_a_decision_of_research_stands_in_its_row() -> None:
    filled = proposal("P-3", status=ProposalStatus.APPROVED, status_reason="approved by user",
                      decision=decision(status=DecisionStatus.FILLED))
    resolved = proposal("P-4", status=ProposalStatus.APPROVED, status_reason="approved by user", decision=DONE)
    declined = proposal("P-5", status=ProposalStatus.DECLINED, status_reason="too late",
                        decision=decision(status=DecisionStatus.DECLINED))
    halved = proposal("P-6", status=ProposalStatus.DECLINED, status_reason="halved by user",
                      decision=decision(status=DecisionStatus.FILLED))
    async with driving(snapshot(proposals=(filled, resolved, declined, halved)), size=(160, 45)) as driver:
        await driver.press("2", "z")
        await driver.sees("● resolved", "up +342 bps, target first", "too late", "58.0", "halved by user")
        assert (driver.text.count("✓ filled"), driver.text.count("✗ declined")) == (1, 2), "the half was filled"
