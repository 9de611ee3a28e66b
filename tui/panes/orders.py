"""Orders and fills."""

from collections.abc import Iterable
from typing import ClassVar

from engine.orders import OrderKind, OrderStatus
from engine.service import FillView, OrderView, Snapshot
from tui.formats import MISSING, age, day_clock, number, plain
from tui.panes.pane import Pane
from tui.widgets.columns import Cell, Column

STATUS_MARKS: dict[OrderStatus, tuple[str, str]] = {
    OrderStatus.INITIALIZED: ("…", "pending"), OrderStatus.PENDING_NEW: ("…", "pending"), OrderStatus.NEW: ("●", ""),
    OrderStatus.PARTIALLY_FILLED: ("◐", ""), OrderStatus.PENDING_CANCEL: ("…", "pending"),
    OrderStatus.UNKNOWN: ("?", "crit"), OrderStatus.DISPUTED: ("?", "crit"), OrderStatus.FILLED: ("✓", "good"),
    OrderStatus.CANCELED: (MISSING, "muted"), OrderStatus.EXPIRED: (MISSING, "muted"),
    OrderStatus.REJECTED: ("✗", "warn"), OrderStatus.DENIED: ("✗", "warn"),
}


class OrdersPane(Pane[OrderView]):
    """Working orders first, then the newest."""

    NUMBER, TITLE = "3", "Orders"
    EMPTY = "No orders."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("status", "STATUS", rank=0, most=18),
        Column("symbol", "SYMBOL", rank=0, most=14),
        Column("side", "SIDE", rank=0),
        Column("purpose", "FOR", rank=1),
        Column("kind", "KIND", rank=3),
        Column("quantity", "QTY", "point", rank=0),
        Column("filled", "FILLED", "point", rank=2),
        Column("price", "PRICE", "point", rank=0),
        Column("average", "AVG", "point", rank=4),
        Column("age", "AGE", "right", rank=3),
        Column("reason", "REASON", rank=5, least=30, most=60, flex=True),
        Column("time_in_force", "TIF", rank=6),
        Column("strategy", "STRATEGY", rank=7, most=14),
        Column("order_id", "ORDER", rank=7, most=24),
        Column("portfolio", "PORTFOLIO", rank=8, most=14),
    )

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, OrderView]]:
        ordered = sorted(snapshot.orders, key=lambda view: (not view.working, -view.placed_at_ns, view.client_order_id))
        return ((view.client_order_id, view) for view in ordered)

    def heading(self, snapshot: Snapshot) -> str:
        working = sum(view.working for view in snapshot.orders)
        unknown = sum(view.status is OrderStatus.UNKNOWN for view in snapshot.orders)
        return f"{self.counts} · {working} working" + (f" · {unknown} UNKNOWN" if unknown else "")

    def cells(self, view: OrderView) -> tuple[Cell, ...]:
        mark, tone = STATUS_MARKS[view.status]
        price = view.trigger if view.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT) else view.limit
        return (
            Cell(f"{mark} {status_words(view.status)}", tone),
            Cell(plain(view.symbol), "strong"),
            Cell(view.side.value),
            Cell(view.purpose.value + ("*" if view.external else ""), "muted"),
            Cell(view.style or kind_words(view.kind), "muted"),
            Cell(number(view.quantity), order=float(view.quantity)),
            Cell(number(view.filled), "muted", float(view.filled)),
            Cell("market" if price is None and view.kind is OrderKind.MARKET else number(price)),
            Cell(number(view.average)),
            Cell(age(view.age_seconds), "muted", view.age_seconds),
            Cell(plain(view.reason), "warn" if tone in ("warn", "crit") else "muted"),
            Cell(view.time_in_force.value, "muted"),
            Cell(plain(view.strategy), "muted"),
            Cell(plain(view.client_order_id), "muted"),
            Cell(plain(view.portfolio), "muted"),
        )


class FillsPane(Pane[FillView]):
    """Executions, the newest first."""

    NUMBER, TITLE = "4", "Fills"
    EMPTY = "No fills yet."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("time", "TIME", rank=0),
        Column("symbol", "SYMBOL", rank=0, most=14),
        Column("side", "SIDE", rank=0),
        Column("quantity", "QTY", "point", rank=0),
        Column("price", "PRICE", "point", rank=0),
        Column("fee", "FEE", "point", rank=1),
        Column("currency", "", rank=3, most=6),
        Column("purpose", "FOR", rank=1),
        Column("source", "SOURCE", rank=2),
        Column("order_id", "ORDER", rank=3, most=24),
        Column("portfolio", "PORTFOLIO", rank=8, most=14),
    )

    def basis(self, snapshot: Snapshot) -> str:
        return self.today(snapshot)

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, FillView]]:
        ordered = sorted(snapshot.fills, key=lambda view: (-view.at_ns, view.trade_id))
        return ((f"{view.portfolio}|{view.symbol}|{view.trade_id}", view) for view in ordered)

    def cells(self, view: FillView) -> tuple[Cell, ...]:
        return (
            Cell(day_clock(view.at_ns, self.now_ns, self.zone), "muted", float(view.at_ns)),
            Cell(plain(view.symbol), "strong"),
            Cell(view.side.value),
            Cell(number(view.quantity), order=float(view.quantity)),
            Cell(number(view.price), order=float(view.price)),
            Cell(number(view.fee), "muted", float(view.fee)),
            Cell(plain(view.currency), "muted"),
            Cell(view.purpose.value, "muted"),
            Cell(plain(view.source), "warn" if view.source != "stream" else "muted"),
            Cell(plain(view.client_order_id), "muted"),
            Cell(plain(view.portfolio), "muted"),
        )


def kind_words(kind: OrderKind) -> str:
    """An order kind as people write it."""
    return kind.value.replace("_", " ")


def status_words(status: OrderStatus) -> str:
    """A status as it is shown: certain ones in small letters, UNKNOWN and DISPUTED loud."""
    if status in (OrderStatus.UNKNOWN, OrderStatus.DISPUTED):
        return status.value
    if status is OrderStatus.PARTIALLY_FILLED:
        return "part filled"
    return status.value.lower().replace("_", " ")
