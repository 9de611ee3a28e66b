"""An invented price as a pure function of seed, instrument and time.

Days form a walk with clustered volatility; inside a day a bridge joins the two ends by midpoint displacement. Each
split of an interval also splits its variance unevenly, so that volatility comes in bursts at every scale: returns are
fat-tailed and their sizes are correlated, as real ones are. Nothing depends on the order of the questions.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from functools import lru_cache
from math import ceil, cos, exp, floor, log, sin, sqrt, tau
from random import Random
from threading import Lock
from typing import NamedTuple

from engine.units import Nanoseconds

FIRST_DAY = 17_532  # 2018-01-01: the walk begins here
NODES = 128  # a day's bridge is drawn to this many stretches at once, each of them finer on demand
FINE = 1024  # points in a stretch: less than a second of a full day
KEPT_STRETCHES = 512
KEPT_DAYS = 256
VOLATILITY_MEMORY = 0.94
VOLATILITY_NOISE = 0.16
PULL = 0.008  # how much of its distance from the base price a day takes back
SPLIT_NOISE = 0.55
JUMP_CHANCE = 0.06
NIGHT_SHARE = 0.25  # of a day's variance falls between two sessions of a share
WEEKEND_VOLATILITY = 0.75


class Day(NamedTuple):
    """One day of the walk: logarithms relative to the base price, and the volatility in force."""

    before: float
    after: float
    volatility: float


class DailyWalk:
    """The closing levels of one instrument, drawn day after day from one stream and kept; one thread draws at a time, since two
    would share the stream between them."""

    def __init__(self, key: str, common_key: str, volatility: float, common_share: float) -> None:
        self._own, self._common = seeded(key).random, seeded(common_key)
        self._volatility = volatility
        self._share, self._own_share = common_share, sqrt(1.0 - common_share ** 2)
        self._log_volatility = 0.0
        self._levels, self._volatilities = array("d", [0.0]), array("d")
        self._drawing = Lock()

    def day(self, day: int) -> Day:
        """The day numbered from 1970-01-01; the first is `FIRST_DAY`."""
        at = day - FIRST_DAY
        if len(self._volatilities) <= at:
            with self._drawing:
                while len(self._volatilities) <= at:
                    self._draw()
        return Day(self._levels[at], self._levels[at + 1], self._volatilities[at])

    def _draw(self) -> None:
        wildness, own_shock = normal_pair(self._own)
        self._log_volatility = VOLATILITY_MEMORY * self._log_volatility + VOLATILITY_NOISE * wildness
        volatility = self._volatility * exp(self._log_volatility)
        shock = self._share * self._common.gauss(0.0, 1.0) + self._own_share * own_shock
        before = self._levels[-1]
        self._levels.append(before + volatility * shock - PULL * before)
        self._volatilities.append(volatility)


class Bridge:
    """The path inside one stretch of trading: fixed ends, a variance, maybe a jump."""

    def __init__(self, key: str, start_ns: Nanoseconds, end_ns: Nanoseconds, ends: tuple[float, float], variance: float,
                 *, opens_wild: bool) -> None:
        self.key, self.start_ns, self.end_ns = key, start_ns, end_ns
        self.variance = variance
        random = seeded(key)
        self.jump_at = random.random() if random.random() < JUMP_CHANCE else 2.0
        self.jump = random.gauss(0.0, 2.0 * sqrt(variance)) if self.jump_at <= 1.0 else 0.0
        self.levels = array("d", bytes(8 * (NODES + 1)))
        self.variances = array("d", bytes(8 * NODES))
        self.levels[0], self.levels[NODES] = ends[0], ends[1] - self.jump
        self._split(random, 0, NODES, variance, opens_wild=opens_wild)

    def _split(self, random: Random, left: int, right: int, variance: float, *, opens_wild: bool) -> None:
        if right - left == 1:
            self.variances[left] = variance
            return
        middle = (left + right) // 2
        even = _share_of_left(left / NODES, middle / NODES, right / NODES) if opens_wild else 0.5
        part = _uneven(random, even)
        self.levels[middle] = _midpoint(random, self.levels[left], self.levels[right], variance, part)
        self._split(random, left, middle, variance * part, opens_wild=opens_wild)
        self._split(random, middle, right, variance * (1.0 - part), opens_wild=opens_wild)

    def stretch(self, index: int) -> array[float]:
        """The finer points of one stretch, ends included."""
        points = array("d", bytes(8 * (FINE + 1)))
        points[0], points[FINE] = self.levels[index], self.levels[index + 1]
        random = seeded(f"{self.key}|{index}").random
        variances = [self.variances[index]]
        step = FINE
        while step > 1:  # level by level, left to right: the same draws whoever asks
            half = step // 2
            finer: list[float] = []
            middle = half
            for variance in variances:  # _uneven and _midpoint, written out: an engine's start waits for 100,000 of them
                scatter, shift = normal_pair(random)
                odds = exp(SPLIT_NOISE * scatter)
                part = odds / (1.0 + odds)
                rest = 1.0 - part
                left = points[middle - half]
                points[middle] = left + (points[middle + half] - left) * part + sqrt(variance * part * rest) * shift
                finer += (variance * part, variance * rest)
                middle += step
            variances, step = finer, half
        return points

    def place(self, at_ns: Nanoseconds) -> float:
        """How far through the trading time an instant lies, 0 to 1."""
        return (at_ns - self.start_ns) / (self.end_ns - self.start_ns)


class StretchCache:
    """The most recently used stretches, so that memory does not grow with the time that is looked at; for any thread."""

    def __init__(self) -> None:
        self._stretch = lru_cache(KEPT_STRETCHES)(Bridge.stretch)

    def level(self, bridge: Bridge, at_ns: Nanoseconds) -> float:
        """The logarithm of the price relative to its base, interpolated between the finest points."""
        place = min(1.0, max(0.0, bridge.place(at_ns)))
        position = place * NODES * FINE
        index = min(NODES - 1, int(position) // FINE)
        points = self._stretch(bridge, index)
        offset = position - index * FINE
        low = min(FINE - 1, int(offset))
        level = points[low] + (points[low + 1] - points[low]) * (offset - low)
        return level + bridge.jump if place >= bridge.jump_at else level

    def extremes(self, bridge: Bridge, from_ns: Nanoseconds, to_ns: Nanoseconds, *, fine: bool) -> tuple[float, float]:
        """Lowest and highest level between two instants, from the fine points or (for long bars) the coarse ones."""
        first, last = (min(1.0, max(0.0, bridge.place(at_ns))) for at_ns in (from_ns, to_ns))
        scale = NODES * FINE if fine else NODES
        begin, end = ceil(first * scale), floor(last * scale) + 1
        jump = min(end, max(begin, ceil(bridge.jump_at * scale)))
        found = [self.level(bridge, from_ns), self.level(bridge, to_ns)]
        for start, stop, added in ((begin, jump, 0.0), (jump, end, bridge.jump)):
            for levels in self._runs(bridge, start, stop) if fine else (bridge.levels[start:stop],):
                if levels:
                    found += (min(levels) + added, max(levels) + added)
        return min(found), max(found)

    def _runs(self, bridge: Bridge, start: int, stop: int) -> Iterator[array[float]]:
        """The fine points from `start` to before `stop`, by stretches."""
        while start < stop:
            index = min(NODES - 1, start // FINE)
            offset = index * FINE
            last = stop if index == NODES - 1 else min(stop, offset + FINE)
            yield self._stretch(bridge, index)[start - offset:last - offset]
            start = last


def seeded(key: str) -> Random:
    """A random stream that is a function of its key alone."""
    return Random(int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big"))  # noqa: S311


def noise(key: str) -> int:
    """64 bits that are a function of the key alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big")


def normal_pair(random: Callable[[], float]) -> tuple[float, float]:
    """Two standard normal draws, the same that two calls of `Random.gauss` give (Box and Muller, 1958)."""
    angle = random() * tau
    radius = sqrt(-2.0 * log(1.0 - random()))
    return cos(angle) * radius, sin(angle) * radius


def _uneven(random: Random, even: float) -> float:
    """The left part of a variance, scattered around its even share."""
    odds = even / (1.0 - even) * exp(SPLIT_NOISE * random.gauss(0.0, 1.0))
    return odds / (1.0 + odds)


def _midpoint(random: Random, left: float, right: float, variance: float, part: float) -> float:
    """The middle of a bridge whose variance falls in two unequal parts."""
    return left + (right - left) * part + sqrt(variance * part * (1.0 - part)) * random.gauss(0.0, 1.0)


def _share_of_left(left: float, middle: float, right: float) -> float:
    """How much of a session's usual variance falls in the left half: much at the open, some at the close."""
    whole = _usual(right) - _usual(left)
    return (_usual(middle) - _usual(left)) / whole


def _usual(place: float) -> float:
    return place + 0.12 * (1.0 - exp(-place / 0.05)) + 0.06 * exp((place - 1.0) / 0.05)
