"""`quarterdeck report`: on the terminal, as JSON, in files; a page that loads nothing and believes no word from outside."""

import asyncio
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet
import pytest
from msgspec.structs import replace

from engine.analytics.drawings import area_chart, histogram, ticks, told
from engine.analytics.page import number, page
from engine.inputs import EngineStopping
from engine.state import State
from store.home import open_home
from store.journal import SqliteJournal
from store.views import StateViews
from tests.tui.performance_views import performance_view
from tests.unit.engine_desk import Desk, rows_of, the_stop
from tui.cli import run

VOID = {"meta", "line", "polygon", "polyline", "br"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which one round trip won 30.00, in an account of 100,000.00."""
    desk = Desk()
    desk.beat()
    desk.enter("a", 10, "95", at_ticks=10_010)
    desk.later(90_000)
    desk.quote(10_500)
    desk.beat()
    desk.fill(the_stop(desk), 10, 10_310)
    desk.later(90_000)
    desk.quote(10_000)
    desk.take(EngineStopping())
    made = open_home(tmp_path / "home")
    journal = SqliteJournal(made.journal, projector=StateViews(State()), inline=True)
    journal.append(rows_of(desk))
    asyncio.run(journal.wait_durable())
    journal.close()
    return made.path


def told_by(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert run(["report", *arguments, "--home", str(home)]) == status
    seen = capsys.readouterr()
    return seen.err if status else seen.out


def test_the_terminal_shows_figures_periods_causes_and_round_trips(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told_by(capsys, home)
    for words in ("Equity 100,030.00", "Profit 30.00", "Profit factor – no round trip lost", "2024-06 100,030.00 +30.00",
                  "BY DECISION", "BY EXIT REASON", "COIN LONG 10", "100.1 103.1 +30.00"):
        assert words in " ".join(shown.split()), shown


def test_json_is_the_whole_report(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(told_by(capsys, home, "--json", "--portfolio", "main", "--period", "day"))
    figures = {figure["key"]: figure for figure in told["figures"]}
    assert figures["profit"]["value"] == 30.0
    assert (figures["sqn"]["value"], figures["sqn"]["why"]) == (None, "needs two round trips that began with a stop")
    assert [row["period"] for row in told["periods"]] == ["2024-06-01", "2024-06-02", "2024-06-03"]
    assert told["trips"][0]["net"] == "30.00"


def test_tables_go_into_files(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, columns = tmp_path / "t.csv", tmp_path / "t.parquet"
    assert told_by(capsys, home, "--csv", str(target), "--parquet", str(columns)) == ""
    (row,) = csv.DictReader(target.read_text("utf-8").splitlines())
    assert (row["symbol"], row["profit"], row["decision"]) == ("COIN", "30.0", "manual")
    table = pyarrow.parquet.read_table(columns)
    assert table.column("profit").to_pylist() == [30.0]
    for name, count in (("fills", 2), ("equity", 3), ("periods", 1)):
        told_by(capsys, home, "--parquet", str(columns), "--table", name)
        assert pyarrow.parquet.read_table(columns).num_rows == count, name
    assert sorted(one.name for one in tmp_path.iterdir()) == ["home", "t.csv", "t.parquet"], "nothing half is left"


@pytest.mark.parametrize("nameless", ["", "/"])
def test_a_folder_is_no_file_to_write(home: Path, capsys: pytest.CaptureFixture[str], nameless: str) -> None:
    for kind in ("--csv", "--parquet", "--html"):
        assert run(["--home", str(home), "report", kind, nameless]) == 1
        assert "is a folder; name a file in it" in capsys.readouterr().err, kind


def test_columns_are_of_one_kind_in_every_file(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("round_trips", "fills", "equity", "periods"):
        schemas = []
        for span in ((), ("--from", "2030-01-01")):
            told_by(capsys, home, "--parquet", str(tmp_path / "one.parquet"), "--table", name, *span)
            schemas.append(pyarrow.parquet.read_schema(tmp_path / "one.parquet"))
        assert schemas[0] == schemas[1], f"{name}: also where a span holds no row, or no value"
        assert "null" not in {str(one) for one in schemas[0].types}


@pytest.mark.parametrize(("arguments", "words"), [
    (("--period", "year"), "--period year: must be one of day, week, month"),
    (("--table", "orders"), "--table orders: must be one of round_trips, fills, equity, periods"),
    (("--from", "soon"), "--from soon: must be a date"),
    (("--from", "2024-06-05", "--to", "2024-06-01"), "the span ends before it begins"),
    (("--portfolio", "mine"), "no such portfolio; known are main"),
])
def test_what_is_meant_wrongly_is_told_in_a_line(home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...],
                                                words: str) -> None:
    line = told_by(capsys, home, *arguments, status=2)
    assert words in line
    assert line.count("\n") == 1


def test_futures_are_drawn_from_what_the_home_did_where_no_file_is_named(
        home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["montecarlo", "--method", "trades", "--paths", "100", "--home", str(home)]) == 2
    assert "too few to draw from" in capsys.readouterr().err, "one round trip was found"


def test_a_file_that_cannot_be_written_is_told_in_a_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = told_by(capsys, home, "--html", "/nowhere/at/all.html", status=1)
    assert "/nowhere/at/all.html: cannot be written" in line


def test_a_home_without_a_record_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_home(tmp_path / "fresh")
    assert "nothing is recorded in this home yet" in told_by(capsys, tmp_path / "fresh", status=2)


def test_a_span_of_dates_counts_whole_days(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = json.loads(told_by(capsys, home, "--json", "--to", "2024-06-01"))
    assert (first["days"], first["trip_count"]) == (1, 0)
    later = json.loads(told_by(capsys, home, "--json", "--from", "2024-06-02", "--to", "2024-06-30", "--period", "day"))
    assert later["trip_count"] == 1
    assert later["periods"][0]["period"] == "2024-06-02"


# ---- the page ------------------------------------------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Tags that open and close, and everything that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loads += [name for name, _ in attrs if name in ("src", "href", "srcset", "data") or name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)


def test_the_page_is_whole_and_loads_nothing(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "report.html"
    told_by(capsys, home, "--html", str(target))
    for text in (target.read_text("utf-8"), page(performance_view())):
        outline = Outline()
        outline.feed(text)
        assert outline.open == []
        assert outline.loads == []
        assert "script" not in outline.tags
        assert "http" not in re.sub(r"http-equiv", "", text)
        assert "nan" not in re.findall(r">\s*(-?nan|-?inf)", text.lower())
    assert "<svg" in text
    assert "By decision" in text


def test_words_from_outside_stay_words() -> None:
    view = performance_view()
    evil = "<script>alert(1)</script>"
    trips = tuple(replace(trip, exit_reason=evil, strategy=evil, symbol=evil) for trip in view.trips[:2])
    text = page(replace(view, name=evil, trips=trips))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_zero_has_no_sign_on_the_page() -> None:
    assert [number(value) for value in (-0.001, 0.0, -0.005001, -1_000.0, None)] == ["0.00", "0.00", "−0.01", "−1,000.00", "–"]


def test_an_axis_has_round_numbers_around_what_it_shows() -> None:
    assert ticks(98.3, 107.9) == [98, 100, 102, 104, 106, 108]
    assert ticks(-0.07, 0.0) == [-0.08, -0.06, -0.04, -0.02, 0]
    for low, high in ((0.0, 0.0), (5.0, 5.0), (-3.0, 1e9), (1e-7, 2e-7)):
        found = ticks(low, high)
        assert found[0] <= low
        assert found[-1] >= high
        assert len(found) < 20
    assert [told(value) for value in (0, 0.1, -2.5, 1e6)] == ["0", "0.1", "−2.5", "1,000,000"]


def test_a_chart_of_too_little_says_so() -> None:
    assert "not enough points" in area_chart("Equity", [1], [2.0])
    assert "not enough different values" in histogram("R", [1.0, 1.0])
    assert histogram("R", [-1.0, 1.0, 1.5]).count("<rect") >= 3
