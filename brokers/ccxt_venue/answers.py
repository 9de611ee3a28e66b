"""Every exception of ccxt as an answer, by one table.

An order is *refused* only where the class says that the venue did not take it; everything doubtful is *unanswered*, since
a resend under another id is how one order becomes two positions. A class is judged by itself or its nearest listed
ancestor. The table is by name, so that reading it loads nothing.
"""

import re
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import Final

from engine.inputs import Duplicate, NotSent, Refused, SubmitAnswer, Unanswered

REASON_CHARACTERS = 300


class Outcome(Enum):
    """What an exception proves about the order that was being sent."""

    REFUSED = "refused"
    DUPLICATE = "duplicate"
    UNANSWERED = "unanswered"
    NOT_SENT = "not sent"


OUTCOMES: Final = {
    "BaseError": Outcome.UNANSWERED,
    "ExchangeError": Outcome.UNANSWERED,  # a message that ccxt could not classify proves nothing
    "AuthenticationError": Outcome.REFUSED,
    "ArgumentsRequired": Outcome.REFUSED,
    "BadRequest": Outcome.REFUSED,
    "OperationRejected": Outcome.REFUSED,
    "InsufficientFunds": Outcome.REFUSED,
    "InvalidAddress": Outcome.UNANSWERED,  # of withdrawals; why an order should raise it is not known
    "InvalidOrder": Outcome.REFUSED,
    "OrderNotFound": Outcome.UNANSWERED,  # of queries and cancels: a hint, not a fact
    "DuplicateOrderId": Outcome.DUPLICATE,
    "NotSupported": Outcome.REFUSED,
    "InvalidProxySettings": Outcome.NOT_SENT,  # raised while the request is made ready
    "ExchangeClosedByUser": Outcome.NOT_SENT,  # raised before a session is opened
    "OperationFailed": Outcome.UNANSWERED,
    "UnsubscribeError": Outcome.UNANSWERED,
}

NEVER_CONNECTED: Final = frozenset({"ClientConnectorError", "ConnectionTimeoutError", "gaierror", "ConnectionRefusedError"})

_OS_ERRORS: Final = {"ConnectionRefusedError": "refused", "gaierror": "no such host", "ConnectionTimeoutError": "timed out"}

_DUPLICATE: Final = re.compile(
    r"duplicate (order sent|cl_?ord_?id|client ?_?order ?_?id)|client ?_?order ?_?id.{0,20}already", re.IGNORECASE)
# binance's "no right to do this": once a key was seen to work, ccxt takes it for a ban, which would leave an order's fate open
_NO_RIGHT: Final = re.compile(r'"code"\s*:\s*-2015\b')
# a request turned away before anybody looked at the order in it, in the venue's own words (binance: too much, too many orders,
# a time outside of its window; kraken); a bare 429 may come from anybody on the way, after the order too, and proves nothing
_TURNED_AWAY: Final = re.compile(
    r'"code"\s*:\s*-(?:1003|1015|1021)\b|"E(?:API|Order):(?:Rate limit exceeded|Invalid nonce)"')
_ADDRESS: Final = re.compile(r"\b(?:https?|wss?)://\S+")
_MESSAGE: Final = re.compile(r'"(?:msg|message)"\s*:\s*"([^"]+)"')
_CODE: Final = re.compile(r'"code"\s*:\s*"?(-?\w+)')


class HeldBack(Exception):
    """Our own limiter kept a request from leaving."""


def answer_of(error: BaseException) -> SubmitAnswer:
    """The answer to a submission that ended in `error`."""
    if isinstance(error, HeldBack):
        return NotSent(str(error))
    outcome = outcome_of(error)
    if is_a(error, "ExchangeError") and _DUPLICATE.search(str(error)):
        return Duplicate()  # some venues say it in words only
    if outcome is Outcome.REFUSED or (is_a(error, "DDoSProtection") and _NO_RIGHT.search(str(error))):
        return Refused(reason_of(error), code_of(error))
    if outcome is Outcome.DUPLICATE:
        return Duplicate()
    if outcome is Outcome.NOT_SENT or never_connected(error) or _turned_away(error):
        return NotSent(cause_of(error))
    return Unanswered(cause_of(error))


def outcome_of(error: BaseException) -> Outcome:
    """What the class of an exception proves: its own entry in the table, or that of its nearest listed ancestor."""
    for kind in type(error).__mro__:
        outcome = OUTCOMES.get(kind.__name__)
        if outcome is not None:
            return outcome
    return Outcome.UNANSWERED


def _turned_away(error: BaseException) -> bool:
    return is_a(error, "DDoSProtection", "RateLimitExceeded", "InvalidNonce") and bool(_TURNED_AWAY.search(str(error)))


def is_a(error: BaseException, *names: str) -> bool:
    """Whether an exception is of a ccxt class of one of these names."""
    return any(kind.__name__ in names for kind in type(error).__mro__)


def never_connected(error: BaseException) -> bool:
    """Whether no connection was made, so that nothing can have left us."""
    return any(kind.__name__ in NEVER_CONNECTED for cause in _causes(error) for kind in type(cause).__mro__)


def reason_of(error: BaseException) -> str:
    """The venue's own words, in one line, without addresses (they carry signatures)."""
    text = str(error)
    message = _MESSAGE.search(text)
    plain = " ".join(_ADDRESS.sub("", message.group(1) if message else text).split())
    return plain[:REASON_CHARACTERS] or type(error).__name__


def code_of(error: BaseException) -> str:
    """The venue's code where its message has one, otherwise the class."""
    code = _CODE.search(str(error))
    return code.group(1) if code else type(error).__name__


def cause_of(error: BaseException) -> str:
    """Why there was no answer: the class and the venue's words, or what kept a connection from being made."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError) and hasattr(cause, "verify_message"):
            return f"the venue's certificate is not valid: {cause.verify_message}"
    if never_connected(error):
        return f"no connection ({_OS_ERRORS.get(type(_innermost(error)).__name__, 'nobody answers')})"
    return f"{type(error).__name__}: {reason_of(error)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and what led to it; aiohttp keeps the operating system's as an attribute."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inner = getattr(cause, "certificate_error", None) or getattr(cause, "os_error", None)
        cause = inner if isinstance(inner, BaseException) else cause.__cause__


def _innermost(error: BaseException) -> BaseException:
    *_, last = _causes(error)
    return last
