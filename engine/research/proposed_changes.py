"""Changes of research's parameters that would have been better: shown with their evidence, applied by a person.

Thresholds of the aggressiveness, weights of voices, and the slippage that is expected. Each is judged forward-chained: in every
span of time the choice is made by what was known before it, and judged by what came.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from math import floor, log
from typing import NamedTuple

from engine.research.aggregation import WEIGHTS_FROM_N, line_weights, mean_in_log_odds
from engine.research.block_bootstrap import Dated, quantile, resampled
from engine.research.decided import Cell, Forecast
from engine.research.parameters import SLIPPAGE, THRESHOLD, WEIGHT, Parameters
from engine.research.scores import mean
from engine.research_words import ChangeProposed
from engine.trading_hours import NS_PER_DAY
from engine.units import Nanoseconds

THRESHOLDS_TRIED = (50.0, 52.0, 55.0, 58.0, 60.0, 65.0)
WEIGHTS_TRIED = (0.0, 0.5, 2.0)
SLIPPAGE_TRIED_BPS = (0.0, -10.0, -5.0, -2.0, -1.0, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
LEAST_COSTS = 50
SPANS = 8
GROWTH = 1.25
BLOCK_DAYS = 5
SURE = 0.05


class CostSeen(NamedTuple):
    """The cost of a round trip as it was expected, when it was decided on, and as it came, in bps of its notional."""

    at_ns: Nanoseconds
    expected_bps: float
    realised_bps: float
    decided_ns: Nanoseconds = 0


class Case(NamedTuple):
    """Something to choose for: when it was made, when its result was known, and the result under each choice, the first of which
    is the one in use; higher is better."""

    at_ns: Nanoseconds
    known_ns: Nanoseconds
    results: tuple[float, ...]


class Evidence(NamedTuple):
    """The result per case of the choice in use and of the chained choices, on the same cases; `low` is the lower end of the
    difference; `best` the choice that all cases speak for."""

    n: int
    before: float
    after: float
    low: float
    best: int

    @property
    def speaks(self) -> bool:
        return self.best > 0 and self.after > self.before and self.low > 0


def changes_of(forecasts: Sequence[Forecast], parameters: Parameters, aggressiveness: int, costs: Sequence[CostSeen],
               at_ns: Nanoseconds) -> tuple[ChangeProposed, ...]:
    """All changes that the evidence speaks for; `aggressiveness` is the level in use."""
    resolved = sorted((one for one in forecasts if one.up is not None), key=lambda one: (one.at_ns, one.decision_id))
    found = (_threshold(resolved, parameters, aggressiveness, at_ns), *_weights(resolved, parameters, at_ns),
             _slippage(costs, parameters, at_ns))
    return tuple(one for one in found if one is not None)


def weigh(cases: Sequence[Case]) -> Evidence | None:
    """Forward-chained: in each span the choice that was best before it, judged by what came; None with too little to go by."""
    if not cases:
        return None
    ways = range(len(cases[0].results))
    days, before, after = [], [], []
    length = max(1, -(-len(cases) // SPANS))
    for begin in range(length, len(cases), length):
        span = cases[begin:begin + length]
        known = [case for case in cases[:begin] if case.known_ns <= span[0].at_ns]
        choice = max(ways, key=lambda way: sum(case.results[way] for case in known)) if known else 0
        for case in span:
            days.append(case.at_ns // NS_PER_DAY)
            before.append(case.results[0])
            after.append(case.results[choice])
    drawn = resampled(Dated(days, [new - old for old, new in zip(before, after, strict=True)], [1.0] * len(days)), BLOCK_DAYS)
    best = max(ways, key=lambda way: sum(case.results[way] for case in cases))
    if drawn is None:
        return None
    return Evidence(len(days), mean(before) or 0.0, mean(after) or 0.0, quantile(drawn, SURE), best)


def _proposed(parameter: str, before: float, after: float, evidence: Evidence, measure: str,
              at_ns: Nanoseconds) -> ChangeProposed:
    words = (f"{measure} {evidence.before:.4f} -> {evidence.after:.4f} on {evidence.n} forward-chained cases, "
             f"better by at least {evidence.low:.4f} (95 %)")
    told = f"{parameter} {before:g} {after:g} {floor(log(evidence.n, GROWTH))}"  # the same until a quarter more cases are there
    change_id = f"{parameter}-{sha256(told.encode()).hexdigest()[:8]}".replace(" ", "-")
    return ChangeProposed(change_id, parameter, f"{before:g}", f"{after:g}", words, at_ns, "proposed")


def _threshold(resolved: Sequence[Forecast], parameters: Parameters, level: int, at_ns: Nanoseconds) -> ChangeProposed | None:
    """Another threshold for the level in use, by the mean net result of what passes it, per forecast, held to the horizon."""
    now = parameters.threshold_percent(level)
    tried = (now, *(one for one in THRESHOLDS_TRIED if one != now))
    sided = [one for one in resolved if one.side and one.return_bps is not None]
    if len(sided) < WEIGHTS_FROM_N:
        return None
    evidence = weigh([Case(one.at_ns, one.resolved_at_ns, tuple(_net_bps(one, least) for least in tried)) for one in sided])
    if evidence is None or not evidence.speaks:
        return None
    return _proposed(f"{THRESHOLD}.{level}", now, tried[evidence.best], evidence, "net result in bps per forecast", at_ns)


def _net_bps(one: Forecast, threshold_percent: float) -> float:
    conviction = 100 * (one.p_cal if one.side > 0 else 1 - one.p_cal)
    return one.side * (one.return_bps or 0.0) - one.cost_bps if conviction >= threshold_percent else 0.0


def _weights(resolved: Sequence[Forecast], parameters: Parameters, at_ns: Nanoseconds) -> list[ChangeProposed]:
    """Another weight for one voice, by the Brier score (times -1) of the mean in log-odds; for each analyst and prompt alone."""
    found: list[ChangeProposed] = []
    groups: dict[tuple[str, str], list[Forecast]] = {}
    for one in resolved:
        if len({voice for voice, _ in one.said}) > 1:
            groups.setdefault(_speakers(one.cell), []).append(one)
    for _, own in sorted(groups.items()):
        voices = sorted({voice for one in own for voice, _ in one.said})
        for voice in voices if len(own) >= WEIGHTS_FROM_N else ():
            change = _weight_of(voice, own, parameters, at_ns)
            if change is not None and all(change.parameter != other.parameter for other in found):
                found.append(change)
    return found


def _speakers(cell: Cell) -> tuple[str, str]:
    return cell.analyst, cell.prompt_version


def _weight_of(voice: str, own: Sequence[Forecast], parameters: Parameters, at_ns: Nanoseconds) -> ChangeProposed | None:
    now = parameters.weights.get(voice, 1.0)
    tried = (now, *(one for one in (*WEIGHTS_TRIED, 1.0) if one != now))
    ways = [{**parameters.weights, voice: weight} for weight in tried]
    cases = [Case(one.at_ns, one.resolved_at_ns, tuple(-(_said(one, way) - (one.up or 0)) ** 2 for way in ways)) for one in own]
    evidence = weigh(cases)
    if evidence is None or not evidence.speaks:
        return None
    return _proposed(f"{WEIGHT}.{voice}", now, tried[evidence.best], evidence, "minus the Brier score", at_ns)


def _said(one: Forecast, weights: Mapping[str, float]) -> float:
    """What the voices come to together: every voice counts by its weight, however many samples it gave."""
    parts = line_weights([voice for voice, _ in one.said], weights)
    return mean_in_log_odds([p for _, p in one.said], parts)


def _slippage(costs: Sequence[CostSeen], parameters: Parameters, at_ns: Nanoseconds) -> ChangeProposed | None:
    """More or less slippage, by how far off the expected cost of round trips is (times -1)."""
    if len(costs) < LEAST_COSTS:
        return None
    cases = [Case(one.at_ns, one.at_ns, tuple(-abs(one.realised_bps - one.expected_bps - more) for more in SLIPPAGE_TRIED_BPS))
             for one in sorted(costs)]
    evidence = weigh(cases)
    if evidence is None or not evidence.speaks:
        return None
    now, more = parameters.slippage_bps, SLIPPAGE_TRIED_BPS[evidence.best]
    return _proposed(SLIPPAGE, now, now + more, evidence, "minus the error of the expected cost in bps", at_ns)
