"""Fill rules against hand-worked cases."""

import pytest

from engine.kernel.fills import (
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    fill_in_bar,
    fill_on_quote,
    fillable_lots,
    with_slippage,
)


@pytest.mark.parametrize(("available_lots", "share_bps", "lot", "expected"), [
    (1000, 1000, 1, 100), (999, 1000, 1, 99), (999, 1000, 25, 75), (10, 500, 1, 0), (0, 1000, 1, 0), (-5, 1000, 1, 0),
    (100, 0, 1, 0), (100, 10_000, 100, 100), (99, 10_000, 100, 0)])
def test_fillable_lots(available_lots: int, share_bps: int, lot: int, expected: int) -> None:
    assert fillable_lots(available_lots, share_bps, lot) == expected


@pytest.mark.parametrize(("side", "kind", "limit", "trigger", "expected"), [
    (1, MARKET, 0, 0, 102), (-1, MARKET, 0, 0, 100),
    (1, LIMIT, 101, 0, 0), (1, LIMIT, 102, 0, 102), (1, LIMIT, 110, 0, 102),
    (-1, LIMIT, 101, 0, 0), (-1, LIMIT, 100, 0, 100), (-1, LIMIT, 90, 0, 100),
    (1, STOP, 0, 103, 0), (1, STOP, 0, 102, 102), (1, STOP, 0, 90, 102),
    (-1, STOP, 0, 99, 0), (-1, STOP, 0, 100, 100), (-1, STOP, 0, 120, 100),
    (1, STOP_LIMIT, 105, 103, 0), (1, STOP_LIMIT, 105, 102, 102), (1, STOP_LIMIT, 101, 100, 0),
    (-1, STOP_LIMIT, 95, 99, 0), (-1, STOP_LIMIT, 95, 101, 100), (-1, STOP_LIMIT, 101, 102, 0)])
def test_fill_on_a_quote_of_100_to_102(side: int, kind: int, limit: int, trigger: int, expected: int) -> None:
    assert fill_on_quote(side, kind, limit, trigger, 100, 102) == expected


def test_a_missing_side_fills_nothing() -> None:
    assert fill_on_quote(1, MARKET, 0, 0, 100, 0) == 0
    assert fill_on_quote(-1, STOP, 0, 120, 0, 102) == 0


@pytest.mark.parametrize(("side", "kind", "limit", "trigger", "touch_fills", "expected"), [
    (1, MARKET, 0, 0, False, 100), (-1, MARKET, 0, 0, False, 100),
    (1, LIMIT, 101, 0, False, 100),      # better open
    (1, LIMIT, 100, 0, False, 100),      # the low goes through
    (1, LIMIT, 95, 0, False, 95),
    (1, LIMIT, 90, 0, False, 0),         # touched at the low only
    (1, LIMIT, 90, 0, True, 90),
    (1, LIMIT, 89, 0, True, 0),
    (-1, LIMIT, 99, 0, False, 100),
    (-1, LIMIT, 109, 0, False, 109),
    (-1, LIMIT, 110, 0, False, 0),
    (-1, LIMIT, 110, 0, True, 110),
    (1, STOP, 0, 105, False, 105), (1, STOP, 0, 110, False, 110), (1, STOP, 0, 111, False, 0),
    (1, STOP, 0, 98, False, 100),        # gapped: the worse open
    (-1, STOP, 0, 95, False, 95), (-1, STOP, 0, 90, False, 90), (-1, STOP, 0, 89, False, 0),
    (-1, STOP, 0, 103, False, 100),
    (1, STOP_LIMIT, 107, 105, False, 107),   # close 104 lies below the limit: worst price the limit allows
    (1, STOP_LIMIT, 120, 105, False, 110),   # never beyond the bar
    (1, STOP_LIMIT, 104, 103, False, 0),     # close at the limit is a touch
    (1, STOP_LIMIT, 104, 103, True, 104),
    (1, STOP_LIMIT, 103, 102, False, 0),     # close 104 above the limit: nobody knows
    (1, STOP_LIMIT, 120, 111, False, 0),     # never triggered
    (1, STOP_LIMIT, 97, 99, False, 97),      # triggered at the open, a limit for the whole bar
    (-1, STOP_LIMIT, 93, 95, False, 93),
    (-1, STOP_LIMIT, 80, 95, False, 90),
    (-1, STOP_LIMIT, 106, 95, False, 0),
    (-1, STOP_LIMIT, 80, 89, False, 0)])
def test_fill_in_the_bar_100_110_90_104(side: int, kind: int, limit: int, trigger: int, touch_fills: bool,
                                        expected: int) -> None:
    assert fill_in_bar(side, kind, limit, trigger, 100, 110, 90, 104, touch_fills) == expected


@pytest.mark.parametrize(("price", "side", "bps", "expected"), [
    (10_000, 1, 5, 10_005), (10_000, -1, 5, 9_995), (9_999, 1, 5, 10_004), (9_999, -1, 5, 9_994), (100, 1, 0, 100),
    (1, -1, 10_000, 1), (0, 1, 5, 0)])
def test_slippage_is_worse_and_rounded_away(price: int, side: int, bps: int, expected: int) -> None:
    assert with_slippage(price, side, bps) == expected
