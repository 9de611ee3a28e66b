"""The panic control: always on the screen, at every size, in every dialog."""

from functools import partial
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.events import Click
from textual.strip import Strip
from textual.widget import Widget

from tui.widgets.background import start

if TYPE_CHECKING:
    from tui.theming import Tones


class PanicButton(Widget):
    """HALT and FLATTEN with their keys, on two lines or, in a dialog, on one; a click does the same as the key. Where a screen
    only looks on there is nothing to press."""

    DEFAULT_CSS = """
    PanicButton { width: 16; height: 2; }
    PanicButton.-one-line { width: 29; height: 1; }
    """

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        halt: str = self.app.halt_words  # type: ignore[attr-defined]
        keys: dict[str, str] = self.app.key_names  # type: ignore[attr-defined]
        width = self.size.width
        if self.app.gate.access().read_only:  # type: ignore[attr-defined]
            return Strip([Segment("look only".rjust(width) if y == 0 else " " * width, self.rich_style + tones["muted"])])
        if self.size.height == 1:
            return Strip([Segment(f"[{keys['panic']} ■ {halt}]".center(16)[:16], tones["panic"]),
                          Segment(f"{keys['flatten']} FLATTEN…".rjust(13), self.rich_style + tones["crit"])])
        if y == 0:
            text = f"[{keys['panic']} ■ {halt}]".center(width)[:width]
            return Strip([Segment(text, tones["panic"])])
        text = f"{keys['flatten']} FLATTEN…".center(width)[:width]
        return Strip([Segment(text, self.rich_style + tones["crit"])])

    def on_click(self, event: Click) -> None:
        event.stop()
        offset = event.get_content_offset(self)
        second = offset is not None and (offset.y == 1 or (self.size.height == 1 and offset.x > 16))
        name = "flatten" if second else "panic"
        start(self.app, partial(self.app.run_action, f"app.{name}"))
