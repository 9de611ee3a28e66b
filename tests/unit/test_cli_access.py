"""Codes on the command line: set, forgotten, looked at, asked for; nothing of them printed, kept or taken as an argument."""

import io
import json
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyotp
import pytest

from engine.config import load_config
from engine.inputs import PlaceOrder
from engine.orders import Side
from store.home import open_home
from tests.unit.venue_homes import MemoryKeyring, memory_keyring
from tui import key_access
from tui.access_codes import AccessSecrets, Compared, compared, hashed_pin, pin_matches, same_approval_code, totp_step
from tui.cli import run
from tui.compose import open_engine
from tui.control_client import ControlClient
from tui.running_engine import RunningEngine

CODE = "heron-47-lamp"
SECRET = pyotp.random_base32()
CONFIG = '[market]\nalways_open = true\n[health]\nport = 0\n[access]\nunlock = "{unlock}"\n'
PATIENCE_SECONDS = 60.0


class Typed(io.StringIO):
    """What a person types, on a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    with memory_keyring() as made:
        yield made


@pytest.fixture
def home(tmp_path: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "h"
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(CONFIG.format(unlock="remote"))
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    return path


@pytest.fixture
def running(home: Path, ring: MemoryKeyring) -> Iterator[RunningEngine]:
    with open_engine(open_home(home), load_config(home / "config.toml")) as engine:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(one.symbol == "BTC/USD" and one.bid for one in engine.engine.latest().quotes):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield engine


def set_pin(monkeypatch: pytest.MonkeyPatch, pin: str = CODE) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pin}\n"))
    return run(["access", "set-pin", "--stdin"])


def test_a_pin_is_kept_hashed_and_never_shown(
        home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["access", "status"]) == 1
    assert "no code is set up" in capsys.readouterr().err
    assert run(["doctor"]) == 1
    assert "has to unlock, and no code is set up" in capsys.readouterr().out
    assert set_pin(monkeypatch, "short") == 2
    assert set_pin(monkeypatch) == 0
    shown = capsys.readouterr()
    kept = "".join(ring.kept.values())
    assert CODE not in shown.out + shown.err + kept and "scrypt$" in kept
    assert run(["access", "status", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["unlock"], facts["pin"], facts["totp"]) == ("remote", True, False)
    run(["doctor"])
    assert "remote has to unlock, and a code is set up" in capsys.readouterr().out
    assert run(["keys", "list"]) == 0
    assert "access:" not in capsys.readouterr().out
    assert run(["access", "clear", "pin"]) == 2, "nobody is there to be asked"
    assert run(["access", "clear", "pin", "--yes"]) == 0
    assert run(["access", "clear", "pin", "--yes"]) == 1
    assert run(["access", "clear", "everything", "--yes"]) == 2


def test_an_authenticator_is_kept_once_it_shows_the_right_code(
        home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pyotp, "random_base32", lambda: SECRET)
    monkeypatch.setattr(sys, "stdin", io.StringIO("000000\n"))
    monkeypatch.setattr("time.time", lambda: 1_111_111_109.0)  # of RFC 6238, and not the time of the code above
    assert run(["access", "set-totp", "--stdin"]) == 1
    assert "nothing was changed" in capsys.readouterr().err and not any("totp" in name for _, name in ring.kept)
    monkeypatch.setattr(sys, "stdin", io.StringIO(pyotp.TOTP(SECRET).at(1_111_111_109) + "\n"))
    assert run(["access", "set-totp", "--stdin"]) == 0
    out = capsys.readouterr().out
    assert f"secret: {SECRET}" in out and "otpauth://totp/Quarterdeck:h?secret=" in out
    assert {name for _, name in ring.kept} >= {"access:totp", "access:approvals"}
    monkeypatch.setattr(sys, "stdin", io.StringIO("123456\n"))
    assert run(["access", "set-totp", "--stdin"]) == 2, "replacing one asks first"


def test_a_running_engine_knows_of_it_at_once_and_a_command_asks_for_it(
        running: RunningEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["halt"]) == 0
    assert run(["resume", "--yes"]) == 1
    assert "refused by access" in capsys.readouterr().err
    assert set_pin(monkeypatch) == 0
    assert run(["resume", "--yes"]) == 1, "there is no terminal to ask on"
    asked: list[str] = []

    def hidden(question: str) -> str:
        asked.append(question)
        return CODE

    monkeypatch.setattr(sys, "stdin", Typed())
    monkeypatch.setattr(key_access, "hidden", hidden)
    capsys.readouterr()
    assert run(["resume", "--yes"]) == 0
    assert asked == ["this is locked; pin code: "]
    assert CODE not in capsys.readouterr().out
    assert run(["access", "status"]) == 0
    assert "refused: access" in capsys.readouterr().out


def test_approving_by_the_code_of_a_notice(
        running: RunningEngine, home: Path, ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(pyotp, "random_base32", lambda: SECRET)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{pyotp.TOTP(SECRET).now()}\n"))
    assert run(["access", "set-totp", "--stdin"]) == 0
    client = ControlClient(running.home.socket, "0.1.0")
    order = PlaceOrder("w1", "BTC/USD", Side.BUY, quantity=Decimal("0.01"), stop=Decimal(1000), propose=True)
    proposal_id = client.send_now(order).proposal_id
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (shown := [one for one in client.snapshot_now().proposals if one.proposal_id == proposal_id]):
        assert time.monotonic() < deadline
    client.close()
    code = running.gate.approval_code(shown[0])
    assert run(["approve", proposal_id, "--totp", "123456"]) == 2
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(["approve", proposal_id, "--code", code]) == 2
    assert run(["approve", proposal_id, "--yes"]) == 1
    capsys.readouterr()
    assert run(["approve", proposal_id, "--code", code, "--totp", pyotp.TOTP(SECRET).now()]) == 0
    assert "BUY" in capsys.readouterr().out


def test_hashes_and_steps() -> None:
    kept = hashed_pin(CODE)
    assert pin_matches(kept, CODE) and not pin_matches(kept, CODE + " ") and hashed_pin(CODE) != kept
    for broken in ("", "scrypt$1", "md5$1$1$1$AA==$AA==", "scrypt$0$8$1$AA==$AA==", CODE):
        assert not pin_matches(broken, CODE)
    # RFC 6238, appendix B, of the secret "12345678901234567890": the last six digits of its eight
    rfc = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for at_seconds, code in ((59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")):
        assert totp_step(rfc, code, at_seconds) == at_seconds // 30
        assert totp_step(rfc, code, at_seconds + 30) == at_seconds // 30 == totp_step(rfc, code, at_seconds - 30)
        assert totp_step(rfc, code, at_seconds + 60) == 0 == totp_step(rfc, code, at_seconds - 60)
    for wrong in ("", "28708", "28708२", "2870822"):
        assert totp_step(rfc, wrong, 59) == 0
    both = AccessSecrets(kept, rfc)
    assert compared(both, "287082", 59) == Compared("totp", matched=True, step=1)
    assert compared(both, CODE, 59) == Compared("pin", matched=True)
    assert not compared(both, "x" * 10_000, 59).matched and not compared(AccessSecrets(), "", 59).matched
    assert same_approval_code("AAAA-BBBB", "aaaabbbb") and not same_approval_code("AAAA-BBBB", "AAAA-BBB")
    assert CODE not in repr(both) and rfc not in repr(both)
