"""Every built-in rule interpreted and compiled is the same: memory and want equal to the last bit, bar after bar."""

import random
from array import array
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numba
import numpy as np
import pytest

from engine.kernel.wants import KEEP, NOTHING, BarColumns, Held, flat
from engine.strategies.registry import BASKET, BUILT_IN, Strategy, built_in, params_of

pytestmark = pytest.mark.slow

BARS = 700
QUICK: dict[str, dict[str, float]] = {
    "ema_cross": {"fast_bars": 5, "slow_bars": 12, "warmup_bars": 20, "shorts": 1, "leave_on_cross": 1},
    "momentum": {"lookback_bars": 20, "skip_bars": 2, "enter_above": 0.01, "shorts": 1},
    "mean_reversion": {"mean_bars": 10, "width": 1.0, "use_rsi": 1, "rsi_low": 40.0, "shorts": 1, "trend_most": 0.8},
    "breakout": {"enter_bars": 10, "leave_bars": 5, "shorts": 1, "trend_from": 0.3},
    "dca": {"interval_seconds": 600, "mean_bars": 10, "dip_weight": 20.0},
    "grid": {"levels": 4, "step_bps": 60, "geometric": 1, "pause_bars": 5},
    "pairs": {"mean_bars": 30, "enter_width": 1.0, "stop_width": 3.0},
    "rebalance": {"method": 2, "interval_seconds": 900, "lookback_bars": 20},
    "ensemble": {"fast_bars": 5, "slow_bars": 12, "lookback_bars": 15, "channel_bars": 10, "mean_bars": 10, "enter_score": 0.3,
                 "shorts": 1},
}


def twin_of(function: FunctionType, made: dict[Any, Any]) -> Any:
    """The function compiled with every engine function that it reaches; their code is what live runs interpret."""
    if function in made:
        return made[function]
    namespace = dict(function.__globals__)
    made[function] = None  # a rule that reached itself would be an endless loop here
    for name in function.__code__.co_names:
        value = namespace.get(name)
        if isinstance(value, FunctionType) and value.__module__.startswith("engine."):
            namespace[name] = twin_of(value, made)
    made[function] = numba.njit(cache=False)(FunctionType(function.__code__, namespace, function.__name__))
    return made[function]


def bars(seed: int, count: int = BARS, *, gaps: bool = False) -> BarColumns:
    rng = random.Random(seed)
    price, rows = 10_000.0, []
    for at in range(count):
        opened, price = price, max(50.0, price * (1 + rng.gauss(0, 0.008)))
        reach = [opened * (1 + rng.gauss(0, 0.004)), price * (1 + rng.gauss(0, 0.004)), opened, price]
        if not gaps or rng.random() > 0.05:
            rows.append((at * 300, (at + 1) * 300, round(opened), round(max(reach)), round(min(reach)), round(price),
                         rng.randint(0, 999)))
    nanos = [(row[0] * 10**9, row[1] * 10**9, *row[2:]) for row in rows]
    return BarColumns(*(array("q", column) for column in zip(*nanos, strict=True)))


def as_arrays(columns: BarColumns) -> BarColumns:
    return BarColumns(*(np.array(column, np.int64) for column in columns))  # type: ignore[arg-type]


def holdings(seed: int) -> Iterator[Held]:
    """A position that comes and goes without regard to the rule: it must cope with every one."""
    rng = random.Random(seed)
    while True:
        lots = rng.choice([0, 0, 0, 7, 7, -5])
        yield Held(lots, 10_000 if lots else 0, 9_000 if lots else 0, rng.choice([0, 0, 0, 0, 1, -1]), 3 if lots else 0)


def every_rule() -> list[str]:
    return [name for name in BUILT_IN if built_in(name).kind != BASKET]


def every_basket() -> list[str]:
    return [name for name in BUILT_IN if built_in(name).kind == BASKET]


@pytest.mark.parametrize("name", every_rule())
def test_a_rule_compiled_equals_the_rule_interpreted(name: str) -> None:
    strategy = built_in(name)
    compiled = twin_of(strategy.rule, {})  # type: ignore[arg-type]
    wanted = 0
    for seed in (1, 2, 3):
        params = params_of(strategy, QUICK[name] if seed < 3 else {})
        columns, held = bars(seed), holdings(seed)
        arrays = as_arrays(columns)
        memory, other = strategy.memory(), strategy.memory()
        for place in range(BARS):
            holding = next(held)
            memory, want = strategy.rule(params, memory, columns, place, place + 1, holding)
            other, same = compiled(params, other, arrays, place, place + 1, holding)
            assert (tuple(memory), tuple(want)) == (tuple(other), tuple(same)), f"{name}, seed {seed}, bar {place}"
            wanted += want.act != NOTHING
    assert wanted > 20, "the rule wanted so little that nothing was compared"


@pytest.mark.parametrize("name", every_basket())
def test_a_basket_compiled_equals_the_basket_interpreted(name: str) -> None:
    strategy = built_in(name)
    compiled = twin_of(strategy.rule, {})  # type: ignore[arg-type]
    count = min(3, strategy.instruments[1])
    wanted = 0
    for seed, more in ((1, {}), (2, {"method": 1}), (3, {"method": 3, "weight_1": 2.0, "weight_2": 1.0})):
        params = params_of(strategy, {**QUICK[name], **(more if name == "rebalance" else {})})
        columns = tuple(bars(10 * seed + k, gaps=seed == 1) for k in range(count))
        arrays = tuple(as_arrays(one) for one in columns)
        indexes = [{close_ns: at for at, close_ns in enumerate(one.closes_ns)} for one in columns]
        memory, other, held = strategy.memory(), strategy.memory(), holdings(seed)
        for close_ns in columns[0].closes_ns:
            if any(close_ns not in index for index in indexes):
                continue
            places = tuple(index[close_ns] for index in indexes)
            seen = min(places) + 1
            holding = tuple(next(held) for _ in places)
            out, same = [KEEP] * count, np.full(count, KEEP, np.int64)
            memory = strategy.rule(params, memory, columns, places, seen, holding, out)
            other = compiled(params, other, arrays, places, seen, holding, same)
            assert tuple(memory) == tuple(other)
            assert out == list(same)
            wanted += any(target != KEEP for target in out)
    assert wanted > 20, "the basket wanted so little that nothing was compared"


def steps(strategy: Strategy, columns: BarColumns, upto: int, held: Iterator[Held] | None = None) -> list[tuple[Any, Any]]:
    params, memory = params_of(strategy, QUICK[strategy.name]), strategy.memory()
    found = []
    for place in range(upto):
        memory, want = strategy.rule(params, memory, columns, place, place + 1, next(held) if held else flat())
        found.append((memory, want))
    return found


@pytest.mark.parametrize("name", every_rule())
def test_a_rule_does_not_look_ahead(name: str) -> None:
    """What it wanted while later bars were there to be read equals what it wants where history ends with the bar."""
    strategy, columns = built_in(name), bars(5)
    whole = steps(strategy, columns, BARS, holdings(5))
    for upto in (50, 200, 433):
        shortened = BarColumns(*(column[:upto] for column in columns))
        assert steps(strategy, shortened, upto, holdings(5)) == whole[:upto]


@pytest.mark.parametrize("name", every_rule())
def test_what_is_not_kept_depends_on_bars_alone(name: str) -> None:
    """So a restart finds it again from history, whatever was held."""
    strategy, columns = built_in(name), bars(6)
    flat_run, held_run = steps(strategy, columns, BARS), steps(strategy, columns, BARS, holdings(6))
    free = [field for field in strategy.memory._fields if field not in strategy.kept]
    for (one, _), (other, _) in zip(flat_run, held_run, strict=True):
        assert [getattr(one, field) for field in free] == [getattr(other, field) for field in free]


@pytest.mark.parametrize("name", every_basket())
def test_a_basket_does_not_look_ahead(name: str) -> None:
    strategy = built_in(name)
    count = min(3, strategy.instruments[1])
    columns = tuple(bars(60 + k) for k in range(count))

    def run(upto: int) -> list[tuple[Any, list[int]]]:
        shortened = tuple(BarColumns(*(column[:upto] for column in one)) for one in columns)
        params, memory, held, found = params_of(strategy, QUICK[name]), strategy.memory(), holdings(7), []
        for place in range(300):
            out = [KEEP] * count
            holding = tuple(next(held) for _ in range(count))
            memory = strategy.rule(params, memory, shortened, (place,) * count, place + 1, holding, out)
            found.append((memory, out))
        return found

    assert run(300) == run(BARS)
