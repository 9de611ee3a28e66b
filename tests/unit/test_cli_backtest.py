"""The backtest and parity on the command line: what they print, and one line for every file that cannot be used."""

import json
import random
from pathlib import Path

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
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


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
    assert {one.name for one in out.iterdir()} == {"report.html", "round_trips.csv", "fills.csv", "equity.csv", "result.json"}
    assert run(["parity", str(path), "--strategy", "own", "--slippage-bps", "3"]) == 0
    assert capsys.readouterr().out.startswith("the same: ")


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:10], lines[11], lines[10], *lines[12:]]


def with_row(lines: list[str], row: str) -> list[str]:
    at = lines[10].partition(",")[0]
    return [*lines[:10], f"{at},{row}\n", *lines[11:]]


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
    "negative volume": (with_row(GOOD, "100,101,99,100,-5"), HEAD, "line 12, column volume"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines, head, why = BAD[name]
    path = file_of(tmp_path, lines, head)
    if name == "one bar":
        path = path.rename(tmp_path / "BTC-USD.csv")
    assert run(["backtest", str(path)]) in (1, 2)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert why in told
    assert str(path) in told


@pytest.mark.parametrize(("words", "why"), [
    (["--set", "fast_bars"], "must be NAME=NUMBER"), (["--set", "fast=3"], "no such parameter"),
    (["--strategy", "nope"], "no built-in strategy"), (["--tolerance", "brave"], "must be one of"),
    (["--limit", "max_heat=1"], "must be NAME=VALUE"), (["--limit", "max_value_at_risk_fraction=0.1"], "cannot hold"),
    (["--cash", "-5"], "must be a number above zero"), (["--strategy", "pairs"], "basket"),
])
def test_what_cannot_be_meant_is_refused_in_one_line(words: list[str], why: str, tmp_path: Path,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", str(file_of(tmp_path, GOOD)), *words]) == 2
    assert why in capsys.readouterr().err
