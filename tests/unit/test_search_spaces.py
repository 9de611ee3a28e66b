"""What is varied: ranges, lists, contradictions, bounds, choices by chance."""

import pytest

from engine.errors import ConfigError, UsageError
from engine.search.spaces import all_sets, axis_of, sampled_sets, space_of
from engine.strategies.registry import built_in

CROSS = built_in("ema_cross")


@pytest.mark.parametrize(("text", "values"), [
    ("fast_bars=5:20:5", (5, 10, 15, 20)), ("fast_bars=5:7", (5, 6, 7)), ("fast_bars=9,3,9", (9, 3)),
    ("stop_atr=0.1:0.5:0.1", (0.1, 0.2, 0.3, 0.4, 0.5)), ("stop_atr=1,2.5", (1.0, 2.5)), ("fast_bars=5:8:2", (5, 7)),
])
def test_an_axis_is_a_range_or_a_list(text: str, values: tuple[float, ...]) -> None:
    assert axis_of(CROSS, text).values == values


@pytest.mark.parametrize(("text", "words"), [
    ("zap=1:2", "parameter of ema_cross"), ("fast_bars", "NAME=FROM:TO:STEP"), ("fast_bars=5:1", "the end not below"),
    ("fast_bars=1:9:0", "step must be above 0"), ("fast_bars=0:9", "must lie in 1 to 1000"), ("fast_bars=1.5", "whole number"),
    ("fast_bars=x", "no number"), ("stop_atr=1:2", "FROM:TO:STEP"), ("stop_atr=nan", "no number"),
    ("stop_atr=1:inf:1", "no number"), ("stop_atr=0.1:50:0.0001", "too many"),
])
def test_a_wrong_axis_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        axis_of(CROSS, text)
    assert "\n" not in str(caught.value)


def test_contradictions_are_left_out() -> None:
    sets = all_sets(space_of(CROSS, {"stop_atr": 3.0}, ["fast_bars=10,20,30", "slow_bars=15,25"]))
    assert [(one["fast_bars"], one["slow_bars"], one["stop_atr"]) for one in sets] == [
        (10, 15, 3.0), (10, 25, 3.0), (20, 25, 3.0)]


def test_nothing_but_contradictions_says_so() -> None:
    with pytest.raises(ConfigError, match="must be below slow_bars"):
        all_sets(space_of(CROSS, {"slow_bars": 20}, ["fast_bars=60:70"]))


def test_a_name_is_given_once() -> None:
    with pytest.raises(UsageError, match="named twice"):
        space_of(CROSS, {"fast_bars": 3}, ["fast_bars=1:2"])
    with pytest.raises(UsageError, match="named twice"):
        space_of(CROSS, {}, ["fast_bars=1:2", "fast_bars=3:4"])


def test_a_choice_by_chance_is_seeded_different_and_in_order() -> None:
    space = space_of(CROSS, {}, ["fast_bars=2:40", "slow_bars=5:60", "stop_atr=1:4:0.5"])
    first, again, other = (sampled_sets(space, 200, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert len({tuple(one.items()) for one in first}) == 200
    assert all(one["fast_bars"] < one["slow_bars"] for one in first)
    assert first == sorted(first, key=lambda one: tuple(one.values()))


def test_more_samples_than_there_are_takes_all() -> None:
    space = space_of(CROSS, {}, ["fast_bars=2:6"])
    assert sampled_sets(space, 99, 1) == all_sets(space)


def test_a_grid_too_large_says_how_to_go_on() -> None:
    with pytest.raises(UsageError, match="--samples"):
        all_sets(space_of(CROSS, {}, ["fast_bars=1:1000", "slow_bars=2:2000"]))
