"""A real unattended engine, killed by `kill -9` while a model has not answered yet: the run is over at the next start, the
journal verifies, nothing was proposed, and research goes on by the rules."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.inputs import RunResearch
from engine.service import DecisionStatus, ResearchQuery, ResearchQueryKind
from store.home import Home, open_home
from store.verify import verify
from tui.control_client import ControlClient
from tui.version import VERSION

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 60.0
CONFIG = """
[health]
port = 0

[[research_model]]
name = "silent"
kind = "chat"
endpoint = "http://127.0.0.1:{port}/v1"
model = "m"
keyless = true

[research_prices]
m = [1.0, 2.0]
"""


@contextmanager
def silent_model() -> Iterator[tuple[int, threading.Event]]:
    """A server that takes every request and answers none; its port, and whether it was asked."""
    asked, kept = threading.Event(), list[socket.socket]()
    with socket.create_server(("127.0.0.1", 0)) as server:
        def take() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                asked.set()

        taking = threading.Thread(target=take, daemon=True)
        taking.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # closing it would not wake the one that waits in it
            taking.join(DEADLINE_SECONDS)
            for connection in kept:
                connection.close()


@contextmanager
def unattended(home: Path) -> Iterator[tuple["subprocess.Popen[bytes]", ControlClient]]:
    environment = {**os.environ, "QUARTERDECK_HOME": str(home)}
    with subprocess.Popen([sys.executable, "-m", "tui.cli", "run", "--headless"], env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        try:
            client = reached(open_home(home))
            yield process, client
            client.close()
        finally:
            process.kill()


def reached(home: Home) -> ControlClient:
    """A client of the engine, once it answers and every open market has a price."""
    found: list[ControlClient] = []

    def try_it() -> bool:
        try:
            client = ControlClient(home.socket, VERSION)
        except Exception:
            return False
        if any(quote.bid is not None for quote in client.snapshot_now().quotes):
            found.append(client)
            return True
        client.close()
        return False

    wait_for(try_it)
    return found[0]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_a_run_that_a_kill_cut_short_is_over_at_the_next_start(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with silent_model() as (port, asked):
        (home / "config.toml").write_text(CONFIG.format(port=port), encoding="utf-8")
        with unattended(home) as (process, client):
            receipt = client.send_now(RunResearch("run-1", symbols=("BTC/USD",)))
            assert receipt.accepted, receipt.refusal
            assert asked.wait(DEADLINE_SECONDS)
            (view,) = client.snapshot_now().research
            assert view.run is not None and view.run.ended_at_ns == 0 and view.badge == "silent: m"
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert not verify(open_home(home).journal).damaged
    with unattended(home) as (_, client):
        (view,) = client.snapshot_now().research
        assert view.run is not None and view.run.ended_at_ns and "ended before the run did" in view.run.text
        assert client.snapshot_now().proposals == ()
        assert client.send_now(RunResearch("run-2", symbols=("BTC/USD",))).accepted
        cut_short = view.run.run_id
        wait_for(lambda: (run := client.snapshot_now().research[0].run) is not None and run.ended_at_ns
                 and run.run_id != cut_short)
        decided = client.research_now(ResearchQuery(ResearchQueryKind.DECISIONS)).decisions
        assert {one.analyst for one in decided} >= {"rule/1"}
        assert DecisionStatus.ABSTAINED in {one.status for one in decided}, "nobody answers any more: the model abstains"
    assert not verify(open_home(home).journal).damaged
