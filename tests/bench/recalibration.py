"""`python -m tests.bench.recalibration`: how well the calibration gate tells who needs a map from who does not.

Forecasters whose truth is known: calibrated ones, and ones that are three times too sure in log-odds, of a market
(Beta(50, 50)) and of clear cases (Beta(2, 2)). Printed are the share of seeds for which a map is adopted, with one look and a
look each time that there are a quarter more forecasts, and by how much the Brier score of other forecasts of the same forecaster
falls. Aimed at: at most 5 % of the calibrated at 200 forecasts, at least 95 % of the others at 1,000, and a fall of at least
0.004. Beside it what a night's learning costs for each forecast.
"""

import argparse
import time
from statistics import mean

from engine.research.adoption import look_is_due, sought
from engine.research.learning import learn
from engine.research.recalibration import Curve
from engine.research.scores import Scored
from tests.unit.known_forecasters import forecasts, scored

FRESH = 4_000


def looked_at(rows: list[Scored], *, nightly: bool) -> Curve | None:
    """The map that is in use at the end."""
    curve, looked_n = None, 0
    for n in range(200, len(rows) + 1) if nightly else (len(rows),):
        if look_is_due(n, looked_n):
            looked_n = n
            curve = sought(rows[:n], curve, None, 1).curve or curve
    return curve


def fall_of(curve: Curve, rows: list[Scored]) -> float:
    """By how much the Brier score falls."""
    return mean((row.p - row.y) ** 2 - (curve.at(row.p) - row.y) ** 2 for row in rows)


def row_of(name: str, shape: float, times: float, n: int, seeds: int, *, nightly: bool) -> str:
    found = [looked_at(scored(seed, n, shape, times), nightly=nightly) for seed in range(seeds)]
    falls = [fall_of(curve, scored(100_000 + seed, FRESH, shape, times)) for seed, curve in enumerate(found) if curve is not None]
    told = f"{1e4 * mean(falls):8.1f}" if falls else "       -"
    return f"{name:<32} {n:>6} {'nightly' if nightly else 'once':>8} {100 * len(falls) / seeds:>8.1f} % {told}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    print(f"{'forecaster':<32} {'n':>6} {'looked':>8} {'adopted':>10} {'fall x1e4':>8}")
    for name, shape, times, n, nightly in (
            ("market, calibrated", 50, 1.0, 200, False), ("clear cases, calibrated", 2, 1.0, 200, False),
            ("market, calibrated", 50, 1.0, 1_000, False), ("market, calibrated", 50, 1.0, 1_000, True),
            ("market, three times too sure", 50, 3.0, 1_000, False), ("market, three times too sure", 50, 3.0, 1_000, True),
            ("clear cases, 1.8 times too sure", 2, 1.8, 1_000, False)):
        print(row_of(name, shape, times, n, seeds, nightly=nightly), flush=True)
    for count in (1_000, 10_000):
        rows = forecasts(1, count, 50, 1.8)
        begun = time.perf_counter()
        learn(rows, (), 0)
        print(f"learning of {count:>6} forecasts: {1e6 * (time.perf_counter() - begun) / count:.0f} us each")


if __name__ == "__main__":
    main()
