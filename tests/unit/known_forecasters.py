"""Forecasters whose skill is known: q ~ Beta(shape, shape), the outcome happens with q, and q is said with its log-odds times a
factor: 1 is calibrated, 3 is three times too sure."""

from random import Random

from engine.research.aggregation import logit, probability_of
from engine.research.decided import Cell, Forecast, horizon_bucket
from engine.research.scores import Scored
from engine.trading_hours import NS_PER_DAY


def drawn(seed: int, count: int, shape: float, times: float) -> tuple[list[float], list[int]]:
    """What was said, and what happened."""
    chance = Random(seed)
    ps, ys = [], []
    for _ in range(count):
        q = chance.betavariate(shape, shape)
        ys.append(int(chance.random() < q))
        ps.append(probability_of(times * logit(q)) if times != 1 else q)
    return ps, ys


def scored(seed: int, count: int, shape: float, times: float) -> list[Scored]:
    """One forecast a day, known at its end."""
    ps, ys = drawn(seed, count, shape, times)
    return [Scored(p, y, day * NS_PER_DAY, (day + 1) * NS_PER_DAY - 1)
            for day, (p, y) in enumerate(zip(ps, ys, strict=True))]


def forecasts(seed: int, count: int, shape: float, times: float, analyst: str = "llm/one", prompt: str = "p1",
              horizon_days: int = 1) -> list[Forecast]:
    """Sealed and resolved forecasts, one a day, sealed as they were said."""
    ps, ys = drawn(seed, count, shape, times)
    cell = Cell(analyst, prompt, horizon_bucket(horizon_days), "equity")
    return [Forecast(f"{analyst}-{prompt}-{day:05d}", "main", cell, day * NS_PER_DAY, p, p, up=y,
                     resolved_at_ns=(day + horizon_days) * NS_PER_DAY - 1, snapshot_id=f"s{day}", horizon_days=horizon_days)
            for day, (p, y) in enumerate(zip(ps, ys, strict=True))]
