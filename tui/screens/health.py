"""Health: everything looked at in the running engine, what of it is not well, and what to do about it."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.health import health_lines, verdict_of
from engine.service import HealthLine, Snapshot, Verdict
from engine.units import NS_PER_SECOND
from tui.formats import plain
from tui.keymap import bindings_for
from tui.screens.dialog import Dialog, button
from tui.widgets.lines import ToneText

MARKS = {Verdict.OK: ("✓ ok  ", "good"), Verdict.WARN: ("! look", "warn"), Verdict.FAIL: ("✗ FAIL", "crit")}
HEADLINES = {Verdict.OK: "all is well", Verdict.WARN: "something to look at", Verdict.FAIL: "something FAILS"}
SUBJECT_WIDTH = 18
LOOK_SECONDS = 1.0


class HealthScreen(Dialog):
    """Troubles first; looked at anew each second, so that an engine that hangs is seen to hang."""

    SCOPE: ClassVar[str] = "health"
    WIDTH: ClassVar[int] = 110
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("health")

    def __init__(self) -> None:
        super().__init__("Health")

    def body(self) -> ComposeResult:
        yield ToneText(id="health-lines")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_mount(self) -> None:
        self.query_one("#safe").focus()
        self._look()
        self.set_interval(LOOK_SECONDS, self._look)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._show(snapshot)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()

    def _look(self) -> None:
        if self.app.snapshot is not None:
            self._show(self.app.snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        lines = health_lines(snapshot, snapshot.at_ns + int(self.app.silent_seconds * NS_PER_SECOND))
        self.title_with(f"Health: {HEADLINES[verdict_of(lines)]}")
        ranked = sorted(lines, key=lambda line: (Verdict.FAIL, Verdict.WARN, Verdict.OK).index(line.verdict))
        self.query_one("#health-lines", ToneText).show([row for line in ranked for row in _rows(line)])


def _rows(line: HealthLine) -> list[list[tuple[str, str]]]:
    """A finding, and below it what to do."""
    mark, tone = MARKS[line.verdict]
    rows = [[(f"{mark} ", tone), (f"{plain(line.subject):<{SUBJECT_WIDTH}} ", "strong"), (plain(line.found), "")]]
    return [*rows, [(" " * (SUBJECT_WIDTH + 8), ""), (f"→ {plain(line.remedy)}", "muted")]] if line.remedy else rows
