"""Scores, bins, intervals and fits against written-down numbers (scikit-learn 1.9.1, scipy 1.18.1) and known forecasters."""

from itertools import pairwise
from random import Random

import pytest

from engine.research.block_bootstrap import Dated, effective_n, interval_95, quantile, resampled, seed_of
from engine.research.recalibration import fit_isotonic, fit_platt, interpolated
from engine.research.reliability import bins, wilson
from engine.research.scores import Scored, base_rates, brier, log_score, murphy, round_share, skill
from tests.unit.known_forecasters import drawn

SMALL_P = [0.1, 0.1, 0.3, 0.3, 0.3, 0.6, 0.6, 0.6, 0.8, 0.8]
SMALL_Y = [0, 0, 0, 1, 0, 1, 0, 1, 1, 1]
TWELVE_P = [0.05, 0.15, 0.2, 0.3, 0.35, 0.45, 0.5, 0.55, 0.65, 0.7, 0.85, 0.95]
TWELVE_Y = [0, 0, 1, 0, 0, 1, 0, 1, 1, 0, 1, 1]


def test_the_small_vector() -> None:
    assert brier(SMALL_P, SMALL_Y) == pytest.approx(0.145, abs=1e-15)
    assert log_score(SMALL_P, SMALL_Y) == pytest.approx(0.4512272805553609, abs=1e-12)
    parts = murphy(SMALL_P, SMALL_Y)
    assert parts is not None
    assert parts.reliability == pytest.approx(0.011666666666666662, abs=1e-12)
    assert parts.resolution == pytest.approx(0.11666666666666667, abs=1e-12)
    assert parts.uncertainty == pytest.approx(0.25, abs=1e-12)
    assert skill(0.145, parts.uncertainty) == pytest.approx(0.42)


def test_the_identity_and_the_order_on_a_thousand_samples() -> None:
    chance = Random(1)
    for _ in range(1_000):
        count = chance.randint(1, 60)
        ps, ys = [chance.randint(0, 20) / 20 for _ in range(count)], [chance.randint(0, 1) for _ in range(count)]
        parts, score = murphy(ps, ys), brier(ps, ys)
        assert parts is not None
        assert score is not None
        assert abs(parts.reliability - parts.resolution + parts.uncertainty - score) < 1e-12
        order = chance.sample(range(count), count)
        assert murphy([ps[place] for place in order], [ys[place] for place in order]) == parts
        assert brier([ps[place] for place in order], [ys[place] for place in order]) == score


def test_nothing_is_never_scored_as_zero() -> None:
    assert [brier([], []), log_score([], []), murphy([], []), skill(None, 0.25), round_share([])] == [None] * 5
    certain = murphy([0.9, 0.8], [1, 1])
    assert certain is not None
    assert certain.uncertainty == 0
    assert skill(0.025, certain.uncertainty) is None  # no reference to be better than


@pytest.mark.parametrize(("p", "expected_brier", "expected_log"), [(0.5, 0.25, 0.69314718056), (0.01, 0.9801, 4.605170185988),
                                                                   (0.0001, 0.99980001, 4.605170185988)])
def test_one_forecast_that_came_true(p: float, expected_brier: float, expected_log: float) -> None:
    assert brier([p], [1]) == pytest.approx(expected_brier)
    assert log_score([p], [1]) == pytest.approx(expected_log)


def test_the_base_rate_is_that_which_could_be_known() -> None:
    rows = [Scored(0.5, 1, at_ns=0, known_ns=10), Scored(0.5, 1, at_ns=5, known_ns=15), Scored(0.5, 0, at_ns=10, known_ns=11),
            Scored(0.5, 0, at_ns=20, known_ns=30)]
    assert base_rates(rows) == [0.5, 0.5, 2 / 3, 3 / 5]
    assert base_rates(rows[::-1]) == [3 / 5, 2 / 3, 0.5, 0.5]


def test_guesses_like_round_numbers() -> None:
    assert round_share([0.55, 0.6, 0.57, 0.35]) == 0.75


# ---- bins ------------------------------------------------------------------------------------------------------------


def test_bins_are_those_of_the_named_reference() -> None:
    """scikit-learn's `calibration_curve(n_bins=5, strategy="uniform")` on the small vector."""
    found = bins(SMALL_P, SMALL_Y, 5)
    assert [one.rate for one in found] == [0.0, 0.3333333333333333, 0.6666666666666666, 1.0]
    assert [one.mean_p for one in found] == pytest.approx([0.1, 0.3, 0.6, 0.8], abs=1e-15)
    assert [(one.low, one.high, one.n) for one in found] == [(0.0, 0.2, 2), (0.2, 0.4, 3), (0.4, 0.6, 3), (0.6, 0.8, 2)]
    assert all(one.hollow for one in found)


def test_a_bin_is_hollow_under_ten() -> None:
    assert [one.hollow for one in bins([0.55] * 10 + [0.75] * 9, [1] * 19)] == [False, True]
    assert bins([0.0, 1.0], [0, 1])[-1].high == 1.0


@pytest.mark.parametrize(("came_true", "of", "low", "high"), [
    (0, 2, 0.0, 0.6576197724933469), (1, 3, 0.06149194472039621, 0.7923403991979522), (2, 2, 0.34238022750665303, 1.0),
    (2, 3, 0.2076596008020477, 0.9385080552796037), (55, 100, 0.45244602997442135, 0.6438546202048803),
    (0, 10, 0.0, 0.2775327998628892), (0, 0, 0.0, 1.0)])
def test_wilsons_interval(came_true: int, of: int, low: float, high: float) -> None:
    assert wilson(came_true, of) == pytest.approx((low, high), abs=1e-12)


# ---- fits ------------------------------------------------------------------------------------------------------------


def test_pooled_adjacent_violators() -> None:
    knots = fit_isotonic(TWELVE_P, TWELVE_Y)
    third = 1 / 3
    expected = [0, 0, third, third, third, 0.5, 0.5, 2 / 3, 2 / 3, 2 / 3, 1, 1]
    assert [interpolated(knots, p) for p in TWELVE_P] == pytest.approx(expected, abs=1e-12)
    between = {0.0: 0.0, 0.1: 0.0, 0.25: third, 0.4: 0.4166666666666667, 0.6: 2 / 3, 0.75: 0.7777777777777779, 0.9: 1.0, 1.0: 1.0}
    assert [interpolated(knots, p) for p in between] == pytest.approx(list(between.values()), abs=1e-12)


def test_isotonic_fits_rise_and_keep_the_mean() -> None:
    chance = Random(2)
    for _ in range(200):
        ps = [chance.randint(1, 15) / 16 for _ in range(40)]
        ys = [int(chance.random() < p) for p in ps]
        knots = fit_isotonic(ps, ys)
        made = [interpolated(knots, p) for p in ps]
        assert all(low[1] <= high[1] + 1e-12 for low, high in pairwise(knots))
        assert sum(made) == pytest.approx(sum(ys))


def test_platt_without_penalty() -> None:
    line = fit_platt(TWELVE_P, TWELVE_Y, penalty=0)
    assert line.slope == pytest.approx(0.9281077, abs=1e-5)
    assert line.offset == pytest.approx(0.1287089, abs=1e-5)


def test_platt_with_the_penalty_of_c_1() -> None:
    """The minimum of `sum(loss) + slope^2 / 2`, by a search that knows nothing of derivatives."""
    line = fit_platt(TWELVE_P, TWELVE_Y)
    assert line.slope < 0.9281077

    from math import exp, log, log1p

    def loss(slope: float, offset: float) -> float:
        odds = [slope * log(p / (1 - p)) + offset for p in TWELVE_P]
        return sum(log1p(exp(-x if y else x)) for x, y in zip(odds, TWELVE_Y, strict=True)) + slope * slope / 2

    around = [(a, b) for a in (-1e-3, 0.0, 1e-3) for b in (-1e-3, 0.0, 1e-3) if (a, b) != (0.0, 0.0)]
    assert all(loss(line.slope + a, line.offset + b) > loss(line.slope, line.offset) for a, b in around)


# ---- block bootstrap -------------------------------------------------------------------------------------------------


def test_the_same_data_give_the_same_interval() -> None:
    chance = Random(3)
    data = Dated(range(100), [chance.random() for _ in range(100)], [1.0] * 100)
    assert resampled(data, 5) == resampled(data, 5)
    assert seed_of(data) != seed_of(data._replace(tops=list(reversed(data.tops))))


def test_the_interval_of_independent_values_is_that_of_the_textbook() -> None:
    chance = Random(4)
    values = [chance.gauss(0, 1) for _ in range(2_000)]
    drawn_means = resampled(Dated(range(2_000), values, [1.0] * 2_000), 1)
    assert drawn_means is not None
    low, high = interval_95(drawn_means)
    assert high - low == pytest.approx(2 * 1.96 / 2_000 ** 0.5, rel=0.1)
    assert effective_n(values, drawn_means, 2_000, 1) == pytest.approx(2_000, rel=0.15)


def test_overlapping_values_count_for_fewer() -> None:
    chance = Random(5)
    steps = [chance.gauss(0, 1) for _ in range(2_010)]
    overlapping = [sum(steps[day:day + 10]) for day in range(2_000)]
    found = resampled(Dated(range(2_000), overlapping, [1.0] * 2_000), 20)
    assert found is not None
    assert 120 < effective_n(overlapping, found, 2_000, 20) < 400  # 200 would be one in ten


def test_forecasts_of_one_day_stand_and_fall_together() -> None:
    chance = Random(6)
    of_day = [chance.gauss(0, 1) for _ in range(200)]
    values = [value for value in of_day for _ in range(10)]
    found = resampled(Dated([place // 10 for place in range(2_000)], values, [1.0] * 2_000), 1)
    assert found is not None
    assert effective_n(values, found, 200, 1) == pytest.approx(200, rel=0.2)


def test_too_few_dates_tell_nothing() -> None:
    assert resampled(Dated([1, 2, 3, 4], [1.0] * 4, [1.0] * 4), 1) is None
    assert resampled(Dated(range(30), [1.0] * 30, [1.0] * 30), 20) is None
    assert effective_n([1.0] * 30, None, 30, 20) == 1
    assert quantile([1.0, 2.0, 3.0], 0.25) == 1.5


# ---- known forecasters -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "times", "expected"), [(2, 1.0, 0.2), (2, 1.8, 0.208964), (50, 1.0, 0.247525),
                                                          (50, 3.0, 0.255553), (2, 0.5, 0.208932), (50, 0.5, 0.248134)])
def test_known_forecasters_score_what_they_must(shape: float, times: float, expected: float) -> None:
    """q ~ Beta(shape, shape), y ~ Bernoulli(q), said: q with log-odds times a factor; 200,000 draws, within 4 standard errors."""
    ps, ys = drawn(20_261_121, 200_000, shape, times)
    losses = [(p - y) ** 2 for p, y in zip(ps, ys, strict=True)]
    score = brier(ps, ys)
    assert score is not None
    deviation = (sum((loss - score) ** 2 for loss in losses) / len(losses)) ** 0.5
    assert abs(score - expected) < 4 * deviation / len(losses) ** 0.5
