"""Decisions: pending trades that wait for a person, what became of the others, and what research does now."""

from collections.abc import Iterable
from typing import ClassVar

from textual.events import Resize

from engine.service import DecisionStatus, ProposalStatus, ProposalView, ResearchView, Snapshot
from tui.formats import MISSING, countdown, number, percent, plain
from tui.panes.pane import Pane
from tui.panes.research_line import outcome_words, research_line
from tui.widgets.columns import Cell, Column

CORNERS = 6  # what the frame takes of its lower edge

STATES: dict[ProposalStatus, tuple[str, str]] = {
    ProposalStatus.PENDING: ("? pending", "pending"), ProposalStatus.APPROVED: ("✓ approved", "good"),
    ProposalStatus.DECLINED: ("✗ declined", "muted"), ProposalStatus.EXPIRED: (f"{MISSING} expired", "muted"),
    ProposalStatus.REFUSED: ("✗ refused", "warn"),
}
FURTHER: dict[DecisionStatus, tuple[str, str]] = {
    DecisionStatus.FILLED: ("✓ filled", "good"), DecisionStatus.RESOLVED: ("● resolved", "")}


class DecisionsPane(Pane[ProposalView]):
    """Pending trades, the one that ends soonest first; they are approved on their card, never from the list.

    The lower edge tells what research does now, as far as there is room; it waits for nothing.
    """

    NUMBER, TITLE = "2", "Decisions"
    EMPTY = "Nothing waits for you.\nTrades that need a person's yes\nappear here with their card."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("left", "LEFT", "right", rank=0),
        Column("symbol", "SYMBOL", rank=0, most=14),
        Column("side", "SIDE", rank=0),
        Column("quantity", "QTY", "point", rank=0),
        Column("price", "PRICE", "point", rank=2),
        Column("state", "STATE", rank=0, most=12),
        Column("worst", "WORST", "point", rank=1),
        Column("heat", "HEAT", rank=3, most=18),
        Column("checks", "CHECKS", rank=4, most=12),
        Column("origin", "FROM", rank=5, most=16),
        Column("reason", "REASON", rank=6, least=10, most=60, flex=True),
        Column("p", "P UP%", "point", rank=7),
        Column("portfolio", "PORTFOLIO", rank=8, most=14),
    )

    _research: tuple[ResearchView, ...] = ()

    def views(self, snapshot: Snapshot) -> Iterable[tuple[str, ProposalView]]:
        ordered = sorted(snapshot.proposals, key=lambda view: (
            view.status is not ProposalStatus.PENDING,
            view.expires_at_ns if view.status is ProposalStatus.PENDING else -view.raised_at_ns, view.proposal_id))
        return ((view.proposal_id, view) for view in ordered)

    def show_snapshot(self, snapshot: Snapshot) -> None:
        super().show_snapshot(snapshot)
        if snapshot.research != self._research:
            self._research = snapshot.research
            self._tell_research()

    def on_resize(self, event: Resize) -> None:  # Textual calls the grid's own as well
        self._tell_research()

    def _tell_research(self) -> None:
        room = self.outer_size.width - CORNERS
        line = research_line(self._research, room) if room > 0 else ""
        self.border_subtitle = line.replace("[", "\\[")

    def heading(self, snapshot: Snapshot) -> str:
        pending = [view for view in snapshot.proposals if view.status is ProposalStatus.PENDING]
        return f"{self.counts} · {len(pending)} pending"

    def cells(self, view: ProposalView) -> tuple[Cell, ...]:
        card, pending = view.card, view.status is ProposalStatus.PENDING
        decision = view.decision if view.status is ProposalStatus.APPROVED else None  # what was declined was not filled
        state, tone = (FURTHER.get(decision.status) if decision else None) or STATES[view.status]
        failed = sum(not check.passed for check in card.checks)
        price = card.limit if card.limit is not None else card.trigger
        return (
            Cell(countdown(view.seconds_left) if pending else "", "warn" if view.seconds_left < 15 else "",
                 view.seconds_left),
            Cell(plain(card.symbol), "strong"),
            Cell(card.side.value),
            Cell(number(card.quantity), order=float(card.quantity)),
            Cell("market" if price is None else number(price)),
            Cell(state, tone),
            Cell(number(-abs(card.worst_loss), 2) if card.worst_loss is not None else "no stop",
                 "" if card.worst_loss is not None else "crit"),
            Cell(f"{percent(card.heat_before_percent, 1)} → {percent(card.heat_after_percent, 1)}", "muted"),
            Cell("✓ pass" if not failed else f"✗ {failed} fail", "good" if not failed else "warn"),
            Cell(plain(view.origin), "muted"),
            Cell(plain(view.status_reason) if decision is None or decision.status is not DecisionStatus.RESOLVED
                 else outcome_words(decision), "muted"),
            Cell("" if view.decision is None or view.decision.p_cal is None else f"{100 * view.decision.p_cal:.1f}"),
            Cell(plain(card.portfolio), "muted"),
        )
