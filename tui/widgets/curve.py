"""Equity over time as a line of dots, and below it how far it fell, hanging from its high; readable without colour."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from math import ceil, log10
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from engine.service import CurveView
from engine.units import NS_PER_SECOND
from tui.formats import percent, plain_float
from tui.widgets.candles import Scale, braille_rows
from tui.widgets.columns import shortened

if TYPE_CHECKING:
    from tui.theming import Tones

AXIS = 14
LEAST_ROWS = 5
LABEL_EVERY = 3
DATE_EVERY = 20
DAY_SECONDS = 86_400


class Resampled(NamedTuple):
    """A curve in equal steps of time: the last equity of each, the deepest fall in each."""

    equity: list[float]
    fall_percent: list[float]


class CurveChart(Widget):
    """Two thirds equity, one third drawdown, one line of dates."""

    def __init__(self, *, id: str | None = None, zone: tzinfo = UTC) -> None:
        super().__init__(id=id)
        self.zone = zone
        self._curve: CurveView | None = None

    def show(self, curve: CurveView) -> None:
        """Draw this curve."""
        self._curve = curve
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        lines = self._lines()
        if y >= len(lines):
            return Strip.blank(width, base)
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        return Strip([Segment(text, base + tones[tone]) for text, tone in lines[y]]).adjust_cell_length(width, base)

    def _lines(self) -> list[list[tuple[str, str]]]:
        width, rows, known = self.size.width - AXIS, self.size.height - 1, self._curve
        if width < 2 or rows < LEAST_ROWS or known is None:
            return []
        if len(known.at_ns) < 2 or known.at_ns[-1] <= known.at_ns[0]:
            return [[("", "")], [("  not enough of a history for a chart yet", "muted")]]
        below = max(2, rows // 3)
        curve = resampled(known, 2 * width)
        falls = resampled(known, width)
        return [*self._equity(curve.equity, width, rows - below), *_fall_rows(falls.fall_percent, below),
                [(self._dates(known, width), "muted")]]

    def _equity(self, values: Sequence[float], width: int, rows: int) -> list[list[tuple[str, str]]]:
        low, high = min(values), max(values)
        margin = (high - low) * 0.02 or abs(high) * 1e-4 or 1.0
        scale = Scale(low - margin, high + margin, rows)
        lines, decimals = [], label_decimals(low, high)
        for row, text in enumerate(braille_rows(values, scale, width)):
            label = values[-1] if scale.row(values[-1]) == row else scale.price(row) if row % LABEL_EVERY == 0 else None
            mark = "▸" if scale.row(values[-1]) == row else " "
            tone = "strong" if mark == "▸" else "muted"
            told = "" if label is None else mark + plain_float(label, decimals)
            lines.append([(text, "gain"), (told.rjust(AXIS)[:AXIS], tone)])
        return lines

    def _dates(self, known: CurveView, width: int) -> str:
        first, last = known.at_ns[0], known.at_ns[-1]
        pattern = "%Y-%m-%d" if (last - first) / NS_PER_SECOND > 10 * DAY_SECONDS else "%d %b %H:%M"
        text = [" "] * width
        for column in range(0, width - 12, DATE_EVERY):
            at_ns = first + (last - first) * column // width
            label = datetime.fromtimestamp(at_ns // NS_PER_SECOND, self.zone).strftime(pattern)
            text[column:column + len(label)] = label
        return shortened("".join(text), width)


def label_decimals(low: float, high: float) -> int:
    """Decimals that tell the labels of an axis apart, also where an account is small or hardly moved; none in the millions."""
    span = high - low
    if span > 0 and span < 1:
        return min(8, 2 + ceil(-log10(span)))
    return 2 if max(abs(low), abs(high)) < 1e6 else 0


def resampled(curve: CurveView, steps: int) -> Resampled:
    """The curve in that many equal steps of time, from its first to its last point."""
    first, span = curve.at_ns[0], curve.at_ns[-1] - curve.at_ns[0]
    equity: list[float] = []
    falls: list[float] = []
    point = 0
    for step in range(steps):
        until = first + span * (step + 1) // steps
        deepest = curve.drawdown_percent[point]
        while point + 1 < len(curve.at_ns) and curve.at_ns[point + 1] <= until:
            point += 1
            deepest = max(deepest, curve.drawdown_percent[point])
        equity.append(curve.equity[point])
        falls.append(deepest)
    return Resampled(equity, falls)


def _fall_rows(falls: Sequence[float], rows: int) -> list[list[tuple[str, str]]]:
    """Bars that hang from the top, by half rows; the deepest fills them."""
    deepest = max(falls)
    halves = [round(fall / deepest * 2 * rows) if deepest > 0 else 0 for fall in falls]
    halves = [max(1, half) if fall > 0 else 0 for half, fall in zip(halves, falls, strict=True)]
    lines = []
    for row in range(rows):
        text = "".join("█" if half >= 2 * row + 2 else "▀" if half == 2 * row + 1 else " " for half in halves)
        label = "0.00%" if row == 0 else percent(-deepest) if row == rows - 1 else ""
        lines.append([(text, "loss"), (label.rjust(AXIS), "muted")])
    return lines
