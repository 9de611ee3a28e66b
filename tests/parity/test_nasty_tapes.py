"""Backtest and engine trade the same over the worst bars that can be thought of, under a rule that wants anything at any time:
jumps through stops and targets, spikes, prices that stand still, bars without volume, and halts."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from engine.backtest.run import Series, Setup, backtest
from engine.kernel.wants import BarColumns
from engine.regimes import USUAL_REGIMES, RegimeSettings
from engine.strategies.registry import Strategy
from engine.strategies.user import load_user_strategy
from engine.units import NS_PER_SECOND
from tests.parity.tapes import START_NS, instrument
from tests.parity.test_backtest_equals_engine import CASH, DEFAULT, LOOSE, TIGHT
from tui.compose_backtest import engine_run, first_difference

pytestmark = pytest.mark.slow

LENGTH_NS = 300 * NS_PER_SECOND
WILD = '''"""Wants what the digits of the bar say: entries and additions of either side, whole and partial exits, any levels."""
from typing import NamedTuple

class Params(NamedTuple):
    seed: int = 1
    quiet: int = 3

class Memory(NamedTuple):
    wants: int = 0

KEPT = ("wants",)

def warmup(params):
    return 2

def on_bar(context):
    seconds = context.close_ns() // 1_000_000_000
    digits = (context.close() * 7_919 + seconds * 104_729 + context.params.seed * 15_485_863) % 1_000_003
    kind, digits = digits % (5 + context.params.quiet), digits // 10
    if kind > 4:
        return None
    context.memory = context.memory._replace(wants=context.memory.wants + 1)
    if kind == 0:
        return context.leave()
    if kind == 1:
        return context.leave(1 + digits % 9_999)
    sign = 1 if kind > 2 else -1
    close, near = context.close(), max(1, context.close() * (1 + digits % 300) // 10_000)
    terms = {}
    if digits % 3:
        terms["stop_ticks"] = max(1, close - sign * near)
    if digits % 5 > 2:
        terms["target_ticks"] = max(1, close + sign * near * (digits % 4 + 1) // 2)
    if digits % 7 > 3:
        terms["trail_ticks"] = near
    if digits % 11 > 7:
        terms["max_hold_ns"] = (1 + digits % 5) * 100_000_000_000
    terms["risk_bps" if "stop_ticks" in terms or "trail_ticks" in terms else "share_bps"] = 10 + digits % 900
    return context.buy(**terms) if sign > 0 else context.sell_short(**terms)
'''


class Step(NamedTuple):
    """One bar after the one before: the jump to its open, its way to the close and its reaches in parts of 10,000, its volume,
    and how many bars are missing before it."""

    jump_bps: int
    body_bps: int
    above_bps: int
    below_bps: int
    volume: int
    halted: int


WAYS = some.one_of(some.just(0), some.integers(-60, 60), some.sampled_from((-3_500, -1_500, -400, 400, 1_500, 5_000)))
REACHES = some.one_of(some.just(0), some.integers(0, 60), some.sampled_from((500, 2_000)))
STEPS = some.builds(Step, some.one_of(some.just(0), WAYS), WAYS, REACHES, REACHES,
                    some.sampled_from((0, 0, 1, 40, 50_000, 10_000_000)), some.sampled_from((0, 0, 0, 0, 0, 1, 12, 300)))
def setup_of(terms: dict[str, Any]) -> Setup:
    return Setup(CASH, **terms)


SETUPS = some.fixed_dictionaries({
    "limits": some.sampled_from((LOOSE, DEFAULT, TIGHT)), "spread_bps": some.sampled_from((0, 4, 60)),
    "slippage_bps": some.sampled_from((0, 3, 80)), "fill_share_bps": some.sampled_from((1, 500, 10_000)),
    "touch_fills": some.booleans(), "trail_step_fraction": some.sampled_from((0.0, 0.1, 0.5)),
    "gap_allowance_bps": some.sampled_from((0, 20)), "capital_fraction": some.sampled_from((0.0, 0.4)),
    "heat_budget_fraction": some.sampled_from((0.0, 0.01)),
    "regimes": some.sampled_from((USUAL_REGIMES, RegimeSettings(
        trend_bars=3, volatility_bars=2, usual_bars=5, size_in_range=0.5, size_in_wild=0.25))),
}).map(setup_of)


def bars_of(steps: list[Step]) -> BarColumns:
    rows, close, at_ns = [], 10_000, START_NS
    for step in steps:
        at_ns += step.halted * LENGTH_NS
        opened = clamped(close * (10_000 + step.jump_bps) // 10_000)
        close = clamped(opened * (10_000 + step.body_bps) // 10_000)
        high = clamped(max(opened, close) * (10_000 + step.above_bps) // 10_000)
        low = clamped(min(opened, close) * (10_000 - step.below_bps) // 10_000)
        rows.append((at_ns, at_ns + LENGTH_NS, opened, high, low, close, step.volume))
        at_ns += LENGTH_NS
    table = np.array(rows, np.int64)
    return BarColumns(*(np.ascontiguousarray(table[:, field]) for field in range(7)))  # type: ignore[arg-type]


def clamped(ticks: int) -> int:
    return min(max(50, ticks), 1_000_000)


@pytest.fixture(scope="session")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Strategy:
    path: Path = tmp_path_factory.mktemp("strategies") / "wild.py"
    path.write_text(WILD, encoding="utf-8")
    return load_user_strategy(path)


STILL = Step(0, 0, 0, 0, 0, 0)
WIDE = Setup(CASH, LOOSE, spread_bps=60, slippage_bps=80, fill_share_bps=1, trail_step_fraction=0.0)
THIN = Setup(CASH, LOOSE, fill_share_bps=1, trail_step_fraction=0.0)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@example(tapes=[[STILL._replace(halted=300), Step(34, -400, 0, 0, 0, 300), Step(2, 400, 0, 0, 0, 0), Step(0, -1_500, 0, 0, 1, 0),
                 STILL]], setup=THIN, seed=400, quiet=3).via("an addition to what is on its way out")
@example(tapes=[[STILL, STILL._replace(halted=300), Step(34, -400, 0, 0, 0, 300), Step(0, 0, 0, 500, 1, 0)]], setup=THIN, seed=1,
         quiet=0).via("an addition to what a stop has begun to fill")
@example(tapes=[[Step(0, -1_500, 0, 0, 0, 0), Step(0, -1_500, 0, 0, 0, 0), Step(0, 34, 0, 0, 0, 12),
                 Step(-1_500, 0, 0, 0, 0, 0)]], setup=WIDE, seed=442,
         quiet=3).via("a target that the entry's own quote reaches, before the stop trails")
@example(tapes=[[STILL] * 4, [STILL, STILL, Step(0, 1, 0, 0, 0, 0), STILL]], setup=THIN, seed=2,
         quiet=0).via("a longest time that ends with another instrument's bar")
@example(tapes=[[STILL] * 5 + [Step(-3_500, 0, 0, 0, 0, 0), STILL]], setup=THIN._replace(spread_bps=4), seed=1,
         quiet=0).via("an open far from the close before")
@example(tapes=[[STILL] * 4, [
    STILL, STILL._replace(halted=12), STILL._replace(halted=300), Step(0, 29, 0, 0, 0, 0), Step(0, 30, 0, 0, 1, 0),
    Step(0, -400, 0, 0, 1, 0), Step(0, -400, 0, 0, 1, 0), Step(-7, 0, 0, 0, 0, 0), Step(-3, -3_500, 0, 0, 0, 0),
    Step(0, 0, 0, 0, 1, 0), Step(0, -14, 0, 0, 0, 0), Step(0, -3_500, 0, 0, 1, 0)]], setup=THIN, seed=24,
         quiet=0).via("an addition beyond a target that is filled in part")
@given(tapes=some.lists(some.lists(STEPS, min_size=4, max_size=50), min_size=1, max_size=3), setup=SETUPS,
       seed=some.integers(1, 1_000), quiet=some.sampled_from((0, 3, 12)))
def test_nasty_tapes_are_traded_the_same(wild: Strategy, tapes: list[list[Step]], setup: Setup, seed: int, quiet: int) -> None:
    series = [Series(instrument(f"S{number}"), bars_of(steps)) for number, steps in enumerate(tapes)]
    params: dict[str, Any] = {"seed": seed, "quiet": quiet}
    tested = backtest(series, wild, params, setup)
    assert first_difference(tested, engine_run(series, wild, params, setup)) == ""
