"""What the screen says when something is wrong, empty, old, hostile or too small."""

from decimal import Decimal
from typing import Any

import pytest
from textual.screen import Screen

from engine.inputs import Connectivity, SetTradingState, TradingState
from engine.service import Mode, StopHome, TotalView
from tests.tui.driving import driving
from tests.tui.scripted_service import ScriptedService
from tests.tui.views import account, alert, order, position, proposal, quote, snapshot
from tui.app import QuarterdeckApp
from tui.widgets.lines import Banner

HOSTILE = "\x1b[31mred\x1b[0m [red]x[/] \x1b]0;pwned\x07 a\u202eb\u200bc\x07 [link=http://x]y[/link]"


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("size", [(80, 24), (160, 45), (50, 12)])
async def test_the_kind_of_money_is_the_first_word(mode: Mode, size: tuple[int, int]) -> None:
    async with driving(snapshot(mode=mode), size=size) as driver:
        assert mode.value in driver.text[:12]


async def test_the_app_tells_once_it_is_painted_since_the_past_waits_for_that() -> None:
    app, seen = QuarterdeckApp(ScriptedService(snapshot())), list[bool]()
    app.on_painted = lambda: seen.append(app.is_running)
    async with app.run_test() as pilot:
        await pilot.pause()
    assert seen == [True]


async def test_live_and_paper_differ_in_shape_not_only_in_colour() -> None:
    texts = []
    for mode in Mode:
        async with driving(snapshot(mode=mode)) as driver:
            texts.append("".join(character for character in driver.text if character in "╭╔╌║│╎┌"))
            await driver.press("b")
            await driver.sees(f"{mode.value}", f"Send {mode.value} order")
    assert len(set(texts)) == len(Mode)


async def test_several_portfolios_are_added_up_and_a_missing_or_stale_rate_is_marked() -> None:
    total = TotalView("USD", 2, Decimal("210000.00"), 1.3, 8.0, 30.0, 0.0, (), ("side",))
    async with driving(snapshot(total=total), size=(160, 45)) as driver:
        await driver.sees("all ~210,000.00 USD heat 1.3/8.0%")
    stale = TotalView("USD", 2, Decimal("210000.00"), 1.3, 8.0, 30.0, 0.0, (), (), ("EUR/USD",))
    async with driving(snapshot(total=stale), size=(160, 45)) as driver:
        await driver.sees("all ~210,000.00 USD heat 1.3/8.0%")
    async with driving(size=(160, 45)) as driver:
        assert "all " not in driver.text.split("\n")[0]


async def test_an_ended_engine_greys_the_screen_and_says_as_of_when() -> None:
    async with driving() as driver:
        driver.service.stop()
        await driver.sees("the engine has stopped", "as of 14:32:07", "quarterdeck panic")
        assert driver.app.workstation.has_class("-lost")
        assert "AAPL" in driver.text, "the last state stays"


async def test_a_failing_service_is_told_and_news_after_it_clears_the_banner() -> None:
    async with driving() as driver:
        driver.service.fail(ConnectionError("broken [pipe]"))
        await driver.sees("cannot be reached (broken [pipe])")
        driver.service.failure = None
        driver.app.receive(snapshot(2))
        await driver.until(lambda: "cannot be reached" not in driver.text)


async def test_silence_is_told_after_a_few_seconds() -> None:
    async with driving() as driver:
        driver.clock.seconds += 6
        await driver.sees("No news from the engine for 6s")
        await driver.publish(snapshot(2))
        assert "No news" not in driver.text


@pytest.mark.parametrize("keys", [("b",), ("x",), ("2", "enter"), ("question_mark",), ("enter",), ("H",)])
async def test_silence_is_told_in_a_dialog_that_covers_the_rest_with_the_whole_way_out(keys: tuple[str, ...]) -> None:
    async with driving(size=(80, 24)) as driver:
        driver.clock.seconds += 6
        await driver.press(*keys)
        await driver.until(lambda: "No news from the engine for 6s" in words_of(driver.app.screen, driver.text))
        await driver.until(lambda: "in another shell: quarterdeck panic" in words_of(driver.app.screen, driver.text))
        await driver.sees("F9 ■ HALT")
        await driver.publish(snapshot(2))
        assert "No news" not in driver.text


async def test_a_long_reason_leaves_the_way_out_on_the_screen() -> None:
    async with driving(size=(80, 24)) as driver:
        driver.service.fail(ConnectionError("/home/someone/quarterdeck/control.sock: no engine answers on the socket"))
        await driver.until(lambda: "in another shell: quarterdeck panic" in words_of(driver.app.screen, driver.text))
        await driver.sees("F9 ■ HALT", "AAPL", "z zoom")


def words_of(screen: Screen[Any], text: str) -> str:
    """The words of the screen's banner, its lines joined."""
    region = screen.query_one(Banner).region
    lines = text.split("\n")[region.y:region.bottom]
    return " ".join(" ".join(line[region.x:region.right] for line in lines).split())


async def test_empty_panes_say_what_to_do_next() -> None:
    async with driving(snapshot(positions=(), orders=(), fills=(), proposals=(), alerts=(), quotes=())) as driver:
        await driver.sees("No positions.", "Press b to buy", "Nothing waits for you.", "No orders.", "no quotes",
                          "flat")


async def test_bad_news_is_in_the_strip_in_words() -> None:
    bad = account(trading_state=TradingState.REDUCING, connectivity=Connectivity.DOWN,
                  drift=("AAPL@SIM: ours 1, venue 2",))
    bare = position(unprotected_now=True, unprotected_seconds=12.0, stop=None, stop_home=StopHome.NONE)
    async with driving(snapshot(accounts=(bad,), positions=(bare,)), size=(80, 24)) as driver:
        await driver.sees("◐ REDUCING", "○ VENUE DOWN", "✗ 1 UNPROTECTED 0:12", "≠ DRIFT 1", "✗ BARE 0:12")


async def test_an_old_quote_is_marked_wherever_it_is_used() -> None:
    async with driving() as driver:
        await driver.sees("241.30?", "38s!", "! 1 stale 38s")


async def test_outside_text_is_shown_as_text_and_never_obeyed() -> None:
    hostile = snapshot(
        positions=(position("EV[b]IL", stop_home_detail=HOSTILE, strategy=HOSTILE),), orders=(order(reason=HOSTILE),),
        alerts=(alert(text=HOSTILE, subject=HOSTILE),), proposals=(proposal(rationale=HOSTILE, origin=HOSTILE),),
        quotes=(quote("EV[b]IL", "1.00"),))
    async with driving(hostile, size=(160, 45)) as driver:
        await driver.sees("[red]x[/]", "EV[b]IL")
        for character in "\x1b\x07\u202e\u200b":
            assert character not in driver.text
        assert "pwned" not in driver.text
        for keys in (("1", "enter"), ("2", "enter"), ("5", "enter")):
            await driver.press(*keys)
            await driver.sees("[red]x[/]")
            assert "\x1b" not in driver.text
            await driver.press("escape")


async def test_long_names_do_not_push_numbers_out() -> None:
    long = position("A-VERY-LONG-SYMBOL-OF-A-FUTURE-2027-12", quantity=Decimal("123456789.12345678"),
                    quantity_decimals=8, pnl=Decimal("-1234567.89"), stop=Decimal("98765432.10"))
    async with driving(snapshot(positions=(long,)), size=(80, 24)) as driver:
        await driver.sees("A-VERY-LONG-S…", "123,456,789.12345678", "−1,234,567.89")


async def test_a_small_terminal_says_so_and_growing_brings_everything_back() -> None:
    async with driving(size=(40, 10)) as driver:
        await driver.sees("Too small: 40x10", "F9")
        await driver.pilot.resize_terminal(120, 35)
        await driver.sees("1 Positions 4", "2 Decisions", "3 Orders")
        await driver.pilot.resize_terminal(80, 24)
        await driver.sees("1 Positions 4", "2 Decide 2?")


async def test_resizing_keeps_pane_cursor_and_filter() -> None:
    async with driving() as driver:
        await driver.press("6", "down", "down")
        pane = driver.app.workstation.query_one("#market")
        before = pane.cursor_key  # type: ignore[attr-defined]
        await driver.pilot.resize_terminal(80, 24)
        await driver.sees("6 Market")
        assert pane.has_focus
        assert pane.cursor_key == before == "BTC-USD@SIM"  # type: ignore[attr-defined]


async def test_several_portfolios_can_be_looked_at_in_turn() -> None:
    both = (account(), account("swing", equity=Decimal("5000.00"), trading_state=TradingState.HALTED))
    async with driving(snapshot(accounts=both), size=(160, 45)) as driver:
        await driver.sees("main 1/2", "(+1 other)")
        await driver.press("p")
        await driver.sees("swing 2/2", "5,000.00 USD", "■ HALTED")


async def test_the_bell_rings_for_new_decisions_only_and_can_be_muted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with driving(snapshot(proposals=(), alerts=())) as driver:
        rung: list[int] = []
        monkeypatch.setattr(driver.app, "bell", lambda: rung.append(1))
        await driver.publish(snapshot(2, proposals=(), alerts=()))
        assert rung == []
        await driver.publish(snapshot(3, proposals=(proposal("P-7"), *snapshot().proposals)))
        assert len(rung) == 1
        await driver.press("m")
        await driver.publish(snapshot(4, proposals=(proposal("P-8"), *snapshot().proposals)))
        assert len(rung) == 1


async def test_the_palette_offers_every_act_of_the_keymap() -> None:
    async with driving() as driver:
        await driver.press("colon", *"reconc")
        await driver.pilot.pause()
        await driver.press("escape")
        await driver.press("colon", *"Ask venue")
        await driver.sees("Ask venue")


async def test_zoom_gives_the_pane_the_screen_and_back() -> None:
    async with driving() as driver:
        await driver.press("3", "z")
        await driver.until(lambda: "1 Positions" not in driver.text)
        await driver.sees("position share 11.1% above")
        await driver.press("z")
        await driver.sees("1 Positions 4")


async def test_what_comes_while_the_app_ends_is_no_defect() -> None:
    """An end may take longer than a second: the banner's timer and late answers then find no screen any more."""
    async with driving() as driver:
        pass
    assert not driver.app.screen_stack
    driver.app._show_banner()
    assert await driver.app.deliver(SetTradingState("late", TradingState.HALTED), "halt") is not None
