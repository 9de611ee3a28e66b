"""A fee that a venue keeps in the base currency: the position gets fewer lots, cash pays for all, money stays exact."""

from decimal import Decimal

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import AssetClass, Instrument
from engine.orders import Fill, Side
from engine.positions import cash_delta_minor, fold_fill

COIN = Instrument(
    instrument_id="BTC/USDT@binance", symbol="BTC/USDT", venue="binance", asset_class=AssetClass.CRYPTO, base_currency="BTC",
    quote_currency="USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001"), minor_exponent=8, max_ticks=10 ** 8,
    max_lots=10 ** 9)


def bought(lots: int, ticks: int, kept_lots: int, number: int = 1) -> Fill:
    return Fill(account="acct", instrument_id=COIN.instrument_id, trade_id=f"t{number}", client_order_id="o-1", side=Side.BUY,
                last_lots=lots, last_ticks=ticks, fee_minor=COIN.signed_notional_minor(ticks, kept_lots), at_ns=number,
                base_fee_lots=kept_lots)


def test_the_position_is_what_was_bought_less_what_was_kept() -> None:
    fill = bought(1_000, 5_000_000, 1)
    position, trips = fold_fill(None, fill, COIN, None, "main")
    assert position is not None
    assert trips == ()
    assert position.lots == 999
    assert position.fees_minor == fill.fee_minor == COIN.signed_notional_minor(5_000_000, 1)
    assert position.cost_minor == COIN.signed_notional_minor(5_000_000, 999)
    assert cash_delta_minor(fill, COIN) == -COIN.signed_notional_minor(5_000_000, 1_000)


def test_a_fee_that_takes_everything_leaves_nothing_open() -> None:
    position, trips = fold_fill(None, bought(1, 5_000_000, 1), COIN, None, "main")
    assert position is None
    assert [trip.realized_minor for trip in trips] == [0]


@given(st.lists(st.tuples(st.integers(2, 10_000), st.integers(1, 10 ** 7), st.integers(0, 2)), min_size=1, max_size=8))
def test_cash_realized_fees_and_cost_add_up_to_the_last_unit(buys: list[tuple[int, int, int]]) -> None:
    position, cash, realized, fees = None, 0, 0, 0
    for number, (lots, ticks, kept) in enumerate(buys, start=1):
        fill = bought(lots, ticks, kept, number)
        position, trips = fold_fill(position, fill, COIN, None, "main")
        cash += cash_delta_minor(fill, COIN)
        realized += sum(trip.realized_minor for trip in trips)
        fees += sum(trip.fees_minor for trip in trips)
    if position is not None:
        realized, fees = realized + position.realized_minor, fees + position.fees_minor
    cost = position.cost_minor if position else 0
    assert cash == realized - fees - cost
    assert (position.lots if position else 0) == sum(lots - kept for lots, _, kept in buys)


def test_a_journal_from_before_the_field_still_reads() -> None:
    plain = msgspec.structs.replace(bought(5, 100, 0), fee_minor=0)
    assert b"base_fee_lots" not in msgspec.json.encode(plain)
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Fill) == plain
