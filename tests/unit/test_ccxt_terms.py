"""Ids, increments, limits, order terms, bars and profiles of the ccxt adapter."""

import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.ccxt_venue.balances import balances_of
from brokers.ccxt_venue.bars import MINUTE_NS, BarBuilder
from brokers.ccxt_venue.exchanges import exchange_problem
from brokers.ccxt_venue.fills import FillBook, execution_of
from brokers.ccxt_venue.known_orders import KnownOrders
from brokers.ccxt_venue.listing import DECIMAL_PLACES, SIGNIFICANT_DIGITS, TICK_SIZE, Listing, increment, instrument_of
from brokers.ccxt_venue.numbers import exact, plain
from brokers.ccxt_venue.order_terms import refusal_of, report_of, request_of
from brokers.ccxt_venue.profiles import (
    PROFILES,
    UNVERIFIED,
    capabilities_of,
    profile_of,
    stop_param,
    stops_by_features,
)
from brokers.ccxt_venue.session import Endpoints, Session, configured, hold_seconds, redirected
from brokers.ccxt_venue.wire_ids import WireIds
from engine.errors import ConfigError, InstrumentError
from engine.inputs import Bar, MarketTrade, OrderReport, VenueCapabilities
from engine.orders import ClosedAs, FillSource, OrderIntent, OrderKind, Purpose, Side, TimeInForce
from engine.units import MAX_PRODUCT

KRAKEN_IDS = WireIds(18, hex_beyond=True)
MARKET: dict[str, Any] = {
    "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "spot": True, "type": "spot", "active": True, "taker": 0.001,
    "maker": 0.0005, "precision": {"price": 0.01, "amount": 1e-05},
    "limits": {"price": {"min": 0.01, "max": 1000000.0}, "amount": {"min": 1e-05, "max": 9000.0}, "cost": {"min": 5.0}}}
COIN = instrument_of("binance", MARKET, TICK_SIZE, 8)


def intent(**more: Any) -> OrderIntent:
    terms: dict[str, Any] = {
        "client_order_id": "a1-7", "portfolio": "main", "account": "acct", "instrument_id": "BTC/USDT@binance", "side": Side.BUY,
        "order_lots": 1_000, "kind": OrderKind.LIMIT, "purpose": Purpose.ENTRY, "limit_ticks": 5_000_050}
    return OrderIntent(**{**terms, **more})


# ---- ids ---------------------------------------------------------------------------------------------------------------


@given(st.text("-0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=24))
def test_an_id_goes_out_and_comes_back(client_order_id: str) -> None:
    wire_id = KRAKEN_IDS.outward(client_order_id)
    assert wire_id is not None
    assert len(wire_id) <= 18 or len(wire_id) == 32
    assert KRAKEN_IDS.inward(wire_id) == client_order_id


@given(st.sets(st.text("-0123456789abcdefghijklmnopqrstuvwxyz", min_size=17, max_size=24), min_size=2, max_size=30))
def test_two_ids_never_meet(ids: set[str]) -> None:
    assert len({KRAKEN_IDS.outward(each) for each in ids}) == len(ids)


@pytest.mark.parametrize("foreign", ["6d1b345e-2821-40e2-ad83-4ecb18a06876", "arb-20240509-00010", "", "0" * 32, "A" * 32])
def test_what_we_did_not_make_stays_as_it_is(foreign: str) -> None:
    assert KRAKEN_IDS.inward(foreign) == foreign


@pytest.mark.parametrize(("ids", "client_order_id"), [
    (KRAKEN_IDS, "UPPERCASE-AND-LONGER-THAN-18"), (KRAKEN_IDS, "a" * 25), (WireIds(8), "123456789"), (KRAKEN_IDS, "é"),
    (KRAKEN_IDS, "")])
def test_an_id_that_a_venue_cannot_take_is_not_bent(ids: WireIds, client_order_id: str) -> None:
    assert ids.outward(client_order_id) is None


# ---- listing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("precision", "mode", "step"), [
    (0.01, TICK_SIZE, "0.01"), (1e-08, TICK_SIZE, "0.00000001"), (0.5, TICK_SIZE, "0.5"), (2, DECIMAL_PLACES, "0.01"),
    (0, DECIMAL_PLACES, "1"), (-1, DECIMAL_PLACES, "10"), (8, DECIMAL_PLACES, "0.00000001")])
def test_precision_is_a_step_in_either_mode(precision: float, mode: int, step: str) -> None:
    assert increment(precision, mode, "x") == Decimal(step)


@pytest.mark.parametrize(("precision", "mode"), [(None, TICK_SIZE), (5, SIGNIFICANT_DIGITS), (0, TICK_SIZE), (-1, TICK_SIZE)])
def test_precision_that_is_no_step_is_refused(precision: Any, mode: int) -> None:
    with pytest.raises(InstrumentError):
        increment(precision, mode, "binance BTC/USDT price")


def test_a_market_becomes_an_instrument() -> None:
    assert (COIN.tick_size, COIN.lot_size, COIN.min_lots, COIN.min_notional_minor) == (
        Decimal("0.01"), Decimal("0.00001"), 1, 5 * 10 ** 8)
    assert (COIN.taker_fee_ppm, COIN.maker_fee_ppm, COIN.shortable, COIN.session) == (1_000, 500, False, "24/7")
    assert (COIN.max_ticks, COIN.max_lots) == (10 ** 8, 9 * 10 ** 8)


@given(tick=st.integers(-8, 1), lot=st.integers(-8, 3), money=st.integers(0, 8),
       price=st.none() | st.decimals("0.00000001", "100000", allow_nan=False, places=8))
def test_products_fit_whatever_a_venue_lists(tick: int, lot: int, money: int, price: Decimal | None) -> None:
    market = {**MARKET, "precision": {"price": 10.0 ** tick, "amount": 10.0 ** lot}, "limits": {}}
    value = Decimal(1).scaleb(tick + lot + money)
    if value * Decimal(10) ** 9 >= MAX_PRODUCT:
        with pytest.raises(InstrumentError, match="too fine"):
            instrument_of("x", market, TICK_SIZE, money)
        return
    instrument = instrument_of("x", market, TICK_SIZE, money, price)
    assert instrument.max_ticks * instrument.max_lots * instrument.value_num < MAX_PRODUCT
    assert price is None or instrument.max_ticks * instrument.tick_size >= price


@pytest.mark.parametrize(("symbols", "words"), [
    (["BTC/USDT:USDT"], "swap market"), (["XRP/USDT"], "does not list"), (["BTC/USDT", "ETH/BTC"], "one currency"),
    (["BTC/USDT", "BTC/USDT2"], "share one balance"), ([], "none")])
def test_what_one_account_cannot_trade_is_refused_with_the_reason(symbols: list[str], words: str) -> None:
    markets = {"BTC/USDT": MARKET, "BTC/USDT:USDT": {**MARKET, "spot": False, "type": "swap"},
               "ETH/BTC": {**MARKET, "symbol": "ETH/BTC", "base": "ETH", "quote": "BTC"},
               "BTC/USDT2": {**MARKET, "symbol": "BTC/USDT2"}}
    with pytest.raises(InstrumentError, match=words):
        Listing("binance", markets, TICK_SIZE, symbols, 8)


# ---- orders --------------------------------------------------------------------------------------------------------------

CAN_STOP, CANNOT = VenueCapabilities(stop=True), VenueCapabilities(stop=False)


@pytest.mark.parametrize(("more", "can", "code"), [
    ({}, CAN_STOP, None), ({"account": "other"}, CAN_STOP, "account"), ({"order_lots": 0}, CAN_STOP, "quantity"),
    ({"order_lots": 10 ** 10}, CAN_STOP, "quantity"), ({"limit_ticks": 0}, CAN_STOP, "price"),
    ({"limit_ticks": 10 ** 9}, CAN_STOP, "price"), ({"order_lots": 1, "limit_ticks": 100}, CAN_STOP, "min_notional"),
    ({"kind": OrderKind.TRAILING_STOP}, CAN_STOP, "unsupported"), ({"time_in_force": TimeInForce.DAY}, CAN_STOP, "unsupported"),
    ({"kind": OrderKind.STOP, "trigger_ticks": 4_000_000}, CAN_STOP, None),
    ({"kind": OrderKind.STOP, "trigger_ticks": 4_000_000}, CANNOT, "unsupported"),
    ({"kind": OrderKind.STOP, "trigger_ticks": 0}, CAN_STOP, "price")])
def test_what_is_not_even_sent(more: dict[str, Any], can: VenueCapabilities, code: str | None) -> None:
    refusal = refusal_of(intent(**more), COIN, can, "acct")
    assert (refusal.code if refusal else None) == code


def test_a_market_that_was_halted_when_we_connected_takes_exits_but_no_entries() -> None:
    halted = instrument_of("binance", {**MARKET, "active": False}, TICK_SIZE, 8)
    refusals = {purpose: refusal_of(intent(purpose=purpose), halted, CAN_STOP, "acct") for purpose in Purpose}
    assert [purpose for purpose, refusal in refusals.items() if refusal is not None] == [Purpose.ENTRY]


def test_no_position_may_grow_beyond_what_one_order_at_market_closes() -> None:
    limits = {**MARKET["limits"], "market": {"min": 0.0, "max": 0.5}}
    assert instrument_of("binance", {**MARKET, "limits": limits}, TICK_SIZE, 8).max_lots == 50_000
    limits["market"] = {"min": None, "max": 0.0}  # some venues mean by 0 that there is no limit
    assert instrument_of("binance", {**MARKET, "limits": limits}, TICK_SIZE, 8).max_lots == COIN.max_lots


def test_an_unlisted_instrument_is_refused() -> None:
    refusal = refusal_of(intent(), None, CAN_STOP, "acct")
    assert refusal is not None
    assert refusal.code == "unknown_instrument"


@pytest.mark.parametrize(("more", "type_", "price", "params"), [
    ({}, "limit", "50000.5", {"clientOrderId": "a1-7"}),
    ({"kind": OrderKind.MARKET, "limit_ticks": 0}, "market", None, {"clientOrderId": "a1-7"}),
    ({"time_in_force": TimeInForce.FOK}, "limit", "50000.5", {"clientOrderId": "a1-7", "timeInForce": "FOK"}),
    ({"kind": OrderKind.STOP, "limit_ticks": 0, "trigger_ticks": 4_500_000}, "market", None,
     {"clientOrderId": "a1-7", "stopLossPrice": "45000"}),
    ({"kind": OrderKind.STOP_LIMIT, "trigger_ticks": 4_500_000}, "limit", "50000.5",
     {"clientOrderId": "a1-7", "stopLossPrice": "45000"})])
def test_an_intent_in_ccxts_words(more: dict[str, Any], type_: str, price: str | None, params: dict[str, Any]) -> None:
    request = request_of(intent(**more), COIN, "a1-7", PROFILES["binance"], "stopLossPrice")
    assert request == ("BTC/USDT", type_, "buy", "0.01", price, params)


def test_each_verified_venue_gets_its_own_peculiarities() -> None:
    market = intent(kind=OrderKind.MARKET, limit_ticks=0)
    assert request_of(market, COIN, "w", PROFILES["kraken"], "").params == {"oflags": "fciq", "clientOrderId": "w"}
    assert request_of(market, COIN, "w", PROFILES["coinbase"], "").params == {
        "client_order_id": "w", "cost": "0.01", "order_configuration": {"market_market_ioc": {"base_size": "0.01"}}}
    other = request_of(intent(), COIN, "w", UNVERIFIED, "")
    assert (other.quantity, other.price) == (0.01, 50000.5)


@pytest.mark.parametrize(("order", "lots", "closed"), [
    ({"status": "open", "amount": 0.01, "filled": 0.0}, (1_000, 0), None),
    ({"status": "open", "amount": 0.01, "filled": 0.004}, (1_000, 400), None),
    ({"status": "closed", "amount": 0.01, "filled": 0.01}, (1_000, 1_000), None),
    ({"status": "closed", "amount": 0.01, "filled": None}, (1_000, 1_000), None),
    ({"status": "closed", "amount": 0.01, "filled": 0.004}, (1_000, 400), ClosedAs.CANCELED),
    ({"status": "closed", "amount": 0.01, "filled": 0.0, "timeInForce": "IOC"}, (1_000, 0), ClosedAs.CANCELED),
    ({"status": "canceled", "amount": 0.01, "filled": 0.004}, (1_000, 400), ClosedAs.CANCELED),
    ({"status": "canceled", "amount": 0.01, "filled": 0.01}, (1_000, 1_000), None),
    ({"status": "expired", "amount": 0.01, "filled": 0.0}, (1_000, 0), ClosedAs.EXPIRED),
    ({"status": "expired", "amount": 0.01, "filled": 0.0, "timeInForce": "IOC"}, (1_000, 0), ClosedAs.CANCELED),
    ({"status": "rejected", "amount": 0.01, "filled": 0.0}, (1_000, 0), ClosedAs.REJECTED),
    ({"status": "canceling", "amount": 0.01, "filled": 0.0}, (1_000, 0), None),
    ({"status": None, "amount": None, "filled": None, "info": {"cum_qty": 0.004}}, (400, 400), None),
    ({"status": "open", "amount": None, "filled": 0.0,
      "info": {"order_configuration": {"limit_limit_fok": {"base_size": "0.01"}}}}, (1_000, 0), None)])
def test_a_venues_order_in_our_terms(order: dict[str, Any], lots: tuple[int, int], closed: ClosedAs | None) -> None:
    report = report_of("acct", COIN, {"id": 7, "side": "sell", "type": "limit", "price": 50000.5, **order}, "mine")
    assert (report.order_lots, report.cum_lots) == lots
    assert report.closed_as is closed
    assert (report.venue_order_id, report.side, report.kind, report.limit_ticks) == ("7", Side.SELL, OrderKind.LIMIT, 5_000_050)


def test_an_order_is_told_when_there_is_news_and_never_from_older_words() -> None:
    known = KnownOrders()
    order = known.seen("mine", "7", "BTC/USDT")

    def told(cum_lots: int, closed_as: ClosedAs | None = None) -> bool:
        return known.news(order, OrderReport("acct", COIN.instrument_id, "mine", "7", 10, cum_lots, closed_as, 0))

    assert [told(0), told(0), told(4), told(3), told(4)] == [True, False, True, False, False]
    assert [told(4, ClosedAs.CANCELED), told(4, ClosedAs.CANCELED), told(4)] == [True, False, False]
    assert known.by_venue("7") is known.by_client("mine") is order


# ---- fills -----------------------------------------------------------------------------------------------------------------


def trade(number: int, side: str, quantity: float, fees: list[dict[str, Any]], price: float = 50000.01) -> Any:
    return {"id": str(number), "symbol": "BTC/USDT", "order": "7", "side": side, "amount": quantity, "price": price,
            "timestamp": 1_700_000_000_000 + number, "fees": fees, "info": {}}


@given(st.lists(st.tuples(st.integers(1, 5_000), st.integers(0, 500_000), st.booleans()), min_size=1, max_size=12),
       st.integers(0, 10 ** 6), st.integers(0, 12))
def test_our_lots_are_the_whole_lots_of_the_balance(rows: list[tuple[int, int, bool]], dust: int, heard: int) -> None:
    """Whatever fees are kept, whether a fill was heard or only read later, and after a restart."""
    listing = Listing("binance", {"BTC/USDT": MARKET}, TICK_SIZE, ["BTC/USDT"], 8)
    balance = start = Decimal(dust).scaleb(-8)
    executions = []
    for number, (lots, fee, sells) in enumerate(rows):
        quantity, kept = Decimal(lots).scaleb(-5), Decimal(fee).scaleb(-8)
        sells = sells and balance >= quantity
        kept = min(kept, quantity) if not sells else Decimal(0)
        fees = [{"currency": "BTC", "cost": float(kept)}] if kept else [{"currency": "USDT", "cost": 0.01}]
        balance += (-quantity if sells else quantity) - kept
        execution = execution_of(trade(number, "sell" if sells else "buy", float(quantity), fees))
        assert execution is not None
        executions.append(execution)

    def lots_of(balance_now: Decimal) -> int:
        return int(balance_now / COIN.lot_size)

    def counted(book: FillBook) -> int:
        fills = [book.fill_of(each, "mine", lambda _: None, FillSource.STREAM) for each in executions]
        return sum(fill.side.sign * fill.last_lots - fill.base_fee_lots for fill in fills)

    listening, restarted = FillBook("acct", listing), FillBook("acct", listing)
    listening.align({"BTC": start}, ())
    for execution in executions[:heard]:
        listening.fill_of(execution, "mine", lambda _: None, FillSource.STREAM)
    assert listening.align({"BTC": balance}, executions)
    restarted.align({"BTC": balance}, executions)
    assert lots_of(start) + counted(listening) == lots_of(start) + counted(restarted) == lots_of(balance)


def test_a_balance_that_the_fills_do_not_explain_is_noticed_and_taken() -> None:
    book = FillBook("acct", Listing("binance", {"BTC/USDT": MARKET}, TICK_SIZE, ["BTC/USDT"], 8))
    assert book.align({"BTC": Decimal(1)}, ())
    assert not book.align({"BTC": Decimal(2)}, ())
    assert book.align({"BTC": Decimal(2)}, ())


@pytest.mark.parametrize(("fees", "price", "fee_minor"), [
    ([{"currency": "USDT", "cost": 0.5}], 50000.01, 50_000_000),
    ([{"currency": "USDT", "cost": -0.25}], 50000.01, -25_000_000),
    ([{"currency": "BNB", "cost": 0.001}], 50000.01, 60_000_000),
    ([{"currency": "ABC", "cost": 0.001}], 50000.01, 0),
    ([], 50000.01, 50_000_010),
    ([{"currency": "USDT", "cost": 0.5}, {"currency": "BNB", "cost": 0.001}], 50000.01, 110_000_000),
    ([{"currency": "USDT", "cost": 0.5}], 50000.012, 50_002_000)])
def test_fees_in_money(fees: list[dict[str, Any]], price: float, fee_minor: int) -> None:
    book = FillBook("acct", Listing("binance", {"BTC/USDT": MARKET}, TICK_SIZE, ["BTC/USDT"], 8))
    execution = execution_of(trade(1, "buy", 0.01, fees, price))
    assert execution is not None
    fill = book.fill_of(execution, "mine", {"BNB": Decimal(600)}.get, FillSource.STREAM)
    assert (fill.fee_minor, fill.base_fee_lots, fill.last_ticks) == (fee_minor, 0, 5_000_001)


@pytest.mark.parametrize("broken", [{"amount": None}, {"price": None}, {"id": None}, {"symbol": None}, {"amount": 0.0}])
def test_what_is_no_execution_is_left_out(broken: dict[str, Any]) -> None:
    assert execution_of({**trade(1, "buy", 0.01, []), **broken}) is None


def test_balances_without_a_total_are_added_up() -> None:
    assert balances_of({"total": {"BTC": None, "USDT": 1.5}, "BTC": {"free": 0.1, "used": 0.2}}) == {
        "BTC": Decimal("0.3"), "USDT": Decimal("1.5")}


# ---- bars ------------------------------------------------------------------------------------------------------------------


def printed(minute: float, ticks: int, lots: int = 1) -> MarketTrade:
    return MarketTrade("X", ticks, lots, 1, int(minute * MINUTE_NS))


def test_bars_are_whole_minutes_and_told_once() -> None:
    builder = BarBuilder()
    builder.begin(MINUTE_NS // 2)
    told = [bar for each in (printed(0.6, 999), printed(1.0, 100), printed(1.5, 120, 3), printed(1.9, 90), printed(2.1, 95))
            for bar in builder.take(each)]
    assert told == [Bar("X", MINUTE_NS, 2 * MINUTE_NS, 100, 120, 90, 90, 5)]
    assert builder.take(printed(1.95, 500)) == []
    assert builder.close_until(3 * MINUTE_NS - 1) == []
    assert builder.close_until(3 * MINUTE_NS) == [Bar("X", 2 * MINUTE_NS, 3 * MINUTE_NS, 95, 95, 95, 95, 1)]
    assert builder.close_until(9 * MINUTE_NS) == []


def test_a_minute_with_a_gap_in_its_stream_is_not_told() -> None:
    builder = BarBuilder()
    builder.begin(0)
    builder.take(printed(1.1, 100))
    builder.begin(int(1.5 * MINUTE_NS))
    assert builder.take(printed(1.7, 100)) == []
    assert builder.take(printed(2.5, 100)) == []
    assert [bar.open_ns for bar in builder.close_until(9 * MINUTE_NS)] == [2 * MINUTE_NS]


# ---- profiles and session ----------------------------------------------------------------------------------------------------


def test_capabilities_are_claimed_where_they_were_proven() -> None:
    claimed = {exchange_id: capabilities_of(profile, {}) for exchange_id, profile in PROFILES.items()}
    assert {exchange_id: can.stop for exchange_id, can in claimed.items()} == {"binance": True, "kraken": True, "coinbase": False}
    for can in claimed.values():
        assert not (can.bracket or can.oco or can.reduce_only or can.trailing)
    assert not capabilities_of(PROFILES["binance"], {}, stop_types=False).stop


@pytest.mark.parametrize(("create", "listed", "native"), [
    ({"stopLossPrice": True}, {}, True), ({"triggerPrice": True}, {"trigger": False}, True),
    ({"triggerPrice": True}, {"trigger": True}, False), ({}, {}, False)])
def test_an_unverified_venue_has_what_ccxt_says_of_it(create: Any, listed: Any, native: bool) -> None:
    features = {"spot": {"createOrder": create, "fetchOpenOrders": listed}}
    assert stops_by_features(features) is native
    assert capabilities_of(profile_of("somewhere"), features).stop is native
    assert stop_param(features) == ("stopLossPrice" if create.get("stopLossPrice") else "triggerPrice")


def test_addresses_change_their_host_and_keep_their_path() -> None:
    table = {"rest": "https://api.x.com/api/v3", "ws": {"spot": "wss://stream.x.com:9443/ws"}, "other": None}
    assert redirected(table, Endpoints("http://127.0.0.1:1/", "ws://127.0.0.1:2")) == {
        "rest": "http://127.0.0.1:1/api/v3", "ws": {"spot": "ws://127.0.0.1:2/ws"}, "other": None}
    assert redirected(table, Endpoints()) == table


@pytest.mark.parametrize("address", ["https://api.binance.com", "https://api3.binance.com.", "wss://ws-api.binance.com:443"])
def test_a_sandbox_is_never_pointed_at_real_money(address: str) -> None:
    import ccxt.pro

    def made(url: str) -> Any:
        rest, stream = (url, "") if url.startswith("http") else ("", url)
        return configured(ccxt.pro.binance, PROFILES["binance"], endpoints=Endpoints(rest, stream), sandbox=True,
                          rate_limit_ms=None)

    with pytest.raises(ConfigError, match="trades real money, and sandbox = true says practice"):
        made(address)
    assert "trades real money" in exchange_problem("binance", sandbox=True, endpoints=Endpoints(address))
    assert exchange_problem("binance", sandbox=False, endpoints=Endpoints(address)) == ""
    for practice in ("https://testnet.binance.vision", "http://127.0.0.1:8080", "https://proxy.home"):
        assert made(practice).urls["api"]["private"].startswith(practice)


async def test_a_short_wish_to_wait_does_not_end_a_long_one() -> None:
    from ccxt.base.errors import DDoSProtection

    session = Session("binance")
    session._exchange = SimpleNamespace(last_response_headers={"Retry-After": "120"})
    session._note(DDoSProtection("banned"))
    session._exchange.last_response_headers = {}
    session._note(DDoSProtection("one more that was under way"))
    assert session._held_until - time.monotonic() > 60


@pytest.mark.parametrize(("headers", "seconds"), [
    ({"Retry-After": "7"}, 7.0), ({"retry-after": "99999"}, 300.0), ({"Retry-After": "soon"}, 2.0), ({}, 2.0), (None, 2.0)])
def test_a_venues_wish_to_wait_is_bounded(headers: dict[str, str] | None, seconds: float) -> None:
    assert hold_seconds(headers) == seconds


def test_every_exchange_is_throttled_by_ccxt_and_retries_nothing() -> None:
    import ccxt.pro

    for exchange_id, profile in {**PROFILES, "bitstamp": UNVERIFIED}.items():
        exchange = configured(getattr(ccxt.pro, exchange_id), profile, endpoints=Endpoints(), sandbox=False, rate_limit_ms=None)
        assert exchange.enableRateLimit
        assert exchange.options["maxRetriesOnFailure"] == 0
        assert not exchange.verbose
        assert exchange.logger.disabled
        assert exchange.tokenBucket["capacity"] == (profile.burst.tokens if profile.burst else 1)


def test_a_session_shows_no_key_and_loads_nothing_before_it_opens() -> None:
    assert repr(Session("binance", lambda: ("key", "secret", None))) == "Session(binance)"


@given(st.decimals("0.00000001", "99999999", places=8, allow_nan=False))
def test_numbers_are_what_was_written(value: Decimal) -> None:
    if len(value.as_tuple().digits) <= 15:
        assert exact(float(str(value))) == value
    assert Decimal(plain(value)) == value
    assert exact(None) is exact("") is exact(float("nan")) is None


def test_a_fill_with_its_kept_lots_survives_the_journal() -> None:
    book = FillBook("acct", Listing("binance", {"BTC/USDT": MARKET}, TICK_SIZE, ["BTC/USDT"], 8))
    book.align({"BTC": Decimal(0)}, ())
    execution = execution_of(trade(1, "buy", 0.01, [{"currency": "BTC", "cost": 1e-05}]))
    assert execution is not None
    fill = book.fill_of(execution, "mine", lambda _: None, FillSource.STREAM)
    assert fill.base_fee_lots == 1
    assert msgspec.json.decode(msgspec.json.encode(fill), type=type(fill)) == fill
