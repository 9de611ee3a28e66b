"""Services that answer what no service should: elsewhere, without end, one byte at a time. Nobody counts as told by them, and the
engine's process neither grows nor waits."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from brokers.notifiers import sending
from brokers.notifiers.sending import send
from engine.service import AlertLevel

type Behaviour = Callable[[socket.socket, bytes], None]

LOOKED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin"
DEADLINE_SECONDS = 30.0


class Odd:
    """A server of raw bytes; `heard` are the methods that it was asked by."""

    def __init__(self, behave: Behaviour) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self._clients: list[socket.socket] = []
        self._behave = behave
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def close(self) -> None:
        """Hang up on everybody, also where an answer would go on for ever."""
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # closing it would not wake the one that waits in it
        self.listener.close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            asked = client.recv(65_536)
            self.heard.append(asked.split(b" ", 1)[0])
            self._behave(client, asked)


@contextmanager
def odd(behave: Behaviour) -> Iterator[Odd]:
    server = Odd(behave)
    try:
        yield server
    finally:
        server.close()


def elsewhere(client: socket.socket, asked: bytes) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    client.sendall(LOOKED if asked.startswith(b"GET /login") else moved)


def endless(client: socket.socket, _: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(bytes(65_536))


def one_byte_at_a_time(client: socket.socket, _: bytes) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX: " + bytes([120]) * 100_000:
        client.sendall(bytes([byte]))
        time.sleep(0.02)


def test_nobody_is_told_by_being_sent_elsewhere() -> None:
    """A sign-in page of a hotel's network, or http where https was meant: a posted notice becomes a look at some page."""
    with odd(elsewhere) as service:
        assert send(f"json://127.0.0.1:{service.port}/x", AlertLevel.CRIT, "t", "text") == "the service answered 302"
    assert service.heard == [b"POST"]


def test_an_answer_without_end_is_not_read() -> None:
    with odd(endless) as service:
        assert "longer than" in send(f"json://127.0.0.1:{service.port}/x", AlertLevel.CRIT, "t", "text")


def test_a_service_that_never_comes_to_an_end_is_left_and_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LONGEST_SECONDS", 0.5)
    with odd(one_byte_at_a_time) as slow, odd(lambda client, _: client.sendall(LOOKED)) as well:
        address = f"json://127.0.0.1:{slow.port}/x"
        told = [send(address, AlertLevel.CRIT, "t", "text") for _ in range(sending.MOST_HANGING + 1)]
        assert told == ["the service did not come to an end in 0.5 s"] * sending.MOST_HANGING + [
            "the service still hangs on what it was told before"]
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(slow.heard) < sending.MOST_HANGING:  # the first had to load a library
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert len(slow.heard) == sending.MOST_HANGING
        monkeypatch.setattr(sending, "LONGEST_SECONDS", DEADLINE_SECONDS)
        assert send(f"json://127.0.0.1:{well.port}/x", AlertLevel.CRIT, "t", "text") == ""
