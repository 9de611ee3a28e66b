"""The second stage of panic: asks once more with Cancel focused, then shows the progress of every instrument."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.widgets import Button

from engine.inputs import Flatten
from engine.service import FlattenLine, FlattenView, Snapshot
from tui.formats import gain_tone, money, number, plain, plural
from tui.screens.dialog import Dialog, button
from tui.widgets.background import start
from tui.widgets.columns import shortened
from tui.widgets.lines import ToneText

MOST_LINES = 12


class FlattenDialog(Dialog):
    """Question first, then the report; leaving the report does not stop the flattening."""

    WIDTH: ClassVar[int] = 76

    def __init__(self) -> None:
        super().__init__("■ FLATTEN EVERYTHING")
        self._asked = False
        self._before: FlattenView | None = None

    def body(self) -> ComposeResult:
        yield ToneText(question_lines(self.app.snapshot), id="report")

    def buttons(self) -> ComposeResult:
        yield button("Cancel", "safe")
        yield button("Flatten everything", "act")

    def on_mount(self) -> None:
        self.query_one("#safe").focus()
        snapshot = self.app.snapshot
        self._before = snapshot.flatten if snapshot else None
        if self._before is not None and not self._before.finished:
            self._asked, self._before = True, None
            self._only_close()
            self.show_snapshot(snapshot) if snapshot else None

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act" and not self._asked:
            self._asked = True
            self._only_close()
            self.query_one("#report", ToneText).show([[("■ Flattening: sent, waiting for the engine…", "crit")]])
            start(self.app, self._flatten)
        else:
            self.dismiss()

    def _only_close(self) -> None:
        self.query_one("#act", Button).display = False
        self.query_one("#safe", Button).label = " Close this report "
        self.query_one("#safe").focus()

    async def _flatten(self) -> None:
        receipt = await self.app.deliver(Flatten(self.app.next_command_id()), "flatten")
        if receipt is None:
            self.note("No answer from the engine. In another shell: quarterdeck panic", "crit")
        elif not receipt.accepted:
            self.note("Refused; see the message line. In another shell: quarterdeck panic", "crit")

    def show_snapshot(self, snapshot: Snapshot) -> None:
        report = self.query_one("#report", ToneText)
        if not self._asked:
            report.show(question_lines(snapshot))
        elif snapshot.flatten is not None and snapshot.flatten != self._before:
            report.show(progress_lines(snapshot.flatten))


def question_lines(snapshot: Snapshot | None) -> list[list[tuple[str, str]]]:
    """What would be closed."""
    lines = [[("Cancels every order at the venue, foreign ones too, closes every", "")],
             [("position at market, and reads the venue again until it is really flat.", "")], []]
    if snapshot is None:
        return [*lines, [("What is open is not known: no word from the engine yet.", "warn")]]
    working = sum(order.working for order in snapshot.orders)
    lines.append([(f"{plural(len(snapshot.positions), 'position')}, {plural(working, 'working order')}", "strong")])
    for view in snapshot.positions[:MOST_LINES]:
        lines.append([(f"  {shortened(plain(view.symbol), 12)} {plain(view.side):5} ", ""),
                      (f"{number(view.quantity, view.quantity_decimals):>14}", ""),
                      (f"{money(view.market_value, None, view.currency):>20}", "muted"),
                      (f"{money(view.pnl, None, signed=True):>14}", gain_tone(view.pnl))])
    if len(snapshot.positions) > MOST_LINES:
        lines.append([(f"  and {len(snapshot.positions) - MOST_LINES} more", "muted")])
    return lines


def progress_lines(flatten: FlattenView) -> list[list[tuple[str, str]]]:
    """How far it is, instrument by instrument; flat only once the venue said so."""
    left = sum(line.lots_left != 0 for line in flatten.lines)
    if not flatten.finished:
        head = (f"■ Flattening: {len(flatten.lines) - left} of {len(flatten.lines)} instruments flat", "warn")
    elif flatten.flat:
        head = ("✓ FLAT: the venue itself reports no position and no order", "good")
    else:
        head = (f"✗ NOT FLAT: {plural(left, 'instrument')} left", "crit")
    lines = [[head], [("open orders at the venue: ", "muted"), (str(flatten.open_orders_left), "")],
             [("  INSTRUMENT            AT START      LEFT  TIME   ", "head")]]
    lines += [_progress_line(line) for line in flatten.lines]
    if flatten.detail:
        lines += [[], [(plain(flatten.detail), "")]]
    return lines


def _progress_line(line: FlattenLine) -> list[tuple[str, str]]:
    done = line.lots_left == 0
    seconds = f"{line.seconds_to_flat:.1f}s" if line.seconds_to_flat is not None else "…"
    return [("✓ " if done else "… ", "good" if done else "warn"), (shortened(plain(line.instrument_id), 20), ""),
            (f"{line.lots_at_start:>10,}{line.lots_left:>10,}  ", "muted" if done else "strong"),
            (f"{seconds:<7}", "muted"), (plain(line.detail), "muted")]
