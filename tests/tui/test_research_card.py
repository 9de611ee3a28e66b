"""A trade that research proposes: six things on the card, and no approval before all of it was seen, opened and still holds."""

from decimal import Decimal

import msgspec
import pytest

from engine.inputs import Approve, Decline, Halve
from engine.service import DecisionStatus, ProposalStatus, ProposalView, Receipt, Refusal, ResearchQueryKind
from tests.tui.driving import Driver, driving
from tests.tui.research_views import DONE, PAGE, decision, research
from tests.tui.views import card, proposal, snapshot

LONG = "Trend above the 50-day average with rising volume. " * 8
RESEARCH_CARD = card(symbol="AAPL", quantity=Decimal(50), limit=None, reference=Decimal("227.50"), notional=Decimal("11375.00"),
                     target=Decimal("235.46"), stop=Decimal("222.95"), worst_loss=Decimal("227.50"), equity_share_percent=10.9)


def pending(**changes: object) -> ProposalView:
    fields: dict[str, object] = {"card": RESEARCH_CARD, "origin": "research", "decision": decision(p_win=0.61, p_stated=0.57),
                                 "rationale": decision().thesis}
    return proposal(**{**fields, **changes})  # type: ignore[arg-type]


def shown(version: int = 1, *views: ProposalView, **changes: object) -> object:
    return snapshot(version, proposals=views or (pending(),), research=(research(),), **changes)


WITH_RESEARCH_CARD = snapshot(proposals=(
    pending(decision=decision(p_win=0.61, p_stated=0.57, instrument_id="AAPL@SIM", flags=("E5: role words",))),
    proposal("P-4", status=ProposalStatus.APPROVED, status_reason="approved by user", decision=DONE),
    *snapshot().proposals[1:]), research=(research(),))


async def opened(driver: Driver, *words: str) -> None:
    await driver.press("2", "enter")
    await driver.sees("Decision: BUY 50 AAPL", *words)
    await driver.pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_the_six_things_are_on_one_screen(size: tuple[int, int]) -> None:
    unsure = pending(decision=decision(thesis=LONG, against=LONG, p_win=0.61, probation=True, p_stated=0.57,
                                       instrument_id="AAPL@SIM", flags=("E5: role words",)))
    async with driving(shown(1, unsure), size=size) as driver:  # type: ignore[arg-type]
        await opened(driver, "BUY 50 AAPL", "11,375.00 USD, 10.9% of equity", "risk 227.50 USD, 21.8 bps of equity",
                     "up 58.0 % cal, n=312, skill +0.6 % [−0.4, +1.5]", "wins 61.0 %, break-even 40.2 %",
                     "EV +12.0 low, +61.4 mid bps", "PROBATION: 57.0 % as stated counts", "at market, 227.50",
                     "target 235.46 (+3.5%)", "stop 222.95 (−2.0%)", "5 trading days ahead, no exit by time",
                     "data 1d old, price <1s",
                     "for      Trend above", "against  Trend above", "dissent: risk 0.47", "1 marked text UNREAD: f opens",
                     "all 8 checks pass", "heat 3.1% → 3.4% of 6.0%", "models $8.77 left today", "0:42 left")
        assert driver.app.screen.query_one("#body").max_scroll_y == 0


async def test_it_is_approved_after_a_look_and_the_approval_names_the_card() -> None:
    async with driving(shown()) as driver:  # type: ignore[arg-type]
        await opened(driver)
        await driver.press("a")
        await driver.sees("not yet")
        assert not driver.sent(Approve)
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))
        sent = driver.sent(Approve)[0]
        assert (sent.proposal_id, sent.digest, sent.flags_read) == ("P-1", "digest-of-P-1", ())


async def test_marked_texts_are_opened_before_it_can_be_approved() -> None:
    flags = ("E5: role words", "E7: [bold]instruction[/]")
    async with driving(shown(1, pending(decision=decision(flags=flags))), size=(80, 24)) as driver:  # type: ignore[arg-type]
        await opened(driver, "2 marked texts not read yet: f opens")
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.pilot.pause()
        assert not driver.sent(Approve)
        await driver.press("f")
        await driver.sees("Marked texts", "E5: role words", "E7: [bold]instruction[/]", "withheld from every model")
        await driver.press("escape")
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.sees("not read yet")
        assert not driver.sent(Approve), "left, but not read"
        await driver.press("f")
        await driver.sees("Marked texts")
        await driver.press("enter")
        await driver.sees("2 marked texts, read")
        await driver.press("a")
        await driver.sees("not yet: look at the card first")
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))
        assert driver.sent(Approve)[0].flags_read == flags


async def test_old_data_or_a_market_that_moved_keeps_it_from_being_approved_and_says_so() -> None:
    why = "the market moved by 0.31 ATR since the snapshot"
    async with driving(shown(1, pending(blocked=why))) as driver:  # type: ignore[arg-type]
        await opened(driver, f"cannot be approved now: {why}")
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.pilot.pause()
        assert not driver.sent(Approve)
        await driver.publish(shown(2))  # type: ignore[arg-type]
        await driver.press("a")
        assert not driver.sent(Approve), "a key that is held while it is blocked does not approve when it is not"
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))


async def test_half_of_it_is_a_new_card_that_is_looked_at_anew() -> None:
    half = pending(proposal_id="P-2", digest="digest-of-P-2", card=card(symbol="AAPL", quantity=Decimal(25)))
    gone = msgspec.structs.replace(pending(), status=ProposalStatus.DECLINED, status_reason="halved by user")
    async with driving(shown()) as driver:  # type: ignore[arg-type]
        driver.service.answer = lambda command: Receipt(command.command_id, accepted=True, seq=2, proposal_id="P-2")
        await opened(driver)
        await driver.press("h")
        await driver.sees("not yet")
        driver.clock.seconds += 1
        await driver.press("h")
        await driver.until(lambda: driver.sent(Halve))
        assert (driver.sent(Halve)[0].proposal_id, driver.sent(Halve)[0].digest) == ("P-1", "digest-of-P-1")
        await driver.publish(shown(2, gone, half))  # type: ignore[arg-type]
        await driver.sees("Decision: BUY 25 AAPL", "half of it, as a new card")
        await driver.press("h", "a")
        assert not driver.sent(Approve)
        assert len(driver.sent(Halve)) == 1, "a key held down halves once"
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))
        assert driver.sent(Approve)[0].digest == "digest-of-P-2"


async def test_what_cannot_be_halved_says_why_and_stays() -> None:
    async with driving(shown()) as driver:  # type: ignore[arg-type]
        driver.service.answer = lambda command: Receipt(
            command.command_id, accepted=False, seq=0, refusal=Refusal("size", "1", "0", "half is less than the smallest order"))
        await opened(driver)
        driver.clock.seconds += 1
        await driver.press("h")
        await driver.sees("refused: half is less than the smallest order", "pending, 0:42 left")


async def test_it_is_declined_with_a_reason() -> None:
    async with driving(shown(), size=(80, 24)) as driver:  # type: ignore[arg-type]
        await opened(driver)
        await driver.press("d", *"half", "enter")
        await driver.until(lambda: driver.sent(Decline))
        assert driver.sent(Decline)[0].reason == "half"
        assert not driver.sent(Halve)


async def test_details_open_everything_behind_it() -> None:
    async with driving(shown(), size=(80, 24)) as driver:  # type: ignore[arg-type]
        driver.service.research_page = PAGE
        await opened(driver)
        await driver.press("i")
        await driver.sees("Voices", "TIMEOUT")
        assert driver.service.research_queries[-1].kind is ResearchQueryKind.DECISION
        assert driver.service.research_queries[-1].key == "d1"
        await driver.press("escape")
        await driver.sees("Decision: BUY 50 AAPL")


async def test_a_card_longer_than_the_screen_is_scrolled_to_its_end_first() -> None:
    long = pending(decision=decision(thesis=LONG, against=LONG, dissent=LONG, clamps=("kelly: 80.0 -> 18.0",) * 6))
    async with driving(shown(1, long), size=(64, 18)) as driver:  # type: ignore[arg-type]
        await opened(driver)
        await driver.sees("the card goes on below")
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.pilot.pause()
        assert not driver.sent(Approve)
        for _ in range(4):
            await driver.press("space")
        await driver.until(lambda: not driver.app.screen._below)  # type: ignore[attr-defined]
        await driver.press("a")
        await driver.sees("not yet")
        assert not driver.sent(Approve)
        driver.clock.seconds += 1
        await driver.press("a")
        await driver.until(lambda: driver.sent(Approve))


async def test_rules_are_labelled_and_what_nobody_knows_is_no_data() -> None:
    bare = pending(decision=decision(analyst="rule/1", cell_n=0, skill_percent=None, thesis="", against="", dissent="",
                                     p_win=None, clamps=()))
    async with driving(shown(1, bare, quotes=()), size=(80, 24)) as driver:  # type: ignore[arg-type]
        await opened(driver, "rule/1, RULES, NO MODEL", "n=0, skill no data", "nothing was said", "no dissent", "no marked texts",
                     "no price")
        assert "left today" not in driver.text


async def test_ages_run_on_without_another_look_and_a_later_word_on_it_needs_one() -> None:
    async with driving(shown()) as driver:  # type: ignore[arg-type]
        await opened(driver)
        driver.clock.seconds += 1
        await driver.publish(shown(2, msgspec.structs.replace(pending(), seconds_left=41.0)))  # type: ignore[arg-type]
        await driver.sees("0:41 left")
        later = pending(decision=decision(cell_n=313, status=DecisionStatus.PROPOSED))
        await driver.publish(shown(3, later))  # type: ignore[arg-type]
        await driver.sees("n=313")
        await driver.press("a")
        await driver.sees("not yet")
        assert not driver.sent(Approve)
