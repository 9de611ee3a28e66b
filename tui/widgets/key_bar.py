"""The key line: what can be pressed now, made from the keymap; every key can be clicked too."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment
from textual.events import Click
from textual.strip import Strip
from textual.widget import Widget

from tui.keymap import KeyEntry
from tui.widgets.background import start

if TYPE_CHECKING:
    from tui.theming import Tones


class KeyBar(Widget):
    """One line of keys and what they do; the rightmost give way when the screen is narrow."""

    DEFAULT_CSS = "KeyBar { height: 1; width: 1fr; }"

    def __init__(self, entries: Sequence[KeyEntry] = (), *, namespace: str = "screen",
                 id: str | None = None) -> None:
        super().__init__(id=id)
        self._entries = tuple(entries)
        self._namespace = namespace
        self._spans: list[tuple[int, int, KeyEntry]] = []

    def show(self, entries: Sequence[KeyEntry]) -> None:
        """Show these acts."""
        if tuple(entries) != self._entries:
            self._entries = tuple(entries)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base, width = self.rich_style, self.size.width
        segments, self._spans, at = [Segment(" ", base)], [], 1
        for entry in self._entries:
            needed = cell_len(entry.shown) + 1 + cell_len(entry.label) + 2
            if at + needed - 2 > width:
                break
            segments += [Segment(entry.shown, base + tones["focus"]),
                         Segment(f" {entry.label}  ", base + tones["muted"])]
            self._spans.append((at, at + needed - 2, entry))
            at += needed
        return Strip(segments).adjust_cell_length(width, base)

    def on_click(self, event: Click) -> None:
        for left, right, entry in self._spans:
            if left <= event.x < right:
                namespace = "app" if entry.scope == "app" else self._namespace
                act = partial(self.app.run_action, f"{namespace}.{entry.action}", self.screen)
                start(self, act)
                return
