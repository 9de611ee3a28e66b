"""One of a few words, chosen with the left and right keys; as calm as an input of one line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.theming import Tones


class Choice(Widget, can_focus=True):
    """Shows `‹ word ›`; left and right, space, or a click turn it."""

    DEFAULT_CSS: ClassVar[str] = "Choice { height: 1; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "turn(-1)", show=False), Binding("right,space", "turn(1)", show=False),
        Binding("enter", "app.focus_next", show=False),
    ]

    class Changed(Message):
        """Another word was chosen."""

        def __init__(self, choice: "Choice") -> None:
            super().__init__()
            self.choice = choice

        @property
        def control(self) -> "Choice":
            return self.choice

    def __init__(self, words: Sequence[str], chosen: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._words = tuple(words)
        self._at = self._words.index(chosen) if chosen in self._words else 0

    @property
    def value(self) -> str:
        """The chosen word."""
        return self._words[self._at]

    def action_turn(self, step: int) -> None:
        self._at = (self._at + step) % len(self._words)
        self.refresh()
        self.post_message(self.Changed(self))

    def on_click(self) -> None:
        self.action_turn(1)

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base = self.rich_style
        marks = tones["focus"] if self.has_focus else tones["muted"]
        several = len(self._words) > 1
        return Strip([Segment("‹ " if several else "  ", base + marks), Segment(self.value, base + tones["strong"]),
                      Segment(" ›" if several else "", base + marks)]).adjust_cell_length(self.size.width, base)
