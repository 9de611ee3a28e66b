"""Aggregation, calibration in use, expected value and size: against hand-worked numbers (scikit-learn 1.9.1, scipy 1.18.1)."""

from itertools import pairwise
from math import log

import pytest
from msgspec.structs import replace

from engine.research.aggregation import Aggregate, Agreed, aggregate, agreed, line_weights, mean_in_log_odds
from engine.research.decided import Cell
from engine.research.opinions import Opinion, Stance
from engine.research.parameters import Parameters
from engine.research.recalibration import CellMap, Curve, Series, calibrated, fresh_map, map_for, version_of
from engine.research.worth import (
    Room,
    edge_of,
    low_bound,
    no_edge_p,
    round_trip_cost_bps,
    sized,
    why_not,
    worth_of,
)

CELL = Cell("llm/one", "p1", "2-5", "equity")

# p, target, stop, cost -> ev, break-even, Kelly as a multiple of equity, as risk, risk in bps, notional in percent of equity
EV_VECTORS = [
    (0.58, 350, 200, 10, 109.0, 0.381818, 15.266106, 0.320588, 50.0, 23.809524),
    (0.52, 200, 200, 10, -2.0, 0.525, 0.0, 0.0, 0.0, 0.0),
    (0.5, 200, 200, 0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0),
    (0.55, 200, 200, 10, 10.0, 0.525, 2.506266, 0.052632, 50.0, 23.809524),
    (0.551, 200, 200, 10, 10.4, 0.525, 2.606516, 0.054737, 50.0, 23.809524),
    (0.6, 200, 200, 10, 30.0, 0.525, 7.518797, 0.157895, 50.0, 23.809524),
    (0.4, 500, 200, 10, 70.0, 0.3, 6.802721, 0.142857, 50.0, 23.809524),
    (0.99, 100, 300, 10, 86.0, 0.775, 30.824373, 0.955556, 50.0, 16.129032),
    (0.55, 8, 200, 10, -95.6, 1.009615, 0.0, 0.0, 0.0, 0.0),
    (0.526, 200, 200, 10, 0.4, 0.525, 0.100251, 0.002105, 5.263158, 2.506266),
]


@pytest.mark.parametrize(("p", "target", "stop", "cost", "ev", "breakeven", "multiple", "kelly", "risk", "notional"), EV_VECTORS)
def test_expected_value_and_size(p: float, target: int, stop: int, cost: int, ev: float, breakeven: float, multiple: float,
                                 kelly: float, risk: float, notional: float) -> None:
    edge = edge_of(p, target, stop, cost)
    size = sized(edge, Room())
    assert edge.ev_bps == pytest.approx(ev, abs=1e-6)
    assert edge.breakeven_p == pytest.approx(breakeven, abs=1e-6)
    assert edge.kelly_notional_multiple == pytest.approx(multiple, abs=1e-6)
    assert edge.kelly_risk_fraction == pytest.approx(kelly, abs=1e-6)
    assert size.risk_bps == pytest.approx(risk, abs=1e-6)
    assert 100 * size.risk_bps / (stop + cost) == pytest.approx(notional, abs=1e-6)


def test_every_limit_that_took_something_is_told_in_turn() -> None:
    edge = edge_of(0.55, 200, 200, 10)
    size = sized(edge, Room(per_trade_risk_bps=50, heat_left_bps=30, day_left_bps=12.5), probation=True)
    assert size.risk_bps == 10
    assert size.clamps == ("per-trade risk: 131.58 -> 50.00 bps", "probation: 50.00 -> 10.00 bps")
    tight = sized(edge, Room(heat_left_bps=30, day_left_bps=-3))
    assert tight.risk_bps == 0
    assert tight.clamps[1:] == ("heat left: 50.00 -> 30.00 bps", "day's budget: 30.00 -> 0.00 bps")


def test_what_a_round_trip_costs() -> None:
    assert round_trip_cost_bps(spread_bps=4, fee_bps=1, slippage_bps=2) == 10


# ---- aggregation -----------------------------------------------------------------------------------------------------


def test_the_mean_is_that_of_the_log_odds() -> None:
    assert mean_in_log_odds([0.6, 0.6, 0.6]) == pytest.approx(0.6)
    assert mean_in_log_odds([0.8, 0.2]) == pytest.approx(0.5)
    assert mean_in_log_odds([0.9, 0.5]) == pytest.approx(0.75)  # odds 9 and 1: their geometric mean is 3
    assert mean_in_log_odds([0.9, 0.5], [1, 0]) == pytest.approx(0.9)


def test_consensus_asks_for_two_thirds_and_little_spread() -> None:
    long, short, flat = Stance.LONG, Stance.SHORT, Stance.FLAT
    near = aggregate([0.6, 0.58, 0.55], [long, long, flat])
    assert near.dispersion_logit == pytest.approx(0.103027, abs=1e-6)
    assert (near.stance, near.consensus) == (long, True)
    split = aggregate([0.6, 0.4, 0.5], [long, short, flat])
    assert (split.stance, split.consensus) == (flat, False)
    assert split.p_agg == pytest.approx(0.5)
    wide = aggregate([0.9, 0.6, 0.6], [long, long, long])
    assert wide.dispersion_logit == pytest.approx((log(9) - log(1.5)) / 3 ** 0.5)
    assert (wide.stance, wide.consensus) == (flat, False)
    assert aggregate([0.7], [long])[1:] == (0.0, long, True, (0.7,))


def test_each_line_of_models_counts_by_its_weight_whatever_its_samples() -> None:
    weights = line_weights(["a", "a", "a", "b"])
    assert weights == pytest.approx((1 / 3, 1 / 3, 1 / 3, 1))
    assert mean_in_log_odds([0.9, 0.9, 0.9, 0.5], weights) == pytest.approx(0.75)
    assert line_weights(["a", "b"], {"b": 2.0}) == (1.0, 2.0)


def opinion(stance: Stance, p_up: float, p_win: float | None, target_bps: int = 300, stop_bps: int = 200) -> Opinion:
    return Opinion("AAA", stance, p_up, p_win, 5, target_bps, stop_bps, "because", "but")


def test_levels_are_those_of_the_judges_who_agree() -> None:
    found = agreed([opinion(Stance.LONG, 0.6, 0.5, 300), opinion(Stance.LONG, 0.62, 0.5, 500), opinion(Stance.FLAT, 0.5, None)])
    assert (found.aggregate.stance, found.target_bps, found.stop_bps) == (Stance.LONG, 400, 200)
    assert found.p_win == pytest.approx(0.5)
    apart = agreed([opinion(Stance.LONG, 0.6, 0.5), opinion(Stance.SHORT, 0.4, 0.5), opinion(Stance.FLAT, 0.5, None)])
    assert (apart.aggregate.stance, apart.p_win) == (Stance.FLAT, None)


# ---- calibration in use ----------------------------------------------------------------------------------------------


def test_without_a_map_a_probability_is_drawn_to_the_base_rate_by_n() -> None:
    assert calibrated(0.8, Series(n=0, base_rate=0.55)) == pytest.approx(0.55)
    assert calibrated(0.8, Series(n=200)) == pytest.approx(2 / 3)  # half of log 4 is log 2
    assert calibrated(0.8, Series(n=200, base_rate=0.1), 0.5) == pytest.approx(2 / 3)
    rising = [calibrated(0.8, Series(n=n)) for n in (0, 50, 100, 500, 5_000)]
    assert all(low < high < 0.8 for low, high in pairwise(rising))


def test_a_map_goes_a_part_of_the_way() -> None:
    assert Curve("platt", slope=0.5).at(0.8) == pytest.approx(2 / 3)
    assert Curve("platt", slope=0.0, offset=0.0, step=0.5).at(0.8) == pytest.approx(2 / 3)
    assert Curve("isotonic", knots=((0.2, 0.4), (0.8, 0.6))).at(0.5) == pytest.approx(0.5)
    assert Curve("platt", slope=9.0).at(0.9) == 0.99


def test_a_new_model_or_prompt_starts_anew_with_its_parents_map_as_prior() -> None:
    curve = Curve("platt", slope=0.5, fitted_n=400)
    old = CellMap(CELL, up=Series(n=400, base_rate=0.52, curve=curve), last_at_ns=5)
    rules = CellMap(Cell("rule/1", "-", "2-5", "equity"), up=Series(n=900, base_rate=0.6), last_at_ns=9)
    child = fresh_map(Cell("llm/one", "p2", "2-5", "equity"), [old, rules])
    assert child.up == Series(n=0, base_rate=0.52, parent=curve)
    assert version_of(child.up) == f"shrink of {curve.version}"
    assert fresh_map(Cell("llm/two", "p2", "2-5", "equity"), [old, rules]).up.parent == curve
    assert fresh_map(Cell("llm/two", "p2", "1", "equity"), [old, rules]).up == Series()
    assert map_for(CELL, [old, rules]) is old
    with_parent = Series(n=200, base_rate=0.5, parent=curve)
    assert calibrated(0.8, with_parent) == pytest.approx(calibrated(2 / 3, Series(n=200)))


def test_versions_tell_curves_apart() -> None:
    assert Curve("platt", 0.5, fitted_n=400).version != Curve("platt", 0.6, fitted_n=400).version
    assert Curve("platt", 0.5, fitted_n=400).version.startswith("platt-400-")


# ---- the gates -------------------------------------------------------------------------------------------------------


def agreement(p_up: float, p_win: float | None, stance: Stance = Stance.LONG, *, consensus: bool = True) -> Agreed:
    return Agreed(Aggregate(p_up, 0.1, stance, consensus, (p_up,)), p_win, 5, 200, 200)


SEASONED = CellMap(CELL, up=Series(n=1_000, curve=Curve("platt")), win=Series(n=1_000, curve=Curve("platt")))


@pytest.mark.parametrize(("aggressiveness", "p_up", "passes"), [
    (0, 0.59, False), (0, 0.61, True), (1, 0.54, False), (1, 0.56, True), (2, 0.51, False), (2, 0.53, True), (3, 0.49, False),
    (3, 0.505, True)])
def test_the_threshold_follows_the_aggressiveness(aggressiveness: int, p_up: float, passes: bool) -> None:
    found = agreement(p_up, 0.6)
    why = why_not(worth_of(found, SEASONED, 10, Room()), found.aggregate, aggressiveness)
    assert (why == "") is passes
    assert passes or "threshold" in why


def test_a_short_is_measured_by_the_other_side() -> None:
    found = agreement(0.39, 0.6, Stance.SHORT)
    worth = worth_of(found, SEASONED, 10, Room())
    assert why_not(worth, found.aggregate, 0) == ""
    assert worth.p_low > worth.p_cal  # the bound that speaks against a short
    assert why_not(worth_of(agreement(0.41, 0.6, Stance.SHORT), SEASONED, 10, Room()), found.aggregate, 0)


def test_a_threshold_alone_admits_no_losing_bet() -> None:
    found = agreement(0.65, 0.53)
    worth = worth_of(found, SEASONED, 10, Room())
    assert worth.ev_bps > 0 > worth.ev_low_bps
    assert "lower bound" in why_not(worth, found.aggregate, 0)


def test_probation_weighs_what_was_stated_and_stays_small() -> None:
    found = agreement(0.62, 0.6)
    worth = worth_of(found, CellMap(CELL), 10, Room())
    assert worth.probation
    assert worth.p_cal == pytest.approx(0.5)
    assert worth.ev_bps == pytest.approx(30)
    assert worth.risk_bps == 10
    assert why_not(worth, found.aggregate, 0) == ""
    assert worth.p_win == pytest.approx(no_edge_p(200, 200))


def test_what_opens_nothing_is_scored_and_never_sized() -> None:
    flat = agreement(0.52, None, Stance.FLAT)
    worth = worth_of(flat, SEASONED, 10, Room())
    assert (worth.risk_bps, worth.p_win) == (0, None)
    assert worth.p_cal == pytest.approx(0.52)
    assert why_not(worth, flat.aggregate, 3) == "flat"
    leave = agreement(0.4, None, Stance.EXIT)
    assert why_not(worth_of(leave, SEASONED, 10, Room()), leave.aggregate, 0) == ""
    apart = agreement(0.65, 0.65, consensus=False)
    assert "no consensus" in why_not(worth_of(apart, SEASONED, 10, Room()), apart.aggregate, 3)


def test_the_bounds_themselves() -> None:
    """At the threshold it passes; at an expected value of 0 it does not."""
    found = agreement(0.6, 0.6)
    worth = replace(worth_of(found, SEASONED, 10, Room()), p_cal=0.6)
    assert why_not(worth, found.aggregate, 0) == ""
    assert "lower bound" in why_not(replace(worth, ev_low_bps=0.0), found.aggregate, 0)
    assert why_not(worth, found.aggregate, 0, Parameters(thresholds_percent=(61.0, 55.0, 52.0, 50.0)))
    assert why_not(worth, found.aggregate, 9) == ""  # beyond the last level that of the last counts


def test_without_an_edge_the_nearer_level_is_reached_first() -> None:
    assert no_edge_p(300, 200) == pytest.approx(0.4)
    assert edge_of(no_edge_p(300, 200), 300, 200, 0).ev_bps == pytest.approx(0)
    assert no_edge_p(0, 0) == 0.5


def test_no_room_left_is_told_with_the_limit() -> None:
    found = agreement(0.65, 0.65)
    assert "heat left" in why_not(worth_of(found, SEASONED, 10, Room(heat_left_bps=0)), found.aggregate, 0)


def test_the_lower_bound_narrows_with_what_is_known() -> None:
    assert low_bound(0.55, 0) == pytest.approx(0.55 - 0.8416212336 * (0.55 * 0.45 / 201) ** 0.5)
    assert low_bound(0.55, 100) < low_bound(0.55, 10_000) < 0.55
