"""Deflated Sharpe ratio and probability of overfitting, against the values of their papers and against chance."""

import numpy as np
import pytest

from engine.search.honesty import best_by_luck, deflated_sharpe, honesty, overfitting, probabilistic_sharpe
from engine.search.outcomes import Moments, daily_sharpe, moments_of, score, sharpe
from tests.unit.search_desk import outcome

YEAR = 250


def test_the_luck_of_the_paper() -> None:
    """Bailey and Lopez de Prado (2014), the numerical example: 100 trials whose yearly ratios have a variance of 1/2."""
    assert best_by_luck(100, 0.5 / YEAR) == pytest.approx(0.1132, abs=5e-5)


def test_the_deflated_ratio_of_the_paper() -> None:
    """The same example: a yearly ratio of 2.5 over 1,250 days with skewness -3 and kurtosis 10 comes to 0.9004."""
    found = Moments(1_250, 2.5 / YEAR ** 0.5, 1.0, -3.0, 10.0)
    assert probabilistic_sharpe(found, best_by_luck(100, 0.5 / YEAR)).value == pytest.approx(0.9004, abs=5e-5)


def test_fewer_trials_would_have_convinced() -> None:
    """The paper: with 46 trials the same result would have passed at 95 %."""
    found = Moments(1_250, 2.5 / YEAR ** 0.5, 1.0, -3.0, 10.0)
    assert probabilistic_sharpe(found, best_by_luck(46, 0.5 / YEAR)).value == pytest.approx(0.95, abs=1e-3)


def test_the_expected_best_of_many_is_what_chance_shows() -> None:
    draws = np.random.default_rng(3).standard_normal((20_000, 50)).max(axis=1).mean()
    assert best_by_luck(50, 1.0) == pytest.approx(draws, rel=0.02)


def test_one_trial_needs_no_luck() -> None:
    assert best_by_luck(1, 1.0) == 0.0
    luck, told = deflated_sharpe(Moments(400, 0.1, 1.0, 0.0, 3.0), [0.1], 1)
    assert luck == 0.0
    assert told.value == pytest.approx(0.9767, abs=1e-3)


@pytest.mark.parametrize(("trials", "luck", "deflated"), [
    (2, 0.059378472221, 0.615099290379), (7, 0.057964942847, 0.257784003468), (100, 0.095413319427, 0.213397612012),
    (5_000, 0.134590134312, 0.471271769160)])
def test_the_deflated_ratio_is_that_of_the_formula_worked_out_anew(trials: int, luck: float, deflated: float) -> None:
    """Bailey and Lopez de Prado (2014), written down with norm, skew and kurtosis of scipy 1.18.1 on the raw returns."""
    table = np.random.default_rng(trials).standard_t(4, (trials, 700)) * 0.01 + 0.0004
    table[:, ::50] -= 0.03  # lopsided
    ratios = table.mean(axis=1) / table.std(axis=1, ddof=1)
    found = deflated_sharpe(moments_of([outcome(table[ratios.argmax()].tolist())]), ratios.tolist(), trials)
    assert found[0] == pytest.approx(luck, abs=1e-9)
    assert found[1].value == pytest.approx(deflated, abs=1e-9)


@pytest.mark.parametrize(("found", "why"), [
    (Moments(2, 0.1, 1.0, 0.0, 3.0), "three days"), (Moments(99, 0.1, 0.0, 0.0, 3.0), "do not vary"),
    (Moments(99, 1.0, 1.0, 5.0, 3.0), "lopsided")])
def test_what_cannot_be_told_says_why(found: Moments, why: str) -> None:
    told = probabilistic_sharpe(found, 0.0)
    assert told.value is None
    assert why in told.why


def random_outcomes(count: int, days: int, edge: float = 0.0) -> list[object]:
    table = np.random.default_rng(11).normal(0.0, 0.01, (count, days))
    table[0] += edge
    return [outcome(row.tolist(), params={"n": number}) for number, row in enumerate(table)]


def test_the_best_of_worthless_sets_is_as_good_as_any() -> None:
    assert overfitting(random_outcomes(60, 480)).value == pytest.approx(0.5, abs=0.25)  # type: ignore[arg-type]


def test_a_real_edge_is_seen() -> None:
    assert overfitting(random_outcomes(60, 480, edge=0.004)).value < 0.01  # type: ignore[arg-type, operator]


def test_sets_that_never_trade_are_no_victory() -> None:
    flat = [outcome([0.0] * 48, params={"n": number}) for number in range(5)]
    assert overfitting(flat).value == 1.0


def test_too_few_days_or_sets_say_so() -> None:
    assert "two sets" in overfitting([outcome([0.1, 0.2] * 20)]).why
    assert "days" in overfitting([outcome([0.1] * 20), outcome([0.2] * 20)]).why


def test_all_trials_count() -> None:
    outcomes = random_outcomes(40, 240)
    ratios = [daily_sharpe(moments_of([one])) for one in outcomes]  # type: ignore[list-item]
    told = honesty(outcomes[3], outcomes, ratios)  # type: ignore[arg-type]
    assert told.trials == 40
    more = honesty(outcomes[3], outcomes, ratios * 5)  # type: ignore[arg-type]
    assert more.trials == 200
    assert more.deflated is not None
    assert told.deflated is not None
    assert more.deflated < told.deflated, "trials made by other rules and terms make the same best less convincing"
    assert told.deflated < 0.95


def test_moments_of_parts_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(5)
    whole = (rng.standard_t(5, 300) * 0.01 + 0.001)
    one, both = outcome(whole.tolist()), [outcome(whole[:170].tolist()), outcome(whole[170:].tolist())]
    found = moments_of([one])
    assert found.mean == pytest.approx(whole.mean())
    assert found.deviation == pytest.approx(whole.std(ddof=1))
    centred = whole - whole.mean()
    assert found.skewness == pytest.approx((centred ** 3).mean() / whole.std() ** 3)
    assert found.kurtosis == pytest.approx((centred ** 4).mean() / whole.std() ** 4)
    assert moments_of(both) == pytest.approx(found)
    assert sharpe([one]).value == pytest.approx(whole.mean() / whole.std(ddof=1) * 365 ** 0.5)
    assert score("return", both) == pytest.approx(score("return", [one]), abs=1e-5)
