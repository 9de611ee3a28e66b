"""Sizes and open risk against hand-worked cases; money in cents, ticks of a cent, lots of one share unless said."""

import pytest

from engine.kernel.heat import gapped_stop, heat_bps, open_risk_minor, order_risk_minor
from engine.kernel.rounding import scaled_down, scaled_up
from engine.kernel.sizing import lots_for_notional, lots_for_risk, smallest_cap


@pytest.mark.parametrize(("value", "parts", "whole", "down", "up"), [
    (7, 3, 2, 10, 11), (-7, 3, 2, -11, -10), (8, 3, 2, 12, 12), (0, 5, 7, 0, 0), (1 << 60, 1_000_000, 1_000_001,
     (1 << 60) * 1_000_000 // 1_000_001, (1 << 60) * 1_000_000 // 1_000_001 + 1)])
def test_scaling_rounds_as_named(value: int, parts: int, whole: int, down: int, up: int) -> None:
    assert (scaled_down(value, parts, whole), scaled_up(value, parts, whole)) == (down, up)


@pytest.mark.parametrize(("equity", "bps", "entry", "stop", "num", "den", "cap", "lots"), [
    (10_000_000, 100, 10_000, 9_500, 1, 1, 100_000, 200),      # 1 % of 100,000 over 5.00 a share
    (10_000_000, 100, 10_000, 9_499, 1, 1, 100_000, 199),
    (10_000_000, 100, 10_000, 10_500, 1, 1, 100_000, 200),     # a short
    (10_000_000, 100, 10_000, 9_500, 1, 1, 150, 150),
    (10_000_000, 100, 10_000, 10_000, 1, 1, 150, 0),
    (10_000_000, 100, 10_000, 0, 1, 1, 150, 0),
    (-5, 100, 10_000, 9_500, 1, 1, 150, 0),
    (10_000_000, 0, 10_000, 9_500, 1, 1, 150, 0),
    (10_000_000, 100, 6_000_000, 5_900_000, 1, 100_000_000, 10**12, 100_000_000),  # 1 coin of 1e8 lots, 1,000.00 away
    (1_000, 5, 10_000, 9_500, 1, 1, 10, 0)])
def test_lots_for_risk(equity: int, bps: int, entry: int, stop: int, num: int, den: int, cap: int, lots: int) -> None:
    assert lots_for_risk(equity, bps, entry, stop, num, den, cap) == lots


@pytest.mark.parametrize(("notional", "price", "num", "den", "cap", "lots"), [
    (100_000, 10_000, 1, 1, 99, 10), (99_999, 10_000, 1, 1, 99, 9), (100_000, 10_000, 1, 1, 4, 4),
    (100_000, 0, 1, 1, 4, 0), (0, 10_000, 1, 1, 4, 0), (100_000, 333, 3, 7, 10_000, 700), (5, 2, 1, 3, 100, 7)])
def test_lots_for_notional(notional: int, price: int, num: int, den: int, cap: int, lots: int) -> None:
    assert lots_for_notional(notional, price, num, den, cap) == lots


def test_the_first_smallest_cap_binds() -> None:
    assert smallest_cap((9, 4, 7, 4)) == (4, 1)
    assert smallest_cap((9, -4)) == (0, 1)
    assert smallest_cap((3,)) == (3, 0)


@pytest.mark.parametrize(("lots", "mark", "stop", "gap_bps", "fee_ppm", "risk"), [
    (100, 10_000, 9_500, 0, 0, 50_000),
    (-100, 10_000, 10_500, 0, 0, 50_000),
    (100, 10_000, 0, 0, 0, 1_000_000),             # bare: the whole notional
    (-100, 10_000, 0, 50, 1_000, 1_000_000),
    (0, 10_000, 9_500, 50, 1_000, 0),
    (100, 10_000, 10_100, 0, 0, 0),                # the stop locks a profit in
    (-100, 10_000, 9_900, 0, 1_000, 990),          # and costs its fee
    (100, 10_000, 9_500, 100, 0, 59_500),          # filled at 9,405
    (-100, 10_000, 10_500, 100, 0, 60_500),        # filled at 10,605
    (100, 10_000, 9_500, 0, 1_000, 50_950),        # 0.1 % of 950,000
    (100, 10_000, 9_500, 20_000, 0, 1_000_000)])   # no stop fills below nothing
def test_open_risk(lots: int, mark: int, stop: int, gap_bps: int, fee_ppm: int, risk: int) -> None:
    assert open_risk_minor(lots, mark, stop, 1, 1, gap_bps, fee_ppm) == risk


def test_open_risk_rounds_up() -> None:
    assert open_risk_minor(1, 10, 9, 1, 3, 0, 0) == 1
    assert gapped_stop(1, 999, 1) == 998
    assert gapped_stop(-1, 999, 1) == 1_000


def test_an_order_counts_what_its_position_would() -> None:
    assert order_risk_minor(1, 100, 10_000, 9_500, 1, 1, 100, 0) == 59_500
    assert order_risk_minor(-1, 100, 10_000, 0, 1, 1, 0, 0) == 1_000_000
    assert order_risk_minor(1, 0, 10_000, 9_500, 1, 1, 100, 0) == 0


def test_heat_in_bps_rounds_up() -> None:
    assert heat_bps(60_000, 1_000_000) == 600
    assert heat_bps(60_001, 1_000_000) == 601
    assert heat_bps(0, 0) == 0
    assert heat_bps(1, 0) > 10_000 * 1_000_000
