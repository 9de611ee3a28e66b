"""The research screen: what research may do now, what it decided, how good it was, what it remembers, what happened."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.inputs import ApplyResearchChange, Command, RejectResearchChange, RunResearch, StopResearch
from engine.service import (
    ChangeProposed,
    DecisionView,
    ResearchPage,
    ResearchQuery,
    ResearchQueryKind,
    ResearchView,
    Snapshot,
)
from tui.formats import moment, plain, plain_float
from tui.keymap import bindings_for
from tui.panes.research_line import outcome_words
from tui.screens.dialog import ConfirmDialog, Dialog, button
from tui.screens.research_lines import (
    Line,
    calibration_lines,
    decision_lines,
    detail_lines,
    event_lines,
    now_lines,
    thread_lines,
)
from tui.screens.turned import TurnedDialog
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column, Row
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

WIDEST, FRAME, AROUND = 132, 6, 7
PARTS = ("now", "decisions", "calibration", "threads", "events")
KINDS = {"decisions": ResearchQueryKind.DECISIONS, "calibration": ResearchQueryKind.CALIBRATION,
         "threads": ResearchQueryKind.THREADS, "events": ResearchQueryKind.EVENTS}
LEAST_LIST_ROWS, ABOUT_ROWS = 5, 10
OFF: list[Line] = [[("Research is off.", "")], [("[research] enabled = true in config.toml switches it on.", "muted")]]
PROPOSED = "proposed"


class DecidedGrid(Grid):
    """One line a decision, the newest first."""

    EMPTY = "Research has decided nothing yet; F5 begins a run."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("at", "TIME (UTC)", rank=0, most=16),
        Column("symbol", "SYMBOL", rank=0, most=12),
        Column("stance", "STANCE", rank=0),
        Column("p", "P UP%", "point", rank=0),
        Column("ev", "EV LOW", "point", rank=1),
        Column("status", "STATUS", rank=0, most=12),
        Column("outcome", "FORECAST", rank=1, least=8, most=34, flex=True),
        Column("analyst", "ANALYST", rank=2, most=28),
        Column("days", "DAYS", "right", rank=3),
        Column("cost", "$", "point", rank=4),
    )


class ResearchScreen(TurnedDialog):
    """Parts that are turned by a key; what is asked of the record is worked out beside the screen."""

    SCOPE: ClassVar[str] = "research"
    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("research")

    def __init__(self, portfolio: str) -> None:
        super().__init__("Research", portfolio)
        self.view: ResearchView | None = None
        self.pages: dict[str, ResearchPage] = {}
        self._part = 0

    def body(self) -> ComposeResult:
        yield DecidedGrid(id="decided")
        yield ToneText(id="research-text")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("Run now", "act")

    def on_mount(self) -> None:
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)
        self._arrange()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act":
            self.action_run_now()
        else:
            self.dismiss()

    # ---- showing -----------------------------------------------------------------------------------------------------

    @property
    def part(self) -> str:
        return PARTS[self._part]

    @property
    def _inner(self) -> int:
        return min(WIDEST, self.app.size.width - 2) - FRAME

    def on_resize(self) -> None:
        super().on_resize()
        self._arrange()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Follow a run that is under way."""
        before = self.view
        self.view = next((one for one in snapshot.research if one.portfolio == self.portfolio), None)
        ended = before is not None and before.run is not None and not before.run.ended_at_ns \
            and self.view is not None and self.view.run is not None and self.view.run.ended_at_ns
        if ended:
            self.pages.clear()
            self._ask()
        if self.part == "now":
            self._show()

    def _arrange(self) -> None:
        self.query_one("#frame").styles.width = self._inner + FRAME
        grid, listed = self.query_one(DecidedGrid), self.part == "decisions"
        grid.display = listed
        grid.styles.height = max(LEAST_LIST_ROWS, self.app.size.height - AROUND - ABOUT_ROWS)
        self.title_with(f"Research of {plain(self.portfolio)}: {self.part}, {self._part + 1}/{len(PARTS)}")
        (grid if listed else self.query_one("#safe")).focus()
        self._show()
        self._ask()

    def _show(self) -> None:
        text = self.query_one("#research-text", ToneText)
        page = self.pages.get(self.part)
        if self.part == "now":
            text.show(now_lines(self.view, self._inner) if self.view is not None else OFF)
        elif page is None:
            text.show([])
        elif self.part == "decisions":
            self.query_one(DecidedGrid).show([Row(one.decision_id, _cells(one)) for one in page.decisions])
            text.show(decision_lines(self.selected, self._inner) if self.selected is not None else [])
        elif self.part == "calibration":
            text.show(calibration_lines(page.calibration, self._inner) if page.calibration is not None else [])
        elif self.part == "threads":
            text.show(thread_lines(page.threads, self._inner))
        else:
            text.show(event_lines(page.events, self._inner) if page.events is not None else [])

    @property
    def selected(self) -> DecisionView | None:
        """The decision under the cursor."""
        page = self.pages.get("decisions")
        key = self.query_one(DecidedGrid).cursor_key
        return next((one for one in page.decisions if one.decision_id == key), None) if page is not None else None

    @on(Grid.Highlighted)
    def _highlighted(self, message: Grid.Highlighted) -> None:
        message.stop()
        if self.part == "decisions":
            self._show()

    # ---- asking ------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        kind = KINDS.get(self.part)
        if kind is None or self.part in self.pages:
            return
        self.note("working it out…", "muted")
        start(self, partial(self._fetch, self.part, ResearchQuery(kind, self.portfolio)), group="research", exclusive=True)

    async def _fetch(self, part: str, query: ResearchQuery) -> None:
        try:
            page = await self.app.service.research(query)
        except Exception as failure:  # noqa: BLE001 - a record that cannot be read is told, never fatal
            self.note(f"no answer: {failure}")
            return
        self.pages[part] = page
        self.note("")
        if part == self.part:
            self._show()

    # ---- acts --------------------------------------------------------------------------------------------------------

    def action_next_part(self) -> None:
        self._part = (self._part + 1) % len(PARTS)
        self._arrange()
        self.query_one("#body").scroll_home(animate=False)

    def portfolios(self, snapshot: Snapshot) -> list[str]:
        return [one.portfolio for one in snapshot.research]

    def another_portfolio(self) -> None:
        self.pages.clear()
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)
        self._arrange()

    def action_run_now(self) -> None:
        """Begin a run; it costs money only where models are configured, and within their budget."""
        self.send(RunResearch(self.app.next_command_id(), self.portfolio), "research begins")

    def action_stop_run(self) -> None:
        self.send(StopResearch(self.app.next_command_id(), self.portfolio), "the run ends")

    def action_apply_change(self) -> None:
        """Apply the first change that is proposed; asks once."""
        change = self._change
        if change is None:
            self.note("no change is proposed")
        else:
            self.app.push_screen(ChangeDialog(self, change))

    def action_reject_change(self) -> None:
        change = self._change
        if change is None:
            self.note("no change is proposed")
        else:
            self.send(RejectResearchChange(self.app.next_command_id(), change.change_id), f"{change.parameter} stays")

    @property
    def _change(self) -> ChangeProposed | None:
        page = self.pages.get("calibration")
        if page is None or page.calibration is None or self.part != "calibration":
            return None
        return next((one for one in page.calibration.changes if one.status == PROPOSED), None)

    @on(Grid.Chosen)
    def _chosen(self, message: Grid.Chosen) -> None:
        message.stop()
        self.app.push_screen(DecisionScreen(message.key))

    def send(self, command: Command, what: str) -> None:
        """Give a command and say what became of it."""
        start(self.app, partial(self._deliver, command, what))

    async def _deliver(self, command: Command, what: str) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, what)
        if receipt is None:
            self.note("no answer; look at it again", "crit")
        elif not receipt.accepted:
            self.note(f"refused: {refusal_words(receipt)}", "crit")
        else:
            self.note(f"✓ {plain(receipt.text) or what}", "good")
            self.pages.pop("calibration", None)
            self._ask()

    def redraw(self) -> None:
        super().redraw()
        self.query_one(DecidedGrid).forget_paint()


class ChangeDialog(ConfirmDialog):
    """Asks before a parameter of research changes."""

    def __init__(self, screen: ResearchScreen, change: ChangeProposed) -> None:
        self._screen, self._change = screen, change
        lines: list[Line] = [[(plain(change.parameter), "strong"), (f": {plain(change.before)} → {plain(change.after)}", "")],
                             [(plain(change.evidence), "muted")]]
        super().__init__("Apply a change", lines, safe="Leave it", act="Apply")

    def confirmed(self) -> None:
        self._screen.send(ApplyResearchChange(self.app.next_command_id(), self._change.change_id),
                          f"{self._change.parameter} is {self._change.after}")


class DecisionScreen(Dialog):
    """One decision with every voice, prompt, raw answer and the snapshot that they saw."""

    SCOPE: ClassVar[str] = "decision"
    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("decision")

    def __init__(self, decision_id: str) -> None:
        super().__init__("Decision")
        self.decision_id = decision_id

    def body(self) -> ComposeResult:
        yield ToneText(id="decision-text")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_mount(self) -> None:
        self.query_one("#frame").styles.width = self._width
        self.query_one("#safe").focus()
        self.note("looking it up…", "muted")
        start(self, self._fetch, group="decision", exclusive=True)

    @property
    def _width(self) -> int:
        return min(WIDEST, self.app.size.width - 2)

    def on_button_pressed(self) -> None:
        self.dismiss()

    async def _fetch(self) -> None:
        try:
            page = await self.app.service.research(ResearchQuery(ResearchQueryKind.DECISION, key=self.decision_id))
        except Exception as failure:  # noqa: BLE001 - a record that cannot be read is told, never fatal
            self.note(f"no answer: {failure}")
            return
        if page.decision is not None:
            one = page.decision.decision
            self.title_with(f"{one.stance} {one.symbol}, {moment(one.at_ns)} UTC, {one.analyst}")
            self.query_one("#decision-text", ToneText).show(detail_lines(page.decision, self._width - FRAME))
        self.note("")

    def action_scroll_by(self, rows: int) -> None:
        self.scroll_body(lambda body: body.scroll_y + rows)


def _cells(view: DecisionView) -> tuple[Cell, ...]:
    return (
        Cell(moment(view.at_ns)[:16], "", view.at_ns), Cell(plain(view.symbol), "strong"), Cell(view.stance),
        Cell("-" if view.p_cal is None else f"{100 * view.p_cal:.1f}", "", view.p_cal or 0.0),
        Cell(plain_float(view.ev_low_bps, 1, signed=True), "", view.ev_low_bps or 0.0), Cell(view.status.value),
        Cell(outcome_words(view), "muted"), Cell(plain(view.analyst), "muted"),
        Cell(str(view.horizon_days), "", view.horizon_days), Cell(f"{view.cost_usd:.4f}", "muted", float(view.cost_usd)))
