"""Hostile input on the control socket of a real engine: refused, counted, logged once; the engine still answers and trades."""

import asyncio
import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tui.control_connection
from engine.config import check_config
from engine.errors import EngineUnreachable
from engine.inputs import PlaceOrder
from engine.orders import Side
from store.home import open_home
from tui.compose import open_engine
from tui.control import MAX_CONNECTIONS
from tui.control_client import ControlClient
from tui.control_connection import MAX_BAD_REQUESTS, MAX_CALLS_IN_FLIGHT
from tui.control_protocol import MAX_REQUEST_BYTES, request_line
from tui.running_engine import RunningEngine

PATIENCE_SECONDS = 60.0
REFUSED = "socket refused: "
CONFIG = "[market]\nalways_open = true\n[health]\nport = 0\n"


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Target:
    """A running engine and raw ways to its socket."""

    def __init__(self, running: RunningEngine) -> None:
        self.running, self.path = running, running.home.socket
        self.orders = 0

    def wire(self) -> socket.socket:
        plain = socket.socket(socket.AF_UNIX)
        plain.settimeout(PATIENCE_SECONDS)
        plain.connect(str(self.path))
        return plain

    def said(self, sent: bytes) -> list[dict[str, Any]]:
        """Every answer to some bytes, until the engine hangs up or all was answered."""
        with self.wire() as plain:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                plain.sendall(sent)
                plain.shutdown(socket.SHUT_WR)
            heard = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := plain.recv(1 << 16):
                    heard += chunk
        return [json.loads(line) for line in heard.splitlines()]

    @property
    def counts(self) -> dict[str, int]:
        counts = self.running.engine.pulses.counts
        return {name.removeprefix(REFUSED): count for name, count in counts.items() if name.startswith(REFUSED)}

    def still_trades(self) -> bool:
        """Whether a well-behaved client is answered and its order goes."""
        client = ControlClient(self.path, "0.1.0")
        try:
            self.orders += 1
            order = PlaceOrder(f"good{self.orders}", "BTC/USD", Side.BUY, quantity=Decimal("0.001"), stop=Decimal(1000))
            receipt = client.send_now(order)
            assert receipt.accepted, receipt
            return self.running.engine.defects == 0 and not self.running.engine.failure
        finally:
            client.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    config = check_config(CONFIG, "config.toml").config
    assert config is not None
    with open_engine(open_home(tmp_path / "h"), config) as running:
        until(lambda: any(one.symbol == "BTC/USD" and one.bid for one in running.engine.latest().quotes))
        yield Target(running)


DEEP = 100_000
HOSTILE = [
    b"\x00" * 1_000 + b"\n", b"\xff\xfe\n", b"{}\n", b"[]\n", b"null\n", b'"\n', b"\n" * 5, b"\r\n",
    b"[" * DEEP + b"\n", b'{"jsonrpc":"2.0","id":1,"method":"send","params":' + b"[" * DEEP + b"\n",
    b'{"jsonrpc":"2.0","id":1,"method":"send","params":' + b'{"a":' * 30_000 + b"1" + b"}" * 30_000 + b"}\n",
    b'{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}\n', b'{"jsonrpc":"2.0","id":1,"method":5}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * 100_000 + b'"}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"send","params":{"type":"PlaceOrder","quantity":"1e999999"}}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"bars","params":{"instrument_id":"../../etc/passwd","limit":999999999999}}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"performance","params":{"portfolio":"\\u0000","from_ns":-1,"to_ns":1e400}}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"unlock","params":{"code":["a"]}}\n',
    b'{"jsonrpc":"2.0","id":1,"method":"approve_by_code","params":null}\n', b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_what_is_no_request_is_refused_logged_once_and_the_engine_trades_on(
        target: Target, caplog: pytest.LogCaptureFixture) -> None:
    for sent in HOSTILE:
        for answer in target.said(sent):
            assert "error" in answer, (sent[:80], answer)
    assert target.counts["not a request"] > 10
    logged = [record for record in caplog.records if record.name == "quarterdeck.control"]
    assert len([one for one in logged if "not a request" in one.getMessage()]) == 1
    assert "Traceback" not in caplog.text and "x" * 1_000 not in caplog.text
    assert target.still_trades()


def test_one_that_sends_nothing_but_garbage_is_hung_up_on(target: Target) -> None:
    answers = target.said(b"garbage\n" * 1_000)
    assert len(answers) == MAX_BAD_REQUESTS
    assert target.counts["too many requests that are none"] == 1
    assert target.said(b"x" * (MAX_REQUEST_BYTES + 10))[0]["error"]["message"].startswith("the request is longer than")
    assert target.said(b"x" * (3 * MAX_REQUEST_BYTES))[:1]
    assert target.counts["too long a request"] == 2
    assert target.still_trades()


def test_bytes_by_chance_and_requests_with_flipped_bits(target: Target) -> None:
    chance = random.Random(20261121)
    good = request_line(1, "send", PlaceOrder("c", "BTC/USD", Side.BUY, quantity=Decimal("0.001"), stop=Decimal(1000)))
    greeting = request_line(2, "hello", {"protocol": 1, "version": "0.1.0"})
    before = len(target.running.engine.state.commands)
    taken = 0
    for _ in range(150):
        broken = bytearray(chance.choice((good, greeting)))
        for _ in range(chance.randrange(1, 6)):
            broken[chance.randrange(len(broken) - 1)] = chance.randrange(256)
        sent = bytes(broken) if chance.random() < 0.7 else chance.randbytes(chance.randrange(1, 400)) + b"\n"
        for answer in target.said(sent):
            taken += "result" in answer
            assert ("result" in answer) != ("error" in answer)
    assert len(target.running.engine.state.commands) - before <= taken, "nothing was done that was not answered"
    assert target.still_trades()


def test_half_lines_and_silence_end_their_own_connection(
        target: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(tui.control_connection, "FIRST_SECONDS", 1.0)
    monkeypatch.setattr(tui.control_connection, "LINE_SECONDS", 1.0)
    calm = target.wire()
    calm.sendall(request_line(1, "ping", {}))
    assert calm.recv(1_000)
    held = [target.wire() for _ in range(MAX_CONNECTIONS - 2)]
    for place, plain in enumerate(held):
        if place % 3 == 1:
            plain.sendall(b'{"jsonrpc":"2.0","id":1,"meth')
        elif place % 3 == 2:
            plain.sendall(request_line(1, "ping", {}) + b'{"jsonrpc"')
    for plain in held:
        while plain.recv(1_000):
            pass
        plain.close()
    assert target.counts["a request that never came whole"] == MAX_CONNECTIONS - 2
    assert len([one for one in caplog.records if "never came whole" in one.getMessage()]) == 1
    calm.sendall(request_line(2, "ping", {}))  # one that was understood may be silent as long as it likes, as a subscriber is
    assert calm.recv(1_000)
    calm.close()
    assert target.still_trades()


def test_one_that_does_not_read_costs_a_bounded_number_of_bytes_and_then_its_connection(
        target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tui.control_connection, "STALL_SECONDS", 1.0)
    deaf = target.wire()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.settimeout(5)
    with contextlib.suppress(OSError):  # the engine stops reading once so many calls wait to be answered
        for number in range(200_000):
            deaf.sendall(request_line(number, "snapshot", {}))
    until(lambda: target.counts.get("a client that does not read"))
    assert MAX_CALLS_IN_FLIGHT <= 8
    deaf.close()
    assert target.still_trades()


def test_crowds_are_turned_away_and_leave_room_again(target: Target) -> None:
    crowd = [ControlClient(target.path, "0.1.0") for _ in range(MAX_CONNECTIONS)]
    with pytest.raises(EngineUnreachable, match="too many connections"):
        ControlClient(target.path, "0.1.0")
    assert target.counts["too many connections"] >= 1
    receipts = [client.send_now(PlaceOrder(f"crowd{place}", "NOPE", Side.BUY, quantity=Decimal(1)))
                for place, client in enumerate(crowd)]
    assert not any(receipt.accepted for receipt in receipts)
    for client in crowd:
        client.close()
    until(lambda: target.running.engine.pulses.queues["control clients"] == 0)
    assert target.still_trades()


def test_a_subscriber_that_hangs_does_not_keep_snapshots_from_the_others(target: Target) -> None:
    hung = target.wire()
    hung.sendall(request_line(1, "subscribe", {}))
    client = ControlClient(target.path, "0.1.0")

    async def watched() -> int:
        seen = 0
        async for _ in client.snapshots():
            seen += 1
            if seen == 5:
                break
        return seen

    assert asyncio.run(asyncio.wait_for(watched(), PATIENCE_SECONDS)) == 5
    client.close()
    hung.close()
    assert target.still_trades()


def test_text_from_a_client_reaches_log_and_alert_as_plain_text(target: Target, caplog: pytest.LogCaptureFixture) -> None:
    target.said(b'\x1b]0;owned\x07\n')
    target.said(b'{"jsonrpc":"2.0","id":1,"method":"\\u001b[2J"}\n')
    assert "\x1b" not in "".join(record.getMessage() for record in caplog.records)
    assert msgspec.json.encode(target.running.engine.latest().alerts).find(b"\\u001b") == -1
