"""Workload W1 as a plain event loop in Python: an object asked once a bar, functions for exits and sizes, a record of each round
trip. What a strategy of one's own is measured against."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.bare_kernel import FEE, MOST, RISK, STOP_RANGES, TARGET_RANGES

FIRST_SIGNAL = 100


class Trip(NamedTuple):
    """A round trip: the bars of its fills, its units, both prices."""

    opened: int
    closed: int
    units: float
    entry: float
    exit: float


class Cross:
    """Two exponential means and an average true range, one bar at a time."""

    def __init__(self) -> None:
        self.fast = self.slow = self.reach = self.before = 0.0
        self.above = False

    def on_bar(self, place: int, high: float, low: float, close: float, units: float) -> float:
        """The range that a signal to buy goes by; 0 without a signal."""
        if place == 0:
            self.fast = self.slow = self.before = close
            self.reach = high - low
            return 0.0
        self.fast += (close - self.fast) * 2.0 / 21
        self.slow += (close - self.slow) * 2.0 / 51
        self.reach += (max(high - low, abs(high - self.before), abs(low - self.before)) - self.reach) / 14
        self.before = close
        above, was_above = self.fast > self.slow, self.above
        self.above = above
        return self.reach if place >= FIRST_SIGNAL and above and not was_above and units == 0.0 else 0.0


def exit_price(open_: float, high: float, low: float, stop: float, target: float) -> float:
    """Where a long leaves inside a bar, told pessimistically; 0 where it stays."""
    if open_ <= stop or open_ >= target:
        return open_
    if low <= stop:
        return stop
    return target if high >= target else 0.0


def units_for(worth: float, reach: float, close: float) -> float:
    return min(RISK * worth / (STOP_RANGES * reach), MOST * worth / close)


def run(opens: Sequence[float], highs: Sequence[float], lows: Sequence[float], closes: Sequence[float],
        cash: float) -> tuple[list[Trip], list[float]]:
    """The round trips, and the equity of every close."""
    strategy = Cross()
    trips: list[Trip] = []
    equity: list[float] = []
    units = wanted = distance = best = target = reach = entry = 0.0
    opened = 0
    for place, close in enumerate(closes):
        open_, high, low = opens[place], highs[place], lows[place]
        if wanted > 0.0:
            units, wanted, opened, entry, best = wanted, 0.0, place, open_, open_
            cash -= units * open_ * (1.0 + FEE)
            distance, target = STOP_RANGES * reach, open_ + TARGET_RANGES * reach
        if units > 0.0:
            price = exit_price(open_, high, low, best - distance, target)
            if price > 0.0:
                cash += units * price * (1.0 - FEE)
                trips.append(Trip(opened, place, units, entry, price))
                units = 0.0
            elif high > best:
                best = high
        signal = strategy.on_bar(place, high, low, close, units)
        worth = cash + units * close
        equity.append(worth)
        if signal > 0.0:
            reach, wanted = signal, units_for(worth, signal, close)
    return trips, equity
