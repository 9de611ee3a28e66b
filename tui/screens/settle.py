"""Settle a disputed order: a person says what became of it, and how they know."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Button, Input

from engine.inputs import SettleOrder
from engine.service import OrderView
from tui.formats import number, plain
from tui.screens.dialog import Dialog, button
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText


class SettleDialog(Dialog):
    """Both answers wait for a reason; what is held stays what the venue says."""

    WIDTH: ClassVar[int] = 70

    def __init__(self, order: OrderView) -> None:
        super().__init__("Settle disputed order")
        self.order = order

    def body(self) -> ComposeResult:
        order = self.order
        yield ToneText([
            [(f"{order.side.value} {number(order.quantity)} {plain(order.symbol)}", "strong"),
             (f"  filled {number(order.filled)}, order {plain(order.client_order_id)}", "muted")],
            [("The venue both took and refused it; until it is settled it counts as live.", "warn")],
            [("Look it up at the venue, then say what became of it.", "")]])
        yield Entry(placeholder="how you know", id="why")

    def buttons(self) -> ComposeResult:
        yield button("Leave it", "safe")
        yield button("It was filled", "filled", disabled=True)
        yield button("It is gone", "gone", disabled=True)

    def on_mount(self) -> None:
        self.query_one("#why").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        for answer in ("#filled", "#gone"):
            self.query_one(answer, Button).disabled = not event.value.strip()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self.query_one("#safe").focus()
        else:
            self.note("say how you know, or esc to leave it")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()
        if event.button.id != "safe":
            why = self.query_one("#why", Input).value.strip()
            self.app.act(SettleOrder(self.app.next_command_id(), self.order.client_order_id, event.button.id == "filled", why),
                         f"{self.order.client_order_id} settled")
