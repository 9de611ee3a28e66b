"""Research on the command line, in a home with the simulated market and no model: the rules answer."""

import json
from pathlib import Path

import pytest

from tui.command_line import run


def told(home: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run(["--home", str(home), *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["--home", str(tmp_path), "init"]) == 0
    capsys.readouterr()
    return tmp_path


def test_a_home_without_a_record_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("calibration",), ("threads",), ("events",), ("decisions", "--research"), ("research", "changes")):
        status, out, err = told(home, capsys, *words)
        assert status == 0
        assert "nothing is recorded" in err
        assert out.strip()


@pytest.mark.slow
def test_a_run_by_the_rules_is_told_kept_and_shown_in_full(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = told(home, capsys, "research", "run", "BTC/USD", "--json")
    assert status == 0, err
    found = json.loads(out)
    (decision,) = found["decisions"]
    assert (decision["analyst"], decision["symbol"], decision["run_id"]) == ("rule/1", "BTC/USD", found["run"]["run_id"])

    status, out, _ = told(home, capsys, "decisions", "--research", "--json")
    assert [one["decision_id"] for one in json.loads(out)] == [decision["decision_id"]]

    status, out, _ = told(home, capsys, "decisions", decision["decision_id"])
    assert status == 0
    assert "rule/1" in out and "snapshot" in out and decision["snapshot_id"] in out

    status, out, _ = told(home, capsys, "research", "status", "--json")
    (view,) = json.loads(out)
    assert view["badge"] == "RULES, NO MODEL"
    assert view["open_forecasts"] == 1


@pytest.mark.slow
def test_a_drill_is_scored_and_proposes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = told(home, capsys, "research", "drill", "BTC/USD")
    assert status == 0
    assert "never proposed" in out
    _, out, _ = told(home, capsys, "decisions", "--all", "--json")
    assert json.loads(out) == []


def test_what_does_not_exist_is_refused_in_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, status in ((("research", "run", "NOPE"), 1), (("research", "run", "--portfolio", "nope"), 1),
                          (("research", "apply", "nope"), 1), (("halve", "nope"), 2)):
        ended, _, err = told(home, capsys, *words)
        assert ended in (status, 2), (words, err)
        assert len(err.strip().splitlines()) == 1, err
        assert "Traceback" not in err
