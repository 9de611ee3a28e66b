"""A line of chips: small groups of words, the least important of which give way when the screen is narrow."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tui.theming import Tones

SEPARATOR = "  "


class Chip(NamedTuple):
    """Words with their tones; `rank` 0 never gives way."""

    parts: tuple[tuple[str, str], ...]
    rank: int = 0

    @property
    def width(self) -> int:
        return sum(cell_len(text) for text, _ in self.parts)


def chip(text: str, tone: str = "", rank: int = 0) -> Chip:
    """A chip of one tone."""
    return Chip(((text, tone),), rank)


def fitting(chips: Sequence[Chip], width: int) -> list[Chip]:
    """The chips that fit, in their order."""
    kept = [each for each in chips if each.width]
    while kept and sum(each.width for each in kept) + len(SEPARATOR) * (len(kept) - 1) > width:
        worst = max(range(len(kept)), key=lambda index: (kept[index].rank, index))
        if kept[worst].rank == 0:
            break
        del kept[worst]
    return kept


def chip_line(chips: Sequence[Chip], width: int, tones: Tones, base: Style) -> list[Segment]:
    """The segments of a line of chips, exactly as long as they are; the caller pads."""
    segments: list[Segment] = []
    for position, each in enumerate(fitting(chips, width)):
        if position:
            segments.append(Segment(SEPARATOR, base))
        segments += [Segment(text, base + tones[tone]) for text, tone in each.parts]
    return segments
