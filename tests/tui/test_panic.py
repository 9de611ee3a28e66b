"""The panic key works from anywhere, at once, and never resumes; flattening asks with Cancel focused."""

import asyncio
import re

import pytest

from engine.inputs import ClosePosition, Flatten, SetTradingState, TradingState
from engine.service import FlattenLine, FlattenView, Receipt, Refusal
from tests.tui.driving import Driver, driving
from tests.tui.test_access import LOCKING, ScriptedGate
from tests.tui.views import NOW_NS, account, snapshot
from tui.widgets.lines import ToldLine

HALTED = (account(trading_state=TradingState.HALTED, trading_state_cause="panic key"),)


CONTEXTS = ((), ("b",), ("b", "1"), ("t",), ("x",), ("2", "enter"), ("question_mark",), ("colon",), ("ctrl+x",), ("q",),
            ("slash",), ("1", "enter"))


@pytest.mark.parametrize("size", [(80, 24), (120, 35), (40, 10)])
async def test_one_press_halts_once_from_anywhere(size: tuple[int, int]) -> None:
    async with driving(size=size) as driver:
        for keys in CONTEXTS:
            driver.service.sent.clear()
            await driver.press(*keys)
            await driver.press("f9")
            await driver.until(lambda: driver.service.sent)
            [command] = driver.service.sent
            assert isinstance(command, SetTradingState), keys
            assert (command.state, command.portfolio) == (TradingState.HALTED, "")
            await back_to_workstation(driver)


@pytest.mark.parametrize("size", [(80, 24), (50, 12)])
async def test_the_control_and_its_key_are_always_on_the_screen(size: tuple[int, int]) -> None:
    async with driving(size=size) as driver:
        for keys in CONTEXTS:
            if keys == ("colon",):
                continue  # Textual's own palette: the strip above it stays
            await driver.press(*keys)
            await driver.sees("F9 ■ HALT", "^X FLATTEN")
            await back_to_workstation(driver)


async def back_to_workstation(driver: Driver) -> None:
    for _ in range(4):
        if len(driver.app.screen_stack) == 1:
            return
        await driver.press("escape")
        await driver.pilot.pause()
    assert len(driver.app.screen_stack) == 1, driver.text


async def test_halting_shows_at_once_and_halted_only_when_it_is_true() -> None:
    async with driving() as driver:
        driver.service.hold = asyncio.Event()
        await driver.press("f9")
        await driver.sees("HALTING…")
        assert "HALTED" not in driver.text
        driver.service.hold.set()
        await driver.publish(snapshot(2, accounts=HALTED))
        await driver.sees("F9 ■ HALTED", "■ HALTED")


async def test_the_answer_to_the_key_stays_on_a_page_that_follows_the_market() -> None:
    async with driving() as driver:
        driver.service.answer = lambda command: Receipt(
            command.command_id, accepted=False, seq=0, refusal=Refusal("halt", "", "", "not now"))
        await driver.press("enter", "f9")
        page = driver.app.screen.query_one("#note", ToldLine)
        await driver.until(lambda: "HALT REFUSED" in page.text)
        await driver.publish(snapshot(2))
        assert "HALT REFUSED" in page.text
        await driver.publish(snapshot(3, positions=()))
        assert "no longer there" in page.text
        await driver.publish(snapshot(4))
        assert page.text == ""


async def test_pressing_again_never_resumes_and_offers_the_second_stage() -> None:
    async with driving(snapshot(accounts=HALTED)) as driver:
        await driver.press("f9", "f9", "enter")
        await driver.until(lambda: len(driver.service.sent) >= 2)
        assert {command.state for command in driver.sent(SetTradingState)} == {TradingState.HALTED}
        assert not driver.sent(Flatten), "enter on the fresh dialog cancels"


@pytest.mark.parametrize("size", [(80, 24), (50, 12)])
@pytest.mark.parametrize("where", ["", "question_mark", "L"])
@pytest.mark.parametrize("answer", [
    lambda command: RuntimeError("/home/someone/.local/share/quarterdeck/control.sock: the engine did not answer send in 30.0 s"),
    lambda command: Receipt(command.command_id, accepted=False, seq=0,
                            refusal=Refusal("journal", "", "", "the journal cannot be written: there is no space left")),
])
async def test_a_halt_that_failed_is_told_with_the_way_out(answer: object, where: str, size: tuple[int, int]) -> None:
    async with driving(size=size, gate=ScriptedGate(LOCKING)) as driver:
        driver.service.answer = answer  # type: ignore[assignment]
        await driver.press(*filter(None, [where]), "f9")
        await driver.until(lambda: re.search("HALT (NOT CONFIRMED|REFUSED); in another shell: quarterdeck panic",
                                             " ".join(re.split(r"[\s│]+", driver.text))))
        await driver.sees("F9 ■ HALT")


async def test_halt_still_tries_when_the_stream_has_ended() -> None:
    async with driving() as driver:
        driver.service.stop()
        await driver.sees("the engine has stopped", "14:32:07")
        await driver.press("f9")
        await driver.until(lambda: driver.sent(SetTradingState))


async def test_enter_on_a_fresh_flatten_dialog_changes_nothing() -> None:
    async with driving() as driver:
        await driver.press("ctrl+x")
        await driver.sees("FLATTEN EVERYTHING", "4 positions, 3 working orders")
        await driver.press("enter")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert driver.service.sent == []


@pytest.mark.parametrize("cover", ["L", "f1"])
async def test_the_second_stage_is_offered_above_whatever_covers_an_earlier_question(cover: str) -> None:
    async with driving(gate=ScriptedGate(LOCKING)) as driver:
        await driver.press("ctrl+x")
        if cover == "L":
            driver.app.action_lock()
        else:
            await driver.press(cover)
        await driver.until(lambda: len(driver.app.screen_stack) == 3)
        await driver.press("ctrl+x")
        await driver.sees("FLATTEN EVERYTHING", "4 positions, 3 working orders")
        await driver.press("right", "enter")
        await driver.until(lambda: driver.sent(Flatten))


async def test_flatten_reports_every_instrument_until_the_venue_is_flat() -> None:
    lines = (FlattenLine("paper-1", "AAPL@SIM", 120, 0, 0.8, "closed"),
             FlattenLine("paper-1", "TSLA@SIM", 10, 10, None, "waiting for the venue"))
    running = FlattenView(NOW_NS, finished=False, flat=False, open_orders_left=1, lines=lines, detail="")
    async with driving() as driver:
        await driver.press("ctrl+x", "right", "enter")
        await driver.until(lambda: driver.sent(Flatten))
        await driver.publish(snapshot(2, accounts=HALTED, flatten=running))
        await driver.sees("1 of 2 instruments flat", "AAPL@SIM", "waiting for the venue", "open orders at the venue: 1")
        left = FlattenView(NOW_NS, finished=True, flat=False, open_orders_left=0, lines=lines, detail="dust is left")
        await driver.publish(snapshot(3, accounts=HALTED, flatten=left))
        await driver.sees("NOT FLAT: 1 instrument left", "dust is left")
        done = FlattenView(NOW_NS, finished=True, flat=True, open_orders_left=0, lines=lines[:1], detail="")
        await driver.publish(snapshot(4, accounts=HALTED, flatten=done, positions=()))
        await driver.sees("FLAT: the venue itself reports no position")
        await driver.press("enter")
        assert len(driver.sent(Flatten)) == 1


async def test_resuming_needs_the_word_typed_in_full() -> None:
    async with driving(snapshot(accounts=HALTED)) as driver:
        await driver.press("colon", *"resume")
        await driver.sees("Resume trading…")
        await driver.press("enter")
        await driver.sees("type RESUME", "panic key")
        await driver.press("enter", *"resum", "enter")
        assert driver.sent(SetTradingState) == []
        await driver.press(*["backspace"] * 5, *"RESUME", "enter", "enter")
        await driver.until(lambda: driver.sent(SetTradingState))
        assert [command.state for command in driver.sent(SetTradingState)] == [TradingState.ACTIVE]


async def test_a_click_on_the_control_halts() -> None:
    async with driving() as driver:
        await driver.pilot.click("PanicButton", offset=(5, 0))
        await driver.until(lambda: driver.sent(SetTradingState))
        assert not driver.sent(ClosePosition)
