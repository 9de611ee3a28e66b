"""What a day of work asks of the screen: keys meant for what was seen, times of other days, pages that stay true, long words."""

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from engine.inputs import AcknowledgeAlert, ClosePosition
from engine.service import AlertLevel, Receipt, Refusal
from tests.tui.driving import driving
from tests.tui.views import NOW_NS, SECOND, account, alert, fill, order, position, proposal, quote, snapshot
from tui.formats import day_clock, zone_name
from tui.panes.orders import OrdersPane
from tui.panes.positions import PositionsPane
from tui.screens.card import CardDialog
from tui.screens.close import CloseDialog
from tui.widgets.columns import Row

DAY_NS = 86_400 * SECOND
NEW_YORK = ZoneInfo("America/New_York")


async def test_a_key_that_was_meant_for_a_row_that_just_went_away_does_not_act_on_the_next_one() -> None:
    async with driving(snapshot(positions=(position("AAPL"), position("MSFT")))) as driver:
        await driver.publish(snapshot(2, positions=(position("MSFT"),)))
        await driver.press("x")
        await driver.sees("the row that was selected is gone")
        assert not isinstance(driver.app.screen, CloseDialog)
        driver.clock.seconds += 2
        await driver.press("x")
        await driver.sees("Close MSFT LONG in main")
        assert driver.sent(ClosePosition) == []


async def test_a_row_left_by_hand_can_be_acted_on_at_once() -> None:
    async with driving(snapshot(positions=(position("AAPL"), position("MSFT")))) as driver:
        await driver.press("down", "x")
        await driver.sees("Close MSFT LONG in main")


async def test_only_an_alert_that_is_on_the_screen_is_acknowledged() -> None:
    seen = alert("A-1", text="seen")
    unseen = alert("A-2", text="not seen yet", level=AlertLevel.CRIT, at_ns=NOW_NS)
    async with driving(snapshot(alerts=(seen,)), size=(80, 24)) as driver:
        driver.app.tell("✓ something was done", "good")
        await driver.publish(snapshot(2, alerts=(unseen, seen)))
        await driver.press("n")
        await driver.sees("CRIT TSLA: not seen yet")
        assert driver.sent(AcknowledgeAlert) == []
        await driver.press("n")
        await driver.until(lambda: driver.sent(AcknowledgeAlert))
        assert [command.alert_id for command in driver.sent(AcknowledgeAlert)] == ["A-2"]


async def test_an_alert_of_less_weight_that_nobody_showed_is_not_acknowledged_in_its_place() -> None:
    note = alert("A-2", text="only a note", level=AlertLevel.INFO, at_ns=NOW_NS)
    async with driving(snapshot(alerts=(note, alert("A-1"))), size=(80, 24)) as driver:
        await driver.press("n")
        await driver.until(lambda: driver.sent(AcknowledgeAlert))
        assert driver.sent(AcknowledgeAlert)[0].alert_id == "A-1"


async def test_escape_shows_all_rows_of_a_filtered_table_and_then_all_panes() -> None:
    async with driving(size=(120, 35)) as driver:
        await driver.press("slash", *"tsla", "enter", "z")
        await driver.sees("1/4")
        await driver.press("escape")
        await driver.sees("1 Positions 4 ")
        assert driver.app.workstation.has_class("-zoomed")
        await driver.press("escape")
        await driver.until(lambda: not driver.app.workstation.has_class("-zoomed"))


async def test_a_screen_that_was_too_small_for_a_while_still_moves_by_key() -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.press("3", "down")
        for size in ((40, 10), (80, 24)):
            await driver.pilot.resize_terminal(*size)
            await driver.pilot.pause()
        before = driver.app.workstation.query_one(OrdersPane).cursor_key
        await driver.press("down")
        await driver.until(lambda: driver.app.workstation.query_one(OrdersPane).cursor_key != before)


async def test_a_page_of_facts_follows_what_it_is_about_and_says_when_that_is_gone() -> None:
    async with driving(size=(100, 40)) as driver:
        await driver.press("enter")
        await driver.sees("191.45  <1s old")
        old = position(mark=Decimal("150.00"), mark_age_seconds=99.0, mark_stale=True)
        await driver.publish(snapshot(2, positions=(old,)))
        await driver.sees("150.00  1m old STALE")
        await driver.publish(snapshot(3, positions=()))
        await driver.sees("no longer there", "150.00  1m old STALE")


async def test_times_of_another_day_say_which_and_midnight_turns_them() -> None:
    before = snapshot(fills=(fill(at_ns=NOW_NS - DAY_NS), fill("T-2")), alerts=(alert(at_ns=NOW_NS - DAY_NS),))
    async with driving(before, size=(80, 24)) as driver:
        await driver.press("4")
        await driver.sees("03-07 14:32", "13:02:07")
        await driver.press("5")
        await driver.sees("03-07 14:32  ! WARN")
        await driver.press("4")
        await driver.publish(snapshot(2, fills=before.fills, at_ns=NOW_NS + DAY_NS))
        await driver.sees("03-07 14:32", "03-08 13:02")


def test_a_day_is_that_of_the_zone_of_display_also_where_the_clock_is_turned() -> None:
    turned_ns = 1_772_953_200 * SECOND  # 2026-03-08 07:00 UTC: New York goes from 02:00 EST to 03:00 EDT
    assert day_clock(turned_ns, turned_ns, NEW_YORK) == "03:00:00"
    assert (zone_name(turned_ns - SECOND, NEW_YORK), zone_name(turned_ns, NEW_YORK)) == ("EST", "EDT")
    midnight_ns = 1_772_928_000 * SECOND  # 2026-03-08 00:00 UTC
    assert day_clock(midnight_ns - SECOND, midnight_ns, UTC) == "03-07 23:59"
    assert day_clock(midnight_ns - SECOND, midnight_ns, NEW_YORK) == "18:59:59"
    assert zone_name(midnight_ns, timezone(timedelta(hours=5, minutes=30))) == "UTC+05:30"


async def test_the_clock_says_its_zone() -> None:
    async with driving(size=(160, 45), zone=NEW_YORK) as driver:
        await driver.sees("10:32:07 EDT")


async def test_numbers_are_sorted_as_numbers() -> None:
    stops = [("A", "9.50"), ("B", "1000.00"), ("C", "20.00"), ("D", None)]
    held = tuple(position(symbol, stop=None if stop is None else Decimal(stop)) for symbol, stop in stops)
    async with driving(snapshot(positions=held)) as driver:
        pane = driver.app.workstation.query_one(PositionsPane)
        place = [column.key for column in pane.COLUMNS].index("stop")
        pane._sorted_by = place
        pane._arrange(everything=True)
        assert [row.key for row in pane.rows] == [f"main|{symbol}@SIM" for symbol in "ACBD"]
        assert all(isinstance(row, Row) for row in pane.rows)


async def test_results_keep_the_decimals_of_their_money_and_say_it_where_there_are_several() -> None:
    small = position("ETH/BTC", currency="BTC", pnl=Decimal("0.00012000"), market_value=Decimal("0.10000000"))
    yen = position("7203", currency="JPY", pnl=Decimal("-15000"), market_value=Decimal("2500000"))
    async with driving(snapshot(positions=(small, yen)), size=(160, 45)) as driver:
        await driver.sees("▲ +0.00012000 BTC", "▼ −15,000 JPY", "0.10000000 BTC")
    async with driving(snapshot(positions=(small,)), size=(160, 45)) as driver:
        await driver.sees("▲ +0.00012000")
        assert "+0.00012000 BTC" not in driver.text


async def test_with_several_portfolios_what_is_selected_says_whose_it_is() -> None:
    two = (account(), account("growth"))
    async with driving(snapshot(accounts=two, positions=(position(portfolio="growth"),)), size=(80, 24)) as driver:
        await driver.sees("Detail AAPL LONG 120 in growth")


async def test_a_chart_of_which_only_the_price_moves_is_drawn_once_a_second() -> None:
    async with driving(size=(120, 35)) as driver:
        await driver.sees("7 Chart AAPL 191.45")
        moved = (quote("AAPL", "191.77"),)
        await driver.publish(snapshot(2, at_ns=NOW_NS + SECOND // 2, quotes=moved))
        assert "7 Chart AAPL 191.45" in driver.text
        await driver.publish(snapshot(3, at_ns=NOW_NS + SECOND, quotes=moved))
        await driver.sees("7 Chart AAPL 191.77")
        turned = position(stop=Decimal("190.00"))
        await driver.publish(snapshot(4, at_ns=NOW_NS + SECOND + 1, quotes=(quote("AAPL", "191.80"),), positions=(turned,)))
        await driver.sees("7 Chart AAPL 191.80")


async def test_what_lies_under_a_dialog_is_drawn_once_a_second_and_the_dialog_at_once() -> None:
    async with driving(size=(160, 45)) as driver:
        await driver.press("b")
        newer: dict[str, object] = {"quotes": (quote("AAPL", "192.00"),), "positions": (position(pnl=Decimal("777.00")),)}
        await driver.publish(snapshot(2, at_ns=NOW_NS + SECOND // 2, **newer))
        await driver.sees("191.99 / 192.01", "+510.00")
        await driver.publish(snapshot(3, at_ns=NOW_NS + SECOND, **newer))
        await driver.sees("+777.00")


async def test_leaving_asks_also_where_only_a_decision_waits() -> None:
    async with driving(snapshot(positions=(), orders=(), proposals=(proposal(),))) as driver:
        await driver.press("q")
        await driver.sees("Leave Quarterdeck", "1 pending decision")


async def test_a_long_refusal_can_be_read_to_its_end() -> None:
    async with driving(size=(80, 24)) as driver:
        driver.service.answer = lambda command: Receipt(command.command_id, accepted=False, seq=0, refusal=Refusal(
            "open orders", "200", "200", "200 orders rest at the venue already, which is as many as it takes; cancel some first"))
        await driver.press("x", "enter", "enter")
        await driver.sees("refused: 200 orders rest", "cancel some first (200 against", "z zoom")


async def test_a_long_refusal_in_a_dialog_can_be_read_to_its_end() -> None:
    async with driving(size=(80, 24)) as driver:
        driver.service.answer = lambda command: Receipt(command.command_id, accepted=False, seq=0, refusal=Refusal(
            "stop", "191.45", "250", "the stop of a long position must lie below the market, or it would close it at once"))
        await driver.press("t", "end", "0", "f5")
        await driver.sees("refused: the stop of a long", "close it at once (250 against", "F9 ■ HALT")


async def test_help_begins_with_the_place_where_it_was_asked_for() -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.press("2", "enter", "question_mark")
        await driver.sees("Help: keys and marks")
        assert "Decision card" in driver.text.split("\n")[1]
        await driver.press("question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, CardDialog))


@pytest.mark.parametrize(("keys", "words"), [
    (("ctrl+p",), "Resume trading…"), (("ctrl+q",), "Leave Quarterdeck"), (("ctrl+c",), "ctrl+c does not leave"),
    (("f1",), "Order ticket")])
async def test_what_works_everywhere_works_while_a_field_is_typed_in(keys: tuple[str, ...], words: str) -> None:
    async with driving(size=(80, 24)) as driver:
        await driver.press("b", "1", *keys)
        await driver.sees(words)
        assert driver.app.is_running


async def test_a_letter_that_leaves_the_workstation_does_nothing_in_a_dialog() -> None:
    async with driving(snapshot(positions=(), orders=(), proposals=())) as driver:
        await driver.press("r", "q")
        await driver.pilot.pause()
        assert not driver.app._exit


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_prices_of_every_size_stand_side_by_side(size: tuple[int, int]) -> None:
    held = (position("PEPE/USD", price_decimals=10, entry=Decimal("0.0000000100"), mark=Decimal("0.0000000123"),
                     stop=Decimal("0.0000000090")),
            position("BRK", entry=Decimal("10000000.00"), mark=Decimal("12345678.90"), stop=Decimal("9000000.00")))
    async with driving(snapshot(positions=held, quotes=(quote("BRK", "12345678.90"),), orders=(order(),)), size=size) as driver:
        await driver.sees("0.0000000090", "9,000,000.00")
        rows = [line for line in driver.text.split("\n") if "PEPE/USD" in line or "BRK" in line][:2]
        assert rows[0].index("0.0000000090") + 1 == rows[1].index("9,000,000.00") + len("9,000,000"), rows
