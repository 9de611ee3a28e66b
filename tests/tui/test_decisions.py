"""Approval is bound to the card that was read: painted, armed, unchanged, pending, once."""

from decimal import Decimal

import msgspec

from engine.inputs import Approve, Decline
from engine.service import ProposalStatus, ProposalView, Receipt, Refusal
from tests.tui.driving import Driver, driving
from tests.tui.views import card, proposal, snapshot


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
