"""The targets of a portfolio: what each instrument should be and is, what a rebalancing would send, and sending it."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.inputs import Rebalance
from engine.service import Mode, Snapshot, TargetLineView, TargetsView
from tui.formats import moment, money, number, percent, plain
from tui.keymap import bindings_for
from tui.screens.dialog import ConfirmDialog, Dialog, button
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column, Row
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

NONE = "no targets: give the portfolio a [portfolio.targets] section"


class TargetsGrid(Grid):
    """One line an instrument, and one for cash."""

    EMPTY = "Nothing can be worked out yet."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("symbol", "SYMBOL", rank=0),
        Column("target", "TARGET", "point", rank=0),
        Column("actual", "ACTUAL", "point", rank=0),
        Column("drift", "DRIFT", "point", rank=0),
        Column("order", "ORDER", rank=0),
        Column("quantity", "QUANTITY", "point", rank=1),
        Column("worth", "WORTH", "point", rank=0),
        Column("note", "NOTE", rank=2, least=8, most=60, flex=True),
    )


class TargetsScreen(Dialog):
    """Targets against what is held, kept up to date; F5 does what the ORDER column says, `p` shows the next portfolio."""

    SCOPE: ClassVar[str] = "targets"
    WIDTH: ClassVar[int] = 110
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("targets")

    def __init__(self, portfolio: str) -> None:
        super().__init__("Targets")
        self.portfolio = portfolio
        self._view: TargetsView | None = None
        self._sending = False

    def body(self) -> ComposeResult:
        yield TargetsGrid(id="targets")
        yield ToneText(id="plan")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("Rebalance", "act")

    def on_mount(self) -> None:
        self.query_one(TargetsGrid).focus()
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring every line up to date."""
        views = {view.portfolio: view for view in snapshot.targets}
        self._view = view = views.get(self.portfolio)
        self.title_with(f"Targets of {plain(self.portfolio)}")
        self.query_one(TargetsGrid).show([] if view is None or view.refusal else _rows(view))
        self.query_one("#plan", ToneText).show([[(NONE, "muted")]] if view is None else _lines(view))

    def action_next_portfolio(self) -> None:
        snapshot = self.app.snapshot
        names = [view.portfolio for view in snapshot.targets] if snapshot else []
        if snapshot is not None and names:
            at = names.index(self.portfolio) if self.portfolio in names else -1
            self.portfolio = names[(at + 1) % len(names)]
            self.show_snapshot(snapshot)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act":
            self.action_rebalance()
        else:
            self.dismiss()

    def action_rebalance(self) -> None:
        """Bring the portfolio back to its targets."""
        if self._view is None or self._view.refusal:
            self.note(NONE if self._view is None else plain(self._view.refusal), "warn")
            return
        if self._sending:
            return
        if self.app.snapshot is not None and self.app.snapshot.mode is Mode.LIVE:
            self.app.push_screen(LiveRebalance(self, self._view))
        else:
            self.send_now()

    def send_now(self) -> None:
        """Send what the list says, once however long the key is held."""
        if self.app.out_of_touch:
            self.note("not sent: the engine says nothing, and would act whenever it wakes", "crit")
        elif not self._sending:
            self._sending = True
            start(self.app, partial(self._deliver, Rebalance(self.app.next_command_id(), self.portfolio)))

    async def _deliver(self, command: Rebalance) -> None:
        from tui.app import refusal_words

        receipt = await self.app.deliver(command, f"{command.portfolio} is rebalanced")
        self._sending = False
        if receipt is None:
            self.note("no answer; look at the list", "crit")
        elif receipt.accepted:
            self.note(f"✓ {plain(receipt.text)}", "good")
        else:
            self.note(f"refused: {refusal_words(receipt)}", "crit")


class LiveRebalance(ConfirmDialog):
    """Real money: one more question."""

    def __init__(self, screen: TargetsScreen, view: TargetsView) -> None:
        changes = [line for line in view.lines if line.change]
        lines = [[(f"{'buy' if line.change > 0 else 'close'} {number(abs(line.change))} {plain(line.symbol)}", "strong"),
                  (f"  {money(line.notional, view.money_decimals, view.currency)}", "muted")] for line in changes]
        super().__init__(f"Rebalance {plain(view.portfolio)} with real money?", lines or [[("nothing to do", "muted")]],
                         safe="Cancel", act="Send LIVE orders")
        self._screen = screen

    def confirmed(self) -> None:
        self._screen.send_now()


def _rows(view: TargetsView) -> list[Row]:
    cash = view.cash_percent - view.cash_target_percent
    return [*(Row(line.instrument_id, _cells(line, view.money_decimals)) for line in view.lines), Row("cash", (
        Cell("cash", "muted"), Cell(percent(view.cash_target_percent), "muted", view.cash_target_percent),
        Cell(percent(view.cash_percent), "muted", view.cash_percent), Cell(percent(cash, signed=True), "muted", cash),
        Cell(""), Cell(""), Cell(""), Cell("")))]


def _cells(line: TargetLineView, decimals: int) -> tuple[Cell, ...]:
    order = "" if not line.change else "buy" if line.change > 0 else "close"
    drift = f"{percent(line.drift_percent, signed=True)}{' !' if line.drifted else '  '}"
    return (Cell(plain(line.symbol)), Cell(percent(line.target_percent), "", line.target_percent),
            Cell(percent(line.actual_percent), "", line.actual_percent),
            Cell(drift, "warn" if line.drifted else "", line.drift_percent), Cell(order, "strong"),
            Cell(number(abs(line.change)) if line.change else "", "", float(line.change)),
            Cell(money(line.notional, decimals) if line.change else "", "", float(line.notional)),
            Cell(plain(line.note), "muted"))


def _lines(view: TargetsView) -> list[list[tuple[str, str]]]:
    """How the weights were found, what is asked before something is done, and what the newest run did."""
    if view.refusal:
        lines = [[("not yet  ", "muted"), (plain(view.refusal), "warn")]]
    else:
        returns = f" of {view.returns} returns" if view.returns else ""
        base = money(view.base, view.money_decimals, view.currency)
        capped = ", as much as a run may" if view.capped else ""
        due = f"turns over {percent(view.turnover_percent)}{capped}" if view.due else "nothing to do"
        lines = [[("weights  ", "muted"), (f"{view.method.replace('_', ' ')}{returns}, on {base}", "")],
                 [("now      ", "muted"), (due, "strong" if view.due else "good")]]
    bands = [f"{view.drift_band_percent:g} points"] if view.drift_band_percent else []
    bands += [f"{view.relative_band_percent:g}% of the target"] if view.relative_band_percent else []
    stop = f"{view.stop_percent:g}% away" if view.stop_percent else "none"
    lines.append([("bands    ", "muted"), (f"{' or '.join(bands)}; stops {stop}", "muted")])
    if view.run_id:
        when = f"{moment(view.run_started_at_ns)} UTC by {plain(view.run_by)}: "
        tone = "warn" if view.run_at_work or "not done" in view.run_text else ""
        lines.append([("last run ", "muted"), (when, "muted"), (plain(view.run_text), tone)])
    return lines
