"""The workstation: strip, panes, message line and key line, arranged for the size of the terminal."""

from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal
from textual.events import DescendantFocus, Resize
from textual.screen import Screen

from engine.inputs import AcknowledgeAlert, Reconcile
from engine.orders import OrderStatus, Side
from engine.service import (
    AlertView,
    FillView,
    OrderView,
    PositionView,
    ProposalView,
    QuoteView,
    Snapshot,
    TripView,
)
from tui.formats import plain
from tui.keymap import KeyEntry, bindings_for
from tui.panes.alerts import AlertsPane
from tui.panes.chart import ChartPane, past_of
from tui.panes.decisions import DecisionsPane
from tui.panes.detail import DetailPane
from tui.panes.facts import Subject
from tui.panes.market import MarketPane
from tui.panes.message_line import MessageLine
from tui.panes.orders import FillsPane, OrdersPane
from tui.panes.pane import Pane
from tui.panes.positions import PositionsPane
from tui.panes.strip import StatusStrip
from tui.screens.arrangement import (
    GROUPS,
    LEAST_SIZE,
    PANES,
    arrangement_of,
    first_alive,
    places_of,
    tab_words,
    too_small,
)
from tui.widgets.background import start
from tui.widgets.grid import Grid
from tui.widgets.key_bar import KeyBar
from tui.widgets.lines import Banner, TabLine, ToneLine
from tui.widgets.panic_button import PanicButton

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp

SLID_SECONDS = 1.0  # a key pressed so soon after the selected row went away was meant for that row


class Workstation(Screen[None]):
    """The main screen. Panes get every snapshot while they are visible; hidden ones wait."""

    BINDINGS: ClassVar[list[BindingType]] = bindings_for("main")
    AUTO_FOCUS = "#positions"

    app: "QuarterdeckApp"

    def __init__(self, zone: tzinfo) -> None:
        super().__init__(id="workstation")
        self.zone = zone
        self.portfolio = ""
        self.arrangement = "narrow"
        self._recent = list(PANES)
        self._zoomed = False
        self._subject: Subject | None = None
        self._bars_running = False
        self._slid_at = float("-inf")

    def compose(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield StatusStrip(self.zone)
            yield PanicButton()
        yield Banner(id="banner")
        yield TabLine(id="tabs")
        yield ToneLine(id="too-small")
        with Container(id="deck"):
            yield PositionsPane(id="positions", classes="pane")
            yield ChartPane(id="chart", zone=self.zone)
            yield DecisionsPane(id="decisions", classes="pane")
            yield OrdersPane(id="orders", classes="pane")
            yield FillsPane(id="fills", classes="pane", zone=self.zone)
            yield AlertsPane(id="alerts", classes="pane", zone=self.zone)
            yield MarketPane(id="market", classes="pane")
            yield DetailPane(id="detail", zone=self.zone)
        yield MessageLine(id="message")
        yield KeyBar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#chart").add_class("pane")
        self.query_one("#detail").add_class("pane")
        self.set_interval(1.0, self._ask_for_bars)
        self._arrange()
        self.app.begin()

    # ---- snapshots --------------------------------------------------------------------------------------------------

    def show_snapshot(self, snapshot: Snapshot) -> None:
        """Bring everything that is visible up to date."""
        if not self.portfolio and snapshot.accounts:
            self.portfolio = snapshot.accounts[0].portfolio
        self.query_one(StatusStrip).show(snapshot, self.portfolio, self.app.gate.access())
        front = self.query_one(f"#{self._front_table()}", Pane)
        before = front.cursor_key
        for pane in self.panes():
            if pane.display:
                pane.show_snapshot(snapshot)
        if before and front.cursor_key != before:
            self._slid_at = self.app.now_seconds()
        self._show_subject()
        self._show_chart()
        self._show_tabs()
        self.query_one(MessageLine).show_snapshot(snapshot)

    def panes(self) -> list[Pane[object]]:
        """The tables."""
        return list(self.query(Pane))

    def show_banner(self, text: str, tone: str) -> None:
        """Something is wrong with all that is shown: say so and grey it."""
        for banner in self.query(Banner):
            banner.show(text, tone)
        self.set_class(bool(text) and tone == "panic", "-lost")

    def tell(self, text: str, tone: str = "") -> None:
        """The outcome of an act."""
        for line in self.query(MessageLine):
            line.tell(text, tone)

    # ---- arrangement ------------------------------------------------------------------------------------------------

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width, height = self.app.size
        small = too_small(width, height)
        self.arrangement = arrangement_of(width, height)
        for name in GROUPS:
            self.set_class(name == self.arrangement and not self._zoomed, f"-{name}")
        self.set_class(self._zoomed, "-zoomed")
        self.set_class(small, "-too-small")
        needed = f"{LEAST_SIZE[0]}x{LEAST_SIZE[1]}"
        self.query_one("#too-small", ToneLine).show(
            f"Too small: {width}x{height}, not {needed}. {self.app.key_names['panic']} works." if small else "", "warn")
        self._show_fronts()
        if not small and self.focused is None:  # a screen too small hid the pane that had it
            self.call_after_refresh(lambda: self.set_focus(self.query_one(f"#{self._recent[0]}"), scroll_visible=False))

    def _show_fronts(self) -> None:
        places = places_of(self.arrangement, self._recent, zoomed=self._zoomed)
        fronts = [place.front for place in places]
        for pane_id in PANES:
            self.query_one(f"#{pane_id}").display = pane_id in fronts
        for place in places:
            if place.front != "decisions":  # its lower edge tells what research does
                self.query_one(f"#{place.front}").border_subtitle = " · ".join(
                    f"{PANES.index(pane_id) + 1} {pane_id.capitalize()}" for pane_id in place.others)
        self.query_one("#detail").display = not self._zoomed and (self.arrangement != "narrow" or fronts[0] != "chart")
        snapshot = self.app.snapshot
        for pane in self.panes():
            if pane.display and snapshot is not None and pane.version != snapshot.version:
                pane.show_snapshot(snapshot)
        if not self.query_one(ChartPane).has_bars:
            self._show_chart()
            self._ask_for_bars()
        self._show_tabs()
        self._show_keys()

    def _show_tabs(self) -> None:
        self.query_one(TabLine).show(tab_words(self.app.snapshot), self._recent[0])

    def _show_keys(self) -> None:
        front = self._recent[0]
        entries = [entry for entry in self.app.keymap if entry.rank
                   and entry.scope in ("app", "main") and (not entry.panes or front in entry.panes.split(","))]
        self.query_one(KeyBar).show(sorted(entries, key=_key_order))

    def redraw(self) -> None:
        """Paint everything again in another theme."""
        for grid in self.query(Grid):
            grid.forget_paint()
        for chart in self.query(ChartPane):
            chart.redraw()
        for detail in self.query(DetailPane):
            detail.draw()
        for widget in self.query("StatusStrip, PanicButton, ToneLine, TabLine, KeyBar"):
            widget.refresh()

    # ---- focus and selection ----------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        pane_id = event.widget.id or ""
        if pane_id in PANES:
            self._recent.remove(pane_id)
            self._recent.insert(0, pane_id)
            self._show_fronts()
            if isinstance(event.widget, Pane):
                self._select(event.widget)

    @on(Grid.Highlighted)
    def _highlighted(self, message: Grid.Highlighted) -> None:
        if isinstance(message.grid, Pane) and message.grid.id == self._front_table():
            self._select(message.grid)

    @on(Grid.Chosen)
    def _chosen(self, message: Grid.Chosen) -> None:
        if isinstance(message.grid, DecisionsPane):
            self.action_card()
        else:
            self.action_detail_dialog()

    @on(TabLine.Picked)
    def _picked(self, message: TabLine.Picked) -> None:
        self.action_pane(message.pane_id)

    def _front_table(self) -> str:
        return next((pane_id for pane_id in self._recent if pane_id != "chart"), "positions")

    def _select(self, pane: Pane[object]) -> None:
        current = pane.current
        if isinstance(current, PositionView | OrderView | FillView | ProposalView | AlertView | QuoteView):
            self._subject = current
        self._show_subject()
        self.query_one(ChartPane).release()
        if self.query_one(ChartPane).follow(self._instrument_id()):
            self._ask_for_bars()

    def _show_subject(self) -> None:
        pane = self.query_one(f"#{self._front_table()}", Pane)
        current = pane.current
        self._subject = current
        if self.query_one("#detail").display:
            several = self.app.snapshot is not None and len(self.app.snapshot.accounts) > 1
            self.query_one(DetailPane).show(current, getattr(current, "portfolio", "") if several else "")

    @property
    def subject(self) -> Subject | None:
        """What is selected: the row under the cursor of the table used last."""
        return self._subject

    def _instrument_id(self) -> str:
        subject, snapshot = self._subject, self.app.snapshot
        if isinstance(subject, PositionView | OrderView | QuoteView):
            return subject.instrument_id
        symbol = (subject.card.symbol if isinstance(subject, ProposalView)
                  else subject.symbol if isinstance(subject, FillView) else "")
        quotes = snapshot.quotes if snapshot else ()
        named = next((quote.instrument_id for quote in quotes if quote.symbol == symbol), "")
        return named or self.query_one(ChartPane).instrument_id or first_alive(quotes)

    @property
    def symbol(self) -> str:
        """The symbol that a ticket opens with."""
        instrument_id, snapshot = self._instrument_id(), self.app.snapshot
        quotes = snapshot.quotes if snapshot else ()
        return next((quote.symbol for quote in quotes if quote.instrument_id == instrument_id), "")

    # ---- chart ------------------------------------------------------------------------------------------------------

    def _show_chart(self) -> None:
        chart, snapshot = self.query_one(ChartPane), self.app.snapshot
        if not chart.display or snapshot is None:
            return
        if chart.past is None and chart.follow(self._instrument_id()):
            self._ask_for_bars()
        chart.show_snapshot(snapshot, self._subject if isinstance(self._subject, ProposalView) else None)

    def _ask_for_bars(self) -> None:
        chart = self.query_one(ChartPane)
        if chart.display and chart.instrument_id and self.app.snapshot is not None:
            start(self, partial(self._fetch_bars, chart), group="bars", exclusive=True)

    def look_back(self, trip: TripView) -> None:
        """Show a round trip in the chart, until something else is selected or the chart's key is pressed."""
        self.action_pane("chart")
        self.query_one(ChartPane).look_back(past_of(trip))
        self._ask_for_bars()
        self._show_chart()

    async def _fetch_bars(self, chart: ChartPane) -> None:
        instrument_id = chart.instrument_id
        try:
            bars = await self.app.service.bars(instrument_id, chart.bars_wanted)
        except Exception as failure:  # noqa: BLE001 - a chart that cannot be drawn is told, never fatal
            chart.show_failure(instrument_id, str(failure))
            return
        chart.show_bars(instrument_id, bars)
        self._show_chart()

    # ---- acts -------------------------------------------------------------------------------------------------------

    def action_pane(self, pane_id: str) -> None:
        pane = self.query_one(f"#{pane_id}")
        if isinstance(pane, ChartPane) and pane.past is not None:
            pane.release()
            self._show_chart()
        pane.display = True
        pane.focus()

    def action_next_pane(self, step: int) -> None:
        visible = [pane_id for pane_id in PANES if self.query_one(f"#{pane_id}").display]
        order = list(PANES) if self.arrangement == "narrow" or self._zoomed else visible
        at = order.index(self._recent[0]) if self._recent[0] in order else 0
        self.action_pane(order[(at + step) % len(order)])

    def action_zoom(self) -> None:
        self._zoomed = not self._zoomed
        self._arrange()

    def action_back(self) -> None:
        """Show all rows of the table again; where none is hidden, all panes."""
        table = self.query_one(f"#{self._front_table()}", Pane)
        if table.words:
            table.filter("")
            if self.app.snapshot is not None:
                self.show_snapshot(self.app.snapshot)
        elif self._zoomed:
            self.action_zoom()

    def action_mute(self) -> None:
        self.app.muted = not self.app.muted
        self.tell("the bell is silent" if self.app.muted else "the bell rings again", "muted")

    def action_next_portfolio(self) -> None:
        snapshot = self.app.snapshot
        if snapshot is None or len(snapshot.accounts) < 2:
            self.tell("there is one portfolio only", "muted")
            return
        names = [account.portfolio for account in snapshot.accounts]
        self.portfolio = names[(names.index(self.portfolio) + 1) % len(names)] if self.portfolio in names else names[0]
        self.show_snapshot(snapshot)

    def action_reconcile(self) -> None:
        self.app.act(Reconcile(self.app.next_command_id()), "asking the venue")

    def action_risk(self) -> None:
        from tui.screens.risk import RiskScreen

        self.app.push_screen(RiskScreen(self.portfolio or "main"))

    def action_targets(self) -> None:
        from tui.screens.targets import TargetsScreen

        self.app.push_screen(TargetsScreen(self.portfolio or "main"))

    def action_schedule(self) -> None:
        from tui.screens.schedule import ScheduleScreen

        self.app.push_screen(ScheduleScreen())

    def action_strategies(self) -> None:
        from tui.screens.strategies import StrategiesScreen

        self.app.push_screen(StrategiesScreen())

    def action_candidates(self) -> None:
        from tui.screens.candidates import CandidatesScreen

        self.app.push_screen(CandidatesScreen())

    def action_health(self) -> None:
        from tui.screens.health import HealthScreen

        self.app.push_screen(HealthScreen())

    def action_performance(self) -> None:
        from tui.screens.performance import PerformanceScreen

        self.app.push_screen(PerformanceScreen(self.portfolio or "main"))

    def action_research(self) -> None:
        from tui.screens.research import ResearchScreen

        self.app.push_screen(ResearchScreen(self.portfolio or "main"))

    def action_filter(self) -> None:
        from tui.screens.filter import FilterDialog

        table = self.query_one(f"#{self._front_table()}", Pane)
        self.app.push_screen(FilterDialog(table))

    def action_detail_dialog(self) -> None:
        from tui.screens.detail import DetailDialog

        if self._subject is not None:
            self.app.push_screen(DetailDialog(self._subject, self.zone))

    def action_ticket(self, side: str) -> None:
        from tui.screens.ticket import TicketDialog

        self.app.push_screen(TicketDialog(Side(side), self.symbol, self.portfolio or "main"))

    def action_protect(self) -> None:
        from tui.screens.protection import ProtectionDialog

        position = self._selected(PositionsPane, "a position", "1")
        if position is not None:
            self.app.push_screen(ProtectionDialog(position))

    def action_close(self) -> None:
        from tui.screens.close import CloseDialog

        position = self._selected(PositionsPane, "a position", "1")
        if position is not None:
            self.app.push_screen(CloseDialog(position))

    def action_cancel(self) -> None:
        from tui.screens.cancel import CancelDialog

        order = self._selected(OrdersPane, "an order", "3")
        if order is not None and order.working:
            self.app.push_screen(CancelDialog(order))
        elif order is not None:
            self.tell(f"✗ order {order.client_order_id} is {order.status.value}: nothing to cancel", "warn")

    def action_settle(self) -> None:
        from tui.screens.settle import SettleDialog

        order = self._selected(OrdersPane, "an order", "3")
        if order is not None and order.status is OrderStatus.DISPUTED:
            self.app.push_screen(SettleDialog(order))
        elif order is not None:
            self.tell(f"✗ order {order.client_order_id} is {order.status.value}: nothing to settle", "warn")

    def action_card(self) -> None:
        self._open_card(declining=False)

    def action_decline(self) -> None:
        self._open_card(declining=True)

    def _open_card(self, *, declining: bool) -> None:
        from tui.screens.card import CardDialog

        proposal = self._selected(DecisionsPane, "a decision", "2")
        if proposal is not None:
            self.app.push_screen(CardDialog(proposal, declining=declining))

    def action_alert_rules(self) -> None:
        from tui.screens.alert_rules import AlertRulesDialog

        self.app.push_screen(AlertRulesDialog(self.portfolio or "main", self.symbol))

    def action_acknowledge(self) -> None:
        """Acknowledge the selected alert, elsewhere the one in the message line: nothing that was not there to be read."""
        snapshot, line = self.app.snapshot, self.query_one(MessageLine)
        waiting = {view.alert_id: view for view in snapshot.alerts if not view.acknowledged} if snapshot else {}
        if self._recent[0] == "alerts":
            current = self.query_one(AlertsPane).current
            alert = waiting.get(current.alert_id) if current is not None else None
        else:
            alert = waiting.get(line.alert_shown)
        if alert is not None:
            self.app.act(AcknowledgeAlert(self.app.next_command_id(), alert.alert_id), f"noted {plain(alert.subject)}")
        elif self._recent[0] != "alerts" and line.telling:
            line.forget()
        else:
            self.tell("no alert waits to be acknowledged" + (" here; 5 opens the list" if waiting else ""), "muted")

    def _selected[View](self, kind: type[Pane[View]], noun: str, number: str) -> View | None:
        """The row under the cursor of a table; where there is none, or another table is in use, say what to do."""
        pane = self.query_one(kind)
        if self._front_table() != pane.id:
            self.tell(f"select {noun} first: {number} opens the list", "warn")
            return None
        if pane.current is None:
            self.tell(f"there is no {noun.rsplit(maxsplit=1)[-1]} to act on", "warn")
        elif self.app.now_seconds() - self._slid_at < SLID_SECONDS:
            self.tell("the row that was selected is gone, another one took its place: look, then press again", "warn")
            return None
        return pane.current


def _key_order(entry: KeyEntry) -> tuple[bool, int]:
    return (not entry.panes, entry.rank)
