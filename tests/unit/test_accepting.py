"""A client that comes in the very moment in which a server ends is hung up on; no socket is left to the garbage collector."""

import asyncio
import gc
import socket
import threading
import warnings
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from engine.pulses import Pulses
from engine.service import Snapshot
from tests.unit.test_control import HELLO, HeldService
from tui.control import ControlServer
from tui.control_protocol import request_line
from tui.http_server import HttpServer

CLIENTS = 3
PATIENCE_SECONDS = 30.0
TURNS = range(6)


def ended_under_clients(server: ControlServer | HttpServer, ending: asyncio.Event, turns: int,
                        connect: Callable[[], socket.socket]) -> list[bytes]:
    """What clients hear that the kernel connected while the server's loop stood still, and that the loop saw so many turns before
    its end."""
    loop, still, go_on = server._loop, threading.Event(), threading.Event()
    assert loop is not None

    def end_after(left: int) -> None:
        loop.call_soon(ending.set if not left else partial(end_after, left - 1))

    def stand_still() -> None:
        still.set()
        assert go_on.wait(PATIENCE_SECONDS)
        end_after(turns)

    loop.call_soon_threadsafe(stand_still)
    assert still.wait(PATIENCE_SECONDS)
    clients = [connect() for _ in range(CLIENTS)]
    go_on.set()
    server._thread.join(PATIENCE_SECONDS)
    server.close()
    return [_heard(client) for client in clients]


def _heard(client: socket.socket) -> bytes:
    with client:
        try:
            return client.recv(1_000)
        except ConnectionResetError:
            return b""


@pytest.fixture
def leaks() -> Callable[[], list[str]]:
    """Ends the collection of warnings and tells of resources that were left open."""
    gc.collect()
    caught = warnings.catch_warnings(record=True)
    found = caught.__enter__()
    warnings.simplefilter("always")

    def told() -> list[str]:
        gc.collect()
        caught.__exit__(None, None, None)
        assert found is not None
        return [str(one.message) for one in found if one.category is ResourceWarning]

    return told


@pytest.mark.parametrize("turns", TURNS)
def test_the_control_socket_closes_what_it_had_just_accepted(turns: int, tmp_path: Path, leaks: Callable[[], list[str]]) -> None:
    path = tmp_path / "engine.sock"
    server = ControlServer(HeldService(), path, HELLO, lambda: None)
    server.start()

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE_SECONDS)
        client.connect(str(path))
        return client

    assert server._closing is not None
    assert ended_under_clients(server, server._closing, turns, connect) == [b""] * CLIENTS
    assert leaks() == []


class LeavingSlowly(HeldService):
    """A service whose subscribers take their leave until they are cancelled a second time."""

    def __init__(self) -> None:
        super().__init__()
        self.leaving = threading.Event()

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        try:
            yield self.latest()
            await asyncio.Event().wait()
        finally:
            self.leaving.set()
            await asyncio.Event().wait()


def test_the_control_socket_closes_a_connection_whose_end_it_interrupts(tmp_path: Path, leaks: Callable[[], list[str]]) -> None:
    path, service = tmp_path / "engine.sock", LeavingSlowly()
    server = ControlServer(service, path, HELLO, lambda: None)
    server.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE_SECONDS)
        client.connect(str(path))
        client.sendall(request_line(1, "subscribe", {}))
        assert b"subscribed" in client.recv(1 << 16)
    assert service.leaving.wait(PATIENCE_SECONDS)
    server.close()
    assert leaks() == []


@pytest.mark.parametrize("turns", TURNS)
def test_a_server_of_pages_does_too(turns: int, leaks: Callable[[], list[str]]) -> None:
    server = HttpServer("health", web.Application, "127.0.0.1", 0, Pulses())
    server.start()
    assert server.settled.wait(PATIENCE_SECONDS) and not server.failure
    assert server._ending is not None
    connect = partial(socket.create_connection, ("127.0.0.1", server.port), PATIENCE_SECONDS)
    assert ended_under_clients(server, server._ending, turns, connect) == [b""] * CLIENTS
    assert leaks() == []
