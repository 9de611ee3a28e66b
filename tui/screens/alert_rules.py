"""The alert editor: the rules with their state, and a form in which one is written or changed."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule, problem_of
from engine.alert_text import number_text, span_text
from engine.errors import UsageError
from engine.inputs import Command, EnableAlertRule, ReadAlertRule, RemoveAlertRule, SetAlertRule
from engine.service import AlertRuleStatus, AlertRuleView, Snapshot
from tui.formats import plain
from tui.keymap import bindings_for
from tui.screens.dialog import Dialog, button
from tui.screens.entries import number_entry, span_entry
from tui.widgets.background import start
from tui.widgets.choice import Choice
from tui.widgets.columns import Cell, Column, Row
from tui.widgets.entry import Entry
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

ONCE, AGAIN = "once", "every time"
TONES = {AlertRuleStatus.WATCHING: "good", AlertRuleStatus.WAITING: "warn", AlertRuleStatus.FIRED: "muted",
         AlertRuleStatus.EXPIRED: "muted", AlertRuleStatus.DISABLED: "muted"}
WATCHED = frozenset({AlertRuleStatus.WATCHING, AlertRuleStatus.WAITING})
BPS_A_PERCENT = 100


class RulesGrid(Grid):
    """One line a rule."""

    EMPTY = "No alert rules yet: write a condition below, then F5."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("id", "ID", rank=0, most=12),
        Column("status", "STATUS", rank=0),
        Column("condition", "CONDITION", rank=0, least=16, most=200, flex=True),
        Column("do", "DO", rank=1, most=24),
        Column("fired", "×", "right", rank=1),
    )


class AlertRulesDialog(Dialog):
    """Enter on a rule puts it into the form; F5 sets what the form says, as a new rule where the id is empty."""

    SCOPE: ClassVar[str] = "alert-rules"
    WIDTH: ClassVar[int] = 110
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("alert-rules")

    def __init__(self, portfolio: str, symbol: str = "") -> None:
        super().__init__("Alert rules")
        self.portfolio = portfolio
        self.symbol = symbol
        self._rules: dict[str, AlertRuleView] = {}
        self._tried = False

    def body(self) -> ComposeResult:
        yield RulesGrid(id="rules")
        with Vertical(id="rule-form"):
            for field_id, label, hint in (
                    ("condition", "when", f"{self.symbol or 'BTC/USD'} price > 70000 and spread < 5bps"),
                    ("do", "do", "notify; close BTC/USD; tighten BTC/USD to 1%; buy 1 AAPL stop 180; halt"),
                    ("words", "note", "words that go with the alert")):
                with Horizontal(classes="field"):
                    yield Label(label, markup=False)
                    yield Entry(id=field_id, placeholder=hint, select_on_focus=False)
            with Horizontal(classes="field"):
                yield Label("fires", markup=False)
                yield Choice((ONCE, AGAIN), ONCE, id="repeat")
                yield Label("cool-down", markup=False)
                yield Entry("60s", id="cooldown", select_on_focus=False)
                yield Label("slack %", markup=False)
                yield Entry("0.1", id="hysteresis", select_on_focus=False)
            with Horizontal(classes="field"):
                yield Label("id", markup=False)
                yield Entry(id="rule_id", placeholder="new", select_on_focus=False)
                yield Label("lasts", markup=False)
                yield Entry(id="lasts", placeholder="for good: or 2h, 3d", select_on_focus=False)
        yield ToneText(id="reading")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("Try", "try")
        yield button("On/off", "switch")
        yield button("Remove", "remove")
        yield button("Set rule", "act")

    def on_mount(self) -> None:
        self.query_one("#condition").focus()
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._rules = {view.rule_id: view for view in snapshot.alert_rules}
        self.query_one(RulesGrid).show([Row(view.rule_id, _cells(view)) for view in snapshot.alert_rules])
        self._show_selected()

    # ---- the list ----------------------------------------------------------------------------------------------------

    @property
    def selected(self) -> AlertRuleView | None:
        """The rule under the cursor."""
        return self._rules.get(self.query_one(RulesGrid).cursor_key)

    @on(Grid.Highlighted)
    def _highlighted(self, message: Grid.Highlighted) -> None:
        message.stop()
        self._tried = False
        self._show_selected()

    def _show_selected(self) -> None:
        """What the selected rule last saw; what was tried stays until another rule is selected."""
        view = self.selected
        if self._tried:
            return
        if view is None:
            self.query_one("#reading", ToneText).show([])
            return
        lines = [[("last  ", "muted"), (plain(view.last_reading) or "has not fired yet", "")]]
        if view.ended:
            lines.append([("ended ", "muted"), (plain(view.ended), "warn")])
        self.query_one("#reading", ToneText).show(lines)

    @on(Grid.Chosen)
    def _chosen(self, message: Grid.Chosen) -> None:
        """Put the rule into the form."""
        message.stop()
        view = self.selected
        if view is None:
            return
        for field_id, text in entries_of(view).items():
            self.query_one(f"#{field_id}", Input).value = text
        choice = self.query_one("#repeat", Choice)
        if (choice.value == AGAIN) != view.repeat:
            choice.action_turn(1)
        self.query_one("#condition").focus()
        self.note(f"{view.rule_id} is in the form; F5 replaces it", "muted")

    # ---- acts --------------------------------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "act":
                self.action_send()
            case "try":
                self._try()
            case "switch":
                self._switch()
            case "remove":
                self._remove()
            case _:
                self.dismiss()

    def action_send(self) -> None:
        """Set what the form says."""
        rule = self._rule()
        if rule is not None:
            self._act(SetAlertRule(self.app.next_command_id(), rule), "alert rule set")

    def _try(self) -> None:
        rule = self._rule()
        if rule is not None:
            start(self.app, partial(self._read, ReadAlertRule(self.app.next_command_id(), rule)))

    def _switch(self) -> None:
        view = self.selected
        if view is None:
            self.note("there is no rule to switch")
            return
        enabled = view.status not in WATCHED
        self._act(EnableAlertRule(self.app.next_command_id(), view.rule_id, enabled), f"{view.rule_id} switched")

    def _remove(self) -> None:
        view = self.selected
        if view is None:
            self.note("there is no rule to remove")
            return
        self._act(RemoveAlertRule(self.app.next_command_id(), view.rule_id), f"{view.rule_id} removed")

    def _rule(self) -> AlertRule | None:
        """The rule that the form says; a wrong entry is told, with its column where it is a condition or an action."""
        text = {field_id: self.query_one(f"#{field_id}", Input).value.strip()
                for field_id in ("condition", "do", "words", "cooldown", "hysteresis", "rule_id", "lasts")}
        try:
            rule = rule_of(text, self.portfolio, repeat=self.query_one("#repeat", Choice).value == AGAIN)
        except UsageError as problem:
            self.note(str(problem))
            return None
        return rule

    def _act(self, command: Command, what: str) -> None:
        start(self.app, partial(self._deliver, command, what))

    async def _deliver(self, command: Command, what: str) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, what)
        if receipt is None:
            self.note("no answer; look at the list", "crit")
        elif receipt.accepted:
            self.note(f"✓ {plain(receipt.text) or what}", "good")
            if isinstance(command, SetAlertRule) and self.is_attached:
                for field_id in ("condition", "do", "words", "rule_id"):
                    self.query_one(f"#{field_id}", Input).value = ""
        else:
            self.note(f"refused: {refusal_words(receipt)}", "crit")

    async def _read(self, command: ReadAlertRule) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, "try the condition")
        if receipt is None or not self.is_attached:
            return
        if not receipt.accepted:
            self.note(f"refused: {refusal_words(receipt)}", "crit")
            return
        words = {True: ("yes", "good"), False: ("no", "muted"), None: ("not known", "warn")}
        self._tried = True
        self.query_one("#reading", ToneText).show([
            [(f"{words[one.holds][0]:10}", words[one.holds][1]), (f"{plain(one.term)}  ", ""),
             (f"reads {plain(one.value)}", "muted")] for one in receipt.readings])
        self.note(plain(receipt.text), "muted")


def _cells(view: AlertRuleView) -> tuple[Cell, ...]:
    tone = "" if view.status in WATCHED else "muted"
    status = f"{view.status.value}{' ↻' if view.repeat else ''}"
    return (Cell(plain(view.rule_id), tone), Cell(status, TONES[view.status]), Cell(plain(view.condition), tone),
            Cell(plain(view.actions), tone), Cell(str(view.fired_count) if view.fired_count else "", "muted", view.fired_count))


def entries_of(view: AlertRuleView) -> dict[str, str]:
    """A rule as it would be typed."""
    from decimal import Decimal

    return {"condition": view.condition, "do": view.actions, "words": view.note, "rule_id": view.rule_id,
            "cooldown": span_text(view.cooldown_seconds), "hysteresis": number_text(Decimal(view.hysteresis_bps) / BPS_A_PERCENT),
            "lasts": span_text(view.lasts_seconds) if view.lasts_seconds else ""}


def rule_of(text: dict[str, str], portfolio: str, *, repeat: bool) -> AlertRule:
    """The rule that typed entries mean; raises `UsageError` with the field, or the column."""
    share = None if text["hysteresis"] in ("", "0") else number_entry(text["hysteresis"], "slack")
    bps = share * BPS_A_PERCENT if share is not None else 0
    if bps != int(bps):
        raise UsageError("slack: a whole number of hundredths of a percent, such as 0.1")
    cooldown = None if text["cooldown"] in ("0", "0s") else span_entry(text["cooldown"], "cool-down")
    rule = AlertRule(
        text["rule_id"], parse_condition(text["condition"]), portfolio, parse_actions(text["do"] or "notify"), repeat,
        hysteresis_bps=int(bps), cooldown_seconds=cooldown or 0, lasts_seconds=span_entry(text["lasts"], "lasts") or 0,
        note=text["words"])
    problem = problem_of(rule)
    if problem:
        raise UsageError(problem)
    return rule
