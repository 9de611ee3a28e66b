"""Signed signals from outside: orders by them; everything hostile refused, counted, logged once, and the engine unaffected."""

import http.client
import json
import random
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.config import check_config
from engine.config_webhook import WebhookSourceConfig
from engine.errors import UsageError
from engine.inputs import ClosePosition, PlaceOrder
from engine.runner import Engine
from store.home import open_home
from store.nonces import NonceBook
from tests.unit.venue_homes import memory_keyring
from tui.cli import run
from tui.compose import open_engine
from tui.http_server import HttpServer
from tui.running_engine import RunningEngine
from tui.webhook import Webhook, signature_of
from tui.webhook_signals import command_of, signal_of

KEY = "a-secret-of-the-sender"
SOURCE = WebhookSourceConfig(name="charts", symbols=("BTC/USD", "ETH/USD"), per_minute=60)
AUTO = '[market]\nalways_open = true\n[[portfolio]]\nname = "main"\naccount = "paper"\nautomation = "{level}"\n'
BUY = {"id": "s1", "act": "buy", "symbol": "BTC/USD", "quantity": "0.01", "stop": "1000"}


class Hook:
    """A webhook on a running engine, and ways to send it things."""

    def __init__(self, running: RunningEngine, path: Path, source: WebhookSourceConfig) -> None:
        self.running, self.source, self.path = running, source, path
        self.server = self.begun()

    @property
    def engine(self) -> Engine:
        return self.running.engine

    def begun(self) -> HttpServer:
        def app() -> Any:
            return Webhook(self.engine, (self.source,), {"charts": KEY}, NonceBook(self.path), self.engine.pulses,
                           window_seconds=60, largest_bytes=2_048, now_seconds=time.time).app()

        server = HttpServer("webhook", app, "127.0.0.1", 0, self.engine.pulses)
        server.start()
        assert server.settled.wait(30) and not server.failure
        return server

    def restart(self) -> None:
        self.server.close()
        self.server = self.begun()

    def post(self, body: bytes, headers: dict[str, str], path: str = "/hook/charts",
             method: str = "POST") -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else {}
        finally:
            connection.close()

    def send(self, signal: object, **changes: Any) -> tuple[int, dict[str, Any]]:
        body = signal if isinstance(signal, bytes) else json.dumps(signal).encode()
        return self.post(changes.pop("body", body), signed(body, **changes))

    @property
    def orders(self) -> int:
        return len(self.engine.state.orders) + len(self.engine.state.closed)


def signed(body: bytes, *, at: float | None = None, nonce: str = "", key: str = KEY) -> dict[str, str]:
    timestamp, nonce = str(int(time.time() if at is None else at)), nonce or secrets.token_urlsafe(16)
    return {"X-Quarterdeck-Timestamp": timestamp, "X-Quarterdeck-Nonce": nonce,
            "X-Quarterdeck-Signature": signature_of(key, timestamp, nonce, body)}


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Callable[..., Hook]]:
    opened: list[Hook] = []

    def begin(level: str = "auto_execute", source: WebhookSourceConfig = SOURCE) -> Hook:
        home = open_home(tmp_path / "h")
        config = check_config(AUTO.format(level=level), "config.toml").config
        assert config is not None
        hook = Hook(open_engine(home, config, serve=False), home.path / "webhook.db", source)
        opened.append(hook)
        deadline = time.monotonic() + 30
        while not any(one.symbol == "BTC/USD" and one.bid for one in hook.engine.latest().quotes):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return hook

    yield begin
    for hook in opened:
        hook.server.close()
        hook.running.close()


def test_a_signal_becomes_an_order_once_however_often_it_is_sent(hooked: Callable[..., Hook]) -> None:
    hook = hooked()
    status, receipt = hook.send(BUY)
    assert status == 200, receipt
    assert receipt["accepted"] and len(receipt["order_ids"]) >= 1
    made = hook.orders
    status, again = hook.send(BUY)
    assert status == 200 and again["text"].startswith("already done")
    hook.restart()
    assert hook.send(BUY)[0] == 200 and hook.orders == made
    order = next(iter([*hook.engine.state.orders.values(), *hook.engine.state.closed.values()]))
    assert order.intent.strategy == "webhook:charts"


def test_where_a_person_decides_a_signal_is_a_pending_trade(hooked: Callable[..., Hook]) -> None:
    hook = hooked("suggest_only")
    status, receipt = hook.send(BUY)
    assert status == 200 and receipt["proposal_id"] and hook.orders == 0


def test_a_portfolio_that_only_monitors_does_nothing_at_a_signal(hooked: Callable[..., Hook]) -> None:
    hook = hooked("monitor_only")
    assert hook.send(BUY)[0] == 422
    status, receipt = hook.send({"id": "s2", "act": "close", "symbol": "BTC/USD"})
    assert status == 422 and "only monitors" in receipt["refusal"]["message"] and hook.orders == 0


def test_a_replay_is_refused_over_a_restart_too(hooked: Callable[..., Hook]) -> None:
    hook = hooked("suggest_only")
    body = json.dumps(BUY).encode()
    headers = signed(body)
    assert hook.post(body, headers)[0] == 200
    assert hook.post(body, headers) == (409, {"accepted": False, "error": "this nonce was used before"})
    hook.restart()
    assert hook.post(body, headers)[0] == 409


def test_hostile_requests_are_refused_counted_logged_once_and_the_engine_goes_on(
        hooked: Callable[..., Hook], caplog: pytest.LogCaptureFixture) -> None:
    hook = hooked()
    body = json.dumps(BUY).encode()
    seq = hook.engine.state.session_seq
    for status, found in (
            (401, hook.send(BUY, key="another")), (401, hook.send(BUY, body=body + b" ")),
            (401, hook.send(BUY, at=time.time() - 61)),
            (401, hook.send(BUY, at=time.time() + 600)), (401, hook.send(BUY, nonce="short")), (401, hook.post(body, {})),
            (401, hook.post(body, signed(body) | {"X-Quarterdeck-Signature": "A" * 64})),
            (401, hook.post(body, signed(body) | {"X-Quarterdeck-Timestamp": "9" * 400})),
            (401, hook.post(body, signed(body), "/hook/nobody")), (401, hook.post(body, signed(body), "/hook/%2e%2e%2fcharts")),
            (404, hook.post(body, signed(body), "/hook/../charts")),
            (404, hook.post(body, signed(body), "/hook/charts/../../etc")),
            (404, hook.post(body, signed(body), "/")), (405, hook.post(b"", {}, method="GET")),
            (413, hook.send(b"x" * 2_049)), (400, hook.send(b"\x00\xff not json")), (400, hook.send(b"[" * 2_000)),
            (400, hook.send({**BUY, "by": "user"})), (400, hook.send({**BUY, "symbol": "../../x y"})),
            (400, hook.send({**BUY, "quantity": "NaN"})), (400, hook.send({**BUY, "quantity": "-1"})),
            (400, hook.send({**BUY, "symbol": "DOGE/USD"}))):
        assert found[0] == status, found
    assert hook.orders == 0 and hook.engine.defects == 0 and hook.engine.state.session_seq == seq
    counts = hook.engine.pulses.counts
    assert (counts["webhook refused 401"], counts["webhook refused 400"], counts["webhook refused 413"]) == (10, 7, 1)
    logged = [record for record in caplog.records if record.name == "quarterdeck.webhook"]
    assert sorted(str(record.args[0]) for record in logged if isinstance(record.args, tuple)) == ["400", "401", "413"]
    assert KEY not in caplog.text


def test_a_sender_from_elsewhere_and_one_that_sends_too_often_are_refused(hooked: Callable[..., Hook]) -> None:
    hook = hooked("suggest_only", WebhookSourceConfig(name="charts", per_minute=2, allow_from=("127.0.0.0/8",)))
    assert [hook.send({**BUY, "id": f"s{number}"})[0] for number in range(3)] == [200, 200, 429]
    assert hook.send(BUY, key="another")[0] == 401, "a stranger's noise does not use up what a source may send"
    hook.source = WebhookSourceConfig(name="charts", allow_from=("10.0.0.0/8",))
    hook.restart()
    body = json.dumps(BUY).encode()
    assert hook.post(body, signed(body) | {"X-Forwarded-For": "10.0.0.7", "Forwarded": "for=10.0.0.7"})[0] == 403


def test_garbage_on_the_wire_ends_its_own_connection_alone(hooked: Callable[..., Hook], caplog: pytest.LogCaptureFixture) -> None:
    hook = hooked("suggest_only")
    for garbage in (b"\x16\x03\x01\x02\x00" * 50, b"POST /hook/charts HTTP/9.9\r\n\r\n",
                    b"GET " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
                    b"POST /hook/charts HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
                    b"POST /hook/charts HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", hook.server.port), timeout=30) as wire:
            wire.sendall(garbage)
            assert b" 400 " in wire.recv(4_096).split(b"\r\n")[0] + b" "
    assert "Traceback" not in caplog.text
    assert hook.send(BUY)[0] == 200


def test_signals_with_flipped_bits_are_never_taken(hooked: Callable[..., Hook]) -> None:
    hook = hooked()
    chance = random.Random(7)
    body = json.dumps(BUY).encode()
    for _ in range(120):
        headers, sent = signed(body), bytearray(body)
        name = chance.choice([*headers, ""])
        if name:
            value = list(headers[name])
            value[chance.randrange(len(value))] = chance.choice("0123456789abcdefXYZ -_.\u00e9")
            changed = "".join(value)
            if changed.strip() == headers[name]:
                continue
            headers[name] = changed
        else:
            sent[chance.randrange(len(sent))] ^= 1 << chance.randrange(8)
        assert hook.post(bytes(sent), headers)[0] in (400, 401)
    assert hook.orders == 0 and hook.engine.defects == 0
    assert hook.send(BUY)[0] == 200


def test_a_disk_that_takes_no_nonce_lets_nothing_through(hooked: Callable[..., Hook]) -> None:
    hook = hooked()
    with NonceBook(hook.path)._database as held:  # the write lock of another process
        held.execute("BEGIN EXCLUSIVE")
        status, answer = hook.send(BUY)
        held.execute("ROLLBACK")
    assert (status, answer["error"]) == (503, "nothing can be recorded") and hook.orders == 0
    assert hook.send(BUY)[0] == 200


def test_a_signal_is_its_command_and_nothing_more() -> None:
    sell = b'{"id":"7","act":"sell","symbol":"ETH/USD","risk_percent":"0.5","stop":"9","limit":"8"}'
    placed = command_of(SOURCE, signal_of(sell))
    assert isinstance(placed, PlaceOrder)
    assert (placed.command_id, placed.origin, placed.by) == ("webhook:charts:7", "webhook:charts", "webhook:charts")
    closed = command_of(SOURCE, signal_of(b'{"id":"8","act":"close","symbol":"ETH/USD"}'))
    assert closed == ClosePosition("webhook:charts:8", "ETH/USD", "main", None, by="webhook:charts")
    for text in (b'{"id":"8","act":"close","symbol":"X","stop":"1"}', b'{"id":"8","act":"buy","symbol":"X"}',
                 b'{"id":"8","act":"buy","symbol":"X","quantity":"1","risk_percent":"1"}', b"null", b'{"id":"a b"}'):
        with pytest.raises(UsageError):
            signal_of(text)


def test_a_secret_is_made_shown_once_and_forgotten(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    tmp_path.chmod(0o700)
    (tmp_path / "config.toml").write_text('[[webhook_source]]\nname = "charts"\n')
    with memory_keyring():
        assert run(["webhook", "secret", "nobody"]) == 2
        assert run(["webhook", "secret", "charts"]) == 0
        first = capsys.readouterr().out.strip()
        assert len(first) >= 43 and run(["webhook", "secret", "charts"]) == 2
        assert run(["webhook", "secret", "charts", "--yes"]) == 0
        assert capsys.readouterr().out.strip() != first
        assert run(["webhook", "status", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["sources"][0]["stored"] is True
        assert run(["webhook", "delete", "charts", "--yes"]) == 0
        assert run(["webhook", "delete", "charts", "--yes"]) == 1


@pytest.mark.parametrize(("text", "told"), [
    ('[[webhook_source]]\nname = "a"\nallow_from = ["here"]', "neither an address nor a network"),
    ('[[webhook_source]]\nname = "a"\nallow_from = []', "at least 1"),
    ('[[webhook_source]]\nname = "a"\nportfolio = "x"', "no such portfolio"),
    ('[webhook]\nhost = "example.com"', "must be an address"),
    ('[[webhook_source]]\nname = "a"\nsecret = "x"', "secrets never live")])
def test_a_source_that_cannot_be_meant_is_refused(text: str, told: str) -> None:
    errors = check_config(text, "config.toml").errors
    assert len(errors) == 1 and told in errors[0]
