"""Notices on the command line and from an engine that serves a home, against a local server."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import check_config, load_config
from engine.errors import EngineUnreachable
from engine.health import NO_SIGN
from engine.inputs import AcknowledgeAlert, SetTradingState, TradingState
from engine.units import NS_PER_SECOND
from store.home import Home, open_home
from tests.unit.listening import Listener, listening
from tests.unit.venue_homes import memory_keyring
from tui.cli import run
from tui.compose import open_engine

CONFIG = """
[market]
always_open = true
[notify]
acknowledge_seconds = 10
heartbeat_minutes = 1.0
[[notify_route]]
name = "phone"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "h"
    path.mkdir(mode=0o700)
    (path / "config.toml").write_text(CONFIG)
    monkeypatch.setenv("QUARTERDECK_HOME", str(path))
    with memory_keyring():
        yield path


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = run(list(arguments))
    told = capsys.readouterr()
    return status, told.out, told.err


def store(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, address: str) -> int:
    monkeypatch.setattr(sys, "stdin", io.StringIO(address + "\n"))
    status, out, err = said(capsys, "notify", "set", name, "--stdin")
    assert address not in out + err
    return status


def test_an_address_is_stored_tried_listed_and_forgotten_and_never_shown(
        home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with listening() as service:
        assert said(capsys, "notify", "test", "phone")[0] == 1
        assert store(monkeypatch, capsys, "phone", f"json://127.0.0.1:{service.port}/hidden") == 0
        assert store(monkeypatch, capsys, "heartbeat", f"http://127.0.0.1:{service.port}/beat") == 0
        status, out, _ = said(capsys, "notify", "test", "--json")
        assert status == 0 and json.loads(out)["told"] is True
        assert service.told == [("Quarterdeck: a test", "this route works; nothing has happened")]
        service.status = 500
        status, out, err = said(capsys, "notify", "test", "phone")
        assert (status, out) == (1, "") and err == "quarterdeck: phone was not told: the service answered 500\n"
    facts = json.loads(said(capsys, "notify", "list", "--json")[1])
    assert facts["routes"][0]["stored"] is True and "FAILED: the service answered 500" in facts["routes"][0]["last"]
    assert facts["heartbeat"] == {"minutes": 1.0, "method": "GET", "stored": True}
    assert [one["failure"] for one in json.loads(said(capsys, "notify", "log", "--json")[1])] == ["", "the service answered 500"]
    assert "phone" not in said(capsys, "keys", "list")[1], "an address is no account's key"
    assert "hidden" not in "".join(said(capsys, "notify", what)[1] for what in ("list", "log"))
    assert said(capsys, "notify", "delete", "phone", "--yes")[0] == 0
    assert said(capsys, "notify", "delete", "phone", "--yes")[0] == 1


def test_what_cannot_be_an_address_or_a_route_is_refused_in_one_line(
        home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert store(monkeypatch, capsys, "phone", "nonsense://hidden") == 2
    assert store(monkeypatch, capsys, "heartbeat", "json://127.0.0.1") == 2
    status, _, err = said(capsys, "notify", "test", "nobody")
    assert status == 2 and err.count("\n") == 1 and "config.toml has: phone, heartbeat" in err


@pytest.mark.parametrize(("section", "told"), [
    ('name = "heartbeat"', "already taken"), ('name = "a"\nportfolios = ["none"]', 'no portfolio is named "none"'),
    ('name = "a"\nquiet_from = "22:00"', "need both"), ('name = "a"\nlevel = "LOUD"', "must be one of INFO"),
    ('name = "a"\nurl = "x"', "unknown key"), ('name = "a"\nzone = "Mars"', "time zone")])
def test_a_route_that_cannot_be_meant_is_refused(section: str, told: str) -> None:
    errors = check_config(f"[[notify_route]]\n{section}\n", "config.toml").errors
    assert len(errors) == 1 and told in errors[0]


@pytest.fixture
def service(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Listener]:
    with listening() as made:
        assert store(monkeypatch, capsys, "phone", f"json://127.0.0.1:{made.port}") == 0
        assert store(monkeypatch, capsys, "heartbeat", f"http://127.0.0.1:{made.port}/beat") == 0
        yield made


def test_an_engine_tells_of_a_halt_until_it_is_acknowledged_and_again_after_a_restart(home: Path, service: Listener) -> None:
    opened = open_home(home)
    with open_engine(opened, load_config(opened.config)) as running:
        service.until(lambda: ("GET", "/beat", b"") in service.heard)
        running.link.send_now(SetTradingState("h1", TradingState.HALTED, "main", "a trial", "tester"))
        service.until(lambda: service.told)
        assert service.told[0] == ("PAPER CRIT [main] halted main", "a trial")
    service.heard.clear()
    with open_engine(opened, load_config(opened.config)) as running:
        service.until(lambda: ("GET", "/beat", b"") in service.heard)
        service.until(lambda: running.engine.pulses.queues.get("acknowledgements") == 1)
    assert service.told == [], "it was told a moment ago; a service manager may start an engine every few seconds"
    let_time_pass(opened)
    with open_engine(opened, load_config(opened.config)) as running:
        service.until(lambda: service.told)
        assert service.told[0][0] == "PAPER CRIT [main] halted main"
        running.link.send_now(AcknowledgeAlert("a1", "halted:main"))
    service.heard.clear()
    with open_engine(opened, load_config(opened.config)):
        service.until(lambda: ("GET", "/beat", b"") in service.heard)
    assert service.told == []


def test_that_the_engine_failed_is_told_also_by_a_slow_service(
        home: Path, service: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.compose_notify.LAST_NOTICES_SECONDS", 0.01)
    opened = open_home(home)
    running = open_engine(opened, load_config(opened.config))
    service.until(lambda: ("GET", "/beat", b"") in service.heard)
    service.gate.clear()
    running.engine.stop()
    assert running.engine.join(30)
    running.engine.failure = "the engine stopped: a trial"
    ending = threading.Thread(target=running.close)
    ending.start()
    service.until(lambda: service.told)
    assert ending.is_alive(), "it waits until the service has answered"
    service.gate.set()
    ending.join(30)
    assert service.told == [("PAPER CRIT the engine has stopped", "the engine stopped: a trial")]
    assert json.loads((opened.logs / "notices.jsonl").read_text().splitlines()[-1])["failure"] == ""


def test_a_start_after_a_kill_tells_that_nobody_watched_and_one_after_a_clean_end_does_not(home: Path, service: Listener) -> None:
    opened = open_home(home)
    for _ in range(2):
        with open_engine(opened, load_config(opened.config)):
            service.until(lambda: ("GET", "/beat", b"") in service.heard)
        service.heard.clear()
    (home / "engine.lock.pid").write_text("4711\n")  # what a killed one leaves behind
    with open_engine(opened, load_config(opened.config)):
        service.until(lambda: service.told)
    title, text = service.told[0]
    assert title == "PAPER ERROR the engine was gone" and "process 4711" in text
    service.heard.clear()
    with open_engine(opened, load_config(opened.config)):
        service.until(lambda: ("GET", "/beat", b"") in service.heard)
    assert service.told == []


def test_a_sign_of_life_that_nobody_takes_shows_in_health(
        home: Path, service: Listener, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_home(home)
    service.status = 404
    with open_engine(opened, load_config(opened.config)) as running:
        service.until(lambda: running.engine.pulses.counts.get(NO_SIGN) == 1)
    service.status = 200
    with open_engine(opened, load_config(opened.config)) as running:
        service.until(lambda: running.engine.pulses.counts.get(NO_SIGN) == 0)
    assert said(capsys, "notify", "delete", "heartbeat", "--yes")[0] == 0
    with open_engine(opened, load_config(opened.config)) as running:
        assert running.engine.pulses.counts.get(NO_SIGN) == 1


def let_time_pass(home: Home) -> None:
    """What was told, was told a quarter of an hour ago."""
    lines = [json.loads(line) for line in (home.logs / "notices.jsonl").read_text().splitlines()]
    aged = [line | {"at_ns": line["at_ns"] - 900 * NS_PER_SECOND} for line in lines]
    (home.logs / "notices.jsonl").write_text("".join(json.dumps(line) + "\n" for line in aged))


def test_a_record_that_was_tampered_with_keeps_no_engine_from_starting(home: Path, service: Listener) -> None:
    opened = open_home(home)
    odd = [{"alert_id": "x", "at_ns": 1, "raised_ns": 1, "level": "LOUD"}, {"alert_id": 3}, {}, {"alert_id": "x", "at_ns": "1"},
           {"alert_id": "x", "at_ns": 1, "raised_ns": 1, "level": ["CRIT"]}]
    (opened.logs / "notices.jsonl").write_text("\0\n" + "".join(json.dumps(line) + "\n" for line in odd))
    with open_engine(opened, load_config(opened.config)):
        service.until(lambda: ("GET", "/beat", b"") in service.heard)


def test_an_engine_without_any_address_still_runs(home: Path) -> None:
    opened = open_home(home)
    with open_engine(opened, load_config(opened.config)) as running:
        assert running.link.send_now(SetTradingState("h1", TradingState.HALTED, "main", "a trial", "tester")).accepted
    with pytest.raises(EngineUnreachable):
        running.link.send_now(SetTradingState("h2", TradingState.ACTIVE, "main", "", "tester"))
