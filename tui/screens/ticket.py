"""The order ticket: fields to the left, what the order would do to the right, asked anew with every letter."""

from decimal import Decimal
from functools import partial
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Label

from engine.errors import UsageError
from engine.inputs import PlaceOrder
from engine.orders import OrderKind, Side, TimeInForce
from engine.service import Mode, OrderCard, QuoteView, Receipt, Refusal, Snapshot
from tui.formats import age, number, plain
from tui.keymap import bindings_for
from tui.screens.card_lines import Line, check_lines, money_lines, refusal_lines, terms_lines
from tui.screens.dialog import ConfirmDialog, Dialog, button
from tui.screens.entries import SIZES, number_entry, size_entry, span_entry, trail_entry
from tui.widgets.background import start
from tui.widgets.choice import Choice
from tui.widgets.entry import Entry
from tui.widgets.lines import ToneText

ASK_AFTER_SECONDS = 0.15
PREVIEW_WIDTH = 40
MOVED = Decimal("0.001")  # the part of the price by which it may move before a card is drawn anew
type World = tuple[object, ...]
KINDS = {kind.value.replace("_", " "): kind for kind in (OrderKind.MARKET, OrderKind.LIMIT, OrderKind.STOP,
                                                         OrderKind.STOP_LIMIT)}
FIELDS = (("limit", "limit", ""),
          ("trigger", "trigger", "for stop orders"), ("stop", "stop loss", ""), ("target", "target", ""),
          ("trail", "trail", "2%  50  1.5atr"), ("breakeven", "breakeven", "stop to entry at"),
          ("max_hold", "max hold", "90m  2h  1d"))


class TicketDialog(Dialog):
    """An order by hand. It can be sent only while the checks shown are those of the very fields shown."""

    SCOPE: ClassVar[str] = "ticket"
    WIDTH: ClassVar[int] = 80
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("ticket")

    def __init__(self, side: Side, symbol: str, portfolio: str) -> None:
        super().__init__("New order")
        self._side, self._symbol, self._portfolio = side, symbol, portfolio
        self._revision = 0
        self._answered_revision = -1
        self._order: PlaceOrder | None = None
        self._preview: OrderCard | Refusal | None = None
        self._sending = False
        self._world: World | None = None  # what the checks shown stand on
        self._asked_bid: Decimal | None = None

    # ---- fields -----------------------------------------------------------------------------------------------------

    def body(self) -> ComposeResult:
        snapshot = self.app.snapshot
        symbols = tuple(plain(quote.symbol) for quote in snapshot.quotes) if snapshot else ()
        portfolios = [each.portfolio for each in snapshot.accounts] if snapshot else []
        with Horizontal(id="columns"):
            with Vertical(id="fields"):
                yield from _field("side", Choice([side.value for side in Side], self._side.value, id="side"))
                yield from _field("symbol", Entry(self._symbol, id="symbol", suggestions=symbols))
                yield from _field("kind", Choice(list(KINDS), "market", id="kind"))
                yield from _field("size", Entry(id="quantity", placeholder=SIZES["quantity"]))
                yield from _field("size is", Choice(list(SIZES), "quantity", id="size"))
                for field_id, label, hint in FIELDS:
                    yield from _field(label, Entry(id=field_id, placeholder=hint))
                yield from _field("good for", Choice([each.value for each in TimeInForce], "gtc", id="time_in_force"))
                yield from _field("portfolio", Choice(portfolios or [self._portfolio], self._portfolio, id="portfolio"))
            with Vertical(id="preview"):
                yield ToneText(id="market")
                yield ToneText(id="preview-text")

    def buttons(self) -> ComposeResult:
        yield button("Cancel", "safe")
        yield button(self._send_words(), "act", disabled=True)

    def on_mount(self) -> None:
        self.query_one("#quantity" if self._symbol else "#symbol").focus()
        self._show_kind_fields()
        if self.app.snapshot is not None:
            self.show_snapshot(self.app.snapshot)
        self._ask_soon()

    def _send_words(self) -> str:
        mode = self.app.snapshot.mode if self.app.snapshot else Mode.PAPER
        return f"Send {mode.value} order"

    def _text(self, field_id: str) -> str:
        return self.query_one(f"#{field_id}", Input).value

    def _word(self, field_id: str) -> str:
        return self.query_one(f"#{field_id}", Choice).value

    def _show_kind_fields(self) -> None:
        kind = KINDS[self._word("kind")]
        self.query_one("#limit", Input).disabled = kind not in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
        self.query_one("#trigger", Input).disabled = kind not in (OrderKind.STOP, OrderKind.STOP_LIMIT)
        size = self.query_one("#quantity", Input)
        size.placeholder, size.disabled = SIZES[self._word("size")], self._word("size") == "largest"

    @on(Input.Changed)
    def _typed(self) -> None:
        self._ask_soon()

    @on(Choice.Changed)
    def _turned(self) -> None:
        self._show_kind_fields()
        self._ask_soon()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        event.stop()
        self.focus_next()

    def order(self) -> PlaceOrder:
        """The order that the fields add up to. Raises `UsageError` naming the field."""
        kind = KINDS[self._word("kind")]
        symbol = self._text("symbol").strip().upper()
        if not symbol:
            raise UsageError("symbol: type what to trade")
        size = size_entry(self._word("size"), self._text("quantity"))
        limited = kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
        triggered = kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
        limit = number_entry(self._text("limit"), "limit") if limited else None
        trigger = number_entry(self._text("trigger"), "trigger") if triggered else None
        if limited and limit is None:
            raise UsageError("limit: type the price")
        if triggered and trigger is None:
            raise UsageError("trigger: type the price")
        return PlaceOrder(
            command_id="", symbol=symbol, side=Side(self._word("side")), portfolio=self._word("portfolio"),
            quantity=size.quantity, risk_percent=size.risk_percent, size=size.size, kind=kind, limit=limit, trigger=trigger,
            stop=number_entry(self._text("stop"), "stop loss"), target=number_entry(self._text("target"), "target"),
            trail=trail_entry(self._text("trail"), "trail"),
            breakeven_at=number_entry(self._text("breakeven"), "breakeven"),
            max_hold_seconds=span_entry(self._text("max_hold"), "max hold"),
            time_in_force=TimeInForce(self._word("time_in_force")))

    # ---- what it would do --------------------------------------------------------------------------------------------

    def _ask_soon(self) -> None:
        self._revision += 1
        self.query_one("#act", Button).disabled = True
        self.set_timer(ASK_AFTER_SECONDS, partial(self.ask, self._revision))

    def ask(self, revision: int) -> None:
        """Ask what the order would do, unless a newer letter was typed."""
        if revision != self._revision or self._sending:
            return
        try:
            self._order = msgspec.structs.replace(self.order(), command_id=self.app.next_command_id())
        except UsageError as problem:
            self._order, self._preview, self._answered_revision = None, None, revision
            refusal = Refusal("entry", "", "", str(problem))
            self.query_one("#preview-text", ToneText).show(refusal_lines(refusal, PREVIEW_WIDTH))
            return
        quote = self._quote(self.app.snapshot) if self.app.snapshot is not None else None
        self._asked_bid = quote.bid if quote is not None else None
        start(self, partial(self._ask_service, self._order, revision), group="what-if", exclusive=True)

    async def _ask_service(self, order: PlaceOrder, revision: int) -> None:
        try:
            answer: OrderCard | Refusal = await self.app.service.what_if(order)
        except Exception as failure:  # noqa: BLE001 - whatever the service raises is told in its place
            answer = Refusal("engine", "", "", f"no answer from the engine: {plain(str(failure))}")
        if revision != self._revision:
            return
        self._preview, self._answered_revision = answer, revision
        self.query_one("#preview-text", ToneText).show(preview_lines(answer))
        self.query_one("#act", Button).disabled = not (isinstance(answer, OrderCard) and answer.passed)

    def _quote(self, snapshot: Snapshot) -> QuoteView | None:
        return quote_for(snapshot, self._text("symbol"), self._word("portfolio"))

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._show_market(snapshot)
        quote = self._quote(snapshot)
        self._follow(world_of(snapshot, quote), quote)

    def show_banner(self, text: str, tone: str) -> None:
        super().show_banner(text, tone)
        if text and self.app.snapshot is not None:
            self._show_market(self.app.snapshot)  # its age runs on while the engine says nothing

    def _show_market(self, snapshot: Snapshot) -> None:
        quote = self._quote(snapshot)
        market: Line = [("no quote for this symbol", "warn")]
        if quote is not None:
            decimals = quote.price_decimals
            seconds = None if quote.age_seconds is None else quote.age_seconds + self.app.silent_seconds
            market = [(f"{number(quote.bid, decimals)} / {number(quote.ask, decimals)}", "strong"),
                      (f"  {age(seconds)} old" + (" STALE" if quote.stale else ""),
                       "stale" if quote.stale else "muted")]
            if sum(each.symbol == quote.symbol for each in snapshot.quotes) > 1:
                market.append((f"  {plain(venue_of(quote))}", "muted"))
        self.query_one("#market", ToneText).show([market, []])

    def _follow(self, world: World, quote: QuoteView | None) -> None:
        """Ask anew where the checks shown no longer hold: halted since, another position, a price that moved away."""
        bid, asked = quote.bid if quote is not None else None, self._asked_bid
        moved = bid is not None and asked is not None and abs(bid - asked) > asked * MOVED
        if self._world is not None and (world != self._world or moved) and not self._sending:
            self._ask_soon()
        self._world = world

    # ---- sending ----------------------------------------------------------------------------------------------------

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act":
            self.action_send()
        else:
            self.dismiss()

    def action_send(self) -> None:
        if self._sending:
            return
        if self._order is None or self._answered_revision != self._revision or self._preview is None:
            self.note("not yet: wait for the checks of what is typed")
        elif isinstance(self._preview, Refusal) or not self._preview.passed:
            self.note("not sent: a check fails")
        elif self.app.snapshot is not None and self.app.snapshot.mode is Mode.LIVE:
            self.app.push_screen(LiveConfirm(self, self._preview))
        else:
            self.send_now()

    def send_now(self) -> None:
        """Send the order whose checks are shown."""
        if self.app.out_of_touch:
            self.note("not sent: the engine says nothing, and would send it whenever it wakes; what is shown is old", "crit")
        elif self._order is not None and not self._sending:
            self._sending = True
            self.query_one("#act", Button).disabled = True
            self.note("sent, waiting for the engine…", "muted")
            start(self.app, partial(self._send, self._order))

    async def _send(self, order: PlaceOrder) -> None:
        size = f"{number(order.quantity)} " if order.quantity is not None else ""
        receipt: Receipt | None = await self.app.deliver(order, f"{order.side.value} {size}{plain(order.symbol)} sent")
        if receipt is not None and receipt.accepted:
            self.done()
            return
        from tui.app import refusal_words

        if receipt is None:
            self.note("no answer: it may or may not have been sent; look at the orders before trying again", "crit")
            return
        self._sending = False
        self.note(f"refused: {refusal_words(receipt)}", "crit")
        self._ask_soon()


class LiveConfirm(ConfirmDialog):
    """Real money: one more question."""

    def __init__(self, ticket: TicketDialog, card: OrderCard) -> None:
        super().__init__(f"Send this order with real money in {plain(card.portfolio)}?",
                         [*terms_lines(card), *money_lines(card)], safe="Cancel", act="Send LIVE order")
        self._ticket = ticket

    def confirmed(self) -> None:
        self._ticket.send_now()


def world_of(snapshot: Snapshot, quote: QuoteView | None) -> World:
    """What the checks of an order stand on, prices aside."""
    return (tuple((each.portfolio, each.trading_state, each.connectivity, each.automation) for each in snapshot.accounts),
            tuple((each.portfolio, each.instrument_id, each.side, each.quantity) for each in snapshot.positions),
            quote is None or quote.stale)


def quote_for(snapshot: Snapshot, symbol: str, portfolio: str) -> QuoteView | None:
    """The quote of what a symbol, or `SYMBOL@venue`, means in a portfolio: two venues may well quote the same one."""
    wanted = symbol.strip().upper()
    venues = next((each.venues for each in snapshot.accounts if each.portfolio == portfolio), ())
    return next((each for each in snapshot.quotes if wanted in (each.symbol.upper(), each.instrument_id.upper())
                 and (not venues or venue_of(each) in venues)), None)


def venue_of(quote: QuoteView) -> str:
    return quote.instrument_id.rpartition("@")[2]


def preview_lines(answer: OrderCard | Refusal) -> list[Line]:
    """The card, or why there is none."""
    if isinstance(answer, Refusal):
        return refusal_lines(answer, PREVIEW_WIDTH)
    checks = check_lines(answer.checks, PREVIEW_WIDTH, most=7)
    return [terms_lines(answer)[0], *money_lines(answer), [], *checks]


def _field(label: str, widget: Input | Choice) -> ComposeResult:
    with Horizontal(classes="field"):
        yield Label(label, markup=False)
        yield widget
