"""What a report is made from, read out of the journal's views: equity over time, round trips, fills."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.analytics.records import EquityCurve, FillRecord, Track, TripRecord
from engine.errors import UsageError
from engine.events import decode
from engine.orders import Side
from engine.performance_words import PerformanceQuery
from engine.strategy_events import RegimeFound
from store.database import open_reader, unreadable
from store.view_reader import ViewReader

END_NS = (1 << 63) - 1

_EQUITY = """SELECT portfolio, at_ns, equity_minor, adjusted_minor, gross_minor FROM equity
    WHERE portfolio IN ({marks}) AND at_ns < ? ORDER BY seq, portfolio"""
_TRIPS = """SELECT instrument_id, symbol, strategy, decision, side, quantity, opened_at_ns, closed_at_ns, entry_price, exit_price,
    realized_minor, fees_minor, initial_risk_minor, exit_reason, adverse_fraction, favourable_fraction, regime FROM round_trips
    WHERE portfolio IN ({marks}) AND closed_at_ns >= ? AND closed_at_ns < ? ORDER BY number"""
_FILLS = """SELECT at_ns, instrument_id, symbol, strategy, decision, purpose, side, quantity, price, notional_minor, fee_minor,
    slippage_minor FROM fills WHERE portfolio IN ({marks}) AND at_ns >= ? AND at_ns < ? ORDER BY at_ns, trade_id"""


class StoredHistory:
    """Tracks of a journal, for any thread; one at a time."""

    def __init__(self, journal: Path) -> None:
        self._reader = ViewReader(journal)

    def track(self, query: PerformanceQuery) -> Track:
        """The track of a portfolio, or of all of them together where none is named and their currency is the same.

        Raises `UsageError` where that cannot be, `JournalDamaged` where the journal is not what was written.
        """
        with self._reader.views() as connection:
            return _track(connection, query)


def _track(connection: sqlite3.Connection, query: PerformanceQuery) -> Track:
    names, currency, exponent = _portfolios(connection, query.portfolio)
    until = query.to_ns or END_NS
    return Track(
        query.portfolio or (names[0] if len(names) == 1 else "all portfolios"), currency, exponent,
        _curve(_rows(connection, _EQUITY, names, until), query.from_ns),
        tuple(TripRecord._make((*row[:5], float(row[5]), *row[6:]))
              for row in _rows(connection, _TRIPS, names, query.from_ns, until)),
        tuple(FillRecord._make((*row[:6], Side(row[6]).sign, float(row[7]), float(row[8]), *row[9:]))
              for row in _rows(connection, _FILLS, names, query.from_ns, until)))


def _portfolios(connection: sqlite3.Connection, wanted: str) -> tuple[list[str], str, int]:
    """Names, currency and decimals of what is asked for."""
    known = {row[0]: row[1:] for row in connection.execute("SELECT portfolio, currency, minor_exponent FROM portfolios")} \
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'portfolios'").fetchone() else {}
    if not known:
        raise UsageError("nothing is recorded in this home yet; there is nothing to report on")
    if wanted and wanted not in known:
        raise UsageError(f"--portfolio {wanted}: no such portfolio; known are {', '.join(known)}")
    names = [wanted] if wanted else list(known)
    monies = {known[name] for name in names}
    if len(monies) > 1:
        told = ", ".join(f"{name} ({known[name][0]})" for name in names)
        raise UsageError(f"the portfolios are in several currencies: {told}; name one with --portfolio")
    (currency, exponent), = monies
    return names, currency, exponent


def _rows(connection: sqlite3.Connection, statement: str, names: Sequence[str], *bounds: int) -> list[tuple[Any, ...]]:
    filled = statement.format(marks=", ".join("?" * len(names)))
    return connection.execute(filled, (*names, *bounds)).fetchall()


def regimes_told(journal: Path, days: int) -> list[RegimeFound]:
    """The regimes of the newest `days` days of a journal as they were told then, the newest first; archived rows are left out.

    Raises `JournalDamaged` where the journal is not what was written.
    """
    connection = open_reader(journal)
    found: list[RegimeFound] = []
    try:
        for kind, payload in connection.execute("SELECT kind, payload FROM journal WHERE kind = 'RegimeFound' ORDER BY seq DESC"):
            event = decode(kind, payload)
            assert isinstance(event, RegimeFound)
            if found and event.day <= found[0].day - days:
                break
            found.append(event)
    except sqlite3.Error as error:
        raise unreadable(journal, error) from error
    finally:
        connection.close()
    return found


class _Sum:
    """The last known worth of each portfolio, added up; one that appears, and what is paid in, is no profit."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, int, int]] = {}
        self.pending_flow = 0

    def take(self, portfolio: str, equity: int, adjusted: int, gross: int | None) -> None:
        known = self._last.get(portfolio)
        self.pending_flow += equity if known is None else adjusted - known[1]
        held = gross if gross is not None else known[2] if known else 0
        self._last[portfolio] = (equity, adjusted, held)

    @property
    def totals(self) -> tuple[int, int]:
        return sum(one[0] for one in self._last.values()), sum(one[2] for one in self._last.values())


def _curve(rows: Sequence[tuple[Any, ...]], from_ns: int) -> EquityCurve:
    """One point a moment; what was known before `from_ns` makes the first point, just after `from_ns`."""
    columns: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
    total = _Sum()
    for portfolio, at_ns, equity, adjusted, gross in rows:
        total.take(portfolio, equity, adjusted, gross)
        moment = max(at_ns, from_ns + 1 if from_ns else 0)  # the stroke of midnight would belong to the day before
        worth, held = total.totals
        if columns[0] and columns[0][-1] == moment:
            columns[2][-1] += total.pending_flow
        else:
            columns[0].append(moment)
            columns[1].append(0)
            columns[2].append(total.pending_flow)
            columns[3].append(0)
        columns[1][-1], columns[3][-1] = worth, held
        total.pending_flow = 0
    if columns[2]:
        columns[2][0] = 0
    return EquityCurve(*columns)
