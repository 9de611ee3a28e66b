"""The correlation of returns as a table of lines: signed numbers with a mark for their strength, so that no colour is needed."""

from collections.abc import Sequence

from engine.service import CorrelationView, RiskView
from tui.formats import MINUS, plain
from tui.widgets.columns import shortened
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]

LABEL = 10
CELL = 7
STRONG, MIDDLING, WEAK = 0.7, 0.4, 0.2


def correlation_lines(view: RiskView, width: int) -> list[Line]:
    """The lower half of the matrix, in as many tables beside each other's columns as the width asks for."""
    found = view.correlations
    if found is None or len(found.symbols) + len(found.unknown) < 2:
        return []
    lines: list[Line] = [[("Correlation of returns", "head")]]
    if found.symbols:
        told = f"{view.correlation_returns} returns in common, shrunk toward 0 by {view.correlation_shrinkage:.2f}"
        lines.append([(f"{told}; the most at risk first", "muted")])
        fits = max(1, (width - LABEL) // CELL)
        for first in range(0, len(found.symbols), fits):
            lines += _table(found, first, min(len(found.symbols), first + fits))
        lines.append([("■ 0.70 and more   ▪ 0.40 and more   · less than 0.20", "muted")])
    if found.unknown:
        text = f"too few bars in common: {', '.join(found.unknown)}; taken as moving with everything"
        lines += [[(part, "warn")] for part in wrapped(text, width)]
    return lines


def _table(found: CorrelationView, first: int, end: int) -> list[Line]:
    """The columns from `first` to `end`, with the rows that have something below the diagonal there."""
    names = short_names(found.symbols)
    head = "".join(f"{shortened(name, CELL - 1).strip():>{CELL - 1}} " for name in names[first:end])
    lines: list[Line] = [[(" " * LABEL, ""), (head.rstrip(), "muted")]]
    for row in range(first, len(found.symbols)):
        cells = [_cell(found.matrix[row][column], own=row == column) for column in range(first, min(end, row + 1))]
        lines.append([(f"{shortened(names[row], LABEL - 1):{LABEL}}", ""), *cells])
    return lines


def _cell(value: float, *, own: bool) -> tuple[str, str]:
    if own:
        return f"{'1':>{CELL - 1}} ", "muted"
    value = round(value, 2)
    size = abs(value)
    mark = "■" if size >= STRONG else "▪" if size >= MIDDLING else "·" if size < WEAK else " "
    sign = MINUS if value < 0 else "+"
    tone = "warn" if value >= STRONG else "good" if value <= -WEAK else "muted" if size < WEAK else ""
    return f"{sign + f'{size:.2f}':>{CELL - 1}}{mark}", tone


def short_names(symbols: Sequence[str]) -> list[str]:
    """Symbols without the currency that they are quoted in, wherever that leaves them apart."""
    bases = [plain(symbol).partition("/")[0] for symbol in symbols]
    return [base if bases.count(base) == 1 else plain(symbol) for base, symbol in zip(bases, symbols, strict=True)]
