"""Venue keys in a real keyring: gnome-keyring behind the Secret Service, on a session bus of its own; everything through the
command line as other processes run it. Skipped where the two programs are not installed (Debian: dbus, gnome-keyring)."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conformance.alpaca_server.server import KEY
from tests.unit.venue_homes import ServedAlpaca, alpaca_account, portfolio, served_alpaca

PROGRAMS = ("dbus-run-session", "gnome-keyring-daemon")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
KEY_ID, SECRET = KEY
UNLOCK_WITH = "the login password of nobody"
BUS = 'echo "$DBUS_SESSION_BUS_ADDRESS"; exec gnome-keyring-daemon --foreground {} --components=secrets'
LONGEST_SECONDS = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")]

type Command = Callable[..., subprocess.CompletedProcess[str]]


def surroundings(folder: Path) -> dict[str, str]:
    """An environment whose keyring, bus and home lie in a folder."""
    for name in ("run", "data", "home"):
        (folder / name).mkdir(mode=0o700, exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "PYTHON_KEYRING", "XDG_"))}
    return {**kept, "XDG_RUNTIME_DIR": str(folder / "run"), "XDG_DATA_HOME": str(folder / "data"), "HOME": str(folder / "home"),
            "QUARTERDECK_HOME": str(folder / "quarterdeck")}


@contextmanager
def begun(environment: dict[str, str], option: str, password: str) -> Iterator[dict[str, str]]:
    """A session bus with a keyring on it; the environment of whoever is in that session."""
    with subprocess.Popen(["dbus-run-session", "--", "sh", "-c", BUS.format(option)], env=environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(password)
        session.stdin.close()
        address = session.stdout.readline().strip()
        try:
            yield {**environment, "DBUS_SESSION_BUS_ADDRESS": address}
        finally:
            session.terminate()
            session.wait(LONGEST_SECONDS)


@pytest.fixture
def alpaca() -> Iterator[ServedAlpaca]:
    with served_alpaca() as made:
        yield made


@pytest.fixture
def environment(tmp_path: Path, alpaca: ServedAlpaca) -> dict[str, str]:
    """A home with an account at Alpaca, in surroundings of its own."""
    made = surroundings(tmp_path)
    home = Path(made["QUARTERDECK_HOME"])
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text(alpaca_account(alpaca, paper=True) + portfolio("main", "alp"))
    return made


@pytest.fixture
def command(environment: dict[str, str]) -> Iterator[Command]:
    """Run one command in a session whose keyring is open."""
    with begun(environment, "--unlock", UNLOCK_WITH) as session:
        yield lambda *arguments, given="": run_command(session, *arguments, given=given)


def run_command(environment: dict[str, str], *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", "tui.cli", *arguments], env=environment, text=True, input=given,
                          capture_output=True, check=False, timeout=LONGEST_SECONDS)
    assert "Traceback" not in done.stderr
    assert KEY_ID not in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done


def test_a_key_is_set_listed_tested_and_deleted(command: Command, tmp_path: Path) -> None:
    assert stored(command) is False
    done = command("keys", "set", "alp", "--stdin", given=f"{KEY_ID}\n{SECRET}\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert "stored in the keyring (SecretService" in done.stdout
    assert stored(command) is True
    held_where = [path for path in tmp_path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert held_where == [], "the secret lies nowhere in the clear"
    asked = command("keys", "test", "alp", "--json")
    assert (asked.returncode, json.loads(asked.stdout)["may_trade"]) == (0, True)
    again = command("keys", "set", "alp", "--stdin", given=json.dumps({"key_id": KEY_ID, "secret": "another secret"}))
    assert "replaced" in again.stdout
    refused = command("keys", "test", "alp")
    assert refused.returncode == 1
    assert "refuses the key" in refused.stderr
    assert command("keys", "delete", "alp", "--yes").returncode == 0
    assert stored(command) is False
    gone = command("keys", "test", "alp")
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
    assert "store one with `quarterdeck keys set alp`" in gone.stderr


def stored(command: Command) -> bool:
    found = command("keys", "list", "--json")
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert "SecretService" in told["place"]
    return bool(next(row["stored"] for row in told["accounts"] if row["account"] == "alp"))


def test_an_order_is_sent_with_the_key_of_the_keyring(command: Command, alpaca: ServedAlpaca) -> None:
    command("keys", "set", "alp", "--stdin", given=f"{KEY_ID}\n{SECRET}\n")
    done = command("doctor", "--json")
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["keys"]["verdict"] == "ok", findings["keys"]
    refused = command("buy", "AAPL", "1", "--stop", "90")
    assert refused.returncode == 1  # no price is told, so nothing is sent; but the account was opened with the key
    assert "AAPL" in refused.stderr
    assert alpaca.server.count("GET", "/v2/positions") > 0


def test_a_keyring_that_is_locked_is_one_line(environment: dict[str, str]) -> None:
    with begun(environment, "--unlock", UNLOCK_WITH) as session:
        assert run_command(session, "keys", "set", "alp", "--stdin", given=f"{KEY_ID}\n{SECRET}\n").returncode == 0
    with begun(environment, "", "") as session:
        for arguments in (("keys", "list"), ("keys", "test", "alp"), ("buy", "AAPL", "1", "--stop", "90")):
            done = run_command(session, *arguments)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
            assert "the keyring cannot be used (KeyringLocked): unlock it" in done.stderr
