"""Every status and every exception has one meaning, and what nobody listed proves nothing."""

import inspect
import ssl

import pytest
import requests
from alpaca.common import exceptions as alpaca_faults
from requests import exceptions as faults
from urllib3 import exceptions as inner

from brokers.alpaca.answers import STATUSES, Fault, Outcome, cancel_answer, fault_of, submit_answer
from brokers.alpaca.sdk import APIError
from engine.inputs import NOT_TODAY, CancelRefused, Duplicate, NotSent, Refused, Unanswered

NEVER_LEFT = {"ConnectTimeout", "InvalidURL", "MissingSchema", "InvalidSchema", "InvalidHeader", "InvalidProxyURL"}


def api_error(status: int, body: str = "", **headers: str) -> Exception:
    response = requests.Response()
    response.status_code = status
    response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return APIError(body, faults.HTTPError(response=response))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(("status", "answer"), [
    (400, Refused), (401, Refused), (403, Refused), (404, Unanswered), (408, Unanswered), (409, Unanswered), (418, Unanswered),
    (422, Refused), (429, Unanswered), (500, Unanswered), (502, Unanswered), (503, Unanswered), (504, Unanswered)])
def test_each_status_of_an_order(status: int, answer: type) -> None:
    assert type(submit_answer(fault_of(api_error(status, '{"code": 1, "message": "said"}')))) is answer


@pytest.mark.parametrize(("status", "answer", "unknown"), [
    (400, CancelRefused, False), (401, CancelRefused, False), (403, CancelRefused, False), (404, CancelRefused, True),
    (422, CancelRefused, False), (429, Unanswered, None), (500, Unanswered, None), (504, Unanswered, None)])
def test_each_status_of_a_cancel(status: int, answer: type, unknown: bool | None) -> None:
    given = cancel_answer(fault_of(api_error(status, '{"code": 1, "message": "said"}')))
    assert type(given) is answer
    assert getattr(given, "unknown_order", None) is unknown


def test_a_refusal_tells_reason_and_code() -> None:
    fault = fault_of(api_error(403, '{"code": 40310000, "message": "insufficient buying power"}'))
    assert submit_answer(fault) == Refused("insufficient buying power", "40310000")


def test_a_close_that_must_wait_for_tomorrow_is_told_apart() -> None:
    words = "trade denied due to pattern day trading protection"
    fault = fault_of(api_error(403, f'{{"code": 40310100, "message": "{words}"}}'))
    assert submit_answer(fault) == Refused(words, NOT_TODAY)


@pytest.mark.parametrize(("body", "answer"), [
    ('{"code": 40010001, "message": "client_order_id must be unique"}', Duplicate()),
    ('{"code": 40010001, "message": "client_order_id must be no more than 128 characters"}',
     Refused("client_order_id must be no more than 128 characters", "40010001")),
    ("<html>Unprocessable</html>", Refused("HTTP status 422", "422")),
    ('{"message": 7}', Refused("HTTP status 422", "422"))])
def test_a_duplicate_is_told_from_other_faults_of_the_id(body: str, answer: object) -> None:
    assert submit_answer(fault_of(api_error(422, body))) == answer


@pytest.mark.parametrize(("body", "answer"), [
    ('{"code": 42910000, "message": "rate limit exceeded"}', NotSent), ('{"message": "rate limit exceeded"}', Unanswered),
    ("<html>Too Many Requests</html>", Unanswered)])
def test_only_the_venues_own_code_proves_that_a_request_was_turned_away(body: str, answer: type[object]) -> None:
    fault = fault_of(api_error(429, body))
    assert fault.outcome is Outcome.THROTTLED
    assert isinstance(submit_answer(fault), answer)
    assert isinstance(cancel_answer(fault), answer)


@pytest.mark.parametrize(("header", "seconds"), [
    ("2", 2.0), ("0.5", 0.5), ("soon", 5.0), ("-3", 0.0), ("9999", 60.0), (None, 5.0),
    ("nan", 5.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("Fri, 31 Dec 2100 23:59:59 GMT", 60.0)])
def test_how_long_the_venue_asks_to_wait(header: str | None, seconds: float) -> None:
    headers = {} if header is None else {"Retry_After": header}
    fault = fault_of(api_error(429, "slow down", **headers))
    assert (fault.outcome, fault.retry_after_seconds) == (Outcome.THROTTLED, seconds)


def test_the_venues_words_become_one_plain_line() -> None:
    fault = fault_of(api_error(403, '{"message": "no\\u001b[31m\\nshares' + "x" * 500 + '"}'))
    assert fault.cause.startswith("no [31m shares")
    assert fault.cause.isprintable()
    assert len(fault.cause) <= 200


def exception_classes() -> list[type[Exception]]:
    found = [each for _, each in inspect.getmembers(faults, inspect.isclass) if issubclass(each, Exception)]
    found += [alpaca_faults.RetryException]
    return [*found, TimeoutError, OSError, ConnectionResetError, KeyError, ValueError, RuntimeError, MemoryError]


@pytest.mark.parametrize("kind", exception_classes(), ids=lambda kind: kind.__name__)
def test_each_exception_of_requests(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "it quotes the-secret")
    fault = fault_of(error)
    assert (fault.outcome is Outcome.NOT_SENT) == (kind.__name__ in NEVER_LEFT)
    assert fault.outcome in (Outcome.NOT_SENT, Outcome.UNANSWERED)
    assert "the-secret" not in fault.cause
    assert type(submit_answer(fault)) is (NotSent if kind.__name__ in NEVER_LEFT else Unanswered)


@pytest.mark.parametrize(("reason", "outcome"), [
    (inner.NewConnectionError(None, "refused"), Outcome.NOT_SENT),  # type: ignore[arg-type]
    (inner.NameResolutionError("venue", None, OSError()), Outcome.NOT_SENT),  # type: ignore[arg-type]
    (inner.ConnectTimeoutError(), Outcome.NOT_SENT),
    (inner.ProtocolError("aborted"), Outcome.UNANSWERED),
    (inner.ReadTimeoutError(None, "", ""), Outcome.UNANSWERED)])  # type: ignore[arg-type]
def test_only_a_connection_that_was_never_made_proves_that_nothing_left(reason: Exception, outcome: Outcome) -> None:
    wrapped = faults.ConnectionError(inner.MaxRetryError(None, "/v2/orders", reason))  # type: ignore[arg-type]
    assert fault_of(wrapped).outcome is outcome


def test_a_certificate_that_does_not_hold_up_ends_before_anything_left() -> None:
    invalid = ssl.SSLCertVerificationError("certificate verify failed")
    invalid.verify_message = "certificate has expired"
    for inside, outcome in ((invalid, Outcome.NOT_SENT), (ssl.SSLEOFError("eof in violation of protocol"), Outcome.UNANSWERED)):
        broken = faults.SSLError(inner.MaxRetryError(None, "/v2/orders", inner.SSLError(inside)))  # type: ignore[arg-type]
        assert fault_of(broken).outcome is outcome
    assert "certificate has expired" in fault_of(
        faults.SSLError(inner.MaxRetryError(None, "/", inner.SSLError(invalid)))).cause  # type: ignore[arg-type]


def test_a_broken_connection_without_a_reason_is_unanswered() -> None:
    assert fault_of(faults.ConnectionError()).outcome is Outcome.UNANSWERED
    assert fault_of(faults.ConnectionError("Connection aborted.")).outcome is Outcome.UNANSWERED


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_an_answer_for_orders_and_cancels(outcome: Outcome) -> None:
    fault = Fault(outcome, "because")
    assert submit_answer(fault) is not None
    assert cancel_answer(fault) is not None


def test_the_table_lists_no_status_that_may_have_been_carried_out() -> None:
    assert all(400 <= status < 500 for status in STATUSES)
