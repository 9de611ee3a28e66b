"""Files that look like a tape and are none: one line each, with the file, the line where there is one, and what to do."""

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from brokers.market.formats import open_source
from brokers.market.recorded import inspect, open_tape
from engine.errors import TapeError
from engine.inputs import Bar

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = [f"{1_600_000_000 + 300 * place},100.0,101.0,99.0,100.5,{10 + place}.5" for place in range(20)]
TEXT = HEADER + "\n".join(ROWS) + "\n"
COMMAS = "save the file with commas between columns and points in numbers"


def replaced(line: int, row: str) -> str:
    return "\n".join([HEADER.strip(), *ROWS[:line - 2], row, *ROWS[line - 1:]]) + "\n"


def told_of(folder: Path, name: str, content: bytes | str) -> str:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TapeError) as caught:
        open_tape(path)
    told = str(caught.value)
    assert str(path) in told
    assert "\n" not in told
    return told


@pytest.mark.parametrize(("name", "content", "why"), [
    ("A_5m.csv", gzip.compress(TEXT.encode()), "compressed by gzip; call it A_5m.csv.gz"),
    ("A_5m.csv.gz", TEXT.encode(), "not compressed by gzip; call it A_5m.csv"),
    ("A_5m.csv", b"PK\x03\x04" + bytes(40), "a zip archive; unpack it first"),
    ("A_5m.csv", b"BZh9" + bytes(40), "compressed by bzip2; unpack it first"),
    ("A_5m.csv", b"PAR1" + bytes(40), "a Parquet file; call it A_5m.parquet"),
    ("A_5m.csv", TEXT.encode("utf-16"), "text in UTF-16; save it in UTF-8"),
    ("A_5m.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
     "line 1 or after: not text in UTF-8; save it as CSV in UTF-8, or as Parquet"),
    ("A_5m.parquet", TEXT, "not a readable Parquet file"),
])
def test_what_is_no_table_says_what_it_is(tmp_path: Path, name: str, content: bytes | str, why: str) -> None:
    assert why in told_of(tmp_path, name, content)


@pytest.mark.parametrize(("text", "why"), [
    (TEXT.replace(",", ";"), f"line 1: columns are separated by ';'; {COMMAS}"),
    (TEXT.replace(",", "\t"), f"line 1: columns are separated by a tab; {COMMAS}"),
    (TEXT.replace(",", "|"), f"line 1: columns are separated by '|'; {COMMAS}"),
    (TEXT.replace(",", ";").replace(".", ","), f"line 1: columns are separated by ';'; {COMMAS}"),
    ("\n".join(ROWS).replace(",", ";").replace(".", ","), f"line 1: columns are separated by ';'; {COMMAS}"),
    ("# from somewhere\n" + TEXT, "line 1: a single column, '# from somewhere'; begin the file with the names of its columns"),
    ("<!DOCTYPE html><html></html>", "line 1: a single column, '<!DOCTYPE html><html></html>'; begin the file"),
    (TEXT.replace("volume", "close", 1), "line 1: two columns are called close; leave one of them"),
])
def test_what_is_wrong_with_the_columns_is_told(tmp_path: Path, text: str, why: str) -> None:
    assert why in told_of(tmp_path, "A_5m.csv", text)


@pytest.mark.parametrize(("row", "why"), [
    ("1600000600,1,234.5,101.0,99.0,100.5,3.5", "line 4, column 7: the first line has 6 columns, this one 7; repair the file"),
    ("03/04/2020 10:00,100,101,99,100,3", "line 4, column time: '03/04/2020 10:00' is not a time; write times as 2024-"),
    ("1600000000,100,101,99,100,3", "line 4, column time: time goes backwards; sort the rows, oldest first"),
    ("9024-01-01T00:00:00Z,100,101,99,100,3", "line 4, column time: '9024-01-01T00:00:00Z' is not between 1970 and 2115"),
    ("1903-01-01T00:00:00Z,100,101,99,100,3", "line 4, column time: '1903-01-01T00:00:00Z' is not between 1970 and 2115"),
    ("1600000600,100,101,99,100,1e300", "line 4, column volume: 1e+300 is more than can be counted; repair the file"),
    ("1600000600,1e300,1e300,1e300,1e300,1", "line 4, column open: 1e+300 is more than can be counted; repair the file"),
])
def test_a_row_that_cannot_be_meant_is_told_with_its_remedy(tmp_path: Path, row: str, why: str) -> None:
    assert why in told_of(tmp_path, "A_5m.csv", replaced(4, row))


def test_old_times_are_told_as_such(tmp_path: Path) -> None:
    rows = "".join(f"19{year}-01-02,100,101,99,100,3\n" for year in range(60, 80))
    assert "line 2, column time: '1960-01-02' is not between 1970 and 2115" in told_of(tmp_path, "A_1d.csv", HEADER + rows)
    assert inspect(tmp_path / "A_1d.csv").rows == 10


def test_empty_cells_beyond_the_columns_are_nothing(tmp_path: Path) -> None:
    path = tmp_path / "A_5m.csv"
    path.write_text(HEADER + "".join(f"{row},,\n" for row in ROWS))
    assert open_tape(path).report.rows == len(ROWS)


def test_prices_finer_than_a_tick_can_be_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"{1_600_000_000 + 300 * place},2e-9,3e-9,1e-9,2e-9,5\n" for place in range(20))
    told = told_of(tmp_path, "PEPE-BTC_5m.csv", HEADER + rows)
    assert "prices down to 1e-09 cannot be told in ticks of 1E-8; scale the prices up" in told


def test_volumes_that_need_a_coarser_lot_get_one(tmp_path: Path) -> None:
    path = tmp_path / "PEPE-USDT_5m.csv"
    rows = (f"{1_600_000_000 + 300 * place},1e-5,2e-5,1e-5,1e-5,{10 ** 15}.{place}7\n" for place in range(20))
    path.write_text(HEADER + "".join(rows))
    tape = open_tape(path)
    volumes = [item.volume_lots for item in tape.items() if isinstance(item, Bar)]
    assert all(0 < volume < 1 << 62 for volume in volumes)
    assert round(float(volumes[0] * tape.instrument.lot_size) / 1e15, 3) == 1


@pytest.mark.parametrize("name", ["x" * 4_000])
def test_a_name_that_no_file_has_is_told(name: str) -> None:
    with pytest.raises(TapeError, match="cannot be read"):
        open_source(Path(name))


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "A_5m.csv"
    path.write_text(TEXT)
    opened: Callable[..., object] = Path.open

    def refused(self: Path, *args: object, **kept: object) -> object:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **kept)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(TapeError, match=r"A_5m.csv: cannot be read \(Permission denied\); see who may read it"):
        open_tape(path)


def test_a_volume_below_one_lot_is_one_and_none_stays_none(tmp_path: Path) -> None:
    path = tmp_path / "ACME_5m.csv"  # a share trades in lots of 1
    path.write_text(HEADER + "1600000000,100,101,99,100,0.4\n1600000300,100,101,99,100,0\n1600000600,100,101,99,100,7.9\n")
    assert [item.volume_lots for item in open_tape(path).items() if isinstance(item, Bar)] == [1, 0, 7]


def test_parquet_of_half_precision_and_of_decimals_tells_the_prices_that_were_meant(tmp_path: Path) -> None:
    prices = [106.34, 106.8, 106.29, 106.75]
    for kind in (pyarrow.float32(), pyarrow.decimal128(18, 4), pyarrow.float64()):
        values = [Decimal(str(price)) if kind == pyarrow.decimal128(18, 4) else price for price in prices]
        columns = dict(zip(("open", "high", "low", "close"), ([value] * 5 for value in values), strict=True))
        table = {name: pyarrow.array(column, kind) for name, column in {**columns, "volume": [values[0]] * 5}.items()}
        path = tmp_path / "BTC-USD_5m.parquet"
        pyarrow.parquet.write_table(pyarrow.table({"timestamp": [1_600_000_000 + 300 * row for row in range(5)], **table}), path)
        tape = open_tape(path)
        assert (tape.instrument.tick_size, tape.instrument.lot_size) == (Decimal("0.01"), Decimal("0.01")), kind
        bar = next(item for item in tape.items() if isinstance(item, Bar))
        assert bar[3:] == (10_634, 10_680, 10_629, 10_675, 10_634)
