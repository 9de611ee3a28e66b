"""Every class of ccxt's exceptions as an answer; a class that a new version brings fails here until somebody judges it."""

import socket
from collections.abc import Iterator

import pytest

from brokers.ccxt_venue.answers import (
    OUTCOMES,
    HeldBack,
    Outcome,
    answer_of,
    cause_of,
    code_of,
    never_connected,
    outcome_of,
    reason_of,
)
from engine.inputs import Duplicate, NotSent, Refused, Unanswered

REFUSED, UNANSWERED, NOT_SENT = Outcome.REFUSED, Outcome.UNANSWERED, Outcome.NOT_SENT
EXPECTED = {
    "BaseError": UNANSWERED,
    "ExchangeError": UNANSWERED,
    "AuthenticationError": REFUSED, "PermissionDenied": REFUSED, "AccountNotEnabled": REFUSED, "AccountSuspended": REFUSED,
    "ArgumentsRequired": REFUSED, "BadRequest": REFUSED, "BadSymbol": REFUSED,
    "OperationRejected": REFUSED, "NoChange": REFUSED, "MarginModeAlreadySet": REFUSED, "MarketClosed": REFUSED,
    "ManualInteractionNeeded": REFUSED, "RestrictedLocation": REFUSED,
    "InsufficientFunds": REFUSED,
    "InvalidAddress": UNANSWERED, "AddressPending": UNANSWERED,
    "InvalidOrder": REFUSED, "OrderNotFound": UNANSWERED, "OrderNotCached": REFUSED, "OrderImmediatelyFillable": REFUSED,
    "OrderNotFillable": REFUSED, "DuplicateOrderId": Outcome.DUPLICATE, "ContractUnavailable": REFUSED,
    "NotSupported": REFUSED, "InvalidProxySettings": NOT_SENT, "ExchangeClosedByUser": NOT_SENT,
    "OperationFailed": UNANSWERED, "NetworkError": UNANSWERED, "DDoSProtection": UNANSWERED, "RateLimitExceeded": UNANSWERED,
    "ExchangeNotAvailable": UNANSWERED, "OnMaintenance": UNANSWERED, "InvalidNonce": UNANSWERED, "ChecksumError": UNANSWERED,
    "RequestTimeout": UNANSWERED, "BadResponse": UNANSWERED, "NullResponse": UNANSWERED, "CancelPending": UNANSWERED,
    "UnsubscribeError": UNANSWERED,
}
ANSWERS = {REFUSED: Refused, UNANSWERED: Unanswered, NOT_SENT: NotSent, Outcome.DUPLICATE: Duplicate}


def classes() -> Iterator[type[Exception]]:
    """Every exception class that ccxt has, found by walking its tree."""
    from ccxt.base import errors

    waiting: list[type[Exception]] = [errors.BaseError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith("ccxt.base"):
            yield kind


def test_every_class_of_ccxt_has_been_judged() -> None:
    assert sorted(kind.__name__ for kind in classes()) == sorted(EXPECTED)


def test_every_class_becomes_the_answer_that_was_decided() -> None:
    for kind in classes():
        error = kind("the venue said something")
        assert outcome_of(error) is EXPECTED[kind.__name__], kind
        assert isinstance(answer_of(error), ANSWERS[EXPECTED[kind.__name__]]), kind


def test_the_table_names_no_class_that_ccxt_does_not_have() -> None:
    assert set(OUTCOMES) <= set(EXPECTED)


@pytest.mark.parametrize("error", [RuntimeError("?"), KeyError("symbol"), TimeoutError(), TypeError("None + str"), OSError()])
def test_what_is_not_ccxts_proves_nothing(error: Exception) -> None:
    assert isinstance(answer_of(error), Unanswered)


def test_a_subclass_that_nobody_listed_is_judged_by_its_parent() -> None:
    from ccxt.base.errors import InvalidOrder, NetworkError

    class NewRefusal(InvalidOrder):  # type: ignore[misc]
        pass

    class NewFailure(NetworkError):  # type: ignore[misc]
        pass

    assert isinstance(answer_of(NewRefusal("no")), Refused)
    assert isinstance(answer_of(NewFailure("hm")), Unanswered)


@pytest.mark.parametrize("text", [
    'binance {"code":-2010,"msg":"Duplicate order sent."}', "EOrder:Duplicate cl_ord_id", "duplicate clientOrderId",
    "client_order_id abc is already used", "Client order id already exists",
])
def test_a_duplicate_told_in_words_is_good_news(text: str) -> None:
    from ccxt.base.errors import InvalidOrder

    assert answer_of(InvalidOrder(text)) == Duplicate()


def test_a_key_without_the_right_is_refused_and_a_ban_is_not() -> None:
    from ccxt.base.errors import DDoSProtection

    text = 'binance {"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'
    assert answer_of(DDoSProtection(text)) == Refused("Invalid API-key, IP, or permissions for action.", "-2015")
    assert isinstance(answer_of(DDoSProtection('binance {"code":-1003,"msg":"Way too many requests."}')), NotSent)


@pytest.mark.parametrize(("text", "answer"), [
    ('binance {"code":-1015,"msg":"Too many new orders."}', NotSent),
    ('binance {"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}', NotSent),
    ('kraken {"error":["EOrder:Rate limit exceeded"]}', NotSent), ('kraken {"error":["EAPI:Invalid nonce"]}', NotSent),
    ("binance 429 <html>Too Many Requests</html>", Unanswered), ('binance {"code":-1006,"msg":"-1003"}', Unanswered)])
def test_only_the_venues_own_words_prove_that_a_request_was_turned_away(text: str, answer: type[object]) -> None:
    from ccxt.base.errors import DDoSProtection, InvalidNonce, RateLimitExceeded, RequestTimeout

    assert all(isinstance(answer_of(kind(text)), answer) for kind in (DDoSProtection, InvalidNonce, RateLimitExceeded))
    assert isinstance(answer_of(RequestTimeout(text)), Unanswered)


def test_a_refusal_has_the_venues_words_and_no_address() -> None:
    from ccxt.base.errors import BadRequest, InvalidOrder

    told = answer_of(InvalidOrder('binance {"code":-1013,"msg":"Filter failure: NOTIONAL"}'))
    assert told == Refused("Filter failure: NOTIONAL", "-1013")
    hidden = answer_of(BadRequest("binance GET https://api.binance.com/api/v3/order?signature=abcdef 400 Bad\nRequest"))
    assert hidden == Refused("binance GET 400 Bad Request", "BadRequest")


def test_an_empty_message_still_says_what_it_was() -> None:
    from ccxt.base.errors import RequestTimeout

    assert reason_of(RequestTimeout()) == "RequestTimeout"
    assert code_of(RequestTimeout()) == "RequestTimeout"


def test_no_connection_is_not_sent_and_a_lost_one_is_unanswered() -> None:
    import aiohttp
    from ccxt.base.errors import ExchangeNotAvailable, RequestTimeout

    def raised_from(outer: Exception, inner: Exception) -> Exception:
        outer.__cause__ = inner
        return outer

    key = aiohttp.client_reqrep.ConnectionKey(
        "h", 1, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    refused = aiohttp.ClientConnectorError(key, ConnectionRefusedError(111, "refused"))
    assert isinstance(answer_of(raised_from(ExchangeNotAvailable("x"), refused)), NotSent)
    assert isinstance(answer_of(raised_from(ExchangeNotAvailable("x"), socket.gaierror(-2, "no such name"))), NotSent)
    assert isinstance(answer_of(raised_from(RequestTimeout("x"), aiohttp.ConnectionTimeoutError())), NotSent)
    assert isinstance(answer_of(raised_from(RequestTimeout("x"), aiohttp.SocketTimeoutError())), Unanswered)
    assert isinstance(answer_of(raised_from(ExchangeNotAvailable("x"), aiohttp.ServerDisconnectedError())), Unanswered)
    assert not never_connected(TimeoutError())
    assert cause_of(raised_from(ExchangeNotAvailable("x"), refused)) == "no connection (refused)"
    assert cause_of(raised_from(ExchangeNotAvailable("x"), socket.gaierror(-2, "no such name"))) == "no connection (no such host)"


def test_what_our_own_limiter_held_back_was_not_sent() -> None:
    assert answer_of(HeldBack("binance asked to wait another 7 s")) == NotSent("binance asked to wait another 7 s")
