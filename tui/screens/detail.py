"""Everything about the selected row, with what happened to it, as a page."""

from datetime import tzinfo
from typing import ClassVar

from textual.app import ComposeResult

from engine.service import AlertView, FillView, OrderView, PositionView, ProposalView, QuoteView, Snapshot
from tui.formats import day_clock, number, plain
from tui.panes.facts import Subject, sheet_of
from tui.panes.positions import still_there
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
        self._gone = False

    def body(self) -> ComposeResult:
        yield ToneText(self._lines(), id="sheet")

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Follow what it is about: a page of facts must not grow old unseen."""
        newer = newer_of(self.subject, snapshot)
        if (newer is None) is not self._gone:  # only then: the answer to the panic key stands in that line too
            self._gone = newer is None
            self.note("it is no longer there: this is how it was last" if self._gone else "")
        if newer is None:
            return
        self.subject = newer
        self.title_with(sheet_of(newer, self.zone).title)
        self.query_one("#sheet", ToneText).show(self._lines())

    def _lines(self) -> list[list[tuple[str, str]]]:
        lines: list[list[tuple[str, str]]] = []
        for fact in sheet_of(self.subject, self.zone).facts:
            for position, text in enumerate(wrapped(fact.text, VALUE_WIDTH)):
                lines.append([(f"{fact.label if position == 0 else '':14}", "muted"), (text, fact.tone)])
        story = story_of(self.subject, self.app.snapshot, self.zone) if self.app.snapshot else []
        if story:
            lines += [[], [("What happened", "head")], *story]
        return lines

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_button_pressed(self) -> None:
        self.dismiss()


def newer_of(subject: Subject, snapshot: Snapshot) -> Subject | None:
    """The same thing in a newer snapshot; None where it is not there any more."""
    match subject:
        case PositionView():
            return still_there(subject, snapshot)
        case OrderView():
            return next((view for view in snapshot.orders if view.client_order_id == subject.client_order_id), None)
        case ProposalView():
            return next((view for view in snapshot.proposals if view.proposal_id == subject.proposal_id), None)
        case AlertView():
            return next((view for view in snapshot.alerts if view.alert_id == subject.alert_id), None)
        case QuoteView():
            return next((view for view in snapshot.quotes if view.instrument_id == subject.instrument_id), None)
        case FillView():
            return subject


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
            placed = day_clock(order.placed_at_ns, snapshot.at_ns, zone)
            entries.append((order.placed_at_ns, [(f"{placed:11}  ", "muted"), (text, "")]))
    for fill in snapshot.fills:
        if fill.symbol == symbol:
            text = f"fill   {fill.side.value} {number(fill.quantity)} @ {number(fill.price)}  fee {number(fill.fee)}"
            entries.append((fill.at_ns, [(f"{day_clock(fill.at_ns, snapshot.at_ns, zone):11}  ", "muted"), (text, "good")]))
    for alert in snapshot.alerts:
        if symbol in alert.subject:
            entries.append((alert.at_ns, [(f"{day_clock(alert.at_ns, snapshot.at_ns, zone):11}  ", "muted"),
                                          (f"{alert.level.value.lower():6} {plain(alert.text)}", "warn")]))
    return [line for _, line in sorted(entries, key=lambda entry: entry[0])]


def subject_symbol(subject: Subject) -> str:
    """The symbol that a subject is about, empty for alerts."""
    if isinstance(subject, ProposalView):
        return subject.card.symbol
    return subject.symbol if isinstance(subject, PositionView | OrderView | FillView) else ""
