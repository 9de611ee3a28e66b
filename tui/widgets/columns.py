"""Cells, columns and how they share a line: numbers are never clipped, the least important columns go first."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rich.cells import cell_len, set_cell_size

GAP = 2


class Cell(NamedTuple):
    """One cell: its text, its tone, and what it is sorted by (its text where nothing better is known)."""

    text: str
    tone: str = ""
    order: float | str | None = None


class Column(NamedTuple):
    """A column. `point` aligns numbers at the decimal point; `rank` 0 is kept longest; `flex` takes what is left over.

    Only text may be shortened, and never below `least` cells.
    """

    key: str
    title: str
    align: Literal["left", "right", "point"] = "left"
    rank: int = 0
    least: int = 0
    most: int = 24
    flex: bool = False


class Row(NamedTuple):
    """A row under a key that stays the same while its cells change."""

    key: str
    cells: tuple[Cell, ...]


class Placed(NamedTuple):
    """A column that fits: its place among all columns and its width in cells."""

    place: int
    column: Column
    width: int


class Widths:
    """What the columns have needed so far; it only grows, so that nothing jumps while numbers change."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self._whole = [0] * len(columns)
        self._fraction = [0] * len(columns)
        self._text = [max(cell_len(column.title), column.least) for column in columns]

    def measure(self, row: Row) -> bool:
        """Take a row into account; whether anything grew."""
        grew = False
        for index, (column, cell) in enumerate(zip(self.columns, row.cells, strict=True)):
            if column.align == "point":
                whole, fraction = split_point(cell.text)
                if len(whole) > self._whole[index] or len(fraction) > self._fraction[index]:
                    self._whole[index] = max(self._whole[index], len(whole))
                    self._fraction[index] = max(self._fraction[index], len(fraction))
                    grew = True
                continue
            needed = cell_len(cell.text)
            needed = min(needed, max(column.most, column.least)) if column.align == "left" else needed
            if needed > self._text[index]:
                self._text[index] = needed
                grew = True
        return grew

    def width(self, index: int) -> int:
        return max(self._text[index], self._whole[index] + self._fraction[index])

    def place(self, available: int) -> tuple[Placed, ...]:
        """The columns that fit into `available` cells, in their order; the rest waits for a wider screen."""
        chosen: set[int] = set()
        used = 0
        for index in sorted(range(len(self.columns)), key=lambda each: (self.columns[each].rank, each)):
            column = self.columns[index]
            least = min(self.width(index), column.least) if column.flex and column.least else self.width(index)
            needed = least + (GAP if chosen else 0)
            if used + needed > available and chosen:
                break
            used += needed
            chosen.add(index)
        return self._stretch(sorted(chosen), available - used)

    def _stretch(self, chosen: Sequence[int], spare: int) -> tuple[Placed, ...]:
        placed: list[Placed] = []
        for index in chosen:
            column, width = self.columns[index], self.width(index)
            if column.flex:
                least = min(width, column.least) if column.least else width
                taken = max(0, spare)
                width, spare = least + taken, 0
            placed.append(Placed(index, column, width))
        return tuple(placed)

    def fitted(self, cell: Cell, placed: Placed) -> str:
        """A cell's text, padded to its column."""
        if placed.column.align == "point":
            whole, fraction = split_point(cell.text)
            return (" " * (placed.width - self._whole[placed.place] - self._fraction[placed.place])
                    + whole.rjust(self._whole[placed.place]) + fraction.ljust(self._fraction[placed.place]))
        if placed.column.align == "right":
            return " " * max(0, placed.width - cell_len(cell.text)) + cell.text
        return shortened(cell.text, placed.width)

    def title(self, placed: Placed, mark: str = "") -> str:
        text = placed.column.title + mark
        if placed.column.align == "left":
            return shortened(text, placed.width)
        return text.rjust(placed.width)[-placed.width:]


def split_point(text: str) -> tuple[str, str]:
    """A number's part before its decimal point, and the rest with the point and any unit."""
    point = text.rfind(".")
    if point >= 0:
        return text[:point], text[point:]
    end = len(text.rstrip("%R"))
    return text[:end], text[end:]


def shortened(text: str, width: int) -> str:
    """Text in exactly `width` cells, with an ellipsis where it was too long."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "…" if width > 0 else ""
