"""Go live: the gates before real money that the engine itself can tell, and what to do about those that are not met."""

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.service import GoLiveGate, Snapshot
from tui.formats import plain
from tui.keymap import bindings_for
from tui.screens.dialog import button
from tui.screens.list_screen import Line, ListScreen
from tui.widgets.columns import Cell, Column
from tui.widgets.grid import Grid

HEAD_WIDTH = 8
TEXT_WIDTH = 64


class GatesGrid(Grid):
    """One line a gate."""

    EMPTY = "No portfolio is configured."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("met", "MET", rank=0),
        Column("gate", "GATE", rank=0, least=12, most=20),
        Column("found", "FOUND", rank=0, least=16, most=60, flex=True),
    )


class GoLiveScreen(ListScreen[GoLiveGate]):
    """Of the portfolio that is looked at; the backup, the keys and the like are looked at by the command alone."""

    SCOPE: ClassVar[str] = "golive"
    WIDTH: ClassVar[int] = 100
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("golive")
    GRID, GRID_ID, ABOUT_ID = GatesGrid, "golive", "gate"

    def __init__(self, portfolio: str) -> None:
        super().__init__("Go live")
        self._portfolio = portfolio

    def views(self, snapshot: Snapshot) -> dict[str, GoLiveGate]:
        known = next((view for view in snapshot.golive if view.portfolio == self._portfolio), None)
        known = known or next(iter(snapshot.golive), None)
        if known is None:
            return {}
        unmet = sum(not gate.met for gate in known.gates)
        money = "real money" if known.live else "paper"
        self.title_with(f"Go live: {plain(known.portfolio)} ({money}), "
                        + (f"{unmet} of {len(known.gates)} gates not met" if unmet else "these gates are met"))
        return {gate.name: gate for gate in known.gates}

    def cells(self, view: GoLiveGate) -> tuple[Cell, ...]:
        return (Cell("✓ yes", "good") if view.met else Cell("✗ no", "warn"), Cell(view.name, "" if view.met else "strong"),
                Cell(plain(view.found)))

    def lines(self, view: GoLiveGate) -> list[Line]:
        told = [("found", view.found, "" if view.met else "warn"), ("needed", view.needed, "")]
        if not view.met:
            told.append(("do", view.remedy, "strong"))
        told.append(("", "`quarterdeck golive` looks at backup, journal, doctor, keys and notices too", "muted"))
        return [line for head, text, tone in told for line in _wrapped(head, plain(text), tone)]

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss()


def _wrapped(head: str, text: str, tone: str) -> list[Line]:
    return [[(f"{head if at == 0 else '':<{HEAD_WIDTH}}", "muted"), (part, tone)]
            for at, part in enumerate(wrap(text, TEXT_WIDTH) or [""])]
