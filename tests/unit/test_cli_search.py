"""Searches by command: answers, bad input in one line, progress, what is kept when a search is killed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.search_results import FOLDER
from tests.parity.tapes import bars
from tests.unit.search_desk import RULE
from tui.cli import run

GRID = ["--strategy", "mine", "--vary", "bars=2:6"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "home"
    (path / "strategies").mkdir(parents=True)
    (path / "strategies" / "mine.py").write_text(RULE, encoding="utf-8")
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    return path


def tape(folder: Path, name: str, seed: int, count: int) -> str:
    path = folder / f"{name}_1h.csv"
    columns = bars(seed, count, minutes=60)
    with path.open("w", encoding="utf-8") as file:
        file.write("time,open,high,low,close,volume\n")
        for row in zip(*columns, strict=True):
            opens_ns, _, *prices, _ = (int(one) for one in row)
            file.write(f"{opens_ns // 1_000_000_000},{','.join(f'{one / 100:.2f}' for one in prices)},1000\n")
    return str(path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    return tape(tmp_path, "COIN-USD", 7, 1_200)


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(("arguments", "words"), [
    (["sweep", "FILE"], "name what to vary"),
    (["sweep", "FILE", "--vary", "zap=1:2"], "parameter of ema_cross"),
    (["sweep", "FILE", "--vary", "fast_bars=5:9", "--objective", "luck"], "--objective luck: must be one of"),
    (["sweep", "FILE", "--vary", "fast_bars=5:9", "--cluster", "nowhere"], "such as tcp://10.0.0.5:8786"),
    (["sweep", "FILE", "--vary", "fast_bars=5:9", "--cluster", "ucx://127.0.0.1:8786"], "such as tcp://10.0.0.5:8786"),
    (["sweep", "FILE", "--vary", "fast_bars=5:9", "--cluster", "tls://127.0.0.1:8786"], "has no certificate to connect with"),
    (["sweep", "FILE", "--vary", "fast_bars=5:9", "--set", "slow_bars=3"], "must be below slow_bars"),
    (["sweep", "--vary", "fast_bars=5:9"], "Missing argument 'FILE...'"),
    (["optimize", "FILE", "--vary", "fast_bars=5:9", "--trials", "0"], "'--trials'"),
    (["walk-forward", "FILE", "--vary", "fast_bars=5:9", "--scheme", "backwards"], "anchored, rolling, purged"),
    (["walk-forward", "FILE", "--vary", "fast_bars=5:9", "--windows", "100"], "too few for 100 windows"),
    (["montecarlo"], "nothing is recorded in this home yet"),
    (["montecarlo", "FILE", "--method", "dice"], "--method dice: must be trades, blocks or both"),
    (["stress", "FILE", "--scenario", "flood"], "must be one of crash-2008, crash-2020, volatility-x3, correlation-one"),
])
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], words: str, home: Path, file: str,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    assert run([file if one == "FILE" else one for one in arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("note: ")]
    assert len(errors) == 1
    assert words in errors[0]
    assert not (home / FOLDER).exists()


def test_a_sweep_tells_its_best_and_its_trials(home: Path, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", file, *GRID, "--jobs", "1", "--json", "--top", "3", "--csv", str(tmp_path / "all.csv")]) == 0
    captured = capsys.readouterr()
    view = json.loads(captured.out)
    lines = [json.loads(line) for line in captured.err.splitlines() if line.startswith("{")]
    assert lines[-1] == {"done": 5, "total": 5}
    assert view["honesty"]["trials"] == view["asked"] == 5
    scores = [one["score"] for one in view["best"]]
    assert scores == sorted(scores, reverse=True)
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["bars"] for row in rows} == {"2", "3", "4", "5", "6"}
    assert run(["sweep", file, *GRID[:2], "--vary", "bars=5:9", "--jobs", "1", "--json"]) == 0
    assert told(capsys)["honesty"]["trials"] == 8, "what was tried before counts too"  # type: ignore[index]
    assert run(["sweep", file, *GRID, "--jobs", "1"]) == 0
    assert "8 ever on these bars" in capsys.readouterr().out


def test_trials_of_every_search_of_the_same_bars_count(home: Path, file: str, tmp_path: Path,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    asked = [file, *GRID, "--jobs", "1", "--json"]
    assert run(["walk-forward", *asked, "--windows", "3", "--objective", "return"]) == 0
    assert told(capsys)["trials"] == 5
    assert run(["sweep", *asked[:3], "--vary", "bars=2", *asked[5:]]) == 0
    assert told(capsys)["honesty"]["trials"] == 5, "a walk forward tried them, over parts of the bars"  # type: ignore[index]
    assert run(["sweep", *asked, "--slippage-bps", "3"]) == 0
    assert told(capsys)["honesty"]["trials"] == 10, "and once more under other terms"  # type: ignore[index]
    other = home / "strategies" / "other.py"
    other.write_text(RULE, encoding="utf-8")
    assert run(["walk-forward", file, "-s", "other", *GRID[2:], "--windows", "3", "--objective", "return", "--jobs", "1"]) == 0
    assert "5 sets in each window, 15 ever on these bars" in capsys.readouterr().out, "and by another rule"
    assert run(["sweep", tape(tmp_path, "NEXT-USD", 8, 1_200), *asked[1:]]) == 0
    assert told(capsys)["honesty"]["trials"] == 5, "other bars count for themselves"  # type: ignore[index]


def test_optimize_and_walk_forward_answer(home: Path, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    assert run(["optimize", file, "--strategy", "mine", "--vary", "bars=2:40", "--trials", "10", "--jobs", "1", "--json"]) == 0
    assert told(capsys)["honesty"]["trials"] <= 10  # type: ignore[index]
    assert run(["walk-forward", file, *GRID, "--windows", "3", "--objective", "return", "--jobs", "1", "--json"]) == 0
    view = told(capsys)
    assert view["sets"] == 5
    assert view["trials"] >= 5  # type: ignore[operator]
    assert len(view["windows"]) == 3  # type: ignore[arg-type]
    assert run(["walk-forward", file, *GRID, "--windows", "3", "--objective", "return", "--scheme", "purged", "--jobs", "1"]) == 0
    assert "mine, purged, by return" in capsys.readouterr().out


def test_montecarlo_and_stress_answer(home: Path, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["montecarlo", file, "--strategy", "mine", "--paths", "500", "--json"]) == 0
    first = told(capsys)
    assert [one["method"] for one in first["methods"]] == ["trades", "blocks"]  # type: ignore[attr-defined]
    assert run(["montecarlo", file, "--strategy", "mine", "--paths", "500", "--json"]) == 0
    assert told(capsys) == first, "the same seed draws the same"
    assert run(["stress", file, "--strategy", "mine", "--json"]) == 0
    captured = capsys.readouterr()
    assert [one["scenario"] for one in json.loads(captured.out)] == ["as it was", "crash-2008", "crash-2020", "volatility-x3"]
    assert "correlation-one is left out" in captured.err
    assert run(["stress", file, tape(tmp_path, "OTHER-USD", 9, 1_200), "--strategy", "mine"]) == 0
    assert "correlation-one" in capsys.readouterr().out


def lines_in(home: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in (home / FOLDER).glob("*.jsonl")) if (home / FOLDER).is_dir() else 0


KILLED = {
    "sweep": ["--vary", "bars=2:31"],
    "optimize": ["--vary", "bars=2:31", "--vary", "risk_bps=20:200:20", "--trials", "24"],
    "walk-forward": ["--vary", "bars=2:13", "--windows", "3", "--objective", "return", "--scheme", "rolling"],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", KILLED)
def test_a_killed_search_goes_on_to_the_same_end(command: str, home: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tui.cli", command, tape(tmp_path, "LONG-USD", 3, 3_000), "--strategy", "mine",
             *KILLED[command], "--jobs", "1", "--json"]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 120
    while lines_in(home) < 4 and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    kept = lines_in(home) - 1
    assert kept > 0
    went_on = subprocess.run(words, capture_output=True, check=True, env=dict(os.environ), text=True)
    first = json.loads(next(line for line in went_on.stderr.splitlines() if line.startswith("{")))
    assert first["done"] >= (kept if command == "sweep" else 1)
    anew = tmp_path / "anew"
    shutil.copytree(home / "strategies", anew / "strategies")
    elsewhere = {**os.environ, "QUARTERDECK_HOME": str(anew)}
    straight = subprocess.run(words, capture_output=True, check=True, env=elsewhere, text=True)
    assert lasting(went_on.stdout) == lasting(straight.stdout)
    assert lines_in(home) == lines_in(anew) > kept + 1, "nothing is tried twice"


def lasting(text: str) -> dict[str, object]:
    """What a search came to, without what differs from run to run."""
    return {name: value for name, value in json.loads(text).items() if name not in ("seconds", "kept_in")}
