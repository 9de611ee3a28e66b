"""Single lines of the workstation: the tab line, the message line, the banner."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.formats import plain
from tui.widgets.columns import shortened
from tui.widgets.fact_list import wrapped

if TYPE_CHECKING:
    from tui.theming import Tones

type Lines = Sequence[Sequence[tuple[str, str]]]


class ToneLine(Widget):
    """One line of text in one tone."""

    DEFAULT_CSS: ClassVar[str] = "ToneLine { height: 1; width: 1fr; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.text = ""
        self.tone = ""

    def show(self, text: str, tone: str = "") -> None:
        """Show this text, made harmless; an empty one leaves the line blank."""
        text = plain(text)
        if (text, tone) != (self.text, self.tone):
            self.text, self.tone = text, tone
            self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.line(self.text if y == 0 else "")

    def line(self, text: str) -> Strip:
        """A line of this text in the tone, shortened where it is too long."""
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base, width = self.rich_style, self.size.width
        text = " " + shortened(text, width - 2) if width > 2 else ""
        return Strip([Segment(text, base + tones[self.tone])]).adjust_cell_length(width, base)


class ToldLine(ToneLine):
    """A line that takes up to `MOST_LINES` where its text needs them: the outcome of an act stands nowhere else."""

    DEFAULT_CSS: ClassVar[str] = "ToldLine { height: auto; }"
    MOST_LINES: ClassVar[int] = 3

    def show(self, text: str, tone: str = "") -> None:
        super().show(text, tone)
        if len(self.lines_in(self.size.width)) != self.size.height:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines_in(width))

    def render_line(self, y: int) -> Strip:
        lines = self.lines_in(self.size.width)
        return self.line(lines[y] if y < len(lines) else "")

    def lines_in(self, width: int) -> list[str]:
        """The text in lines for this width; the last one may be too long for it."""
        lines = wrapped(self.text, width - 2) if width > 2 else [self.text]
        return [*lines[:self.MOST_LINES - 1], " ".join(lines[self.MOST_LINES - 1:])] if len(lines) > self.MOST_LINES else lines


class Banner(ToneLine):
    """Lines that take room only while they have something to say, as many as it needs: its end names the way out."""

    DEFAULT_CSS: ClassVar[str] = "Banner { height: auto; display: none; } Banner.-loud { display: block; }"

    def show(self, text: str, tone: str = "panic") -> None:
        taller = len(self._lines(self.size.width)) != len(self._lines(self.size.width, plain(text)))
        super().show(text, tone)
        self.set_class(bool(self.text), "-loud")
        if taller:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        lines, style = self._lines(self.size.width), self.rich_style + tones[self.tone]
        text = lines[y] if y < len(lines) else ""
        return Strip([Segment(" " + shortened(text, max(0, self.size.width - 1)), style)])

    def _lines(self, width: int, text: str | None = None) -> list[str]:
        return wrapped(self.text if text is None else text, max(1, width - 2))


class TabLine(Widget):
    """The panes by number, for screens that show one at a time."""

    DEFAULT_CSS: ClassVar[str] = "TabLine { height: 1; width: 1fr; }"

    class Picked(Message):
        """A tab was clicked."""

        def __init__(self, pane_id: str) -> None:
            super().__init__()
            self.pane_id = pane_id

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tabs: tuple[tuple[str, str], ...] = ()
        self._current = ""
        self._spans: list[tuple[int, int, str]] = []

    def show(self, tabs: tuple[tuple[str, str], ...], current: str) -> None:
        """Show these tabs, pane ids with their words, and which one is open."""
        if (tabs, current) != (self._tabs, self._current):
            self._tabs, self._current = tabs, current
            self.refresh()

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base, width, at = self.rich_style, self.size.width, 0
        segments: list[Segment] = []
        self._spans = []
        for pane_id, words in self._tabs:
            text = f"┃{words}┃" if pane_id == self._current else f" {words} "
            segments.append(Segment(text, base + tones["focus" if pane_id == self._current else "muted"]))
            self._spans.append((at, at + cell_len(text), pane_id))
            at += cell_len(text)
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: Click) -> None:
        for start, end, pane_id in self._spans:
            if start <= event.x < end:
                self.post_message(self.Picked(pane_id))


class ToneText(Widget):
    """Lines made of words and tones, as tall as they are many."""

    DEFAULT_CSS: ClassVar[str] = "ToneText { height: auto; width: 1fr; }"

    def __init__(self, lines: Lines = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines = tuple(tuple(line) for line in lines)

    def show(self, lines: Lines) -> None:
        """Show these lines; outside text in them must have been made plain."""
        newer = tuple(tuple(line) for line in lines)
        if newer != self.lines:
            taller = len(newer) != len(self.lines)
            self.lines = newer
            self.refresh(layout=taller)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.lines))

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base, width = self.rich_style, self.size.width
        parts = self.lines[y] if y < len(self.lines) else ()
        segments: list[Segment] = []
        left = width
        for text, tone in parts:
            shown = text if cell_len(text) <= left else shortened(text, max(0, left))
            segments.append(Segment(shown, base + tones[tone]))
            left -= cell_len(shown)
        return Strip(segments).adjust_cell_length(width, base)
