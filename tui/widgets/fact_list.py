"""Facts in columns: labels to the left, values beside them, long text wrapped below."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.formats import plain
from tui.panes.facts import Fact
from tui.widgets.columns import shortened

if TYPE_CHECKING:
    from tui.theming import Tones


def fact_lines(facts: Sequence[Fact], width: int, tones: "Tones", base: Style) -> list[Strip]:
    """The facts as lines of `width` cells: two columns where there is room, wide facts on lines of their own."""
    narrow = [fact for fact in facts if not fact.wide]
    columns = 2 if width >= 76 else 1
    rows = -(-len(narrow) // columns)
    label_width = max((len(fact.label) for fact in facts), default=0) + 1
    lines: list[Strip] = []
    for row in range(rows):
        segments: list[Segment] = []
        for column in range(columns):
            index = row + column * rows
            cell = width // columns
            if index >= len(narrow):
                segments.append(Segment(" " * cell, base))
                continue
            fact = narrow[index]
            segments.append(Segment(" " + shortened(fact.label, label_width), base + tones["muted"]))
            segments.append(Segment(shortened(fact.text, cell - label_width - 1), base + tones[fact.tone]))
        lines.append(Strip(segments).adjust_cell_length(width, base))
    for fact in facts:
        if fact.wide:
            lines += _wrapped(fact, label_width, width, tones, base)
    return lines


def _wrapped(fact: Fact, label_width: int, width: int, tones: "Tones", base: Style) -> list[Strip]:
    lines = []
    for position, text in enumerate(wrapped(fact.text, max(10, width - label_width - 2))):
        label = shortened(fact.label if position == 0 else "", label_width)
        lines.append(Strip([Segment(" " + label, base + tones["muted"]), Segment(text, base + tones[fact.tone])])
                     .adjust_cell_length(width, base))
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Outside text in lines of at most `width` cells, broken at spaces where there are any."""
    from rich.cells import cell_len, chop_cells

    lines: list[str] = []
    current = ""
    for word in plain(text).split(" "):
        pieces = chop_cells(word, width) if cell_len(word) > width else [word]
        for piece in pieces:
            if current and cell_len(current) + 1 + cell_len(piece) > width:
                lines.append(current)
                current = piece
            else:
                current = f"{current} {piece}" if current else piece
    return [*lines, current] if current or not lines else lines
