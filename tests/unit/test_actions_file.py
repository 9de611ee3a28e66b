"""Splits and dividends from a file, and from adjusted closes."""

import gzip
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from brokers.market.actions import Actions, actions_of_adjusted, has_adjusted, read_actions
from engine.backtest.actions import Dividend, Split
from engine.errors import TapeError

DAY_NS = 86_400_000_000_000


def test_a_table_of_actions(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("Symbol,date,kind,value\nACME,1970-01-03,split,3:2\n\nACME,1970-01-05,dividend,0.205\n")
    assert read_actions(path) == Actions(
        (Split("ACME", 2 * DAY_NS, Fraction(3, 2)),), (Dividend("ACME", 4 * DAY_NS, Fraction("0.205")),))


@pytest.mark.parametrize(("line", "words"), [
    ("ACME,1970-01-03,split,2:0", "line 3"), ("ACME,1970-01-03,merger,2", "merger 2"), ("ACME,soon,split,2:1", "line 3"),
    ("ACME,1970-01-03,dividend,-1", "cash above 0"), ("ACME,1970-01-03,dividend,1:2", "cash above 0"), ("ACME", "line 3")])
def test_a_bad_line_is_named(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"symbol,date,kind,value\nACME,1970-01-02,split,2:1\n{line}\n")
    with pytest.raises(TapeError, match=words):
        read_actions(path)


WRITE = "write SYMBOL,2020-08-31,split,4:1 or ...,dividend,0.205"


@pytest.mark.parametrize(("line", "words"), [
    ("ACME,1970-01-03,split,2:0", f"line 3: '2:0' is no ratio; {WRITE}"),
    ("ACME,1970-01-03,dividend,inf", f"line 3: 'inf' is no number; {WRITE}"),
    ("ACME,28/02/2005,dividend,1", f"line 3: '28/02/2005' is no date; {WRITE}"),
    ("ACME,9999-01-01,dividend,1", "line 3: '9999-01-01' is not between 1970 and 2115"),
    ("ACME,1970-01-03,dividend", f"line 3: 3 columns where the first line has 4; {WRITE}"),
    ("ACME,1970-01-03,dividend,1,5", f"line 3: 5 columns where the first line has 4; {WRITE}"),
    (",1970-01-03,dividend,1", f"line 3: no symbol; {WRITE}"),
    ("ACME,1970-01-02,split,2:1", "line 3: the split of ACME on 1970-01-02 stands in line 2 already; leave one of them")])
def test_a_bad_line_is_told_in_words(line: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text(f"symbol,date,kind,value\nACME,1970-01-02,split,2:1\n{line}\n")
    with pytest.raises(TapeError) as caught:
        read_actions(path)
    assert str(caught.value) == f"{path}: {words}"


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("ticker,when\n")
    with pytest.raises(TapeError, match="symbol, date, kind, value; found ticker, when"):
        read_actions(path)


def test_adjusted_closes_tell_splits_and_dividends(tmp_path: Path) -> None:
    path = tmp_path / "ACME_1d.csv.gz"
    # 2 for 1 on the third day, 0.50 on the fifth (50.00 -> factor 0.99), nothing on the others
    closes = [(100.0, 49.5), (102.0, 50.49), (50.5, 49.995), (50.0, 49.5), (49.0, 49.0), (49.5, 49.5)]
    rows = [f"1970-01-0{day}T00:00:00Z,{c},{c},{c},{c},100,{a}" for day, (c, a) in enumerate(closes, 1)]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(["timestamp,open,high,low,close,volume,adj_close", *rows]) + "\n")
    assert has_adjusted(path)
    assert actions_of_adjusted(path, "ACME") == Actions(
        (Split("ACME", 2 * DAY_NS, Fraction(2)),), (Dividend("ACME", 4 * DAY_NS, Fraction("0.5")),))


def test_adjusted_closes_of_a_parquet_file_tell_the_same(tmp_path: Path) -> None:
    text = tmp_path / "ACME_1d.csv"
    closes = [(100.0, 49.5), (102.0, 50.49), (50.5, 49.995), (50.0, 49.5), (49.0, 49.0), (49.5, 49.5)]
    days = [datetime(2020, 1, day, tzinfo=UTC) for day in range(1, 7)]
    rows = [f"{day:%Y-%m-%d},{c},{c},{c},{c},100,{a}" for day, (c, a) in zip(days, closes, strict=True)]
    text.write_text("\n".join(["timestamp,open,high,low,close,volume,adj_close", *rows]) + "\n")
    prices, adjusted = [c for c, _ in closes], [a for _, a in closes]
    for name, times in (("typed", pyarrow.array(days, pyarrow.timestamp("us", "UTC"))), ("dates", pyarrow.array([
            day.date() for day in days])), ("words", pyarrow.array([day.isoformat() for day in days]))):
        path = tmp_path / f"{name}.parquet"
        columns = {"timestamp": times, **dict.fromkeys(("open", "high", "low", "close"), prices), "volume": [100] * 6}
        pyarrow.parquet.write_table(pyarrow.table({**columns, "adj_close": adjusted}), path)
        assert has_adjusted(path)
        assert actions_of_adjusted(path, "ACME") == actions_of_adjusted(text, "ACME") != Actions(), name


def test_rounded_adjusted_closes_tell_no_dividends_that_there_were_not(tmp_path: Path) -> None:
    path = tmp_path / "ACME_1d.csv"
    rows = [f"1970-01-{day:02}T00:00:00Z,{c},{c},{c},{c},100,{c / 31:.2f}" for day, c in enumerate(range(100, 128), 1)]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume,adj_close", *rows]) + "\n")
    assert actions_of_adjusted(path, "ACME") == Actions()


def test_bars_without_adjusted_closes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ACME_1d.csv"
    path.write_text("timestamp,open,high,low,close,volume\n1970-01-01T00:00:00Z,1,1,1,1,1\n")
    assert not has_adjusted(path)
    with pytest.raises(TapeError, match="no column adj_close"):
        actions_of_adjusted(path, "ACME")
