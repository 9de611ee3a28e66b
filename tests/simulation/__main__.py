"""`python -m tests.simulation --seeds 2000`: many seeds on every core, the counts of every fault, and the seeds that failed."""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.faults import ALL_FAULTS
from tests.simulation.run import Outcome, simulate

SEED_SECONDS = 10


class Restless(BaseException):
    """A seed that does not come to rest; a BaseException, so that no handler of errors takes it for a venue's failure."""


def _one(seed: int) -> Outcome:
    """A seed with an end: one that does not come to rest is a finding too."""

    def over(_signal: int, _frame: object) -> None:
        raise Restless(f"no end within {SEED_SECONDS} s")

    signal.signal(signal.SIGALRM, over)
    signal.alarm(SEED_SECONDS)
    try:
        return simulate(seed)
    except (Exception, Restless) as error:
        return Outcome(seed, (f"{type(error).__name__}: {error}",), Counter(), 0, 0, 0)
    finally:
        signal.alarm(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began = time.monotonic()
    faults: Counter[str] = Counter()
    rows = fills = 0
    failed: list[Outcome] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for outcome in pool.map(_one, range(options.first, options.first + options.seeds), chunksize=8):
            faults += outcome.faults
            rows += outcome.rows
            fills += outcome.fills
            if outcome.violations:
                failed.append(outcome)
    print(f"{options.seeds} seeds, {rows} journal rows, {fills} fills, {time.monotonic() - began:.0f} s")
    for kind in (*ALL_FAULTS, "crash"):
        print(f"  {kind:28} {faults[kind]:8}")
    for outcome in failed[:20]:
        print(f"seed {outcome.seed}: {'; '.join(outcome.violations[:3])}")
    missing = [kind for kind in (*ALL_FAULTS, "crash") if not faults[kind]] if options.seeds >= 500 else []
    if missing:
        print(f"never exercised: {', '.join(missing)}")
    print(f"{len(failed)} seeds failed")
    return 1 if failed or missing else 0


if __name__ == "__main__":
    sys.exit(main())
