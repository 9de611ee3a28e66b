"""Positions: what is held, what it earns, and how it is protected."""

from collections.abc import Iterable
from typing import ClassVar

from engine.service import PositionView, Snapshot, StopHome
from tui.formats import (
    MISSING,
    age,
    arrow,
    countdown,
    duration,
    gain_tone,
    money,
    multiple,
    number,
    percent,
    plain,
)
from tui.panes.pane import Pane
from tui.widgets.columns import Cell, Column


class PositionsPane(Pane[PositionView]):
    """One row a position; the protection column says in words where the stop lives."""

    NUMBER, TITLE = "1", "Positions"
    EMPTY = "No positions.\nPress b to buy or s to sell; stops and targets then show here."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("symbol", "SYMBOL", rank=0, most=14),
        Column("side", "SIDE", rank=0),
        Column("quantity", "QTY", "point", rank=0),
        Column("entry", "ENTRY", "point", rank=3),
        Column("mark", "MARK", "point", rank=1),
        Column("mark_age", "AGE", "right", rank=1),
        Column("pnl", "P&L", "point", rank=0),
        Column("pnl_percent", "P&L%", "point", rank=2),
        Column("r", "R", "point", rank=2),
        Column("stop", "STOP", "point", rank=0),
        Column("stop_distance", "DIST", "point", rank=1),
        Column("target", "TARGET", "point", rank=3),
        Column("target_distance", "DIST", "point", rank=4),
        Column("trail", "TRAIL", rank=5, most=10),
        Column("protection", "PROTECTION", rank=0, most=18),
        Column("bare", "BARE", "right", rank=4),
        Column("held", "HELD", "right", rank=3),
        Column("risk", "RISK", "point", rank=5),
        Column("hold_left", "HOLD LEFT", "right", rank=6),
        Column("strategy", "STRATEGY", rank=7, most=14),
        Column("portfolio", "PORTFOLIO", rank=8, most=14),
    )

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, PositionView]]:
        return ((f"{view.portfolio}|{view.instrument_id}", view) for view in snapshot.positions)

    def basis(self, snapshot: Snapshot) -> bool:
        """Whether results are in several currencies: then each says its own."""
        return len({view.currency for view in snapshot.positions}) > 1

    def heading(self, snapshot: Snapshot) -> str:
        bare = sum(view.unprotected_now for view in snapshot.positions)
        return self.counts + (f" · {bare} UNPROTECTED" if bare else "")

    def cells(self, view: PositionView) -> tuple[Cell, ...]:
        gain = gain_tone(view.pnl)
        decimals = view.price_decimals
        return (
            Cell(plain(view.symbol), "strong"),
            Cell(plain(view.side), "muted"),
            Cell(number(view.quantity, view.quantity_decimals), order=float(view.quantity)),
            Cell(number(view.entry, decimals), order=float(view.entry)),
            mark_cell(view),
            Cell(age(view.mark_age_seconds) + ("!" if view.mark_stale else ""), "stale" if view.mark_stale else "muted",
                 view.mark_age_seconds),
            Cell(f"{arrow(view.pnl)} {money(view.pnl, None, view.currency if self._basis else '', signed=True)}", gain,
                 None if view.pnl is None else float(view.pnl)),
            Cell(percent(view.pnl_percent, signed=True), gain, view.pnl_percent),
            Cell(multiple(view.r_multiple), gain, view.r_multiple),
            Cell(number(view.stop, decimals), "" if view.stop is not None else "crit"),
            Cell(percent(view.stop_distance_percent, 1), "muted", view.stop_distance_percent),
            Cell(number(view.target, decimals)),
            Cell(percent(view.target_distance_percent, 1), "muted", view.target_distance_percent),
            Cell(plain(view.trail) or MISSING, "muted"),
            protection_cell(view),
            Cell(duration(view.unprotected_seconds) if view.unprotected_seconds >= 1 else MISSING,
                 "warn" if view.unprotected_seconds >= 1 else "muted", view.unprotected_seconds),
            Cell(age(view.age_seconds), "muted", view.age_seconds),
            Cell(percent(view.open_risk_percent), "muted", view.open_risk_percent),
            Cell(countdown(view.max_hold_left_seconds), "muted", view.max_hold_left_seconds),
            Cell(plain(view.strategy), "muted"),
            Cell(plain(view.portfolio), "muted"),
        )


def still_there(view: PositionView, snapshot: Snapshot) -> PositionView | None:
    """The very same position in a newer snapshot; None where it ended, turned round or was opened anew."""
    return next((newer for newer in snapshot.positions
                 if (newer.portfolio, newer.instrument_id, newer.side, newer.opened_at_ns)
                 == (view.portfolio, view.instrument_id, view.side, view.opened_at_ns)), None)


def mark_cell(view: PositionView) -> Cell:
    """The mark, with a question mark where it is too old to trust."""
    text = number(view.mark, view.price_decimals) + ("?" if view.mark_stale else "")
    return Cell(text, "stale" if view.mark_stale else "", float(view.mark) if view.mark is not None else None)


def protection_cell(view: PositionView) -> Cell:
    """Where the stop lives, in words; a bare position says for how long."""
    if view.unprotected_now:
        return Cell(f"✗ BARE {countdown(view.unprotected_seconds)}", "crit", -1)
    words = {StopHome.VENUE: ("✓ at venue", "good"), StopHome.ENGINE: ("◐ by engine", "warn"),
             StopHome.PENDING: ("… being placed", "warn"), StopHome.NONE: ("✗ no stop", "crit")}
    text, tone = words[view.stop_home]
    return Cell(text, tone)
