"""Capital, heat budgets and the sizes of regimes make the same trades in the compiled backtest and in the engine."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.run import Setup, backtest
from engine.errors import ConfigError
from engine.regimes import RegimeSettings
from engine.strategies.registry import built_in
from tests.parity.tapes import series
from tests.parity.test_backtest_equals_engine import BASKETS, CASES, CASH, LOOSE, PARAMS, without_some
from tui.compose_backtest import engine_run, first_difference

pytestmark = pytest.mark.slow

REGIMES = RegimeSettings(10, 5, 20, 0.3, 0.8, 1.2, 0.75, 0.333, 0.9, 0.5)
NEVER_IN_RANGE = RegimeSettings(10, 5, 20, 0.5, 0.67, 1.5, 1.0, 0.0, 1.0, 1.0)
BUDGETS: dict[str, dict[str, Any]] = {
    "capital that compounds": {"capital_fraction": 0.3},
    "fixed capital": {"capital_fixed": Decimal(30_000)},
    "more capital than there is": {"capital_fixed": Decimal(5_000_000)},
    "heat budget": {"heat_budget_fraction": 0.004},
    "regimes": {"regimes": REGIMES},
    "no entry in a range": {"regimes": NEVER_IN_RANGE},
    "all of them": {"capital_fraction": 0.5, "heat_budget_fraction": 0.006, "regimes": REGIMES},
}
BINDS = {"capital that compounds": "strategy capital", "fixed capital": "strategy capital", "heat budget": "strategy heat",
         "regimes": "regime", "no entry in a range": "regime", "all of them": "regime"}


@pytest.mark.parametrize("name", BUDGETS)
@pytest.mark.parametrize("count", [1, 3])
def test_budgets_and_regimes_size_the_same(name: str, count: int, compiled_passes: Path) -> None:
    strategy, bound = built_in("ema_cross"), 0
    for seed, kind in enumerate(("gaps", "tight limits")):
        setup = CASES[kind].setup._replace(**BUDGETS[name])
        tapes = [series(f"S{number}", 30 * seed + number, 350, **CASES[kind].kind) for number in range(count)]
        params = PARAMS | {"leave_on_cross": seed % 2, "risk_bps": 400}
        tested = backtest(tapes, strategy, params, setup, compiled_passes)
        assert first_difference(tested, engine_run(tapes, strategy, params, setup)) == "", kind
        interpreted = backtest(tapes, strategy, params, setup, interpreted_bars=10_000)
        assert (interpreted.fills == tested.fills).all() and interpreted.refused == tested.refused
        if name in BINDS:
            bound += tested.cuts.get(BINDS[name], 0) + tested.refused.get(BINDS[name], 0)
        plain = backtest(tapes, strategy, params, setup._replace(capital_fraction=0.0, capital_fixed=None), compiled_passes)
        assert name != "more capital than there is" or (plain.fills == tested.fills).all()
    assert bound > 3 or name not in BINDS


@pytest.mark.parametrize("basket", BASKETS)
def test_a_basket_is_sized_by_its_capital(basket: str, compiled_passes: Path) -> None:
    rule, count, params = BASKETS[basket]
    strategy, filled = built_in(rule), 0
    for budget in ("capital that compounds", "fixed capital", "all of them"):
        setup = CASES["nights"].setup._replace(**BUDGETS[budget])
        tapes = [series(f"S{number}", 90 + number, 400, **CASES["nights"].kind) for number in range(count)]
        tapes[-1] = without_some(tapes[-1])
        tested = backtest(tapes, strategy, params, setup, compiled_passes)
        filled += len(tested.fills)
        assert first_difference(tested, engine_run(tapes, strategy, params, setup)) == "", budget
    assert filled > 3


def test_regimes_of_many_instruments_are_told_some_with_each_beat(compiled_passes: Path) -> None:
    """More instruments than a beat tells: the last have yesterday's regime for another moment."""
    strategy, count = built_in("ema_cross"), 23
    setup = Setup(CASH, LOOSE, regimes=REGIMES)
    tapes = [series(f"S{number}", 500 + number, 320) for number in range(count)]
    tested = backtest(tapes, strategy, PARAMS, setup, compiled_passes)
    assert tested.cuts["regime"] > 100
    assert first_difference(tested, engine_run(tapes, strategy, PARAMS, setup)) == ""


def test_a_size_with_too_many_decimals_is_refused() -> None:
    setup = Setup(CASH, LOOSE, regimes=RegimeSettings(size_in_wild=1 / 3))
    with pytest.raises(ConfigError, match="more than 9 decimals"):
        backtest([series("S0", 1, 50)], built_in("ema_cross"), {}, setup, interpreted_bars=1_000)
