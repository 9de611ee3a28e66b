"""Candidates: how far each strategy is on its way to real money, what its next stage asks for, and a step further or back."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button, Input

from engine.inputs import Command, DemoteCandidate, PromoteCandidate, Stage
from engine.service import CandidateView, Snapshot
from tui.formats import moment, money, percent, plain
from tui.keymap import bindings_for
from tui.screens.dialog import ConfirmDialog, Dialog, button
from tui.screens.list_screen import Line, ListScreen
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column
from tui.widgets.entry import Entry
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

LIVE_STAGES = (Stage.STAGED_LIVE, Stage.FULL_LIVE)

class CandidatesGrid(Grid):
    """One line a strategy."""

    EMPTY = "No strategies: [[strategies]] sections of the configuration name them."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("strategy", "STRATEGY", rank=0, least=10, most=24, flex=True),
        Column("stage", "STAGE", rank=0),
        Column("next", "NEXT", rank=0),
        Column("gates", "GATES", rank=0),
        Column("trips", "TRIPS", "right", rank=0),
        Column("net", "NET", "point", rank=0),
        Column("fall", "FALL", "point", rank=0),
        Column("portfolio", "PORTFOLIO", rank=1, most=16),
        Column("since", "SINCE (UTC)", rank=2),
        Column("days", "DAYS", "point", rank=2),
    )


class CandidatesScreen(ListScreen[CandidateView]):
    """Below the list, every gate of the selected strategy and the last step that it took."""

    SCOPE: ClassVar[str] = "candidates"
    WIDTH: ClassVar[int] = 120
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("candidates")
    GRID, GRID_ID, ABOUT_ID = CandidatesGrid, "candidates", "gates"

    def __init__(self) -> None:
        super().__init__("Candidates")

    def views(self, snapshot: Snapshot) -> dict[str, CandidateView]:
        return {view.name: view for view in snapshot.candidates}

    def cells(self, view: CandidateView) -> tuple[Cell, ...]:
        return _cells(view)

    def lines(self, view: CandidateView) -> list[Line]:
        return _lines(view)

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("Demote", "demote")
        yield button("Promote", "act")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        match event.button.id:
            case "act":
                self.action_promote()
            case "demote":
                self.action_demote()
            case _:
                self.dismiss()

    def action_promote(self) -> None:
        """One stage further; asks for the strategy's name where every gate is met."""
        view = self.selected
        if view is None:
            return
        unmet = [gate.name for gate in view.gates if not gate.met]
        if not view.next_stage:
            self.note(f"{view.name} is in {view.stage}; there is no further stage")
        elif unmet:
            self.note(f"{view.next_stage} still asks for: {', '.join(unmet)}")
        else:
            self.app.push_screen(PromoteDialog(self, view))

    def action_demote(self) -> None:
        """One stage back; asks once, since the days of the stage are counted anew."""
        view = self.selected
        if view is None:
            return
        if view.stage == Stage.RESEARCH:
            self.note(f"{view.name} is in research; there is no stage before it")
        else:
            self.app.push_screen(DemoteDialog(self, view))

    def send(self, command: Command, what: str) -> None:
        """Give a command and say in the dialog's own line what became of it."""
        start(self.app, partial(self._deliver, command, what))

    async def _deliver(self, command: Command, what: str) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, what)
        if receipt is None:
            self.note("no answer; look at the list", "crit")
        elif receipt.accepted:
            self.note(f"✓ {plain(receipt.text) or what}", "good")
        else:
            self.note(f"refused: {refusal_words(receipt)}", "crit")


class PromoteDialog(Dialog):
    """What a promotion means, and the strategy's name to type; bound to the form that is shown."""

    WIDTH: ClassVar[int] = 72

    def __init__(self, screen: CandidatesScreen, view: CandidateView) -> None:
        super().__init__(f"Promote {view.name}")
        self._screen, self._view = screen, view

    def body(self) -> ComposeResult:
        view, live = self._view, self._view.next_stage in LIVE_STAGES
        yield ToneText([
            [("from ", "muted"), (view.stage, "strong"), (" to ", "muted"), (view.next_stage, "strong")],
            [("It may then enter with REAL MONEY.", "crit")] if live else [("It enters nothing with real money there.", "")],
            [(f"{len(view.gates)} gates are met, form {view.digest}", "muted")], []])
        yield Entry(placeholder=f"type {plain(view.name)}", id="word")

    def buttons(self) -> ComposeResult:
        yield button("Leave it", "safe")
        yield button("Promote", "act", disabled=True)

    def on_mount(self) -> None:
        self.query_one("#word").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#act", Button).disabled = event.value.strip() != self._view.name

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        if event.value.strip() == self._view.name:
            self.query_one("#act").focus()
        else:
            self.note(f"type {self._view.name} to promote it, esc to leave it as it is")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()
        if event.button.id == "act":
            view = self._view
            self._screen.send(PromoteCandidate(self.app.next_command_id(), view.name, Stage(view.next_stage), view.digest),
                              f"{view.name} is promoted")


class DemoteDialog(ConfirmDialog):
    """Asks before a strategy goes back."""

    def __init__(self, screen: CandidatesScreen, view: CandidateView) -> None:
        self._screen, self._view = screen, view
        lines: list[Line] = [
            [(f"{plain(view.name)} goes one stage back from ", ""), (view.stage, "strong"), (".", "")],
            [("Its days and round trips are counted anew.", "muted")], [("What it holds stays protected.", "muted")]]
        super().__init__(f"Demote {view.name}", lines, safe="Leave it", act="Demote")

    def confirmed(self) -> None:
        self._screen.send(DemoteCandidate(self.app.next_command_id(), self._view.name), f"{self._view.name} is demoted")


def _cells(view: CandidateView) -> tuple[Cell, ...]:
    met = sum(gate.met for gate in view.gates)
    gates, tone = (f"{met} of {len(view.gates)}", "") if not view.ready else ("✓ all", "good")
    live = view.stage in LIVE_STAGES
    return (Cell(plain(view.name)), Cell(f"{'■ ' if live else ''}{view.stage}", "strong" if live else "", view.stage),
            Cell(view.next_stage or "-", "muted"), Cell(gates if view.gates else "-", tone, float(met)),
            Cell(str(view.round_trips), "", view.round_trips),
            Cell(money(view.net, view.money_decimals, signed=True), "", float(view.net)),
            Cell(percent(view.drawdown_percent, 1), "", view.drawdown_percent),
            Cell(f"{plain(view.portfolio)}{' ■' if view.live else ''}", "" if view.may_enter else "warn"),
            Cell(moment(view.since_ns) if view.since_ns else "-", "muted", view.since_ns),
            Cell(f"{view.days:.1f}", "muted", view.days))


def _lines(view: CandidateView) -> list[Line]:
    """Where the strategy may enter, what its next stage asks for, and how it came to its own."""
    money_words = "real money" if view.live else "paper"
    may = f"enters with {percent(view.capital_percent, 0)} of its capital" if view.may_enter else "enters nothing"
    model = ", with a model" if view.uses_model else ""
    lines: list[Line] = [
        [("now    ", "muted"), (f"{plain(view.portfolio)}, {money_words}: {may}", "" if view.may_enter else "warn"),
         (f"; {plain(view.rule)}{model}", "muted")]]
    lines += [[("✓ " if gate.met else "✗ ", "good" if gate.met else "warn"), (f"{gate.name:<22}", "" if gate.met else "strong"),
               (plain(gate.found), ""), (f"  (needed: {gate.needed})", "muted")] for gate in view.gates]
    if not view.gates:
        lines.append([("next   ", "muted"), ("nothing: this is the last stage", "")])
    if view.history:
        last = view.history[0]
        lines.append([("last   ", "muted"), (f"to {last.stage}, {moment(last.at_ns)} UTC by {plain(last.by)}", "muted"),
                      (f": {plain(last.reason)}" if last.reason else "", "")])
    return lines
