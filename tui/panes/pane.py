"""What all tables of the workstation share: rows made from a snapshot, again only where a view changed."""

from collections.abc import Iterable
from datetime import UTC, tzinfo
from typing import ClassVar

from engine.service import Snapshot
from tui.formats import moment
from tui.widgets.columns import Cell, Row
from tui.widgets.grid import Grid


class Pane[View](Grid):
    """A table over one kind of view. A row is made anew only when its view is another one."""

    NUMBER: ClassVar[str] = ""
    TITLE: ClassVar[str] = ""

    def __init__(self, *, id: str | None = None, classes: str | None = None, zone: tzinfo = UTC) -> None:
        super().__init__(id=id, classes=classes)
        self.zone = zone
        self.now_ns = 0
        self._basis: object = None
        self._made: dict[str, tuple[View, Row]] = {}
        self.shown: dict[str, View] = {}
        self.version = -1

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, View]]:
        """The pane's views with their keys, in the order of the screen."""
        raise NotImplementedError

    def cells(self, view: View) -> tuple[Cell, ...]:
        """One row's cells, one for each column."""
        raise NotImplementedError

    def basis(self, snapshot: Snapshot) -> object:
        """What the cells stand on beside their view; where it changes, all of them are made anew."""
        return None

    def today(self, snapshot: Snapshot) -> str:
        """The day in the zone of display: a time of another day is written with its date."""
        return moment(snapshot.at_ns, self.zone)[:10]

    def heading(self, snapshot: Snapshot) -> str:
        """What the title says after the pane's name."""
        return self.counts

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring the table up to date."""
        self.version, self.now_ns = snapshot.version, snapshot.at_ns
        basis = self.basis(snapshot)
        if basis != self._basis:
            self._basis, self._made = basis, {}
        made: dict[str, tuple[View, Row]] = {}
        for key, view in self.views(snapshot):
            kept = self._made.get(key)
            made[key] = kept if kept is not None and kept[0] == view else (view, Row(key, self.cells(view)))
        self._made = made
        self.shown = {key: view for key, (view, _) in made.items()}
        self.show([row for _, row in made.values()])
        title = f" {self.NUMBER} {self.TITLE} {self.heading(snapshot)} "
        if self._title_text != title:
            self._title_text = title
            self.border_title = title.replace("[", "\\[")

    _title_text = ""

    @property
    def current(self) -> View | None:
        """The view under the cursor."""
        return self.shown.get(self.cursor_key)
