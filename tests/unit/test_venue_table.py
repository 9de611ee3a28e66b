"""The table of what is native where says what the adapters do."""

import json

import pytest

from brokers.alpaca.broker import AlpacaBroker
from brokers.ccxt_venue.broker import CcxtBroker
from brokers.ccxt_venue.profiles import PROFILES
from brokers.paper.broker import PaperBroker
from brokers.venue_table import VenueRow, venue_table
from engine.inputs import Refused, VenueCapabilities
from engine.orders import OrderKind, Side, TimeInForce
from tests.conformance.alpaca_server.account import share
from tests.conformance.desk import ACCOUNT, COIN, intent
from tui.cli import run

ROWS = {(row.venue, row.trades): row for row in venue_table()}


def native(row: VenueRow) -> tuple[bool, ...]:
    return row.stop, row.trailing, row.bracket, row.oco, row.reduce_only, row.children_wait


def native_of(can: VenueCapabilities) -> tuple[bool, ...]:
    return can.stop, can.trailing, can.bracket, can.oco, can.reduce_only, can.children_wait


def alpaca(symbol: str, *, fractions: bool = False) -> AlpacaBroker:
    return AlpacaBroker("a", lambda: ("", ""), paper=True, symbols=[symbol], fractions=fractions)


def exchange(name: str) -> CcxtBroker:
    return CcxtBroker("a", name, lambda: ("", "", None), symbols=["BTC/USD"])


@pytest.mark.parametrize(("row", "broker"), [
    (("paper", "the simulated market, or a real venue's prices"), PaperBroker("a", None, None, [COIN])),
    (("alpaca", "whole shares"), alpaca("AAPL")), (("alpaca", "fractions of shares"), alpaca("AAPL", fractions=True)),
    (("alpaca", "coins"), alpaca("BTC/USD")),
    *(((f"ccxt:{name}", "coins, spot"), exchange(name)) for name in PROFILES)])
def test_each_row_is_what_its_adapter_says(row: tuple[str, str], broker: AlpacaBroker | CcxtBroker | PaperBroker) -> None:
    assert native(ROWS[row]) == native_of(broker.capabilities)


@pytest.mark.parametrize(("row", "lots"), [("whole shares", 100), ("fractions of shares", 150)])
@pytest.mark.parametrize("in_force", list(TimeInForce))
def test_what_an_order_may_be_in_force_for_at_alpaca(row: str, lots: int, in_force: TimeInForce) -> None:
    from brokers.alpaca.ordering import order_request

    order = intent("x", Side.BUY, lots, OrderKind.LIMIT, limit_ticks=100_000, time_in_force=in_force)
    body = order_request(order, share("AAPL", lot_size="0.01"))
    told = None if isinstance(body, Refused) else body["time_in_force"]
    assert (told == in_force.value) is (in_force.value in ROWS["alpaca", row].in_force)


@pytest.mark.parametrize("in_force", list(TimeInForce))
def test_what_an_order_may_be_in_force_for_at_an_exchange(in_force: TimeInForce) -> None:
    from brokers.ccxt_venue.order_terms import refusal_of

    refusal = refusal_of(intent("x", time_in_force=in_force), COIN, VenueCapabilities(), ACCOUNT)
    assert (refusal is None) is (in_force.value in ROWS["ccxt:kraken", "coins, spot"].in_force)


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["venues"]) == 0
    shown = capsys.readouterr().out
    assert all(row.venue in shown for row in venue_table())
    assert run(["venues", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(row["venue"], row["stop"]) for row in told if row["trades"] == "coins, spot"] == [
        ("ccxt:binance", True), ("ccxt:kraken", True), ("ccxt:coinbase", False), ("ccxt:any other", False)]
