"""`python -m tests.bench.search --npz FILE [--json]`: the reference sweep, 1,000 sets over the first 100,000 bars of FILE.

FILE holds the arrays ts, open, high, low, close and volume of one instrument. The sweep goes through the product's own search,
warm, on one core and on two; ratios are to the bare kernel on as many threads in the same run. Aimed at: at least 0.35 of the
bare kernel on two cores, 1.7 times as fast as on one, at most 400 MiB.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from engine.search.honesty import honesty
from engine.search.measuring import Material
from engine.search.outcomes import WHOLE, Outcome, ranked
from engine.search.spaces import ParamSet
from engine.search.sweeping import Crew, Job, Search
from tests.bench.backtest import CASH, TICKS_A_UNIT, best_of, series_of, setup_of
from tests.bench.bare_kernel import bare

BARS = 100_000
SETS = 1_000
ROUNDS = 3


class Nowhere:
    """Keeps nothing: each round tries all sets anew."""

    def known(self) -> tuple[Outcome, ...]:
        return ()

    def elsewhere(self) -> tuple[tuple[str, Outcome], ...]:
        return ()

    def keep(self, outcomes: Any) -> None:
        """Let go of them."""


def sets_of(count: int) -> list[ParamSet]:
    """Random fast, slow, stop and target."""
    rng = np.random.default_rng(1)
    return [{"fast_bars": int(rng.integers(5, 40)), "slow_bars": int(rng.integers(41, 200)), "stop_atr": float(rng.uniform(1, 4)),
             "target_atr": float(rng.uniform(1, 6))} for _ in range(count)]


def swept(material: Material, sets: list[ParamSet], workers: int) -> Search:
    """A search that has tried all sets."""
    with ThreadPoolExecutor(workers) as threads:
        search = Search(material, Crew(threads, workers), Nowhere(), lambda _done, _total: None)
        search.outcomes([Job(WHOLE, one) for one in sets])
        return search


def _processor_seconds(work: Callable[[], Any]) -> float:
    """What the process itself used: on a busy machine the fairer comparison."""
    began = time.process_time()
    work()
    return time.process_time() - began


@lru_cache(1)
def _bare() -> Any:
    return numba.njit(error_model="numpy", nogil=True)(bare)


def bare_sweep(material: Material, sets: list[ParamSet], workers: int, rounds: int = ROUNDS) -> float:
    """Seconds of the bare kernel over the same sets, on so many threads."""
    compiled = _bare()
    prices = [np.asarray(column) / TICKS_A_UNIT for column in material.series[0].bars[2:6]]

    def share(worker: int) -> None:
        equity = np.empty(len(prices[0]))
        for one in sets[worker::workers]:
            compiled(*prices, equity, float(CASH), one["fast_bars"], one["slow_bars"], one["stop_atr"], one["target_atr"])

    with ThreadPoolExecutor(workers) as threads:
        return best_of(rounds, lambda: list(threads.map(share, range(workers))), time.perf_counter)[0]


def report(path: Path, cache: Path, count: int) -> dict[str, Any]:
    """What is measured, by name."""
    material = Material(tuple(series_of(path, BARS)), "ema_cross", setup_of("W1", 1), str(cache))
    sets = sets_of(count)
    bars = len(material.series[0].bars.closes)
    told: dict[str, Any] = {"workload": "sweep", "sets": count, "bars": bars}
    search = swept(material, sets[:2], 1)
    for workers in (1, 2):
        seconds, search = best_of(ROUNDS, lambda workers=workers: swept(material, sets, workers),  # type: ignore[misc]
                                  time.perf_counter)
        kernel = bare_sweep(material, sets, workers)
        told[f"seconds_{workers}"], told[f"bare_seconds_{workers}"] = seconds, kernel
        told[f"ratio_to_bare_kernel_{workers}"] = kernel / seconds
    used = [_processor_seconds(work) for work in (lambda: bare_sweep(material, sets, 1, 1), lambda: swept(material, sets, 1))]
    told["processor_seconds"], told["processor_ratio"] = used[1], used[0] / used[1]
    told["bars_per_second"] = count * bars / told["seconds_2"]
    told["scaling"], told["bare_scaling"] = (told[f"{name}_1"] / told[f"{name}_2"] for name in ("seconds", "bare_seconds"))
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = search.tried()
    told["round_trips"] = sum(one.round_trips for one in found)
    told["honesty_seconds"], _ = best_of(1, lambda: honesty(ranked("sharpe", found)[0], found, search.ratios()))
    return told


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--npz", type=Path, required=True)
    parser.add_argument("--sets", type=int, default=SETS)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", action="store_true")
    wish = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        told = report(wish.npz, wish.cache or Path(folder), wish.sets)
    if wish.json:
        print(json.dumps(told))
        return
    for name, value in told.items():
        print(f"{name:24} {value:,.6g}" if isinstance(value, float) else f"{name:24} {value}")


if __name__ == "__main__":
    main(sys.argv[1:])
