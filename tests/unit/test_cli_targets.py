"""Rebalancing on the command line, by short engines of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tui.cli import run

CONFIG = """
[market]
always_open = true
[[portfolio]]
[portfolio.limits]
max_heat_fraction = 0.2
max_position_fraction = 0.6
max_order_notional_fraction = 0.6
max_risk_per_order_fraction = 0.0
[portfolio.targets]
method = "user"
weights = {"BTC/USD" = 50, "ETH/USD" = 30}
stop_percent = 15
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(CONFIG, encoding="utf-8")
    return path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = run([*arguments, "--json"])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


def test_targets_are_shown_reached_and_then_left_alone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, view = answer(capsys, "rebalance", "--what-if")
    assert status == 0 and view["due"]
    assert [(line["symbol"], line["target_percent"], float(line["change"]) > 0) for line in view["lines"]] == [
        ("BTC/USD", 50.0, True), ("ETH/USD", 30.0, True)]
    assert answer(capsys, "positions")[1] == []
    status, done = answer(capsys, "rebalance")
    assert status == 0, done
    assert done["targets"]["run_text"] == "bought BTC/USD, ETH/USD"
    _, positions = answer(capsys, "positions")
    assert [(one["symbol"], one["strategy"], one["stop"] is not None) for one in positions] == [
        ("BTC/USD", "rebalance", True), ("ETH/USD", "rebalance", True)]
    status, again = answer(capsys, "rebalance")
    assert status == 0 and "within its bands" in again["receipt"]["text"]
    run(["rebalance", "--what-if"])
    assert "nothing to do; bands are 5 points or 25% of the target" in capsys.readouterr().out


def test_a_portfolio_without_targets_and_an_unknown_one_say_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "config.toml").write_text("", encoding="utf-8")
    assert run(["rebalance", "--what-if"]) == 2
    assert "main has no targets" in capsys.readouterr().err
    assert run(["rebalance"]) == 1
    assert "main has no targets" in capsys.readouterr().err
    assert run(["rebalance", "--portfolio", "other"]) == 1
    assert "no portfolio called 'other'" in capsys.readouterr().err
