"""Orders, executions, assets and times of Alpaca in our words and back, exactly."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokers.alpaca.listing import Listing, instrument_of
from brokers.alpaca.ordering import (
    CLOSING_STATUSES,
    Execution,
    Sender,
    execution_of_activity,
    execution_of_update,
    fill_of,
    order_report,
    order_request,
)
from brokers.alpaca.wire import WireActivity, WireAsset, WireOrder, WireTradeUpdate, nanoseconds_of
from engine.errors import ConfigError
from engine.inputs import Refused
from engine.instruments import AssetClass, Instrument
from engine.orders import ClosedAs, FillSource, OrderIntent, OrderKind, Purpose, Side, TimeInForce
from engine.units import MAX_PRODUCT

SHARE_ASSET = WireAsset(id="a-1", symbol="AAPL", asset_class="us_equity", tradable=True, shortable=True, easy_to_borrow=True,
                        fractionable=True)
COIN_ASSET = WireAsset(id="c-1", symbol="BTC/USD", asset_class="crypto", tradable=True, min_order_size=Decimal("0.000026"),
                       min_trade_increment=Decimal("0.000000001"), price_increment=Decimal("0.01"))


def instrument(asset: WireAsset, *, fractions: bool = False) -> Instrument:
    made = instrument_of(asset, venue="alpaca", fractions=fractions)
    assert made is not None
    return made


SHARE, FRACTION, COIN = instrument(SHARE_ASSET), instrument(SHARE_ASSET, fractions=True), instrument(COIN_ASSET)


def intent(of: Instrument, **more: Any) -> OrderIntent:
    terms: dict[str, Any] = {"client_order_id": "qd-1", "portfolio": "main", "account": "acct", "side": Side.BUY,
                             "order_lots": 10, "instrument_id": of.instrument_id, "kind": OrderKind.MARKET,
                             "purpose": Purpose.ENTRY}
    return OrderIntent(**(terms | more))


# ---- requests ----


@pytest.mark.parametrize(("more", "terms"), [
    ({}, {"type": "market"}),
    ({"kind": OrderKind.LIMIT, "limit_ticks": 10_005}, {"type": "limit", "limit_price": "100.05"}),
    ({"kind": OrderKind.STOP, "trigger_ticks": 9_900}, {"type": "stop", "stop_price": "99"}),
    ({"kind": OrderKind.STOP_LIMIT, "trigger_ticks": 9_900, "limit_ticks": 9_850},
     {"type": "stop_limit", "stop_price": "99", "limit_price": "98.5"}),
    ({"kind": OrderKind.TRAILING_STOP, "trail_ticks": 150}, {"type": "trailing_stop", "trail_price": "1.5"}),
    ({"kind": OrderKind.TRAILING_STOP, "trail_bps": 125}, {"type": "trailing_stop", "trail_percent": "1.25"})])
@pytest.mark.parametrize("time_in_force", list(TimeInForce))
def test_an_order_for_shares(more: dict[str, Any], terms: dict[str, str], time_in_force: TimeInForce) -> None:
    assert order_request(intent(SHARE, time_in_force=time_in_force, **more), SHARE) == {
        "symbol": "AAPL", "qty": "10", "side": "buy", "time_in_force": time_in_force.value, "client_order_id": "qd-1", **terms}


@pytest.mark.parametrize(("lots", "asked", "sent"), [
    (1_500_000, TimeInForce.DAY, "day"), (1_500_000, TimeInForce.GTC, "day"), (1_500_000, TimeInForce.IOC, None),
    (1_500_000, TimeInForce.FOK, None), (2_000_000, TimeInForce.GTC, "gtc"), (2_000_000, TimeInForce.IOC, "ioc")])
def test_a_fraction_of_a_share_lives_for_a_day(lots: int, asked: TimeInForce, sent: str | None) -> None:
    body = order_request(intent(FRACTION, order_lots=lots, time_in_force=asked), FRACTION)
    assert isinstance(body, Refused) if sent is None else isinstance(body, dict) and body["time_in_force"] == sent


def test_a_fraction_of_a_share_does_not_trail() -> None:
    answer = order_request(intent(FRACTION, order_lots=1, kind=OrderKind.TRAILING_STOP, trail_ticks=5), FRACTION)
    assert isinstance(answer, Refused)


@pytest.mark.parametrize(("side", "limit"), [(Side.SELL, "95"), (Side.BUY, "105")])
def test_a_stop_for_coins_is_a_stop_limit_with_room(side: Side, limit: str) -> None:
    body = order_request(intent(COIN, kind=OrderKind.STOP, trigger_ticks=10_000, side=side, order_lots=1), COIN)
    assert isinstance(body, dict)
    assert (body["type"], body["stop_price"], body["limit_price"], body["qty"]) == ("stop_limit", "100", limit, "0.000000001")


@pytest.mark.parametrize("more", [
    {"time_in_force": TimeInForce.DAY}, {"time_in_force": TimeInForce.FOK},
    {"kind": OrderKind.TRAILING_STOP, "trail_ticks": 5}, {"parent_id": "entry"}, {"client_order_id": "x" * 129},
    {"client_order_id": ""}])
def test_what_coins_cannot_do_is_refused_before_it_is_sent(more: dict[str, Any]) -> None:
    assert isinstance(order_request(intent(COIN, **more), COIN), Refused)


@given(st.integers(1, 10 ** 8), st.integers(1, 10 ** 10))
def test_numbers_on_the_wire_are_exact_text(ticks: int, lots: int) -> None:
    body = order_request(intent(COIN, kind=OrderKind.LIMIT, limit_ticks=ticks, order_lots=lots), COIN)
    assert isinstance(body, dict)
    assert Decimal(body["limit_price"]) == COIN.price(ticks)
    assert Decimal(body["qty"]) == COIN.quantity(lots)
    assert not any("E" in body[name] for name in ("limit_price", "qty"))


# ---- assets ----


def test_a_share_and_its_steps() -> None:
    assert (SHARE.tick_size, SHARE.lot_size, SHARE.session, SHARE.asset_class) == (
        Decimal("0.01"), Decimal(1), "XNYS", AssetClass.EQUITY)
    assert FRACTION.lot_size == Decimal("0.000001")
    assert FRACTION.min_notional_minor == 100


def test_a_coin_and_its_steps() -> None:
    assert (COIN.tick_size, COIN.lot_size, COIN.min_lots) == (Decimal("0.01"), Decimal("0.000000001"), 26_000)
    assert (COIN.taker_fee_ppm, COIN.maker_fee_ppm, COIN.shortable, COIN.session) == (2_500, 1_500, False, "24/7")
    assert (COIN.base_currency, COIN.quote_currency) == ("BTC", "USD")


@pytest.mark.parametrize("tick", ["1", "0.5", "0.01", "0.000000001"])
@pytest.mark.parametrize("lot", ["1", "0.1", "0.0001", "0.000000001"])
def test_any_increments_fit_62_bits(tick: str, lot: str) -> None:
    made = instrument(msgspec.structs.replace(COIN_ASSET, price_increment=Decimal(tick), min_trade_increment=Decimal(lot)))
    assert made.max_ticks * made.max_lots * made.value_num < MAX_PRODUCT


@pytest.mark.parametrize(("changes", "shortable"), [
    ({}, True), ({"easy_to_borrow": False}, False), ({"shortable": False}, False),
    ({"borrow_status": "hard_to_borrow"}, False), ({"borrow_status": "easy_to_borrow", "easy_to_borrow": False}, True)])
def test_only_what_is_easily_borrowed_is_sold_short(changes: dict[str, Any], shortable: bool) -> None:
    assert instrument(msgspec.structs.replace(SHARE_ASSET, **changes)).shortable is shortable


@pytest.mark.parametrize(("status", "flag", "tradable"), [
    ("active", True, True), ("inactive", True, False), ("active", False, False)])
def test_what_is_not_active_is_not_tradable(status: str, flag: bool, tradable: bool) -> None:
    assert instrument(msgspec.structs.replace(SHARE_ASSET, status=status, tradable=flag)).tradable is tradable


def test_other_classes_and_other_currencies() -> None:
    assert instrument_of(msgspec.structs.replace(SHARE_ASSET, asset_class="us_option"), venue="alpaca", fractions=False) is None
    with pytest.raises(ConfigError, match="USD"):
        instrument(msgspec.structs.replace(COIN_ASSET, symbol="ETH/BTC"))


def test_an_instrument_is_found_by_each_of_its_names() -> None:
    listing = Listing()
    listing.add(COIN_ASSET, COIN)
    assert {listing.named(name) for name in ("BTC/USD", "BTCUSD", "c-1")} == {COIN}
    assert listing.named(None, "x", "c-1") is COIN
    assert listing.missing(["c-1", "x", "x", "BTCUSD"]) == ["x"]


# ---- what the venue says ----


def sender() -> Sender:
    listing = Listing()
    listing.add(SHARE_ASSET, SHARE)
    listing.add(COIN_ASSET, COIN)
    return Sender("acct", "alpaca", listing)


def wire_order(**more: Any) -> WireOrder:
    terms: dict[str, Any] = {"id": "o-1", "client_order_id": "qd-1", "status": "new", "symbol": "AAPL", "asset_id": "a-1",
                             "side": "sell", "type": "limit", "qty": Decimal(10), "filled_qty": Decimal(4),
                             "filled_avg_price": Decimal("100.5"), "limit_price": Decimal("101.25"),
                             "updated_at": "2024-06-03T14:00:00.5Z"}
    return WireOrder(**(terms | more))


STATUSES = ("new", "partially_filled", "filled", "done_for_day", "canceled", "expired", "replaced", "pending_cancel",
            "pending_replace", "accepted", "pending_new", "accepted_for_bidding", "stopped", "rejected", "suspended",
            "calculated", "held", "a status of tomorrow")


@pytest.mark.parametrize("status", STATUSES)
def test_only_a_closing_word_closes(status: str) -> None:
    expected = {"canceled": ClosedAs.CANCELED, "expired": ClosedAs.EXPIRED, "rejected": ClosedAs.REJECTED,
                "replaced": ClosedAs.CANCELED}.get(status)
    assert CLOSING_STATUSES.get(status) is expected
    assert order_report(wire_order(status=status), sender(), 0).closed_as is expected


def test_an_order_in_our_words() -> None:
    report = order_report(wire_order(), sender(), 0)
    assert (report.instrument_id, report.side, report.kind, report.order_lots, report.cum_lots) == (
        "AAPL@alpaca", Side.SELL, OrderKind.LIMIT, 10, 4)
    assert (report.limit_ticks, report.average_ticks, report.at_ns) == (10_125, 10_050.0, 1_717_423_200_500_000_000)


@pytest.mark.parametrize(("changes", "order_lots"), [
    ({"qty": None, "status": "new"}, 5), ({"qty": None, "status": "filled"}, 4), ({"qty": None, "status": "canceled"}, 4)])
def test_an_order_by_value_stays_open_until_it_is_done(changes: dict[str, Any], order_lots: int) -> None:
    assert order_report(wire_order(**changes), sender(), 0).order_lots == order_lots


def test_an_order_of_something_unlisted_keeps_its_name() -> None:
    assert order_report(wire_order(symbol="MSFT", asset_id="m-1"), sender(), 7).instrument_id == "MSFT@alpaca"
    assert order_report(wire_order(symbol=None, asset_id=None, updated_at=None), sender(), 7).at_ns == 7


# ---- executions ----


def test_stream_and_history_name_an_execution_alike() -> None:
    streamed = execution_of_update(WireTradeUpdate(
        event="partial_fill", order=wire_order(filled_qty=Decimal("4.0")), timestamp="2024-06-03T14:00:00Z",
        price=Decimal("100.5"), qty=Decimal(4)))
    past = execution_of_activity(WireActivity(
        id="20240603::x", order_id="o-1", symbol="AAPL", side="sell", price=Decimal("100.5"), qty=Decimal(4),
        cum_qty=Decimal(4), transaction_time="2024-06-03T14:00:00Z"), "qd-1")
    assert streamed == past
    assert streamed is not None
    assert streamed.trade_id == past.trade_id == "o-1:4"


@pytest.mark.parametrize("event", ["new", "canceled", "expired", "pending_cancel", "an event of tomorrow"])
def test_other_events_execute_nothing(event: str) -> None:
    assert execution_of_update(WireTradeUpdate(event=event, order=wire_order(), price=Decimal(1), qty=Decimal(1))) is None


def execution(quantity: str, price: str, cum: str, *, buy: bool = True) -> Execution:
    return Execution("o-1", "qd-1", buy, Decimal(quantity), Decimal(price), Decimal(cum), 5)


@pytest.mark.parametrize(("buy", "price", "ticks", "fee_minor"), [
    (True, "100.01", 10_001, 0), (True, "100.015", 10_001, 50), (False, "100.015", 10_002, 50), (True, "0.005", 1, 50)])
def test_a_price_between_ticks_costs_what_it_costs(buy: bool, price: str, ticks: int, fee_minor: int) -> None:
    fill = fill_of(execution("100", price, "100", buy=buy), "acct", SHARE, FillSource.STREAM)
    assert fill is not None
    assert (fill.last_ticks, fill.fee_minor) == (ticks, fee_minor)
    if Decimal(price) > Decimal("0.01"):
        moved = SHARE.signed_notional_minor(fill.last_ticks, -fill.side.sign * fill.last_lots) - fill.fee_minor
        assert moved == (-1 if buy else 1) * int(Decimal(price) * 10_000)


@given(st.lists(st.integers(1, 3_000_000), min_size=1, max_size=8))
def test_parts_of_lots_add_up(millionths: list[int]) -> None:
    total, lots = Decimal(0), 0
    for each in millionths:
        quantity = Decimal(each) / 1_000_000
        total += quantity
        fill = fill_of(execution(str(quantity), "100", str(total)), "acct", SHARE, FillSource.STREAM)
        lots += fill.last_lots if fill is not None else 0
    assert lots == int(total)


# ---- times ----


@pytest.mark.parametrize(("text", "at_ns"), [
    ("2024-06-01T12:00:00Z", 1_717_243_200_000_000_000), ("2024-06-01T12:00:00.123456789Z", 1_717_243_200_123_456_789),
    ("2024-06-01T08:00:00.5-04:00", 1_717_243_200_500_000_000), ("2024-06-01T12:00:00.1234567891Z", 1_717_243_200_123_456_789)])
def test_times_keep_their_nanoseconds(text: str, at_ns: int) -> None:
    assert nanoseconds_of(text) == at_ns


@pytest.mark.parametrize("text", ["", "yesterday", "2024-06-01T12:00:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        nanoseconds_of(text)
