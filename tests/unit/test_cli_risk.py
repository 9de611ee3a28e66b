"""Risk on the command line: heat with its parts, what an order would do to it, limits with their source, changing one."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.errors import UsageError
from engine.inputs import EdgeSpec, SizeSpec
from tui.cli import run
from tui.commands.ordering import entry_order, size_of
from tui.commands.parsing import edge_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    path.mkdir(mode=0o700)
    return path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    capsys.readouterr()
    status = run([*arguments, "--json"])
    out = capsys.readouterr().out
    return status, json.loads(out) if out else None


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    run(list(arguments))
    return capsys.readouterr().out


def test_an_order_is_sized_its_heat_told_and_a_limit_changed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["buy", "BTC/USD", "--risk", "1", "--stop", "1000"]
    status, foretold = answer(capsys, "heat", "--what-if", *size)
    assert status == 0
    status, sent = answer(capsys, *size)
    assert status == 0, sent
    _, told = answer(capsys, "heat")
    (view,) = told["risks"]
    assert view["heat_percent"] == pytest.approx(foretold["card"]["heat_after_percent"], abs=0.05)
    (line,) = view["lines"]
    parts = [float(line[name]) for name in ("distance", "gap", "fee")]
    assert sum(parts) == pytest.approx(float(line["risk"]))
    assert "BTC/USD LONG position" in printed(capsys, "heat")

    status, receipt = answer(capsys, "risk", "set", "max_heat_fraction", "0.02")
    assert (status, receipt["accepted"]) == (0, True)
    status, largest = answer(capsys, "heat", "--what-if", "buy", "ETH/USD", "--largest", "--stop", "100")
    assert status == 0
    assert largest["card"]["clamps"][-1]["limit"] == "heat"
    assert largest["card"]["heat_after_percent"] <= 2.0
    _, accounts = answer(capsys, "risk")
    limits = {one["name"]: one for one in accounts[0]["risk"]["limits"]}
    assert limits["max_heat_fraction"]["value"] == "0.02"
    assert limits["max_heat_fraction"]["source"].startswith("user, ")
    assert accounts[0]["limits"]["max_heat_fraction"] == 0.02
    assert "max_heat_fraction" in printed(capsys, "risk")
    assert answer(capsys, "risk", "set", "max_heat_fraction", "default")[0] == 0


@pytest.mark.parametrize(("arguments", "status", "words"), [
    (["heat", "buy", "X"], 2, "--what-if takes an order"), (["heat", "--what-if"], 2, "--what-if takes an order"),
    (["heat", "--what-if", "hold", "X"], 2, "say buy or sell"), (["risk", "change"], 2, "risk set LIMIT VALUE"),
    (["risk", "set", "max_heat", "1"], 1, "did you mean max_heat_fraction?"),
    (["buy", "BTC/USD", "--atr", "2", "--largest"], 2, "--atr 2"),
    (["buy", "BTC/USD", "1", "--largest"], 2, "either a quantity or --risk")])
def test_what_cannot_be_meant_is_said_in_one_line(home: Path, capsys: pytest.CaptureFixture[str], arguments: list[str],
                                                  status: int, words: str) -> None:
    capsys.readouterr()
    assert run(arguments) == status
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_sizes_are_read_strictly() -> None:
    assert edge_of("0.55, 1.5, 80") == EdgeSpec(Decimal("0.55"), Decimal("1.5"), 80)
    assert size_of(None, None, None, largest=False) is None
    assert size_of(None, "15%", None, largest=False) == SizeSpec(volatility_percent=Decimal(15))
    for wrong in ("0.5", "1.2,1,3", "0.5,0,3", "0.5,1,x"):
        with pytest.raises(UsageError):
            edge_of(wrong)
    assert entry_order("BUY", "x", None, size=size_of(None, None, None, largest=True)).symbol == "X"
