"""A list that follows the snapshots, with everything known of the line under the cursor below it."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult

from engine.service import Snapshot
from tui.screens.dialog import Dialog
from tui.widgets.columns import Cell, Row
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

type Line = list[tuple[str, str]]


class ListScreen[View](Dialog):
    """Says what its lines are, what they show, and what stands below the list; the rest is the same for every list."""

    GRID: ClassVar[type[Grid]]
    GRID_ID: ClassVar[str]
    ABOUT_ID: ClassVar[str]

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self._views: dict[str, View] = {}

    def body(self) -> ComposeResult:
        yield self.GRID(id=self.GRID_ID)
        yield ToneText(id=self.ABOUT_ID)

    def on_mount(self) -> None:
        self.query_one(self.GRID).focus()
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring every line up to date."""
        self._views = self.views(snapshot)
        self.query_one(self.GRID).show([Row(key, self.cells(view)) for key, view in self._views.items()])
        self._show_selected()

    @property
    def selected(self) -> View | None:
        """What stands under the cursor."""
        return self._views.get(self.query_one(self.GRID).cursor_key)

    @on(Grid.Highlighted)
    def _highlighted(self, message: Grid.Highlighted) -> None:
        message.stop()
        self._show_selected()

    def _show_selected(self) -> None:
        view = self.selected
        self.query_one(f"#{self.ABOUT_ID}", ToneText).show([] if view is None else self.lines(view))

    def views(self, snapshot: Snapshot) -> dict[str, View]:
        """The lines by their keys, in order."""
        raise NotImplementedError

    def cells(self, view: View) -> tuple[Cell, ...]:
        """A line of the list."""
        raise NotImplementedError

    def lines(self, view: View) -> list[Line]:
        """What is known of it, below the list."""
        raise NotImplementedError
