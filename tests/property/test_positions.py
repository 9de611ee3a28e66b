"""Fills folded into positions: exact money, round trips from flat to flat, plans and stops that never retreat."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.instruments import AssetClass, Instrument
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side
from engine.positions import (
    EXTERNAL,
    ExitPlan,
    Position,
    RoundTrip,
    cash_delta_minor,
    entry_ticks,
    exit_state,
    fold_fill,
)

STOCK = Instrument(instrument_id="AAPL@paper", symbol="AAPL", venue="paper", asset_class=AssetClass.EQUITY,
                   base_currency="AAPL", quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal(1),
                   minor_exponent=2, max_ticks=10_000_000, max_lots=1_000_000)
COIN = Instrument(instrument_id="ETH-BTC@paper", symbol="ETH/BTC", venue="paper", asset_class=AssetClass.CRYPTO,
                  base_currency="ETH", quote_currency="BTC", tick_size=Decimal("0.000001"),
                  lot_size=Decimal("0.00037"), minor_exponent=8, max_ticks=10_000_000, max_lots=1_000_000_000)
ODD = Instrument(instrument_id="ODD@paper", symbol="ODD", venue="paper", asset_class=AssetClass.CRYPTO,
                 base_currency="ODD", quote_currency="USD", tick_size=Decimal("0.0007"), lot_size=Decimal("0.003"),
                 minor_exponent=2, max_ticks=10_000_000, max_lots=1_000_000_000)


def fill_of(instrument: Instrument, side: Side, lots: int, ticks: int, fee_minor: int = 0, at_ns: int = 1) -> Fill:
    return Fill(account="paper", instrument_id=instrument.instrument_id, trade_id=f"t{at_ns}", client_order_id="o-1",
                side=side, last_lots=lots, last_ticks=ticks, fee_minor=fee_minor, at_ns=at_ns)


def intent_of(instrument: Instrument, side: Side, plan: ExitPlan | None = None, purpose: Purpose = Purpose.ENTRY,
              reason: str = "") -> OrderIntent:
    return OrderIntent(client_order_id="o-1", portfolio="main", account="paper", strategy="breakout",
                       instrument_id=instrument.instrument_id, side=side, order_lots=100, kind=OrderKind.MARKET,
                       purpose=purpose, plan=plan, reason=reason)


def opened(side: Side = Side.BUY, plan: ExitPlan | None = None, lots: int = 10, ticks: int = 10_000) -> Position:
    position, trips = fold_fill(None, fill_of(STOCK, side, lots, ticks, 7), STOCK, intent_of(STOCK, side, plan), "main")
    assert position is not None
    assert trips == ()
    return position


def test_a_first_fill_opens_with_the_plan_of_its_intent() -> None:
    position = opened(plan=ExitPlan(stop_ticks=9_500, target_ticks=11_000))
    assert (position.lots, position.cost_minor, position.fees_minor, position.realized_minor) == (10, 100_000, 7, 0)
    assert (position.stop_ticks, position.best_ticks, position.initial_risk_minor) == (9_500, 10_000, 5_000)
    assert (position.strategy, position.opened_by, position.opened_at_ns) == ("breakout", "o-1", 1)
    assert position.plan.target_ticks == 11_000
    assert position.bare_since_ns == 0


@pytest.mark.parametrize(("side", "plan", "stop_ticks", "risk_minor"), [
    (Side.BUY, ExitPlan(trail_ticks=300), 9_700, 3_000),
    (Side.SELL, ExitPlan(trail_ticks=300), 10_300, 3_000),
    (Side.BUY, ExitPlan(trail_bps=33), 9_967, 330),
    (Side.SELL, ExitPlan(stop_ticks=10_200, trail_bps=500), 10_200, 2_000),
    (Side.BUY, ExitPlan(stop_ticks=9_000, trail_ticks=300), 9_700, 3_000),
    (Side.BUY, ExitPlan(), 0, 0),
])
def test_the_first_stop_is_what_plan_and_trail_demand(side: Side, plan: ExitPlan, stop_ticks: int,
                                                      risk_minor: int) -> None:
    position = opened(side, plan)
    assert (position.stop_ticks, position.initial_risk_minor) == (stop_ticks, risk_minor)
    assert position.bare_since_ns == (0 if stop_ticks else 1)


def test_more_of_the_same_side_keeps_the_earlier_stop_and_grows_the_risk() -> None:
    position = opened(plan=ExitPlan(stop_ticks=9_500))
    grown, trips = fold_fill(position, fill_of(STOCK, Side.BUY, 5, 10_400, 3, 2), STOCK,
                             intent_of(STOCK, Side.BUY, ExitPlan(stop_ticks=9_000)), "main")
    assert grown is not None
    assert trips == ()
    assert (grown.lots, grown.cost_minor, grown.fees_minor) == (15, 152_000, 10)
    assert (grown.stop_ticks, grown.plan.stop_ticks, grown.opened_at_ns) == (9_500, 9_500, 1)
    assert grown.initial_risk_minor == 5_000 + 4_500
    assert entry_ticks(grown, STOCK) == 10_134


def test_a_bare_position_takes_the_plan_of_what_is_added() -> None:
    bare = opened()
    covered, _ = fold_fill(bare, fill_of(STOCK, Side.BUY, 10, 10_200, 0, 51), STOCK,
                           intent_of(STOCK, Side.BUY, ExitPlan(stop_ticks=9_900)), "main")
    assert covered is not None
    assert (covered.stop_ticks, covered.initial_risk_minor) == (9_900, 4_000)
    assert (covered.bare_since_ns, covered.bare_total_ns) == (0, 50)


def test_partial_closes_realize_their_share_and_one_round_trip_ends_it() -> None:
    position: Position | None = opened(plan=ExitPlan(stop_ticks=9_500))
    position, trips = fold_fill(position, fill_of(STOCK, Side.SELL, 4, 10_500, 2, 2), STOCK, None, "main")
    assert position is not None
    assert trips == ()
    assert (position.lots, position.cost_minor, position.realized_minor, position.fees_minor) == (6, 60_000, 2_000, 9)
    assert (position.stop_ticks, position.initial_risk_minor) == (9_500, 5_000)
    position, trips = fold_fill(position, fill_of(STOCK, Side.SELL, 6, 9_500, 3, 3), STOCK,
                                intent_of(STOCK, Side.SELL, purpose=Purpose.STOP), "main")
    assert position is None
    assert trips == (RoundTrip(portfolio="main", instrument_id="AAPL@paper", strategy="breakout", side=1, lots=10,
                               opened_at_ns=1, closed_at_ns=3, realized_minor=-1_000, fees_minor=12,
                               initial_risk_minor=5_000, exit_reason="stop", decision="strategy", entry_ticks=10_000.0,
                               exit_ticks=9_900.0, low_ticks=9_500, high_ticks=10_500),)


def test_a_reversal_ends_one_position_and_opens_the_rest_on_the_other_side() -> None:
    position = opened(plan=ExitPlan(stop_ticks=9_500))
    turned, trips = fold_fill(position, fill_of(STOCK, Side.SELL, 25, 10_100, 5, 9), STOCK,
                              intent_of(STOCK, Side.SELL, ExitPlan(stop_ticks=10_300), reason="signal"), "main")
    assert turned is not None
    assert (turned.lots, turned.cost_minor, turned.fees_minor, turned.realized_minor) == (-15, -151_500, 3, 0)
    assert (turned.stop_ticks, turned.initial_risk_minor, turned.opened_at_ns) == (10_300, 3_000, 9)
    assert [(trip.side, trip.lots, trip.realized_minor, trip.fees_minor, trip.exit_reason) for trip in trips] == [
        (1, 10, 1_000, 9, "signal")]


def test_a_fill_nobody_here_ordered_is_external() -> None:
    position, _ = fold_fill(None, fill_of(STOCK, Side.BUY, 3, 10_000, 0, 4), STOCK, None, "main")
    assert position is not None
    assert (position.strategy, position.stop_ticks, position.bare_since_ns) == (EXTERNAL, 0, 4)


def test_a_fill_without_lots_changes_nothing() -> None:
    position = opened()
    assert fold_fill(position, fill_of(STOCK, Side.SELL, 0, 10_000), STOCK, None, "main") == (position, ())


def test_entry_is_rounded_away_from_risk() -> None:
    long, _ = fold_fill(opened(lots=1), fill_of(STOCK, Side.BUY, 1, 10_001), STOCK, None, "main")
    short, _ = fold_fill(opened(Side.SELL, lots=1), fill_of(STOCK, Side.SELL, 1, 10_001), STOCK, None, "main")
    assert long is not None
    assert short is not None
    assert (entry_ticks(long, STOCK), entry_ticks(short, STOCK)) == (10_001, 10_000)
    assert exit_state(short, STOCK)[:2] == (-1, 10_000)


fills = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 50_000), st.integers(1, 9_000_000),
                           st.integers(-50, 5_000), st.booleans()), max_size=30)


@settings(max_examples=150, deadline=None)
@given(instrument=st.sampled_from([STOCK, COIN, ODD]), sequence=fills)
def test_cash_and_cost_agree_to_the_last_minor_unit(
        instrument: Instrument, sequence: list[tuple[Side, int, int, int, bool]]) -> None:
    position: Position | None = None
    cash_minor, net_lots, ended_minor, round_trips = 0, 0, 0, 0
    for number, (side, lots, ticks, fee_minor, planned) in enumerate(sequence, start=1):
        fill = fill_of(instrument, side, lots, ticks, fee_minor, number)
        intent = intent_of(instrument, side, ExitPlan(trail_bps=200)) if planned else None
        was_sign = position.sign if position else 0
        position, trips = fold_fill(position, fill, instrument, intent, "main")
        cash_minor += cash_delta_minor(fill, instrument)
        net_lots += side.sign * lots
        ended_minor += sum(trip.realized_minor - trip.fees_minor for trip in trips)
        round_trips += len(trips)
        open_minor = (position.realized_minor - position.fees_minor - position.cost_minor) if position else 0
        assert cash_minor == ended_minor + open_minor
        assert (position.lots if position else 0) == net_lots
        assert len(trips) == (was_sign != 0 and (position.sign if position else 0) != was_sign)
        if position is not None:
            assert position.initial_risk_minor >= 0
            assert position.cost_minor * position.sign >= 0


@settings(max_examples=100, deadline=None)
@given(side=st.sampled_from(Side), sequence=st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100_000)),
                                                     min_size=1, max_size=10), bps=st.integers(1, 3_000))
def test_adding_never_moves_the_stop_back(side: Side, sequence: list[tuple[int, int]], bps: int) -> None:
    position: Position | None = None
    for number, (lots, ticks) in enumerate(sequence, start=1):
        before_ticks = position.stop_ticks if position else 0
        position, _ = fold_fill(position, fill_of(STOCK, side, lots, ticks, 0, number), STOCK,
                                intent_of(STOCK, side, ExitPlan(trail_bps=bps)), "main")
        assert position is not None
        assert before_ticks == 0 or (position.stop_ticks - before_ticks) * side.sign >= 0


@settings(max_examples=100, deadline=None)
@given(instrument=st.sampled_from([STOCK, COIN, ODD]), lots=st.integers(1, 100_000), ticks=st.integers(1, 9_000_000),
       parts=st.lists(st.integers(1, 50_000), max_size=8))
def test_out_at_the_entry_price_never_earns_money(instrument: Instrument, lots: int, ticks: int,
                                                  parts: list[int]) -> None:
    position, _ = fold_fill(None, fill_of(instrument, Side.BUY, lots, ticks), instrument, None, "main")
    left_lots = lots
    for part in [*parts, lots]:
        closing_lots = min(part, left_lots)
        if not closing_lots:
            break
        left_lots -= closing_lots
        position, trips = fold_fill(position, fill_of(instrument, Side.SELL, closing_lots, ticks), instrument, None,
                                    "main")
        for trip in trips:
            assert trip.realized_minor <= 0
            assert trip.lots == lots
