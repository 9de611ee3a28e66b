"""Indicators against values worked by hand from Wilder's definitions."""

import math

import pytest

from engine.kernel.indicators import atr_grow, atr_into, atr_step, ema_into, ema_step, latest_atr, true_range

HIGH = [48.0, 49.0, 50.0, 47.0, 53.0]
LOW = [46.0, 47.0, 48.0, 44.0, 50.0]
CLOSE = [47.0, 48.0, 49.0, 45.0, 52.0]


def test_true_range_reaches_from_the_previous_close() -> None:
    assert true_range(50, 48, 49) == 2
    assert true_range(53, 50, 45) == 8
    assert true_range(44, 41, 49) == 8


def test_wilders_step() -> None:
    assert atr_step(2.0, 14, 9.0) == (2.0 * 13 + 9.0) / 14 == 2.5


def test_atr_of_five_bars() -> None:
    # true ranges 2, 2, 2, 5, 8; seed (2 + 2 + 2) / 3 = 2; then (2 * 2 + 5) / 3 = 3; then (3 * 2 + 8) / 3 = 14 / 3
    out = [0.0] * 5
    atr_into(HIGH, LOW, CLOSE, 3, out)
    assert all(math.isnan(value) for value in out[:2])
    assert out[2:] == pytest.approx([2.0, 3.0, 14.0 / 3.0], rel=1e-15)
    assert latest_atr(HIGH, LOW, CLOSE, 3) == pytest.approx(14.0 / 3.0, rel=1e-15)
    assert math.isnan(latest_atr(HIGH, LOW, CLOSE, 6))


def test_one_step_at_a_time_equals_the_batch() -> None:
    out = [0.0] * 5
    atr_into(HIGH, LOW, CLOSE, 2, out)
    seen, value = 0, 0.0
    for i in range(5):
        seen, value = atr_grow(seen, value, 2, HIGH[i] - LOW[i] if i == 0 else true_range(HIGH[i], LOW[i], CLOSE[i - 1]))
        assert (seen < 2 and math.isnan(out[i])) or value == out[i]


def test_exponential_mean() -> None:
    # span 3 weighs the newest by one half: 10; 10 + 1 = 11; 11 + 1.5 = 12.5
    out = [0.0] * 3
    ema_into([10.0, 12.0, 14.0], 3, out)
    assert out == [10.0, 11.0, 12.5]
    assert ema_step(11.0, 3, 14.0) == 12.5
    assert ema_step(1.0, 1, 7.0) == pytest.approx(7.0)
