"""The splits of a portfolio against closed forms, published figures, and what defines them."""

import math
from itertools import product

import pytest

from engine.kernel import weights


def contributions(matrix: list[float], found: list[float]) -> list[float]:
    """The share of each asset in the variance of the whole."""
    count = len(found)
    pulls = [sum(matrix[i * count + j] * found[j] for j in range(count)) for i in range(count)]
    variance = sum(found[i] * pulls[i] for i in range(count))
    return [found[i] * pulls[i] / variance for i in range(count)]


def parity(matrix: list[float]) -> list[float]:
    count = math.isqrt(len(matrix))
    out = [0.0] * count
    assert weights.risk_parity_into(matrix, count, out)
    return out


def covariance_of(volatilities: list[float], correlations: list[list[float]]) -> list[float]:
    return [volatilities[i] * volatilities[j] * correlations[i][j]
            for i, j in product(range(len(volatilities)), repeat=2)]


def bounded(given: list[float], least: list[float], most: list[float], total: float) -> list[float]:
    out = [0.0] * len(given)
    weights.bounded_into(given, least, most, total, out)
    return out


def test_equal_weights() -> None:
    out = [0.0] * 4
    weights.equal_into(out)
    assert out == [0.25] * 4


def test_inverse_volatility_is_the_closed_form() -> None:
    out = [0.0] * 3
    assert weights.inverse_volatility_into([0.1, 0.2, 0.4], out)
    assert out == pytest.approx([4 / 7, 2 / 7, 1 / 7], rel=1e-15)
    assert not weights.inverse_volatility_into([0.1, 0.0, 0.4], out)


def test_the_covariance_of_a_row_with_itself_is_its_variance() -> None:
    assert weights.covariance([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], 4) == pytest.approx(1.25)
    assert weights.covariance([1.0, 2.0, 3.0, 9.0], [2.0, 0.0, -2.0, 9.0], 3) == pytest.approx(-4 / 3)


def test_returns_are_those_between_the_two_places() -> None:
    out = [0.0] * 2
    weights.returns_into([9.0, 100.0, 110.0, 99.0, 1.0], 1, 3, out)
    assert out == pytest.approx([0.1, -0.1])


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_risk_parity_of_two_assets_is_inverse_volatility(correlation: float) -> None:
    """Maillard, Roncalli and Teiletche, "The properties of equally weighted risk contribution portfolios" (2010): two assets."""
    found = parity(covariance_of([0.1, 0.3], [[1, correlation], [correlation, 1]]))
    assert found == pytest.approx([0.75, 0.25], rel=1e-9)


def test_risk_parity_under_one_common_correlation_is_inverse_volatility() -> None:
    """The same paper: with equal correlations the weights are in proportion to 1 / volatility."""
    sigma = [0.05, 0.1, 0.2, 0.4]
    found = parity(covariance_of(sigma, [[1.0 if i == j else 0.4 for j in range(4)] for i in range(4)]))
    inverse = [1 / one for one in sigma]
    assert found == pytest.approx([one / sum(inverse) for one in inverse], rel=1e-9)


def test_risk_parity_of_the_published_example() -> None:
    """The example with four assets of the same paper, printed there to a tenth of a percent."""
    correlations = [[1.0, 0.8, 0.0, 0.0], [0.8, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, -0.5], [0.0, 0.0, -0.5, 1.0]]
    found = parity(covariance_of([0.10, 0.20, 0.30, 0.40], correlations))
    assert [round(100 * one, 1) for one in found] == [38.4, 19.2, 24.3, 18.2]


def test_each_asset_contributes_the_same_whatever_the_covariance() -> None:
    matrix = covariance_of([0.01, 0.5, 0.09, 0.3, 1.2], [
        [1.0, 0.3, -0.2, 0.1, 0.0], [0.3, 1.0, 0.4, 0.6, 0.2], [-0.2, 0.4, 1.0, 0.5, -0.1], [0.1, 0.6, 0.5, 1.0, 0.3],
        [0.0, 0.2, -0.1, 0.3, 1.0]])
    found = parity(matrix)
    assert sum(found) == pytest.approx(1.0, abs=1e-14)
    assert contributions(matrix, found) == pytest.approx([0.2] * 5, rel=1e-10)


def test_an_asset_that_never_moves_has_no_share_in_the_risk() -> None:
    assert not weights.risk_parity_into([0.0, 0.0, 0.0, 0.04], 2, [0.0, 0.0])


def test_bounds_that_do_not_bind_only_scale() -> None:
    assert bounded([0.5, 0.3, 0.2], [0.0] * 3, [1.0] * 3, 0.9) == pytest.approx([0.45, 0.27, 0.18], rel=1e-12)


def test_what_one_bound_takes_goes_to_the_others_in_proportion() -> None:
    assert bounded([0.6, 0.3, 0.1], [0.0] * 3, [0.4, 1.0, 1.0], 1.0) == pytest.approx([0.4, 0.45, 0.15], rel=1e-9)
    assert bounded([0.6, 0.3, 0.1], [0.0, 0.0, 0.3], [1.0] * 3, 1.0) == pytest.approx([0.7 * 2 / 3, 0.7 / 3, 0.3], rel=1e-9)


def test_largest_weights_that_do_not_reach_the_total_leave_the_rest() -> None:
    assert bounded([0.5, 0.5], [0.0] * 2, [0.2, 0.3], 1.0) == pytest.approx([0.2, 0.3])


def test_an_unwanted_asset_stays_at_its_least() -> None:
    assert bounded([0.0, 1.0], [0.0, 0.0], [1.0, 0.5], 1.0) == pytest.approx([0.0, 0.5])
