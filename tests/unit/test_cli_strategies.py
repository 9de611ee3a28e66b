"""Strategies by the command line, on the program as it is: listed, shown, switched, asked of a replay."""

import json
import random
from pathlib import Path

import pytest

from tui.cli import run

CONFIG = """
[[portfolio]]
name = "main"
account = "paper"
automation = "auto_execute"

[[strategies]]
name = "trend"
rule = "ema_cross"
symbols = ["AAA"]
params = {fast_bars = 5, slow_bars = 15, warmup_bars = 20}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a replay of some hundred bars in it."""
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    rng, price = random.Random(3), 100.0
    with (tmp_path / "AAA.csv").open("w", encoding="utf-8") as file:
        file.write("timestamp,open,high,low,close,volume\n")
        for at in range(400):
            opened, price = price, max(20.0, price * (1 + rng.gauss(0, 0.006)))
            row = f"{opened:.2f},{max(opened, price) + 0.1:.2f},{min(opened, price) - 0.1:.2f},{price:.2f}"
            file.write(f"{(1_700_000_100 + 300 * at) * 1_000},{row},1000\n")
    assert run(["--home", str(tmp_path), "replay", "--headless", str(tmp_path / "AAA.csv")]) == 0
    return tmp_path


def on_longer_bars(home: Path, bar: str) -> Path:
    """Another home with the same tape and the strategy on longer bars."""
    other = home / "longer"
    other.mkdir(exist_ok=True)
    quick = CONFIG.replace("fast_bars = 5, slow_bars = 15, warmup_bars = 20", "fast_bars = 2, slow_bars = 5, warmup_bars = 6")
    (other / "config.toml").write_text(f'{quick}bar = "{bar}"\n', encoding="utf-8")
    return other


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    capsys.readouterr()
    assert run(list(arguments)) == status
    captured = capsys.readouterr()
    return captured.out if not status else captured.err


def test_a_replay_trades_and_tells(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    view, = json.loads(told(capsys, "--home", str(home), "strategies", "list", "--json"))
    assert (view["name"], view["rule"], view["enabled"], view["params"]["fast_bars"]) == ("trend", "ema_cross", True, 5)
    assert "EMA 5" in view["lines"][0]["want"]
    assert "trend     ema_cross  feed  main       yes   AAA" in told(capsys, "--home", str(home), "strategies", "list")
    shown = told(capsys, "--home", str(home), "strategies", "show", "trend")
    assert "warm-up         20 bars" in shown
    assert "last want" in shown
    fills = json.loads(told(capsys, "--home", str(home), "fills", "--json"))
    assert len(fills) > 4
    regimes = json.loads(told(capsys, "--home", str(home), "regimes", "--json"))
    assert regimes[0]["trend"] in ("trend up", "trend down", "range")
    assert "AAA" in told(capsys, "--home", str(home), "regimes")
    days = json.loads(told(capsys, "--home", str(home), "regimes", "--days", "2", "--json"))
    assert days[0] == regimes[0], "the newest first"
    assert [one["day"] for one in days] == [days[0]["day"], days[0]["day"] - 1][:len(days)]
    assert len(told(capsys, "--home", str(home), "regimes", "--days", "1").splitlines()) == 2


def test_rules_of_ones_own_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "strategies" / "mine.py"
    own.parent.mkdir()
    own.write_text('"""Buys what rises."""\nfrom typing import NamedTuple\nclass Params(NamedTuple):\n    bars: int = 3\n'
                   "def warmup(params):\n    return params.bars\ndef on_bar(context):\n    pass\n", encoding="utf-8")
    (own.parent / "broken.py").write_text("def", encoding="utf-8")
    (own.parent / "grid.py").write_text("", encoding="utf-8")
    listed = told(capsys, "--home", str(tmp_path), "strategies", "rules")
    assert "Buys what rises" in listed
    assert f"{own.parent}/broken.py:1: invalid syntax" in listed
    assert f"{own.parent}/grid.py: grid is a built-in rule; give the file another name" in listed
    rules = {one["rule"]: one for one in json.loads(told(capsys, "--home", str(tmp_path), "strategies", "rules", "--json"))
             if "error" not in one}
    assert rules["mine"]["params"] == {"bars": {"default": 3}}
    assert "3 bars with these parameters" in told(capsys, "--home", str(tmp_path), "strategies", "show", "mine")


def test_rules_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = json.loads(told(capsys, "--home", str(tmp_path), "strategies", "rules", "--json"))
    assert {one["rule"] for one in rules} >= {"dca", "grid", "pairs", "rebalance", "ensemble"}
    assert "2 together" in told(capsys, "--home", str(tmp_path), "strategies", "rules")
    assert "Faith, Way of the Turtle" in told(capsys, "--home", str(tmp_path), "strategies", "show", "breakout")
    shown = json.loads(told(capsys, "--home", str(tmp_path), "strategies", "show", "grid", "--json"))
    assert shown["params"]["levels"] == {"default": 5, "least": 1, "largest": 50}


def test_what_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no strategies" in told(capsys, "--home", str(tmp_path), "strategies", "list")
    shown = told(capsys, "--home", str(tmp_path), "strategies", "show", "nope", status=2)
    assert "no such strategy; there is: ema_cross" in shown


def test_a_strategy_that_cannot_run_keeps_no_command_from_working(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.toml").write_text(CONFIG.replace("ema_cross", "mine").replace("AAA", "BTC/USD"), encoding="utf-8")
    home = ("--home", str(tmp_path))
    assert "sent" in told(capsys, *home, "buy", "BTC/USD", "0.01", "--stop", "1000")
    (shown,) = json.loads(told(capsys, *home, "strategies", "list", "--json"))
    assert (shown["enabled"], shown["params"]) == (False, {"fast_bars": 5, "slow_bars": 15, "warmup_bars": 20})
    assert f"there is no {tmp_path}/strategies/mine.py" in shown["problem"]
    assert " off " in told(capsys, *home, "strategies", "list")
    assert told(capsys, *home, "config", "check", status=2).count("\n") == 1


def test_a_strategy_on_longer_bars_trades_what_the_backtest_says(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The bars of five minutes of the tape are joined by the engine; fills fall on them, not on the quarters of an hour."""
    other, tape = on_longer_bars(home, "15m"), str(home / "AAA.csv")
    assert told(capsys, "--home", str(other), "config", "check")
    assert run(["--home", str(other), "replay", "--headless", tape]) == 0
    assert "trend     ema_cross  15m  main       yes   AAA" in told(capsys, "--home", str(other), "strategies", "list")
    assert "of 15m, joined from the feed's" in told(capsys, "--home", str(other), "strategies", "show", "trend")
    view, = json.loads(told(capsys, "--home", str(other), "strategies", "list", "--json"))
    assert view["bar_seconds"] == 900
    fills = json.loads(told(capsys, "--home", str(other), "fills", "--json"))
    asked = [tape, "-s", "ema_cross", "--set", "fast_bars=2", "--set", "slow_bars=5", "--set", "warmup_bars=6", "--bar", "15m"]
    tested = json.loads(told(capsys, "--home", str(other), "backtest", *asked, "--json"))
    assert tested["fills"] == len(fills) > 2
    assert told(capsys, "--home", str(other), "parity", *asked).startswith(f"the same: {len(fills)} fills")


@pytest.mark.parametrize(("bar", "words"), [
    ("7m", "strategies[0].bar = '7m': must be a length that divides a day"), ("soon", "must be a length that divides a day"),
    ("90s", 'strategy "trend": bar = "90s": it is no multiple of 1m, the bars of the venues; set bar to one, or leave it out')])
def test_a_length_that_cannot_be_is_refused(home: Path, capsys: pytest.CaptureFixture[str], bar: str, words: str) -> None:
    assert words in told(capsys, "--home", str(on_longer_bars(home, bar)), "config", "check", status=2)


def test_a_length_that_the_tape_does_not_make_up_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = str(on_longer_bars(home, "2m"))
    assert 'bar = "2m": it is no multiple of 5m' in told(
        capsys, "--home", other, "replay", "--headless", str(home / "AAA.csv"), status=2)
