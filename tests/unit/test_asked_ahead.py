"""A rule in Python over several instruments is asked ahead while one of them is idle: with the result of asking at each bar."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.backtest import asked_ahead, passes
from engine.backtest.actions import Dividend
from engine.backtest.asked_ahead import moments_of
from engine.backtest.brakes import NS_PER_DAY
from engine.backtest.results import BacktestResult
from engine.backtest.run import Series, Setup, backtest
from engine.errors import ConfigError
from engine.kernel.wants import BarColumns
from engine.strategies.registry import Strategy
from engine.strategies.user import load_user_strategy
from engine.tolerance import Limits
from tests.parity.tapes import START_NS, series
from tests.parity.test_backtest_equals_engine import LOOSE

RULE = '''"""Enters above what it remembers, adds now and then, leaves in parts."""
from typing import NamedTuple

class Params(NamedTuple):
    bars: int = 3

MEMORY

def warmup(params):
    return params.bars

def on_bar(context):
    REMEMBER
    digits = context.close() * 7_919 % 1_000
    if context.held.lots and digits < 60:
        return context.leave(3_000 + digits * 100)
    if digits > 900 and context.close() > context.mean(context.params.bars):
        return context.buy(share_bps=500 + digits, stop_ticks=context.lowest(2) * 99 // 100)
    if digits == 500:
        return context.leave()
'''
IN_PLACE = "class Memory:\n    seen: int = 0", "context.memory.seen += 1"
REPLACED = ("class Memory(NamedTuple):\n    seen: int = 0",
            "context.memory = context.memory._replace(seen=context.memory.seen + 1)")
KEPT = REPLACED[0] + '\n\nKEPT = ("seen",)', REPLACED[1]
BRAKED = Setup(10 ** 10, Limits(max_day_loss_fraction=0.02, max_orders_per_day=40), spread_bps=5, max_positions=2)
SELDOM = Setup(10 ** 10, Limits(max_orders_per_day=3))
PAID = Setup(10 ** 10, dividends=tuple(Dividend(name, START_NS + day * NS_PER_DAY, Fraction(day))
                                       for name in ("AAA", "CCC") for day in (1, 2, 3)))


def rule_of(folder: Path, forms: tuple[str, str] = IN_PLACE, rule: str = RULE) -> Strategy:
    path = folder / "mine.py"
    path.write_text(rule.replace("MEMORY", forms[0]).replace("REMEMBER", forms[1]))
    return load_user_strategy(path)


def tapes() -> list[Series]:
    """Three instruments: one whole, one with bars missing, one that begins later; none at the times of another's halts."""
    whole, holey, late = (series(name, seed, 900) for seed, name in enumerate(("AAA", "BBB", "CCC"), 1))
    keep = np.array([place for place in range(900) if place % 7 and not 300 < place < 420])
    columns: list[Any] = [np.asarray(column)[keep] for column in holey.bars]
    later: list[Any] = [np.asarray(column)[200:] for column in late.bars]
    return [whole, holey._replace(bars=BarColumns(*columns)), late._replace(bars=BarColumns(*later))]


def told(result: BacktestResult) -> tuple[Any, ...]:
    return (result.fills.tolist(), result.trips.tolist(), result.equity_at_ns.tolist(), result.equity_minor.tolist(),
            result.refused, result.cuts, result.remaining, result.dividends_minor)


@pytest.mark.parametrize("forms", [IN_PLACE, REPLACED, KEPT], ids=["in place", "replaced", "kept"])
@pytest.mark.parametrize("setup", [Setup(10 ** 10), BRAKED], ids=["loose", "braked"])
def test_asking_ahead_in_one_go_brings_what_asking_each_bar_brings(tmp_path: Path, forms: tuple[str, str],
                                                                   setup: Setup) -> None:
    strategy = rule_of(tmp_path, forms)
    each_bar = told(backtest(tapes(), strategy._replace(next_entry=None), {}, setup))
    assert len(each_bar[0]) > 50
    assert told(backtest(tapes(), strategy, {}, setup)) == each_bar


@pytest.mark.parametrize("setup", [Setup(10 ** 10), BRAKED, SELDOM, PAID], ids=["loose", "braked", "seldom", "paid"])
def test_asking_ahead_brings_what_the_pass_that_is_compiled_brings(tmp_path: Path, setup: Setup,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    """That one goes over all instruments at each moment."""
    strategy = rule_of(tmp_path, REPLACED)
    ahead = told(backtest(tapes(), strategy, {}, setup))
    monkeypatch.setattr(asked_ahead, "several_asked_ahead", passes.several_instruments)
    assert told(backtest(tapes(), strategy, {}, setup)) == ahead


def test_one_of_several_trades_as_it_does_alone_where_nothing_is_shared(tmp_path: Path) -> None:
    """The pass over a single instrument asks at each bar."""
    strategy = rule_of(tmp_path, rule=RULE.replace("share_bps=500 + digits", "share_bps=1"))
    setup, first_place = Setup(10 ** 12, LOOSE), 0
    together = backtest(tapes(), strategy, {}, setup).fills
    for number, one in enumerate(tapes()):
        alone = backtest([one], strategy, {}, setup).fills
        mine = together[together[:, 0] == number]
        assert len(alone) > 20
        assert mine[:, [1, 2, 4]].tolist() == alone[:, [1, 2, 4]].tolist(), "times, sides and prices"
        assert (mine[:, 8] - first_place).tolist() == alone[:, 8].tolist(), "at the same bars"
        first_place += len(one.bars.closes)


@pytest.mark.parametrize("ahead", [True, False])
def test_what_a_rule_raises_is_told_with_its_line(tmp_path: Path, ahead: bool) -> None:
    rule = RULE.replace("    REMEMBER", "    REMEMBER\n    1 // (context.seen - 700)")
    strategy = rule_of(tmp_path, rule=rule)
    with pytest.raises(ConfigError, match=r"mine\.py:15: ZeroDivisionError"):
        backtest(tapes(), strategy if ahead else strategy._replace(next_entry=None), {}, Setup(10 ** 10))


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize(("after", "wrong"), [
    ("return 3 if context.seen == 700 else None", "on_bar must give context.buy"),
    ("context.memory = context.memory if context.seen < 700 else 4", "must stay a Memory, not int")])
def test_an_answer_that_cannot_be_meant_is_told(tmp_path: Path, ahead: bool, after: str, wrong: str) -> None:
    rule = RULE.replace("    digits =", f"    {after}\n    digits =")
    strategy = rule_of(tmp_path, REPLACED, rule)
    with pytest.raises(ConfigError, match=wrong):
        backtest(tapes(), strategy if ahead else strategy._replace(next_entry=None), {}, Setup(10 ** 10))


def test_moments_name_who_is_first() -> None:
    """Bars by instrument: the second opens with the first and closes earlier, the third has the times of the second."""
    nothing: list[Any] = [np.zeros(6, np.int64)] * 5
    bars = BarColumns([0, 60, 0, 30, 0, 30], [60, 120, 30, 60, 30, 60], *nothing)
    found = list(moments_of(bars, [0, 2, 4, 6]))
    assert found == [(0, 3, 0), (30, 1, 1), (60, 0, 0), (120, 0, 3)]
