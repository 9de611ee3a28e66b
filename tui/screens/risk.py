"""The risk screen: what a portfolio may lose and how much of its limits is used, kept up to date while it is open."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from engine.service import RiskView, Snapshot
from tui.formats import plain
from tui.screens.dialog import Dialog, button
from tui.screens.risk_lines import risk_lines
from tui.widgets.lines import ToneText


class RiskScreen(Dialog):
    """Heat, exposure, limits and brakes of one portfolio; `p` shows the next."""

    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", show=False), Binding("down,j", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_by(-10)", show=False), Binding("pagedown,space", "scroll_by(10)", show=False),
        Binding("p", "next_portfolio", show=False), Binding("q,r", "back", show=False),
    ]

    def __init__(self, portfolio: str) -> None:
        super().__init__("Risk")
        self.portfolio = portfolio

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
        self.query_one("#risk", ToneText).show(risk_lines(view, self.WIDTH - 6))

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
        self.query_one("#body").scroll_relative(y=lines, animate=False)
