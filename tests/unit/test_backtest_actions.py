"""Splits, dividends and the fee of shorts in a backtest, against numbers worked out by hand."""

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest.actions import Dividend, Split, held_return, restated
from engine.backtest.results import BacktestResult
from engine.backtest.run import Series, Setup, backtest
from engine.instruments import AssetClass, Instrument
from engine.kernel.wants import KEEP, BarColumns
from engine.strategies.registry import built_in
from engine.tolerance import Limits

DAY_NS = 86_400_000_000_000
OPEN_NS = 14 * 3_600_000_000_000
LENGTH_NS = 7 * 3_600_000_000_000
CASH = 1_000_000
FREE = Limits(
    max_order_notional_fraction=1.0, max_position_fraction=1.0, max_heat_fraction=1.0, max_risk_per_order_fraction=0.0,
    max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, max_losing_streak=0, require_stop=False,
    max_daily_notional_fraction=0.0, max_orders_per_day=0, max_leverage=2.0)
SHARE = Instrument("ACME@paper", "ACME", "paper", AssetClass.EQUITY, "ACME", "USD", Decimal("0.01"), Decimal(1), 2,
                   10_000_000, 1_000_000)


def days(prices: list[int]) -> BarColumns:
    """A bar a day, flat at the price in cents."""
    rows = [(day * DAY_NS + OPEN_NS, day * DAY_NS + OPEN_NS + LENGTH_NS, price, price, price, price, 0)
            for day, price in enumerate(prices, 1)]
    return BarColumns(*(np.array(column, np.int64) for column in zip(*rows, strict=True)))  # type: ignore[arg-type]


def held(prices: list[int], sign: int = 1, **terms: Any) -> BacktestResult:
    """Half of the equity enters at the open of the fifth day, long or short, and stays."""
    setup = Setup(CASH, FREE, **terms)
    instrument, bars = restated(SHARE, days(prices), setup.splits)
    strategy = built_in("rebalance")._replace(rule=long_once if sign > 0 else short_once)
    return backtest([Series(instrument, bars)], strategy, {"stop_bps": 9_000}, setup, interpreted_bars=1_000)


def long_once(_: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
    out[0] = 5_000 if seen == 4 else KEEP
    return memory


def short_once(_: Any, memory: Any, columns: Any, places: Any, seen: int, held: Any, out: Any) -> Any:
    out[0] = -5_000 if seen == 4 else KEEP
    return memory


def test_a_long_is_paid_its_dividend_and_who_enters_at_that_open_is_not() -> None:
    entered = held([10_000] * 8)
    assert [(row.at_ns // DAY_NS, row.lots) for row in entered.fill_rows()] == [(5, 50)]
    paid = held([10_000] * 8, dividends=(Dividend("ACME", 7 * DAY_NS, Fraction("0.333")),))
    assert paid.dividends_minor == 1_665  # 50 x 33.3 cents
    assert paid.final_equity_minor == CASH + 1_665
    late = held([10_000] * 8, dividends=(Dividend("ACME", 5 * DAY_NS, Fraction(1)), Dividend("OTHER", 7 * DAY_NS, Fraction(1))))
    assert late.dividends_minor == 0


def test_a_split_changes_no_money_and_triggers_no_stop() -> None:
    split = Split("ACME", 7 * DAY_NS, Fraction(20))  # from 100.00 to 5.00, beyond the stop at 10.00
    broken = held([10_000] * 6 + [500] * 2)
    assert broken.final_equity_minor < CASH * 6 // 10
    whole = held([10_000] * 6 + [500] * 2, splits=(split,))
    assert whole.final_equity_minor == CASH
    assert len(whole.fills) == 1
    assert whole.remaining[0].lots == 50


def test_a_dividend_after_a_split_is_told_in_new_shares() -> None:
    result = held([10_000] * 6 + [5_000] * 2, splits=(Split("ACME", 7 * DAY_NS, Fraction(2)),),
                  dividends=(Dividend("ACME", 6 * DAY_NS, Fraction("0.10")), Dividend("ACME", 8 * DAY_NS, Fraction("0.10"))))
    assert result.dividends_minor == 50 * 10 + 100 * 10


def test_a_split_of_any_ratio_rounds_no_price() -> None:
    splits = (Split("ACME", 2 * DAY_NS, Fraction(3, 2)), Split("ACME", 3 * DAY_NS, Fraction(1, 7)))
    _, bars = restated(SHARE, days([300, 200, 1_400]), splits)
    assert list(bars.closes) == [300 * 14, 200 * 21, 1_400 * 3]


def test_a_short_pays_dividends_and_for_borrowing() -> None:
    prices = [10_000] * 5 + [11_000] * 4
    free = held(prices, -1)
    assert [(row.at_ns // DAY_NS, row.sign, row.lots) for row in free.fill_rows()] == [(5, -1, 50)]
    assert free.final_equity_minor == CASH - 50 * 1_000
    charged = held(prices, -1, dividends=(Dividend("ACME", 7 * DAY_NS, Fraction("0.255")),), borrow_ppm=50_000)
    assert charged.dividends_minor == -1_275  # 50 x 25.5 cents
    # 5 % a year of 5,000.00 is 68.49 cents for the first night, of 5,500.00 75.34 for each of three, rounded up each time
    assert charged.borrow_minor == 69 + 3 * 76
    assert charged.final_equity_minor == free.final_equity_minor - 1_275 - 297


def test_who_only_holds_is_paid_too() -> None:
    bars = days([10_000, 10_000, 10_000, 11_000])
    assert held_return(SHARE, bars, (), ()) == pytest.approx(0.1)
    paid = [Dividend("ACME", day * DAY_NS, Fraction(cash)) for day, cash in ((1, 7), (3, 5), (9, 7))]
    paid.append(Dividend("OTHER", 3 * DAY_NS, Fraction(9)))
    assert held_return(SHARE, bars, paid, ()) == pytest.approx(0.15), "neither the first day's nor one after the last"
    splits = (Split("ACME", 3 * DAY_NS, Fraction(2)),)
    halved = restated(SHARE, days([10_000, 10_000, 5_000, 5_500]), splits)
    two_each = (Dividend("ACME", 4 * DAY_NS, Fraction(2)),)
    assert held_return(*halved, two_each, splits) == pytest.approx(0.14), "one share became two"


@pytest.mark.slow
def test_a_compiled_pass_pays_the_same(compiled_passes: Path) -> None:
    series = [Series(SHARE, days([10_000, 10_100, 9_900, 10_000, 10_200, 10_100, 10_300, 10_200, 10_400]))]
    setup = Setup(CASH, FREE, dividends=(Dividend("ACME", 6 * DAY_NS, Fraction("0.333")),), borrow_ppm=50_000)
    params = {"lookback_bars": 3, "stop_bps": 9_000}
    fast = backtest(series, built_in("rebalance"), params, setup, compiled_passes)
    slow = backtest(series, built_in("rebalance"), params, setup, interpreted_bars=1_000)
    assert fast.dividends_minor == slow.dividends_minor > 0
    assert list(fast.equity_minor) == list(slow.equity_minor)
