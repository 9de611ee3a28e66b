"""Indicators that a rule of one's own asks for: bar by bar the values of the batch, whoever else asks in between."""

import math
import random
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.backtest.run import Setup, backtest
from engine.kernel.indicators import atr_into, ema_into, rsi_into
from engine.kernel.wants import BarColumns
from engine.strategies.user import load_user_strategy
from engine.strategies.writing import Context
from tests.parity.tapes import series
from tui.compose_backtest import engine_run, first_difference

COUNT = 300


def bars_of(seed: int, count: int = COUNT) -> BarColumns:
    rng, close, rows = random.Random(seed), 10_000, []
    for place in range(count):
        opened, close = close, max(500, close + rng.randint(-90, 90))
        gap = 40 * (place // 50)  # now and then bars are missing
        rows.append((60 * (place + gap), 60 * (place + gap + 1), opened, max(opened, close) + rng.randint(0, 30),
                     min(opened, close) - rng.randint(0, 30), close, 5))
    return BarColumns(*(array("q", column) for column in zip(*rows, strict=True)))


def batch(kind: str, bars: BarColumns, length: int) -> list[float]:
    out = [math.nan] * len(bars.closes)
    if kind == "ema":
        ema_into(bars.closes, length, out)
    elif kind == "rsi":
        rsi_into(bars.closes, length, out)
    else:
        atr_into(bars.highs, bars.lows, bars.closes, length, out)
    return out


def at(context: Context, bars: BarColumns, place: int, first: int = 0) -> Context:
    if context.bars is not bars:
        context.show(bars)
    context.place, context.seen = place, place - first + 1
    return context


def asked(kind: str, length: int) -> Callable[[Context], float]:
    return lambda context: float(getattr(context, kind)(length))


@pytest.mark.parametrize("kind", ["ema", "rsi", "atr"])
@pytest.mark.parametrize("every", [1, 7])
def test_each_value_is_that_of_the_batch(kind: str, every: int) -> None:
    bars, context = bars_of(1), Context()
    wanted, ask = batch(kind, bars, 14), asked(kind, 14)
    for place in range(15, COUNT, every):
        assert ask(at(context, bars, place)) == wanted[place]
        assert ask(context) == wanted[place], "asked twice"
        assert getattr(context, kind)(14, back=1) == wanted[place - 1]


def test_instruments_do_not_mix() -> None:
    bars, others, context = bars_of(1), bars_of(2), Context()
    wanted, theirs = batch("ema", bars, 9), batch("ema", others, 9)
    for place in range(20, COUNT):
        assert at(context, bars, place).ema(9) == wanted[place]
        assert at(context, others, place).ema(9) == theirs[place]


def test_instruments_one_after_the_other_in_the_same_columns_do_not_mix() -> None:
    one, other = bars_of(1), bars_of(2)
    both, context = BarColumns(*(array("q", [*first, *second]) for first, second in zip(one, other, strict=True))), Context()
    wanted, theirs = batch("rsi", one, 9), batch("rsi", other, 9)
    for place in range(20, COUNT):
        assert at(context, both, place).rsi(9) == wanted[place]
        assert at(context, both, COUNT + place, COUNT).rsi(9) == theirs[place]


def test_columns_that_lose_their_oldest_bars_change_nothing() -> None:
    bars, context = bars_of(1), Context()
    wanted = batch("atr", bars, 14)
    kept = BarColumns(*(array("q", column[:100]) for column in bars))
    assert at(context, kept, 99).atr(14) == wanted[99]
    for column in kept:
        del column[:80]  # type: ignore[attr-defined]
    for place in range(100, COUNT):
        for column, whole in zip(kept, bars, strict=True):
            column.append(whole[place])  # type: ignore[attr-defined]
        assert at(context, kept, place - 80).atr(14) == wanted[place]


def test_a_fresh_start_finds_the_same_values() -> None:
    bars, context = bars_of(3), Context()
    for place in range(50, COUNT):
        at(context, bars, place).rsi(14)
    assert at(Context(), bars, COUNT - 1).rsi(14) == context.rsi(14)


@pytest.mark.parametrize(("ask", "told"), [
    (lambda context: context.ema(0), "a count of bars is a whole number from 1 on, not 0"),
    (lambda context: context.rsi(2.5), "a count of bars is a whole number from 1 on, not 2.5"),
    (lambda context: context.atr(14, back=-1), "back counts bars from the newest, 0 or more, not -1"),
    (lambda context: context.close(-1), "back counts bars from the newest, 0 or more, not -1"),
    (lambda context: context.rsi(14), "14 bars back: only 10 are known; let warmup"),
    (lambda context: context.ema(5, back=6), "10 bars back: only 10 are known; let warmup"),
    (lambda context: context.deviation(11), "10 bars back: only 10 are known")])
def test_what_cannot_be_told_is_said(ask: Callable[[Context], Any], told: str) -> None:
    with pytest.raises((ValueError, IndexError)) as caught:
        ask(at(Context(), bars_of(1), 9))
    assert told in str(caught.value)


def test_a_deviation_is_over_all_of_its_closes() -> None:
    context = Context()
    context.show(BarColumns(*([1_000, 1_000, 1_000, 970] for _ in BarColumns._fields)))
    context.place, context.seen = 3, 4
    assert context.deviation(4) == pytest.approx(math.sqrt(168.75))


OWN = '''"""Buys what is oversold above its mean."""
from typing import NamedTuple
class Params(NamedTuple):
    low: float = 45.0
def warmup(params):
    return 30
def on_bar(context):
    if context.held.lots:
        return context.leave() if context.rsi(9) > 55 or context.ema(5) < context.ema(5, back=3) else None
    if not context.held.waiting and context.rsi(9) < context.params.low:
        return context.buy(risk_bps=50, stop_ticks=round(context.close() - 2 * context.atr(9)),
                           target_ticks=round(context.mean(20) + 2 * context.deviation(20)))
'''


def test_a_rule_that_asks_for_them_trades_the_same_in_engine_and_backtest(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    strategy = load_user_strategy(tmp_path / "own.py")
    both, setup = [series("S0", 5, 400, night=20), series("S1", 6, 400, night=20)], Setup(1_000_000)
    tested = backtest(both, strategy, {}, setup)
    assert len(tested.trips) > 10
    assert first_difference(tested, engine_run(both, strategy, {}, setup)) == ""
