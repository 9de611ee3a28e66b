"""How a portfolio did, as the surfaces are told it: part of the vocabulary of `engine.service`, which offers these names."""

from decimal import Decimal

import msgspec


class FigureView(msgspec.Struct, frozen=True):
    """One measure. `unit` is percent, ratio, money, R, bps, count or seconds; without a `value`, `why` says why there is none."""

    key: str
    label: str
    unit: str
    value: float | None
    why: str = ""


class PeriodView(msgspec.Struct, frozen=True):
    """A day, week or month: `2026-03-08`, `2026-W10`, `2026-03`. The profit is without what was paid in or out."""

    period: str
    equity: Decimal
    profit: Decimal
    return_percent: float
    drawdown_percent: float
    paid_in: Decimal
    round_trips: int


class GroupView(msgspec.Struct, frozen=True):
    """The round trips that have one thing in common, and the fees and slippage of the fills that have it."""

    name: str
    round_trips: int
    win_percent: float | None
    net: Decimal
    mean: Decimal | None
    profit_factor: float | None
    fees: Decimal
    slippage: Decimal | None


class GroupingView(msgspec.Struct, frozen=True):
    """Results attributed `by` strategy, instrument, decision, exit reason or regime; the best first."""

    by: str
    groups: tuple[GroupView, ...]


class TripView(msgspec.Struct, frozen=True):
    """One position from flat to flat; MAE and MFE in percent of the entry, both >= 0."""

    number: int
    symbol: str
    instrument_id: str
    strategy: str
    decision: str
    side: str
    quantity: float
    opened_at_ns: int
    closed_at_ns: int
    entry: float
    exit: float
    net: Decimal
    fees: Decimal
    r_multiple: float | None
    mae_percent: float | None
    mfe_percent: float | None
    exit_reason: str
    regime: str


class DrawdownView(msgspec.Struct, frozen=True):
    """A fall from a high; `ended_at_ns` is 0 while the high has not been reached again."""

    percent: float
    began_at_ns: int
    lowest_at_ns: int
    ended_at_ns: int


class CurveView(msgspec.Struct, frozen=True):
    """Columns for a chart: times, equity, and how far below its high it is, payments left out; thinned, extremes kept."""

    at_ns: tuple[int, ...] = ()
    equity: tuple[float, ...] = ()
    drawdown_percent: tuple[float, ...] = ()


class PerformanceView(msgspec.Struct, frozen=True):
    """A report on one portfolio, or on one backtest. `trips` are the newest, newest first, of `trip_count`."""

    name: str
    currency: str
    money_decimals: int
    from_ns: int
    to_ns: int
    days: int
    days_per_year: int
    period: str
    figures: tuple[FigureView, ...] = ()
    periods: tuple[PeriodView, ...] = ()
    months: tuple[PeriodView, ...] = ()
    groupings: tuple[GroupingView, ...] = ()
    drawdowns: tuple[DrawdownView, ...] = ()
    trips: tuple[TripView, ...] = ()
    trip_count: int = 0
    curve: CurveView = CurveView()

    def figure(self, key: str) -> FigureView | None:
        """A measure by its key."""
        return next((figure for figure in self.figures if figure.key == key), None)


class PerformanceQuery(msgspec.Struct, frozen=True):
    """What to report on: a portfolio, a span of time (0: open), the size of the table's periods, how many round trips."""

    portfolio: str = ""
    from_ns: int = 0
    to_ns: int = 0
    period: str = "month"
    trips: int = 500
