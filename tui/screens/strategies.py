"""Strategies: what each holds and last wanted, why nothing came of it, its budget and its market; one key switches it."""

from functools import partial
from textwrap import wrap
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button

from engine.alert_text import span_text
from engine.inputs import EnableStrategy
from engine.service import BudgetView, RegimeView, Snapshot, StrategyLine, StrategyView
from tui.formats import MISSING, moment, money, number, percent, plain, plural
from tui.keymap import bindings_for
from tui.screens.dialog import ConfirmDialog, button
from tui.screens.list_screen import Line, ListScreen
from tui.widgets.background import start
from tui.widgets.columns import Cell, Column
from tui.widgets.grid import Grid

FRAME = 6
HEADS = {head: f"{head:9}" for head in ("rule", "warm-up", "holds", "wanted", "refused", "budget", "regime", "note", "off")}


class Place(NamedTuple):
    """A strategy on one of its instruments; `line` is None where it has none yet."""

    view: StrategyView
    line: StrategyLine | None
    regime: RegimeView | None
    budget: BudgetView | None


class StrategiesGrid(Grid):
    """One line for a strategy on each of its instruments."""

    EMPTY = "No strategies: [[strategies]] sections of the configuration name them."
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("strategy", "STRATEGY", rank=0, least=10, most=28, flex=True),
        Column("runs", "RUNS", rank=0),
        Column("symbol", "SYMBOL", rank=0, most=16),
        Column("held", "HELD", "point", rank=0),
        Column("entry", "ENTRY", "point", rank=1),
        Column("waiting", "ON ITS WAY", rank=3),
        Column("at", "LAST WANT (UTC)", rank=0),
        Column("budget", "BUDGET", "point", rank=1),
        Column("regime", "REGIME", rank=3, most=20),
        Column("portfolio", "PORTFOLIO", rank=4, most=16),
        Column("rule", "RULE", rank=5, most=16),
        Column("bar", "BAR", rank=6),
        Column("bars", "BARS", "right", rank=6),
    )


class StrategiesScreen(ListScreen[Place]):
    """Below the list, everything known of the selected line; F5 asks, and then lets the strategy run or stops it."""

    SCOPE: ClassVar[str] = "strategies"
    WIDTH: ClassVar[int] = 150
    BINDINGS: ClassVar[list[BindingType]] = bindings_for("strategies")
    GRID, GRID_ID, ABOUT_ID = StrategiesGrid, "strategies", "about-strategy"

    def __init__(self) -> None:
        super().__init__("Strategies")
        self._decimals: dict[str, int] = {}

    def views(self, snapshot: Snapshot) -> dict[str, Place]:
        self._decimals = {risk.portfolio: risk.money_decimals for risk in snapshot.risks}
        return places_of(snapshot)

    def cells(self, view: Place) -> tuple[Cell, ...]:
        return _cells(view)

    def lines(self, view: Place) -> list[Line]:
        width = min(self.WIDTH, self.app.size.width) - FRAME - len(HEADS["rule"])
        return _lines(view, self._decimals.get(view.view.portfolio, 2), width)

    def buttons(self) -> ComposeResult:
        yield button("Close", "safe")
        yield button("On/off", "act")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "act":
            self.action_switch()
        else:
            self.dismiss()

    def action_switch(self) -> None:
        """Ask whether the selected strategy shall run, or be stopped."""
        place = self.selected
        if place is not None:
            self.app.push_screen(SwitchDialog(self, place.view))

    def switch(self, name: str, *, enabled: bool) -> None:
        """Send the switch, and tell here what became of it."""
        start(self.app, partial(self._deliver, EnableStrategy(self.app.next_command_id(), name, enabled)))

    async def _deliver(self, command: EnableStrategy) -> None:
        from tui.app import refusal_words

        what = f"{plain(command.strategy)} {'runs' if command.enabled else 'is stopped'}"
        receipt = await self.app.deliver(command, what)
        if receipt is None:
            self.note("no answer; look at the list", "crit")
        elif receipt.accepted:
            self.note(f"✓ {plain(receipt.text) or what}", "good")
        else:
            self.note(f"refused: {refusal_words(receipt)}", "crit")


class SwitchDialog(ConfirmDialog):
    """Says what a switch does before it is done."""

    def __init__(self, screen: StrategiesScreen, view: StrategyView) -> None:
        self._screen, self._view = screen, view
        act = "Stop" if view.enabled else "Run"
        super().__init__(f"{act} {view.name}", _switch_lines(view), safe="Leave as is", act=act)

    def confirmed(self) -> None:
        self._screen.switch(self._view.name, enabled=not self._view.enabled)


def places_of(snapshot: Snapshot) -> dict[str, Place]:
    """Every strategy on each of its instruments, by a key that stays; a strategy without any is one line."""
    regimes = {regime.instrument_id: regime for regime in snapshot.regimes}
    budgets = {(risk.portfolio, budget.strategy): budget for risk in snapshot.risks for budget in risk.budgets}
    found: dict[str, Place] = {}
    for view in snapshot.strategies:
        budget = budgets.get((view.portfolio, view.name))
        for line in view.lines or (None,):
            instrument_id = line.instrument_id if line is not None else ""
            found[f"{view.name}|{instrument_id}"] = Place(view, line, regimes.get(instrument_id), budget)
    return found


def _cells(place: Place) -> tuple[Cell, ...]:
    view, line, regime, budget = place
    tone = "" if view.enabled else "muted"
    runs = Cell("✗ off", "crit") if view.problem else Cell("● yes", "good") if view.enabled else Cell("○ no", "muted")
    head = (Cell(plain(view.name), tone), runs)
    used = Cell(percent(budget.used_percent), tone, budget.used_percent) if budget is not None else Cell(MISSING, "muted")
    tail = (used, Cell(f"{regime.trend}, {regime.volatility}" if regime else MISSING, tone), Cell(plain(view.portfolio), "muted"),
            Cell(plain(view.rule), "muted"), Cell(_bar_words(view), "muted", view.bar_seconds))
    if line is None:
        symbols = Cell(plain(", ".join(view.symbols)), tone)
        return (*head, symbols, Cell(MISSING), Cell(MISSING), Cell(""), Cell(MISSING), *tail, Cell(""))
    held = number(line.quantity) if line.quantity else MISSING
    return (*head, Cell(plain(line.symbol), tone), Cell(held, tone if line.quantity else "muted", float(line.quantity)),
            Cell(number(line.entry), tone, float(line.entry or 0)), Cell(line.waiting, "warn"),
            _last_want(line), *tail, Cell(f"{line.bars:,}", "muted", line.bars))


def _bar_words(view: StrategyView) -> str:
    """How long the bars are that its rule sees."""
    return span_text(view.bar_seconds) if view.bar_seconds else "feed"


def _last_want(line: StrategyLine) -> Cell:
    """When it wanted something, marked where nothing came of it."""
    if not line.want_at_ns:
        return Cell("never", "muted", 0)
    mark, tone = ("✗", "warn") if line.refusal else ("✓", "good")
    return Cell(f"{mark} {moment(line.want_at_ns)[5:16]}", tone, line.want_at_ns)


def _lines(place: Place, decimals: int, width: int) -> list[Line]:
    """The rule and its parameters, the last want and what kept it, budget and regime; long words go on in the next line."""
    view, line, regime, budget = place
    params = ", ".join(f"{name} {value:g}" for name, value in view.params.items())
    seen = line.bars if line is not None else 0
    warm = f"; {plural(view.warmup_bars - seen, 'bar')} to go" if seen < view.warmup_bars else ""
    bars = f"bars of {_bar_words(view)}" if view.bar_seconds else "the feed's bars"
    told = [("rule", f"{view.rule} of {view.portfolio} on {bars}; {params or 'no parameters'}", ""),
            ("warm-up", f"{plural(view.warmup_bars, 'bar')}, {seen:,} seen{warm}", "warn" if warm else "")]
    if view.problem:
        told.insert(0, ("off", view.problem, "crit"))
    if line is not None:
        held = f"{number(line.quantity)} at {number(line.entry)}" if line.quantity else "nothing"
        told.append(("holds", held + (f", a {line.waiting} on its way" if line.waiting else ""), ""))
        told.append(("wanted", f"{moment(line.want_at_ns)} UTC: {line.want}" if line.want_at_ns else "nothing yet", ""))
        if line.refusal:
            told.append(("refused", line.refusal, "warn"))
    told += [("budget", _budget_words(budget, decimals), ""), ("regime", _regime_words(regime), "")]
    if view.note:
        told.append(("note", view.note, "warn"))
    return [part for head, text, tone in told for part in _wrapped(HEADS[head], plain(text), tone, width)]


def _wrapped(head: str, text: str, tone: str, width: int) -> list[Line]:
    parts = wrap(text, max(20, width)) or [""]
    return [[(head if at == 0 else " " * len(head), "muted"), (part, tone)] for at, part in enumerate(parts)]


def _budget_words(budget: BudgetView | None, decimals: int) -> str:
    if budget is None:
        return "nothing at work"
    base = "equity" if budget.capital is None else f"its {money(budget.capital, decimals)}"
    limit = f" of {percent(budget.heat_limit_percent)}" if budget.heat_limit_percent else ""
    used = f"{money(budget.work, decimals)} at work, {percent(budget.used_percent)} of {base}"
    return f"{used}; heat {percent(budget.heat_percent)}{limit}"


def _regime_words(regime: RegimeView | None) -> str:
    if regime is None:
        return "not known yet: it takes a day's beginning and enough bars"
    return (f"{regime.trend}, {regime.volatility}; efficiency {regime.efficiency:+.2f}, volatility {regime.volatility_ratio:.2f} "
            f"times the usual, entries at {percent(regime.size_percent, 0)} of their size")


def _switch_lines(view: StrategyView) -> list[Line]:
    where = plain(f"  {view.rule} on {', '.join(view.symbols)}, portfolio {view.portfolio}")
    named: Line = [(plain(view.name), "strong"), (where, "")]
    if view.enabled:
        return [named, [], [("It wants nothing any more, its exits included.", "warn")],
                [("What it holds stays, with its stop, target and longest hold.", "")]]
    return [named, [], [("It acts on the next closed bar, through the checks and the level of automation.", "warn")],
            [("What it wanted while it was stopped is not made up for.", "")]]
