"""A track made into a report: figures, tables by day, week and month, attribution, drawdowns, a curve for a chart."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.analytics import measures
from engine.analytics.attribution import groupings
from engine.analytics.measures import Days, Figure
from engine.analytics.records import EquityCurve, Track, TripRecord
from engine.performance_words import CurveView, DrawdownView, FigureView, PerformanceView, PeriodView, TripView
from engine.units import NS_PER_SECOND, Minor, Nanoseconds

if TYPE_CHECKING:
    from engine.analytics.measures import Floats

PERIODS = ("day", "week", "month")
CHART_POINTS = 600
SHOWN_DRAWDOWNS = 5
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_OF_RETURNS = (
    ("equity", "Equity", "money"), ("profit", "Profit", "money"), ("outside", "Outside trips", "money"),
    ("paid_in", "Paid in", "money"), ("return", "Return", "percent"), ("cagr", "CAGR", "percent"),
    ("volatility", "Volatility", "percent"), ("max_drawdown", "Max drawdown", "percent"), ("sharpe", "Sharpe", "ratio"),
    ("sortino", "Sortino", "ratio"), ("calmar", "Calmar", "ratio"), ("exposure", "Exposure", "percent"),
    ("turnover", "Turnover", "ratio"))

type DayNumber = Callable[[Nanoseconds], int]


def performance(track: Track, day_number: DayNumber, *, period: str = "month", trips: int = 500) -> PerformanceView:
    """The report on a track; `day_number` says which day a time belongs to, `period` sizes the table of periods."""
    curve = track.curve
    index = measures.growth(curve)
    days = measures.by_days(curve, index, day_number, every_close=track.every_close)
    ended = list(track.trips)
    months = period_rows(track, index, days, day_number, "month")
    return PerformanceView(
        name=track.name, currency=track.currency, money_decimals=track.minor_exponent,
        from_ns=int(curve.at_ns[0]) if len(curve.at_ns) else 0, to_ns=int(curve.at_ns[-1]) if len(curve.at_ns) else 0,
        days=len(days.numbers), days_per_year=days.per_year, period=period, figures=figures(track, index, days),
        periods=months if period == "month" else period_rows(track, index, days, day_number, period), months=months,
        groupings=groupings(track), drawdowns=_drawdown_views(curve, index),
        trips=tuple(trip_view(track, number, trip) for number, trip in reversed(list(enumerate(ended, 1))))[:trips],
        trip_count=len(ended), curve=curve_view(track, index))


def money(track: Track, minor: float) -> Decimal:
    """Minor units as money of the track's currency."""
    return Decimal(round(minor)).scaleb(-track.minor_exponent)


# ---- figures -----------------------------------------------------------------------------------------------------------------


def figures(track: Track, index: "Floats", days: Days) -> tuple[FigureView, ...]:
    """Every measure, in the order in which a person reads them."""
    return (*_return_figures(track, index, days), *_trip_figures(track), *_cost_figures(track))


def _return_figures(track: Track, index: "Floats", days: Days) -> list[FigureView]:
    curve = track.curve
    if not len(index):
        return [_shown(*named, Figure(None, "no equity has been recorded")) for named in _OF_RETURNS]
    flows = float(sum(int(flow) for flow in curve.flow_minor))
    profit = float(int(curve.equity_minor[-1]) - int(curve.equity_minor[0])) - flows
    scale = 10.0 ** track.minor_exponent
    deepest = float(measures.drawdown_fractions(index).max())
    outside = profit - sum(trip.net_minor for trip in track.trips)
    yearly = measures.cagr(float(index[-1]), measures.years(curve))
    values = (
        Figure(int(curve.equity_minor[-1]) / scale), Figure(profit / scale), Figure(outside / scale),
        Figure(flows / scale), Figure(float(index[-1]) - 1), yearly,
        measures.volatility(days.returns, days.per_year), Figure(deepest),
        measures.sharpe(days.returns, days.per_year), measures.sortino(days.returns, days.per_year),
        measures.calmar(yearly, deepest), measures.exposure(curve, track.trips, track.fills),
        measures.turnover(curve, track.fills))
    return [_shown(*named, value) for named, value in zip(_OF_RETURNS, values, strict=True)]


def _trip_figures(track: Track) -> list[FigureView]:
    trips, scale = track.trips, 10.0 ** track.minor_exponent
    mean = measures.expectancy_minor(trips)
    held = measures.mean_of([(trip.closed_at_ns - trip.opened_at_ns) / NS_PER_SECOND for trip in trips], measures.NO_TRIPS)
    unseen = "no prices were kept" if trips else measures.NO_TRIPS
    return [
        _shown("round_trips", "Round trips", "count", Figure(float(len(trips)))),
        _shown("win_rate", "Win rate", "percent", measures.win_rate(trips)),
        _shown("profit_factor", "Profit factor", "ratio", measures.profit_factor(trips)),
        _shown("payoff", "Payoff", "ratio", measures.payoff(trips)),
        _shown("expectancy", "Expectancy", "money", Figure(None if mean.value is None else mean.value / scale, mean.why)),
        _shown("expectancy_r", "Expectancy R", "R", measures.expectancy_r(trips)),
        _shown("sqn", "SQN", "ratio", measures.sqn(trips)),
        _shown("mae", "Mean MAE", "percent", measures.mean_of([trip.adverse_fraction for trip in trips], unseen)),
        _shown("mfe", "Mean MFE", "percent", measures.mean_of([trip.favourable_fraction for trip in trips], unseen)),
        _shown("held", "Mean time held", "seconds", held),
    ]


def _cost_figures(track: Track) -> list[FigureView]:
    cost, scale = measures.costs(track.fills), 10.0 ** track.minor_exponent
    slipped = Figure(cost.slippage_minor / scale) if cost.known_fills else Figure(None, cost.slippage_bps.why)
    return [
        _shown("fills", "Fills", "count", Figure(float(len(track.fills)))),
        _shown("fees", "Fees", "money", Figure(cost.fees_minor / scale)),
        _shown("slippage", "Slippage", "money", slipped),
        _shown("slippage_bps", "Slippage bps", "bps", cost.slippage_bps),
    ]


def _shown(key: str, label: str, unit: str, figure: Figure) -> FigureView:
    value = None if figure.value is None else 100 * figure.value if unit == "percent" else figure.value
    return FigureView(key, label, unit, value, figure.why)


# ---- tables ------------------------------------------------------------------------------------------------------------------


def period_of(day: int, period: str) -> str:
    """The name of the period that a day belongs to."""
    on = date.fromordinal(EPOCH_ORDINAL + day)
    if period == "day":
        return on.isoformat()
    year, week, _ = on.isocalendar()
    return f"{year}-W{week:02}" if period == "week" else f"{on.year}-{on.month:02}"


def period_rows(track: Track, index: "Floats", days: Days, day_number: DayNumber, period: str) -> tuple[PeriodView, ...]:
    """One row a day, week or month, oldest first, from the first point to the last."""
    last: dict[str, int] = {}
    for number, point in zip(days.numbers, days.last_points, strict=True):
        last[period_of(number, period)] = point
    count: dict[str, int] = {}
    for day in _days_of_trips(track, day_number):
        name = period_of(day, period)
        count[name] = count.get(name, 0) + 1
    equity = [int(one) for one in track.curve.equity_minor]
    paid: list[Minor] = [0]
    for flow in list(track.curve.flow_minor)[1:]:
        paid.append(paid[-1] + int(flow))
    rows, before = [], 0
    for name, point in last.items():
        flow = paid[point] - paid[before]
        start, part = float(index[before]), index[before:point + 1]
        rows.append(PeriodView(
            name, money(track, equity[point]), money(track, equity[point] - equity[before] - flow),
            100 * (float(index[point]) / start - 1) if start > 0 else 0.0,
            100 * float(measures.drawdown_fractions(part).max()), money(track, flow), count.get(name, 0)))
        before = point
    return tuple(rows)


def _days_of_trips(track: Track, day_number: DayNumber) -> Iterator[int]:
    """For each round trip the day of the first point of the curve that knows its result."""
    at_ns = track.curve.at_ns
    for trip in track.trips if len(at_ns) else ():
        point = min(bisect_left(at_ns, trip.closed_at_ns), len(at_ns) - 1)
        yield day_number(int(at_ns[point]) - 1)


def trip_view(track: Track, number: int, trip: TripRecord) -> TripView:
    """A round trip as it is shown."""
    return TripView(
        number=number, symbol=trip.symbol, instrument_id=trip.instrument_id, strategy=trip.strategy, decision=trip.decision,
        side="LONG" if trip.side > 0 else "SHORT", quantity=trip.quantity, opened_at_ns=trip.opened_at_ns,
        closed_at_ns=trip.closed_at_ns, entry=trip.entry_price, exit=trip.exit_price, net=money(track, trip.net_minor),
        fees=money(track, trip.fees_minor),
        r_multiple=trip.net_minor / trip.initial_risk_minor if trip.initial_risk_minor > 0 else None,
        mae_percent=None if trip.adverse_fraction is None else 100 * trip.adverse_fraction,
        mfe_percent=None if trip.favourable_fraction is None else 100 * trip.favourable_fraction,
        exit_reason=trip.exit_reason, regime=trip.regime)


# ---- curves ------------------------------------------------------------------------------------------------------------------


def _drawdown_views(curve: EquityCurve, index: "Floats") -> tuple[DrawdownView, ...]:
    return tuple(DrawdownView(100 * fall.fraction, int(curve.at_ns[fall.start]), int(curve.at_ns[fall.lowest]),
                              0 if fall.end is None else int(curve.at_ns[fall.end]))
                 for fall in measures.drawdowns(index)[:SHOWN_DRAWDOWNS])


def curve_view(track: Track, index: "Floats", most: int = CHART_POINTS) -> CurveView:
    """The curve for a chart, thinned to at most about `most` points: of each stretch its first, lowest and highest point."""
    if not len(index):
        return CurveView()
    points = thinned(index, most)
    below, scale = measures.drawdown_fractions(index), 10.0 ** track.minor_exponent
    return CurveView(
        tuple(int(track.curve.at_ns[point]) for point in points),
        tuple(int(track.curve.equity_minor[point]) / scale for point in points),
        tuple(100 * float(below[point]) for point in points))


def thinned(values: "Floats", most: int) -> Sequence[int]:
    """Places of at most about `most` values: the first and last of all, and each stretch's lowest and highest."""
    count = len(values)
    if count <= most:
        return range(count)
    stretches = max(1, most // 3)
    kept: dict[int, None] = {0: None}
    for stretch in range(stretches):
        start, end = count * stretch // stretches, count * (stretch + 1) // stretches
        part = values[start:end]
        for place in sorted((start, start + int(part.argmin()), start + int(part.argmax()))):
            kept[place] = None
    kept[count - 1] = None
    return list(kept)
