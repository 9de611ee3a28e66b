"""Indicators over columns of bars, by name: the one door to pandas-ta, and what of it can be relied on.

pandas-ta takes TA-Lib's numbers where that happens to be installed, so its switch is turned off first; every parameter goes by
keyword, since their order is not what one expects; and only what a test holds against TA-Lib or a formula worked by hand is
offered. Its cci and wcp are wrong and come from lines of our own; its means of Wilder and Appel begin in another way than theirs
and come from the kernel. No value changes when later bars appear.

Live rules take the steps of `engine.kernel.indicators`, which give the very same values one bar at a time.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import UsageError
from engine.kernel.indicators import atr_into, macd_into, rsi_into
from engine.kernel.wants import BarColumns

if TYPE_CHECKING:
    import numpy as np

OPEN, HIGH, LOW, CLOSE, VOLUME = "open", "high", "low", "close", "volume"
HLC = (HIGH, LOW, CLOSE)
_COLUMNS = {OPEN: "opens", HIGH: "highs", LOW: "lows", CLOSE: "closes", VOLUME: "volumes"}


class Indicator(NamedTuple):
    """One indicator: the columns it reads, its parameters with their defaults, its outputs in order.

    `fixed` is always passed on; `own` computes it where pandas-ta is wrong, from columns and parameters.
    """

    inputs: tuple[str, ...]
    params: Mapping[str, float]
    outputs: tuple[str, ...]
    about: str
    fixed: Mapping[str, Any] = {}
    own: Callable[..., Any] | None = None


def _cci(columns: Mapping[str, Any], length: int) -> Any:
    """Lambert's commodity channel index: the typical price's distance from its mean in 0.015 mean absolute deviations."""
    import numpy as np

    typical = (columns[HIGH] + columns[LOW] + columns[CLOSE]) / 3.0
    found = np.full(len(typical), np.nan)
    if len(typical) >= length:
        windows = np.lib.stride_tricks.sliding_window_view(typical, length)
        means = windows.mean(axis=1)
        deviations = np.abs(windows - means[:, None]).mean(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[length - 1:] = np.where(deviations > 0.0, (typical[length - 1:] - means) / (0.015 * deviations), 0.0)
    return found


def _wcp(columns: Mapping[str, Any]) -> Any:
    """The weighted close: the bar's high, its low, and its close twice, by four."""
    return (columns[HIGH] + columns[LOW] + 2.0 * columns[CLOSE]) / 4.0


def _rsi(columns: Mapping[str, Any], length: int) -> Any:
    return _filled(1, rsi_into, columns[CLOSE].tolist(), length)[0]


def _atr(columns: Mapping[str, Any], length: int) -> Any:
    return _filled(1, atr_into, *(columns[name].tolist() for name in HLC), length)[0]


def _natr(columns: Mapping[str, Any], length: int) -> Any:
    return 100.0 * _atr(columns, length) / columns[CLOSE]


def _macd(columns: Mapping[str, Any], fast: int, slow: int, signal: int) -> Any:
    line, smoothed = _filled(2, macd_into, columns[CLOSE].tolist(), fast, slow, signal)
    return [line, line - smoothed, smoothed]


def _filled(rows: int, work: Callable[..., None], *given: Any) -> Any:
    """What a batch form of the kernel writes into so many rows."""
    import numpy as np

    out = [[math.nan] * len(given[0]) for _ in range(rows)]
    work(*given, *out)
    return np.array(out)


INDICATORS: dict[str, Indicator] = {
    "sma": Indicator((CLOSE,), {"length": 20}, ("sma",), "simple mean"),
    "ema": Indicator((CLOSE,), {"length": 20}, ("ema",), "exponential mean, seeded with the first value", {"presma": False}),
    "wma": Indicator((CLOSE,), {"length": 20}, ("wma",), "linearly weighted mean"),
    "rsi": Indicator((CLOSE,), {"length": 14}, ("rsi",), "Wilder's relative strength index", own=_rsi),
    "roc": Indicator((CLOSE,), {"length": 10}, ("roc",), "rate of change in percent"),
    "mom": Indicator((CLOSE,), {"length": 10}, ("mom",), "change over some bars"),
    "stdev": Indicator((CLOSE,), {"length": 20}, ("stdev",), "standard deviation over all values", {"ddof": 0}),
    "linreg": Indicator((CLOSE,), {"length": 14}, ("linreg",), "end of the least squares line"),
    "macd": Indicator((CLOSE,), {"fast": 12, "slow": 26, "signal": 9}, ("macd", "histogram", "signal"),
                      "Appel's convergence and divergence of means, each seeded with its first value", own=_macd),
    "bbands": Indicator((CLOSE,), {"length": 20, "width": 2.0}, ("lower", "middle", "upper"), "Bollinger's bands", {"ddof": 0}),
    "atr": Indicator(HLC, {"length": 14}, ("atr",), "Wilder's average true range", own=_atr),
    "natr": Indicator(HLC, {"length": 14}, ("natr",), "average true range in percent of the close", own=_natr),
    "true_range": Indicator(HLC, {}, ("true_range",), "true range"),
    "willr": Indicator(HLC, {"length": 14}, ("willr",), "Williams' percent range"),
    "aroon": Indicator((HIGH, LOW), {"length": 14}, ("down", "up", "oscillator"), "Chande's Aroon"),
    "donchian": Indicator((HIGH, LOW), {"length": 20}, ("lower", "middle", "upper"), "Donchian's channel"),
    "obv": Indicator((CLOSE, VOLUME), {}, ("obv",), "Granville's on-balance volume"),
    "mfi": Indicator((*HLC, VOLUME), {"length": 14}, ("mfi",), "money flow index"),
    "cci": Indicator(HLC, {"length": 14}, ("cci",), "Lambert's commodity channel index", own=_cci),
    "wcp": Indicator(HLC, {}, ("wcp",), "weighted close", own=_wcp),
}
LIBRARY_NAMES = {"bbands": {"width": ("lower_std", "upper_std")}, "donchian": {"length": ("lower_length", "upper_length")}}


def columns_of(bars: BarColumns) -> dict[str, "np.ndarray[Any, Any]"]:
    """Bars as columns of floats, by name; prices stay in ticks."""
    import numpy as np

    return {name: np.asarray(getattr(bars, field), np.float64) for name, field in _COLUMNS.items()}


def indicator(name: str, columns: Mapping[str, Sequence[float]], **params: float) -> dict[str, "np.ndarray[Any, Any]"]:
    """The outputs of an indicator for each bar, NaN where there are not enough bars yet; raises `UsageError`.

    `columns` are equally long, oldest first, by "open", "high", "low", "close", "volume".
    """
    import numpy as np

    known = _known(name)
    unknown = [key for key in params if key not in known.params]
    missing = [key for key in known.inputs if key not in columns]
    if unknown or missing:
        told = f"has no parameter {unknown[0]!r}; it has: {', '.join(known.params) or 'none'}" if unknown \
            else f"needs the column {missing[0]!r}"
        raise UsageError(f"{name}: {told}")
    values = {**known.params, **params}
    for key, value in values.items():
        if not value > 0 or (isinstance(known.params[key], int) and value != int(value)):
            raise UsageError(f"{name}: {key} = {value}: must be a number above 0, and whole where it counts bars")
    wanted = {key: np.asarray(columns[key], np.float64) for key in known.inputs}
    length = len(next(iter(wanted.values())))
    found = known.own(wanted, **values) if known.own is not None else _from_library(name, known, wanted, values)
    if found is None:  # too few bars
        return {output: np.full(length, np.nan) for output in known.outputs}
    rows = _outputs(found) if known.own is None else [found] if len(known.outputs) == 1 else found
    return dict(zip(known.outputs, rows, strict=False))


def _known(name: str) -> Indicator:
    known = INDICATORS.get(name)
    if known is None:
        raise UsageError(f"{name}: no such indicator; there are: {', '.join(INDICATORS)}")
    return known


def _from_library(name: str, known: Indicator, wanted: Mapping[str, Any], values: Mapping[str, float]) -> Any:
    import pandas as pd
    import pandas_ta as ta

    ta.maps.Imports["talib"] = False  # also for what an indicator calls in turn
    given: dict[str, Any] = dict(known.fixed)
    for key, value in values.items():
        for library_key in LIBRARY_NAMES.get(name, {}).get(key, (key,)):
            given[library_key] = value
    index = pd.RangeIndex(len(next(iter(wanted.values()))))
    return getattr(ta, name)(**{key: pd.Series(column, index) for key, column in wanted.items()}, **given)


def _outputs(found: Any) -> list[Any]:
    """The columns of what pandas-ta gave, by position: their names repeat the parameters as they were typed."""
    if found.ndim == 1:
        return [found.to_numpy()]
    return [found.iloc[:, place].to_numpy() for place in range(found.shape[1])]
