"""A backtest's result becomes a track, from which the same report is made as from a journal."""

import numpy as np
import pytest

from engine.analytics.page import page
from engine.analytics.report import performance
from engine.backtest.holdings import ENTERED
from engine.backtest.results import BacktestResult
from engine.backtest.run import Series
from engine.backtest.tracks import gross_minor, known_bars, track_of
from engine.kernel.exits import STOP_HIT
from engine.kernel.wants import BarColumns
from engine.market import NS_PER_DAY
from engine.regimes import RegimeSettings
from tests.unit.engine_desk import COIN, OTHER


@pytest.fixture
def result() -> BacktestResult:
    """Ten coins from 100.00 to 95.00 over two of five days, two others bought on the fourth and kept."""
    day = NS_PER_DAY
    fills = [[0, 2 * day, 1, 10, 10_000, 30, 0, ENTERED, 1, 9_990], [0, 4 * day, -1, 10, 9_500, 20, 0, STOP_HIT, 3, 9_520],
             [1, 4 * day + 1, 1, 2, 5_000, 10, 0, ENTERED, 8, 5_000]]
    trips = [[0, 1, 10, 2 * day, 4 * day, 100_000, 95_000, -5_000, 50, 10_000, STOP_HIT, 9_400, 10_300, 0, 0]]
    return BacktestResult(
        "ema_cross", (COIN, OTHER), 10, 1_000_000, 984_940, np.array(fills), np.array(trips),
        np.array([1, 2, 3, 4, 5]) * day + 5, np.array([1_000_000, 999_970, 1_002_970, 994_940, 994_940]), {"heat": 2}, {}, ())


@pytest.fixture
def series() -> list[Series]:
    """The bars of both, one a day."""
    closes_ns = [day * NS_PER_DAY + 5 for day in range(1, 6)]
    opens_ns = [at_ns - NS_PER_DAY for at_ns in closes_ns]
    return [Series(instrument, BarColumns(opens_ns, closes_ns, closes, closes, closes, closes, [0] * 5))
            for instrument, closes in ((COIN, [10_000, 10_000, 10_100, 9_500, 9_500]), (OTHER, [5_000] * 5))]


def test_a_result_tells_its_curve_round_trips_and_fills(result: BacktestResult, series: list[Series]) -> None:
    track = track_of(result, series)
    assert (track.name, track.currency, track.minor_exponent) == ("ema_cross", "USD", 2)
    (trip,) = track.trips
    assert (trip.entry_price, trip.exit_price, trip.net_minor, trip.strategy) == (100.0, 95.0, -5_050, "ema_cross")
    assert trip.exit_reason == "stop of the plan", "in the words of the journal"
    assert trip.adverse_fraction == pytest.approx(0.06)
    assert trip.favourable_fraction == pytest.approx(0.03)
    assert [(fill.symbol, fill.purpose, fill.sign, fill.notional_minor) for fill in track.fills] == [
        ("COIN", "entry", 1, 100_000), ("COIN", "stop", -1, 95_000), ("OTHER", "entry", 1, 10_000)]
    assert gross_minor(result, series).tolist() == [0, 100_000, 101_000, 10_000, 10_000]


def test_the_same_report_is_made_of_it(result: BacktestResult, series: list[Series]) -> None:
    view = performance(track_of(result, series), lambda at_ns: at_ns // NS_PER_DAY)
    told = {figure.key: figure.value for figure in view.figures}
    assert (told["profit"], told["fees"], told["round_trips"], told["expectancy"]) == (-50.6, 0.6, 1.0, -50.5)
    assert told["expectancy_r"] == pytest.approx(-0.505)
    assert told["exposure"] == pytest.approx(75.0)
    assert told["slippage"] == 3.0, "ten coins 0.10 dearer than at the close before, and sold 0.20 below their stop"
    assert [grouping.by for grouping in view.groupings] == ["strategy", "instrument", "decision", "exit reason"]
    assert "ema_cross" in page(view)


HOUR = NS_PER_DAY // 24
REGIMES = RegimeSettings(trend_bars=4, volatility_bars=4, usual_bars=8)


def hourly(closes: list[int]) -> Series:
    """Bars of an hour from the beginning of 1970."""
    closes_ns = np.array([HOUR * (place + 1) for place in range(len(closes))])
    column = np.array(closes)
    return Series(COIN, BarColumns(closes_ns - HOUR, closes_ns, column, column, column, column, column))  # type: ignore[arg-type]


def test_a_regime_is_told_when_the_day_begins_or_once_there_are_bars_enough() -> None:
    bars = hourly([100] * 72).bars
    assert known_bars(bars, 8 * HOUR, REGIMES) == 0, "the eighth bar closes just then"
    assert known_bars(bars, 9 * HOUR + 1, REGIMES) == 9
    assert known_bars(bars, 23 * HOUR, REGIMES) == 9, "for the rest of the day"
    assert [known_bars(bars, hour * HOUR, REGIMES) for hour in (24, 30, 47, 48)] == [23, 23, 23, 47], "not the bar at midnight"


def test_round_trips_are_grouped_by_the_regime_that_they_began_in_and_nothing_later_changes_it() -> None:
    rising = [10_000 + 10 * hour for hour in range(72)]
    fills = np.array([[0, 26 * HOUR, 1, 10, 10_260, 0, 0, ENTERED, 26, 10_250],
                      [0, 28 * HOUR, -1, 10, 10_280, 0, 0, STOP_HIT, 28, 10_280]])
    trips = np.array([[0, 1, 10, 26 * HOUR, 28 * HOUR, 102_600, 102_800, 200, 0, 0, STOP_HIT, 1, 2, 26, 28]])
    result = BacktestResult("own", (COIN,), 72, 1_000, 1_000, fills, trips, np.arange(1, 73) * HOUR, np.full(72, 1_000), {}, {},
                            ())
    for later in (rising, rising[:24] + [5_000, 20_000] * 24):
        track = track_of(result, [hourly(later)], regimes=REGIMES)
        # equal steps: deviations of 4 and of 8 returns are as sqrt(15 / 12) to sqrt(63 / 12), below 0.67
        assert [trip.regime for trip in track.trips] == ["trend up, calm"]
        view = performance(track, lambda at_ns: at_ns // NS_PER_DAY)
        assert [group.name for one in view.groupings if one.by == "regime" for group in one.groups] == ["trend up, calm"]
