"""What an outcome of a request means. One table for statuses, one for exceptions; what neither lists proves nothing, so it
is unanswered.

| what came back | an order | a cancel | a question |
|---|---|---|---|
| 400, 401, 403, 422 | Refused | CancelRefused | Unanswered |
| 403 with the code of its protection against day trades | Refused, not today | CancelRefused | Unanswered |
| 422 saying that the client order id must be unique | Duplicate | CancelRefused | Unanswered |
| 404 | Unanswered | CancelRefused, unknown order | OrderMissing |
| 429 with the venue's own code: its gate turned the request away | NotSent | NotSent | Unanswered |
| any other 429 (a proxy's), 5xx, any other status, a body that cannot be read | Unanswered | Unanswered | Unanswered |
| the connection was never made, or the request could not be put together | NotSent | NotSent | Unanswered |
| any other exception: no answer in time, a broken connection | Unanswered | Unanswered | Unanswered |
"""

import ssl
from enum import Enum
from typing import NamedTuple

import msgspec

from brokers.alpaca.wire import WireError
from brokers.waiting import retry_after_seconds
from engine.inputs import NOT_TODAY, CancelAnswer, CancelRefused, Duplicate, NotSent, Refused, SubmitAnswer, Unanswered

TURNED_AWAY = "42910000"  # the venue's own code with a 429: its gate has not let the request in
KEPT_FOR_TODAY = "40310100"  # the venue's own code with a 403: what was opened today may not be closed today
LONGEST_REASON = 200
RETRY_AFTER_SECONDS = 5.0
LONGEST_RETRY_AFTER_SECONDS = 60.0


class Outcome(Enum):
    """What is known of a request that brought no good answer."""

    REFUSED = "refused"
    DUPLICATE = "duplicate"
    NOT_FOUND = "not found"
    THROTTLED = "throttled"
    UNANSWERED = "unanswered"
    NOT_SENT = "not sent"


class Fault(NamedTuple):
    """A request that brought no good answer; `retry_after_seconds` is what the venue asked us to wait."""

    outcome: Outcome
    cause: str
    code: str = ""
    retry_after_seconds: float = 0.0


STATUSES = {400: Outcome.REFUSED, 401: Outcome.REFUSED, 403: Outcome.REFUSED, 404: Outcome.NOT_FOUND, 422: Outcome.REFUSED,
            429: Outcome.THROTTLED}

NEVER_SENT = frozenset({"ConnectTimeout", "InvalidHeader", "InvalidProxyURL", "InvalidSchema", "InvalidURL", "MissingSchema"})
"""Exceptions of requests that come before anything has left."""

NO_CONNECTION = frozenset({"NewConnectionError", "NameResolutionError", "ConnectTimeoutError"})
"""Reasons, in urllib3's words, for which requests reports that it could not connect."""


def fault_of(error: Exception) -> Fault:
    """What an exception of alpaca-py, or of what it is built on, says of the request.

    Only the class is told, never the exception's own text: some of them quote headers, and the key is one."""
    from brokers.alpaca.sdk import APIError

    if isinstance(error, APIError):
        return _of_status(error)
    name = type(error).__name__
    invalid = _certificate_fault(error)
    if invalid:
        return Fault(Outcome.NOT_SENT, f"the venue's certificate is not valid: {invalid}")
    if name in NEVER_SENT or _could_not_connect(error):
        return Fault(Outcome.NOT_SENT, f"no connection to the venue ({name})")
    if isinstance(error, msgspec.MsgspecError | ValueError | KeyError | ArithmeticError):
        return Fault(Outcome.UNANSWERED, f"the venue's answer could not be read ({name})")
    return Fault(Outcome.UNANSWERED, f"the venue did not answer ({name})")


def _of_status(error: Exception) -> Fault:
    status = getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    body = _refusal_in(str(error))
    reason = readable(body.message) or f"HTTP status {status}"
    outcome = STATUSES.get(status or 0, Outcome.UNANSWERED)
    if outcome is Outcome.UNANSWERED:
        return Fault(outcome, f"HTTP status {status}")
    if outcome is Outcome.THROTTLED:
        return Fault(outcome, "too many requests for the venue (429)", str(body.code or 429), _retry_after(response))
    if status == 422 and "client_order_id" in reason and "unique" in reason:
        outcome = Outcome.DUPLICATE
    return Fault(outcome, reason, str(body.code or status))


def _refusal_in(text: str) -> WireError:
    try:
        return msgspec.json.decode(text, type=WireError)
    except msgspec.MsgspecError:
        return WireError()


def readable(text: str) -> str:
    """The venue's words as one plain line."""
    return "".join(sign if sign.isprintable() else " " for sign in text)[:LONGEST_REASON].strip()


def _retry_after(response: object) -> float:
    asked = retry_after_seconds(str(getattr(response, "headers", {}).get("Retry-After", "")))
    return RETRY_AFTER_SECONDS if asked is None else min(asked, LONGEST_RETRY_AFTER_SECONDS)


def _could_not_connect(error: Exception) -> bool:
    """Whether requests wraps a failure to connect: then nothing has left us."""
    if type(error).__name__ != "ConnectionError" or not error.args:
        return False
    return type(getattr(error.args[0], "reason", None)).__name__ in NO_CONNECTION


def _certificate_fault(error: Exception) -> str:
    """What is wrong with the venue's certificate, where that ended the handshake, before anything was sent."""
    wrapped = getattr(error.args[0] if error.args else None, "reason", None)
    inner = wrapped.args[0] if isinstance(wrapped, Exception) and wrapped.args else None
    return inner.verify_message if isinstance(inner, ssl.SSLCertVerificationError) else ""


def submit_answer(fault: Fault) -> SubmitAnswer:
    """The answer to an order."""
    if fault.outcome is Outcome.REFUSED:
        return Refused(fault.cause, NOT_TODAY if fault.code == KEPT_FOR_TODAY else fault.code)
    if fault.outcome is Outcome.DUPLICATE:
        return Duplicate()
    if fault.outcome is Outcome.NOT_SENT or (fault.outcome is Outcome.THROTTLED and fault.code == TURNED_AWAY):
        return NotSent(fault.cause)
    return Unanswered(fault.cause)


def cancel_answer(fault: Fault) -> CancelAnswer:
    """The answer to a cancel."""
    if fault.outcome in (Outcome.REFUSED, Outcome.DUPLICATE):
        return CancelRefused(fault.cause)
    if fault.outcome is Outcome.NOT_FOUND:
        return CancelRefused(fault.cause, unknown_order=True)
    if fault.outcome is Outcome.NOT_SENT or (fault.outcome is Outcome.THROTTLED and fault.code == TURNED_AWAY):
        return NotSent(fault.cause)
    return Unanswered(fault.cause)
