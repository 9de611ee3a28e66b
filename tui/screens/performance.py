"""The performance screen: equity and drawdown, figures, months, what results came from, and every round trip."""

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType

from engine.service import PerformanceQuery, PerformanceView, TripView
from tui.formats import gain_tone, moment, money, percent, plain, plain_float
from tui.keymap import bindings_for
from tui.screens.dialog import button
from tui.screens.performance_lines import figure_lines, grouping_lines, month_lines, summary_lines
from tui.screens.turned import TurnedDialog
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column, Row
from tui.widgets.curve import CurveChart
from tui.widgets.grid import Grid
from tui.widgets.lines import ToneText

WIDEST, FRAME, AROUND = 152, 6, 7
BIG = (132, 38)
SMALL_PARTS = (("curve", "summary"), ("figures",), ("months", "groups"), ("trips",))
BIG_PARTS = (("curve", "figures", "months", "trips"), ("groups",))
LONG_PARTS = (("curve", "figures", "trips"), ("months", "groups"))
CHART_ROWS, LEAST_TRIP_ROWS = 13, 6


class TripsGrid(Grid):
    """One line a round trip, the newest first."""

    EMPTY = "No round trip has ended yet."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("number", "#", "right", rank=2),
        Column("symbol", "SYMBOL", rank=0, most=12),
        Column("side", "SIDE", rank=1),
        Column("quantity", "QTY", "point", rank=4),
        Column("closed", "CLOSED", rank=0, most=16),
        Column("entry", "ENTRY", "point", rank=3),
        Column("exit", "EXIT", "point", rank=3),
        Column("result", "RESULT", "point", rank=0),
        Column("r", "R", "point", rank=0),
        Column("mae", "MAE%", "point", rank=2),
        Column("mfe", "MFE%", "point", rank=2),
        Column("strategy", "STRATEGY", rank=2, most=14),
        Column("decision", "DECISION", rank=4, most=18),
        Column("reason", "ENDED BY", rank=1, least=18, most=40, flex=True),
    )


class PerformanceScreen(TurnedDialog):
    """Parts that are turned by a key; on a large screen nearly everything is one part. Enter shows a round trip in the chart."""

    SCOPE: ClassVar[str] = "performance"
    WIDTH: ClassVar[int] = 78
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("performance")

    def __init__(self, portfolio: str) -> None:
        super().__init__("Performance", portfolio)
        self.view: PerformanceView | None = None
        self._part = 0

    def body(self) -> ComposeResult:
        yield CurveChart(id="curve", zone=self.app.zone)
        for part in ("summary", "figures", "months", "groups"):
            yield ToneText(id=part)
        yield TripsGrid(id="trips")

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")

    def on_mount(self) -> None:
        self._arrange()
        self._ask()

    def on_button_pressed(self) -> None:
        self.dismiss()

    # ---- asking ------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self.note("working it out…", "muted")
        start(self, partial(self._fetch, self.portfolio), group="performance", exclusive=True)

    async def _fetch(self, portfolio: str) -> None:
        try:
            view = await self.app.service.performance(PerformanceQuery(portfolio))
        except Exception as failure:  # noqa: BLE001 - a report that cannot be made is told, never fatal
            self.note(f"no report: {failure}")
            return
        self.view = view
        self._arrange()

    # ---- showing -----------------------------------------------------------------------------------------------------

    @property
    def _big(self) -> bool:
        return self.app.size.width - 4 - FRAME >= BIG[0] and self.app.size.height - AROUND >= BIG[1] - 4

    @property
    def _parts(self) -> tuple[tuple[str, ...], ...]:
        if not self._big:
            return SMALL_PARTS
        room = self.app.size.height - AROUND - CHART_ROWS - 1 - LEAST_TRIP_ROWS
        months = month_lines(self.view.months) if self.view else []
        figures = figure_lines(self.view, self._width - FRAME) if self.view else []
        return BIG_PARTS if len(figures) + 1 + len(months) + 1 <= room else LONG_PARTS

    @property
    def _width(self) -> int:
        return min(WIDEST, self.app.size.width - 4) if self._big else self.WIDTH

    def on_resize(self) -> None:
        super().on_resize()
        self._arrange()

    def _arrange(self) -> None:
        """Show the widgets of the part that is open, as tall as there is room."""
        self.query_one("#frame").styles.width = self._width
        self.set_class(self._big, "-big")
        self._part %= len(self._parts)
        shown = self._parts[self._part]
        for part in ("curve", "summary", "figures", "months", "groups", "trips"):
            self.query_one(f"#{part}").display = part in shown
        self._show()
        room = self.app.size.height - AROUND
        lines = sum(len(self.query_one(f"#{part}", ToneText).lines) + 1 for part in shown if part not in ("curve", "trips"))
        chart = CHART_ROWS if "trips" in shown else max(LEAST_TRIP_ROWS, room - lines)
        self.query_one("#curve").styles.height = chart
        left = room - lines - (chart + 1 if "curve" in shown else 0)
        self.query_one("#trips").styles.height = max(LEAST_TRIP_ROWS, left)
        if self.view is not None:
            self.note(_left_out(self.view) if "trips" in shown else "", "muted")
        if "trips" in shown:
            self.query_one("#trips").focus()
        else:
            self.query_one("#safe").focus()

    def _show(self) -> None:
        view = self.view
        if view is None:
            return
        width = self._width - FRAME
        span = f": {moment(view.from_ns, self.app.zone)[:10]} to {moment(view.to_ns, self.app.zone)[:10]}" if view.to_ns else ""
        self.title_with(f"Performance of {plain(view.name)}{span}, {self._part + 1}/{len(self._parts)}")
        self.query_one(CurveChart).show(view.curve)
        months = month_lines(view.months)
        for part, lines in (("summary", summary_lines(view, width)), ("figures", figure_lines(view, width)),
                            ("months", months),
                            ("groups", grouping_lines(view.groupings, view.money_decimals, width))):
            self.query_one(f"#{part}", ToneText).show(lines)
        self.query_one(TripsGrid).show([Row(str(trip.number), _cells(view, trip, self.app)) for trip in view.trips])

    # ---- acts --------------------------------------------------------------------------------------------------------

    def action_next_part(self) -> None:
        self._part += 1
        self._arrange()
        self.query_one("#body").scroll_home(animate=False)

    def another_portfolio(self) -> None:
        self._ask()

    @on(Grid.Chosen)
    def _chosen(self, message: Grid.Chosen) -> None:
        trip = next((trip for trip in self.view.trips if str(trip.number) == message.key), None) if self.view else None
        if trip is not None:
            self.dismiss()
            self.app.workstation.look_back(trip)

    def redraw(self) -> None:
        super().redraw()
        self.query_one(TripsGrid).forget_paint()
        self.query_one(CurveChart).refresh()


def _left_out(view: PerformanceView) -> str:
    if view.trip_count <= len(view.trips):
        return ""
    return f"the newest {len(view.trips):,} of {view.trip_count:,} round trips; `quarterdeck report --csv FILE` writes them all"


def _cells(view: PerformanceView, trip: TripView, app: object) -> tuple[Cell, ...]:
    zone = app.zone  # type: ignore[attr-defined]
    tone = gain_tone(trip.net)
    return (
        Cell(str(trip.number), "muted", trip.number), Cell(plain(trip.symbol), "strong"), Cell(trip.side),
        Cell(f"{trip.quantity:,.10g}", "", trip.quantity), Cell(moment(trip.closed_at_ns, zone)[:16], "", trip.closed_at_ns),
        Cell(f"{trip.entry:,.8g}", "", trip.entry), Cell(f"{trip.exit:,.8g}", "", trip.exit),
        Cell(money(trip.net, view.money_decimals, signed=True), tone, float(trip.net)),
        Cell(plain_float(trip.r_multiple, 2, signed=True), tone, trip.r_multiple or 0.0),
        Cell(percent(trip.mae_percent).removesuffix("%"), "", trip.mae_percent or 0.0),
        Cell(percent(trip.mfe_percent).removesuffix("%"), "", trip.mfe_percent or 0.0),
        Cell(plain(trip.strategy)), Cell(plain(trip.decision)), Cell(plain(trip.exit_reason)))
