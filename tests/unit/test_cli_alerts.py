"""Alert rules on the command line, with the short engine of a command."""

import json
from pathlib import Path

import pytest

from tui.cli import run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "h"))
    return tmp_path / "h"


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of one command."""
    capsys.readouterr()
    status = run(list(arguments))
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.mark.parametrize(("arguments", "words"), [
    (("BTC/USD price 5",), "condition, column 15: expected > >= < <= or crosses, found '5'"),
    (("heat > 5%", "--do", "shout"), "action, column 1:"),
    (("heat > 5%", "--cooldown", "soon"), "--cooldown soon"),
    (("heat > 5%", "--hysteresis", "0.001%"), "--hysteresis 0.001%"),
    (("heat > 5%", "--expires", "0"), "--expires 0"),
    (("heat > 5%", "--id", "a b"), "a rule's id"),
])
def test_what_cannot_be_meant_is_wrong_usage(home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...],
                                             words: str) -> None:
    status, _, err = said(capsys, "alert", "add", *arguments)
    assert status == 2
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_rule_from_its_words_to_its_end(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(
        capsys, "alert", "add", "btc/usd price > 9000000 and spread<5bps", "--do", "close BTC/USD", "--do", "notify",
        "--id", "top", "--repeat", "--cooldown", "10m", "--hysteresis", "0.5%", "--expires", "3d", "--note", "why")
    assert (status, out.strip()) == (0, "top: BTC/USD price > 9000000 and spread < 5bps -> close BTC/USD; notify")
    [rule] = json.loads(said(capsys, "alert", "list", "--json")[1])
    assert (rule["status"], rule["repeat"], rule["hysteresis_bps"], rule["cooldown_seconds"], rule["note"]) == (
        "WATCHING", True, 50, 600, "why")
    assert rule["expires_at_ns"] - rule["set_at_ns"] == 3 * 86_400 * 10**9
    assert "top  WATCHING, repeats" in said(capsys, "alert", "list")[1]
    status, out, _ = said(capsys, "alert", "test", "top")
    assert status == 0
    assert "BTC/USD price > 9000000" in out
    assert "it does not hold now" in out
    assert said(capsys, "alert", "disable", "top")[0] == 0
    assert json.loads(said(capsys, "alert", "list", "--json")[1])[0]["status"] == "DISABLED"
    assert said(capsys, "alert", "enable", "top")[:2] == (0, "top is watched\n")
    assert said(capsys, "alert", "remove", "top")[0] == 0
    status, _, err = said(capsys, "alert", "remove", "top")
    assert status == 1
    assert "there is no alert rule 'top'" in err
    assert "no alert rules" in said(capsys, "alert", "list")[1]


def test_a_rule_for_what_is_not_listed_is_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = said(capsys, "alert", "add", "NOPE price > 5", "--json")
    assert status == 1
    assert json.loads(out)["receipt"]["refusal"]["check"] == "instrument"
