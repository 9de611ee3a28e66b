"""What holds for every forecast: probabilities stay probabilities, limits only shrink, maps keep the order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.instruments import ALWAYS_OPEN
from engine.market_items import Bar
from engine.research.aggregation import aggregate, mean_in_log_odds
from engine.research.decided import Cell, Forecast
from engine.research.opinions import Stance
from engine.research.recalibration import Curve, Series, calibrated, fitted
from engine.research.resolution import outcome_of, window_of
from engine.research.scores import Scored
from engine.research.worth import Room, edge_of, low_bound, sized
from engine.trading_hours import NS_PER_DAY, only_always_open

CHANCE = st.floats(0, 1)
BPS = st.integers(1, 5_000)
ROOM = st.floats(-50, 500)


@given(st.lists(CHANCE, min_size=1, max_size=9), st.data())
def test_the_mean_lies_between_the_voices_and_forgets_their_order(ps: list[float], data: st.DataObject) -> None:
    stances = [data.draw(st.sampled_from(list(Stance))) for _ in ps]
    found = aggregate(ps, stances)
    held = [min(0.99, max(0.01, p)) for p in ps]
    assert min(held) - 1e-9 <= found.p_agg <= max(held) + 1e-9
    turned = aggregate(ps[::-1], stances[::-1])
    assert abs(turned.p_agg - found.p_agg) < 1e-9
    assert (turned.stance, turned.consensus) == (found.stance, found.consensus)
    assert found.consensus or found.stance is Stance.FLAT
    assert abs(mean_in_log_odds([1 - p for p in ps]) - (1 - found.p_agg)) < 1e-9


@given(CHANCE, CHANCE, st.integers(0, 5_000))
def test_drawing_to_the_base_rate_never_overshoots(p: float, base: float, n: int) -> None:
    made = calibrated(p, Series(n=n, base_rate=base))
    low, high = sorted((min(0.99, max(0.01, p)), min(0.99, max(0.01, base))))
    assert low - 1e-9 <= made <= high + 1e-9


@given(st.lists(st.tuples(CHANCE, st.integers(0, 1)), min_size=1, max_size=60), st.sampled_from(["platt", "isotonic"]),
       st.floats(0, 1))
def test_maps_keep_the_order_and_stay_probabilities(told: list[tuple[float, int]], kind: str, step: float) -> None:
    curve = fitted(kind, [Scored(p, y, place, place) for place, (p, y) in enumerate(told)], step)
    made = [curve.at(place / 50) for place in range(51)]
    assert all(0.01 <= p <= 0.99 for p in made)
    assert all(low <= high + 1e-9 for low, high in pairwise(made))
    assert Curve("platt").at(0.3) == 0.3 or abs(Curve("platt").at(0.3) - 0.3) < 1e-12


@given(CHANCE, BPS, BPS, st.integers(0, 300), ROOM, ROOM, ROOM, st.booleans())
def test_no_limit_is_ever_exceeded(p: float, target: int, stop: int, cost: int, trade: float, heat: float, day: float,
                                   probation: bool) -> None:
    edge = edge_of(p, target, stop, cost)
    size = sized(edge, Room(trade, heat, day), probation=probation)
    assert 0 <= size.risk_bps <= max(0.0, min(trade, heat, day, 10 if probation else trade))
    assert size.risk_bps <= 2_500 * edge.kelly_risk_fraction + 1e-9
    assert edge.ev_bps > 0 or size.risk_bps == 0
    assert edge_of(low_bound(p, 500), target, stop, cost).ev_bps <= edge.ev_bps + 1e-9


PRICES = st.integers(50, 200)


@given(st.lists(st.tuples(PRICES, PRICES, PRICES), min_size=1, max_size=8), st.integers(1, 6), st.sampled_from([-1, 0, 1]), BPS,
       BPS)
def test_an_outcome_is_told_once_and_for_all(path: list[tuple[int, int, int]], horizon: int, side: int, target: int,
                                             stop: int) -> None:
    """However many bars come later, and whether they come one by one or at once."""
    forecast = Forecast("d", "main", Cell("a", "p", "1", "crypto"), 0, 0.5, 0.5, p_win=0.5 if side else None, side=side,
                        horizon_days=horizon, cost_bps=5)
    window = window_of(forecast, "AAA", ALWAYS_OPEN, 100, target, stop, only_always_open)
    bars = [Bar("AAA", day * NS_PER_DAY, (day + 1) * NS_PER_DAY, a, max(a, b, c), min(a, b, c), c, 1)
            for day, (a, b, c) in enumerate(path)]
    told = [outcome_of(window, bars[:count]) for count in range(len(bars) + 1)]
    first = next((one for one in told if one is not None), None)
    assert (first is not None) is (len(bars) >= horizon)
    assert all(one == first for one in told[horizon:])
    if first is not None:
        assert first.up == int(bars[horizon - 1].close_ticks > 100)
        assert (first.won is None) is (side == 0)
