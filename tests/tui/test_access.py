"""What a screen may do: one that only looks on says why its keys do nothing, a locked one shows nothing and can panic."""

import msgspec
import pytest

from engine.inputs import Command, Flatten, SetTradingState, TradingState
from engine.service import AccessView, Receipt, Refusal
from tests.tui.driving import driving
from tests.tui.scripted_service import ScriptedService
from tests.tui.views import position, snapshot
from tui.screens.lock import LockScreen, UnlockDialog


class ScriptedGate:
    """A gate that opens at one code."""

    def __init__(self, view: AccessView, code: str = "heron-47") -> None:
        self.view, self.code = view, code
        self.tried: list[str] = []
        self.locked = 0

    def access(self) -> AccessView:
        return self.view

    async def unlock(self, code: str) -> Receipt:
        self.tried.append(code)
        if code != self.code:
            return Receipt("", accepted=False, seq=1, refusal=Refusal("access", "", "", "that code is wrong; wait 1 s"))
        self.view = msgspec.structs.replace(self.view, unlocked_seconds=900.0)
        return Receipt("", accepted=True, seq=1)

    async def lock(self) -> None:
        self.locked += 1
        self.view = msgspec.structs.replace(self.view, unlocked_seconds=0.0)


LOCKING = AccessView(guarded=True, ways=("pin", "totp"), idle_seconds=600)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_one_that_looks_on_says_so_beside_the_kind_of_money(size: tuple[int, int]) -> None:
    async with driving(size=size, gate=ScriptedGate(AccessView(read_only=True))) as driver:
        top = driver.text.splitlines()[0]
        assert "F9 ■ HALT" not in driver.text and "look only" in top
        assert " PAPER   READ ONLY  " in top
        for key in ("b", "s", "t", "x", "R", "n", "f9", "ctrl+x", "c", "d"):
            driver.app.workstation.tell("")
            await driver.press(key)
            await driver.sees("READ ONLY: this screen can look, not act")
            assert len(driver.app.screen_stack) == 1, key
        await driver.press("f9")
        await driver.sees("quarterdeck panic")
        assert driver.service.sent == []
        await driver.press("H")
        await driver.sees("PAPER READ ONLY │ Health")
        await driver.press("escape", "question_mark")
        await driver.sees("Everywhere")


async def test_the_card_of_a_decision_can_be_read_and_not_approved() -> None:
    async with driving(gate=ScriptedGate(AccessView(read_only=True))) as driver:
        await driver.press("2", "a")
        await driver.sees("Decision:")
        driver.clock.seconds += 5
        await driver.press("a")
        await driver.sees("READ ONLY")
        assert driver.service.sent == []


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_a_screen_that_nobody_touches_locks_and_shows_nothing_that_is_held(size: tuple[int, int]) -> None:
    gate = ScriptedGate(LOCKING)
    async with driving(snapshot(positions=(position("AAPL"), position("MSFT"))), size=size, gate=gate) as driver:
        driver.clock.seconds += 599
        driver.app.lock_where_idle()
        assert not driver.app.locked
        await driver.press("2")
        driver.clock.seconds += 2
        driver.app.lock_where_idle()
        assert not driver.app.locked, "a key began the time anew"
        driver.clock.seconds += 599
        driver.app.lock_where_idle()
        await driver.sees("Locked", "2 positions watched", "F9 ■ HALT", "^X FLATTEN")
        assert "AAPL" not in driver.text and "MSFT" not in driver.text and gate.locked == 1
        for key in ("escape", "f1", "colon", "ctrl+p", "1"):
            await driver.press(key)
            await driver.pilot.pause()
            assert isinstance(driver.app.screen, LockScreen), key
        assert "AAPL" not in driver.text


async def test_panic_works_while_it_is_locked() -> None:
    async with driving(gate=ScriptedGate(LOCKING)) as driver:
        await driver.press("L")
        await driver.sees("Locked")
        await driver.press("f9")
        await driver.until(lambda: driver.sent(SetTradingState))
        assert driver.sent(SetTradingState)[0].state is TradingState.HALTED
        await driver.press("ctrl+x")
        await driver.sees("FLATTEN EVERYTHING")
        await driver.press("right", "enter")
        await driver.until(lambda: driver.sent(Flatten))
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, LockScreen))


async def test_a_wrong_code_stays_and_a_right_one_opens() -> None:
    gate = ScriptedGate(LOCKING)
    async with driving(gate=gate) as driver:
        await driver.press("L", *"bad", "enter")
        await driver.sees("that code is wrong; wait 1 s")
        assert driver.app.locked and "bad" not in driver.text
        await driver.press(*"heron-47")
        assert "heron" not in driver.text and "•••" in driver.text
        await driver.press("enter")
        await driver.until(lambda: not driver.app.locked)
        assert gate.tried == ["bad", "heron-47"]


async def test_an_act_that_needs_a_code_asks_for_it() -> None:
    gate = ScriptedGate(LOCKING)

    def answer(command: Command) -> Receipt:
        if gate.view.unlocked_seconds:
            return Receipt(command.command_id, accepted=True, seq=1)
        return Receipt(command.command_id, accepted=False, seq=1, refusal=Refusal("access", "unlocked", "locked", "locked"))

    service = ScriptedService()
    service.answer = answer
    async with driving(service=service, gate=gate) as driver:
        assert "locked" in driver.text.splitlines()[0]
        await driver.press("R")
        await driver.until(lambda: isinstance(driver.app.screen, UnlockDialog))
        await driver.press(*"heron-47", "enter")
        await driver.sees("unlocked for 15:00; now do it again")
        assert len(driver.app.screen_stack) == 1


async def test_there_is_nothing_to_lock_where_nobody_is_asked() -> None:
    for view in (AccessView(), AccessView(guarded=True)):
        async with driving(gate=ScriptedGate(view)) as driver:
            await driver.press("L")
            await driver.sees("nothing to lock")
            driver.clock.seconds += 1_000_000
            driver.app.lock_where_idle()
            assert not driver.app.locked
