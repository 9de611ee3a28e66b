"""Alerts and messages, the newest first."""

from collections.abc import Iterable
from typing import ClassVar

from engine.service import AlertLevel, AlertView, Snapshot
from tui.formats import day_clock, plain
from tui.panes.pane import Pane
from tui.widgets.columns import Cell, Column

LEVELS: dict[AlertLevel, tuple[str, str]] = {
    AlertLevel.INFO: ("· INFO", "muted"), AlertLevel.WARN: ("! WARN", "warn"), AlertLevel.ERROR: ("✗ ERROR", "crit"),
    AlertLevel.CRIT: ("■ CRIT", "crit"),
}


class AlertsPane(Pane[AlertView]):
    """Every alert; those that nobody acknowledged stand out."""

    NUMBER, TITLE = "5", "Alerts"
    EMPTY = "No alerts."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "TIME", rank=0),
        Column("level", "LEVEL", rank=0),
        Column("subject", "SUBJECT", rank=1, most=14),
        Column("text", "TEXT", rank=0, least=20, most=200, flex=True),
        Column("count", "×", "right", rank=2),
        Column("code", "CODE", rank=3, most=18),
    )

    def basis(self, snapshot: Snapshot) -> str:
        return self.today(snapshot)

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, AlertView]]:
        ordered = sorted(snapshot.alerts, key=lambda view: (-view.at_ns, view.alert_id))
        return ((view.alert_id, view) for view in ordered)

    def heading(self, snapshot: Snapshot) -> str:
        unread = sum(not view.acknowledged for view in snapshot.alerts)
        return f"{self.counts} · {unread} new" if unread else self.counts

    def cells(self, view: AlertView) -> tuple[Cell, ...]:
        words, tone = LEVELS[view.level]
        tone = "muted" if view.acknowledged else tone
        return (
            Cell(day_clock(view.at_ns, self.now_ns, self.zone), "muted", float(view.at_ns)),
            Cell(words + ("" if not view.acknowledged else " ✓"), tone),
            Cell(plain(view.subject), "muted" if view.acknowledged else ""),
            Cell(plain(view.text), "muted" if view.acknowledged else ""),
            Cell(f"×{view.count}" if view.count > 1 else "", "muted", view.count),
            Cell(plain(view.code), "muted"),
        )
