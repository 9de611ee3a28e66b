"""The card of a pending trade. What is approved is the digest of what is on the screen, and only after all of it was there."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from engine.inputs import Approve, Decline, Halve
from engine.service import ProposalStatus, ProposalView, Snapshot
from tui.formats import countdown, number, plain, plural
from tui.keymap import bindings_for
from tui.screens.card_lines import Line, check_lines, market_lines, money_lines, terms_lines
from tui.screens.dialog import Dialog
from tui.screens.marks import MarksDialog
from tui.screens.research import DecisionScreen
from tui.screens.research_card_lines import around, research_card_lines
from tui.widgets.background import start
from tui.widgets.entry import Entry
from tui.widgets.fact_list import wrapped
from tui.widgets.lines import ToneLine, ToneText

LOOK_SECONDS = 0.7
CHECKS_WIDTH = 37
WIDEST, FRAME = 132, 4


class CardDialog(Dialog):
    """Approve, halve or decline one pending trade.

    The card arms `LOOK_SECONDS` after all of it was painted; a key pressed before that starts the time again, so that a key
    held down never approves. A card that changes under the eyes must be acknowledged with Enter before it arms again. One
    that research proposes also waits until its marked texts were opened, and while the engine says why it cannot be approved.
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
        self._whole = False
        self._changed = False
        self._answered = False
        self._halved_to = ""
        self._flags_read: tuple[str, ...] = ()

    def body(self) -> ComposeResult:
        yield ToneLine(id="state")
        with Horizontal(id="columns"):
            with Vertical(id="terms"):
                yield ToneText(id="terms-text")
            with Vertical(id="checks"):
                yield ToneText(id="checks-text")
        yield ToneText(id="why")
        yield ToneText(id="research")
        self._reason = Entry(placeholder="reason for declining (may stay empty); enter declines, esc goes back",
                             id="reason")
        yield self._reason

    def on_mount(self) -> None:
        self._reason.display = False
        by_hand = self.proposal.decision is None
        for part in ("#columns", "#why"):
            self.query_one(part).display = by_hand
        self.query_one("#research").display = not by_hand
        self._widen()
        self._paint()
        self.set_interval(0.2, self._show_state)
        if self._declining:
            self.action_decline()

    # ---- what is shown ----------------------------------------------------------------------------------------------

    def on_resize(self) -> None:
        super().on_resize()
        self._widen()
        self._paint()

    def _widen(self) -> None:
        if self.proposal.decision is not None:
            self.query_one("#frame").styles.width = self._width

    @property
    def _width(self) -> int:
        return min(WIDEST, self.app.size.width)

    def _paint(self) -> None:
        """Draw the card; from then on it has to be looked at anew."""
        view = self.proposal
        card = view.card
        self.title_with(f"Decision: {card.side.value} {number(card.quantity)} {card.symbol} in {card.portfolio}")
        self._draw()
        self._painted_at, self._whole = None, False
        self.query_one("#body").scroll_home(animate=False)
        self.call_after_refresh(self._was_painted)
        self._show_state()

    def _draw(self) -> None:
        """What it says: the market of now and ages run on, which is no change of the card."""
        if self.proposal.decision is None:
            self._draw_by_hand()
        else:
            self._draw_research()

    def _draw_by_hand(self) -> None:
        view = self.proposal
        self.query_one("#terms-text", ToneText).show(
            [*terms_lines(view.card, market_lines(view.card, self.app.snapshot)), *money_lines(view.card), *self._bounds()])
        self.query_one("#checks-text", ToneText).show(
            [[("Checks", "head")], *check_lines(view.card.checks, CHECKS_WIDTH, most=13)])
        why = wrapped(view.rationale or "no reason given", self.WIDTH - 14)[:5]
        self.query_one("#why", ToneText).show(
            [[(f"{'why' if position == 0 else '':12}", "muted"), (text, "")] for position, text in enumerate(why)])

    def _draw_research(self) -> None:
        view = self.proposal
        if view.decision is not None:
            beside = around(self.app.snapshot, view, self.app.key_names)
            self.query_one("#research", ToneText).show(
                research_card_lines(view, view.decision, beside, self._unread, self._width - FRAME))

    def _bounds(self) -> list[Line]:
        view = self.proposal
        return [[(f"{'valid while':12}", "muted"), (f"{number(view.band_low)} – {number(view.band_high)}", "")],
                [(f"{'from':12}", "muted"), (plain(view.origin), "")],
                [(f"{'digest':12}", "muted"), (plain(view.digest)[:24], "muted")]]

    def _was_painted(self) -> None:
        self._painted_at = self.app.now_seconds()
        self._look()

    def _look(self) -> None:
        """The card is whole where all of it fits, or once its end was scrolled to."""
        body = self.query_one("#body")
        if self._painted_at is not None and not self._whole and body.scroll_y >= body.max_scroll_y:
            self._whole, self._painted_at = True, self.app.now_seconds()

    @property
    def _unread(self) -> tuple[str, ...]:
        decision = self.proposal.decision
        return tuple(flag for flag in decision.flags if flag not in self._flags_read) if decision is not None else ()

    @property
    def armed(self) -> bool:
        """Whether this very card was on the screen, all of it, long enough to be answered."""
        if self._changed or self._answered or self._painted_at is None or not self._whole:
            return False
        return self.app.now_seconds() - self._painted_at >= LOOK_SECONDS

    @property
    def _hindrance(self) -> str:
        """What keeps it from being approved, in words, beside the time to look at it; "" where nothing does."""
        view, keys = self.proposal, self.app.key_names
        if view.blocked:
            return f"cannot be approved now: {plain(view.blocked)}"
        if self._unread:
            return f"{plural(len(self._unread), 'marked text')} not read yet: {keys['card_marks']} opens"
        return self._below

    @property
    def _below(self) -> str:
        if self._painted_at is None or self._whole:
            return ""
        return f"the card goes on below: {self.app.key_names['card_scroll']} scrolls"

    def _show_state(self) -> None:
        view, state = self.proposal, self.query_one("#state", ToneLine)
        self._look()
        if self._halved_to:
            state.show("… halved; the new card comes", "pending")
        elif view.status is not ProposalStatus.PENDING:
            state.show(f"{view.status.value}: {view.status_reason}", "warn")
        elif self._changed:
            state.show("! THIS CARD CHANGED while you looked. Read it again, then press enter.", "crit")
        else:
            why = "" if view.card.passed else "it fails a check and would be refused"
            why = self._hindrance or why
            state.show(f"? pending, {countdown(view.seconds_left)} left{f'  ✗ {why}' if why else ''}",
                       "warn" if why else "pending")

    def show_snapshot(self, snapshot: Snapshot) -> None:
        wanted = self._halved_to or self.proposal.proposal_id
        newer = next((view for view in snapshot.proposals if view.proposal_id == wanted), None)
        if newer is None and self._halved_to:
            return
        if newer is None:
            self.note("this decision is no longer there")
            self._answered = True
            return
        if self._halved_to:
            self._halved_to, self._answered, self._changed, self.proposal = "", False, False, newer
            self.note("half of it, as a new card: it has its own digest", "good")
            self._paint()
            return
        changed = newer.digest != self.proposal.digest
        looks = _looks(newer) != _looks(self.proposal)
        self.proposal = newer
        if changed:
            self._changed = True
        if changed or looks:
            self._paint()
        else:
            self._draw()
        self._show_state()

    # ---- answers ----------------------------------------------------------------------------------------------------

    def action_seen(self) -> None:
        if self._changed:
            self._changed = False
            self._painted_at = self.app.now_seconds()
            self._show_state()
            self.note("")

    def action_approve(self) -> None:
        if self._may("approve", self._hindrance):
            view = self.proposal
            self._send(Approve(self.app.next_command_id(), view.proposal_id, view.digest, flags_read=self._flags_read),
                       f"approved {view.card.side.value} {plain(view.card.symbol)}")

    def action_halve(self) -> None:
        """Ask for half of it; that comes as a card of its own, which is read and approved anew."""
        if self._may("halve", self._below):
            view = self.proposal
            self._send(Halve(self.app.next_command_id(), view.proposal_id, view.digest), f"halved {plain(view.card.symbol)}")

    def _may(self, what: str, hindrance: str) -> bool:
        """Whether this card can be answered by a key now; says why not, and a key that came too early starts the look anew."""
        view = self.proposal
        if view.status is not ProposalStatus.PENDING or self._answered:
            self.note(f"it is {view.status.value.lower()}: nothing to {what}")
        elif self._changed:
            self.note(f"the card changed: read it, press enter, then {what}")
        elif hindrance or not self.armed:
            self._painted_at = self.app.now_seconds() if self._painted_at is not None else None
            self.note(hindrance or "not yet: look at the card first")
        else:
            return True
        return False

    def _send(self, command: Approve | Halve, what: str) -> None:
        self._answered = True
        self.note("sent, waiting for the engine…", "muted")
        start(self.app, partial(self._answer, command, what))

    def action_marks(self) -> None:
        """Open the marks on the texts behind this card."""
        decision = self.proposal.decision
        if decision is None or not decision.flags:
            self.note("no text behind this is marked")
            return
        self.app.push_screen(MarksDialog(decision.flags, partial(self._marks_were_read, decision.flags)))

    def _marks_were_read(self, flags: tuple[str, ...]) -> None:
        self._flags_read = flags
        self.note("")
        self._paint()

    def action_details(self) -> None:
        """Everything that research has on this."""
        if self.proposal.decision is None:
            self.note("no research lies behind this: it is all on the card")
        else:
            self.app.push_screen(DecisionScreen(self.proposal.decision.decision_id))

    def action_scroll_on(self) -> None:
        """Show what is below."""
        self.scroll_body(lambda body: body.scroll_y + max(1, body.size.height - 1))
        self.call_after_refresh(self._show_state)

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

    async def _answer(self, command: Approve | Decline | Halve, what: str) -> None:
        receipt = await self.app.deliver(command, what)
        if receipt is not None and receipt.accepted:
            if isinstance(command, Halve) and receipt.proposal_id:
                self._follow_half(receipt.proposal_id)
            else:
                self.done()
            return
        from tui.app import refusal_words

        self.note(f"refused: {refusal_words(receipt)}" if receipt else "no answer; it may or may not have happened", "crit")
        self._answered = receipt is None
        self._changed = receipt is not None and isinstance(command, Approve)

    def _follow_half(self, proposal_id: str) -> None:
        """Show the card of the half as soon as a snapshot has it."""
        self._halved_to = proposal_id
        self.note("")
        if self.is_attached and self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)
            self._show_state()


def _looks(view: ProposalView) -> tuple[object, ...]:
    """What a person reads on the card; ages and a passing block are not part of it."""
    return view.card, view.rationale, view.decision
