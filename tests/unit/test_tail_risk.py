"""Value at risk and expected shortfall: the figures against closed forms and numpy, and how a book's tail is made."""

import math
from decimal import Decimal
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.inputs import Bar, SetLimit, SizeSpec
from engine.market import MarketView
from engine.orders import OrderKind, Side
from engine.risk_views import risk_view
from engine.service import Refusal
from engine.tail_risk import (
    TAIL_RETURNS,
    historical_shortfall,
    historical_var,
    normal_factors,
    returns_for,
    tail_book,
    tail_of,
)
from engine.units import NS_PER_SECOND
from engine.want import Assessment, assess
from tests.unit.engine_desk import COIN, COIN_ID, OTHER, Desk, bought

OTHER_ID = OTHER.instrument_id
DAY_NS = 86_400 * NS_PER_SECOND
ROOMY: dict[str, Any] = {"max_heat_fraction": 0.9, "max_order_notional_fraction": 9.0, "max_position_fraction": 9.0,
                         "max_leverage": 9.0, "max_risk_per_order_fraction": 0.0, "duplicate_seconds": 0.0,
                         "max_daily_notional_fraction": 0.0}


# ---- the figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [20, 40, 99, 100, 101, 500])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975, 0.99])
def test_historical_value_at_risk_is_numpys_inverted_cdf(count: int, confidence: float) -> None:
    results = np.random.default_rng(count).standard_t(3, count)
    wanted = np.quantile(-results, confidence, method="inverted_cdf")
    assert historical_var(sorted(results.tolist()), confidence) == pytest.approx(max(0.0, float(wanted)), abs=1e-12)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.975])
def test_historical_shortfall_is_the_mean_of_the_quantiles_beyond(confidence: float) -> None:
    """Acerbi and Tasche: ES = 1 / (1 - c) times the integral of VaR over the confidences from c to 1."""
    results = sorted(np.random.default_rng(7).standard_t(3, 130).tolist())
    steps = 200_000
    levels = confidence + (np.arange(steps) + 0.5) / steps * (1 - confidence)
    wanted = np.quantile(-np.array(results), levels, method="inverted_cdf").mean()
    assert historical_shortfall(results, confidence) == pytest.approx(float(wanted), rel=1e-4)


def test_cases_worked_by_hand() -> None:
    results = [-10.0, -8.0, -1.0, *range(1, 38)]  # forty: 2.5 % of them is one, 5 % is two, 6.25 % is two and a half
    assert historical_var(results, 0.975) == 8.0
    assert historical_shortfall(results, 0.975) == pytest.approx(10.0)
    assert historical_shortfall(results, 0.95) == pytest.approx(9.0)
    assert historical_shortfall(results, 0.9375) == pytest.approx((10 + 8 + 0.5) / 2.5)
    assert historical_var([1.0, 2.0, 3.0], 0.9) == historical_shortfall([1.0, 2.0, 3.0], 0.9) == 0.0, "a gain is no loss"


def test_the_normal_figures_are_those_of_the_tables() -> None:
    """Quantiles of the normal distribution, and ES / sigma = 2.3378 at the 97.5 % of the Basel rules, 2.6652 at 99 %."""
    for confidence, z, shortfall in ((0.95, 1.644854, 2.062713), (0.975, 1.959964, 2.337803), (0.99, 2.326348, 2.665214)):
        found, density = normal_factors(confidence)
        assert found == pytest.approx(z, abs=1e-6)
        assert density / (1 - confidence) == pytest.approx(shortfall, abs=1e-6)
    drawn = np.random.default_rng(1).normal(0.0, 5.0, 40_000).tolist()
    tail = tail_of(drawn, 0.975)
    assert tail.normal_var_minor == pytest.approx(float(np.std(drawn, ddof=1)) * 1.959964, rel=1e-6)
    assert tail.historical_var_minor == pytest.approx(tail.normal_var_minor, rel=0.03)
    assert tail.historical_shortfall_minor == pytest.approx(tail.normal_shortfall_minor, rel=0.03)


# ---- the book --------------------------------------------------------------------------------------------------------------


def warmed(market: MarketView, moves: dict[str, list[float]], bar_ns: int = DAY_NS) -> None:
    """Bars whose returns are these."""
    for instrument_id, returns in moves.items():
        closes = [100_000_000]
        for step in returns:
            closes.append(round(closes[-1] * (1 + step)))
        market.warm([Bar(instrument_id, place * bar_ns, (place + 1) * bar_ns, close, close, close, close, 9)
                     for place, close in enumerate(closes)])


def drawn(seed: int, count: int = 100, size: float = 0.02) -> list[float]:
    random = Random(seed)
    return [random.gauss(0, size) for _ in range(count)]


def test_a_book_of_two_is_its_covariance() -> None:
    """sigma^2 = w' S w, with numpy's sample covariance."""
    market, moves = MarketView(), {COIN_ID: drawn(1), OTHER_ID: drawn(2)}
    warmed(market, moves)
    tail = tail_book(market, [(COIN, 600_000, False), (OTHER, -400_000, False)], 0.975).tail()
    weights = np.array([600_000, -400_000])
    sigma = math.sqrt(weights @ np.cov(np.array([moves[COIN_ID], moves[OTHER_ID]])) @ weights)
    assert tail.normal_var_minor == pytest.approx(1.959964 * sigma, rel=1e-5)
    results = 600_000 * np.array(moves[COIN_ID]) - 400_000 * np.array(moves[OTHER_ID])
    assert tail.historical_var_minor == pytest.approx(np.quantile(-results, 0.975, method="inverted_cdf"), rel=1e-5)


def test_bars_shorter_than_a_day_are_scaled_by_the_root_of_time_and_longer_ones_not_at_all() -> None:
    figures = []
    for bar_ns in (DAY_NS, DAY_NS // 24, 7 * DAY_NS):
        market = MarketView()
        warmed(market, {COIN_ID: drawn(1)}, bar_ns)
        figures.append(tail_book(market, [(COIN, 1_000_000, False)], 0.975).tail().normal_var_minor)
    assert figures[1] == pytest.approx(figures[0] * math.sqrt(24))
    assert figures[2] == figures[0]


def test_what_has_too_few_bars_counts_in_full() -> None:
    market = MarketView()
    warmed(market, {COIN_ID: drawn(1), OTHER_ID: drawn(2, count=5)})
    with_both = tail_book(market, [(COIN, 500_000, False), (OTHER, -30_000, False)], 0.975).tail()
    alone = tail_book(market, [(COIN, 500_000, False)], 0.975).tail()
    assert with_both == alone.with_more(30_000)
    unknown = tail_book(market, [(COIN, 500_000, False)], 0.975, OTHER)
    assert unknown.tail(-20_000) == alone.with_more(20_000)


def test_an_entry_that_would_hedge_is_not_counted_on() -> None:
    market, moves = MarketView(), drawn(1)
    warmed(market, {COIN_ID: moves, OTHER_ID: moves})
    alone = tail_book(market, [(COIN, 500_000, False)], 0.975)
    hedged = tail_book(market, [(COIN, 500_000, False), (OTHER, -500_000, True)], 0.975)
    assert hedged.tail() == alone.tail()
    both = tail_book(market, [(COIN, 500_000, False), (OTHER, 500_000, True)], 0.975)
    assert both.tail().normal_var_minor == pytest.approx(2 * alone.tail().normal_var_minor)
    assert tail_book(market, [], 0.975).tail() == (0, 0, 0, 0)


def test_the_returns_are_kept_until_another_bar_closes_and_only_so_many_are_used() -> None:
    market = MarketView()
    warmed(market, {COIN_ID: drawn(1, count=TAIL_RETURNS + 50)})
    found = returns_for(market, [COIN])
    assert found.length == TAIL_RETURNS
    assert returns_for(market, [COIN]) is found
    at_ns = (TAIL_RETURNS + 60) * DAY_NS
    market.see(Bar(COIN_ID, at_ns - DAY_NS, at_ns, 9, 9, 9, 9, 1), at_ns)
    assert returns_for(market, [COIN]) is not found


# ---- as limits and in the views --------------------------------------------------------------------------------------------


def desk(moves: dict[str, list[float]] | None = None, **limits: Any) -> Desk:
    made = Desk(**{**ROOMY, **limits})
    warmed(made.market, {COIN_ID: drawn(1), OTHER_ID: drawn(2)} if moves is None else moves)
    made.quote(10_000, instrument_id=OTHER_ID)
    return made


@pytest.mark.parametrize(("limit", "check"), [
    ("max_value_at_risk_fraction", "value at risk"), ("max_expected_shortfall_fraction", "expected shortfall")])
def test_a_limit_refuses_a_quantity_and_cuts_a_size(limit: str, check: str) -> None:
    limits: dict[str, Any] = {limit: 0.01}
    made = desk(**limits)
    refused = made.do(bought("a", 900, "90")).refusal
    assert refused is not None
    assert (refused.check, refused.limit) == (check, "1.00%")
    assert "one-day" in refused.message
    assert "97.5%" in refused.message
    found = assess(made.state, made.market, made.at_ns, bought(quantity=None, stop="90", size=SizeSpec(largest=True)))
    assert isinstance(found, Assessment)
    assert found.card.clamps[-1].limit == check
    assert all(one.passed for one in found.checks)


def test_what_has_no_bars_says_so_where_a_limit_needs_them() -> None:
    made = desk({}, max_value_at_risk_fraction=0.05)
    refused = made.do(bought("a", 100, "90")).refusal
    assert refused is not None
    assert "too few bars and counts in full" in refused.message
    assert made.do(bought("b", 40, "90")).accepted, "up to the limit it may"


def test_the_view_tells_the_figures_their_horizon_and_the_matrix() -> None:
    made = desk()
    made.enter("a", 200, "90")
    made.enter("b", 100, "105", symbol="OTHER", side=Side.SELL)
    made.do(bought("c", 50, "90", kind=OrderKind.LIMIT, limit=Decimal(99)))
    view = risk_view(made.state, made.market, made.at_ns, "main")
    assert view.tail is not None
    assert (view.tail.confidence_percent, view.tail.horizon_days, view.tail.returns) == (97.5, 1.0, 100)
    assert 0 < view.tail.normal_var_percent < view.tail.normal_shortfall_percent
    assert 0 < view.tail.historical_var_percent <= view.tail.historical_shortfall_percent
    assert view.tail.in_full_percent == 0
    used = {limit.name: limit.used for limit in view.limits}
    assert used["max_value_at_risk_fraction"] == f"{view.tail.normal_var_percent:.2f} %"
    assert view.correlations is not None
    assert view.correlations.symbols == ("COIN", "OTHER")
    assert view.correlations.matrix[0][0] == 1.0
    assert view.correlations.matrix[0][1] == view.correlations.matrix[1][0]


def test_the_confidence_is_a_setting_of_the_portfolio() -> None:
    made = desk()
    made.enter("a", 200, "90")
    before = risk_view(made.state, made.market, made.at_ns, "main").tail
    assert made.do(SetLimit("l", "main", "tail_confidence", "0.99")).accepted
    after = risk_view(made.state, made.market, made.at_ns, "main").tail
    assert before is not None
    assert after is not None
    assert after.confidence_percent == 99.0
    assert after.normal_var_percent == pytest.approx(before.normal_var_percent * 2.326348 / 1.959964, abs=2e-3)


def test_a_size_is_never_cut_where_the_limits_are_off() -> None:
    found = assess(desk().state, desk().market, desk().at_ns, bought(stop="90"))
    assert not isinstance(found, Refusal)
    assert not any("value at risk" in one.name or "shortfall" in one.name for one in found.checks)
