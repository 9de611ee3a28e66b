"""Tables written to files: CSV for a person's spreadsheet, JSON lines for scripts, Parquet for a notebook. Written beside and
renamed, never half."""

import csv
import json
import os
from collections.abc import Callable, Mapping
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
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            writer = csv.writer(file)
            writer.writerow(table.columns)
            writer.writerows([_harmless(value) for value in row] for row in table.rows)

    _written(path, write)


def write_parquet(path: Path, table: Table) -> None:
    """Write a table as Parquet, its types those that it names, or taken from its values."""
    import pyarrow
    import pyarrow.parquet

    types = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    columns = {name: pyarrow.array([row[place] for row in table.rows], types[table.kinds[place]] if table.kinds else None)
               for place, name in enumerate(table.columns)}
    _written(path, lambda part: pyarrow.parquet.write_table(pyarrow.table(columns), part))


def write_jsonl(path: Path, table: Table) -> None:
    """Write a table as one JSON object a line."""
    lines = (json.dumps(dict(zip(table.columns, row, strict=True)), ensure_ascii=False) for row in table.rows)
    _written(path, lambda part: part.write_text("".join(f"{line}\n" for line in lines), "utf-8", errors="surrogateescape"))


def read_records(path: Path) -> list[Mapping[str, str]]:
    """The rows of a CSV, JSON lines or Parquet file that was written here, by column, as text; raises `StoreError`."""
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet

            found = pyarrow.parquet.read_table(path).to_pylist()
        elif path.suffix == ".jsonl":
            found = [json.loads(line) for line in path.read_text("utf-8", errors="surrogateescape").splitlines()]
        else:
            csv.field_size_limit(1 << 30)
            with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
                found = list(csv.DictReader(file))
        return [{str(name): str(value) for name, value in row.items()} for row in found]
    except (OSError, ValueError, AttributeError, csv.Error) as error:
        raise StoreError(f"{path}: cannot be read: {error}; is it a file of `quarterdeck audit export`?") from error


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _written(path: Path, write: Callable[[Path], object]) -> None:
    if path.is_dir():
        raise StoreError(f"{path}: is a folder; name a file in it")
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        write(part)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}; check the folder") from error
