"""Over random weights, prices and bounds: weights fit, bounds hold, nothing is done inside the bands or twice; and over random
books and budgets: no strategy has more at work, or at risk, than it may at the moment of any entry."""

from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.budgets import uses
from engine.inputs import PlaceOrder, Rebalance, SizeSpec
from engine.kernel.weights import bounded_into, inverse_volatility_into, risk_parity_into
from engine.orders import Side
from engine.strategy_state import StrategySettings
from engine.targets import TargetMethod, TargetSettings
from engine.valuation import equity_minor
from tests.unit import test_engine_budgets as budgets
from tests.unit.test_engine_construction import ROOMY, changes, desk_of, plan, rebalanced

EPSILON = 1e-9
CALM = replace(ROOMY, max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0)
parts = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


@given(st.data(), parts, st.floats(0.01, 1.0))
def test_weights_within_bounds_come_to_the_total_where_the_bounds_allow_it(data: st.DataObject, raw: list[float],
                                                                         total: float) -> None:
    count = len(raw)
    least = [total * one / count for one in data.draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count))]
    most = [low + one for low, one in zip(least, data.draw(st.lists(st.floats(0.0, 1.0), min_size=count, max_size=count)),
                                          strict=True)]
    out = [0.0] * count
    bounded_into(raw, least, most, total, out)
    assert all(low - EPSILON <= one <= high + EPSILON for low, one, high in zip(least, out, most, strict=True))
    assert sum(out) <= total + EPSILON
    reachable = sum(high if one > 1e-6 else low for one, low, high in zip(raw, least, most, strict=True))
    if reachable >= total:
        assert sum(out) == pytest.approx(total, abs=1e-6)


factors = st.integers(1, 8).flatmap(lambda count: st.lists(
    st.lists(st.floats(-1.0, 1.0), min_size=count, max_size=count), min_size=count, max_size=count))


@given(factors)
def test_risk_parity_shares_the_risk_equally_and_sums_to_one(rows: list[list[float]]) -> None:
    count = len(rows)
    matrix = [sum(one * other for one, other in zip(rows[i], rows[j], strict=True)) + (0.05 if i == j else 0.0)
              for i in range(count) for j in range(count)]
    out = [0.0] * count
    assert risk_parity_into(matrix, count, out)
    assert sum(out) == pytest.approx(1.0) and min(out) > 0
    pulls = [out[i] * sum(matrix[i * count + j] * out[j] for j in range(count)) for i in range(count)]
    assert pulls == pytest.approx([sum(pulls) / count] * count, rel=1e-6)


@given(st.lists(st.floats(0.001, 5.0), min_size=1, max_size=12))
def test_inverse_volatility_weights_sum_to_one_and_fall_with_volatility(volatilities: list[float]) -> None:
    out = [0.0] * len(volatilities)
    assert inverse_volatility_into(volatilities, out)
    assert sum(out) == pytest.approx(1.0)
    order = sorted(range(len(out)), key=volatilities.__getitem__)
    assert all(out[one] >= out[other] - EPSILON for one, other in pairwise(order))


aims = st.builds(
    lambda weights, band, relative, turnover: TargetSettings(
        TargetMethod.USER, ("COIN", "OTHER", "THIRD"), weights=dict(zip(("COIN", "OTHER", "THIRD"), weights, strict=True)),
        cash_fraction=0.04, drift_band_fraction=band, relative_band_fraction=relative, max_turnover_fraction=turnover,
        stop_fraction=0.4),
    st.tuples(*[st.sampled_from([0.0, 0.05, 0.2, 0.32])] * 3).filter(any), st.sampled_from([0.01, 0.03, 0.1]),
    st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.0, 0.0, 0.05]))
prices = st.tuples(*[st.integers(8_500, 11_500)] * 3)


@settings(max_examples=60, deadline=None)
@given(aims, prices)
def test_nothing_is_done_inside_the_bands_nor_twice(targets: TargetSettings, moved: tuple[int, int, int]) -> None:
    desk = desk_of(targets, limits=CALM)
    capped = bool(targets.max_turnover_fraction)
    if plan(desk).is_due:
        rebalanced(desk)
    for instrument, price in zip(desk.instruments, moved, strict=True):
        desk.quote(price, instrument_id=instrument.instrument_id)
    found = plan(desk)
    outside = any(line.drifted for line in found.lines)
    idle = abs(found.cash_fraction - (1 - sum(line.target_fraction for line in found.lines))) <= targets.drift_band_fraction
    if not outside and idle:
        assert not found.is_due
    if found.is_due:
        assert not capped or found.turnover_minor <= targets.max_turnover_fraction * found.base_minor
        desk.forget()
        rebalanced(desk, "second")
    if not capped:
        assert not any(changes(desk).values())
        desk.forget()
        assert desk.do(Rebalance("third")).accepted and not desk.sent
    held = sum(line.actual_fraction for line in plan(desk).lines)
    assert held <= 1.0 + EPSILON


budget = st.fixed_dictionaries({"capital_fraction": st.sampled_from([0.0, 0.02, 0.2]),
                                "heat_budget_fraction": st.sampled_from([0.0, 0.001, 0.01])})
sizes = st.one_of(st.builds(lambda lots: {"quantity": Decimal(lots)}, st.integers(1, 300)),
                  st.builds(lambda part: {"size": SizeSpec(share_percent=Decimal(part))}, st.integers(1, 150)),
                  st.builds(lambda part: {"risk_percent": Decimal(part)}, st.integers(1, 20)),
                  st.just({"size": SizeSpec(largest=True)}))
wants = st.lists(st.tuples(st.sampled_from(["COIN", "OTHER"]), st.sampled_from(["s", "t", "manual"]), sizes,
                           st.sampled_from(["50", "90", "99"]), st.booleans(), st.integers(9_500, 10_500)), max_size=8)


@settings(max_examples=100, deadline=None)
@given(budget, budget, wants)
def test_no_strategy_uses_more_than_its_budget_at_any_entry(one: dict[str, Any], other: dict[str, Any],
                                                           given_wants: list[Any]) -> None:
    desk = budgets.desk_of(StrategySettings("s", "ema_cross", "main", ("COIN",), **one),
                           StrategySettings("t", "ema_cross", "main", ("OTHER",), **other))
    for place, (symbol, origin, size, stop, filled, price) in enumerate(given_wants):
        desk.quote(price, instrument_id=f"{symbol}@paper")
        receipt = desk.do(PlaceOrder(f"w{place}", symbol, Side.BUY, stop=Decimal(stop), origin=origin, **size))
        if not receipt.accepted:
            continue
        equity = equity_minor(desk.state, desk.market, "main")
        for use in uses(desk.state, desk.market, "main"):
            if use.strategy == origin:
                assert use.capital_minor is None or use.work_minor <= use.capital_minor
                assert use.heat_fraction is None or use.heat_minor <= use.heat_fraction * equity * (1 + EPSILON)
        if filled:
            desk.accept()
            entry = desk.order(receipt.order_ids[0])
            desk.fill(entry.client_order_id, entry.leaves_lots, price)
            desk.accept()
