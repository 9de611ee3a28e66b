"""Tables written to files: CSV for a person's spreadsheet, Parquet for a notebook. Written beside and renamed, never half."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

from engine.analytics.tables import Table
from engine.errors import StoreError

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole; raises `StoreError`."""
    _written(path, lambda part: part.write_text(text, "utf-8"))


def write_csv(path: Path, table: Table) -> None:
    """Write a table with a header line; words that a spreadsheet would take for a formula get an apostrophe before them."""

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows([_harmless(value) for value in row] for row in table.rows)

    _written(path, write)


def write_parquet(path: Path, table: Table) -> None:
    """Write a table as Parquet, its types taken from its values."""
    import pyarrow
    import pyarrow.parquet

    columns = {name: [row[place] for row in table.rows] for place, name in enumerate(table.columns)}
    _written(path, lambda part: pyarrow.parquet.write_table(pyarrow.table(columns), part))


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _written(path: Path, write: Callable[[Path], object]) -> None:
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}; check the folder") from error
