"""How a portfolio is split: equal, by inverse volatility, by equal contributions to risk, and any split brought within bounds.

Weights are parts of the whole, 0 or more. A covariance of `count` assets is one flat row after the other. Every sum runs in one
order, so that the same prices give the same weights, interpreted and compiled.
"""

import math
from collections.abc import MutableSequence, Sequence

MOST_ROUNDS = 1_000
CLOSE_ENOUGH = 1e-12
HALVINGS = 200


def returns_into(closes: Sequence[float], first: int, last: int, out: MutableSequence[float]) -> None:
    """The simple returns from each close to the next, from index `first` to `last`, written to `out[0 .. last - first - 1]`."""
    for i in range(first, last):
        out[i - first] = closes[i + 1] / closes[i] - 1.0


def covariance(one: Sequence[float], other: Sequence[float], count: int) -> float:
    """The covariance of the first `count` values of two rows, over all of them (not all but one)."""
    mean_one = 0.0
    mean_other = 0.0
    for i in range(count):
        mean_one += one[i]
        mean_other += other[i]
    mean_one /= count
    mean_other /= count
    total = 0.0
    for i in range(count):
        total += (one[i] - mean_one) * (other[i] - mean_other)
    return total / count


def equal_into(out: MutableSequence[float]) -> None:
    """The same for each."""
    for i in range(len(out)):
        out[i] = 1.0 / len(out)


def inverse_volatility_into(volatilities: Sequence[float], out: MutableSequence[float]) -> bool:
    """The calmer the more: each in proportion to 1 / volatility; False, and nothing written, where one has none."""
    total = 0.0
    for i in range(len(volatilities)):
        if not volatilities[i] > 0.0:
            return False
        total += 1.0 / volatilities[i]
    for i in range(len(volatilities)):
        out[i] = 1.0 / volatilities[i] / total
    return True


def risk_parity_into(matrix: Sequence[float], count: int, out: MutableSequence[float]) -> bool:
    """Weights of which each contributes the same to the variance, `w[i] * (C w)[i]` equal for all; False where none are found.

    Cyclical coordinate descent of Griveau-Billion, Richard and Roncalli, "A fast algorithm for computing high-dimensional risk
    parity portfolios" (2013): the minimum of `w'Cw / 2 - sum(log w) / count`, one coordinate after the other, then scaled to 1.
    It is unique for a positive definite `matrix`.
    """
    budget = 1.0 / count
    for i in range(count):
        if not matrix[i * count + i] > 0.0:
            return False
        out[i] = 1.0 / math.sqrt(matrix[i * count + i]) * math.sqrt(budget)
    settled = False
    for _ in range(MOST_ROUNDS):
        moved = 0.0
        for i in range(count):
            own = matrix[i * count + i]
            others = 0.0
            for j in range(count):
                if j != i:
                    others += matrix[i * count + j] * out[j]
            after = (math.sqrt(others * others + 4.0 * own * budget) - others) / (2.0 * own)
            moved = max(moved, abs(after - out[i]) / after)
            out[i] = after
        if moved < CLOSE_ENOUGH:
            settled = True
            break
    total = 0.0
    for i in range(count):
        total += out[i]
    for i in range(count):
        out[i] /= total
    return settled and math.isfinite(total)


def bounded_into(weights: Sequence[float], least: Sequence[float], most: Sequence[float], total: float,
                 out: MutableSequence[float]) -> None:
    """The weights in their own proportions, each kept within its bounds, together `total` wherever the bounds allow it.

    All are scaled by one number and cut at their bounds; the number is found by halving. Where even the largest weights come to
    less than `total` the rest is left; the smallest ones have to fit (`sum(least) <= total`). A weight of 0 stays at its `least`.
    """
    low = 0.0
    high = 1.0
    while _cut_sum(weights, least, most, high) < total and high < 1e15:
        high *= 2.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        if _cut_sum(weights, least, most, middle) <= total:
            low = middle
        else:
            high = middle
    for i in range(len(weights)):
        out[i] = min(max(low * weights[i], least[i]), most[i])


def _cut_sum(weights: Sequence[float], least: Sequence[float], most: Sequence[float], scale: float) -> float:
    found = 0.0
    for i in range(len(weights)):
        found += min(max(scale * weights[i], least[i]), most[i])
    return found
