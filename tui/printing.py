"""What the command line prints: aligned tables, JSON, one-line errors. Plain when piped, NO_COLOR honoured.

On a terminal a table gets bold heads and rules from rich; piped, it is bare aligned columns with ASCII minus signs, so
that scripts and screen readers get facts and nothing else.
"""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tui.formats import MINUS, plain


class Column(NamedTuple):
    """A head and whether the cells below it are numbers, which go to the right."""

    head: str
    right: bool = False


def words(*heads: str) -> tuple[Column, ...]:
    """Left-aligned columns."""
    return tuple(Column(head) for head in heads)


def numbers(*heads: str) -> tuple[Column, ...]:
    """Right-aligned columns."""
    return tuple(Column(head, right=True) for head in heads)


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """A table on standard output, or the line `empty` where there are no rows. Cells are plain text, never markup."""
    if not rows:
        print(empty)
        return
    clean = [[plain(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _print_rich(columns, clean)
    else:
        for line in plain_lines(columns, clean):
            print(line)


def plain_lines(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as bare lines: two spaces between columns, no box, ASCII minus."""
    heads = [column.head.upper() for column in columns]
    cells = [[cell.replace(MINUS, "-") for cell in row] for row in rows]
    widths = [max(len(heads[at]), *(len(row[at]) for row in cells)) for at in range(len(columns))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(cell.rjust(width) if column.right else cell.ljust(width)
                         for column, cell, width in zip(columns, row, widths, strict=True)).rstrip()

    return [line(heads), *(line(row) for row in cells)]


def _print_rich(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(column.head), justify="right" if column.right else "left", no_wrap=column.right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(table)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Names and values, one pair a line, values aligned."""
    width = max((len(name) for name, _ in facts), default=0)
    for name, value in facts:
        shown = plain(value)
        print(f"{name.ljust(width)}  {shown if sys.stdout.isatty() else shown.replace(MINUS, '-')}")


def print_json(value: object) -> None:
    """A value as indented JSON; numbers that must stay exact are strings."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_json_line(value: object) -> None:
    """A value as one line of JSON."""
    print(msgspec.json.encode(value).decode())


def print_error(message: str) -> None:
    """One line on standard error."""
    print(f"quarterdeck: {plain(message)}", file=sys.stderr)


def print_note(message: str) -> None:
    """A remark on standard error that is not part of the answer."""
    print(f"note: {plain(message)}", file=sys.stderr)
