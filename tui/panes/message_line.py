"""The message line: for a while what came of an act, else the newest loud alert that nobody acknowledged."""

from textual.timer import Timer

from engine.service import AlertLevel, Snapshot
from tui.widgets.lines import ToldLine

TOLD_SECONDS = 20.0


class MessageLine(ToldLine):
    """One line for an alert, which can be read in its pane; as many as it needs for what came of an act."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.alert_shown = ""
        self.telling = False
        self._snapshot: Snapshot | None = None
        self._timer: Timer | None = None

    def tell(self, text: str, tone: str = "") -> None:
        """The outcome of an act."""
        self.telling, self.alert_shown = True, ""
        self.show(text, tone)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(TOLD_SECONDS, self.forget)

    def forget(self) -> None:
        """Show the newest alert again."""
        self.telling = False
        if self._snapshot is not None:
            self.show_snapshot(self._snapshot)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Show the newest alert, a critical one before all others, unless the outcome of an act is being told."""
        self._snapshot = snapshot
        if self.telling:
            return
        unread = [view for view in snapshot.alerts if not view.acknowledged and view.level is not AlertLevel.INFO]
        newest = max(unread, key=lambda view: (view.level is AlertLevel.CRIT, view.at_ns), default=None)
        self.alert_shown = newest.alert_id if newest else ""
        loud = newest is not None and newest.level in (AlertLevel.ERROR, AlertLevel.CRIT)
        self.show(f"{newest.level.value} {newest.subject}: {newest.text}" if newest else "", "crit" if loud else "warn")

    def lines_in(self, width: int) -> list[str]:
        return super().lines_in(width) if self.telling else [self.text]
