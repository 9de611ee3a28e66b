"""Output that is closed, full, or of another alphabet: a command does its work and says in a line what it could not show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


def called(home: Path, *arguments: str, out: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "tui.cli", "--home", str(home), *arguments], stdout=out, stderr=subprocess.PIPE,
                          check=False, env={**os.environ, **environment})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    assert called(tmp_path / "h", "init").returncode == 0
    return tmp_path / "h"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_an_encoding_lacks_is_spelt(home: Path, encoding: str) -> None:
    listed = called(home, "risk", "set", "max_heat_fraction", "0.05", PYTHONIOENCODING=encoding)
    assert listed.returncode == 0
    assert b"->" in listed.stdout, "an arrow is no letter of this alphabet"


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("locate",), ("config", "show"), ("--help",)])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_output_is_told_in_a_line(home: Path, arguments: tuple[str, ...], unbuffered: str) -> None:
    with FULL.open("w") as full:
        done = called(home, *arguments, out=full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert b"cannot write" in done.stderr and done.stderr.count(b"\n") == 1
    assert not list(home.glob("logs/defect-*"))


def test_a_closed_output_stops_no_command(home: Path) -> None:
    words = f'"{sys.executable}" -m tui.cli --home "{home}" status >&-'
    done = subprocess.run(["sh", "-c", words], stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
