"""Candidates by the command line: evidence recorded by backtest and parity, promotions by a person, and the way back."""

import io
import json
import random
import sys
from pathlib import Path

import pytest

from tui.cli import run

CONFIG = """
[market]
always_open = true

[lifecycle]
backtest_min_days = 1
backtest_min_round_trips = 5
backtest_max_drawdown_fraction = 0.9
min_return_fraction = -1

[[strategies]]
name = "trend"
rule = "ema_cross"
symbols = ["BTC/USD"]
bar = "5m"
params = {fast_bars = 5, slow_bars = 15, warmup_bars = 20}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(CONFIG, encoding="utf-8")
    rng, price = random.Random(3), 100.0
    with (path / "BTC-USD.csv").open("w", encoding="utf-8") as file:
        file.write("timestamp,open,high,low,close,volume\n")
        for at in range(600):
            opened, price = price, max(20.0, price * (1 + rng.gauss(0, 0.006)))
            row = f"{opened:.2f},{max(opened, price) + 0.1:.2f},{min(opened, price) - 0.1:.2f},{price:.2f}"
            file.write(f"{(1_700_000_100 + 300 * at) * 1_000},{row},1000\n")
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    found = run(list(arguments))
    captured = capsys.readouterr()
    assert found == status, captured.err
    return captured.err if status else captured.out


@pytest.mark.slow
def test_from_the_first_backtest_to_paper_and_back(home: Path, capsys: pytest.CaptureFixture[str],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    tape = str(home / "BTC-USD.csv")
    refused = told(capsys, "candidates", "promote", "trend", "--yes", status=1)
    assert "trend may not go to backtest yet: backtest: none recorded" in refused
    tested = json.loads(told(capsys, "backtest", tape, "--strategy", "trend", "--record", "--json"))
    assert tested["params"]["fast_bars"] == 5 and tested["round_trips"] > 5
    assert json.loads(told(capsys, "parity", tape, "--strategy", "trend", "--record", "--json"))["same"]
    view = json.loads(told(capsys, "candidates", "show", "trend", "--json"))
    assert (view["stage"], view["next_stage"], [gate["met"] for gate in view["gates"]]) == ("research", "backtest", [True])
    assert view["evidence"][0]["source"] == "BTC/USD 2023-11-14 to 2023-11-17, fee 10 bps, spread 2 bps, slippage 0 bps"
    assert view["evidence"][0]["text"].startswith(f"2.1 days, {tested['round_trips']} round trips")
    assert "there is no terminal to ask on" in told(capsys, "candidates", "promote", "trend", status=2)
    assert told(capsys, "candidates", "promote", "trend", "--yes", "--reason", "a fair file") == "trend is in backtest\n"
    answered(monkeypatch, "tend\n")
    assert "nothing was promoted" in told(capsys, "candidates", "promote", "trend", status=1)
    answered(monkeypatch, "trend\n")
    shown = told(capsys, "candidates", "promote", "trend")
    assert "the same as the engine" in shown and "trend is in paper" in shown
    assert "paper days, paper round trips" in told(capsys, "candidates", "list")
    back = told(capsys, "candidates", "demote", "trend", "--to", "research", "--reason", "thought again")
    assert back == "trend is back in research; what it holds stays protected\n"
    assert "thought again" in told(capsys, "candidates", "show", "trend")


def test_a_backtest_of_another_instrument_or_without_fees_is_told_as_what_is_missing(
        home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = str(home / "BTC-USD.csv")
    told(capsys, "backtest", tape, "--strategy", "trend", "--record")
    told(capsys, "candidates", "promote", "trend", "--yes")
    told(capsys, "backtest", tape, "--symbol", "AAA", "--fee-bps", "0", "--strategy", "trend", "--record")
    gates = json.loads(told(capsys, "candidates", "show", "trend", "--json"))["gates"]
    unmet = {gate["name"]: (gate["found"], gate["needed"]) for gate in gates if not gate["met"]}
    assert unmet["backtest symbols"] == ("none of BTC/USD", "all that it trades")
    (home / "config.toml").write_text(CONFIG.replace('bar = "5m"\n', ""), encoding="utf-8")
    told(capsys, "backtest", tape, "--strategy", "trend", "--record")
    told(capsys, "candidates", "promote", "trend", "--yes")
    gates = json.loads(told(capsys, "candidates", "show", "trend", "--json"))["gates"]
    assert [gate["found"] for gate in gates if gate["name"] == "backtest bars"] == ["of 300 s"], "live it would see minutes"
    assert unmet["backtest fee"] == ("0 bps", "at least 10 bps")


def answered(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Somebody sits at the terminal and types this."""
    typed = io.StringIO(text)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)


def test_evidence_is_about_a_configured_strategy_in_its_own_form(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = str(home / "BTC-USD.csv")
    assert "ema_cross is no strategy of config.toml" in told(capsys, "backtest", tape, "--record", status=2)
    other = told(capsys, "backtest", tape, "--strategy", "trend", "--set", "fast_bars=6", "--record", status=1)
    assert "not recorded: refused by digest" in other and "another rule or other parameters" in other


@pytest.mark.slow
def test_other_parameters_in_the_configuration_are_in_research_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told(capsys, "backtest", str(home / "BTC-USD.csv"), "--strategy", "trend", "--record")
    told(capsys, "candidates", "promote", "trend", "--yes")
    (home / "config.toml").write_text(CONFIG.replace("fast_bars = 5", "fast_bars = 4"), encoding="utf-8")
    assert "trend may not go to backtest yet" in told(capsys, "candidates", "promote", "trend", "--yes", status=1)
    view, = json.loads(told(capsys, "candidates", "list", "--json"))
    assert (view["stage"], view["evidence"][0]["current"]) == ("research", False)


OWN = """
from typing import NamedTuple

class Params(NamedTuple):
    bars: int = 3

def warmup(params):
    return params.bars

def on_bar(context):
    if context.held.lots:
        return context.leave()
    if context.close() > context.highest(context.params.bars, back=1):
        return context.buy(risk_bps=50, stop_ticks=context.lowest(2))
"""


def test_a_rule_of_ones_own_keeps_its_stage_whatever_a_command_does_beside(home: Path,
                                                                           capsys: pytest.CaptureFixture[str]) -> None:
    """An engine of one command runs no strategies, but knows the form that each has."""
    (home / "strategies").mkdir()
    (home / "strategies" / "mine.py").write_text(OWN, encoding="utf-8")
    (home / "config.toml").write_text(CONFIG.replace("ema_cross", "mine").replace(
        "fast_bars = 5, slow_bars = 15, warmup_bars = 20", "bars = 4"), encoding="utf-8")
    told(capsys, "backtest", str(home / "BTC-USD.csv"), "--strategy", "trend", "--record")
    told(capsys, "candidates", "promote", "trend", "--yes")
    assert "may not go to paper yet" in told(capsys, "candidates", "promote", "trend", "--yes", status=1)
    view, = json.loads(told(capsys, "candidates", "list", "--json"))
    assert (view["stage"], view["evidence"][0]["current"]) == ("backtest", True)
    (home / "strategies" / "mine.py").write_text("nonsense(", encoding="utf-8")
    assert "halted" in told(capsys, "halt").lower()


def test_what_is_not_known_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nothing" not in told(capsys, "candidates", "list", "--json")
    assert "no such strategy" in told(capsys, "candidates", "show", "x", status=2)
    assert "must be one of research, backtest" in told(capsys, "candidates", "demote", "trend", "--to", "x", status=2)
    assert "not further back" in told(capsys, "candidates", "demote", "trend", status=1)
    (home / "config.toml").write_text(CONFIG + "\n[lifecycle.more]\n", encoding="utf-8")
    assert "lifecycle.more: unknown key" in told(capsys, "config", "check", status=2)
    loose = CONFIG.replace("[lifecycle]", "[lifecycle]\npaper_max_drawdown_fraction = 0.5")
    (home / "config.toml").write_text(loose, encoding="utf-8")
    capsys.readouterr()
    run(["config", "check"])
    warned = "".join(capsys.readouterr())
    assert "lifecycle.paper_max_drawdown_fraction (0.5) is above lifecycle.demote_drawdown_fraction" in warned
