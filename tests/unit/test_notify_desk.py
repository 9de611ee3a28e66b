"""Notices on their way through apprise to a local server: told, refused, slow, unreachable, and no secret in any word."""

import logging
import time

import pytest

from brokers.notifiers.desk import NO_ADDRESS, NotifyDesk, SentNotice
from brokers.notifiers.heartbeat import Heartbeat, ask
from brokers.notifiers.outbox import Outbox, Terms
from brokers.notifiers.routes import Route
from brokers.notifiers.sending import UNKNOWN_ADDRESS, problem_of, send
from engine.effects import Notify
from engine.service import AlertLevel, AlertView
from tests.unit.listening import listening

CRIT, ERROR = AlertLevel.CRIT, AlertLevel.ERROR
HIDDEN = "hidden-path"


@pytest.mark.slow
def test_a_notice_reaches_the_service_as_plain_text() -> None:
    with listening() as service:
        assert send(f"json://127.0.0.1:{service.port}/{HIDDEN}", CRIT, "a *title*", "<b>text</b> & \\n more") == ""
        assert service.told == [("a *title*", "<b>text</b> & \\n more")]


def test_why_a_service_was_not_told_is_said_without_its_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with listening() as service:
        address = f"json://user:{HIDDEN}@127.0.0.1:{service.port}/{HIDDEN}"
        service.status = 403
        refused = send(address, ERROR, "title", "text")
    gone = send(address, ERROR, "title", "text")
    unknown = send(f"nonsense://{HIDDEN}", ERROR, "title", "text")
    assert (refused, gone, unknown) == ("the service answered 403", "the service cannot be reached", UNKNOWN_ADDRESS)
    assert HIDDEN not in caplog.text
    assert problem_of(f"nonsense://{HIDDEN}") == UNKNOWN_ADDRESS and problem_of(address) == ""


def test_a_desk_tells_each_route_records_it_and_stops_asking_once_acknowledged() -> None:
    records: list[SentNotice] = []
    shown: list[AlertView] = []
    raised_ns = time.time_ns()
    with listening() as service:
        address = f"json://127.0.0.1:{service.port}"
        desk = NotifyDesk(Outbox([Route("phone"), Route("lost")], Terms(acknowledge_seconds=1)), {"phone": address}, "PAPER",
                          records.append)
        desk.start(lambda: list(shown))
        desk.notify(Notify(CRIT, "halted everything", "by hand", "halted:everything", "", raised_ns))
        service.until(lambda: len(service.told) >= 2)
        assert service.told[0] == ("PAPER CRIT halted everything", "by hand")
        assert "not acknowledged" in service.told[1][1]
        shown.append(AlertView("halted:everything", raised_ns, CRIT, "halted", "everything", "by hand", True, 1))
        service.until(lambda: desk.standing().unacknowledged == 0)
        desk.close(10.0)
    assert {(one.route, one.failure) for one in records} == {("phone", ""), ("lost", NO_ADDRESS)}


def test_a_slow_service_holds_up_neither_the_engine_nor_another_route() -> None:
    with listening() as slow, listening() as quick:
        slow.gate.clear()
        addresses = {"slow": f"json://127.0.0.1:{slow.port}", "quick": f"json://127.0.0.1:{quick.port}"}
        desk = NotifyDesk(Outbox([Route("slow"), Route("quick")], Terms()), addresses, "PAPER", lambda _: None)
        desk.start(tuple)
        desk.notify(Notify(ERROR, "one", "text", "one"))
        slow.until(lambda: slow.heard)
        desk.notify(Notify(ERROR, "two", "text", "two"))
        quick.until(lambda: len(quick.told) == 2)
        assert len(slow.heard) == 1
        slow.gate.set()
        slow.until(lambda: len(slow.told) == 2)
        desk.close(10.0)


def test_whatever_breaks_while_telling_stays_at_the_desk() -> None:
    def broken_record(_: SentNotice) -> None:
        raise OSError("the disk is full")

    def broken_service(*_: object) -> str:
        raise RuntimeError(f"trouble at {HIDDEN}")

    desk = NotifyDesk(Outbox([Route("phone")], Terms()), {"phone": HIDDEN}, "PAPER", broken_record, broken_service)
    desk.start(lambda: [None])  # type: ignore[list-item] # what it shows is broken too
    desk.notify(Notify(ERROR, "one", "text", "one"))
    with listening() as clock:
        clock.until(lambda: desk.standing().counts.failed == 1)
    desk.notify(None)  # type: ignore[arg-type] # and so is this notice
    desk.notify(Notify(ERROR, "two", "text", "two"))
    with listening() as clock:
        clock.until(lambda: desk.standing().counts.failed == 2)
    desk.close(10.0)


def test_signs_of_life_are_given_only_while_all_is_well() -> None:
    ailing = ["it hangs"]
    with listening() as service:
        heart = Heartbeat(f"http://127.0.0.1:{service.port}/beat", "POST", 0.01)
        looks: list[int] = []

        def trouble() -> str:
            looks.append(1)
            return ailing[0]

        heart.start(trouble)
        service.until(lambda: len(looks) > 3)
        assert service.heard == []
        ailing[0] = ""
        service.until(lambda: len(service.heard) > 2)
        heart.close(10.0)
        assert set(service.heard) == {("POST", "/beat", b"")}


def test_a_sign_of_life_that_is_not_taken_says_why_without_the_address() -> None:
    with listening() as service:
        service.status = 404
        assert ask(f"http://127.0.0.1:{service.port}/{HIDDEN}", "GET") == "the service answered 404"
        port = service.port
    assert HIDDEN not in ask(f"http://127.0.0.1:{port}/{HIDDEN}", "GET")
    assert "must be an address" in ask("file:///etc/passwd", "GET")
