"""A track as plain tables for a file: every row, in the numbers that a spreadsheet or a notebook goes on with."""

from collections.abc import Callable
from typing import NamedTuple

from engine.analytics.records import Track
from engine.performance_words import PerformanceView

type Value = str | int | float | None


class Table(NamedTuple):
    """Names of the columns and the rows under them; times are nanoseconds since 1970, money is in the track's currency. `kinds`
    says what each column holds where no row may tell it; without them the rows do."""

    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    kinds: tuple[type[str] | type[int] | type[float], ...] = ()


TEXTS = frozenset({"symbol", "instrument_id", "strategy", "decision", "exit_reason", "regime", "purpose", "period"})
WHOLE = frozenset({"number", "opened_at_ns", "closed_at_ns", "at_ns", "side", "round_trips"})


def table_of(track: Track, view: PerformanceView, name: str) -> Table:
    """One of `TABLES`: `periods` from the report, the others from the track it was made of. A column is of the same kind in every
    file, so that those of several months or portfolios go together."""
    table = TABLES[name](track, view)
    return table._replace(kinds=tuple(str if one in TEXTS else int if one in WHOLE else float for one in table.columns))


def _round_trips(track: Track, _: PerformanceView) -> Table:
    scale = 10 ** track.minor_exponent
    columns = ("number", "opened_at_ns", "closed_at_ns", "symbol", "instrument_id", "side", "quantity", "entry_price",
               "exit_price", "profit", "fees", "initial_risk", "r_multiple", "mae_fraction", "mfe_fraction", "strategy",
               "decision", "exit_reason", "regime")
    return Table(columns, [
        (number, trip.opened_at_ns, trip.closed_at_ns, trip.symbol, trip.instrument_id, trip.side, trip.quantity,
         trip.entry_price, trip.exit_price, trip.net_minor / scale, trip.fees_minor / scale, trip.initial_risk_minor / scale,
         trip.net_minor / trip.initial_risk_minor if trip.initial_risk_minor > 0 else None, trip.adverse_fraction,
         trip.favourable_fraction, trip.strategy, trip.decision, trip.exit_reason, trip.regime)
        for number, trip in enumerate(track.trips, 1)])


def _fills(track: Track, _: PerformanceView) -> Table:
    scale = 10 ** track.minor_exponent
    columns = ("at_ns", "symbol", "instrument_id", "side", "quantity", "price", "notional", "fee", "slippage", "purpose",
               "strategy", "decision")
    return Table(columns, [
        (fill.at_ns, fill.symbol, fill.instrument_id, fill.sign, fill.quantity, fill.price, fill.notional_minor / scale,
         fill.fee_minor / scale, None if fill.slippage_minor is None else fill.slippage_minor / scale, fill.purpose,
         fill.strategy, fill.decision) for fill in track.fills])


def _equity(track: Track, _: PerformanceView) -> Table:
    from engine.analytics.measures import drawdown_fractions, growth

    scale, curve = 10 ** track.minor_exponent, track.curve
    below = drawdown_fractions(growth(curve)).tolist()
    return Table(("at_ns", "equity", "paid_in", "held", "drawdown_fraction"), [
        (int(at_ns), int(equity) / scale, int(flow) / scale, int(gross) / scale, part)
        for at_ns, equity, flow, gross, part in zip(*curve, below, strict=True)])


def _periods(_: Track, view: PerformanceView) -> Table:
    columns = ("period", "equity", "profit", "return_percent", "drawdown_percent", "paid_in", "round_trips")
    return Table(columns, [(row.period, float(row.equity), float(row.profit), row.return_percent, row.drawdown_percent,
                            float(row.paid_in), row.round_trips) for row in view.periods])


TABLES: dict[str, Callable[[Track, PerformanceView], Table]] = {
    "round_trips": _round_trips, "fills": _fills, "equity": _equity, "periods": _periods}
