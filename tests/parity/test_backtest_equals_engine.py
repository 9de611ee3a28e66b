"""The compiled backtest and the engine on the paper venue trade the same over the same bars: every fill, with its reason, and
every refusal, over generated tapes with gaps, touched levels, nights, thin volumes, spreads, slippage and limits."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from engine.backtest.run import Series, Setup, backtest
from engine.errors import ConfigError
from engine.kernel.wants import BarColumns
from engine.strategies.registry import BUILT_IN, RULE, built_in
from engine.tolerance import Limits
from tests.parity.tapes import series
from tui.compose_backtest import engine_run, first_difference

pytestmark = pytest.mark.slow

CASH = 10_000_000
LOOSE = Limits(
    max_order_notional_fraction=0.5, max_position_fraction=0.9, max_heat_fraction=0.5, max_risk_per_order_fraction=0.0,
    max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, max_losing_streak=0,
    max_daily_notional_fraction=0.0, max_orders_per_day=0, max_repeated_executions=0)
TIGHT = Limits(
    max_order_notional_fraction=0.3, max_risk_per_order_fraction=0.015, min_reward_to_risk=1.0, max_position_fraction=0.4,
    max_gross_fraction=0.8, max_net_fraction=0.5, max_sector_fraction=0.5, max_asset_class_fraction=0.7, max_bucket_fraction=0.45,
    max_heat_fraction=0.03, max_bucket_heat_fraction=0.02, max_daily_notional_fraction=3.0, max_orders_per_day=9,
    max_day_loss_fraction=0.015, max_week_loss_fraction=0.03, max_drawdown_fraction=0.05, max_losing_streak=3,
    cooldown_seconds=7_200.0, brake_halt_multiple=3.0, max_repeated_executions=0)
DEFAULT = Limits(max_repeated_executions=0)


class Case(NamedTuple):
    """A kind of tape and the terms of trading on it."""

    kind: dict[str, float]
    setup: Setup


CASES = {
    "plain": Case({}, Setup(CASH, LOOSE)),
    "gaps": Case({"gap": 0.2}, Setup(CASH, LOOSE, spread_bps=4, slippage_bps=3)),
    "touched levels": Case({"coarse": 25, "gap": 0.1}, Setup(CASH, LOOSE)),
    "touch fills": Case({"coarse": 25, "gap": 0.1}, Setup(CASH, LOOSE, touch_fills=True)),
    "wide spread": Case({"gap": 0.3}, Setup(CASH, LOOSE, spread_bps=60, slippage_bps=20)),
    "nights": Case({"night": 100, "gap": 0.1}, Setup(CASH, LOOSE, spread_bps=4)),
    "thin volume": Case({"volume": 30_000}, Setup(CASH, LOOSE, spread_bps=4, fill_share_bps=500)),
    "usual limits": Case({"gap": 0.1}, Setup(CASH, DEFAULT, spread_bps=4, slippage_bps=2)),
    "tight limits": Case({"gap": 0.1, "night": 30}, Setup(
        CASH, TIGHT, spread_bps=4, slippage_bps=2, gap_allowance_bps=20, sectors={"S0": "a", "S1": "a", "S2": "b"},
        buckets={"S1": "x", "S2": "x"})),
}
PARAMS: dict[str, Any] = {"fast_bars": 4, "slow_bars": 9, "warmup_bars": 12, "shorts": 1, "stop_atr": 1.5, "target_atr": 2.0}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [1, 3])
def test_ema_cross_trades_the_same(name: str, count: int, compiled_passes: Path) -> None:
    case, strategy = CASES[name], built_in("ema_cross")
    traded = 0
    for seed in range(4):
        tapes = [series(f"S{number}", 10 * seed + number, 300, **case.kind) for number in range(count)]
        params = PARAMS | {"leave_on_cross": seed % 2}
        tested = backtest(tapes, strategy, params, case.setup, compiled_passes)
        assert first_difference(tested, engine_run(tapes, strategy, params, case.setup)) == ""
        traded += len(tested.trips)
    assert traded > 10


@pytest.mark.parametrize("name", ["plain", "gaps", "touched levels", "thin volume", "usual limits"])
@pytest.mark.parametrize("rule", ["ema_cross", "grid"])
def test_a_fill_was_decided_at_the_price_that_the_engine_saw(name: str, rule: str, compiled_passes: Path) -> None:
    case, strategy = CASES[name], built_in(rule)
    params = PARAMS | {"leave_on_cross": 1} if rule == "ema_cross" else {}
    for seed in range(3):
        tapes = [series("S0", 10 * seed, 300, **case.kind)]
        tested = backtest(tapes, strategy, params, case.setup, compiled_passes)
        run = engine_run(tapes, strategy, params, case.setup)
        assert [one.decided_ticks for one in tested.fill_rows()] == [one.decided_ticks for one in run.fills]
        assert len(run.fills) > 5


RULES = [name for name in BUILT_IN if built_in(name).kind == RULE]
QUICK = {"warmup_bars": 10, "stop_bps": 200, "interval_seconds": 3_600}


@pytest.mark.parametrize("name", RULES)
def test_every_built_in_rule_trades_the_same(name: str, compiled_passes: Path) -> None:
    strategy = built_in(name)
    params = {key: value for key, value in QUICK.items() if key in strategy.params._fields}
    traded = 0
    for kind in ("gaps", "touched levels", "usual limits"):
        case = CASES[kind]
        tapes = [series(f"S{number}", 70 + number, 400, **case.kind) for number in range(3)]
        tested = backtest(tapes, strategy, params, case.setup, compiled_passes)
        assert first_difference(tested, engine_run(tapes, strategy, params, case.setup)) == ""
        traded += len(tested.fills)
    assert traded > 10


BASKETS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "pairs": ("pairs", 2, {"mean_bars": 20, "enter_width": 1.0, "stop_width": 3.0, "stop_bps": 300}),
    "equal weights": ("rebalance", 3, {"interval_seconds": 1_800, "lookback_bars": 10, "stop_bps": 300, "band_bps": 20}),
    "inverse volatility": ("rebalance", 3, {"method": 1, "interval_seconds": 3_600, "lookback_bars": 12}),
    "risk parity": ("rebalance", 2, {"method": 2, "interval_seconds": 900, "lookback_bars": 12, "stop_bps": 200}),
    "given weights": ("rebalance", 1, {"method": 3, "interval_seconds": 900, "lookback_bars": 3, "weight_1": 1.0, "stop_bps": 200,
                                     "band_bps": 0}),
}


@pytest.mark.parametrize("name", BASKETS)
def test_every_basket_trades_the_same(name: str, compiled_passes: Path) -> None:
    rule, count, params = BASKETS[name]
    strategy, traded = built_in(rule), 0
    for kind in ("thin volume", "nights", "tight limits"):
        case = CASES[kind]
        tapes = [series(f"S{number}", 90 + number, 300, **case.kind) for number in range(count)]
        tapes[-1] = without_some(tapes[-1])
        tested = backtest(tapes, strategy, params, case.setup, compiled_passes)
        assert first_difference(tested, engine_run(tapes, strategy, params, case.setup)) == "", kind
        interpreted = backtest(tapes, strategy, params, case.setup, interpreted_bars=10_000)
        assert (interpreted.fills == tested.fills).all() and (interpreted.equity_minor == tested.equity_minor).all()
        traded += len(tested.fills)
    assert traded > 20


def without_some(tape: Series) -> Series:
    """Every seventh bar is missing: moments at which a basket is not whole."""
    stays = np.arange(len(tape.bars.closes)) % 7 != 3
    return Series(tape.instrument, BarColumns(*(np.ascontiguousarray(np.asarray(column)[stays]) for column in tape.bars)))  # type: ignore[arg-type]


def test_a_basket_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(ConfigError, match="pairs trades a basket of 2 instruments, not 3"):
        backtest([series(f"S{number}", number, 50) for number in range(3)], built_in("pairs"), {}, Setup(CASH, LOOSE))
