"""The ticket asks what the order would do, and sends only what was checked."""

from decimal import Decimal
from typing import Any

import pytest

from engine.inputs import EdgeSpec, PlaceOrder, SizeSpec, TradingState, TrailSpec
from engine.orders import OrderKind, Side, TimeInForce
from engine.service import CheckView, ClampView, Mode, Receipt, Refusal
from tests.tui.driving import Driver, driving
from tests.tui.views import CHECKS, FAILED_CHECK, account, card, quote, snapshot
from tui.screens.card_lines import check_lines
from tui.screens.ticket import TicketDialog
from tui.widgets.lines import ToneText

FIELD = {"symbol": "#symbol", "quantity": "#quantity", "limit": "#limit", "trigger": "#trigger",
         "stop": "#stop", "target": "#target", "trail": "#trail", "breakeven": "#breakeven", "max_hold": "#max_hold"}


async def fill(driver: Driver, **texts: str) -> None:
    for field, text in texts.items():
        driver.app.screen.query_one(FIELD[field]).focus()
        await driver.press(*text)


async def test_every_field_reaches_the_what_if_and_the_order() -> None:
    async with driving() as driver:
        await driver.press("b", "shift+tab", "right")  # kind: limit
        await fill(driver, quantity="10", limit="190", stop="185.5", target="200", trail="2%", breakeven="192",
                   max_hold="1d 12h")
        await driver.until(lambda: driver.service.asked and driver.service.asked[-1].max_hold_seconds == 129_600)
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5")
        await driver.until(lambda: driver.sent(PlaceOrder))
        [order] = driver.sent(PlaceOrder)
        assert order == PlaceOrder(
            order.command_id, "AAPL", Side.BUY, "main", quantity=Decimal("10"), kind=OrderKind.LIMIT,
            limit=Decimal("190"), stop=Decimal("185.5"), target=Decimal("200"), trail=TrailSpec(percent=Decimal("2")),
            breakeven_at=Decimal("192"), max_hold_seconds=129_600, time_in_force=TimeInForce.GTC)
        assert driver.service.asked[-1] == order
        await driver.sees("✓ BUY 10 AAPL sent")


@pytest.mark.parametrize(("turns", "text", "wanted"), [
    (1, "50bp", {"risk_percent": Decimal("0.5")}), (1, "1%", {"risk_percent": Decimal(1)}),
    (2, "1% 2", {"risk_percent": Decimal(1), "size": SizeSpec(atr=Decimal(2))}),
    (3, "15%", {"size": SizeSpec(volatility_percent=Decimal(15))}),
    (4, "0.55 1.5 80", {"size": SizeSpec(edge=EdgeSpec(Decimal("0.55"), Decimal("1.5"), 80))}),
    (5, "", {"size": SizeSpec(largest=True)}),
])
async def test_every_way_of_sizing_is_chosen_in_the_ticket(turns: int, text: str, wanted: dict[str, Any]) -> None:
    async with driving(size=(80, 24)) as driver:
        clamp = ClampView("heat", None, Decimal("12.5"), "6.00%")
        driver.service.preview = card(clamps=(clamp,))
        await driver.press("b", *text, "tab", *(["right"] * turns))
        await driver.sees("no bound → 12.5", "by heat, 6.00%")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5")
        await driver.until(lambda: driver.sent(PlaceOrder))
        [order] = driver.sent(PlaceOrder)
        assert {name: getattr(order, name) for name in ("quantity", "risk_percent", "size")} == {
            "quantity": None, "risk_percent": None, "size": None, **wanted}


@pytest.mark.parametrize(("turns", "text", "words"), [
    (1, "", "type 1% or 50bp of equity"), (1, "150", "at most 100%"), (2, "1%", "how many average ranges"),
    (3, "x", "must be a number above zero"), (4, "0.5 2", "a win rate, a payoff and a count"),
])
async def test_a_size_that_cannot_be_meant_is_told(turns: int, text: str, words: str) -> None:
    async with driving(size=(160, 45)) as driver:
        await driver.press("b", *text, "tab", *(["right"] * turns))
        told = driver.app.screen.query_one("#preview-text", ToneText)
        await driver.until(lambda: words in " ".join(" ".join(text for line in told.lines for text, _ in line).split()))


async def test_the_preview_shows_worst_case_heat_and_checks() -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.press("b", "1", "0")
        await driver.sees("worst case  −316.58 USD", "3.10% → 3.40%", "61.0% → 68.6%", "other checks pass",
                          "heat             3.4% of 6.0%", "191.44 / 191.46")


async def test_a_failed_check_is_shown_and_nothing_is_sent() -> None:
    async with driving() as driver:
        driver.service.preview = card(checks=(FAILED_CHECK, *CHECKS))
        await driver.press("b", "9", "9")
        await driver.sees("heat would be 6.4%, above the")
        await driver.press("f5")
        await driver.sees("not sent: a check fails")
        assert driver.sent(PlaceOrder) == []


def test_the_longest_name_of_a_check_keeps_its_distance() -> None:
    checks = (CheckView("heat", True, "6%", "1%", ""), CheckView("expected shortfall", True, "10%", "2%", ""))
    told = ["".join(text for text, _ in line) for line in check_lines(checks, 36)]
    assert told == ["✓ heat               1% of 6%", "✓ expected shortfall 2% of 10%"]


async def test_a_refusal_of_the_what_if_is_told() -> None:
    async with driving() as driver:
        driver.service.preview = Refusal("symbol", "", "", "no instrument called AAPL at this venue")
        await driver.press("b", "1")
        await driver.sees("no instrument called AAPL")


@pytest.mark.parametrize(("texts", "words"), [
    ({"quantity": "ten"}, "'ten' is not a number"),
    ({"quantity": "0"}, "must be above zero"),
    ({"quantity": "1", "max_hold": "soon"}, "'soon' is not a span"),
    ({"quantity": "1", "trail": "%"}, "a number is missing"),
    ({}, "quantity: type how much"),
])
async def test_a_wrong_entry_is_told_by_field_and_never_sent(texts: dict[str, str], words: str) -> None:
    async with driving() as driver:
        await driver.press("b")
        await fill(driver, **texts)
        await driver.sees(words)
        await driver.press("f5")
        assert driver.sent(PlaceOrder) == []


async def test_what_was_typed_after_the_checks_is_not_sent_unchecked() -> None:
    async with driving() as driver:
        await driver.press("b", "1", "0")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("0", "f5")
        assert [order for order in driver.sent(PlaceOrder) if order.quantity != Decimal("100")] == []


async def test_a_key_held_down_sends_once() -> None:
    async with driving() as driver:
        await driver.press("s", "1")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5", "f5", "f5")
        await driver.until(lambda: len(driver.app.screen_stack) == 1)
        assert len(driver.sent(PlaceOrder)) == 1
        assert driver.sent(PlaceOrder)[0].side is Side.SELL


async def test_nothing_is_sent_to_an_engine_that_says_nothing_to_be_done_when_it_wakes() -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.press("b", "1", "0")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        driver.clock.seconds += 11
        await driver.sees("11s old")
        await driver.press("f5")
        await driver.sees("not sent: the engine says nothing")
        assert driver.sent(PlaceOrder) == []
        await driver.publish(snapshot(2))
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5")
        await driver.until(lambda: driver.sent(PlaceOrder))


async def test_a_ticket_that_is_about_to_open_outlives_the_second_in_which_silence_is_told() -> None:
    async with driving() as driver:
        driver.clock.seconds += 11
        opening = driver.app.push_screen(TicketDialog(Side.BUY, "AAPL", "main"))
        driver.app._show_banner()  # the timer's, before the dialog has any widgets
        driver.app._receive_safely(snapshot(2))
        assert not driver.app.lost_because
        await opening
        driver.clock.seconds += 11
        await driver.sees("New order", "No news from the engine")


async def test_a_refused_order_says_why_and_keeps_what_was_typed() -> None:
    async with driving() as driver:
        driver.service.answer = lambda command: Receipt(
            command.command_id, accepted=False, seq=0,
            refusal=Refusal("duplicate", "10s", "3s", "the same order came 3s ago"))
        await driver.press("b", "1", "0")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5")
        await driver.sees("refused: the same order came 3s ago (3s against 10s)")
        assert driver.app.screen.query_one("#quantity").value == "10"  # type: ignore[attr-defined]


async def test_real_money_asks_once_more_with_cancel_focused() -> None:
    async with driving(snapshot(mode=Mode.LIVE)) as driver:
        await driver.press("b", "1", "0")
        await driver.sees("■ LIVE ■ │ New order", "Send LIVE order")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        await driver.press("f5")
        await driver.sees("real money")
        await driver.press("enter")
        assert driver.sent(PlaceOrder) == []
        await driver.press("f5", "right", "enter")
        await driver.until(lambda: driver.sent(PlaceOrder))


@pytest.mark.parametrize("change", [
    {"accounts": (account(trading_state=TradingState.HALTED),)}, {"positions": ()}, {"quotes": (quote(stale=True),)},
    {"quotes": (quote(last="250"),)}])
async def test_checks_that_no_longer_hold_are_asked_for_anew(change: dict[str, Any]) -> None:
    async with driving() as driver:
        await driver.press("b", "1")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        driver.service.preview = card(checks=(FAILED_CHECK, *CHECKS))
        await driver.publish(snapshot(2, **change))
        await driver.sees("heat would be 6.4%, above the")
        assert driver.app.screen.query_one("#act").disabled
        await driver.press("f5")
        assert driver.sent(PlaceOrder) == []


async def test_a_price_that_hardly_moves_does_not_take_the_button_away() -> None:
    async with driving() as driver:
        await driver.press("b", "1")
        await driver.until(lambda: not driver.app.screen.query_one("#act").disabled)
        asked = len(driver.service.asked)
        await driver.publish(snapshot(2))
        await driver.publish(snapshot(3))
        assert not driver.app.screen.query_one("#act").disabled
        assert len(driver.service.asked) == asked


async def test_the_quote_is_that_of_the_portfolios_own_venue() -> None:
    two = (quote("BTC/USD", "61000", instrument_id="BTC/USD@binance"), quote("BTC/USD", "59000", instrument_id="BTC/USD@kraken"))
    accounts = (account("main", venues=("binance",)), account("other", venues=("kraken",)), account("shares", venues=("alpaca",)))
    async with driving(snapshot(quotes=two, accounts=accounts), size=(160, 45)) as driver:
        driver.app.push_screen(TicketDialog(Side.BUY, "BTC/USD", "other"))
        await driver.sees("58,999.99 / 59,000.01", "kraken")
        driver.app.pop_screen()
        driver.app.push_screen(TicketDialog(Side.BUY, "BTC/USD", "main"))
        await driver.sees("60,999.99 / 61,000.01", "binance")
        driver.app.pop_screen()
        driver.app.push_screen(TicketDialog(Side.BUY, "BTC/USD", "shares"))
        await driver.sees("no quote for this symbol")
