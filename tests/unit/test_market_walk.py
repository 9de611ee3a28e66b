"""The walk's quick forms give to the last bit what the plain ones say: prices of a seed never change."""

from array import array
from functools import lru_cache
from math import ceil, floor

import pytest

from brokers.market.walk import FINE, NODES, Bridge, StretchCache, _midpoint, _uneven, normal_pair, seeded

HOUR_NS = 3_600 * 10**9


def bridge_of(key: str) -> Bridge:
    return Bridge(key, 0, 24 * HOUR_NS, (0.0, 0.02), 0.0004, opens_wild=False)


def jumping_bridge() -> Bridge:
    return next(bridge for number in range(1_000) if 0.2 < (bridge := bridge_of(f"day {number}")).jump_at < 0.8)


def plain_stretch(bridge: Bridge, index: int) -> array[float]:
    points = array("d", bytes(8 * (FINE + 1)))
    points[0], points[FINE] = bridge.levels[index], bridge.levels[index + 1]
    random = seeded(f"{bridge.key}|{index}")
    variances, step = [bridge.variances[index]], FINE
    while step > 1:
        finer: list[float] = []
        for number, variance in enumerate(variances):
            left = number * step
            part = _uneven(random, 0.5)
            points[left + step // 2] = _midpoint(random, points[left], points[left + step], variance, part)
            finer += (variance * part, variance * (1.0 - part))
        variances, step = finer, step // 2
    return points


def plain_extremes(bridge: Bridge, from_ns: int, to_ns: int, *, fine: bool) -> tuple[float, float]:
    cache, stretch, scale = StretchCache(), lru_cache(bridge.stretch), NODES * FINE if fine else NODES
    levels = [cache.level(bridge, from_ns), cache.level(bridge, to_ns)]
    for point in range(ceil(bridge.place(from_ns) * scale), floor(bridge.place(to_ns) * scale) + 1):
        index = min(NODES - 1, point // FINE)
        level = stretch(index)[point - index * FINE] if fine else bridge.levels[point]
        levels.append(level + bridge.jump if point / scale >= bridge.jump_at else level)
    return min(levels), max(levels)


def test_a_pair_of_normal_draws_is_two_of_pythons() -> None:
    ours, pythons = seeded("key").random, seeded("key")
    for _ in range(1_000):
        assert normal_pair(ours) == (pythons.gauss(0.0, 1.0), pythons.gauss(0.0, 1.0))


@pytest.mark.parametrize("index", [0, 57, NODES - 1])
def test_a_stretch_is_drawn_as_its_rule_says(index: int) -> None:
    bridge = bridge_of("a day")
    assert bridge.stretch(index) == plain_stretch(bridge, index)


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("hours", [(0.0, 24.0), (0.0, 0.4), (23.7, 24.0), (5.01, 5.02), (5.0, 6.0), (11.9, 12.4)])
def test_extremes_are_those_of_every_point(hours: tuple[float, float], *, fine: bool) -> None:
    from_ns, to_ns = (round(hour * HOUR_NS) for hour in hours)
    bridge = bridge_of("a day")
    assert StretchCache().extremes(bridge, from_ns, to_ns, fine=fine) == plain_extremes(bridge, from_ns, to_ns, fine=fine)


@pytest.mark.parametrize("fine", [True, False])
def test_extremes_know_on_which_side_of_a_jump_a_point_is(*, fine: bool) -> None:
    bridge = jumping_bridge()
    jump_ns = round(bridge.jump_at * bridge.end_ns)
    for before, after in ((HOUR_NS, HOUR_NS), (HOUR_NS, 0), (0, HOUR_NS), (2 * HOUR_NS, -HOUR_NS), (-HOUR_NS, 2 * HOUR_NS)):
        asked = jump_ns - before, jump_ns + after
        assert StretchCache().extremes(bridge, *asked, fine=fine) == plain_extremes(bridge, *asked, fine=fine)
