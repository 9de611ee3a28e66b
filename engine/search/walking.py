"""Walk-forward and purged cross-validation: parameters chosen on one part of the bars, judged on another that they never saw."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

from engine.analytics.measures import Figure
from engine.errors import QuarterdeckError
from engine.search.honesty import deflated_sharpe
from engine.search.outcomes import Outcome, growth_of, moments_of, score, sharpe
from engine.search.spaces import ParamSet
from engine.search.splits import Split
from engine.search.sweeping import Job, Search


class Window(NamedTuple):
    """One split: the set that was chosen, what it came to where it was chosen and where it was judged."""

    split: Split
    params: ParamSet
    chosen: tuple[Outcome, ...]
    judged: Outcome


class Walk(NamedTuple):
    """All windows, in each of which one of so many `sets` was chosen; `max_drawdown` is the deepest inside one of them.
    `luck_sharpe` and `deflated` judge the whole of what was never seen against the number of trials ever made on these bars."""

    windows: tuple[Window, ...]
    sets: int
    trials: int
    chosen_sharpe: Figure
    judged_sharpe: Figure
    judged_growth: float
    max_drawdown: float
    luck_sharpe: float
    deflated: Figure


def walk(search: Search, sets: Sequence[ParamSet], splits: Sequence[Split], objective: str) -> Walk:
    """Choose the best of the sets in each split and judge it there; raises `QuarterdeckError` where nothing can be chosen."""
    jobs = [Job(span, params) for split in splits for span in split.choose for params in sets]
    search.outcomes(jobs)
    chosen = [_choose(search, sets, split, objective) for split in splits]
    judged = search.outcomes([Job(split.judge, params) for split, (params, _) in zip(splits, chosen, strict=True)])
    windows = tuple(Window(split, params, told, outcome)
                    for split, (params, told), outcome in zip(splits, chosen, judged, strict=True))
    return _summed(windows, len(sets), search.ratios())


def _outcomes(search: Search, params: ParamSet, split: Split) -> list[Outcome]:
    return search.outcomes([Job(span, params) for span in split.choose])


def _choose(search: Search, sets: Sequence[ParamSet], split: Split, objective: str) -> tuple[ParamSet, tuple[Outcome, ...]]:
    """The best set where it may be chosen; the first of equals."""
    best: tuple[float, ParamSet, tuple[Outcome, ...]] | None = None
    for params in sets:
        told = tuple(_outcomes(search, params, split))
        value = score(objective, told)
        if value is not None and (best is None or value > best[0]):
            best = (value, params, told)
    if best is None:
        raise QuarterdeckError(f"{objective} is defined for no set in one window, perhaps since nothing was traded there: "
                               "use fewer windows, longer files or other values")
    return best[1], best[2]


def _summed(windows: tuple[Window, ...], sets: int, ratios: Sequence[float | None]) -> Walk:
    judged = [one.judged for one in windows]
    luck, deflated = deflated_sharpe(moments_of(judged), ratios, len(ratios))
    return Walk(windows, sets, len(ratios), sharpe([one for window in windows for one in window.chosen]), sharpe(judged),
                growth_of(judged), max(one.max_drawdown for one in judged), luck * sqrt(judged[0].days_per_year), deflated)
