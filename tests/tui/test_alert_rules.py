"""The alert editor by keyboard: listed, written, changed, tried, switched, removed."""

from typing import Any

from textual.widgets import Input

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.inputs import Command, EnableAlertRule, ReadAlertRule, RemoveAlertRule, SetAlertRule
from engine.service import AlertReading, AlertRuleStatus, AlertRuleView, Receipt, Refusal
from tests.tui.driving import Driver, driving
from tests.tui.views import NOW_NS, snapshot


def rule_view(rule_id: str = "top", **changes: Any) -> AlertRuleView:
    fields: dict[str, Any] = {
        "rule_id": rule_id, "portfolio": "main", "condition": "AAPL price > 200 and spread < 5bps",
        "actions": "notify; close AAPL", "scopes": "instrument", "status": AlertRuleStatus.WATCHING,
        "repeat": True, "hysteresis_bps": 50, "cooldown_seconds": 600,
        "lasts_seconds": 0, "expires_at_ns": 0, "fired_count": 2, "fired_at_ns": NOW_NS, "last_reading": "AAPL price 200.01",
        "ended": "", "note": "why", "set_by": "user", "set_at_ns": NOW_NS}
    return AlertRuleView(**{**fields, **changes})


OLD = rule_view("old", status=AlertRuleStatus.FIRED, ended="fired", repeat=False, condition="heat > 5%", actions="halt")
WITH_RULES = snapshot(alert_rules=(rule_view(), OLD))


async def opened(driver: Driver) -> None:
    await driver.press("5", "w")
    await driver.sees("Alert rules")


async def typed(driver: Driver, **texts: str) -> None:
    for field_id, text in texts.items():
        driver.app.screen.query_one(f"#{field_id}", Input).value = text


async def test_the_key_is_shown_in_the_alerts_pane_and_opens_the_list() -> None:
    async with driving(WITH_RULES) as driver:
        await driver.press("5")
        await driver.sees("w rules")
        await driver.press("w")
        await driver.sees("AAPL price > 200 and spread < 5bps", "WATCHING", "heat > 5%", "FIRED", "AAPL price 200.01", "HALT")


async def test_at_the_smallest_size_everything_is_there() -> None:
    async with driving(WITH_RULES, size=(80, 24)) as driver:
        await opened(driver)
        await driver.sees("WATCHING", "Set rule", "Remove", "slack", "HALT")


async def test_an_empty_list_says_what_to_do() -> None:
    async with driving() as driver:
        await opened(driver)
        await driver.sees("No alert rules yet")


async def test_a_rule_is_written_and_set() -> None:
    async with driving() as driver:
        await opened(driver)
        await driver.press(*"AAPL price > 200")
        await typed(driver, do="close AAPL; notify", cooldown="10m", hysteresis="0.5", lasts="3d", words="why")
        await driver.press("f5")
        await driver.until(lambda: driver.sent(SetAlertRule))
        [command] = driver.sent(SetAlertRule)
        assert command.rule == AlertRule(
            "", parse_condition("AAPL price > 200"), "main", parse_actions("close AAPL; notify"), hysteresis_bps=50,
            cooldown_seconds=600, lasts_seconds=3 * 86_400, note="why")
        await driver.sees("alert rule set")


async def test_a_wrong_condition_points_at_its_column_and_nothing_is_sent() -> None:
    async with driving() as driver:
        await opened(driver)
        await driver.press(*"AAPL price 200", "f5")
        await driver.sees("condition, column 12: expected > >= < <= or crosses")
        assert driver.sent(SetAlertRule) == []


async def test_a_refusal_is_told_in_the_dialog() -> None:
    async with driving() as driver:
        driver.service.answer = _refused
        await opened(driver)
        await driver.press(*"NOPE price > 200", "f5")
        await driver.sees("NOPE is not listed")


def _refused(command: Command) -> Receipt:
    return Receipt(command.command_id, accepted=False, seq=1, refusal=Refusal("instrument", "", "", "NOPE is not listed"))


async def test_enter_puts_a_rule_into_the_form_and_f5_replaces_it() -> None:
    async with driving(WITH_RULES) as driver:
        await opened(driver)
        driver.app.screen.query_one("#rules").focus()
        await driver.press("enter")
        await driver.sees("top is in the form")
        await typed(driver, condition="AAPL price > 210")
        await driver.press("f5")
        await driver.until(lambda: driver.sent(SetAlertRule))
        [command] = driver.sent(SetAlertRule)
        assert command.rule == AlertRule("top", parse_condition("AAPL price > 210"), "main", parse_actions("notify; close AAPL"),
                                         repeat=True, hysteresis_bps=50, cooldown_seconds=600, note="why")


async def test_a_rule_is_switched_tried_and_removed() -> None:
    async with driving(WITH_RULES) as driver:
        driver.service.answer = _read
        await opened(driver)
        driver.app.screen.query_one("#rules").focus()
        await driver.press("down", "enter")
        driver.app.screen.query_one("#try").focus()
        await driver.press("enter")
        await driver.sees("reads 3.1%")
        driver.app.screen.query_one("#switch").focus()
        await driver.press("enter")
        await driver.until(lambda: driver.sent(EnableAlertRule))
        assert (driver.sent(EnableAlertRule)[0].rule_id, driver.sent(EnableAlertRule)[0].enabled) == ("old", True)
        driver.app.screen.query_one("#remove").focus()
        await driver.press("enter")
        await driver.until(lambda: driver.sent(RemoveAlertRule))
        assert driver.sent(RemoveAlertRule)[0].rule_id == "old"
        await driver.press("escape")
        assert len(driver.app.screen_stack) == 1


def _read(command: Command) -> Receipt:
    readings = (AlertReading("heat > 5%", "3.1%", holds=False),) if isinstance(command, ReadAlertRule) else ()
    return Receipt(command.command_id, accepted=True, seq=1, text="done", readings=readings)
