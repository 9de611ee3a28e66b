"""The backtest and parity on the command line: what they print, and one line for every file that cannot be used."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet
import pytest

from tui.command_line import run

HEAD = "timestamp,open,high,low,close,volume\n"
START = 1_600_000_000


def rows(count: int, seed: int = 3) -> list[str]:
    rng, price, lines = random.Random(seed), 100.0, []
    for place in range(count):
        opened, price = price, round(price * (1 + rng.gauss(0, 0.01)), 2)
        high, low = max(opened, price) + 0.2, min(opened, price) - 0.2
        lines.append(f"{START + 300 * place},{opened:.2f},{high:.2f},{low:.2f},{price:.2f},1000\n")
    return lines


def file_of(folder: Path, lines: list[str], head: str = HEAD) -> Path:
    path = folder / "BTC-USD_5m.csv"
    path.write_text(head + "".join(lines))
    return path


@pytest.fixture(autouse=True)
def _homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))


OWN = '''"""Buys when flat and leaves after five bars."""
from typing import NamedTuple


class Params(NamedTuple):
    risk_bps: int = 50


def warmup(params):
    return 2


def on_bar(context):
    if context.held.lots:
        return context.leave() if context.held.since_bars >= 5 else None
    if context.held.waiting:
        return None
    return context.buy(risk_bps=context.params.risk_bps, trail_ticks=300)
'''


def own_strategy(folder: Path) -> None:
    """A rule of the home's own: it runs interpreted, so that these tests wait for no compiler."""
    (folder / "home" / "strategies").mkdir(parents=True)
    (folder / "home" / "strategies" / "own.py").write_text(OWN)


def test_a_strategy_of_ones_own_is_run_reported_and_remembered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_strategy(tmp_path)
    path, out = file_of(tmp_path, rows(200)), tmp_path / "out"
    assert run(["backtest", str(path), "--strategy", "own", "--json", "--out", str(out)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["bars"] == 200
    assert told["round_trips"] > 10
    assert json.loads((tmp_path / "home" / "strategies" / "tried.json").read_text())
    tables = {f"{name}.{form}" for name in ("round_trips", "fills", "equity", "periods") for form in ("csv", "parquet")}
    assert {one.name for one in out.iterdir()} == {"report.html", "result.json", *tables}
    assert pyarrow.parquet.read_table(out / "round_trips.parquet").num_rows == told["round_trips"]
    assert run(["parity", str(path), "--strategy", "own", "--slippage-bps", "3"]) == 0
    assert capsys.readouterr().out.startswith("the same: ")


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:10], lines[11], lines[10], *lines[12:]]


def with_row(lines: list[str], row: str) -> list[str]:
    at = lines[10].partition(",")[0]
    return [*lines[:10], f"{at},{row}\n", *lines[11:]]


def in_words(line: str, zone: str) -> str:
    """A row with its time written out."""
    seconds, _, rest = line.partition(",")
    return f"{datetime.fromtimestamp(int(seconds), UTC).strftime('%Y-%m-%dT%H:%M:%S')}{zone},{rest}"


GOOD = rows(60)
BAD = {
    "empty": ([], "", "empty"),
    "no rows": ([], HEAD, "no usable row"),
    "one bar": (GOOD[:1], HEAD, "length of its bars cannot be told"),
    "wrong columns": (["1,2,3\n"], "alpha,beta,gamma\n", "column"),
    "duplicate": ([*GOOD[:11], GOOD[10], *GOOD[11:]], HEAD, "line 13, column time: the same time"),
    "unsorted": (swapped(GOOD), HEAD, "line 13, column time: time goes backwards"),
    "not a number": (with_row(GOOD, "nan,101,99,100,5"), HEAD, "line 12, column open"),
    "negative price": (with_row(GOOD, "-5,101,-9,100,5"), HEAD, "line 12, column open: must be above zero"),
    "high below low": (with_row(GOOD, "100,90,99,95,5"), HEAD, "line 12, column high"),
    "infinite": (with_row(GOOD, "100,inf,99,100,5"), HEAD, "line 12, column high: 'inf' is not a finite number"),
    "word": (with_row(GOOD, "100,101,99,\x1b[31mred,5"), HEAD, r"line 12, column close: '\x1b[31mred' is not a number"),
    "cut row": (with_row(GOOD, "100"), HEAD, "line 12, column high: the row has only 2 columns"),
    "no volume told": (with_row(GOOD, "100,101,99,100,"), HEAD, "line 12, column volume: empty"),
    "mixed time zones": ([in_words(line, "Z" if place < 30 else "") for place, line in enumerate(GOOD)], HEAD,
                         "line 32, column time: '2020-09-13T14:56:40' is without a time zone, the first names one"),
    "zones that go back": ([in_words(line, "Z" if place % 2 else "+02:00") for place, line in enumerate(GOOD)], HEAD,
                           "line 4, column time: time goes backwards"),
    "between two bars": ([*GOOD[:10], GOOD[10].replace(str(START + 3_000), str(START + 3_007)), *GOOD[11:]], HEAD,
                         "bars of 300 s overlap, some begin only 293 s apart; repair the file"),
    "too few bars": (GOOD, HEAD, "60 bars, but ema_cross wants nothing before it has seen 100; name a longer file"),
    "negative volume": (with_row(GOOD, "100,101,99,100,-5"), HEAD, "line 12, column volume"),
}


@pytest.mark.parametrize("command", ["backtest", "parity"])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(name: str, command: str, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    lines, head, why = BAD[name]
    path = file_of(tmp_path, lines, head)
    if name == "one bar":
        path = path.rename(tmp_path / "BTC-USD.csv")
    assert run([command, str(path)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert why in told
    assert str(path) in told


@pytest.mark.parametrize(("words", "why"), [
    (["--set", "fast_bars"], "must be NAME=NUMBER"), (["--set", "fast=3"], "no such parameter"),
    (["--strategy", "nope"], "no built-in strategy"), (["--tolerance", "brave"], "must be one of"),
    (["--limit", "max_heat=1"], "must be NAME=VALUE"), (["--limit", "max_value_at_risk_fraction=0.1"], "cannot hold"),
    (["--cash", "-5"], "must be a number above zero"), (["--cash", "1e18"], "more than an account can count"),
    (["--on-bad", "ignore"], "must be refuse or skip"), (["--set", "fast_bars=nan"], "must be a number"),
    (["--set", "fast_bars=0"], "must lie in 1 to 1000"), (["--strategy", "pairs"], "basket"),
    (["--cash", "0.001"], "less than the smallest unit"), (["--cash", "1,5"], "write a decimal point"),
    (["--fee-bps", "nan"], "must be a number of 0 to 5,000"), (["--fee-bps", "100000"], "must be a number of 0 to 5,000"),
    (["--fee-bps", "2,5"], "write a decimal point"), (["--volume-percent", "nan"], "must be a number"),
])
def test_what_cannot_be_meant_is_refused_in_one_line(words: list[str], why: str, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("backtest", "parity"):
        assert run([command, str(file_of(tmp_path, rows(200))), *words]) == 2
        assert why in capsys.readouterr().err


@pytest.mark.parametrize(("change", "why"), [
    (("def on_bar(context):", "def on_bar(context)"), "own.py:13: expected ':'"),
    (("def on_bar", "def on_day"), "own.py:1: on_bar is missing"),
    (("    if context.held.waiting:", "    if 1 / 0:"), "own.py:16: ZeroDivisionError"),
    (("from typing", "import sys; sys.exit(3)\nfrom typing"), "own.py:2: SystemExit: 3"),
    (("    if context.held.waiting:", "    if sys.exit(3):"), "own.py:16: NameError"),
    (("return context.buy(risk_bps=context.params.risk_bps, trail_ticks=300)", "return 7"), "not int"),
    (("risk_bps: int = 50", 'risk_bps: str = "x"'), "Params.risk_bps needs a number as its default"),
])
def test_an_error_in_ones_own_file_is_told_with_its_line(change: tuple[str, str], why: str, tmp_path: Path,
                                                         capsys: pytest.CaptureFixture[str]) -> None:
    own_strategy(tmp_path)
    file = tmp_path / "home" / "strategies" / "own.py"
    file.write_text(OWN.replace(*change))
    for command in ("backtest", "parity"):
        assert run([command, str(file_of(tmp_path, GOOD)), "--strategy", "own"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert why in told
        assert str(file) in told


def test_files_of_a_basket_that_do_not_meet_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, late = file_of(tmp_path, rows(200)), tmp_path / "ETH-USD_5m.csv"
    late.write_text(HEAD + "".join(f"{int(line.partition(',')[0]) + 60},{line.partition(',')[2]}" for line in rows(200)))
    assert run(["backtest", str(file), str(late), "-s", "pairs"]) == 1
    told = capsys.readouterr().err
    assert "0 moments at which a bar of every file closes, but pairs wants nothing before it has seen 100 of them" in told


def test_fills_larger_than_their_bars_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_strategy(tmp_path)
    thin = [line.replace(",1000\n", ",1\n") if place % 2 else line for place, line in enumerate(rows(60))]
    assert run(["backtest", str(file_of(tmp_path, thin)), "--strategy", "own", "--json"]) == 0
    told = capsys.readouterr()
    assert f" of {json.loads(told.out)['fills']} fills are larger than 100% of their bar's volume" in told.err
    assert run(["backtest", str(file_of(tmp_path, rows(60))), "--strategy", "own"]) == 0
    assert "fills are larger" not in capsys.readouterr().err


def test_what_the_bars_leave_open_is_told_beside_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_strategy(tmp_path)
    lines = with_row(rows(60), "x,1,1,1,1")
    lines = [*lines[:30], *(line.replace(",1000\n", ",0\n") for line in lines[40:])]
    words = [str(file_of(tmp_path, lines)), "--strategy", "own", "--on-bad", "skip", "--volume-percent", "5"]
    for command in ("backtest", "parity"):
        assert run([command, *words]) == 0
        told = capsys.readouterr().err
        assert "2 gaps, the longest 55m 00s from 2020-09-1" in told
        assert "1 bad row left out, the first: line 12, column open" in told
        assert "20 of 49 bars have no volume" in told
