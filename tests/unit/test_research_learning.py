"""The nightly learning end to end: synthetic forecasters whose skill is known, maps that were better on what they had not seen,
alarms, and changes that a person may apply."""

from random import Random

import msgspec
import pytest

from engine.research.acted import Results, costs_since
from engine.research.adoption import FIRST_FIT_N, first_unseen, forward_chained, look_is_due, sought
from engine.research.alarms import agreeing, alarm_of, degraded
from engine.research.decided import Cell, Forecast
from engine.research.learning import Learned, learn
from engine.research.parameters import Parameters, changed, parameters_of
from engine.research.proposed_changes import CostSeen
from engine.research.recalibration import CellMap, Curve, Series, calibrated, fitted
from engine.research.scores import Scored
from engine.research_words import CellView
from engine.trading_hours import NS_PER_DAY
from tests.unit.known_forecasters import drawn, forecasts, scored
from tests.unit.research_desk import asked

NIGHTS = (200, 250, 313, 392, 490, 613, 767, 959)
LONG_AFTER_NS = 10_000 * NS_PER_DAY


def only(found: Learned) -> CellView:
    [cell] = found.view.cells
    return cell


# ---- scores of known forecasters -------------------------------------------------------------------------------------


def test_a_calibrated_forecaster_has_the_skill_that_it_must() -> None:
    cell = only(learn(forecasts(1, 2_000, 2, 1), (), 5))
    assert cell.n == 2_000
    assert cell.skill_low_percent is not None
    assert cell.skill_high_percent is not None
    assert cell.skill_low_percent < 20 < cell.skill_high_percent  # 1 - 0.2/0.25
    assert cell.effective_n == pytest.approx(2_000, rel=0.2)
    assert sum(one.n for one in cell.bins) == 2_000
    assert sum(one.rate_low <= one.mean_p <= one.rate_high for one in cell.bins) >= 8
    assert cell.alarm == ""


def test_one_who_is_three_times_too_sure_is_worse_than_the_base_rate() -> None:
    cell = only(learn(forecasts(2, 2_000, 50, 3), (), 5))
    assert cell.skill_percent is not None
    assert cell.skill_percent < 0
    assert cell.reliability is not None
    assert cell.reliability > 0.004


def test_no_forecasts_no_scores() -> None:
    assert learn((), (), 5).view.cells == ()
    opened = Forecast("d1", "main", Cell("llm/one", "p1", "1", "equity"), 0, 0.6, 0.6)
    void = msgspec.structs.replace(opened, decision_id="d2", void="halted")
    cell = only(learn([opened, void], (), 5))
    assert (cell.n, cell.open, cell.void) == (0, 1, 1)
    assert [cell.brier, cell.log_score, cell.skill_percent, cell.base_rate, cell.effective_n, cell.alarm, cell.bins] == [
        None, None, None, None, None, "", ()]


def test_what_learns_twice_finds_the_same() -> None:
    rows = forecasts(3, 400, 2, 1.8)
    assert learn(rows, (), 5) == learn(rows[::-1], (), 5)


def test_the_rules_are_the_benchmark_on_the_same_questions() -> None:
    model = forecasts(4, 600, 2, 1)
    rule = [msgspec.structs.replace(one, decision_id=f"r{one.decision_id}", p_raw=0.5, p_cal=0.5,
                                    cell=Cell("rule/1", "rule/1", "1", "equity")) for one in model]
    cells = {cell.analyst: cell for cell in learn([*model, *rule], (), 5).view.cells}
    assert cells["rule/1"].skill_rules_percent is None
    assert cells["llm/one"].skill_rules_percent == pytest.approx(100 * (1 - (cells["llm/one"].brier or 0) / 0.25))
    others = [msgspec.structs.replace(one, snapshot_id=f"other {one.snapshot_id}") for one in rule]
    assert {cell.skill_rules_percent for cell in learn([*model, *others], (), 5).view.cells} == {None}


# ---- maps ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_gate_adopts_nothing_for_who_is_calibrated() -> None:
    """At most 5 % of 200 seeds; `python -m tests.bench.recalibration` prints the figures."""
    adopted = sum(sought(scored(seed, 200, 50, 1), None, None, 1).curve is not None for seed in range(200))
    assert adopted <= 10


@pytest.mark.slow
def test_the_gate_finds_who_is_three_times_too_sure() -> None:
    """At least 95 % of 100 seeds with one look at 1,000 forecasts, and the Brier score of others falls by 0.004 or more."""
    falls = []
    for seed in range(100):
        curve = sought(scored(1_000 + seed, 1_000, 50, 3), None, None, 1).curve
        if curve is not None:
            falls.append(sum((row.p - row.y) ** 2 - (curve.at(row.p) - row.y) ** 2 for row in scored(9_000 + seed, 2_000, 50, 3))
                         / 2_000)
    assert len(falls) >= 95
    assert sum(falls) / len(falls) >= 0.004


def test_a_map_is_learned_night_by_night_and_used() -> None:
    rows = forecasts(5, 959, 50, 3)
    maps: tuple[CellMap, ...] = ()
    adopted: list[str] = []
    found = learn((), (), 0)
    for night in NIGHTS:
        found = learn(rows[:night], maps, night * NS_PER_DAY)
        maps, adopted = found.maps, [*adopted, *found.adopted]
    [own] = maps
    assert adopted
    assert "forecasts not seen before, better by at least" in adopted[0]
    assert own.up.curve is not None
    assert own.up.curve.step >= 0.5
    assert only(found).map_version == own.up.curve.version
    fresh = scored(77, 5_000, 50, 3)
    before = sum((row.p - row.y) ** 2 for row in fresh) / 5_000
    after = sum((calibrated(row.p, own.up) - row.y) ** 2 for row in fresh) / 5_000
    assert before - after >= 0.004


def test_chance_is_not_asked_every_night() -> None:
    assert [look_is_due(n, looked) for n, looked in ((199, 0), (200, 0), (249, 200), (250, 200))] == [False, True, False, True]
    rows = forecasts(6, 210, 50, 1)
    first = learn(rows[:200], (), 5).maps
    assert first[0].up.looked_n == 200
    assert learn(rows, first, 6).maps[0].up.looked_n == 200


def test_nothing_is_fitted_to_what_it_is_scored_on() -> None:
    """Outcomes from a span on are turned round: what the fits before it made of the span stays the same to the last bit."""
    rows = scored(8, 400, 2, 1.8)
    turned = [row if place < 370 else row._replace(y=1 - row.y) for place, row in enumerate(rows)]
    honest, other = forward_chained(rows, "platt", 0.5, None, 100), forward_chained(turned, "platt", 0.5, None, 100)
    assert len(honest) == 300
    assert honest[:270] == other[:270]
    made = [Scored(row.p, 1 - row.y, row.at_ns, row.known_ns) for row in rows[370:]]
    curve = fitted("platt", rows[:370], 0.5)
    assert [one.after for one in other[270:]] == [(curve.at(row.p) - row.y) ** 2 for row in made]


def test_outcomes_that_were_not_known_yet_are_not_fitted_to() -> None:
    late = [row._replace(known_ns=row.at_ns + 150 * NS_PER_DAY) for row in scored(9, 300, 2, 1.8)]
    changes = forward_chained(late, "platt", 0.5, None, 100)
    assert len(changes) == 100  # of the first hundred, fifty outcomes are known only from day 200 on


def test_a_map_in_use_is_judged_only_on_what_came_after_its_fit() -> None:
    rows = scored(10, 400, 2, 1.8)
    curve = fitted("platt", rows[:250], 0.5)
    assert curve.through_ns == rows[249].known_ns
    assert first_unseen(rows, "platt", curve) == 250
    assert first_unseen(rows, "isotonic", None) == FIRST_FIT_N["isotonic"]


def test_isotonic_is_tried_from_a_thousand_on() -> None:
    kinds = [[trial.kind for trial in sought(scored(11, count, 2, 3), None, None, 1).trials] for count in (999, 1_000)]
    assert kinds == [["platt"], ["platt", "isotonic"]]
    steep = [row._replace(p=0.5 + (row.p - 0.5) ** 3 * 3.9) for row in scored(12, 1_500, 2, 1)]
    found = sought(steep, None, None, 1)
    assert found.curve is not None
    assert all(0.01 <= found.curve.at(place / 100) <= 0.99 for place in range(101))
    assert all(found.curve.at(place / 100) <= found.curve.at((place + 1) / 100) + 1e-12 for place in range(100))


def test_a_new_prompt_freezes_the_old_map_and_starts_its_counts_anew() -> None:
    old = CellMap(Cell("llm/one", "p1", "1", "equity"), up=Series(n=700, base_rate=0.52, curve=Curve("platt", 0.4, fitted_n=700)),
                  last_at_ns=9)
    found = learn(forecasts(13, 20, 50, 3, prompt="p2"), (old,), LONG_AFTER_NS)
    new, kept = found.maps
    assert kept == old
    assert (new.up.n, new.up.curve, new.up.parent) == (20, None, old.up.curve)
    assert new.up.base_rate == pytest.approx(0.52, abs=0.06)


def test_wins_have_a_series_of_their_own() -> None:
    ps, ys = drawn(14, 300, 2, 1)
    rows = [msgspec.structs.replace(one, p_win=p, won=y, side=1)
            for one, p, y in zip(forecasts(14, 300, 2, 1), ps, ys, strict=True)]
    [own] = learn([*rows[:250], *(msgspec.structs.replace(one, p_win=None, won=None) for one in rows[250:])], (), 5).maps
    assert (own.up.n, own.win.n) == (300, 250)


# ---- alarms ----------------------------------------------------------------------------------------------------------


def test_an_analyst_that_turned_bad_raises_the_alarm() -> None:
    good = scored(15, 600, 2, 1)
    assert degraded(good, 1) == ""
    bad = [*good[:-100], *(row._replace(p=1 - row.p) for row in good[-100:])]
    assert degraded(bad, 1).startswith("degraded: skill of the last 100 is -")
    assert degraded(bad[-199:], 1) == ""  # not enough before to know what is usual


def test_most_calibrated_analysts_raise_no_alarm() -> None:
    raised = sum(bool(degraded(scored(seed, 400, 2, 1), 1)) for seed in range(100, 200))
    assert raised <= 10


def test_one_that_agrees_with_everything_raises_the_alarm() -> None:
    chance = Random(16)
    rows = [Scored(0.62, int(chance.random() < 0.5), day * NS_PER_DAY, (day + 1) * NS_PER_DAY) for day in range(600)]
    assert agreeing(rows, 1).startswith("leaning: says 62.0 % in the mean")
    assert agreeing(rows[:99], 1) == ""
    assert agreeing([row._replace(p=0.52) for row in rows], 1) == ""


def test_alarms_are_kept_with_the_cell() -> None:
    rows = [msgspec.structs.replace(one, p_raw=min(0.99, one.p_raw + 0.2)) for one in forecasts(17, 300, 2, 1)]
    found = learn(rows, (), 5)
    assert found.maps[0].alarm == only(found).alarm == alarm_of(rows, 1)
    assert "leaning" in found.maps[0].alarm


# ---- changes ---------------------------------------------------------------------------------------------------------


def sided(seed: int, count: int, edge_bps: float) -> list[Forecast]:
    """Longs at 53 % that lose, longs at 61 % that win: a higher threshold would have been better."""
    chance = Random(seed)
    found = []
    for one in forecasts(seed, count, 50, 1):
        p = chance.choice([0.56, 0.61])
        mean_bps = edge_bps if p > 0.6 else -edge_bps
        found.append(msgspec.structs.replace(one, p_raw=p, p_cal=p, side=1, return_bps=chance.gauss(mean_bps, 100), cost_bps=5.0))
    return found


def test_a_better_threshold_is_proposed_with_its_evidence() -> None:
    [change] = learn(sided(18, 600, 40), (), 5).view.changes
    assert (change.parameter, change.before, change.status, change.at_ns) == ("threshold.1", "55", "proposed", 5)
    assert float(change.after) > 55
    assert "forward-chained" in change.evidence
    after = changed(Parameters(), change.parameter, change.after)
    assert after is not None
    assert after.thresholds_percent == (60.0, float(change.after), 52.0, 50.0)
    assert learn(sided(18, 600, 40), (), 5, after).view.changes == ()


def test_chance_proposes_no_threshold() -> None:
    proposed = sum(bool(learn(sided(seed, 300, 0), (), 5, aggressiveness=0).view.changes) for seed in range(30))
    assert proposed <= 3
    assert learn(sided(18, 150, 400), (), 5).view.changes == ()  # under 200 nothing is proposed


def test_a_voice_that_knows_nothing_loses_weight() -> None:
    chance = Random(19)
    rows = [msgspec.structs.replace(one, said=(("line a", one.p_raw), ("line b", chance.uniform(0.1, 0.9))))
            for one in forecasts(19, 800, 2, 1)]
    changes = {change.parameter: change for change in learn(rows, (), 5).view.changes}
    assert float(changes["weight.line b"].after) < 1
    assert learn(rows[:199], (), 5).view.changes == ()


def test_slippage_that_is_always_more_is_proposed() -> None:
    chance = Random(20)
    costs = [CostSeen(day * NS_PER_DAY, 10, 15 + chance.gauss(0, 2)) for day in range(120)]
    [change] = learn((), (), 5, Parameters(slippage_bps=1), results=Results(costs=tuple(costs))).view.changes
    assert (change.parameter, change.before, change.after) == ("slippage_bps", "1", "6")
    assert learn((), (), 5, results=Results(costs=tuple(costs[:49]))).view.changes == ()


def test_slippage_that_was_applied_is_not_proposed_again_on_what_was_expected_before() -> None:
    """Each time it was applied the same round trips asked for as much again."""
    chance = Random(20)
    costs = tuple(CostSeen(day * NS_PER_DAY, 10 if day < 120 else 15, 15 + chance.gauss(0, 2), day * NS_PER_DAY)
                  for day in range(1, 240))
    [change] = learn((), (), 5, results=Results(costs=costs[:119])).view.changes
    assert (change.before, change.after) == ("0", "5")
    in_use = Parameters(slippage_bps=5)
    assert learn((), (), 5, in_use, results=costs_since(Results(costs=costs[:119]), 119 * NS_PER_DAY)).view.changes == ()
    assert learn((), (), 5, in_use, results=costs_since(Results(costs=costs), 119 * NS_PER_DAY)).view.changes == ()


def test_a_round_trip_never_costs_less_than_nothing() -> None:
    assert msgspec.structs.replace(asked(), parameters=Parameters(slippage_bps=-20)).round_trip_bps == 0.0
    assert msgspec.structs.replace(asked(), parameters=Parameters(slippage_bps=-4)).round_trip_bps == 6.0


def test_applied_changes_are_values_by_name() -> None:
    found = parameters_of({"threshold.2": "55", "weight.line b": "0.5", "slippage_bps": "6", "nonsense": "1", "threshold.9": "55",
                           "weight.": "2", "threshold.1": "many", "threshold.0": "30"})
    assert found == Parameters((60.0, 55.0, 55.0, 50.0), {"line b": 0.5}, 6.0)
