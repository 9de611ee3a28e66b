"""A report as lines: figures in columns, months by years, and what the results came from."""

from collections.abc import Sequence

from engine.service import FigureView, GroupingView, PerformanceView, PeriodView
from tui.formats import MISSING, measure, money, percent, plain, plain_float
from tui.widgets.columns import shortened

type Line = list[tuple[str, str]]

SUMMARY = ("profit", "return", "max_drawdown", "sharpe", "sortino", "calmar", "round_trips", "win_rate", "profit_factor",
           "expectancy", "sqn", "slippage_bps")
LABEL, VALUE, GAP = 15, 13, 4
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH = 5
NAME, WIDE_NAME = 26, 40


def summary_lines(view: PerformanceView, width: int) -> list[Line]:
    """The figures that a person asks for first."""
    return figure_lines(view, width, SUMMARY)


def figure_lines(view: PerformanceView, width: int, keys: Sequence[str] = ()) -> list[Line]:
    """Figures in as many columns as there is room for, read downwards; one that is not defined says why as far as that fits."""
    shown = [figure for figure in view.figures if not keys or figure.key in keys]
    columns = max(1, (width + GAP) // (LABEL + VALUE + GAP + 1))
    rows = -(-len(shown) // columns)
    room = (width + GAP) // columns - GAP
    lines: list[Line] = []
    for row in range(rows):
        line: Line = []
        for place in range(row, len(shown), rows):
            line += [*_figure(shown[place], view.money_decimals, room), (" " * GAP, "")]
        lines.append(line[:-1])
    return lines


def _figure(figure: FigureView, decimals: int, room: int) -> Line:
    label = (f"{figure.label:{LABEL}.{LABEL}}", "muted")
    if figure.value is None:
        return [label, (f" {MISSING} ", ""), (shortened(figure.why, room - LABEL - 3), "muted")]
    return [label, (measure(figure.value, figure.unit, decimals).rjust(VALUE).ljust(room - LABEL), "")]


def month_lines(months: Sequence[PeriodView]) -> list[Line]:
    """A line a year, a cell a month, in percent; signs tell gain from loss without colour."""
    if not months:
        return []
    known = {row.period: row.return_percent for row in months}
    head = "".join(name.rjust(MONTH) for name in MONTHS)
    lines: list[Line] = [[("Months, return in percent", "head")], [("    " + head + "   Year", "muted")]]
    for year in sorted({row.period[:4] for row in months}, reverse=True):
        grown, line = 1.0, [(year, "muted")]
        for month in range(1, 13):
            value = known.get(f"{year}-{month:02}")
            grown *= 1 + (value or 0.0) / 100
            line.append((_month_cell(value).rjust(MONTH), _tone(value)))
        total = 100 * (grown - 1)
        lines.append([*line, (_month_cell(total).rjust(MONTH + 2), _tone(total))])
    return lines


def _month_cell(value: float | None) -> str:
    """Four cells: a decimal where there is room for it."""
    if value is None:
        return "·"
    return plain_float(value, 1 if abs(value) < 9.95 else 0, signed=True)


def _tone(value: float | None) -> str:
    return "muted" if not value else "gain" if value > 0 else "loss"


def grouping_lines(groupings: Sequence[GroupingView], decimals: int, width: int) -> list[Line]:
    """What the results came from: a table for each way to tell them apart."""
    lines: list[Line] = []
    wide = width >= 100
    name = WIDE_NAME if wide else NAME
    for grouping in groupings:
        head = f"{'trips':>7}{'won':>8}{'result':>14}{'factor':>9}"
        head += f"{'mean':>12}{'fees':>12}{'slippage':>12}" if wide else ""
        lines.append([(f"by {grouping.by}".ljust(name), "head"), (head, "muted")])
        for row in grouping.groups:
            cells = f"{row.round_trips:>7,}{percent(row.win_percent, 1):>8}"
            more = (f"{money(row.mean, decimals):>12}{money(row.fees, decimals):>12}{money(row.slippage, decimals):>12}"
                    if wide else "")
            lines.append([(shortened(plain(row.name), name), ""), (cells, ""),
                          (f"{money(row.net, decimals, signed=True):>14}", _tone(float(row.net))),
                          (f"{plain_float(row.profit_factor, 2):>9}", ""), (more, "")])
        lines.append([])
    return lines[:-1]
