"""The strategies there are, by name: their rule, their parameters and bounds, their warm-up, and what they do in words."""

import importlib
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeGuard

from engine.errors import ConfigError
from engine.kernel.wants import RuleWant
from engine.strategy_state import Number

RULE, BASKET = "rule", "basket"
LARGEST = sys.float_info.max
NextEntry = Callable[..., tuple[int, Any, RuleWant]]
BUILT_IN = ("ema_cross", "momentum", "mean_reversion", "breakout", "dca", "grid", "pairs", "rebalance", "ensemble")


class Bound(NamedTuple):
    """The least and the largest that a parameter may be."""

    least: Number
    largest: Number


class Strategy(NamedTuple):
    """One strategy: a rule for each instrument, or the weights of a basket of them (`kind`).

    `kept` names the fields of the memory that depend on more than the bars: they are journaled, the others are found again
    from history. `explain(params, memory, want, price)` says a want in words; `price` turns ticks into text.
    `problem(params)` names what in a set of parameters contradicts itself, empty where nothing does. `next_entry` is a faster
    way through many bars of an idle instrument where a rule has one, as `engine.backtest.asked_ahead.next_entry`.
    """

    name: str
    kind: str
    rule: Callable[..., Any]
    params: type[Any]
    memory: type[Any]
    kept: tuple[str, ...]
    bounds: Mapping[str, Bound]
    warmup: Callable[[Any], int]
    problem: Callable[[Any], str]
    explain: Callable[..., str]
    about: str
    instruments: tuple[int, int] = (1, 1_000)
    source_hash: str = ""
    next_entry: NextEntry | None = None


@lru_cache(64)
def built_in(name: str) -> Strategy:
    """A built-in strategy; raises `ConfigError` naming those there are."""
    if name not in BUILT_IN:
        raise ConfigError(f"there is no built-in strategy called {name!r}; there are: {', '.join(BUILT_IN)}")
    module = importlib.import_module(f"engine.strategies.{name}")
    kind = BASKET if hasattr(module, "weights") else RULE
    return Strategy(
        name, kind, module.weights if kind == BASKET else module.rule, module.Params, module.Memory, module.KEPT, module.BOUNDS,
        module.warmup, module.problem, module.explain, " ".join((module.__doc__ or "").split()),
        getattr(module, "INSTRUMENTS", (1, 1_000)))


def params_of(strategy: Strategy, given: Mapping[str, object]) -> Any:
    """The parameters with the given ones laid over the defaults; raises `ConfigError` saying which is wrong, and why."""
    known = strategy.params._field_defaults
    for name in given:
        if name not in known:
            raise ConfigError(f"{name}: {strategy.name} has no such parameter; it has: {', '.join(known)}")
    values = {name: _number(name, given.get(name, default), default, strategy.bounds.get(name))
              for name, default in known.items()}
    params = strategy.params(**values)
    problem = strategy.problem(params)
    if problem:
        raise ConfigError(problem)
    return params


def is_number(value: object) -> TypeGuard[Number]:
    """Whether it is a number, neither infinite nor beyond what a float can be."""
    return isinstance(value, int | float) and -LARGEST <= value <= LARGEST


def _number(name: str, value: object, default: Number, bound: Bound | None) -> Number:
    if isinstance(value, bool):
        value = int(value)
    if not is_number(value):
        raise ConfigError(f"{name} = {value!r}: must be a number")
    if isinstance(default, int) and value != int(value):
        raise ConfigError(f"{name} = {value}: must be a whole number")
    number = int(value) if isinstance(default, int) else float(value)
    if bound is not None and not bound.least <= number <= bound.largest:
        raise ConfigError(f"{name} = {number}: must lie in {bound.least} to {bound.largest}")
    return number
