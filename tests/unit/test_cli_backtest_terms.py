"""What a backtest on the command line says of terms that it does not hold, and its splits and dividends."""

import json
from pathlib import Path

import pytest

from tests.unit.test_cli_backtest import HEAD, file_of, rows
from tui.command_line import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_sizes_in_regimes_and_capital_are_told_and_a_heat_budget_is_held(
        home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = '[[strategies]]\nname = "trend"\nrule = "ema_cross"\nsymbols = ["BTC-USD"]\n'
    file = str(file_of(tmp_path, rows(300)))
    (home / "config.toml").write_text(strategy)
    run(["backtest", file, "-s", "trend", "--record", "--json"])
    free = json.loads(capsys.readouterr().out.partition("\n}")[0] + "\n}")
    budget = "capital_fraction = 0.5\nheat_budget_fraction = 0.0001\n"
    (home / "config.toml").write_text(strategy + budget + "[regimes]\nsize_in_wild = 0.5\n")
    run(["backtest", file, "-s", "trend", "--record", "--json"])
    told = capsys.readouterr()
    held = json.loads(told.out.partition("\n}")[0] + "\n}")
    assert "usual size in every regime: size_in_wild" in told.err
    assert "capital_fraction = 0.5 of trend is not held here" in told.err
    assert held["cuts"].get("heat", 0) + held["refused"].get("heat", 0) > 0
    assert free["cuts"].get("heat", 0) + free["refused"].get("heat", 0) == 0


@pytest.mark.usefixtures("home")
def test_dividends_are_paid_and_adjusted_closes_are_pointed_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = file_of(tmp_path, [line.strip() + ",1\n" for line in rows(200)], HEAD.strip() + ",adj_close\n")
    buys = ["backtest", str(file), "-s", "rebalance", "--set", "lookback_bars=3", "--limit", "max_heat_fraction=0.5", "--json"]
    assert run(buys) == 0
    assert "--actions adj_close takes splits" in capsys.readouterr().err
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,date,kind,value\nBTC/USD,2020-09-13T22:00:00Z,dividend,1\nACME,2020-09-13,split,2:1\n")
    assert run([*buys, "--actions", str(actions)]) == 0
    told = capsys.readouterr()
    assert "no bars of ACME" in told.err
    result = json.loads(told.out)
    assert float(result["dividends"]) > 0, (result["refused"], result["fills"])
    assert run([*buys, "--actions", str(tmp_path / "none.csv")]) == 1
    assert "none.csv: cannot be read" in capsys.readouterr().err
