"""Everything about the selected row, with what happened to it, as a page."""

from datetime import tzinfo
from typing import ClassVar

from textual.app import ComposeResult

from engine.service import FillView, OrderView, PositionView, ProposalView, Snapshot
from tui.formats import clock, number, plain
from tui.panes.facts import Subject, sheet_of
from tui.screens.dialog import Dialog, button
from tui.widgets.fact_list import wrapped
from tui.widgets.lines import ToneText

VALUE_WIDTH = 54


class DetailDialog(Dialog):
    """Facts, then the story: orders, fills and alerts of the same instrument, oldest first."""

    WIDTH: ClassVar[int] = 78

    def __init__(self, subject: Subject, zone: tzinfo) -> None:
        super().__init__(sheet_of(subject, zone).title)
        self.subject, self.zone = subject, zone

    def body(self) -> ComposeResult:
        lines: list[list[tuple[str, str]]] = []
        for fact in sheet_of(self.subject, self.zone).facts:
            for position, text in enumerate(wrapped(fact.text, VALUE_WIDTH)):
                lines.append([(f"{fact.label if position == 0 else '':14}", "muted"), (text, fact.tone)])
        story = story_of(self.subject, self.app.snapshot, self.zone) if self.app.snapshot else []
        if story:
            lines += [[], [("What happened", "head")], *story]
        yield ToneText(lines)

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_button_pressed(self) -> None:
        self.dismiss()


def story_of(subject: Subject, snapshot: Snapshot, zone: tzinfo) -> list[list[tuple[str, str]]]:
    """Orders, fills and alerts of the subject's instrument, oldest first."""
    symbol = subject_symbol(subject)
    if not symbol:
        return []
    entries: list[tuple[int, list[tuple[str, str]]]] = []
    for order in snapshot.orders:
        if order.symbol == symbol:
            price = order.trigger if order.trigger is not None else order.limit
            text = (f"order  {order.side.value} {number(order.quantity)} {order.purpose.value}"
                    f" {number(price) if price is not None else order.kind.value}  {order.status.value}"
                    f"  {plain(order.reason)}")
            entries.append((order.placed_at_ns, [(f"{clock(order.placed_at_ns, zone)}  ", "muted"), (text, "")]))
    for fill in snapshot.fills:
        if fill.symbol == symbol:
            text = f"fill   {fill.side.value} {number(fill.quantity)} @ {number(fill.price)}  fee {number(fill.fee)}"
            entries.append((fill.at_ns, [(f"{clock(fill.at_ns, zone)}  ", "muted"), (text, "good")]))
    for alert in snapshot.alerts:
        if symbol in alert.subject:
            entries.append((alert.at_ns, [(f"{clock(alert.at_ns, zone)}  ", "muted"),
                                          (f"{alert.level.value.lower():6} {plain(alert.text)}", "warn")]))
    return [line for _, line in sorted(entries, key=lambda entry: entry[0])]


def subject_symbol(subject: Subject) -> str:
    """The symbol that a subject is about, empty for alerts."""
    if isinstance(subject, ProposalView):
        return subject.card.symbol
    return subject.symbol if isinstance(subject, PositionView | OrderView | FillView) else ""
