"""Monte Carlo: what else the same results could have come to, by drawing them anew.

Two ways: round trips drawn with replacement, as if each stood for itself; and days in blocks of random length (the stationary
bootstrap of Politis and Romano, 1994), which keeps calm and wild stretches together. Seeded: the same seed gives the same answer.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from engine.analytics.records import Track
from engine.errors import UsageError
from engine.units import Minor

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    type Floats = NDArray[Any]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
CELLS_AT_ONCE = 4_000_000
LEAST_RETURNS = 10
METHODS = ("trades", "blocks")


class Terms(NamedTuple):
    """`paths` futures of `steps` results each, `years` long; ruin is equity at or below `ruin_fraction` of the start at any time.
    `mean_block` is how many days a block has in the mean; 0 draws each result by itself."""

    paths: int
    steps: int
    years: float
    mean_block: float
    ruin_fraction: float
    seed: int


class Spread(msgspec.Struct, frozen=True):
    """One figure over all paths: its mean and its quantiles, by the parts in `QUANTILES`."""

    name: str
    mean: float
    quantiles: tuple[float, ...]


class Chance(msgspec.Struct, frozen=True):
    """What the paths came to; `observed` is what really happened, by the same names."""

    method: str
    results: int
    paths: int
    steps: int
    years: float
    mean_block: float
    seed: int
    ruin_fraction: float
    ruin_probability: float
    loss_probability: float
    spreads: tuple[Spread, ...]
    observed: dict[str, float | None]


def trip_returns(track: Track) -> list[float]:
    """The result of each round trip as a part of the equity that was there when it began."""
    import numpy

    at_ns = numpy.asarray(track.curve.at_ns, numpy.int64)
    equity = track.curve.equity_minor
    places = numpy.searchsorted(at_ns, [trip.opened_at_ns for trip in track.trips], side="right") - 1
    found = []
    for trip, place in zip(track.trips, places.tolist(), strict=True):
        before: Minor = int(equity[max(0, place)])
        if before > 0:
            found.append(trip.net_minor / before)
    return found


def simulate(method: str, returns: Sequence[float], terms: Terms) -> Chance:
    """Draw futures from returns; raises `UsageError` where they are too few to draw from."""
    import numpy

    if len(returns) < LEAST_RETURNS:
        what = "round trips" if method == "trades" else "days"
        raise UsageError(f"{len(returns)} {what} are too few to draw from; it takes {LEAST_RETURNS}")
    drawn_from = numpy.log1p(numpy.maximum(numpy.asarray(returns), -0.999999))
    rng = numpy.random.default_rng(terms.seed)
    rows = max(1, CELLS_AT_ONCE // terms.steps)
    parts = []
    for start in range(0, terms.paths, rows):
        parts.append(_paths(rng, drawn_from, min(rows, terms.paths - start), terms))
    grown, worst, lowest = (numpy.concatenate([part[number] for part in parts]) for number in range(3))
    yearly = grown ** (1 / terms.years) - 1 if terms.years > 0 else numpy.zeros(0)
    named: list[tuple[str, Floats]] = [("growth", grown - 1), ("max_drawdown", worst)]
    path = drawn_from.cumsum()
    seen = numpy.exp(numpy.concatenate(([0.0], path)))
    observed: dict[str, float | None] = {
        "growth": float(seen[-1] - 1), "max_drawdown": float((1 - seen / numpy.maximum.accumulate(seen)).max())}
    if len(yearly) and numpy.isfinite(yearly).all():
        named.append(("cagr", yearly))
        observed["cagr"] = float(numpy.expm1(path[-1] * terms.steps / (len(returns) * terms.years)))
    return Chance(
        method, len(returns), terms.paths, terms.steps, terms.years, terms.mean_block, terms.seed, terms.ruin_fraction,
        float((lowest <= terms.ruin_fraction).mean()), float((grown < 1).mean()),
        tuple(Spread(name, float(values.mean()), tuple(numpy.quantile(values, QUANTILES).tolist())) for name, values in named),
        observed)


def _paths(rng: "Generator", logs: "Floats", paths: int, terms: Terms) -> tuple["Floats", "Floats", "Floats"]:
    """Final growth, deepest drawdown and lowest equity of some paths that begin at 1."""
    import numpy

    equity = numpy.zeros((paths, terms.steps + 1))
    numpy.cumsum(logs[drawn(rng, len(logs), paths, terms)], axis=1, out=equity[:, 1:])
    high = numpy.maximum.accumulate(equity, axis=1)
    return numpy.exp(equity[:, -1]), 1 - numpy.exp((equity - high).min(axis=1)), numpy.exp(equity.min(axis=1))


def drawn(rng: "Generator", count: int, paths: int, terms: Terms) -> "Floats":
    """Which of `count` results each step of each path takes; blocks run on over the end to the beginning."""
    import numpy

    shape = (paths, terms.steps)
    starts: Floats = rng.integers(0, count, shape)
    if terms.mean_block <= 1:
        return starts
    place = numpy.arange(terms.steps)
    begins = rng.random(shape) < 1 / terms.mean_block
    begins[:, 0] = True
    since = numpy.maximum.accumulate(numpy.where(begins, place, 0), axis=1)
    run_on: Floats = (numpy.take_along_axis(starts, since, axis=1) + place - since) % count
    return run_on
