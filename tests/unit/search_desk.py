"""Generated bars and a rule of one's own for tests of searches: interpreted, so that nothing but the figures is compiled."""

from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from engine.backtest.run import Series, Setup
from engine.search.measuring import Material
from engine.search.outcomes import Outcome, Span, Sums
from engine.search.sweeping import Crew
from engine.strategies.user import load_user_strategy
from engine.tolerance import Limits
from tests.parity.tapes import series

RULE = '''"""Buys what breaks out."""
from typing import NamedTuple

class Params(NamedTuple):
    bars: int = 3
    risk_bps: int = 100

BOUNDS = {"bars": (1, 50), "risk_bps": (1, 500)}

def warmup(params):
    return params.bars

def on_bar(context):
    if context.held.lots:
        return context.leave() if context.close() < context.lowest(2, back=1) else None
    if context.close() > context.highest(context.params.bars, back=1):
        return context.buy(risk_bps=context.params.risk_bps, stop_ticks=context.lowest(2))
'''
OPEN = Setup(10_000_000, Limits(max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0,
                                max_losing_streak=0, max_correlated_heat_fraction=0.0, max_orders_per_day=0,
                                max_daily_notional_fraction=0.0))


def material(folder: Path, count: int = 2_400, names: tuple[str, ...] = ("COIN",), **kind: Any) -> Material:
    """Bars of an hour each, and the rule written to a file."""
    path = folder / "mine.py"
    if not path.is_file():
        path.write_text(RULE, encoding="utf-8")
    tapes: tuple[Series, ...] = tuple(series(name, 7 + number, count, minutes=60, **kind) for number, name in enumerate(names))
    return Material(tapes, "mine", OPEN, str(folder / "compiled"), str(path), load_user_strategy(path).source_hash)


class Here(Executor):
    """Does the work at once, and counts it."""

    def __init__(self) -> None:
        self.chunks = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.chunks += 1
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


def here() -> Crew:
    return Crew(Here(), 1)


class InMemory:
    """Results kept for as long as the test runs."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.others: list[tuple[str, Outcome]] = []

    def known(self) -> list[Outcome]:
        return list(self.outcomes)

    def elsewhere(self) -> list[tuple[str, Outcome]]:
        return list(self.others)

    def keep(self, outcomes: Any) -> None:
        self.outcomes.extend(outcomes)


def outcome(returns: list[float], *, blocks: int = 12, params: dict[str, float] | None = None, span: Span = Span()) -> Outcome:  # noqa: B008
    """An outcome of given daily returns."""
    parts = [[one for day, one in enumerate(returns) if day * blocks // len(returns) == block] for block in range(blocks)]
    sums = tuple(Sums(len(part), *(sum(one ** power for one in part) for power in range(1, 5))) for part in parts)
    grown = 1.0
    for one in returns:
        grown *= 1 + one
    return Outcome(span, dict(params or {}), 1, 1, 1, 0, 0, 1_000_000, round(1_000_000 * grown), 0.1, len(returns) / 365.25, 365,
                   sums)
