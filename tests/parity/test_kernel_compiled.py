"""The kernel interpreted and compiled is the same: the very same functions, compiled from outside, equal to the last bit."""

import inspect
import random
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
import pytest

from engine.kernel import exits, fills, heat, indicators, money, regimes, rounding, sizing, weights

pytestmark = pytest.mark.slow

MODULES: list[ModuleType] = [rounding, money, exits, fills, sizing, heat, indicators, regimes, weights]


def compiled(module: ModuleType) -> ModuleType:
    """A twin of a kernel module in which every function, imported ones too, is compiled; nothing is kept on disk.

    The functions' own code runs over a copied namespace, where each name leads to the compiled function.
    """
    twin = ModuleType(module.__name__)
    namespace = vars(twin)
    namespace.update({name: value for name, value in vars(module).items() if not name.startswith("__")})
    for name, value in list(namespace.items()):
        if isinstance(value, FunctionType):
            namespace[name] = numba.njit(cache=False)(FunctionType(value.__code__, namespace, name))
    return twin


@pytest.fixture(scope="module")
def twins() -> dict[str, ModuleType]:
    return {module.__name__.rpartition(".")[2]: compiled(module) for module in MODULES}


def price(rng: random.Random) -> int:
    return rng.choice([0, rng.randint(1, 60), rng.randint(1, 10_000_000)])


def near(rng: random.Random, ticks: int) -> int:
    return rng.choice([0, ticks, max(1, ticks + rng.randint(-30, 30))])


def state(rng: random.Random) -> exits.ExitState:
    best = max(1, price(rng))
    return exits.ExitState(rng.choice([1, -1]), near(rng, best), rng.randint(0, 50), near(rng, best), best,
                           near(rng, best), rng.choice([0, rng.randint(1, 40)]),
                           rng.choice([0, rng.randint(1, 3_000)]), near(rng, best), near(rng, best),
                           rng.choice([0, rng.randint(1, 90)]))


def bar(rng: random.Random, around: int) -> tuple[int, int, int, int]:
    seen = [max(1, around + rng.randint(-40, 40)) for _ in range(4)]
    return seen[0], max(seen), min(seen), seen[1]


def order_terms(rng: random.Random) -> tuple[int, int, int, int]:
    return (rng.choice([1, -1]), rng.choice([fills.MARKET, fills.LIMIT, fills.STOP, fills.STOP_LIMIT]),
            1000 + rng.randint(-50, 50), 1000 + rng.randint(-50, 50))


def risk_terms(rng: random.Random) -> tuple[int, ...]:
    ticks = max(1, price(rng))
    return (ticks, near(rng, ticks), rng.randint(1, 500), rng.choice([1, 7, 100_000_000]), rng.randint(0, 900),
            rng.randint(0, 5_000))


def exit_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    one = state(rng)
    at = one.best_ticks
    yield "trail_level", (one.sign, at, one.trail_ticks, one.trail_bps)
    yield "tighter_stop", (one.sign, near(rng, at), near(rng, at))
    yield "better_price", (one.sign, rng.choice([0, at]), rng.choice([0, near(rng, at)]))
    yield "trailed", (one, near(rng, at))
    yield "exit_on_price", (one, near(rng, at), near(rng, at), rng.randint(0, 120))
    yield "exit_in_bar", (one, *bar(rng, at), 60, 90)
    yield "bar_step", (one, *bar(rng, at), 60, 90)
    yield "hold_is_over", (rng.randint(0, 50), rng.choice([0, exits.SAME_MOMENT_NS + rng.randint(0, 90)]), rng.randint(0, 120))


def fill_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    side, kind, limit, trigger = order_terms(rng)
    one, touch = bar(rng, 1000), rng.random() < 0.5
    yield "fillable_lots", (rng.randint(0, 10**12), rng.randint(0, 10_000), rng.randint(1, 100))
    yield "triggered", (side, trigger, near(rng, trigger))
    yield "fill_on_quote", (side, kind, limit, trigger, near(rng, limit), near(rng, limit))
    yield "limit_in_bar", (side, limit, *one[:3], touch)
    yield "stop_limit_in_bar", (side, limit, trigger, *one, touch)
    yield "fill_in_bar", (side, kind, limit, trigger, *one, touch)
    yield "with_slippage", (price(rng), side, rng.randint(0, 500))


def sizing_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    ticks, stop, num, den, bps, _ = risk_terms(rng)
    money, cap = rng.randint(-5, 10**15), rng.randint(0, 10**6)
    yield "lots_for_money", (money, ticks, num, den, cap)
    yield "lots_for_risk", (money, bps, ticks, stop, num, den, cap)
    yield "lots_for_notional", (money, ticks, num, den, cap)
    rate, count, payoff = rng.random(), rng.choice([0, rng.randint(1, 10_000)]), rng.choice([0.0, rng.uniform(0.01, 5.0)])
    yield "wilson_low", (rate, count)
    yield "kelly_bps", (rate, payoff, count, rng.random())
    yield "smallest_cap", ((cap, rng.randint(-5, 10**6), rng.randint(0, 10**6)),)


def heat_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    terms, lots = risk_terms(rng), rng.randint(-10**5, 10**5)
    yield "gapped_stop", (rng.choice([1, -1]), terms[1], terms[4])
    yield "open_risk_minor", (lots, *terms)
    yield "order_risk_minor", (rng.choice([1, -1]), lots, *terms)
    yield "heat_bps", (rng.randint(-5, 10**12), rng.randint(-5, 10**12))


def money_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    ticks, _, num, den, _, ppm = risk_terms(rng)
    lots = rng.randint(0, 10**5)
    yield "signed_notional_minor", (ticks, rng.choice([1, -1]) * lots, num, den)
    yield "notional_minor", (ticks, lots, num, den)
    yield "fee_minor", (ticks, lots, num, den, ppm)
    yield "share_of", (rng.randint(-5, 10**15), rng.choice([0, rng.randint(-5, 10**15)]))


def rounding_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    terms = rng.randint(-10**18, 10**18), rng.randint(0, 10**6), rng.randint(1, 10**9)
    yield "scaled_down", terms
    yield "scaled_up", terms


def indicator_cases(rng: random.Random) -> Iterator[tuple[str, tuple[Any, ...]]]:
    n = rng.randint(1, 30)
    values = [rng.uniform(0.0, 1e5) for _ in range(3)]
    yield "true_range", tuple(values)
    yield "atr_step", (values[0], n, values[1])
    yield "atr_grow", (rng.randint(0, 40), values[0], n, values[1])
    yield "ema_step", (values[0], n, values[1])
    yield "rsi_grow", (rng.randint(0, 40), values[0], values[1], n, rng.uniform(-50.0, 50.0))
    yield "rsi_value", (rng.choice([0.0, values[0]]), rng.choice([0.0, values[1]]))
    yield "variance_step", (values[0], values[1], n, values[2])


CASES: dict[str, Callable[[random.Random], Iterator[tuple[str, tuple[Any, ...]]]]] = {
    "exits": exit_cases, "fills": fill_cases, "sizing": sizing_cases, "heat": heat_cases, "rounding": rounding_cases,
    "money": money_cases,
    "indicators": indicator_cases}
ARRAYS = {"indicators": {
    "atr_into", "latest_atr", "ema_into", "mean_at", "deviation_at", "highest_at", "lowest_at", "change_at", "rsi_into",
    "bands_into", "channel_into", "change_into", "macd_into"}, "regimes": {
    "efficiency_at", "return_deviation_at", "regime_at"}, "weights": {
    "returns_into", "covariance", "equal_into", "inverse_volatility_into", "risk_parity_into", "bounded_into", "_cut_sum"}}


def test_every_kernel_function_has_a_twin_that_is_tried() -> None:
    for module in MODULES:
        name = module.__name__.rpartition(".")[2]
        tried = {function for function, _ in CASES[name](random.Random(0))} if name in CASES else set()
        own = {function for function, value in vars(module).items()
               if inspect.isfunction(value) and value.__module__ == module.__name__}
        assert own == tried | ARRAYS.get(name, set())


@pytest.mark.parametrize("name", list(CASES))
def test_interpreted_equals_compiled(name: str, twins: dict[str, ModuleType]) -> None:
    module = next(one for one in MODULES if one.__name__.endswith(name))
    rng = random.Random(f"parity of {name}")
    for _ in range(1_500):
        for function, arguments in CASES[name](rng):
            plain = getattr(module, function)(*arguments)
            assert plain == getattr(twins[name], function)(*arguments), (function, arguments)


def test_indicators_over_arrays_are_equal_to_the_last_bit(twins: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(7)
    close = 100.0 + rng.normal(0.0, 1.0, 2_000).cumsum()
    high, low = close + rng.random(2_000), close - rng.random(2_000)
    twin = twins["indicators"]
    for n in (1, 2, 14, 200):
        plain, fast = np.zeros(2_000), np.zeros(2_000)
        indicators.atr_into(high, low, close, n, plain)  # type: ignore[arg-type]
        twin.atr_into(high, low, close, n, fast)
        np.testing.assert_array_equal(plain, fast)
        assert indicators.latest_atr(high, low, close, n) == twin.latest_atr(high, low, close, n) == plain[-1]  # type: ignore[arg-type]
        indicators.ema_into(close, n, plain)  # type: ignore[arg-type]
        twin.ema_into(close, n, fast)
        np.testing.assert_array_equal(plain, fast)


def test_windows_over_arrays_are_equal_to_the_last_bit(twins: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(9)
    close = 100.0 + rng.normal(0.0, 1.0, 1_000).cumsum()
    high, low = close + rng.random(1_000), close - rng.random(1_000)
    for n in (2, 14, 120):
        out = np.zeros((2, 9, 1_000))
        for side, module in enumerate((indicators, twins["indicators"])):
            module.rsi_into(close, n, out[side][0])
            module.bands_into(close, n, 2.0, *out[side][1:4])
            module.channel_into(high, low, n, *out[side][4:6])
            module.change_into(close, n, out[side][6])
            module.macd_into(close, n, 2 * n, 9, *out[side][7:9])
        np.testing.assert_array_equal(out[0], out[1])
        for name in ("mean_at", "deviation_at", "highest_at", "lowest_at", "change_at"):
            assert getattr(indicators, name)(close, 500, n) == getattr(twins["indicators"], name)(close, 500, n)
        for name in ("efficiency_at", "return_deviation_at"):
            assert getattr(regimes, name)(close, 500, n) == getattr(twins["regimes"], name)(close, 500, n)
        for place in range(200, 1_000, 7):
            terms = (close, place, place + 1, n, 10, 60, 0.2, 0.8, 1.2)
            assert regimes.regime_at(*terms) == twins["regimes"].regime_at(*terms)  # type: ignore[arg-type]


def test_weights_over_arrays_are_equal_to_the_last_bit(twins: dict[str, ModuleType]) -> None:
    rng, twin = np.random.default_rng(8), twins["weights"]
    for count in (1, 2, 3, 7, 20):
        closes = 100.0 * np.exp(rng.normal(0.0, 0.02, (count, 120)).cumsum(axis=1))
        matrix, out = np.zeros(count * count), np.zeros((4, 2, count))
        rows = np.zeros((2, count, 119))
        for place in range(count):
            weights.returns_into(closes[place], 0, 119, rows[0][place])
            twin.returns_into(closes[place], 0, 119, rows[1][place])
        np.testing.assert_array_equal(rows[0], rows[1])
        for one in range(count):
            for other in range(count):
                matrix[one * count + other] = weights.covariance(rows[0][one], rows[0][other], 119)
                assert matrix[one * count + other] == twin.covariance(rows[0][one], rows[0][other], 119)
        least, most, total = rng.random(count) * 0.1 / count, 0.2 + rng.random(count), 0.95
        for side, module in enumerate((weights, twin)):
            module.equal_into(out[0][side])
            assert module.inverse_volatility_into(np.sqrt(np.diagonal(matrix.reshape(count, count))), out[1][side])
            assert module.risk_parity_into(matrix, count, out[2][side])
            module.bounded_into(out[2][0], least, most, total, out[3][side])
            assert module._cut_sum(out[2][0], least, most, 0.7) == weights._cut_sum(out[2][0], least, most, 0.7)  # type: ignore[arg-type]
        np.testing.assert_array_equal(out[:, 0], out[:, 1])


def test_a_run_of_bars_leaves_the_same_position(twins: dict[str, ModuleType]) -> None:
    rng = random.Random(11)
    for _ in range(200):
        plain = fast = state(rng)
        for step in range(30):
            one = bar(rng, plain.best_ticks)
            expected = exits.bar_step(plain, *one, step, step + 1)
            found = twins["exits"].bar_step(fast, *one, step, step + 1)
            assert expected == found
            plain, fast = expected[2], found[2]
