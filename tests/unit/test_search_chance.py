"""Futures drawn from the past, and the same bars under worse conditions."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from engine.analytics.records import EquityCurve, Track, TripRecord
from engine.backtest.run import backtest
from engine.errors import UsageError
from engine.search.chance import QUANTILES, Chance, Terms, drawn, simulate, trip_returns
from engine.search.measuring import strategy_in
from engine.search.stress import SCENARIOS, bars_of, moves_of, stressed, worst_time
from tests.parity.tapes import series
from tests.unit.search_desk import material

KNOWN = {one.name: one for one in SCENARIOS}
RETURNS = (np.random.default_rng(2).standard_t(4, 400) * 0.01 + 0.0005).tolist()


def spread(chance: Chance, name: str) -> tuple[float, ...]:
    return next(one.quantiles for one in chance.spreads if one.name == name)


@pytest.mark.parametrize("block", [0.0, 12.0])
def test_the_same_seed_gives_the_same_answer(block: float) -> None:
    terms = Terms(1_000, 400, 1.5, block, 0.8, 4)
    assert simulate("blocks", RETURNS, terms) == simulate("blocks", RETURNS, terms)
    assert simulate("blocks", RETURNS, terms) != simulate("blocks", RETURNS, terms._replace(seed=5))


def test_the_middle_of_the_futures_is_the_past() -> None:
    chance = simulate("trades", RETURNS, Terms(20_000, 400, 1.5, 0.0, 0.5, 1))
    grown = np.prod(1 + np.array(RETURNS)) - 1
    assert chance.observed["growth"] == pytest.approx(grown)
    assert spread(chance, "growth")[QUANTILES.index(0.5)] == pytest.approx(grown, abs=0.03)
    mean = float(np.mean(RETURNS))
    assert next(one.mean for one in chance.spreads if one.name == "growth") == pytest.approx((1 + mean) ** 400 - 1, rel=0.05)
    assert list(spread(chance, "max_drawdown")) == sorted(spread(chance, "max_drawdown"))


def test_quantiles_and_ruin_of_a_coin_are_those_of_arithmetic() -> None:
    """Up or down by half, ten times: ruin at half the start is the first step down or a walk that gets there."""
    chance = simulate("trades", [0.5, -0.5] * 5, Terms(40_000, 2, 1.0, 0.0, 0.5, 7))
    assert chance.ruin_probability == pytest.approx(0.5, abs=0.01), "down at once; up and down leaves three quarters"
    assert chance.loss_probability == pytest.approx(0.75, abs=0.01)
    assert spread(chance, "growth")[0] == pytest.approx(-0.75)
    assert spread(chance, "growth")[-1] == pytest.approx(1.25)


@pytest.mark.parametrize("block", [0.0, 4.0])
def test_the_futures_are_those_of_every_order_counted_out(block: float) -> None:
    """All 1,000 ways to draw three of ten results, each with its chance: a block goes on with three in four."""
    results = np.array([0.3, -0.4, 0.1, -0.2, 0.5, -0.6, 0.05, 0.0, -0.1, 0.2])
    ends = 1 / block if block else 1.0
    ruin = loss = growth = drawdown = 0.0
    for order in itertools.product(range(10), repeat=3):
        chance = 0.1
        for one, following in itertools.pairwise(order):
            chance *= ends / 10 + (1 - ends) * (following == (one + 1) % 10)
        equity = np.cumprod([1.0, *(1 + results[list(order)])])
        ruin, loss = ruin + chance * (equity.min() <= 0.5), loss + chance * (equity[-1] < 1)
        growth += chance * (equity[-1] - 1)
        drawdown += chance * (1 - equity / np.maximum.accumulate(equity)).max()
    told = simulate("blocks", results.tolist(), Terms(100_000, 3, 0.5, block, 0.5, 3))
    means = {one.name: one.mean for one in told.spreads}
    assert told.ruin_probability == pytest.approx(ruin, abs=0.005)
    assert told.loss_probability == pytest.approx(loss, abs=0.005)
    assert means["growth"] == pytest.approx(growth, abs=0.006)
    assert means["max_drawdown"] == pytest.approx(drawdown, abs=0.003)
    whole = float(np.prod(1 + results))
    assert told.observed["cagr"] == pytest.approx(whole ** (3 / 10 / 0.5) - 1), "ten results where three take half a year"


def test_blocks_run_on_and_have_the_length_asked_for() -> None:
    picked = drawn(np.random.default_rng(1), 300, 200, Terms(200, 500, 1.0, 25.0, 0.5, 1))
    follows = (picked[:, 1:] - picked[:, :-1]) % 300 == 1
    assert 1 / (1 - follows.mean()) == pytest.approx(25.0, rel=0.1)
    assert np.bincount(picked.ravel(), minlength=300).min() > 0


def test_blocks_keep_bad_days_together() -> None:
    calm_and_wild = [0.001] * 200 + [-0.01] * 40 + [0.001] * 200
    by_itself, in_blocks = (simulate("blocks", calm_and_wild, Terms(3_000, 440, 1.7, block, 0.5, 3)) for block in (0.0, 30.0))
    assert spread(in_blocks, "max_drawdown")[-1] > spread(by_itself, "max_drawdown")[-1] * 1.2


def test_too_little_to_draw_from_says_so() -> None:
    with pytest.raises(UsageError, match="3 round trips are too few"):
        simulate("trades", [0.1, 0.2, 0.3], Terms(100, 3, 1.0, 0.0, 0.5, 1))


def test_a_round_trip_counts_against_the_equity_it_began_with() -> None:
    trip = TripRecord("X", "X", "s", "strategy", 1, 1.0, 15, 25, 1.0, 1.0, 60, 10, 0, "rule")
    track = Track("t", "USD", 2, EquityCurve([10, 20, 30], [1_000, 5_000, 9_000], [0, 0, 0], [0, 0, 0]), [trip], [])
    assert trip_returns(track) == [0.05]


# ---- stress --------------------------------------------------------------------------------------------------------------------


def test_moves_put_together_again_are_the_bars() -> None:
    tape = series("COIN", 4, 900, night=5, gap=0.1)
    again = bars_of(tape, moves_of(tape))
    for old, new in zip(tape.bars, again.bars, strict=True):
        assert np.abs(np.asarray(old) - np.asarray(new)).max() == 0


@pytest.mark.parametrize("name", KNOWN)
def test_stressed_bars_are_still_bars(name: str) -> None:
    tapes = [series(one, 4 + number, 1_200, minutes=60) for number, one in enumerate(("COIN", "OTHER", "THIRD"))]
    for tape, changed in zip(tapes, stressed(tapes, KNOWN[name], int(tapes[0].bars.closes_ns[400])), strict=True):
        opens, highs, lows, closes = (np.asarray(column) for column in changed.bars[2:6])
        assert (lows >= 1).all()
        assert (highs >= np.maximum(opens, closes)).all()
        assert (lows <= np.minimum(opens, closes)).all()
        assert np.array_equal(changed.bars.closes_ns, tape.bars.closes_ns)
        assert not np.array_equal(closes, np.asarray(tape.bars.closes))


@pytest.mark.parametrize(("name", "fall", "days"), [("crash-2008", -0.48, 185), ("crash-2020", -0.34, 33)])
def test_a_crash_falls_as_far_as_it_says(name: str, fall: float, days: int) -> None:
    tape = series("COIN", 4, 1_200, minutes=1_440)
    at_ns = int(tape.bars.closes_ns[400])
    (changed,) = stressed([tape], KNOWN[name], at_ns)
    closes = np.asarray(changed.bars.closes)
    assert closes[400 + days] / closes[400] - 1 == pytest.approx(fall, abs=0.01)
    assert np.array_equal(closes[:401], np.asarray(tape.bars.closes)[:401]), "nothing before it changes"


def test_volatility_is_three_times_as_large() -> None:
    tape = series("COIN", 4, 3_000, minutes=60)
    (changed,) = stressed([tape], KNOWN["volatility-x3"], 0)
    before, after = (np.diff(np.log(np.asarray(one.bars.closes, float))) for one in (tape, changed))
    assert after.std() / before.std() == pytest.approx(3.0, rel=0.02)
    assert after.mean() == pytest.approx(before.mean(), abs=1e-4)


def test_correlation_becomes_one_and_each_keeps_its_volatility() -> None:
    tapes = [series(one, 4 + number, 2_000, minutes=60) for number, one in enumerate(("COIN", "OTHER"))]
    returns = [np.diff(np.log(np.asarray(one.bars.closes, float))) for one in stressed(tapes, KNOWN["correlation-one"], 0)]
    before = [np.diff(np.log(np.asarray(one.bars.closes, float))) for one in tapes]
    assert abs(np.corrcoef(before[0], before[1])[0, 1]) < 0.2
    assert np.corrcoef(returns[0], returns[1])[0, 1] > 0.995
    assert returns[1].std() == pytest.approx(before[1].std(), rel=0.03)


def test_one_instrument_has_nothing_to_correlate_with() -> None:
    with pytest.raises(UsageError, match="several instruments"):
        stressed([series("COIN", 4, 100)], KNOWN["correlation-one"], 0)


def test_a_crash_finds_the_strategy_holding(tmp_path: Path) -> None:
    ground = material(tmp_path, 1_500)
    result = backtest(ground.series, strategy_in(ground), {"bars": 4}, ground.setup)
    at_ns = worst_time(result)
    held = [trip for trip in result.round_trips() if trip.opened_at_ns < at_ns < trip.closed_at_ns]
    assert len(held) == 1
    early = [trip for trip in result.round_trips() if trip.closed_at_ns <= held[0].closed_at_ns]
    assert max(early, key=lambda trip: trip.closed_at_ns - trip.opened_at_ns) == held[0]
