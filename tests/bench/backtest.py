"""`python -m tests.bench.backtest --npz FILE --workload W1 [--json]`: the reference workloads through the product's entry point.

FILE holds the arrays ts, open, high, low, close and volume, of one instrument or of several. Workloads: W1 (one instrument),
user (the same rule as a file of one's own, in Python, over the first 100,000 bars), user-50 (that rule over 10,000 bars of each
instrument of the file in one account, beside 100,000 of the first alone), W50 (all of the file in one account),
W50-limits (with ten positions, 6 % heat and 3 % daily loss), sweep (`tests.bench.search`), growth (all bars at once against
the same bars in parts of 100,000), first (what a new process needs for its first result of 100,000 bars). The others are timed
warm, best of several, in seconds that the thread ran, since other programs have their share of a wall clock; ratios are to a
bare compiled kernel of the same workload in the same run, for `user` to a bare event loop. The peak of memory is that of
one backtest. It also runs as a file: `python tests/bench/backtest.py`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # run as a file: its own folder would hide the packages

import numpy as np

from engine.backtest.results import BacktestResult
from engine.backtest.run import Series, Setup, backtest, side_by_side
from engine.instruments import AssetClass, Instrument
from engine.kernel.wants import BarColumns
from engine.strategies.registry import Strategy, built_in
from engine.strategies.user import load_user_strategy
from engine.tolerance import Limits
from tests.bench import bare_events
from tests.bench.bare_kernel import bare, bare_portfolio

CASH = 10_000_000
EXPONENT = 6
MINUTE_NS = 60_000_000_000
TICKS_A_UNIT = 10 ** 8
FEE_PPM = 500
USER_BARS = PART_BARS = 100_000
SHARED_BARS = 10_000
NEVER = 100.0
WORKLOADS = ("W1", "user", "user-50", "W50", "W50-limits", "growth", "first", "sweep")
OPEN_LIMITS = Limits(
    max_order_notional_fraction=0.95, max_risk_per_order_fraction=0.0, max_position_fraction=0.95, max_sector_fraction=0.0,
    max_bucket_fraction=0.0, max_heat_fraction=1.0, max_daily_notional_fraction=0.0, max_orders_per_day=0,
    orders_per_minute=10_000, max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0,
    max_losing_streak=0)


OWN_RULE = '''"""The workload as a strategy of one's own."""
from typing import NamedTuple


class Params(NamedTuple):
    risk_bps: int = 100


class Memory:
    fast: float = 0.0
    slow: float = 0.0
    reach: float = 0.0
    above: bool = False


def warmup(params):
    return 0


FAST, SLOW, WILDER = 2.0 / 21, 2.0 / 51, 1.0 / 14


def on_bar(context):
    place, memory = context.place, context.memory
    close, high, low = context.closes[place], context.highs[place], context.lows[place]
    if context.seen == 1:
        memory.fast = memory.slow = close
        memory.reach = high - low
        return None
    fast = memory.fast = memory.fast + (close - memory.fast) * FAST
    slow = memory.slow = memory.slow + (close - memory.slow) * SLOW
    before, was_above = context.closes[place - 1], memory.above
    reach = memory.reach
    memory.reach = reach = reach + ((high if high > before else before) - (low if low < before else before) - reach) * WILDER
    above = memory.above = fast > slow
    if was_above or not above or context.seen <= 100 or context.held.lots or context.held.waiting:
        return None
    return context.buy(risk_bps=context.params.risk_bps, target_ticks=close + round(3 * reach), trail_ticks=round(2 * reach))
'''


def instrument(number: int) -> Instrument:
    name = f"S{number:02}"
    return Instrument(f"{name}@bench", name, "bench", AssetClass.CRYPTO, name, "USD", Decimal("1e-8"), Decimal("0.01"), EXPONENT,
                      4 * 10 ** 10, 10 ** 8, taker_fee_ppm=FEE_PPM, maker_fee_ppm=FEE_PPM)


def series_of(path: Path, most_bars: int = 0) -> list[Series]:
    """The file's instruments; volumes are left out, since the workload fills any size."""
    data = np.load(path)
    closes = data["close"]
    rows = 1 if closes.ndim == 1 else len(closes)
    found = []
    for number in range(rows):
        prices = [data[name] if closes.ndim == 1 else data[name][number] for name in ("open", "high", "low", "close")]
        at_ns = data["ts"][:most_bars or None]
        ticks: list[Any] = [np.rint(column[:most_bars or None] * TICKS_A_UNIT).astype(np.int64) for column in prices]
        columns: list[Any] = [at_ns, at_ns + MINUTE_NS, *ticks, np.zeros(len(at_ns), np.int64)]
        found.append(Series(instrument(number), BarColumns(*columns)))
    return found


def setup_of(workload: str, count: int) -> Setup:
    cash = CASH * 10 ** EXPONENT
    if workload in ("W1", "user", "growth"):
        return Setup(cash, OPEN_LIMITS)
    share = 0.95 / count
    limits = _with(OPEN_LIMITS, max_position_fraction=share, max_order_notional_fraction=share)
    if workload == "W50":
        return Setup(cash, limits)
    return Setup(cash, _with(limits, max_heat_fraction=0.06, max_day_loss_fraction=0.03, brake_small_fraction=0.0,
                             brake_halt_multiple=NEVER), max_positions=10)


def _with(limits: Limits, **fields: Any) -> Limits:
    import msgspec

    return msgspec.structs.replace(limits, **fields)


def best_of(rounds: int, work: Callable[[], Any], clock: Callable[[], float] = time.thread_time) -> tuple[float, Any]:
    """The shortest time of several by the thread's own seconds, or by another clock, and the result."""
    shortest, result = float("inf"), None
    for _ in range(rounds):
        began = clock()
        result = work()
        shortest = min(shortest, clock() - began)
    return shortest, result


def bare_rate(series: list[Series], workload: str) -> float:
    """Bars a second of the bare kernel over the same bars."""
    import numba

    rows = [[np.asarray(column) / TICKS_A_UNIT for column in one.bars[2:6]] for one in series]
    equity = np.empty(len(rows[0][0]))
    if len(series) == 1:
        single = numba.njit(error_model="numpy")(bare)
        seconds, _ = best_of(16, lambda: single(*rows[0], equity, float(CASH), 20, 50, 2.0, 3.0))
        return len(equity) / seconds
    prices = [np.array([row[field] for row in rows]) for field in range(4)]
    most, loss = (10, 0.03) if workload == "W50-limits" else (len(series), NEVER)
    together = numba.njit(error_model="numpy")(bare_portfolio)
    seconds, _ = best_of(9, lambda: together(*prices, equity, float(CASH), most, loss))
    return prices[0].size / seconds


def event_loop_rate(series: Series) -> float:
    """Bars a second of the plain event loop over the same bars."""
    opens, highs, lows, closes = [(np.asarray(column) / TICKS_A_UNIT).tolist() for column in series.bars[2:6]]
    seconds, _ = best_of(5, lambda: bare_events.run(opens, highs, lows, closes, float(CASH)))
    return len(closes) / seconds


def strategy_of(workload: str, folder: Path) -> Strategy:
    """The rule of the workload: built in and compiled, or as a file."""
    if workload != "user":
        return built_in("ema_cross")
    path = folder / "w1.py"
    path.write_text(OWN_RULE)
    return load_user_strategy(path)


def measured(series: list[Series], strategy: Strategy, setup: Setup, cache: Path,
             rounds: int) -> tuple[float, float, float, BacktestResult]:
    """Seconds of the first run, the peak of memory in MiB after it, seconds of the fastest later run, and the result."""
    began = time.perf_counter()
    backtest(series, strategy, {}, setup, cache)
    first, peak_mib = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, result = best_of(rounds, lambda: backtest(series, strategy, {}, setup, cache))
    return first, peak_mib, seconds, result


def rate_in_parts(series: Series, strategy: Strategy, setup: Setup, cache: Path) -> float:
    """Bars a second where the same bars are run in parts of 100,000, one after the other: a single part over and over would be
    learned by the processor's branch prediction, which is worth half of its time."""
    bars = [np.asarray(column) for column in series.bars]
    parts = [[Series(series.instrument, BarColumns(*(column[start:start + PART_BARS] for column in bars)))]  # type: ignore[arg-type]
             for start in range(0, len(bars[0]) - PART_BARS + 1, PART_BARS)]
    seconds, _ = best_of(9, lambda: [backtest(part, strategy, {}, setup, cache) for part in parts])
    return PART_BARS * len(parts) / seconds


FIRST = """
import sys, time
began = time.perf_counter()
from pathlib import Path
from engine.backtest.run import INTERPRETED_BARS, backtest
from engine.strategies.registry import built_in
from tests.bench.backtest import series_of, setup_of
series = series_of(Path(sys.argv[1]), 100_000)
ready = time.perf_counter()
result = backtest(series, built_in("ema_cross"), {}, setup_of("W1", 1), Path(sys.argv[2]), interpreted_bars=int(sys.argv[3]))
print(time.perf_counter() - ready, len(result.trips), result.final_equity_minor)
"""


def first_results(path: Path, cache: Path) -> dict[str, Any]:
    """Seconds from a new process to the first result of 100,000 bars, as the command line runs it and compiled, cold and kept."""
    from engine.backtest.run import INTERPRETED_BARS

    told: dict[str, Any] = {"workload": "first"}
    for name, most in (("interpreted", INTERPRETED_BARS), ("compiled_cold", 0), ("compiled_kept", 0)):
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", FIRST, str(path), str(cache), str(most)], check=True, capture_output=True,
                              text=True, cwd=Path(__file__).parents[2])
        told[f"{name}_process_seconds"] = time.perf_counter() - began
        told[f"{name}_run_seconds"] = float(done.stdout.split()[0])
        told[f"{name}_result"] = done.stdout.split()[1:]
    return told


def user_over_several(path: Path, cache: Path) -> dict[str, Any]:
    """A rule in Python over all instruments of the file in one account, and over the first of them alone, by turns."""
    alone, many, strategy = series_of(path, USER_BARS)[:1], series_of(path, SHARED_BARS), strategy_of("user", cache)
    result = backtest(many, strategy, {}, setup_of("W50", len(many)))
    seconds = [[best_of(1, lambda series=series: backtest(series, strategy, {}, setup_of("W50", len(series))))[0]  # type: ignore[misc]
                for series in (alone, many)] for _ in range(9)]
    alone_seconds, many_seconds = (min(column) for column in zip(*seconds, strict=True))
    rate, alone_rate = result.bars / many_seconds, USER_BARS / alone_seconds
    return {"workload": "user-50", "bars": result.bars, "thread_seconds": many_seconds, "bars_per_second": rate,
            "trades": len(result.trips), "final_equity": result.final_equity_minor / 10 ** EXPONENT, "refused": result.refused,
            "cuts": result.cuts, "one_instrument_bars_per_second": alone_rate, "ratio_to_one_instrument": rate / alone_rate,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def report(path: Path, workload: str, cache: Path) -> dict[str, Any]:
    if workload == "first":
        return first_results(path, cache)
    if workload == "user-50":
        return user_over_several(path, cache)
    if workload == "sweep":
        from tests.bench.search import SETS
        from tests.bench.search import report as swept

        return swept(path, cache, SETS)
    series = series_of(path, USER_BARS if workload == "user" else 0)
    if len(series) > 1:
        series = side_by_side(series)
    setup, strategy = setup_of(workload, len(series)), strategy_of(workload, cache)
    first, peak_mib, seconds, result = measured(series, strategy, setup, cache, 3 if workload == "user" else 9)
    rate = result.bars / seconds
    bare_name = "event_loop" if workload == "user" else "kernel"
    bare_bars = event_loop_rate(series[0]) if workload == "user" else bare_rate(series, workload)
    told: dict[str, Any] = {
        "workload": workload, "bars": result.bars, "thread_seconds": seconds, "bars_per_second": rate, "first_seconds": first,
        "trades": len(result.trips), "final_equity": result.final_equity_minor / 10 ** EXPONENT, "refused": result.refused,
        "cuts": result.cuts, f"bare_{bare_name}_bars_per_second": bare_bars, f"ratio_to_bare_{bare_name}": rate / bare_bars,
        "peak_mib": peak_mib}
    if workload == "growth":
        told["growth"] = rate / rate_in_parts(series[0], strategy, setup, cache)
    return told


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npz", type=Path, required=True)
    parser.add_argument("--workload", choices=WORKLOADS, default="W1")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        told = report(wish.npz, wish.workload, wish.cache or Path(folder))
    if wish.json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name:22} {value:,.6g}" if isinstance(value, float) else f"{name:22} {value}")


if __name__ == "__main__":
    main(sys.argv[1:])
