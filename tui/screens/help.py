"""The help page, made from the keymap: it cannot be out of date."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.keymap import SCOPE_TITLES, shown_key
from tui.screens.dialog import Dialog, button
from tui.widgets.fact_list import wrapped
from tui.widgets.lines import ToneText

ABOUT_WIDTH = 54
MARKS = (("✓", "done, protected, passed"), ("✗", "refused, failed, not there"), ("?", "unknown, or waits for you"),
         ("!", "look at it: old quote, warning"), ("●", "working, connected"),
         ("◐", "partly: by the engine only, comparing"),
         ("…", "on its way"), ("■", "halt, live money, critical"), ("▲ ▼", "gain, loss; always with a sign"))


class HelpScreen(Dialog):
    """Keys by place, then the marks."""

    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_by(-1)", show=False), Binding("down,j", "scroll_by(1)", show=False),
        Binding("pageup", "scroll_by(-10)", show=False), Binding("pagedown,space", "scroll_by(10)", show=False),
        Binding("q,question_mark", "back", show=False),
    ]

    def __init__(self, scope: str = "") -> None:
        super().__init__("Help: keys and marks")
        self._scope = scope  # of the dialog that it was asked for in: its keys come first

    def body(self) -> ComposeResult:
        lines: list[list[tuple[str, str]]] = []
        first = (self._scope, "dialog") if self._scope in SCOPE_TITLES else ()
        for scope in dict.fromkeys((*first, *SCOPE_TITLES)):
            lines.append([(SCOPE_TITLES[scope], "head")])
            for entry in self.app.keymap:
                if entry.scope == scope:
                    keys = " ".join(shown_key(key) for key in entry.keys.split(","))
                    for position, text in enumerate(wrapped(entry.about, ABOUT_WIDTH)):
                        lines.append([(f"  {keys if position == 0 else '':16}", "focus"), (text, "")])
            lines.append([])
        lines.append([("Marks", "head")])
        lines += [[(f"  {mark:16}", "strong"), (meaning, "")] for mark, meaning in MARKS]
        yield ToneText(lines)

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_button_pressed(self) -> None:
        self.dismiss()

    def action_scroll_by(self, lines: int) -> None:
        self.scroll_body(lambda body: body.scroll_y + lines)
