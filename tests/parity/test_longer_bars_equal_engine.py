"""A rule on longer bars trades the same in the backtest and in the engine: every fill with its reason and every refusal, over the
bars as they were recorded, which the engine joins by itself. Gaps, nights, missing bars, sessions with half days."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from brokers.sessions import session_bounds
from engine.backtest.longer_bars import Joining, join, sessions_over
from engine.backtest.run import Series, Setup, backtest
from engine.instruments import ALWAYS_OPEN, AssetClass
from engine.kernel.wants import BarColumns
from engine.strategies.registry import BASKET, BUILT_IN, built_in
from engine.strategies.user import load_user_strategy
from tests.parity.tapes import bars, instrument, series
from tests.parity.test_backtest_equals_engine import CASES, CASH, LOOSE, PARAMS, without_some
from tui.compose_backtest import engine_run, first_difference

pytestmark = pytest.mark.slow

MINUTE_NS = 60 * 10**9
QUARTER_NS = 15 * MINUTE_NS
INTERPRETED = 1_000_000
QUICK: dict[str, dict[str, Any]] = {
    "ema_cross": PARAMS | {"warmup_bars": 9, "leave_on_cross": 1},
    "momentum": {"lookback_bars": 8, "atr_bars": 4},
    "mean_reversion": {"mean_bars": 8, "width": 1.0, "rsi_bars": 4, "atr_bars": 4, "shorts": 1},
    "breakout": {"enter_bars": 6, "leave_bars": 3, "atr_bars": 4, "shorts": 1},
    "dca": {"interval_seconds": 3_600, "stop_bps": 500},
    "grid": {"levels": 4, "step_bps": 60, "part_bps": 300, "pause_bars": 2},
    "ensemble": {"fast_bars": 3, "slow_bars": 8, "lookback_bars": 8, "channel_bars": 8, "mean_bars": 8, "atr_bars": 4,
                 "enter_score": 0.3, "shorts": 1},
    "pairs": {"mean_bars": 8, "enter_width": 0.7, "leave_width": 0.2, "stop_width": 3.0, "stop_bps": 600},
    "rebalance": {"method": 2, "interval_seconds": 1_800, "lookback_bars": 5, "stop_bps": 600, "band_bps": 20},
}
OWN = '''
from typing import NamedTuple

class Params(NamedTuple):
    bars: int = 4

class Memory:
    asked: int = 0
    highs: int = 0

KEPT = ("asked",)

def warmup(params):
    return params.bars

def on_bar(context):
    context.memory.highs += context.close() > context.close(1)
    if context.held.lots == 0 and context.close() > context.highest(context.params.bars, back=1):
        context.memory.asked += 1
        stop = context.lowest(2)
        return context.buy(risk_bps=50, stop_ticks=stop, trail_ticks=context.close() - stop + 1)
    if context.held.lots and context.held.since_bars >= 3 + context.memory.asked % 2:
        return context.leave()
'''


def tapes_of(kind: dict[str, float], count: int, bars_each: int = 400) -> list[Series]:
    """The last of them misses every seventh bar, so that some longer bars are told late."""
    found = [series(f"S{number}", 40 + number, bars_each, **kind) for number in range(count)]
    return [*found[:-1], without_some(found[-1])]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_rule_trades_the_same_on_longer_bars(name: str) -> None:
    strategy = built_in(name)
    params, traded = QUICK[name], 0
    for kind, quarters in (("gaps", 1), ("nights", 1), ("thin volume", 2), ("tight limits", 1)):
        setup = CASES[kind].setup._replace(bar_ns=quarters * QUARTER_NS)
        tapes = tapes_of(CASES[kind].kind, {"pairs": 2}.get(name, 3))
        for several in (tapes,) if strategy.kind == BASKET else (tapes, tapes[-1:]):
            tested = backtest(several, strategy, params, setup, interpreted_bars=INTERPRETED)
            assert first_difference(tested, engine_run(several, strategy, params, setup)) == "", kind
            traded += len(tested.fills)
    assert traded > 10


@pytest.mark.parametrize(("name", "count"), [("ema_cross", 1), ("grid", 3), ("pairs", 2)])
def test_the_compiled_pass_asks_on_longer_bars_as_the_interpreted_does(name: str, count: int, tmp_path: Path) -> None:
    strategy = built_in(name)
    tapes, setup = tapes_of({"gap": 0.1, "night": 20}, count), Setup(CASH, LOOSE, spread_bps=4, bar_ns=QUARTER_NS)
    compiled = backtest(tapes, strategy, QUICK[name], setup, tmp_path)
    interpreted = backtest(tapes, strategy, QUICK[name], setup, interpreted_bars=INTERPRETED)
    assert (compiled.fills == interpreted.fills).all()
    assert (compiled.equity_minor == interpreted.equity_minor).all()
    assert len(compiled.fills) > 5


def test_a_rule_of_ones_own_trades_the_same_on_longer_bars(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text(OWN)
    strategy, traded = load_user_strategy(path), 0
    for kind in ("gaps", "nights", "usual limits"):
        setup = CASES[kind].setup._replace(bar_ns=2 * QUARTER_NS)
        tapes = tapes_of(CASES[kind].kind, 2)
        tested = backtest(tapes, strategy, {}, setup)
        assert first_difference(tested, engine_run(tapes, strategy, {}, setup)) == "", kind
        traded += len(tested.fills)
    assert traded > 10


def share(seed: int, session: str) -> Series:
    """Minutes of New York from the Monday before Thanksgiving on, with the half day after it; some are missing, among them the
    last of a session. A recorded share is open at all times and has minutes from before and after its sessions too."""
    rng = random.Random(seed)
    open_ns = 1_732_545_000 * 10**9  # 2024-11-25 14:30 UTC
    more = 60 if session == ALWAYS_OPEN else 0
    minutes = [day * 1_440 + minute for day in (0, 1, 2, 4, 7) for minute in range(-more, (210 if day == 4 else 390) + more)
               if rng.random() > 0.1 and (minute != 389 or day != 1)]
    walk = bars(seed, len(minutes), minutes=1)
    opens_ns = np.array([open_ns + at * MINUTE_NS for at in minutes])
    columns = BarColumns(opens_ns, opens_ns + MINUTE_NS, *walk[2:])  # type: ignore[arg-type]
    listed = msgspec.structs.replace(instrument("SHARE"), asset_class=AssetClass.EQUITY, session=session, shortable=True)
    return Series(listed, columns, sessions_over("XNYS", columns, session_bounds))


@pytest.mark.parametrize("session", ["XNYS", ALWAYS_OPEN])
@pytest.mark.parametrize("bar_ns", [QUARTER_NS, 4 * QUARTER_NS, 96 * QUARTER_NS])
def test_sessions_cut_longer_bars_the_same_in_both(bar_ns: int, session: str) -> None:
    setup, traded = Setup(CASH, LOOSE, spread_bps=2, bar_ns=bar_ns), 0
    for seed in (1, 2, 3):
        tapes = [share(seed, session)]
        longer = join(tapes[0].bars, tapes[0].sessions, Joining(bar_ns)).bars
        ends = {end_ns // 10**9 % 86_400 for end_ns in longer.closes_ns}
        assert {21 * 3_600, 18 * 3_600} <= ends  # 16:00 of New York and 13:00 on the half day
        for name, params in (("ema_cross", {"fast_bars": 1, "slow_bars": 2, "warmup_bars": 2, "leave_on_cross": 1}),
                             ("dca", {"interval_seconds": 3_600, "stop_bps": 500, "mean_bars": 2})):
            tested = backtest(tapes, built_in(name), params, setup, interpreted_bars=INTERPRETED)
            assert first_difference(tested, engine_run(tapes, built_in(name), params, setup)) == ""
            traded += len(tested.fills)
    assert traded > 5


def test_longer_bars_as_long_as_the_recorded_ones_change_nothing() -> None:
    strategy, params = built_in("ema_cross"), QUICK["ema_cross"]
    for kind in ("gaps", "nights"):
        setup, tapes = CASES[kind].setup, [series(f"S{number}", 40 + number, 300, **CASES[kind].kind) for number in range(2)]
        plain = backtest(tapes, strategy, params, setup, interpreted_bars=INTERPRETED)
        longer = backtest(tapes, strategy, params, setup._replace(bar_ns=5 * MINUTE_NS), interpreted_bars=INTERPRETED)
        assert (longer.fills == plain.fills).all()
        assert len(plain.fills) > 10


def test_nothing_is_known_before_its_longer_bar_was_told() -> None:
    """Cutting the tape off at any bar changes no earlier fill."""
    setup = Setup(CASH, LOOSE, spread_bps=4, bar_ns=QUARTER_NS)
    whole, = tapes_of({"gap": 0.1}, 1, 300)
    strategy, params = built_in("ema_cross"), QUICK["ema_cross"]
    fills = backtest([whole], strategy, params, setup, interpreted_bars=INTERPRETED).fills
    assert len(fills) > 5
    for upto in range(20, len(whole.bars.closes), 7):
        cut = whole._replace(bars=BarColumns(*(column[:upto] for column in whole.bars)))
        earlier = backtest([cut], strategy, params, setup, interpreted_bars=INTERPRETED).fills
        assert (earlier == fills[:len(earlier)]).all()
        assert len(earlier) == (fills[:, 8] < upto).sum()


@pytest.mark.parametrize("seed", range(16))
def test_whatever_the_tape_the_length_and_the_rule(seed: int) -> None:
    """Chosen by chance: rule, terms, number of instruments, how many bars each of them misses, and the length."""
    rng = random.Random(seed)
    name, kind = rng.choice(BUILT_IN), rng.choice(sorted(CASES))
    count = {"pairs": 2, "momentum": 1}.get(name, rng.choice([1, 2, 3]))
    tapes = []
    for number in range(count):
        whole = series(f"S{number}", rng.randrange(10**6), rng.choice([150, 300]), **CASES[kind].kind)
        stays = np.array([rng.random() > rng.choice([0.0, 0.05, 0.4]) for _ in whole.bars.closes])
        stays[:rng.choice([0, 1, 5])] = False
        tapes.append(whole._replace(bars=BarColumns(*(np.ascontiguousarray(np.asarray(column)[stays]) for column in whole.bars))))  # type: ignore[arg-type]
    setup = CASES[kind].setup._replace(bar_ns=rng.choice([1, 2, 3, 6, 12, 48]) * 5 * MINUTE_NS)
    tested = backtest(tapes, built_in(name), QUICK[name], setup, interpreted_bars=INTERPRETED)
    assert first_difference(tested, engine_run(tapes, built_in(name), QUICK[name], setup)) == "", (name, kind)
