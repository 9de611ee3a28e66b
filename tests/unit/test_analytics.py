"""Measures against empyrical where both define the same, against sums by hand elsewhere; what is not defined says so."""

from itertools import pairwise
from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analytics import measures
from engine.analytics.measures import Figure
from engine.analytics.records import EquityCurve, FillRecord, Track, TripRecord
from engine.analytics.report import performance, period_of, thinned
from engine.market import NS_PER_DAY
from engine.performance_words import PerformanceView

MONDAY = 19_723  # 2024-01-01
returns_lists = st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=120).map(lambda ones: np.round(np.array(ones), 6))


def utc_day(at_ns: int) -> int:
    return at_ns // NS_PER_DAY


def curve_of(equity: list[int], *, flow: list[int] | None = None, held: list[int] | None = None, step_ns: int = NS_PER_DAY,
             first: int = MONDAY) -> EquityCurve:
    """A curve with its points at noon of consecutive days."""
    at_ns = [first * NS_PER_DAY + NS_PER_DAY // 2 + place * step_ns for place in range(len(equity))]
    return EquityCurve(at_ns, equity, flow or [0] * len(equity), held or [0] * len(equity))


def trip(net: int, *, risk: int = 100, fees: int = 0, **fields: Any) -> TripRecord:
    plain: dict[str, Any] = {
        "instrument_id": "A@X", "symbol": "A", "strategy": "manual", "decision": "manual", "side": 1, "quantity": 1.0,
        "opened_at_ns": MONDAY * NS_PER_DAY, "closed_at_ns": MONDAY * NS_PER_DAY + 3_600_000_000_000, "entry_price": 10.0,
        "exit_price": 11.0, "realized_minor": net + fees, "fees_minor": fees, "initial_risk_minor": risk, "exit_reason": "stop"}
    return TripRecord(**{**plain, **fields})


def fill(notional: int, slippage: int | None, fee: int = 0, **fields: Any) -> FillRecord:
    plain: dict[str, Any] = {
        "at_ns": MONDAY * NS_PER_DAY, "instrument_id": "A@X", "symbol": "A", "strategy": "manual", "decision": "manual",
        "purpose": "entry", "sign": 1, "quantity": 1.0, "price": 10.0, "notional_minor": notional, "fee_minor": fee,
        "slippage_minor": slippage}
    return FillRecord(**{**plain, **fields})


def track_of(curve: EquityCurve, trips: tuple[TripRecord, ...] = (), fills: tuple[FillRecord, ...] = ()) -> Track:
    return Track("main", "USD", 2, curve, trips, fills)


def report(curve: EquityCurve, *trips: TripRecord, fills: tuple[FillRecord, ...] = (), period: str = "month") -> PerformanceView:
    return performance(track_of(curve, trips, fills), utc_day, period=period)


def value(view: PerformanceView, key: str) -> float | None:
    figure = view.figure(key)
    assert figure is not None, key
    assert (figure.value is None) == bool(figure.why)
    return figure.value


# ---- against an oracle ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def oracle() -> Any:
    import empyrical

    return empyrical


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(returns=returns_lists)
def test_ratios_are_those_of_empyrical(oracle: Any, returns: Any) -> None:
    index = np.concatenate(([1.0], np.cumprod(1 + returns)))
    mine = measures.sharpe(returns, 252)
    if mine.value is not None:
        assert mine.value == pytest.approx(oracle.sharpe_ratio(returns), rel=1e-9)
    mine = measures.sortino(returns, 252)
    if mine.value is not None:
        assert mine.value == pytest.approx(oracle.sortino_ratio(returns), rel=1e-9)
    assert measures.volatility(returns, 252).value == pytest.approx(oracle.annual_volatility(returns), rel=1e-9)
    deepest = float(measures.drawdown_fractions(index).max())
    assert deepest == pytest.approx(-oracle.max_drawdown(returns), abs=1e-12)
    yearly = measures.cagr(float(index[-1]), len(returns) / 252)
    if yearly.value is None:
        assert oracle.annual_return(returns) > 999
        return
    assert yearly.value == pytest.approx(oracle.annual_return(returns), rel=1e-9, abs=1e-12)
    if deepest > 1e-9:
        assert measures.calmar(yearly, deepest).value == pytest.approx(oracle.calmar_ratio(returns), rel=1e-9)


# ---- curves --------------------------------------------------------------------------------------------------------------------


def test_payments_are_no_profit() -> None:
    paid = curve_of([1_000, 1_100, 2_100, 1_050], flow=[0, 0, 1_000, -1_050])
    index = measures.growth(paid)
    assert index.tolist() == pytest.approx([1.0, 1.1, 1.1, 1.1])
    view = report(paid)
    assert (value(view, "profit"), value(view, "paid_in")) == (1.0, -0.5)
    assert value(view, "return") == pytest.approx(10.0)
    assert value(view, "max_drawdown") == 0.0


def test_an_account_that_was_empty_begins_with_the_payment() -> None:
    index = measures.growth(curve_of([0, 1_000, 900], flow=[0, 1_000, 0]))
    assert index.tolist() == pytest.approx([1.0, 1.0, 0.9])


def test_a_ruined_account_ends_at_nothing() -> None:
    view = report(curve_of([1_000, -50, -60]))
    assert (value(view, "return"), value(view, "cagr"), value(view, "max_drawdown")) == (-100.0, -100.0, 100.0)


def test_days_on_which_nothing_changed_count_and_weekends_only_where_they_are_used() -> None:
    weekdays = curve_of([100, 110], step_ns=7 * NS_PER_DAY)  # Monday to Monday
    days = measures.by_days(weekdays, measures.growth(weekdays), utc_day)
    assert (len(days.numbers), days.per_year) == (6, 261)
    assert days.returns.tolist() == pytest.approx([0, 0, 0, 0, 0.1])
    always = curve_of([100, 110, 121], step_ns=5 * NS_PER_DAY)  # Monday, Saturday, Thursday
    days = measures.by_days(always, measures.growth(always), utc_day)
    assert (len(days.numbers), days.per_year) == (11, 365)


def test_holidays_of_markets_are_no_days_where_each_close_is_known(oracle: Any) -> None:
    closes = [place for place in range(40) if place % 7 < 5 and place % 9 != 4]  # weekdays without holidays
    equity = [100_000 + 700 * (place % 5) - 90 * place for place in closes]
    curve = EquityCurve([(MONDAY + place) * NS_PER_DAY + NS_PER_DAY // 2 for place in closes], equity, [0] * len(closes),
                        [0] * len(closes))
    returns = np.diff(equity) / np.array(equity[:-1])
    view = performance(track_of(curve)._replace(every_close=True), utc_day)
    assert (view.days, view.days_per_year) == (len(closes), 252)
    assert value(view, "sharpe") == pytest.approx(oracle.sharpe_ratio(returns))
    assert value(view, "sortino") == pytest.approx(oracle.sortino_ratio(returns))
    assert value(view, "volatility") == pytest.approx(100 * oracle.annual_volatility(returns))
    by_weekdays = report(curve)
    assert value(by_weekdays, "sortino") == pytest.approx(value(view, "sortino"), rel=0.1), "holidays weigh little by 261 a year"


def test_a_span_that_begins_on_a_weekend_does_not_make_weekends_days() -> None:
    saturday = (MONDAY + 5) * NS_PER_DAY + 1
    curve = EquityCurve([saturday, saturday + 2 * NS_PER_DAY, saturday + 3 * NS_PER_DAY], [100, 110, 99], [0] * 3, [0] * 3)
    days = measures.by_days(curve, measures.growth(curve), utc_day)
    assert (days.numbers, days.per_year) == ((MONDAY + 7, MONDAY + 8), 261)
    assert days.returns.tolist() == pytest.approx([0.1, -0.1])
    alone = EquityCurve([saturday], [100], [0], [0])
    assert measures.by_days(alone, measures.growth(alone), utc_day).numbers == (MONDAY + 5,)


def test_a_point_at_midnight_closes_the_day_before() -> None:
    curve = EquityCurve([MONDAY * NS_PER_DAY + 1, (MONDAY + 1) * NS_PER_DAY], [100, 110], [0, 0], [0, 0])
    assert measures.by_days(curve, measures.growth(curve), utc_day).numbers == (MONDAY,)


def test_drawdowns_are_told_with_their_begin_lowest_point_and_end() -> None:
    falls = measures.drawdowns(measures.growth(curve_of([100, 120, 90, 110, 130, 125, 117])))
    assert [(fall.start, fall.lowest, fall.end) for fall in falls] == [(1, 2, 4), (4, 6, None)]
    assert [fall.fraction for fall in falls] == pytest.approx([0.25, 0.1])


def test_exposure_and_turnover_are_weighted_by_time() -> None:
    curve = EquityCurve([0, 10, 40], [1_000, 2_000, 2_000], [0, 0, 0], [500, 0, 0])
    held = trip(5, opened_at_ns=-20, closed_at_ns=10)
    assert measures.exposure(curve, (held,), ()).value == pytest.approx(0.25), "from the first point on"
    assert measures.mean_equity(curve) == pytest.approx((10 * 1_000 + 30 * 2_000) / 40)
    assert measures.turnover(curve, (fill(3_500, None), fill(3_500, 0))).value == pytest.approx(4.0)


def test_exposure_knows_what_was_held_between_two_points_and_what_still_is() -> None:
    flat = EquityCurve([0, 100, 200], [1_000] * 3, [0] * 3, [0] * 3)
    short = (trip(5, opened_at_ns=10, closed_at_ns=15), trip(5, opened_at_ns=12, closed_at_ns=20),
             trip(5, opened_at_ns=110, closed_at_ns=120))
    assert measures.exposure(flat, short, ()).value == pytest.approx(20 / 200)
    open_yet = EquityCurve([0, 100, 200], [1_000] * 3, [0] * 3, [0, 500, 500])
    assert measures.exposure(open_yet, (), ()).value == pytest.approx(0.5)
    fills = (fill(9, None, at_ns=15, purpose="stop"), fill(500, None, at_ns=90))
    assert measures.exposure(open_yet, short[:1], fills).value == pytest.approx(0.575)
    always = EquityCurve([0, 100], [1_000] * 2, [0] * 2, [9, 9])
    assert measures.exposure(always, short, ()).value == 1.0


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=400), st.integers(6, 60))
def test_a_thinned_curve_keeps_its_ends_and_extremes(values: list[float], most: int) -> None:
    places = list(thinned(np.array(values), most))
    assert places[0] == 0
    assert places[-1] == len(values) - 1
    assert all(first < second for first, second in pairwise(places))
    assert len(places) <= max(most, 3) + 2
    assert {min(values), max(values)} <= {values[place] for place in places}


# ---- round trips ---------------------------------------------------------------------------------------------------------------


def test_round_trip_figures_by_hand() -> None:
    trips = (trip(300), trip(-100), trip(200), trip(-100), trip(0, risk=0))
    assert measures.win_rate(trips).value == pytest.approx(0.4)
    assert measures.profit_factor(trips).value == pytest.approx(2.5)
    assert measures.payoff(trips).value == pytest.approx(2.5)
    assert measures.expectancy_minor(trips).value == pytest.approx(60.0)
    assert measures.r_multiples(trips) == [3.0, -1.0, 2.0, -1.0]
    assert measures.expectancy_r(trips).value == pytest.approx(0.75)
    assert measures.sqn(trips).value == pytest.approx(2 * 0.75 / sqrt((2.25**2 + 1.75**2 * 2 + 1.25**2) / 3))


def test_sqn_counts_at_most_a_hundred_round_trips() -> None:
    few, many = [trip(100), trip(-50)] * 50, [trip(100), trip(-50)] * 200
    spread = 0.75
    assert measures.sqn(few).value == pytest.approx(10 * 0.25 / (spread * sqrt(100 / 99)))
    assert measures.sqn(many).value == pytest.approx(10 * 0.25 / (spread * sqrt(400 / 399)))


def test_costs_are_those_of_fills_with_a_decision_price() -> None:
    cost = measures.costs((fill(10_000, 5, 3), fill(30_000, -1, 4), fill(60_000, None, 2)))
    assert (cost.fees_minor, cost.slippage_minor, cost.known_fills) == (9, 4, 2)
    assert cost.slippage_bps.value == pytest.approx(1.0)


# ---- what is not defined -------------------------------------------------------------------------------------------------------


def test_what_is_not_defined_says_why() -> None:
    one_day = report(curve_of([1_000]), trip(100))
    for key, words in (("sharpe", "two days"), ("sortino", "two days"), ("volatility", "two days"), ("cagr", "one day"),
                       ("calmar", "one day"), ("profit_factor", "no round trip lost"), ("sqn", "two round trips"),
                       ("mae", "no prices"), ("slippage", "decision price"), ("exposure", "no time"), ("payoff", "lost")):
        figure = one_day.figure(key)
        assert figure is not None
        assert figure.value is None, key
        assert words in figure.why, key
    flat = report(curve_of([1_000] * 5))
    for key, words in (("sharpe", "do not vary"), ("sortino", "no day lost"), ("calmar", "no drawdown"),
                       ("win_rate", "no round trip"), ("expectancy_r", "no round trip")):
        figure = flat.figure(key)
        assert figure is not None
        assert words in figure.why, key


def test_growth_of_a_few_days_is_not_told_by_the_year_where_that_is_absurd() -> None:
    for equity in ([1_000, 5_000, 10_000], [1_000, 1_100]):
        figure = report(curve_of(equity)).figure("cagr")
        assert figure is not None
        assert (figure.value, figure.why) == (None, "too short a span to say it by the year")
    assert measures.cagr(2_000.0, 1.0).value == pytest.approx(1_999.0), "a whole year needs no reckoning"


def test_an_empty_track_gives_a_report_that_says_so() -> None:
    empty = report(EquityCurve([], [], [], []), trip(5))
    assert [one.why for one in empty.figures if one.key in ("sharpe", "max_drawdown", "exposure")] == [
        "no equity has been recorded"] * 3
    assert empty.periods == ()
    assert (empty.days, empty.trip_count, empty.months, empty.drawdowns, empty.curve.at_ns) == (0, 1, (), (), ())
    figure = empty.figure("equity")
    assert figure is not None
    assert figure.why == "no equity has been recorded"


@settings(max_examples=80, deadline=None)
@given(equity=st.lists(st.integers(-500, 5_000), max_size=40), flow=st.lists(st.integers(-300, 300), min_size=40, max_size=40),
       nets=st.lists(st.integers(-100, 100), max_size=12), risk=st.integers(0, 50))
def test_no_report_holds_an_infinity_or_a_nan(equity: list[int], flow: list[int], nets: list[int], risk: int) -> None:
    curve = curve_of(equity, flow=flow[:len(equity)])
    view = performance(track_of(curve, tuple(trip(net, risk=risk) for net in nets)), utc_day, period="week")
    for figure in view.figures:
        assert figure.value is None or np.isfinite(figure.value), figure
        assert (figure.value is None) == bool(figure.why)
    for row in (*view.periods, *view.months):
        assert np.isfinite(row.return_percent)
        assert 0 <= row.drawdown_percent <= 100


# ---- tables --------------------------------------------------------------------------------------------------------------------


def test_periods_add_up_to_the_whole() -> None:
    curve = curve_of([1_000 + 7 * place - 30 * (place % 5) for place in range(90)], flow=[0] * 40 + [500] + [0] * 49)
    for period in ("day", "week", "month"):
        view = report(curve, trip(5, closed_at_ns=curve.at_ns[50]), period=period)
        assert float(sum(row.profit for row in view.periods)) == pytest.approx(value(view, "profit"))
        assert sum(row.paid_in for row in view.periods) == 5
        assert sum(row.round_trips for row in view.periods) == 1
        grown = np.prod([1 + row.return_percent / 100 for row in view.periods])
        assert 100 * (grown - 1) == pytest.approx(value(view, "return"))


def test_a_round_trip_counts_in_the_period_whose_curve_knows_its_result() -> None:
    midnight = [(MONDAY + place) * NS_PER_DAY for place in (30, 31, 32)]  # the closes of 30 January to 1 February
    curve = EquityCurve(midnight, [1_000, 1_010, 990], [0] * 3, [0] * 3)
    trips = [trip(10, closed_at_ns=midnight[1]), trip(-20, closed_at_ns=midnight[2])]
    assert [(row.period, row.round_trips) for row in report(curve, *trips).periods] == [("2024-01", 1), ("2024-02", 1)]
    ended = EquityCurve(midnight[:2], [1_000, 1_010], [0] * 2, [0] * 2)
    assert [(row.period, row.round_trips) for row in report(ended, trips[0]).periods] == [("2024-01", 1)]


def test_periods_have_the_names_of_the_calendar() -> None:
    assert [period_of(MONDAY, period) for period in ("day", "week", "month")] == ["2024-01-01", "2024-W01", "2024-01"]
    assert period_of(MONDAY - 1, "week") == "2023-W52"


def test_what_no_round_trip_explains_is_told() -> None:
    view = report(curve_of([1_000, 1_500], flow=[0, 200]), trip(120), trip(-20, fees=5))
    assert (value(view, "profit"), value(view, "outside")) == (3.0, 2.0)
    assert value(report(curve_of([1_000, 1_100]), trip(100)), "outside") == 0.0


def test_results_are_attributed_to_what_they_have_in_common() -> None:
    trips = (trip(300, strategy="momentum", decision="strategy", exit_reason="target", fees=2),
             trip(-100, symbol="B", fees=1), trip(50, strategy="momentum", decision="approved proposal"))
    fills = (fill(100, 4, 2, strategy="momentum"), fill(100, None, 1, symbol="B"))
    view = report(curve_of([1_000, 1_250]), *trips, fills=fills)
    assert [one.by for one in view.groupings] == ["strategy", "instrument", "decision", "exit reason"]
    best = view.groupings[0].groups[0]
    assert (best.name, best.round_trips) == ("momentum", 2)
    assert (str(best.net), str(best.fees), str(best.slippage), best.profit_factor) == ("3.50", "0.02", "0.04", None)
    for grouping in view.groupings:
        assert sum(group.round_trips for group in grouping.groups) == 3
        assert sum(group.net for group in grouping.groups) == sum(one.net for one in view.trips)


def test_round_trips_come_newest_first_and_are_counted_in_full() -> None:
    view = performance(track_of(curve_of([1, 2]), tuple(trip(net) for net in range(10))), utc_day, trips=3)
    assert ([one.number for one in view.trips], view.trip_count) == ([10, 9, 8], 10)
    assert view.trips[0].r_multiple == pytest.approx(0.09)


def test_a_figure_is_a_number_or_a_reason() -> None:
    assert Figure(1.0).why == ""
    assert measures.mean_of([None, 2.0, 4.0], "x") == Figure(3.0)
    assert measures.mean_of([None], "x") == Figure(None, "x")
