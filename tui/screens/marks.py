"""The marks on texts behind a decision, as plain text. A card of research is approved only after they were opened."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button

from tui.formats import plain
from tui.screens.dialog import Dialog, button
from tui.widgets.fact_list import wrapped
from tui.widgets.lines import ToneText

WITHHELD = ("Something in a text from outside looked like an instruction to a model. It was withheld from every model and "
            "changes no byte of this order; that somebody wrote it may matter to you.")


class MarksDialog(Dialog):
    """Tells `read` that the marks were on the screen, once they were, when it is left."""

    WIDTH: ClassVar[int] = 74

    def __init__(self, flags: Sequence[str], read: Callable[[], None]) -> None:
        super().__init__("Marked texts")
        self._flags, self._read = flags, read
        self._painted = False

    def body(self) -> ComposeResult:
        room = self.WIDTH - 8
        lines = [[(piece, "muted")] for piece in wrapped(WITHHELD, room)]
        lines.append([])
        for flag in self._flags:
            lines += [[("⚑ " if place == 0 else "  ", "warn"), (piece, "strong")]
                      for place, piece in enumerate(wrapped(plain(flag), room))]
        yield ToneText(lines)

    def buttons(self) -> ComposeResult:
        yield button("I have read them", "safe")

    def on_mount(self) -> None:
        self.query_one("#safe").focus()
        self.call_after_refresh(self._was_painted)

    def _was_painted(self) -> None:
        self._painted = True

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if self._painted:
            self._read()
            self.dismiss()
