"""A filter for one table: rows disappear while one types; Enter keeps it, esc shows all again."""

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.widgets.entry import Entry
from tui.widgets.grid import Grid

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp


class FilterDialog(ModalScreen[None]):
    """One line at the bottom; the table above stays visible and follows every letter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", show=False)]

    app: "QuarterdeckApp"

    def __init__(self, table: Grid) -> None:
        super().__init__()
        self._table = table

    def compose(self) -> ComposeResult:
        yield Entry(self._table.words, placeholder="show rows that contain…  (enter keeps, esc shows all)")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._table.filter(event.value)
        self._retitle()

    @on(Input.Submitted)
    def _kept(self) -> None:
        self.dismiss()

    def action_back(self) -> None:
        self._table.filter("")
        self._retitle()
        self.dismiss()

    def _retitle(self) -> None:
        if self.app.snapshot is not None:
            self.app.workstation.show_snapshot(self.app.snapshot)
