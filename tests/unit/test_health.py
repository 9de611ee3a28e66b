"""Health as every surface tells it: the lines of a snapshot, `/health` and `/metrics` over HTTP, the commands."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from engine.config import check_config
from engine.health import (
    CLOCK_AHEAD,
    DISK_FREE,
    IN_VAIN,
    NO_SIGN,
    TABLES_STOPPED,
    engines_now_ns,
    health_lines,
    trouble_of,
    verdict_of,
)
from engine.health_words import HealthLine, Verdict, WorkerView
from engine.inputs import Connectivity, SetTradingState, TradingState
from engine.pulses import Pulses
from engine.service import Mode, Snapshot
from engine.units import NS_PER_SECOND
from store.home import open_home
from tests.tui.views import account, health, position, snapshot
from tui.cli import run
from tui.compose import open_engine
from tui.http_server import HttpServer, is_own_host
from tui.metrics import health_app, metrics_text

WELL = snapshot(alerts=(), positions=(position(),), proposals=(), accounts=(account(quote_age_seconds=0.4),))


def lines_of(found: Snapshot, later_seconds: float = 0.5) -> dict[str, HealthLine]:
    return {line.subject: line for line in health_lines(found, found.at_ns + int(later_seconds * NS_PER_SECOND))}


def with_health(**changes: object) -> Snapshot:
    return msgspec.structs.replace(WELL, health=msgspec.structs.replace(health(), **changes))


def test_a_healthy_engine_has_no_trouble() -> None:
    found = lines_of(WELL)
    assert verdict_of(tuple(found.values())) is Verdict.OK and trouble_of(tuple(found.values())) == ""
    assert found["account paper-1"].found.endswith("the newest quote is 0 s old")


@pytest.mark.parametrize(("ailing", "subject", "verdict"), [
    (with_health(unwritable="the disk is full"), "journal", Verdict.FAIL),
    (with_health(journal_lag_ms=1_500.0), "journal", Verdict.WARN),
    (with_health(defects=1), "defects", Verdict.FAIL),
    (with_health(queue_depth=6_000), "queues", Verdict.WARN),
    (with_health(workers=(WorkerView("clock", 16.0, 15.0),)), "worker clock", Verdict.FAIL),
    (with_health(counts={"notices told": 4, "notices failed": 3, "notices dropped": 1}), "notices", Verdict.WARN),
    (with_health(counts={DISK_FREE: 499}), "disk", Verdict.WARN),
    (with_health(counts={"webhook does not listen": 1}), "webhook", Verdict.WARN),
    (with_health(counts={NO_SIGN: 1}), "sign of life", Verdict.WARN),
    (with_health(counts={TABLES_STOPPED: 1}), "tables", Verdict.WARN),
    (with_health(counts={"notices told": 4}, queues={IN_VAIN: 2}), "notices", Verdict.WARN),
    (with_health(counts={"notices told": 4}, queues={"routes without an address": 1}), "notices", Verdict.WARN),
    (msgspec.structs.replace(WELL, accounts=(account(connectivity=Connectivity.RECONCILING),)), "account paper-1", Verdict.FAIL),
    (msgspec.structs.replace(WELL, accounts=(account(drift=("AAPL: ours 1, venue 0",)),)), "account paper-1", Verdict.FAIL),
    (msgspec.structs.replace(WELL, accounts=(account(quote_age_seconds=61.0),)), "account paper-1", Verdict.FAIL),
    (msgspec.structs.replace(WELL, accounts=(account(trading_state=TradingState.HALTED),)), "portfolio main", Verdict.WARN),
    (msgspec.structs.replace(WELL, positions=(position(unprotected_now=True),)), "protection", Verdict.FAIL)])
def test_each_trouble_is_told_with_what_to_do(ailing: Snapshot, subject: str, verdict: Verdict) -> None:
    line = lines_of(ailing)[subject]
    assert line.verdict is verdict and line.remedy
    others = [one.subject for one in lines_of(ailing).values() if one.verdict is not Verdict.OK and one is not line]
    assert set(others) <= {subject}


def test_an_engine_that_says_nothing_fails_but_a_tape_that_stands_still_does_not() -> None:
    assert lines_of(WELL, later_seconds=16)["engine"].verdict is Verdict.FAIL
    assert lines_of(msgspec.structs.replace(WELL, mode=Mode.REPLAY), later_seconds=9_999)["engine"].verdict is Verdict.OK


def test_an_engine_that_hangs_is_found_out_also_after_the_clock_was_set_back() -> None:
    """The engine's time does not go back: beside a wall clock that is an hour behind, it seems to speak from the future."""
    wall_ns = WELL.at_ns - 3_600 * NS_PER_SECOND
    set_back = with_health(counts={CLOCK_AHEAD: 3_600})
    fresh = health_lines(set_back, engines_now_ns(set_back, wall_ns + NS_PER_SECOND))
    hanging = health_lines(set_back, engines_now_ns(set_back, wall_ns + 60 * NS_PER_SECOND))
    assert trouble_of(fresh) == "" and trouble_of(hanging) == "engine: has said nothing for 60 s"


def test_a_worker_is_overdue_only_where_it_promised_to_come_back() -> None:
    now = [100.0]
    pulses = Pulses(lambda: now[0])
    pulses.beat("clock", 15.0)
    pulses.beat("feed")
    now[0] += 15.5
    assert [(one.name, one.overdue) for one in pulses.views()] == [("clock", True), ("feed", False)]
    pulses.end("clock")
    assert [one.name for one in pulses.views()] == ["feed"]


@pytest.fixture
def serve() -> Iterator[Callable[[Snapshot], HttpServer]]:
    servers: list[HttpServer] = []

    def begin(found: Snapshot) -> HttpServer:
        made = lambda: health_app(lambda: found, "127.0.0.1", lambda: found.at_ns)  # noqa: E731 - as the server wants it
        server = HttpServer("health", made, "127.0.0.1", 0, Pulses())
        servers.append(server)
        server.start()
        assert server.settled.wait(30) and not server.failure
        return server

    yield begin
    for server in servers:
        server.close()


def asked(server: HttpServer, path: str, method: str = "GET", host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, headers={"Host": host} if host else {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_health_over_http_is_the_verdict(serve: Callable[[Snapshot], HttpServer]) -> None:
    status, body = asked(serve(WELL), "/health")
    assert status == 200 and json.loads(body)["verdict"] == "ok"
    status, body = asked(serve(with_health(unwritable="the disk is full")), "/health")
    assert status == 503
    assert {"verdict": "fail", "subject": "journal", "found": "cannot be written: the disk is full",
            "remedy": "free space, or repair the disk"} in json.loads(body)["lines"]


def test_metrics_hold_what_a_watcher_needs_and_nothing_of_what_it_is_worth(serve: Callable[[Snapshot], HttpServer]) -> None:
    found = with_health(workers=(WorkerView("clock", 0.5, 15.0),), queues={"market": 3}, events={"OrderIntended": 7},
                        counts={"notices told": 2})
    status, body = asked(serve(found), "/metrics")
    assert status == 200
    for line in ("quarterdeck_health 0.0", 'quarterdeck_worker_silent_seconds{worker="clock"} 0.5',
                 'quarterdeck_queue_waiting{queue="market"} 3.0', 'quarterdeck_events_total{kind="OrderIntended"} 7.0',
                 'quarterdeck_quote_age_seconds{account="paper-1",portfolio="main"} 0.4',
                 'quarterdeck_venue_live{account="paper-1",portfolio="main"} 1.0', "quarterdeck_defects_total 0.0",
                 'quarterdeck_positions{portfolio="main"} 1.0', 'quarterdeck_done_total{what="notices told"} 2.0'):
        assert line in body.splitlines(), line
    held = next(iter(found.positions))
    assert held.symbol not in body and str(found.accounts[0].equity) not in body


def test_what_goes_up_and_down_is_no_counter() -> None:
    text = metrics_text(with_health(counts={DISK_FREE: 700, CLOCK_AHEAD: 3, "notices told": 1}), WELL.at_ns).decode()
    assert "quarterdeck_disk_free_bytes 7.340032e+08" in text and "quarterdeck_clock_ahead_seconds 3.0" in text
    assert [line for line in text.splitlines() if line.startswith("quarterdeck_done_total")] == [
        'quarterdeck_done_total{what="notices told"} 1.0']


def test_labels_from_outside_cannot_break_the_format() -> None:
    found = msgspec.structs.replace(WELL, accounts=(account(portfolio='a"b\nc\\'),))
    assert b'portfolio="a\\"b\\nc\\\\"' in metrics_text(found, found.at_ns)


@pytest.mark.parametrize(("path", "method", "host", "status"), [
    ("/metrics", "GET", "evil.example", 403), ("/health", "GET", "evil.example:9464", 403), ("/", "GET", "", 404),
    ("/../../etc/passwd", "GET", "", 404), ("/metrics", "POST", "", 405), ("/health", "GET", "localhost:1", 200)])
def test_nothing_else_is_answered_and_no_foreign_name(serve: Callable[[Snapshot], HttpServer], path: str, method: str, host: str,
                                                      status: int) -> None:
    assert asked(serve(WELL), path, method, host)[0] == status


@pytest.mark.parametrize(("header", "own"), [("127.0.0.1:9464", True), ("[::1]:9464", True), ("[::1]", True), ("localhost", True),
                                             ("10.0.0.7:9464", True), ("10.0.0.8", False), ("localhost.evil.example", False),
                                             ("", False)])
def test_a_host_is_ours_only_by_address(header: str, own: bool) -> None:
    assert is_own_host(header, "10.0.0.7") is own


def test_a_port_that_is_taken_is_said_and_stops_nothing(serve: Callable[[Snapshot], HttpServer]) -> None:
    pulses, taken = Pulses(), serve(WELL)
    second = HttpServer("health", lambda: health_app(lambda: WELL, "127.0.0.1"), "127.0.0.1", taken.port, pulses)
    second.start()
    assert second.settled.wait(30)
    assert "cannot be listened on" in second.failure and pulses.counts == {"health does not listen": 1}
    assert lines_of(with_health(counts=pulses.counts))["health"].verdict is Verdict.WARN
    second.close()


def until_told(capsys: pytest.CaptureFixture[str], words: str) -> int:
    """The exit status of `health` once it tells of something; an engine shows it a moment later."""
    deadline = time.monotonic() + 30
    while True:
        capsys.readouterr()
        status = run(["health", "--json"])
        out = capsys.readouterr().out
        if words in out:
            return status
        assert time.monotonic() < deadline, out


def test_the_commands_tell_the_running_engines_health(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("QUARTERDECK_HOME", str(tmp_path))
    tmp_path.chmod(0o700)
    (tmp_path / "config.toml").write_text("[market]\nalways_open = true\n[health]\nport = 0\n")
    home = open_home(tmp_path)
    assert run(["health"]) == 3
    checked = check_config(home.config.read_text(), "config.toml").config
    assert checked is not None
    with open_engine(home, checked) as running:
        assert until_told(capsys, "control-socket") == 0
        running.link.send_now(SetTradingState("h1", TradingState.HALTED, "", "a trial", "tester"))
        assert until_told(capsys, "portfolio main") == 0
        assert run(["doctor", "--json"]) == 0
        findings = {line["subject"]: line for line in json.loads(capsys.readouterr().out)["findings"]}
        assert findings["running: portfolio main"]["found"] == "HALTED: a trial"
        running.engine.pulses.beat("stuck", 1e-9)
        assert until_told(capsys, "worker stuck") == 1
        assert run(["doctor"]) == 1


@pytest.mark.parametrize("text", ['host = "example.com"', "port = 70000", 'path = "/x"'])
def test_an_address_that_cannot_be_meant_is_refused(text: str) -> None:
    assert len(check_config(f"[health]\n{text}\n", "config.toml").errors) == 1
