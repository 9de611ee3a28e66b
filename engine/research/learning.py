"""The nightly learning: from sealed forecasts to scores, maps, alarms, and changes to propose.

It changes nothing but calibration maps that were better on forecasts they had not seen (`adoption`); every other parameter is
only proposed (`proposed_changes`), for a person to apply.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from engine.research.acted import Results, attribution_of, human_of
from engine.research.adoption import Looked, look_is_due, sought
from engine.research.alarms import alarm_of
from engine.research.block_bootstrap import Dated, effective_n, interval_95, resampled
from engine.research.decided import Cell, Forecast
from engine.research.parameters import Parameters
from engine.research.proposed_changes import changes_of
from engine.research.recalibration import PRIOR_N, CellMap, Curve, Series, fresh_map, parent_of, version_of
from engine.research.reliability import bins
from engine.research.rule_analyst import RULE_ANALYST
from engine.research.scores import Scored, base_rates, brier, log_score, mean, murphy, round_share, skill
from engine.research_words import CalibrationView, CellView, RateOfCode
from engine.trading_hours import NS_PER_DAY
from engine.units import Nanoseconds

NOTHING_CHANGED = Parameters()
NO_RESULTS = Results()
BLOCK_DAYS = {"1": 1, "2-5": 5, "6-10": 10, "11-20": 20}


class Learned(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is shown, the maps that are used from now on, and what was newly adopted, in words."""

    view: CalibrationView
    maps: tuple[CellMap, ...]
    adopted: tuple[str, ...] = ()


class Skill(NamedTuple):
    """Skill in percent with its 95 % interval, and how many independent forecasts it rests on."""

    percent: float | None
    low: float | None
    high: float | None
    effective_n: float | None


class CellForecasts(NamedTuple):
    """The forecasts of one cell: those resolved, in the order in which they were made, and how many are open or void;
    those that repeat an earlier one are only counted."""

    cell: Cell
    resolved: tuple[Forecast, ...]
    open: int
    void: int
    repeated: int


def learn(forecasts: Sequence[Forecast], maps: Sequence[CellMap], at_ns: Nanoseconds, parameters: Parameters = NOTHING_CHANGED,
          aggressiveness: int = 1, results: Results = NO_RESULTS, codes: tuple[RateOfCode, ...] = ()) -> Learned:
    """Score every cell, look for better maps, and propose changes. `parameters` and `aggressiveness` are those in use, `codes`
    are shown as they are handed in."""
    rules = {_question(one): one for one in forecasts if one.cell.analyst == RULE_ANALYST and one.up is not None}
    shown: list[CellView] = []
    kept: list[CellMap] = []
    adopted: list[str] = []
    for own in by_cell(forecasts):
        found, news = _cell_map(own, maps)
        kept.append(found)
        adopted.extend(news)
        shown.append(_cell_view(own, found, rules))
    seen = {one.cell for one in kept}
    kept.extend(one for one in maps if one.cell not in seen)
    firsts = [one for one in forecasts if not one.repeated]
    changes = changes_of(firsts, parameters, aggressiveness, results.costs, at_ns)
    view = CalibrationView(tuple(shown), codes, changes, at_ns, attribution_of(results), human_of(results))
    return Learned(view, tuple(kept), tuple(adopted))


def by_cell(forecasts: Sequence[Forecast]) -> tuple[CellForecasts, ...]:
    """The forecasts by cell, cells in alphabetical order."""
    groups: dict[Cell, list[Forecast]] = {}
    for one in forecasts:
        groups.setdefault(one.cell, []).append(one)
    found = []
    for cell in sorted(groups, key=lambda cell: (cell.analyst, cell.prompt_version, cell.asset_class, BLOCK_DAYS[cell.horizon])):
        own = sorted((one for one in groups[cell] if not one.repeated), key=lambda one: (one.at_ns, one.decision_id))
        resolved = tuple(one for one in own if one.up is not None)
        void = sum(1 for one in own if one.void)
        found.append(CellForecasts(cell, resolved, len(own) - len(resolved) - void, void, len(groups[cell]) - len(own)))
    return tuple(found)


def ups_of(resolved: Sequence[Forecast], *, calibrated: bool = False) -> list[Scored]:
    """The forecasts of the close above the mark, as stated or as sealed after calibration."""
    return [Scored(one.p_cal if calibrated else one.p_raw, one.up, one.at_ns, one.resolved_at_ns)
            for one in resolved if one.up is not None]


def wins_of(resolved: Sequence[Forecast]) -> list[Scored]:
    """The forecasts of the target before the stop, as stated."""
    return [Scored(one.p_win, one.won, one.at_ns, one.resolved_at_ns)
            for one in resolved if one.won is not None and one.p_win is not None]


# ---- maps ------------------------------------------------------------------------------------------------------------------


def _cell_map(own: CellForecasts, maps: Sequence[CellMap]) -> tuple[CellMap, list[str]]:
    before = next((one for one in maps if one.cell == own.cell), None) or fresh_map(own.cell, maps)
    parent = parent_of(own.cell, maps)
    block = BLOCK_DAYS[own.cell.horizon]
    up, up_look = _series(before.up, ups_of(own.resolved), block, parent.up.base_rate if parent else 0.5)
    win, win_look = _series(before.win, wins_of(own.resolved), block, parent.win.base_rate if parent else 0.5)
    proven = skill_of(ups_of(own.resolved, calibrated=True), block)
    last_ns = max((one.at_ns for one in own.resolved), default=before.last_at_ns)
    found = CellMap(own.cell, up, win, proven.percent, proven.low, proven.high, alarm_of(own.resolved, block), last_ns)
    looks = (("close above the mark", up_look), ("target before the stop", win_look))
    return found, [_told(own.cell, name, look) for name, look in looks if look is not None and look.curve is not None]


def _series(before: Series, rows: Sequence[Scored], block_days: int, prior_rate: float) -> tuple[Series, Looked | None]:
    """The series with its counts of now; the base rate leans on the parent's with the weight of 200 forecasts."""
    rate = (sum(row.y for row in rows) + PRIOR_N * prior_rate) / (len(rows) + PRIOR_N)
    now = msgspec.structs.replace(before, n=len(rows), base_rate=rate)
    if not look_is_due(len(rows), before.looked_n):
        return now, None
    look = sought(rows, before.curve, before.parent, block_days)
    return msgspec.structs.replace(now, looked_n=len(rows), curve=look.curve or before.curve), look


def _told(cell: Cell, name: str, look: Looked) -> str:
    assert look.curve is not None
    trial = next(one for one in look.trials if one.kind == look.curve.kind)
    return (f"{cell.analyst} {cell.prompt_version} {cell.horizon} days {cell.asset_class}, {name}: {look.curve.text}; Brier "
            f"{trial.before:.4f} -> {trial.after:.4f} on {trial.n} forecasts not seen before, better by at least "
            f"{-trial.change_bound:.4f} (95 %)")


# ---- scores ----------------------------------------------------------------------------------------------------------------


def skill_of(rows: Sequence[Scored], block_days: int) -> Skill:
    """Skill against the base rate that could be known at each forecast, by block bootstrap over dates."""
    losses = [(row.p - row.y) ** 2 for row in rows]
    known = [(rate - row.y) ** 2 for rate, row in zip(base_rates(rows), rows, strict=True)]
    found = skill(mean(losses), mean(known))
    if found is None:
        return Skill(None, None, None, None)
    days = [row.at_ns // NS_PER_DAY for row in rows]
    ratios = resampled(Dated(days, losses, known), block_days)
    gains = [reference - own for own, reference in zip(losses, known, strict=True)]
    n = effective_n(gains, resampled(Dated(days, gains, [1.0] * len(rows)), block_days), len(set(days)), block_days)
    if ratios is None:
        return Skill(100 * found, None, None, n)
    low, high = interval_95(ratios)
    return Skill(100 * found, 100 * (1 - high), 100 * (1 - low), n)


def _cell_view(own: CellForecasts, kept: CellMap, rules: Mapping[tuple[str, str, int], Forecast]) -> CellView:
    stated, sealed = ups_of(own.resolved), ups_of(own.resolved, calibrated=True)
    ps, ys = [row.p for row in stated], [row.y for row in stated]
    parts, proven = murphy([round(p, 2) for p in ps], ys), skill_of(sealed, BLOCK_DAYS[own.cell.horizon])
    return CellView(
        analyst=own.cell.analyst, prompt_version=own.cell.prompt_version, horizon=own.cell.horizon,
        asset_class=own.cell.asset_class, n=len(stated), effective_n=proven.effective_n, open=own.open, void=own.void,
        brier=brier(ps, ys), log_score=log_score(ps, ys), reliability=parts.reliability if parts else None,
        resolution=parts.resolution if parts else None, uncertainty=parts.uncertainty if parts else None,
        base_rate=mean(ys), mean_p=mean(ps), skill_percent=proven.percent, skill_low_percent=proven.low,
        skill_high_percent=proven.high, skill_rules_percent=_skill_of_rules(own, rules), multiples_of_five_percent=_percent(ps),
        map_version=version_of(kept.up), map_text=_map_text(kept.up.curve, kept.up), alarm=kept.alarm, bins=bins(ps, ys),
        brier_calibrated=brier([row.p for row in sealed], ys), repeated=own.repeated)


def _percent(ps: Sequence[float]) -> float | None:
    share = round_share(ps)
    return None if share is None else 100 * share


def _map_text(curve: Curve | None, series: Series) -> str:
    if curve is not None:
        return curve.text
    share = series.n / (series.n + PRIOR_N)
    return f"no map: {share:.0%} of the way from the base rate of {100 * series.base_rate:.1f} % to what was stated"


def _question(one: Forecast) -> tuple[str, str, int]:
    return one.portfolio, one.snapshot_id, one.horizon_days


def _skill_of_rules(own: CellForecasts, rules: Mapping[tuple[str, str, int], Forecast]) -> float | None:
    """Skill against the rules, on questions that both answered; None for the rules themselves."""
    if own.cell.analyst == RULE_ANALYST:
        return None
    both = [(one, rules[_question(one)]) for one in own.resolved if one.snapshot_id and _question(one) in rules]
    ys = [one.up or 0 for one, _ in both]
    found = skill(brier([one.p_cal for one, _ in both], ys), brier([rule.p_cal for _, rule in both], ys))
    return None if found is None else 100 * found
