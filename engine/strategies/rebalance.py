"""Rebalance: keep a basket at target weights, set anew at fixed intervals, with a band within which nothing is touched.

Weights are equal, by inverse volatility, by equal contributions to risk, or given. Sources: Maillard, Roncalli and Teiletche,
The Properties of Equally Weighted Risk Contribution Portfolios (2010); DeMiguel, Garlappi and Uppal, Optimal Versus Naive
Diversification (2009), on equal weights being hard to beat. Each position has a stop far below, for the catastrophe.
"""

from collections.abc import Callable, MutableSequence
from math import sqrt
from typing import NamedTuple

from engine.kernel.wants import LEAVE, BarColumns, Held, RuleWant
from engine.kernel.weights import covariance, equal_into, inverse_volatility_into, risk_parity_into
from engine.strategies.registry import Bound

INSTRUMENTS = (1, 50)
EQUAL, INVERSE_VOLATILITY, RISK_PARITY, GIVEN = 0, 1, 2, 3
GIVEN_WEIGHTS = 8
NS_PER_SECOND = 1_000_000_000


class Params(NamedTuple):
    """`method` 0 equal, 1 inverse volatility, 2 risk parity, 3 `weight_1` to `weight_8` in the order of the symbols, of which a
    ninth gets nothing; together `total_bps` of equity."""

    method: int = 0
    interval_seconds: int = 7 * 86_400
    lookback_bars: int = 60
    total_bps: int = 9_000
    band_bps: int = 100
    stop_bps: int = 5_000
    weight_1: float = 0.0
    weight_2: float = 0.0
    weight_3: float = 0.0
    weight_4: float = 0.0
    weight_5: float = 0.0
    weight_6: float = 0.0
    weight_7: float = 0.0
    weight_8: float = 0.0


BOUNDS = {
    "method": Bound(0, 3), "interval_seconds": Bound(60, 366 * 86_400), "lookback_bars": Bound(3, 1_900),
    "total_bps": Bound(1, 10_000), "band_bps": Bound(0, 5_000), "stop_bps": Bound(0, 9_900),
    **{f"weight_{number}": Bound(0.0, 1_000.0) for number in range(1, GIVEN_WEIGHTS + 1)},
}
KEPT = ("done_ns",)


class Memory(NamedTuple):
    """When the weights were last set (0: never)."""

    done_ns: int = 0


def weights(p: Params, m: Memory, columns: tuple[BarColumns, ...], places: tuple[int, ...], seen: int,
            held: tuple[Held, ...], out: MutableSequence[int]) -> Memory:
    """The target weights where they are due."""
    now_ns = columns[0].closes_ns[places[0]]
    due = m.done_ns == 0 or now_ns - m.done_ns >= p.interval_seconds * NS_PER_SECOND
    if not due or seen <= p.lookback_bars:
        return m
    for i in range(len(held)):
        if held[i].waiting != 0:
            return m
    parts = [0.0] * len(places)
    if not _parts_into(p, columns, places, seen, parts):
        return m
    for i in range(len(parts)):
        out[i] = int(p.total_bps * parts[i])
    return Memory(now_ns)


def _parts_into(p: Params, columns: tuple[BarColumns, ...], places: tuple[int, ...], seen: int,
                parts: MutableSequence[float]) -> bool:
    """Each instrument's part of the whole; False where the bars do not tell."""
    count = len(places)
    if p.method == GIVEN:
        given = [p.weight_1, p.weight_2, p.weight_3, p.weight_4, p.weight_5, p.weight_6, p.weight_7, p.weight_8]
        total = 0.0
        for i in range(min(count, len(given))):
            total += given[i]
        for i in range(min(count, len(given))):
            parts[i] = given[i] / total
        return True
    if p.method == EQUAL:
        equal_into(parts)
        return True
    returns = [0.0] * (count * p.lookback_bars)
    if not _returns_into(p.lookback_bars, columns, places, seen, returns):
        return False
    matrix = [0.0] * (count * count)
    for i in range(count):
        row = returns[i * p.lookback_bars:(i + 1) * p.lookback_bars]
        for j in range(count):
            other = returns[j * p.lookback_bars:(j + 1) * p.lookback_bars]
            matrix[i * count + j] = covariance(row, other, p.lookback_bars)
    if p.method == INVERSE_VOLATILITY:
        deviations = [0.0] * count
        for i in range(count):
            deviations[i] = sqrt(matrix[i * count + i])
        return inverse_volatility_into(deviations, parts)
    return risk_parity_into(matrix, count, parts)


def _returns_into(count: int, columns: tuple[BarColumns, ...], places: tuple[int, ...], seen: int,
                  out: MutableSequence[float]) -> bool:
    """The newest `count` returns of each instrument, one instrument after the other, between moments at which all of them have a
    bar; False where there are not as many."""
    at = [0] * len(places)
    for i in range(len(places)):
        at[i] = places[i]
    for k in range(count - 1, -1, -1):
        for i in range(len(places)):
            out[i * count + k] = columns[i].closes[at[i]]
        if not _step_back(columns, places, seen, at):
            return False
        for i in range(len(places)):
            out[i * count + k] = out[i * count + k] / columns[i].closes[at[i]] - 1.0
    return True


def _step_back(columns: tuple[BarColumns, ...], places: tuple[int, ...], seen: int, at: MutableSequence[int]) -> bool:
    """Move every place to the newest earlier moment at which all instruments have a bar; False where history ends before."""
    oldest_ns = columns[0].closes_ns[at[0]] - 1
    settled = False
    while not settled:
        settled = True
        for i in range(len(places)):
            while at[i] > places[i] - seen and columns[i].closes_ns[at[i]] > oldest_ns:
                at[i] -= 1
            if at[i] <= places[i] - seen:
                return False
            if columns[i].closes_ns[at[i]] < oldest_ns:
                oldest_ns = columns[i].closes_ns[at[i]]
                settled = False
    return True


def warmup(p: Params) -> int:
    return p.lookback_bars


def problem(p: Params) -> str:
    if p.method == GIVEN and p.weight_1 <= 0.0:
        return "method = 3: give weight_1, weight_2, ... in the order of the symbols"
    return ""


def explain(p: Params, _: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """How the weights were found, in words."""
    how = ("equal weights", "inverse volatility", "equal contributions to risk", "given weights")[p.method]
    if want.act == LEAVE:
        return f"{how}: {want.size_bps / 100:g} % of it too much"
    stop = f"; stop {price(want.stop_ticks)}" if want.stop_ticks else ""
    return f"{how}: {want.size_bps / 100:g} % of equity more{stop}"
