"""The risk screen: what a portfolio may lose and how much of its limits is used, kept up to date while it is open."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll

from engine.service import RiskView, Snapshot
from tui.formats import plain
from tui.keymap import bindings_for
from tui.screens.dialog import Dialog, button
from tui.screens.risk_lines import WIDE, Part, risk_parts
from tui.widgets.lines import ToneText

WIDEST = 152
FRAME = 6


class RiskScreen(Dialog):
    """Heat, exposure, a bad day, limits, brakes and correlation of one portfolio; as wide as there is room for two columns."""

    SCOPE: ClassVar[str] = "risk"
    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("risk")

    def __init__(self, portfolio: str) -> None:
        super().__init__("Risk")
        self.portfolio = portfolio
        self._parts: list[Part] = []

    def body(self) -> ComposeResult:
        yield ToneText(id="risk")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_mount(self) -> None:
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring every line up to date."""
        view = self._view(snapshot)
        if view is None:
            self.query_one("#risk", ToneText).show([[("no portfolio is known yet", "muted")]])
            return
        self.title_with(f"Risk of {plain(view.portfolio)}: {plain(view.tolerance)}")
        self._parts = risk_parts(view, self._width - FRAME)
        lines = [line for part in self._parts for line in [*part.lines, []]]
        self.query_one("#risk", ToneText).show(lines[:-1])

    @property
    def _width(self) -> int:
        room = self.app.size.width - 4
        return min(WIDEST, room) if room >= WIDE + FRAME else self.WIDTH

    def on_resize(self) -> None:
        super().on_resize()
        self.query_one("#frame").styles.width = self._width
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)

    def _view(self, snapshot: Snapshot) -> RiskView | None:
        views = [view for view in snapshot.risks if view.portfolio == self.portfolio] or list(snapshot.risks)
        return views[0] if views else None

    def action_next_portfolio(self) -> None:
        snapshot = self.app.snapshot
        names = [view.portfolio for view in snapshot.risks] if snapshot else []
        if snapshot is not None and names:
            at = names.index(self.portfolio) if self.portfolio in names else -1
            self.portfolio = names[(at + 1) % len(names)]
            self.show_snapshot(snapshot)

    def on_button_pressed(self) -> None:
        self.dismiss()

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_body(lambda body: body.scroll_y + lines)

    def action_next_part(self) -> None:
        """Show the next part at the top; after the last, the first."""
        self.scroll_body(self._next_start)

    def _next_start(self, body: VerticalScroll) -> float:
        starts, line = [0], 0
        for part in self._parts:
            starts.append(line)
            line += len(part.lines) + 1
        below = [start for start in starts if start > body.scroll_y]
        at_end = body.scroll_y >= body.max_scroll_y
        return 0 if at_end or not below else below[0]
