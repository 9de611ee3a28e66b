"""What can go wrong between the adapter and Alpaca, through the real client library: each request goes once, and its outcome
is told as what it proves."""

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from brokers.alpaca.broker import AlpacaBroker
from brokers.alpaca.endpoints import AlpacaEndpoints
from brokers.alpaca.pace import RequestPace
from engine.errors import ConfigError, KeyRefused, VenueUnreachable
from engine.inputs import (
    Accepted,
    CancelRefused,
    Duplicate,
    NotSent,
    OrderMissing,
    OrderReport,
    Refused,
    Unanswered,
    VenueCapabilities,
    VenueReport,
)
from engine.orders import OrderKind, Purpose, Side
from tests.conformance.alpaca_desk import AlpacaDesk, endpoints_at, until
from tests.conformance.alpaca_server.account import coin, share
from tests.conformance.alpaca_server.server import KEY, AlpacaServer
from tests.conformance.desk import ACCOUNT, START_NS, bracket, intent

ORDERS = "/v2/orders"


@pytest.fixture
async def desk() -> AsyncIterator[AlpacaDesk]:
    desk = AlpacaDesk(share("AAPL"))
    await desk.open()
    await desk.quote(9_990, 10_010)
    yield desk
    await desk.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come is waited for a moment only."""
    from brokers.alpaca import sdk

    monkeypatch.setattr(sdk._Once, "timeouts", (0.3, 0.3))


# ---- an order goes once ----


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, -1])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after it was carried out"])
async def test_an_order_is_sent_once_and_its_fate_is_open(desk: AlpacaDesk, status: int, after: bool) -> None:
    desk.server.fail_next("POST", ORDERS, status, after=after, headers=(("Retry-After", "0"),))
    answers = await desk.broker.submit([intent("m")])
    assert [type(answer) for answer in answers] == [Unanswered]
    assert desk.server.count("POST", ORDERS) == 1
    await desk.settle()
    found = await desk.broker.order("m")
    assert isinstance(found, OrderReport if after else OrderMissing)
    assert (await desk.broker.submit([intent("m")])) == [Duplicate()] if after else True
    assert await desk.lots_held() == (10 if after else 0)


@pytest.mark.usefixtures("impatient")
async def test_an_order_without_an_answer_in_time_is_sent_once(desk: AlpacaDesk) -> None:
    desk.server.fail_next("POST", ORDERS, 0, after=True)
    assert [type(answer) for answer in await desk.broker.submit([intent("m")])] == [Unanswered]
    assert desk.server.count("POST", ORDERS) == 1
    await desk.settle()
    assert await desk.lots_held() == 10


@pytest.mark.parametrize("body", ["", "null", "[]", "{}", "<html></html>", '{"id": "x"}', "\x00",
                                  '{"id": "x", "client_order_id": "other", "status": "new"}'])
async def test_an_answer_that_cannot_be_read_proves_nothing(desk: AlpacaDesk, body: str) -> None:
    desk.server.fail_next("POST", ORDERS, 200, body=body, after=True)
    assert [type(answer) for answer in await desk.broker.submit([intent("m")])] == [Unanswered]
    assert desk.server.count("POST", ORDERS) == 1


@pytest.mark.parametrize(("status", "body"), [
    (400, '{"code": 1, "message": "bad"}'), (401, '{"message": "unauthorized."}'),
    (403, '{"message": "insufficient buying power"}'),
    (422, '{"code": 42210000, "message": "sub-penny increment"}')])
async def test_a_refusal_is_a_refusal(desk: AlpacaDesk, status: int, body: str) -> None:
    desk.server.fail_next("POST", ORDERS, status, body=body)
    answer = (await desk.broker.submit([intent("m")]))[0]
    assert isinstance(answer, Refused)
    assert answer.reason in body


async def test_nobody_listening_means_not_sent(desk: AlpacaDesk) -> None:
    await desk.server.close()
    assert [type(answer) for answer in await desk.broker.submit([intent("m")])] == [NotSent]
    assert isinstance(await desk.broker.cancel("", "some-order"), NotSent)
    assert isinstance(await desk.broker.cancel("m", ""), NotSent)
    assert isinstance(await desk.broker.cancel_all(), Unanswered)
    assert isinstance(await desk.broker.order("m"), Unanswered)
    assert isinstance(await desk.broker.report(0, ()), Unanswered)


async def test_before_connecting_and_after_closing_nothing_is_sent(desk: AlpacaDesk) -> None:
    await desk.broker.close()
    asked = len(desk.server.requests)
    assert [type(answer) for answer in await desk.broker.submit([intent("m")])] == [NotSent]
    assert isinstance(await desk.broker.cancel("m", ""), NotSent)
    assert isinstance(await desk.broker.cancel_all(), Unanswered)
    assert isinstance(await desk.broker.order("m"), Unanswered)
    assert isinstance(await desk.broker.report(0, ()), Unanswered)
    assert len(desk.server.requests) == asked


# ---- cancels ----


@pytest.mark.parametrize(("status", "answer"), [(404, CancelRefused), (422, CancelRefused), (500, Unanswered), (504, Unanswered),
                                                (-1, Unanswered)])
async def test_the_fate_of_a_cancel(desk: AlpacaDesk, status: int, answer: type) -> None:
    placed = (await desk.broker.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)]))[0]
    assert isinstance(placed, Accepted)
    path = f"{ORDERS}/{placed.venue_order_id}"
    desk.server.fail_next("DELETE", path, status)
    assert isinstance(await desk.broker.cancel("l", ""), answer)
    assert desk.server.count("DELETE", path) == 1


async def test_a_failed_cancel_all_is_unanswered(desk: AlpacaDesk) -> None:
    desk.server.fail_next("DELETE", ORDERS, 500)
    assert isinstance(await desk.broker.cancel_all(), Unanswered)
    desk.server.fail_next("DELETE", ORDERS, 207, body="nonsense")
    assert isinstance(await desk.broker.cancel_all(), Unanswered)


# ---- a report is complete or none ----


@pytest.mark.parametrize("path", ["/v2/clock", "/v2/account/activities/FILL", "/v2/orders", "/v2/positions", "/v2/account",
                                  "/v2/orders:by_client_order_id"])
@pytest.mark.parametrize(("status", "body"), [(500, "{}"), (404, "{}"), (200, '{"nonsense": [1'), (200, '"text"')])
async def test_one_missing_part_is_no_report(desk: AlpacaDesk, path: str, status: int, body: str) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    desk.server.fail_next("GET", path, status, body=body)
    answer = await desk.broker.report(0, ["m"])
    if (path, status) == ("/v2/orders:by_client_order_id", 404):
        assert isinstance(answer, VenueReport)
        assert isinstance(answer.looked_up[0], OrderMissing)
        return
    assert isinstance(answer, Unanswered), path


async def test_all_pages_are_read(desk: AlpacaDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from brokers.alpaca import account

    monkeypatch.setattr(account, "ACTIVITIES_A_PAGE", 3)
    monkeypatch.setattr(account, "ORDERS_A_PAGE", 2)
    for number in range(7):
        await desk.broker.submit([intent(f"m{number}", order_lots=1)])
        await desk.broker.submit([intent(f"l{number}", kind=OrderKind.LIMIT, limit_ticks=9_000, order_lots=1)])
    await desk.settle()
    report = await desk.report()
    assert sorted(fill.client_order_id for fill in report.fills) == [f"m{number}" for number in range(7)]
    assert [each.client_order_id for each in report.open_orders] == [f"l{number}" for number in range(7)]
    assert desk.server.count("GET", "/v2/account/activities/FILL") == 3


async def test_a_page_that_never_ends_is_no_report(desk: AlpacaDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from brokers.alpaca import account

    monkeypatch.setattr(account, "ACTIVITIES_A_PAGE", 1)
    monkeypatch.setattr(account, "MOST_PAGES", 3)
    for number in range(5):
        await desk.broker.submit([intent(f"m{number}", order_lots=1)])
    assert isinstance(await desk.broker.report(0, ()), Unanswered)


async def test_a_new_process_knows_executions_of_an_old_one(desk: AlpacaDesk) -> None:
    await desk.broker.submit([intent("m")])
    await desk.settle()
    fresh = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL"], endpoints=endpoints_at(desk.server))
    await fresh.connect(desk.messages.append)
    report = await fresh.report(0, ())
    assert isinstance(report, VenueReport)
    assert [(fill.client_order_id, fill.key) for fill in report.fills] == [("m", desk.fills()[0].key)]
    await fresh.close()


async def test_what_is_held_besides_the_symbols_is_listed() -> None:
    server = AlpacaServer([share("AAPL"), share("MSFT")], START_NS)
    await server.open()
    server.account.quote("MSFT", Decimal(50), Decimal(51))
    server.account.place({"symbol": "MSFT", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day",
                          "client_order_id": "by hand"})
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL"], endpoints=endpoints_at(server))
    listed = await broker.connect(lambda _message: None)
    assert [instrument.instrument_id for instrument in listed] == ["AAPL@alpaca", "MSFT@alpaca"]
    report = await broker.report(0, ())
    assert isinstance(report, VenueReport)
    assert [(each.instrument_id, each.lots) for each in report.positions] == [("MSFT@alpaca", 3)]
    assert [(fill.client_order_id, fill.last_lots) for fill in report.fills] == [("by hand", 3)]
    await broker.close()
    await server.close()


# ---- the rate ----


async def test_entries_leave_room_for_exits() -> None:
    pace = RequestPace(3, 1, longest_wait_seconds=0.02)
    assert [await pace.take(urgent=False) for _ in range(3)] == [True, True, False]
    assert [await pace.take(urgent=True) for _ in range(2)] == [True, False]


async def test_an_entry_without_a_place_is_not_sent(desk: AlpacaDesk) -> None:
    desk.broker._rest._pace = RequestPace(2, 1, longest_wait_seconds=0.02)  # type: ignore[union-attr]
    answers = await desk.broker.submit([intent("a"), intent("b")])
    assert [type(answer) for answer in answers] == [Accepted, NotSent]
    exit_order = intent("c", Side.SELL, purpose=Purpose.EXIT)
    assert [type(answer) for answer in await desk.broker.submit([exit_order])] == [Accepted]


async def test_a_pause_that_the_venue_asks_for_holds_everything(desk: AlpacaDesk) -> None:
    desk.broker._rest._pace = RequestPace(100, 1, longest_wait_seconds=0.02)  # type: ignore[union-attr]
    desk.server.fail_next("POST", ORDERS, 429, headers=(("Retry-After", "30"),))
    await desk.broker.submit([intent("a")])
    asked = len(desk.server.requests)
    assert [type(answer) for answer in await desk.broker.submit([intent("b", purpose=Purpose.EXIT)])] == [NotSent]
    assert len(desk.server.requests) == asked


# ---- opening ----


async def test_a_wrong_key_is_told_without_showing_it(desk: AlpacaDesk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    broker = AlpacaBroker(ACCOUNT, lambda: ("PKWRONG", "the-wrong-secret"), paper=True, symbols=["AAPL"],
                          endpoints=endpoints_at(desk.server))
    with pytest.raises(KeyRefused, match="refuses the key") as raised:
        await broker.connect(desk.messages.append)
    shown = f"{raised.value} {broker!r} {vars(broker)} {caplog.text}"
    assert "the-wrong-secret" not in shown
    assert "PKWRONG" not in shown


async def test_the_key_is_in_no_log_and_no_repr(desk: AlpacaDesk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await desk.broker.connect(desk.messages.append)
    await desk.broker.submit([intent("m")])
    desk.server.fail_next("POST", ORDERS, 500)
    await desk.broker.submit([intent("n")])
    shown = f"{desk.broker!r} {vars(desk.broker)} {caplog.text}"
    assert not any(part in shown for part in KEY)


@pytest.mark.parametrize("symbols", [["AAPL", "NOPE"], ["AAPL", "ETH/USD"]])
async def test_a_symbol_that_is_not_there_is_named(desk: AlpacaDesk, symbols: list[str]) -> None:
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=symbols, endpoints=endpoints_at(desk.server))
    with pytest.raises(ConfigError, match=symbols[1]):
        await broker.connect(desk.messages.append)


async def test_nobody_there_cannot_be_opened() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    endpoints = AlpacaEndpoints(nowhere, nowhere, "ws://127.0.0.1:9/stream", "ws://127.0.0.1:9")
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL"], endpoints=endpoints)
    with pytest.raises(VenueUnreachable, match=nowhere):
        await broker.connect(lambda _message: None)


async def test_the_clocks_are_compared(desk: AlpacaDesk) -> None:
    ours_ns = time.time_ns()
    theirs_ns = desk.server.account.venue.cursor_ns
    await desk.broker.connect(desk.messages.append)
    assert abs(desk.broker.clock_skew_ns - (theirs_ns - ours_ns)) < 60 * 10 ** 9
    before_ns = desk.broker.clock_skew_ns
    desk.server.account.advance(3_600)
    told = await desk.report()  # every report measures again
    assert told.clock_ahead_ns == -desk.broker.clock_skew_ns
    assert abs(desk.broker.clock_skew_ns - before_ns - 3_600 * 10 ** 9) < 60 * 10 ** 9


def test_capabilities_are_those_of_what_is_traded() -> None:
    shares = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL"]).capabilities
    mixed = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL", "BTC/USD"]).capabilities
    assert shares == VenueCapabilities(stop=True, bracket=True, oco=True, reduce_only=False, trailing=True, idempotent_ids=True,
                                       children_wait=True)
    assert mixed == VenueCapabilities(stop=True, bracket=False, oco=False, reduce_only=False, trailing=False, idempotent_ids=True)


async def test_a_report_says_whose_the_account_is_and_what_bars_it(desk: AlpacaDesk) -> None:
    free = await desk.broker.report(0, ())
    desk.server.account.may_trade = False
    blocked = await desk.broker.report(0, ())
    assert isinstance(free, VenueReport)
    assert isinstance(blocked, VenueReport)
    assert free.all_held, "its list of positions leaves out nothing"
    assert (free.owner, free.barred) == (desk.server.account.account()["id"], "")
    assert (blocked.owner, blocked.barred) == (free.owner, "the venue has blocked the account from trading (status ACTIVE)")


async def test_what_is_listed_no_more_does_not_keep_the_rest_from_trading_and_what_is_held_is_traded_unnamed() -> None:
    server = AlpacaServer([share("AAPL"), share("MSFT")], START_NS)
    await server.open()
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL", "GONE"], endpoints=endpoints_at(server))
    with pytest.raises(ConfigError, match="does not trade GONE"):
        await broker.connect(lambda _message: None)
    broker.remembered.listed, broker.remembered.held = frozenset({"GONE"}), ("MSFT",)
    listed = await broker.connect(lambda _message: None)
    assert [one.symbol for one in listed] == ["AAPL", "MSFT"]
    assert broker.remembered.gone == ("GONE",)
    await broker.close()
    await server.close()


async def test_a_request_that_hangs_holds_up_no_other() -> None:
    server = AlpacaServer([share("AAPL"), share("MSFT")], START_NS)
    await server.open()
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL", "MSFT"], endpoints=endpoints_at(server))
    await broker.connect(lambda _message: None)
    server.fail_next("POST", "/v2/orders", 0)
    hanging = asyncio.create_task(broker.submit(bracket("first", instrument_id="AAPL@alpaca")))
    await until(lambda: server.count("POST", "/v2/orders") == 1)
    answers = await broker.submit(bracket("second", instrument_id="MSFT@alpaca"))
    assert [type(answer) for answer in answers] == [Accepted] * 3
    assert not hanging.done()
    await broker.close()
    await server.close()
    await hanging


async def test_a_held_coin_that_nobody_names_is_protected_as_coins_are() -> None:
    server = AlpacaServer([share("AAPL"), coin("BTC/USD")], START_NS)
    await server.open()
    broker = AlpacaBroker(ACCOUNT, lambda: KEY, paper=True, symbols=["AAPL"], endpoints=endpoints_at(server))
    assert broker.capabilities.oco
    broker.remembered.held = ("BTC/USD",)
    await broker.connect(lambda _message: None)
    assert not broker.capabilities.oco, "its stop, which stands alone, would be taken away for a pair that the venue refuses"
    await broker.close()
    await server.close()
