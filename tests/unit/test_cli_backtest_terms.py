"""What a backtest on the command line says of terms that it does not hold, and its splits and dividends."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_cli_backtest import HEAD, START, file_of, rows
from tui.command_line import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def told_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.partition("\n}")[0] + "\n}")
    return found


def bound(result: dict[str, Any], check: str) -> int:
    return int(result["cuts"].get(check, 0) + result["refused"].get(check, 0))


@pytest.mark.slow
def test_capital_heat_budget_and_regimes_of_the_configuration_are_held(
        home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strategy = '[[strategies]]\nname = "trend"\nrule = "ema_cross"\nsymbols = ["BTC-USD"]\n'
    file = str(file_of(tmp_path, rows(300)))
    (home / "config.toml").write_text(strategy)
    run(["backtest", file, "-s", "trend", "--record", "--json"])
    free = told_json(capsys)
    budget = "capital_fraction = 0.01\nheat_budget_fraction = 0.00001\n"
    regimes = "[regimes]\ntrend_bars = 5\nvolatility_bars = 3\nusual_bars = 10\nsize_in_range = 0.5\nsize_in_trend = 0.4\n"
    (home / "config.toml").write_text(strategy + budget + regimes)
    run(["backtest", file, "-s", "trend", "--record", "--json"])
    held = told_json(capsys)
    run(["parity", file, "-s", "trend", "--record", "--json"])
    assert told_json(capsys)["same"]
    for check in ("strategy heat", "regime"):
        assert bound(held, check) > 0 == bound(free, check), (check, held["cuts"], held["refused"])


@pytest.mark.usefixtures("home")
def test_a_budget_is_given_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(file_of(tmp_path, rows(300)))
    asked = ["-s", "ema_cross", "--set", "warmup_bars=60", "--set", "risk_bps=1000", "--json"]
    for command in ("backtest", "parity"):
        assert run([command, file, *asked, "--budget", "capital_fixed=500", "--budget", "heat_budget_fraction=0.5"]) == 0
        told = told_json(capsys)
        assert bound(told, "strategy capital") > 0 if command == "backtest" else told["same"]
    for wrong, words in (("capital=1", "with one of capital_fraction"), ("capital_fraction=11", "at most 10"),
                         ("heat_budget_fraction=-1", "must be a number above zero")):
        assert run(["backtest", file, *asked, "--budget", wrong]) == 2
        assert words in capsys.readouterr().err
    assert run(["backtest", file, *asked, "--budget", "capital_fraction=0.5", "--budget", "capital_fixed=5"]) == 2
    assert "compounds or is fixed" in capsys.readouterr().err


COUNTED = ("seconds", "kept_in", "honesty", "trials", "luck_sharpe", "deflated")


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_searches_know_dividends_borrowing_and_budgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dividend of half the price, and a small capital, show in every outcome."""
    pytest.importorskip("optuna")
    six_hours = [f"{START + 21_600 * place},{line.partition(',')[2]}" for place, line in enumerate(rows(200))]
    file = tmp_path / "BTC-USD_6h.csv"
    file.write_text(HEAD + "".join(six_hours))
    actions = tmp_path / "actions.csv"
    actions.write_text("symbol,date,kind,value\nBTC/USD,2020-10-01,dividend,50\n")
    for command in (["sweep", "--vary", "lookback_bars=3,4", "--jobs", "1"],
                    ["optimize", "--vary", "lookback_bars=3:9", "--trials", "3", "--jobs", "1"],
                    ["walk-forward", "--vary", "lookback_bars=3,4", "--windows", "2", "--objective", "return", "--jobs", "1"],
                    ["montecarlo", "--paths", "100", "--method", "blocks"], ["stress"]):
        asked = [*command, str(file), "-s", "rebalance", "--limit", "max_heat_fraction=0.5", "--json"]
        told = []
        for more in ([], ["--actions", str(actions), "--borrow-percent", "1"], ["--budget", "capital_fraction=0.001"]):
            assert run([*asked, *more]) == 0, capsys.readouterr().err
            told.append(scored(json.loads(capsys.readouterr().out)))
        assert told[0] != told[1] != told[2] != told[0], command[0]


def scored(told: Any) -> Any:
    """What was found, without what differs from run to run and what the number of trials alone changes."""
    if isinstance(told, dict):
        return {name: scored(value) for name, value in told.items() if name not in COUNTED}
    return [scored(one) for one in told] if isinstance(told, list) else told


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
    actions.write_text("symbol,date,kind,value\nBTC/USD,2020-09-13T22:00:00Z,split,2:1\n")
    assert run([*buys, "--actions", str(actions)]) == 0
    noted = capsys.readouterr().err
    assert "BTC/USD: its bars show no split of 2:1 on 2020-09-13 22:00:00 UTC; are they adjusted already?" in noted
    assert run([*buys, "--actions", str(tmp_path / "none.csv")]) == 2
    assert "none.csv: no such file" in capsys.readouterr().err
