"""What all dialogs share: the kind of money in the title, the panic control at the bottom, esc goes back."""

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button

from engine.service import Mode, Snapshot
from tui.formats import plain
from tui.keymap import bindings_for
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Banner, ToldLine, ToneText
from tui.widgets.panic_button import PanicButton

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp

MODE_MARKS = {Mode.PAPER: "PAPER", Mode.REPLAY: "▷ REPLAY", Mode.LIVE: "■ LIVE ■"}


class Dialog(ModalScreen[None]):
    """A frame with a title that starts with PAPER, REPLAY or LIVE. Subclasses give the body and the buttons."""

    SCOPE: ClassVar[str] = "dialog"
    SHARED_SCOPE: ClassVar[str] = "dialog"
    WIDTH: ClassVar[int] = 70
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_for("dialog"),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        # A modal screen hides the app's own bindings. Letters of theirs that would be typed by mistake stay hidden.
        Binding("f1,question_mark", "app.help", id="help", show=False),
        Binding("ctrl+p", "app.command_palette", id="palette", show=False),
        Binding("ctrl+q", "app.leave", id="quit", show=False),
        Binding("ctrl+c", "app.interrupt", id="interrupt", show=False),
    ]

    app: "QuarterdeckApp"

    def __init__(self, heading: str) -> None:
        super().__init__()
        self.heading = heading
        self._scrolls: list[Callable[[VerticalScroll], float]] = []

    def body(self) -> ComposeResult:
        """The dialog's own widgets."""
        yield from ()

    def buttons(self) -> ComposeResult:
        """The dialog's buttons; the first one has the focus where the body has nothing to fill in."""
        yield from ()

    def compose(self) -> ComposeResult:
        with Vertical(id="frame") as frame:
            frame.styles.width = self.WIDTH
            yield Banner(id="lost")
            with VerticalScroll(id="body", can_focus=False):
                yield from self.body()
            yield ToldLine(id="note")
            with Horizontal(id="buttons"):
                yield from self.buttons()
            with Horizontal(id="foot"):
                yield KeyBar([entry for entry in self.app.keymap
                              if entry.scope in (self.SHARED_SCOPE, self.SCOPE) and entry.rank])
                yield PanicButton(classes="-one-line")

    def on_mount(self) -> None:
        # Textual calls this one after a subclass's own on_mount, which may have set another heading.
        self.title_with(self.heading)
        self.show_banner(*self.app.banner)

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        # The body scrolls, so that buttons and the panic control are on the screen at every size.
        told = sum(line.size.height for line in self.query("Banner, #note") if line.display)
        for body in self.query("#body"):
            body.styles.max_height = max(3, self.app.size.height - 6 - max(1, told))

    def show_banner(self, text: str, tone: str) -> None:
        """What is shown here is old: say so, also where this covers the line of the workstation that does."""
        for banner in self.query(Banner):
            banner.show(text, tone)
        self.set_class(bool(text) and tone == "panic", "-lost")
        self.call_after_refresh(self._fit)

    def title_with(self, heading: str) -> None:
        """Set the title, after the kind of money."""
        self.heading = heading
        mode = self.app.snapshot.mode if self.app.snapshot else None
        role = " READ ONLY" if self.app.gate.access().read_only else ""
        words = f" {MODE_MARKS[mode] if mode else 'NO ENGINE'}{role} │ {plain(heading)} "
        self.query_one("#frame").border_title = words.replace("[", "\\[")

    def note(self, text: str, tone: str = "warn") -> None:
        """Say something in the dialog's own line, if it is still there."""
        if self.is_attached:
            self.query_one("#note", ToldLine).show(text, tone)
            self.call_after_refresh(self._fit)

    def scroll_body(self, row_of: Callable[[VerticalScroll], float]) -> None:
        """Scroll to the row that `row_of` names, once the body is laid out and every earlier key had its effect on the screen: of
        several quick keys each counts, and no page is left out."""
        self._scrolls.append(row_of)
        if len(self._scrolls) == 1:
            self.call_after_refresh(self._scroll_next)

    def _scroll_next(self) -> None:
        body = self.query_one("#body", VerticalScroll)
        body.scroll_to(y=self._scrolls[0](body), animate=False, immediate=True)
        del self._scrolls[0]
        if self._scrolls:
            self.call_after_refresh(self._scroll_next)

    def done(self) -> None:
        """Leave after success; where another dialog lies above, say so and stay."""
        if self.is_current:
            self.dismiss()
        else:
            self.note("done; esc goes back", "good")

    def action_back(self) -> None:
        self.dismiss()

    def redraw(self) -> None:
        """Paint again in another theme."""
        for widget in self.query("ToneLine, ToneText, KeyBar, PanicButton"):
            widget.refresh()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """A newer state of the world; most dialogs need none."""


class ConfirmDialog(Dialog):
    """A question whose safe answer has the focus; Enter on a fresh dialog changes nothing."""

    def __init__(self, heading: str, lines: list[list[tuple[str, str]]], *, safe: str, act: str) -> None:
        super().__init__(heading)
        self._lines, self._safe, self._act = lines, safe, act

    def body(self) -> ComposeResult:
        yield ToneText(self._lines)

    def buttons(self) -> ComposeResult:
        yield button(self._safe, "safe")
        yield button(self._act, "act")

    def on_mount(self) -> None:
        self.query_one("#safe").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()
        if event.button.id == "act":
            self.confirmed()

    def confirmed(self) -> None:
        """What happens after a yes."""
        raise NotImplementedError


def button(label: str, button_id: str, *, disabled: bool = False) -> Button:
    """A one-line button whose label is plain text."""
    return Button(Content(f" {label} "), id=button_id, compact=True, disabled=disabled)
