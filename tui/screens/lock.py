"""Asking for a PIN or an authenticator's code: before an act that needs one, and on a screen that nobody touched for a while."""

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from engine.service import AccessView, Snapshot
from tui.formats import clock, countdown, plain, plural
from tui.screens.dialog import Dialog
from tui.widgets.background import start
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp

LONG_SILENCE_SECONDS = 5.0
type Line = list[tuple[str, str]]
WAYS = {"pin": "PIN", "totp": "authenticator's code"}


class UnlockDialog(Dialog):
    """Asks for a code; what was typed is shown as dots, sent once and forgotten."""

    WIDTH: ClassVar[int] = 66
    AUTO_FOCUS = "#code"

    def __init__(self, heading: str = "Unlock") -> None:
        super().__init__(heading)
        self._waiting = False

    def body(self) -> ComposeResult:
        yield ToneText(self.lines(self.app.gate.access()), id="facts")
        self._code = Entry(placeholder=f"{ways_of(self.app.gate.access())}, then enter", id="code")
        self._code.password = True
        yield self._code

    def lines(self, access: AccessView) -> list[Line]:
        """What stands above the field."""
        del access
        return [[("This act needs a code.", "")], [("Halting, flattening, closing and cancelling never do.", "muted")], []]

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        code = event.value.strip()
        self._code.value = ""
        if code and not self._waiting:
            self._waiting = True
            self.note("asking…", "muted")
            start(self.app, partial(self._unlock, code))

    async def _unlock(self, code: str) -> None:
        try:
            receipt = await self.app.gate.unlock(code)
        except Exception as failure:  # noqa: BLE001 - whatever the connection raises is news for the person
            self.note(f"no answer: {failure}", "crit")
            return
        finally:
            self._waiting = False
        if receipt.accepted:
            self.unlocked()
        else:
            self.note(plain(receipt.refusal.message) if receipt.refusal else "refused", "crit")

    def unlocked(self) -> None:
        """What follows a right code."""
        left = countdown(self.app.gate.access().unlocked_seconds)
        self.app.tell(f"✓ unlocked for {left}; now do it again", "good")
        self.done()


class LockScreen(UnlockDialog):
    """Covers everything until a right code: only whether the engine watches is shown, and the panic keys work."""

    SCOPE: ClassVar[str] = "lock"
    SHARED_SCOPE: ClassVar[str] = ""
    def __init__(self) -> None:
        super().__init__("Locked")

    def lines(self, access: AccessView) -> list[Line]:
        del access
        return watched_lines(self.app.snapshot, self.app.silent_seconds, self.app)

    def on_mount(self) -> None:
        self.set_interval(1.0, self._look)

    def _look(self) -> None:
        self.query_one("#facts", ToneText).show(self.lines(self.app.gate.access()))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._look()

    def action_back(self) -> None:
        """Escape opens nothing."""

    def unlocked(self) -> None:
        self.app.tell("✓ unlocked", "good")
        self.dismiss()


def watched_lines(snapshot: Snapshot | None, silent_seconds: float, app: "QuarterdeckApp") -> list[Line]:
    """Whether somebody watches, without a word of what is held."""
    halt, flatten = app.key_names["panic"], app.key_names["flatten"]
    if snapshot is None:
        facts: list[Line] = [[("nothing was heard of the engine yet", "warn")]]
    else:
        bare = sum(view.unprotected_now for view in snapshot.positions)
        watched = f"{plural(len(snapshot.positions), 'position')} watched" if snapshot.positions else "no position is open"
        stops = f", {bare} WITHOUT A STOP" if bare else ", none without a stop" if snapshot.positions else ""
        facts = [[(watched, "strong"), (stops, "crit" if bare else "good")],
                 [(f"the engine last spoke {int(silent_seconds)} s ago, at {clock(snapshot.at_ns, app.zone)}",
                   "crit" if app.lost_because or silent_seconds > LONG_SILENCE_SECONDS else "muted")]]
    return [*facts, [(f"{halt} halts and {flatten} flattens from here too.", "muted")], []]


def ways_of(access: AccessView) -> str:
    """What may be typed, in words."""
    return " or ".join(WAYS[way] for way in access.ways) or "nothing is set up"
