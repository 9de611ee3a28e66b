"""The card of a pending trade. What is approved is the digest of what is on the screen, and only after it was there."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from engine.inputs import Approve, Decline
from engine.service import ProposalStatus, ProposalView, Snapshot
from tui.formats import countdown, number, plain
from tui.keymap import bindings_for
from tui.screens.card_lines import Line, check_lines, money_lines, terms_lines
from tui.screens.dialog import Dialog
from tui.widgets.background import start
from tui.widgets.entry import Entry
from tui.widgets.fact_list import wrapped
from tui.widgets.lines import ToneLine, ToneText

LOOK_SECONDS = 0.7
CHECKS_WIDTH = 37


class CardDialog(Dialog):
    """Approve or decline one pending trade.

    The card arms `LOOK_SECONDS` after it was painted; a key pressed before that starts the time again, so that a key
    held down never approves. A card that changes under the eyes must be acknowledged with Enter before it arms again.
    """

    SCOPE: ClassVar[str] = "card"
    WIDTH: ClassVar[int] = 80
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("card")

    def __init__(self, proposal: ProposalView, *, declining: bool = False) -> None:
        super().__init__("Decision")
        self.proposal = proposal
        self._declining = declining
        self._painted_at: float | None = None
        self._changed = False
        self._answered = False

    def body(self) -> ComposeResult:
        yield ToneLine(id="state")
        with Horizontal(id="columns"):
            with Vertical(id="terms"):
                yield ToneText(id="terms-text")
            with Vertical(id="checks"):
                yield ToneText(id="checks-text")
        yield ToneText(id="why")
        self._reason = Entry(placeholder="reason for declining (may stay empty); enter declines, esc goes back",
                             id="reason")
        yield self._reason

    def on_mount(self) -> None:
        self._reason.display = False
        self._paint()
        self.set_interval(0.2, self._show_state)
        if self._declining:
            self.action_decline()

    # ---- what is shown ----------------------------------------------------------------------------------------------

    def _paint(self) -> None:
        view = self.proposal
        self.title_with(f"Decision: {view.card.side.value} {number(view.card.quantity)} {view.card.symbol}")
        self.query_one("#terms-text", ToneText).show(
            [*terms_lines(view.card), *money_lines(view.card), *self._bounds()])
        self.query_one("#checks-text", ToneText).show(
            [[("Checks", "head")], *check_lines(view.card.checks, CHECKS_WIDTH, most=13)])
        why = wrapped(view.rationale or "no reason given", self.WIDTH - 14)[:5]
        self.query_one("#why", ToneText).show(
            [[(f"{'why' if position == 0 else '':12}", "muted"), (text, "")] for position, text in enumerate(why)])
        self._painted_at = None
        self.call_after_refresh(self._was_painted)
        self._show_state()

    def _bounds(self) -> list[Line]:
        view = self.proposal
        return [[(f"{'valid while':12}", "muted"), (f"{number(view.band_low)} – {number(view.band_high)}", "")],
                [(f"{'from':12}", "muted"), (plain(view.origin), "")],
                [(f"{'digest':12}", "muted"), (plain(view.digest)[:24], "muted")]]

    def _was_painted(self) -> None:
        self._painted_at = self.app.now_seconds()

    @property
    def armed(self) -> bool:
        """Whether this very card was on the screen long enough to be answered."""
        if self._changed or self._answered or self._painted_at is None:
            return False
        return self.app.now_seconds() - self._painted_at >= LOOK_SECONDS

    def _show_state(self) -> None:
        view, state = self.proposal, self.query_one("#state", ToneLine)
        if view.status is not ProposalStatus.PENDING:
            state.show(f"{view.status.value}: {view.status_reason}", "warn")
        elif self._changed:
            state.show("! THIS CARD CHANGED while you looked. Read it again, then press enter.", "crit")
        else:
            failed = "" if view.card.passed else "  ✗ it fails a check and would be refused"
            state.show(f"? pending, {countdown(view.seconds_left)} left{failed}", "pending" if not failed else "warn")

    def show_snapshot(self, snapshot: Snapshot) -> None:
        newer = next((view for view in snapshot.proposals if view.proposal_id == self.proposal.proposal_id), None)
        if newer is None:
            self.note("this decision is no longer there")
            self._answered = True
            return
        changed = newer.digest != self.proposal.digest
        looks = (newer.card, newer.rationale) != (self.proposal.card, self.proposal.rationale)
        self.proposal = newer
        if changed:
            self._changed = True
        if changed or looks:
            self._paint()
        self._show_state()

    # ---- answers ----------------------------------------------------------------------------------------------------

    def action_seen(self) -> None:
        if self._changed:
            self._changed = False
            self._painted_at = self.app.now_seconds()
            self._show_state()
            self.note("")

    def action_approve(self) -> None:
        view = self.proposal
        if view.status is not ProposalStatus.PENDING or self._answered:
            self.note(f"it is {view.status.value.lower()}: nothing to approve")
        elif self._changed:
            self.note("the card changed: read it, press enter, then approve")
        elif not self.armed:
            self._painted_at = self.app.now_seconds() if self._painted_at is not None else None
            self.note("not yet: look at the card first")
        else:
            self._answered = True
            self.note("sent, waiting for the engine…", "muted")
            command = Approve(self.app.next_command_id(), view.proposal_id, view.digest)
            what = f"approved {view.card.side.value} {plain(view.card.symbol)}"
            start(self.app, partial(self._answer, command, what))

    def action_decline(self) -> None:
        self._reason.display = True
        self._reason.focus()

    @on(Input.Submitted)
    def _declined(self, event: Input.Submitted) -> None:
        event.stop()
        if self.proposal.status is not ProposalStatus.PENDING or self._answered:
            self.note(f"it is {self.proposal.status.value.lower()}: nothing to decline")
            return
        self._answered = True
        command = Decline(self.app.next_command_id(), self.proposal.proposal_id, event.value.strip())
        start(self.app, partial(self._answer, command, f"declined {plain(self.proposal.card.symbol)}"))

    async def _answer(self, command: Approve | Decline, what: str) -> None:
        receipt = await self.app.deliver(command, what)
        if receipt is not None and receipt.accepted:
            self.done()
            return
        from tui.app import refusal_words

        self.note(f"refused: {refusal_words(receipt)}" if receipt else "no answer; it may or may not have happened", "crit")
        self._answered = receipt is None
        self._changed = receipt is not None
