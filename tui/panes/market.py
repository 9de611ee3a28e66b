"""Quotes of every instrument, each with its age."""

from collections.abc import Iterable
from typing import ClassVar

from engine.service import QuoteView, Snapshot
from tui.formats import age, arrow, gain_tone, number, percent, plain
from tui.panes.pane import Pane
from tui.widgets.columns import Cell, Column


class MarketPane(Pane[QuoteView]):
    """One row an instrument; an old quote says so."""

    NUMBER, TITLE = "6", "Market"
    EMPTY = "No instruments yet; they come with the venue's list."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("symbol", "SYMBOL", rank=0, most=14),
        Column("last", "LAST", "point", rank=0),
        Column("change", "CHANGE", "point", rank=1),
        Column("bid", "BID", "point", rank=1),
        Column("ask", "ASK", "point", rank=1),
        Column("age", "AGE", "right", rank=0),
        Column("session", "SESSION", rank=2, most=8),
        Column("currency", "", rank=3, most=6),
        Column("regime", "REGIME", rank=4, most=18),
    )

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, QuoteView]]:
        return ((view.instrument_id, view) for view in snapshot.quotes)

    def cells(self, view: QuoteView) -> tuple[Cell, ...]:
        change = view.change_percent
        tone = gain_tone(change)
        stale = view.stale and view.session_open  # a closed market has old prices by nature
        return (
            Cell(plain(view.symbol), "strong"),
            Cell(number(view.last, view.price_decimals) + ("?" if stale else ""), "stale" if stale else "",
                 float(view.last) if view.last is not None else None),
            Cell(f"{arrow(change)} {percent(change, signed=True)}", tone, change),
            Cell(number(view.bid, view.price_decimals), "stale" if stale else ""),
            Cell(number(view.ask, view.price_decimals), "stale" if stale else ""),
            Cell(age(view.age_seconds) + ("!" if stale else ""), "stale" if stale else "muted",
                 view.age_seconds),
            Cell("open" if view.session_open else "closed", "muted"),
            Cell(plain(view.currency), "muted"),
            Cell(plain(view.regime), "muted"),
        )
