"""The detail pane: the facts of the row under the cursor."""

from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.formats import plain
from tui.panes.facts import Sheet, Subject, sheet_of
from tui.widgets.fact_list import fact_lines

if TYPE_CHECKING:
    from tui.theming import Tones


class DetailPane(ScrollView, can_focus=False):
    """Facts in one or two columns; it scrolls with the wheel and is never in the way of the keys."""

    def __init__(self, *, id: str | None = None, zone: tzinfo = UTC) -> None:
        super().__init__(id=id)
        self.zone = zone
        self._sheet: Sheet | None = None
        self._lines: list[Strip] = []
        self.border_title = " Detail "

    def show(self, subject: Subject | None, portfolio: str = "") -> None:
        """Show this subject, or an invitation to select one; `portfolio` where several could hold it."""
        sheet = sheet_of(subject, self.zone) if subject is not None else None
        if sheet is not None and portfolio:
            sheet = sheet._replace(title=f"{sheet.title} in {plain(portfolio)}")
        if sheet == self._sheet:
            return
        self._sheet = sheet
        self.border_title = f" Detail {sheet.title} ".replace("[", "\\[") if sheet else " Detail "
        self.draw()

    def draw(self) -> None:
        """Lay the facts out again: they, the size or the theme changed."""
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        width = max(1, self.scrollable_content_region.width)
        self._lines = fact_lines(self._sheet.facts, width, tones, self.rich_style) if self._sheet else []
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def on_resize(self) -> None:
        self.draw()

    def render_line(self, y: int) -> Strip:
        index = y + round(self.scroll_y)
        width = self.size.width
        if index < len(self._lines):
            return self._lines[index].adjust_cell_length(width, self.rich_style)
        return Strip.blank(width, self.rich_style)
