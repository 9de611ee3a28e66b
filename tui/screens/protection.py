"""Change how a position is protected: stop, target, trail, breakeven, longest hold. Only what was changed is sent."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

from engine.errors import UsageError
from engine.inputs import SetProtection
from engine.service import PositionView, Snapshot
from tui.formats import age, countdown, number, percent, plain
from tui.keymap import bindings_for
from tui.panes.positions import protection_cell, still_there
from tui.screens.card_lines import Line
from tui.screens.dialog import Dialog, button
from tui.screens.entries import number_entry, span_entry, trail_entry
from tui.widgets.background import start
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText

FIELDS = (("stop", "stop"), ("target", "target"), ("trail", "trail"), ("breakeven", "breakeven"),
          ("max_hold", "max hold"))
HINTS = {"trail": "2%  50  1.5atr", "max_hold": "from now: 90m  2h"}
SURE_SECONDS = 0.7  # a key held down or a double click is no second yes
PARTS = {"stop": "stop", "target": "target", "trail": "trail", "breakeven": "breakeven", "max_hold": "max_hold"}


class ProtectionDialog(Dialog):
    """Fields start with what is in force; an emptied one removes that part."""

    SCOPE: ClassVar[str] = "ticket"
    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("ticket")

    def __init__(self, position: PositionView) -> None:
        super().__init__(f"Protect {position.symbol} {position.side} {number(position.quantity)} in {position.portfolio}")
        self.position = position
        self._before = starting_entries(position)
        self._warned_at: float | None = None
        self._over = False  # the position ended or turned round under the dialog; another one is not what was read

    def body(self) -> ComposeResult:
        with Horizontal(id="columns"):
            with Vertical(id="fields"):
                for field_id, label in FIELDS:
                    with Horizontal(classes="field"):
                        yield Label(label, markup=False)
                        yield Entry(self._before[field_id], id=field_id, select_on_focus=False,
                                    placeholder=HINTS.get(field_id, "none"))
            with Vertical(id="preview"):
                yield ToneText(id="facts")

    def buttons(self) -> ComposeResult:
        yield button("Cancel", "safe")
        yield button("Change protection", "act")

    def on_mount(self) -> None:
        self.query_one("#stop").focus()
        self._show_facts()

    def show_snapshot(self, snapshot: Snapshot) -> None:
        newer = still_there(self.position, snapshot)
        self._over = self._over or newer is None
        if newer is None or self._over:
            self.note("this position is closed")
            self.query_one("#act", Button).disabled = True
            return
        self.position = newer
        self._show_facts()

    def _show_facts(self) -> None:
        view = self.position
        words, tone = protection_cell(view).text, protection_cell(view).tone
        lines: list[Line] = [
            [("mark       ", "muted"), (number(view.mark, view.price_decimals), "strong"),
             (f"  {age(view.mark_age_seconds)} old", "stale" if view.mark_stale else "muted")],
            [("entry      ", "muted"), (number(view.entry, view.price_decimals), "")],
            [("stop now   ", "muted"), (number(view.stop, view.price_decimals), ""), (f"  {words}", tone)],
            [("trail now  ", "muted"), (plain(view.trail) or "none", "")],
            [("hold left  ", "muted"), (countdown(view.max_hold_left_seconds), "")],
            [("new stop   ", "muted"), (self._new_stop_words(), "strong")],
        ]
        self.query_one("#facts", ToneText).show(lines)

    def _new_stop_words(self) -> str:
        try:
            stop = number_entry(self.query_one("#stop", Input).value, "stop")
        except UsageError:
            return "not a number"
        if stop is None or self.position.mark is None:
            return "none"
        return f"{percent(float(abs(self.position.mark - stop) / self.position.mark * 100))} from the mark"

    @on(Input.Changed)
    def _typed(self) -> None:
        self._warned_at = None
        self._show_facts()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act":
            self.action_send()
        else:
            self.dismiss()

    def command(self) -> SetProtection | None:
        """The change that the fields ask for, None where nothing changed. Raises `UsageError` naming the field."""
        now = {field_id: self.query_one(f"#{field_id}", Input).value.strip() for field_id, _ in FIELDS}
        changed = {field_id for field_id, text in now.items() if text != self._before[field_id]}
        if not changed:
            return None
        given = {field_id: text if field_id in changed else "" for field_id, text in now.items()}
        return SetProtection(
            self.app.next_command_id(), self.position.symbol, self.position.portfolio,
            stop=number_entry(given["stop"], "stop"), target=number_entry(given["target"], "target"),
            trail=trail_entry(given["trail"], "trail"), breakeven_at=number_entry(given["breakeven"], "breakeven"),
            max_hold_seconds=span_entry(given["max_hold"], "max hold"),
            clear=tuple(PARTS[field_id] for field_id, _ in FIELDS if field_id in changed and not now[field_id]))

    def action_send(self) -> None:
        if self._over:
            return
        try:
            command = self.command()
        except UsageError as problem:
            self.note(str(problem))
            return
        if command is None:
            self.note("nothing changed")
        elif "stop" in command.clear and not self._sure():
            self.note("This takes the stop away. Press it once more if you mean it.", "crit")
        else:
            self.query_one("#act", Button).disabled = True
            start(self.app, partial(self._send, command))

    def _sure(self) -> bool:
        """Whether the warning was there long enough to be read; a press that came too early starts that time anew."""
        now, warned_at = self.app.now_seconds(), self._warned_at
        self._warned_at = now
        return warned_at is not None and now - warned_at >= SURE_SECONDS

    async def _send(self, command: SetProtection) -> None:
        receipt = await self.app.deliver(command, f"protection of {plain(command.symbol)} changed")
        if receipt is not None and receipt.accepted:
            self.done()
            return
        from tui.app import refusal_words

        self.note(f"refused: {refusal_words(receipt)}" if receipt else "no answer; look at the position", "crit")
        self.query_one("#act", Button).disabled = False


def starting_entries(view: PositionView) -> dict[str, str]:
    """What is in force, as it would be typed; trail and longest hold start empty where they cannot be typed back."""
    trail = plain(view.trail).lower().replace(" ", "")
    prices = {"stop": view.stop, "target": view.target, "breakeven": view.breakeven_at}
    return {**{field_id: "" if price is None else str(price) for field_id, price in prices.items()},
            "trail": trail if _can_be_typed(trail) else "",
            "max_hold": "" if view.max_hold_left_seconds is None else f"{int(view.max_hold_left_seconds // 60)}m"}


def _can_be_typed(trail: str) -> bool:
    try:
        return trail_entry(trail, "trail") is not None
    except UsageError:
        return False
