"""A table drawn line by line: only changed rows are painted again, and the cursor stays on its row whatever arrives."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.keymap import bindings_for
from tui.widgets.columns import GAP, Cell, Column, Placed, Row, Widths, shortened

if TYPE_CHECKING:
    from tui.theming import Tones

_NUMBER = re.compile(r"[-\u2212]?\d+(?:\.\d+)?")


class Grid(ScrollView, can_focus=True):
    """Rows under stable keys; the first line is the header. Give it rows with `show`, it finds out what changed."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for("grid")
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    EMPTY: ClassVar[str] = "Nothing here."

    class Highlighted(Message):
        """The cursor came to another row."""

        def __init__(self, grid: "Grid", key: str) -> None:
            super().__init__()
            self.grid, self.key = grid, key

    class Chosen(Message):
        """A row was opened with enter or a double click."""

        def __init__(self, grid: "Grid", key: str) -> None:
            super().__init__()
            self.grid, self.key = grid, key

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._given: tuple[Row, ...] | None = None
        self._rows: list[Row] = []
        self._widths = Widths(self.COLUMNS)
        self._placed: tuple[Placed, ...] = ()
        self._strips: dict[str, tuple[Row, bool, Strip]] = {}
        self._cursor_key = ""
        self._cursor = 0
        self._sorted_by: int | None = None
        self._descending = False
        self.words = ""
        self.painted_rows = 0

    # ---- what a pane gives ------------------------------------------------------------------------------------------

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows; lines that did not change are not painted again."""
        first = self._given is None
        given = tuple(rows)
        if given == self._given:
            return
        before = {row.key: row for row in self._given or ()}
        self._given = given
        grew = False
        for row in given:
            if before.get(row.key) is not row:
                grew |= self._widths.measure(row)
        self._arrange(everything=grew or first)

    @property
    def rows(self) -> Sequence[Row]:
        """The rows in the order of the screen."""
        return self._rows

    @property
    def counts(self) -> str:
        """How many rows there are, `3/120` while a filter hides some."""
        total = len(self._given or ())
        return f"{len(self._rows)}/{total}" if self.words else str(total)

    @property
    def cursor_key(self) -> str:
        """The key of the row under the cursor, empty where there is none."""
        return self._cursor_key

    def filter(self, words: str) -> None:
        """Show only rows in which every word occurs."""
        self.words = words.strip().casefold()
        self._arrange(everything=True)

    def select(self, key: str) -> None:
        """Put the cursor on a row, where it exists."""
        for index, row in enumerate(self._rows):
            if row.key == key:
                self._go(index)
                return

    def forget_paint(self) -> None:
        """Paint everything again: the theme changed."""
        self._strips.clear()
        self.refresh()

    # ---- arranging --------------------------------------------------------------------------------------------------

    def _arrange(self, *, everything: bool) -> None:
        rows = self._wanted_rows()
        same_keys = len(rows) == len(self._rows) and all(a.key == b.key for a, b in zip(rows, self._rows, strict=True))
        changed = [index for index, (new, old) in enumerate(zip(rows, self._rows, strict=False)) if new != old]
        self._rows = rows
        if everything:
            self._layout()
        if same_keys and not everything:
            top = round(self.scroll_y)
            regions = [Region(0, index + 1 - top, self.size.width, 1) for index in changed
                       if 0 < index + 1 - top < self.size.height]
            if regions:
                self.refresh(*regions)
            return
        self._follow_cursor()
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows) + 1)
        self._strips = {key: kept for key, kept in self._strips.items() if not everything}
        self.refresh()

    def _wanted_rows(self) -> list[Row]:
        rows = list(self._given or ())
        if self.words:
            words = self.words.split()
            rows = [row for row in rows
                    if all(word in " ".join(cell.text for cell in row.cells).casefold() for word in words)]
        if self._sorted_by is not None:
            column = self._sorted_by
            numbers = self.COLUMNS[column].align == "point"
            rows.sort(key=lambda row: _order(row.cells[column], numbers=numbers), reverse=self._descending)
        return rows

    def _layout(self) -> None:
        self._placed = self._widths.place(max(1, self.scrollable_content_region.width - 1))
        self._strips.clear()

    def _follow_cursor(self) -> None:
        if not self._rows:
            self._cursor = 0
            self._move_key("")
            return
        for index, row in enumerate(self._rows):
            if row.key == self._cursor_key:
                if index != self._cursor:
                    self._cursor = index
                    self._scroll_to_cursor()
                return
        self._cursor = min(self._cursor, len(self._rows) - 1)
        self._move_key(self._rows[self._cursor].key)

    def _move_key(self, key: str) -> None:
        if key != self._cursor_key:
            self._cursor_key = key
            self.post_message(self.Highlighted(self, key))

    def on_resize(self, event: Resize) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows) + 1)
        self._layout()
        self._scroll_to_cursor()
        self.refresh()

    # ---- drawing ----------------------------------------------------------------------------------------------------

    @property
    def tones(self) -> "Tones":
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        return tones

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if y == 0:
            return self._header(base).adjust_cell_length(width, base)
        index = y - 1 + round(self.scroll_y)
        if not self._rows:
            return self._empty(y, base).adjust_cell_length(width, base)
        if index >= len(self._rows):
            return Strip.blank(width, base)
        row, under_cursor = self._rows[index], index == self._cursor
        kept = self._strips.get(row.key)
        if kept is not None and kept[0] is row and kept[1] == under_cursor:
            return kept[2]
        self.painted_rows += 1
        strip = self._line(row, base, under_cursor=under_cursor).adjust_cell_length(
            width, self._row_style(base, under_cursor=under_cursor))
        self._strips[row.key] = (row, under_cursor, strip)
        return strip

    def _row_style(self, base: Style, *, under_cursor: bool) -> Style:
        if not under_cursor:
            return base
        return base + (self.tones.cursor if self.has_focus else self.tones.cursor_rest)

    def _line(self, row: Row, base: Style, *, under_cursor: bool) -> Strip:
        style, tones = self._row_style(base, under_cursor=under_cursor), self.tones
        segments = [Segment("▌" if under_cursor else " ", style + tones["focus"] if self.has_focus else style)]
        for position, placed in enumerate(self._placed):
            cell = row.cells[placed.place]
            if position:
                segments.append(Segment(" " * GAP, style))
            cell_style = style + tones[cell.tone] if cell.tone else style
            segments.append(Segment(self._widths.fitted(cell, placed), cell_style))
        return Strip(segments)

    def _header(self, base: Style) -> Strip:
        style = base + self.tones["head"]
        segments = [Segment(" ", style)]
        for position, placed in enumerate(self._placed):
            mark = ("↓" if self._descending else "↑") if placed.place == self._sorted_by else ""
            if position:
                segments.append(Segment(" " * GAP, style))
            segments.append(Segment(self._widths.title(placed, mark), style))
        return Strip(segments)

    def _empty(self, y: int, base: Style) -> Strip:
        if self._given is None:
            text = "Waiting for the engine…" if y == 2 else ""
        elif self.words and self._given:
            text = f"No row contains “{self.words}”; esc shows all." if y == 2 else ""
        else:
            lines = self.EMPTY.split("\n")
            text = lines[y - 2] if 0 <= y - 2 < len(lines) else ""
        text = shortened(text, max(0, self.size.width - 2)).rstrip()
        return Strip([Segment("  " + text, base + self.tones["muted"])])

    # ---- moving -----------------------------------------------------------------------------------------------------

    def _go(self, index: int) -> None:
        if not self._rows:
            return
        before, self._cursor = self._cursor, max(0, min(index, len(self._rows) - 1))
        self._scroll_to_cursor()
        top = round(self.scroll_y)
        self.refresh(Region(0, before + 1 - top, self.size.width, 1),
                     Region(0, self._cursor + 1 - top, self.size.width, 1))
        self._move_key(self._rows[self._cursor].key)

    def _scroll_to_cursor(self) -> None:
        lines = max(1, self.scrollable_content_region.height - 1)
        top = round(self.scroll_y)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + lines:
            self.scroll_to(y=self._cursor - lines + 1, animate=False)

    def action_move(self, step: int) -> None:
        self._go(self._cursor + step)

    def action_move_page(self, step: int) -> None:
        self._go(self._cursor + step * max(1, self.scrollable_content_region.height - 2))

    def action_move_to(self, index: int) -> None:
        self._go(index if index >= 0 else len(self._rows) + index)

    def action_detail(self) -> None:
        if self._cursor_key:
            self.post_message(self.Chosen(self, self._cursor_key))

    def action_order_by(self) -> None:
        """Sort by the next visible column, and after the last one as given."""
        visible = [placed.place for placed in self._placed]
        if self._sorted_by is None:
            self._sorted_by = visible[0] if visible else None
        else:
            later = [index for index in visible if index > self._sorted_by]
            self._sorted_by = later[0] if later else None
        self._arrange(everything=True)

    def action_order_reverse(self) -> None:
        self._descending = not self._descending
        self._arrange(everything=True)

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._click_header(offset.x)
            return
        index = offset.y - 1 + round(self.scroll_y)
        if index < len(self._rows):
            self._go(index)
            if event.chain == 2:
                self.action_detail()

    def _click_header(self, x: int) -> None:
        left = 1
        for placed in self._placed:
            if left <= x < left + placed.width:
                self._descending = not self._descending if self._sorted_by == placed.place else False
                self._sorted_by = placed.place
                self._arrange(everything=True)
                return
            left += placed.width + GAP

    def on_focus(self) -> None:
        self._strips.clear()

    def on_blur(self) -> None:
        self._strips.clear()


def _order(cell: Cell, *, numbers: bool) -> tuple[int, float, str]:
    """What a cell is sorted by: what it says itself, in a column of numbers its number, else its text."""
    if isinstance(cell.order, float | int):
        return (0, float(cell.order), "")
    found = _NUMBER.search(cell.text.replace(",", "")) if numbers and cell.order is None else None
    if found is not None:
        return (0, float(found[0].replace("\u2212", "-")), "")
    return (1, 0.0, cell.text if cell.order is None else cell.order)
