"""What a start loads: short commands next to nothing, an engine that is ready nothing that only a screen or a venue needs."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

HEAVY = (
    "textual", "rich", "numba", "numpy", "pandas", "pyarrow", "tomlkit", "aiohttp", "websockets", "requests", "httpx", "ccxt",
    "alpaca", "anthropic", "keyring", "pyrage", "cryptography", "apprise", "feedparser", "exchange_calendars",
    "prometheus_client")
NOT_BEFORE_THEIR_WORK = (
    "store.backup", "store.retention", "engine.research.pipeline", "engine.research.marks", "engine.research_scanning",
    "engine.research.learning", "engine.analytics.report", "engine.backtest", "engine.search", "brokers.market.recorded",
    "tui.logs", "tui.control_client", "tui.app", "tui.panes", "tui.screens", "tui.widgets", "html", "tarfile",
    "urllib.request", "http.client")
NOT_FOR_A_LOOK = (*HEAVY, "pydantic", "asyncio", "ssl")

# an engine whose service manager, once told that it is ready, hears what was loaded and ends it
RUNNING = """
import os, signal, sys
import tui.cli, tui.systemd

def notify(state, *_):
    if state == "READY=1":
        print("loaded", *sys.modules)
        os.kill(os.getpid(), signal.SIGTERM)
    return False

tui.systemd.notify = notify
sys.exit(tui.cli.run(["run", "--headless"]))
"""
LOOKING = """
import sys
import tui.cli

for command in ("locate", "--help", "status", "positions", "heat"):
    if tui.cli.run([command]):
        sys.exit(command)
print("loaded", *sys.modules)
"""


class Lived(NamedTuple):
    """A home on which an engine ran, and the modules that it had loaded when it was ready."""

    home: Path
    loaded: set[str]


def loaded_by(code: str, home: Path) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False,
                          env={**os.environ, "QUARTERDECK_HOME": str(home)})
    assert done.returncode == 0, done.stderr
    return set(next(line for line in done.stdout.splitlines() if line.startswith("loaded ")).split())


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    home = tmp_path_factory.mktemp("start") / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("[health]\nport = 0\n")
    return Lived(home, loaded_by(RUNNING, home))


@pytest.mark.slow
def test_an_engine_is_ready_without_heavy_libraries(lived: Lived) -> None:
    assert "engine.shell" in lived.loaded
    assert not lived.loaded & set(HEAVY)


@pytest.mark.slow
def test_an_engine_is_ready_before_what_it_may_do_later_is_loaded(lived: Lived) -> None:
    assert "tui.control" in lived.loaded
    assert all(find_spec(name) for name in NOT_BEFORE_THEIR_WORK), "there are such modules"
    assert lived.loaded.intersection(NOT_BEFORE_THEIR_WORK) == set()


def test_a_look_at_what_the_last_engine_knew_loads_no_engine(lived: Lived) -> None:
    loaded = loaded_by(LOOKING, lived.home)
    assert "tui.folding" in loaded
    assert not loaded & {*NOT_FOR_A_LOOK, "engine.shell", "tui.compose"}
