"""What a search varies: axes of values, and the sets of parameters that they span."""

import math
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import NamedTuple

from engine.errors import UsageError
from engine.strategies.registry import Strategy, params_of
from engine.strategy_state import Number

MOST_VALUES = 10_000
MOST_SETS = 100_000
DRAWS_A_SET = 50

type ParamSet = dict[str, Number]


class Axis(NamedTuple):
    """A parameter and the values that it may take, in order."""

    name: str
    values: tuple[Number, ...]


class Space(NamedTuple):
    """The axes of a search over the parameters that stay as they are."""

    strategy: Strategy
    fixed: Mapping[str, Number]
    axes: tuple[Axis, ...]

    @property
    def size(self) -> int:
        """How many combinations there are, those that contradict themselves included."""
        return math.prod(len(axis.values) for axis in self.axes)


def space_of(strategy: Strategy, fixed: Mapping[str, Number], texts: Sequence[str]) -> Space:
    """A space from texts such as `fast_bars=5:50:5` or `stop_atr=1.5,2,3`; raises `UsageError` naming what is wrong."""
    if not texts:
        raise UsageError(f"name what to vary, for example --vary NAME=FROM:TO:STEP; {strategy.name} has: "
                         f"{', '.join(strategy.params._fields)}")
    axes = tuple(axis_of(strategy, text) for text in texts)
    names = [axis.name for axis in axes]
    for name in names:
        if names.count(name) > 1 or name in fixed:
            raise UsageError(f"--vary {name}: {name} is named twice")
    return Space(strategy, dict(fixed), axes)


def axis_of(strategy: Strategy, text: str) -> Axis:
    """One axis: a list of values, or from, to and step; both ends count. Raises `UsageError`."""
    name, equals, given = text.partition("=")
    name = name.strip()
    defaults = strategy.params._field_defaults
    if not equals or name not in defaults:
        raise UsageError(f"--vary {text}: must be NAME=FROM:TO:STEP or NAME=A,B,C with a parameter of {strategy.name}: "
                         f"{', '.join(defaults)}")
    whole = isinstance(defaults[name], int)
    values = _stepped(text, given, whole=whole) if ":" in given else tuple(
        _number(text, one, whole=whole) for one in given.split(","))
    bound = strategy.bounds.get(name)
    for value in values:
        if bound is not None and not bound.least <= value <= bound.largest:
            raise UsageError(f"--vary {text}: {name} = {value} must lie in {bound.least} to {bound.largest}")
    return Axis(name, tuple(dict.fromkeys(values)))


def _stepped(text: str, given: str, *, whole: bool) -> tuple[Number, ...]:
    parts = [_number(text, one, whole=whole) for one in given.split(":")]
    if len(parts) == 2 and whole:
        parts.append(1)
    if len(parts) != 3:
        raise UsageError(f"--vary {text}: must be FROM:TO:STEP")
    first, last, step = parts
    if step <= 0 or last < first:
        raise UsageError(f"--vary {text}: the step must be above 0 and the end not below the beginning")
    count = math.floor((last - first) / step + 1e-9) + 1
    if count > MOST_VALUES:
        raise UsageError(f"--vary {text}: {count} values are too many; widen the step")
    return tuple(first + number * step if whole else round(first + number * step, 12) for number in range(count))


def _number(text: str, one: str, *, whole: bool) -> Number:
    try:
        number = float(one)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"--vary {text}: {one.strip()!r} is no number")
    if whole and number != int(number):
        raise UsageError(f"--vary {text}: {one.strip()} must be a whole number")
    return int(number) if whole else number


def set_at(space: Space, index: int) -> ParamSet | None:
    """The combination with that number, the last axis varying fastest; None where it contradicts itself."""
    chosen: ParamSet = {}
    for axis in reversed(space.axes):
        index, place = divmod(index, len(axis.values))
        chosen[axis.name] = axis.values[place]
    return sensible(space, {axis.name: chosen[axis.name] for axis in space.axes})


def sensible(space: Space, chosen: ParamSet) -> ParamSet | None:
    """The varied values over the fixed ones; None where the strategy calls them a contradiction."""
    params = {**space.fixed, **chosen}
    defaults = space.strategy.params._field_defaults
    return None if space.strategy.problem(space.strategy.params(**{**defaults, **params})) else params


def all_sets(space: Space) -> list[ParamSet]:
    """Every combination that does not contradict itself; raises `UsageError` where there are too many, or none."""
    _check_fixed(space)
    if space.size > MOST_SETS:
        raise UsageError(f"{space.size} combinations are too many; widen the steps, or try some of them with --samples N")
    found = [one for index in range(space.size) if (one := set_at(space, index)) is not None]
    return _some(space, found)


def sampled_sets(space: Space, count: int, seed: int) -> list[ParamSet]:
    """`count` different combinations drawn by chance, in the order of the grid; fewer where there are no more."""
    _check_fixed(space)
    if count >= space.size:
        return all_sets(space)
    found = dict(_drawn(space, count, Random(seed)))  # noqa: S311 - a seeded choice, no secret
    return _some(space, [found[index] for index in sorted(found)])


def longest_warmup(strategy: Strategy, sets: Sequence[Mapping[str, Number]]) -> int:
    """How many bars the slowest of the sets must have seen before it may want anything."""
    return max(strategy.warmup(params_of(strategy, one)) for one in sets)


def _drawn(space: Space, count: int, rng: Random) -> Iterator[tuple[int, ParamSet]]:
    seen: dict[int, None] = {}
    kept = 0
    for _ in range(count * DRAWS_A_SET):
        index = rng.randrange(space.size)
        if index in seen:
            continue
        seen[index] = None
        one = set_at(space, index)
        if one is not None:
            kept += 1
            yield index, one
        if kept == count:
            return


def _check_fixed(space: Space) -> None:
    """The fixed parameters have to be right by themselves: names, kinds and bounds."""
    for name, value in space.fixed.items():
        if name not in space.strategy.params._field_defaults:
            params_of(space.strategy, {name: value})
        bound = space.strategy.bounds.get(name)
        if bound is not None and not bound.least <= value <= bound.largest:
            raise UsageError(f"--set {name}={value}: must lie in {bound.least} to {bound.largest}")


def _some(space: Space, found: list[ParamSet]) -> list[ParamSet]:
    if not found:
        params_of(space.strategy, {**space.fixed, **{axis.name: axis.values[0] for axis in space.axes}})
        raise UsageError("every combination contradicts itself; vary other values")
    return found
