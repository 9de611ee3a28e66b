"""Close a position, or part of it, at market."""

from decimal import Decimal
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label

from engine.errors import UsageError
from engine.inputs import ClosePosition
from engine.service import PositionView, Snapshot
from tui.formats import arrow, gain_tone, money, number, plain
from tui.panes.positions import still_there
from tui.screens.card_lines import Line
from tui.screens.dialog import Dialog, button
from tui.screens.entries import number_entry
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText


class CloseDialog(Dialog):
    """The quantity starts with all of it; more than is held cannot be asked."""

    WIDTH: ClassVar[int] = 66

    def __init__(self, position: PositionView) -> None:
        super().__init__(f"Close {position.symbol} {position.side} in {position.portfolio}")
        self.position = position
        self._over = False  # the position ended under the question; one opened since is not what was asked about

    def body(self) -> ComposeResult:
        yield ToneText(self._facts(), id="facts")
        with Horizontal(classes="field"):
            yield Label("quantity", markup=False)
            yield Entry(str(self.position.quantity), id="quantity")

    def _facts(self) -> list[Line]:
        view = self.position
        return [
            [("held       ", "muted"), (number(view.quantity, view.quantity_decimals), "strong"),
             (f"  {plain(view.side)}", "")],
            [("mark       ", "muted"), (number(view.mark, view.price_decimals), ""),
             (" STALE" if view.mark_stale else "", "stale")],
            [("P&L        ", "muted"), (f"{arrow(view.pnl)} {money(view.pnl, None, view.currency, signed=True)}",
                                        gain_tone(view.pnl))]]

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Follow the position: what is held may grow, shrink, end or turn round while the dialog is open."""
        newer = still_there(self.position, snapshot)
        self._over = self._over or newer is None
        if newer is None or self._over:
            self.note("this position is closed")
            self.query_one("#act", Button).disabled = True
            return
        entry = self.query_one("#quantity", Input)
        if newer.quantity != self.position.quantity and entry.value == str(self.position.quantity):
            entry.value = str(newer.quantity)
            self.note(f"{number(newer.quantity, newer.quantity_decimals)} is held now")
        self.position = newer
        self.query_one("#facts", ToneText).show(self._facts())

    def buttons(self) -> ComposeResult:
        yield button("Cancel", "safe")
        yield button("Close at market", "act")

    def on_mount(self) -> None:
        self.query_one("#quantity").focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.query_one("#act").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id != "act":
            self.dismiss()
            return
        try:
            quantity = self._quantity()
        except UsageError as problem:
            self.note(str(problem))
            return
        self.dismiss()
        view = self.position
        self.app.act(ClosePosition(self.app.next_command_id(), view.symbol, view.portfolio, quantity),
                     f"close of {number(quantity) if quantity is not None else 'all'} {plain(view.symbol)} sent")

    def _quantity(self) -> Decimal | None:
        quantity = number_entry(self.query_one("#quantity", Input).value, "quantity")
        if quantity is None:
            raise UsageError("quantity: type how much to close")
        if quantity > self.position.quantity:
            raise UsageError(f"quantity: only {number(self.position.quantity)} is held")
        return None if quantity == self.position.quantity else quantity
