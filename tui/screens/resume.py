"""Changing the trading state by hand: resuming is a separate act, typed in full; reducing asks once."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from engine.inputs import SetTradingState, TradingState
from engine.service import Snapshot
from tui.formats import plain
from tui.screens.dialog import ConfirmDialog, Dialog, button
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText

WORD = "RESUME"


class ResumeDialog(Dialog):
    """Back to ACTIVE, once the word was typed."""

    WIDTH: ClassVar[int] = 66

    def __init__(self) -> None:
        super().__init__("Resume trading")

    def body(self) -> ComposeResult:
        yield ToneText(state_lines(self.app.snapshot))
        yield Entry(placeholder=f"type {WORD}", id="word")

    def buttons(self) -> ComposeResult:
        yield button("Stay halted", "safe")
        yield button("Resume", "act", disabled=True)

    def on_mount(self) -> None:
        self.query_one("#word").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#act", Button).disabled = event.value.strip() != WORD

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip() == WORD:
            self.query_one("#act").focus()
        else:
            self.note(f"type {WORD} to resume, esc to stay as it is")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()
        if event.button.id == "act":
            self.app.act(SetTradingState(self.app.next_command_id(), TradingState.ACTIVE, cause="resumed by hand"),
                         "trading resumed")


class ReduceDialog(ConfirmDialog):
    """Only reductions from now on."""

    def __init__(self) -> None:
        super().__init__("Reduce only", [[("New entries are refused; positions can only become smaller.", "")]],
                         safe="Cancel", act="Reduce only")

    def confirmed(self) -> None:
        self.app.act(SetTradingState(self.app.next_command_id(), TradingState.REDUCING, cause="set by hand"),
                     "only reductions from now on")


def state_lines(snapshot: Snapshot | None) -> list[list[tuple[str, str]]]:
    """Every portfolio's state and its cause."""
    lines: list[list[tuple[str, str]]] = [[("Entries are allowed again in every portfolio.", "")], []]
    for account in snapshot.accounts if snapshot else ():
        lines.append([(f"{plain(account.portfolio)}: ", "strong"), (account.trading_state.value, "warn"),
                      (f"  {plain(account.trading_state_cause)}", "muted")])
        lines += [[(f"  ≠ drift: {plain(drift)}", "crit")] for drift in account.drift]
    return [*lines, []]
