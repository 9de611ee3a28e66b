"""What holds for every test: a home of its own, no network, properties that do not watch the clock."""

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
FAST_RUNGS = ("unit", "property")

# The suite gives the same answer each time; `--hypothesis-profile=explore` looks for new cases.
settings.register_profile("steady", deadline=None, derandomize=True, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2_000, print_blob=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

if sys.dont_write_bytecode:
    # Who wants no bytecode beside the sources gets none; but each worker and each process that a test starts would compile
    # every module and library anew, which is a third of the whole suite. It is kept in pytest's own folder instead.
    sys.pycache_prefix = str(TESTS.parent / ".pytest_cache" / "bytecode")
    sys.dont_write_bytecode = False
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One process where files are named on the command line: workers take longer to start than a few tests to run. Else one more
    than there are cores, since some tests wait for processes of their own."""
    named = [argument for argument in config.invocation_params.args if ".py" in str(argument)]
    return 0 if named else (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole rungs are slow: they drive the app, servers, processes, a compiler or long tapes. What is slow comes first, so that
    no worker ends with it while the others have nothing left to do."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] not in FAST_RUNGS:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def no_home_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test forgets to say, the home of the person who runs it stays untouched, and no test waits for the accounts of
    another."""
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("store.home.SHARED_FOLDER", tmp_path / "everybodys")


@pytest.fixture(scope="session", autouse=True)
def compiled_passes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the passes compiled by this run lie, for all its workers: each is compiled once, and none is of another run."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared))
        yield shared / "quarterdeck" / "compiled"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test reaches this machine alone; anything else is refused by name."""
    connect = socket.socket.connect
    connect_ex = socket.socket.connect_ex

    def checked_connect(self: socket.socket, address: Any) -> None:
        _refuse_elsewhere(self, address)
        connect(self, address)

    def checked_connect_ex(self: socket.socket, address: Any) -> int:
        _refuse_elsewhere(self, address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", checked_connect_ex)


def _refuse_elsewhere(made: socket.socket, address: Any) -> None:
    if made.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = str(address[0])
    try:
        local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        pytest.fail(f"a test tried to reach {host}; tests need no network")
