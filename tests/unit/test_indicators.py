"""Every indicator offered, against TA-Lib or a formula by hand; none looks ahead; the rules' own steps give the same values."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib

from engine.errors import UsageError
from engine.indicators import INDICATORS, columns_of, indicator
from engine.kernel import indicators as kernel
from engine.kernel.wants import BarColumns

pytestmark = pytest.mark.slow

BARS = 1_200
LATE = 600  # means seeded in another way have met by then


def columns(seed: int = 1, count: int = BARS) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.r_[close[0], close[:-1]]
    high = np.maximum(opened, close) * (1 + abs(rng.normal(0, 0.004, count)))
    low = np.minimum(opened, close) * (1 - abs(rng.normal(0, 0.004, count)))
    return {"open": opened, "high": high, "low": low, "close": close, "volume": rng.integers(100, 9_999, count).astype(float)}


def _windowed(values: Any, length: int, work: Callable[[Any], float]) -> Any:
    return np.array([work(values[i - length + 1:i + 1]) if i >= length - 1 else math.nan for i in range(len(values))])


def oracle(name: str, c: dict[str, Any]) -> list[Any]:
    high, low, close, volume = c["high"], c["low"], c["close"], c["volume"]
    macd, signal, histogram = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    down, up = talib.AROON(high, low, 14)
    least, most = _windowed(low, 20, np.min), _windowed(high, 20, np.max)
    return {
        "sma": [talib.SMA(close, 20)], "ema": [talib.EMA(close, 20)], "wma": [talib.WMA(close, 20)],
        "rsi": [talib.RSI(close, 14)], "roc": [talib.ROC(close, 10)], "mom": [talib.MOM(close, 10)],
        "stdev": [talib.STDDEV(close, 20)],
        "linreg": [talib.LINEARREG(close, 14)], "macd": [macd, histogram, signal], "bbands": [lower, middle, upper],
        "atr": [talib.ATR(high, low, close, 14)], "natr": [talib.NATR(high, low, close, 14)],
        "true_range": [talib.TRANGE(high, low, close)], "willr": [talib.WILLR(high, low, close, 14)],
        "aroon": [down, up, talib.AROONOSC(high, low, 14)], "donchian": [least, (least + most) / 2, most],
        "obv": [talib.OBV(close, volume)], "mfi": [talib.MFI(high, low, close, volume, 14)],
        "cci": [talib.CCI(high, low, close, 14)], "wcp": [talib.WCLPRICE(high, low, close)],
    }[name]


@pytest.mark.parametrize("name", INDICATORS)
def test_it_gives_what_the_oracle_gives(name: str) -> None:
    found, wanted = list(indicator(name, columns()).values()), oracle(name, columns())
    assert len(found) == len(wanted) == len(INDICATORS[name].outputs)
    for ours, theirs in zip(found, wanted, strict=True):
        ours, theirs = ours[LATE:], theirs[LATE:]
        if name == "obv":  # a running sum: where it began is a matter of taste
            ours, theirs = np.diff(ours), np.diff(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("name", INDICATORS)
def test_later_bars_change_nothing(name: str) -> None:
    whole = columns()
    shortened = {key: column[:900] for key, column in whole.items()}
    for output, values in indicator(name, shortened).items():
        np.testing.assert_allclose(values, indicator(name, whole)[output][:900], rtol=1e-12, atol=1e-12)


def kernel_values(name: str, c: dict[str, Any]) -> list[Any]:
    """The batch forms of the steps that rules take."""
    close, high, low = c["close"].tolist(), c["high"].tolist(), c["low"].tolist()
    rows = [[0.0] * len(close) for _ in range(3)]
    match name:
        case "ema":
            kernel.ema_into(close, 20, rows[0])
        case "atr":
            kernel.atr_into(high, low, close, 14, rows[0])
        case "rsi":
            kernel.rsi_into(close, 14, rows[0])
        case "bbands":
            kernel.bands_into(close, 20, 2.0, *rows)
        case "macd":
            kernel.macd_into(close, 12, 26, 9, rows[0], rows[2])
            rows[1] = [line - signal for line, signal in zip(rows[0], rows[2], strict=True)]
        case "donchian":
            kernel.channel_into(high, low, 20, rows[0], rows[2])
            rows[1] = [(least + most) / 2 for least, most in zip(rows[0], rows[2], strict=True)]
        case "roc":
            kernel.change_into(close, 10, rows[0])
            rows[0] = [100 * value for value in rows[0]]
        case "sma":
            rows[0] = [kernel.mean_at(close, i, 20) if i >= 19 else math.nan for i in range(len(close))]
        case _:
            rows[0] = [kernel.deviation_at(close, i, 20) if i >= 19 else math.nan for i in range(len(close))]
    return rows


@pytest.mark.parametrize(("name", "from_bar"), [
    ("ema", 0), ("sma", 0), ("stdev", 0), ("bbands", 0), ("donchian", 0), ("roc", 0), ("atr", 13), ("rsi", 14), ("macd", 0)])
def test_the_rules_own_steps_give_the_same_values(name: str, from_bar: int) -> None:
    c = columns(2)
    for batch, stepped in zip(indicator(name, c).values(), kernel_values(name, c), strict=False):
        np.testing.assert_allclose(batch[from_bar:], stepped[from_bar:], rtol=1e-9, atol=1e-8)
        assert np.isnan(batch[:from_bar]).all()


def test_wilders_index_begins_as_he_begins_it() -> None:
    close = columns(2)["close"]
    np.testing.assert_allclose(indicator("rsi", {"close": close})["rsi"], talib.RSI(close, 14), rtol=1e-9)


def test_the_variance_of_steps_is_that_of_the_weights() -> None:
    """West's recursion against the weighted sums it stands for."""
    values, n = columns(3)["close"].tolist()[:200], 20
    mean, variance = values[0], 0.0
    for value in values[1:]:
        mean, variance = kernel.variance_step(mean, variance, n, value)
    alpha = 2 / (n + 1)
    weights = [(1 - alpha) ** 199] + [alpha * (1 - alpha) ** (199 - i) for i in range(1, 200)]
    wanted = sum(weight * value for weight, value in zip(weights, values, strict=True))
    assert mean == pytest.approx(wanted, rel=1e-12)
    spread = sum(weight * (value - wanted) ** 2 for weight, value in zip(weights, values, strict=True))
    assert variance == pytest.approx(spread, rel=1e-9)


def test_too_few_bars_give_no_values() -> None:
    few = {key: column[:5] for key, column in columns().items()}
    assert all(np.isnan(values).all() for values in indicator("bbands", few).values())
    assert np.isnan(indicator("cci", few)["cci"]).all()


@pytest.mark.parametrize(("name", "params", "told"), [
    ("zigzag", {}, "no such indicator; there are: sma, ema"), ("ema", {"lenght": 3}, "no parameter 'lenght'; it has: length"),
    ("ema", {"length": 0}, "must be a number above 0"), ("ema", {"length": 2.5}, "whole where it counts bars"),
    ("rsi", {"length": math.nan}, "must be a number above 0")])
def test_what_cannot_be_meant_is_told(name: str, params: dict[str, float], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        indicator(name, columns(), **params)


def test_a_missing_column_is_told() -> None:
    with pytest.raises(UsageError, match="atr: needs the column 'low'"):
        indicator("atr", {"high": [1.0], "close": [1.0]})


def test_bars_become_columns() -> None:
    bars = BarColumns([0], [60], [10], [12], [9], [11], [500])
    assert {name: list(column) for name, column in columns_of(bars).items()} == {
        "open": [10], "high": [12], "low": [9], "close": [11], "volume": [500]}


def test_talib_does_not_decide_the_numbers() -> None:
    """Where TA-Lib is installed pandas-ta would take its warm-up: an EMA's first values would be missing."""
    assert indicator("ema", columns())["ema"][0] == columns()["close"][0]


def test_the_library_is_loaded_only_when_asked() -> None:
    told = "import engine.indicators, sys; print([one for one in ('pandas', 'numba', 'numpy') if one in sys.modules])"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.strip() == "[]"
