"""Protection, closing, cancelling, alerts, leaving: what is sent, and what is asked first."""

from decimal import Decimal

import pytest
from textual.widgets import Input

from engine.inputs import AcknowledgeAlert, CancelOrder, ClosePosition, Reconcile, SetProtection, SettleOrder, TrailSpec
from engine.orders import OrderStatus
from engine.service import PositionView, Receipt, Refusal
from tests.tui.driving import driving
from tests.tui.views import order, position, snapshot
from tui.screens.protection import ProtectionDialog


async def test_only_changed_parts_of_a_protection_are_sent() -> None:
    async with driving() as driver:
        await driver.press("t")
        driver.app.screen.query_one("#stop", Input).value = "186.00"
        driver.app.screen.query_one("#target", Input).value = ""
        driver.app.screen.query_one("#trail", Input).value = "1.5atr"
        await driver.press("f5")
        await driver.until(lambda: driver.sent(SetProtection))
        [command] = driver.sent(SetProtection)
        assert command == SetProtection(command.command_id, "AAPL", "main", stop=Decimal("186.00"),
                                        trail=TrailSpec(atr=Decimal("1.5")), clear=("target",))
        await driver.sees("✓ protection of AAPL changed")


async def test_taking_the_stop_away_is_asked_twice() -> None:
    async with driving() as driver:
        await driver.press("t")
        driver.app.screen.query_one("#stop", Input).value = ""
        await driver.pilot.pause()
        await driver.press("f5")
        await driver.sees("takes the stop away")
        assert driver.sent(SetProtection) == []
        await driver.press("f5", "f5")
        await driver.pilot.pause()
        assert driver.sent(SetProtection) == [], "a key held down is no second yes"
        driver.clock.seconds += 1
        await driver.press("f5")
        await driver.until(lambda: driver.sent(SetProtection))
        assert driver.sent(SetProtection)[0].clear == ("stop",)


async def test_an_unchanged_protection_sends_nothing_and_a_refusal_stays_open() -> None:
    async with driving() as driver:
        await driver.press("t", "f5")
        await driver.sees("nothing changed")
        assert driver.service.sent == []
        driver.service.answer = lambda command: Receipt(command.command_id, accepted=False, seq=0, refusal=Refusal(
            "stop", "", "", "the stop is on the wrong side of the market"))
        driver.app.screen.query_one("#stop", Input).value = "250"
        await driver.pilot.pause()
        await driver.press("f5")
        await driver.sees("refused: the stop is on the wrong side of the market")
        assert isinstance(driver.app.screen, ProtectionDialog)


@pytest.mark.parametrize("left", [(), (position(side="SHORT"),)])
async def test_a_position_that_ended_or_turned_round_under_the_dialog_cannot_be_protected(left: tuple[PositionView, ...]) -> None:
    async with driving() as driver:
        await driver.press("t")
        driver.app.screen.query_one("#stop", Input).value = "186.00"
        await driver.publish(snapshot(2, positions=left))
        await driver.sees("this position is closed")
        await driver.press("f5")
        await driver.publish(snapshot(3, positions=left))
        assert driver.sent(SetProtection) == []


@pytest.mark.parametrize(("keys", "quantity"), [
    (("x", "enter", "enter"), None),
    (("x", *["backspace"] * 3, "4", "0", "enter", "enter"), Decimal("40")),
])
async def test_closing_all_or_a_part(keys: tuple[str, ...], quantity: Decimal | None) -> None:
    async with driving() as driver:
        await driver.press(*keys)
        await driver.until(lambda: driver.sent(ClosePosition))
        [command] = driver.sent(ClosePosition)
        assert (command.symbol, command.portfolio, command.quantity) == ("AAPL", "main", quantity)


async def test_more_than_is_held_cannot_be_closed() -> None:
    async with driving() as driver:
        await driver.press("x", "end", "0", "enter", "enter")
        await driver.sees("only 120 is held")
        assert driver.sent(ClosePosition) == []


async def test_a_position_that_changes_under_the_question_is_closed_as_it_is_shown() -> None:
    async with driving() as driver:
        await driver.press("x")
        await driver.publish(snapshot(2, positions=(position(quantity=Decimal(240)),)))
        await driver.sees("240 is held now")
        assert driver.app.screen.query_one("#quantity", Input).value == "240"
        driver.app.screen.query_one("#quantity", Input).value = "120"
        await driver.publish(snapshot(3, positions=(position(quantity=Decimal(360)),)))
        await driver.press("enter", "enter")
        await driver.until(lambda: driver.sent(ClosePosition))
        assert driver.sent(ClosePosition)[0].quantity == Decimal(120)


@pytest.mark.parametrize("left", [(), (position(side="SHORT"),)])
async def test_a_position_that_ended_or_turned_round_under_the_question_is_not_closed(left: tuple[PositionView, ...]) -> None:
    async with driving() as driver:
        await driver.press("x")
        await driver.publish(snapshot(2, positions=left))
        await driver.sees("this position is closed")
        await driver.press("enter", "enter")
        assert driver.sent(ClosePosition) == []


@pytest.mark.parametrize("was_seen_to_end", [True, False])
async def test_a_position_that_ended_and_was_opened_anew_under_the_question_is_not_closed(was_seen_to_end: bool) -> None:
    async with driving() as driver:
        await driver.press("x")
        if was_seen_to_end:
            await driver.publish(snapshot(2, positions=()))
        anew = position(quantity=Decimal(7), opened_at_ns=position().opened_at_ns + (0 if was_seen_to_end else 1))
        await driver.publish(snapshot(3, positions=(anew,)))
        await driver.sees("this position is closed")
        await driver.press("enter", "enter")
        assert driver.sent(ClosePosition) == []


async def test_cancelling_asks_with_keep_focused_and_names_what_a_stop_protects() -> None:
    async with driving() as driver:
        await driver.press("3", "down", "c")
        await driver.sees("it protects the position")
        await driver.press("enter")
        assert driver.sent(CancelOrder) == []
        await driver.press("c", "right", "enter")
        await driver.until(lambda: driver.sent(CancelOrder))
        assert driver.sent(CancelOrder)[0].client_order_id == "QD-1-17"


async def test_a_closed_order_cannot_be_cancelled() -> None:
    async with driving(snapshot(orders=(order(working=False),))) as driver:
        await driver.press("3", "c")
        await driver.sees("nothing to cancel")


async def test_a_disputed_order_is_settled_with_a_reason() -> None:
    async with driving(snapshot(orders=(order(status=OrderStatus.DISPUTED),))) as driver:
        await driver.press("3", "e")
        await driver.sees("both took and refused")
        await driver.press(*"seen", "enter", "right", "right", "enter")
        await driver.until(lambda: driver.sent(SettleOrder))
        [command] = driver.sent(SettleOrder)
        assert (command.client_order_id, command.filled, command.reason) == ("QD-1-17", False, "seen")


async def test_without_a_reason_nothing_is_settled_and_other_orders_are_not() -> None:
    async with driving(snapshot(orders=(order(status=OrderStatus.DISPUTED),))) as driver:
        await driver.press("3", "e", "enter")
        await driver.sees("say how you know")
        await driver.press("escape")
        assert driver.sent(SettleOrder) == []
    async with driving(snapshot(orders=(order(),))) as driver:
        await driver.press("3", "e")
        await driver.sees("nothing to settle")


async def test_acts_ask_for_a_selection_first() -> None:
    async with driving() as driver:
        await driver.press("3", "t")
        await driver.sees("select a position first: 1 opens the list")
        await driver.publish(snapshot(2, positions=()))
        await driver.press("1", "t")
        await driver.sees("there is no position to act on")


async def test_an_alert_is_acknowledged_and_the_venue_asked() -> None:
    async with driving() as driver:
        await driver.press("n", "R")
        await driver.until(lambda: driver.sent(AcknowledgeAlert) and driver.sent(Reconcile))
        assert driver.sent(AcknowledgeAlert)[0].alert_id == "A-1"


async def test_leaving_tells_what_stops_and_stays_by_default() -> None:
    async with driving() as driver:
        await driver.press("q")
        await driver.sees("4 open positions, 3 working orders, 2 pending decisions",
                          "stops stay at the venue: AAPL, NVDA", "no stop works while it is off: BTC-USD, TSLA")
        await driver.press("enter")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert driver.app.is_running


async def test_leaving_an_attached_engine_says_that_it_keeps_running() -> None:
    async with driving(ends_engine=False) as driver:
        await driver.press("q")
        await driver.sees("keeps running in its own process")
        await driver.press("right", "enter")
        await driver.until(lambda: driver.app._exit)


async def test_leaving_with_nothing_open_does_not_ask_and_interrupt_never_leaves() -> None:
    async with driving(snapshot(positions=(), orders=(), proposals=())) as driver:
        await driver.press("ctrl+c")
        await driver.sees("ctrl+c does not leave")
        await driver.press("q")
        await driver.until(lambda: driver.app._exit)


async def test_the_story_of_a_position_names_its_orders_and_fills() -> None:
    async with driving() as driver:
        await driver.press("enter")
        await driver.sees("What happened", "order  SELL 120 stop 183.20  NEW", "fill   BUY 120 @ 187.20  fee 1.12")


async def test_a_long_held_position_without_breakeven_starts_with_empty_fields() -> None:
    bare = position(breakeven_at=None, target=None, trail="", max_hold_left_seconds=None)
    async with driving(snapshot(positions=(bare,))) as driver:
        await driver.press("t")
        values = [driver.app.screen.query_one(f"#{field}", Input).value for field in ("target", "trail", "max_hold")]
        assert values == ["", "", ""]
