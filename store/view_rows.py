"""The views' tables and their rows: numbers in the engine's integer units, and beside them prices and quantities as text."""

import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from engine.analytics.records import fill_record, trip_record
from engine.events import DayRolled, EquityMarked, Proposal
from engine.orders import Order
from engine.positions import RoundTrip
from engine.state import Alert, SettledFill, State

type Row = tuple[object, ...]


class Table(NamedTuple):
    """A view's table: its name, its columns with their types, and how many of the first columns are its key."""

    name: str
    columns: str
    key_columns: int = 1

    @property
    def names(self) -> list[str]:
        return [column.split()[0] for column in self.columns.split(",")]

    @property
    def create_statement(self) -> str:
        key = ", ".join(self.names[:self.key_columns])
        return f"CREATE TABLE {self.name}({self.columns}, PRIMARY KEY ({key})) STRICT, WITHOUT ROWID"

    def put(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
        """Insert or replace rows by their key."""
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT OR REPLACE INTO {self.name} VALUES({marks})", rows)

    def remove(self, connection: sqlite3.Connection, keys: Sequence[str]) -> None:
        """Delete rows by their first column."""
        if keys:
            connection.executemany(f"DELETE FROM {self.name} WHERE {self.names[0]} = ?", [(key,) for key in keys])


ORDERS = Table("orders", """client_order_id TEXT, venue_order_id TEXT, portfolio TEXT, account TEXT, instrument_id TEXT,
    side TEXT, kind TEXT, purpose TEXT, status TEXT, order_lots INTEGER, cum_lots INTEGER, limit_ticks INTEGER,
    trigger_ticks INTEGER, quantity TEXT, filled TEXT, limit_price TEXT, trigger_price TEXT, time_in_force TEXT,
    strategy TEXT, fees_minor INTEGER, external INTEGER, intended_at_ns INTEGER, closed_at_ns INTEGER, reason TEXT""")

FILLS = Table("fills", """account TEXT, instrument_id TEXT, trade_id TEXT, client_order_id TEXT, venue_order_id TEXT,
    portfolio TEXT, side TEXT, purpose TEXT, last_lots INTEGER, last_ticks INTEGER, quantity TEXT, price TEXT,
    fee_minor INTEGER, maker INTEGER, source TEXT, at_ns INTEGER, symbol TEXT, strategy TEXT, decision TEXT,
    notional_minor INTEGER, slippage_minor INTEGER""", key_columns=3)

POSITIONS = Table("positions", """position_key TEXT, portfolio TEXT, account TEXT, instrument_id TEXT, strategy TEXT,
    lots INTEGER, quantity TEXT, cost_minor INTEGER, realized_minor INTEGER, fees_minor INTEGER, stop_ticks INTEGER,
    target_ticks INTEGER, stop_price TEXT, target_price TEXT, stop_home TEXT, initial_risk_minor INTEGER,
    opened_at_ns INTEGER, bare_since_ns INTEGER, bare_total_ns INTEGER""")

ROUND_TRIPS = Table("round_trips", """number INTEGER, portfolio TEXT, instrument_id TEXT, strategy TEXT, side INTEGER,
    lots INTEGER, quantity TEXT, opened_at_ns INTEGER, closed_at_ns INTEGER, realized_minor INTEGER, fees_minor INTEGER,
    initial_risk_minor INTEGER, exit_reason TEXT, symbol TEXT, decision TEXT, entry_price REAL, exit_price REAL,
    adverse_fraction REAL, favourable_fraction REAL, regime TEXT""")

EQUITY = Table("equity", """portfolio TEXT, seq INTEGER, at_ns INTEGER, equity_minor INTEGER, adjusted_minor INTEGER,
    gross_minor INTEGER""", key_columns=2)

PORTFOLIOS = Table("portfolios", """portfolio TEXT, account TEXT, currency TEXT, minor_exponent INTEGER,
    cash_minor INTEGER, realized_minor INTEGER, fees_minor INTEGER, adjusted_minor INTEGER, automation TEXT,
    trading_state TEXT, effective_state TEXT, cause TEXT, latched_by TEXT, latched_at_ns INTEGER, connectivity TEXT""")

ALERTS = Table("alerts", """alert_id TEXT, at_ns INTEGER, level TEXT, code TEXT, subject TEXT, text TEXT,
    acknowledged INTEGER, count INTEGER""")

PROPOSALS = Table("proposals", """proposal_id TEXT, portfolio TEXT, symbol TEXT, side TEXT, quantity TEXT, origin TEXT,
    rationale TEXT, digest TEXT, status TEXT, status_reason TEXT, raised_at_ns INTEGER, expires_at_ns INTEGER""")

TABLES = (ORDERS, FILLS, POSITIONS, ROUND_TRIPS, EQUITY, PORTFOLIOS, ALERTS, PROPOSALS)


def order_row(state: State, order: Order) -> Row:
    intent = order.intent
    instrument_id = intent.instrument_id
    return (intent.client_order_id, order.venue_order_id, intent.portfolio, intent.account, instrument_id, intent.side,
            intent.kind, intent.purpose, order.status, intent.order_lots, order.cum_lots, intent.limit_ticks,
            intent.trigger_ticks, _quantity(state, instrument_id, intent.order_lots),
            _quantity(state, instrument_id, order.cum_lots), _level(state, instrument_id, intent.limit_ticks),
            _level(state, instrument_id, intent.trigger_ticks), intent.time_in_force, intent.strategy, order.fees_minor,
            int(order.external), order.intended_at_ns, order.closed_at_ns,
            order.closed_reason or order.denied_reason or intent.reason)


def fill_row(state: State, settled: SettledFill) -> Row:
    fill = settled.fill
    order = state.order(fill.client_order_id)
    record = fill_record(fill, order.intent if order else None, state.instruments[fill.instrument_id])
    return (fill.account, fill.instrument_id, fill.trade_id, fill.client_order_id, fill.venue_order_id,
            settled.portfolio, fill.side, settled.purpose, fill.last_lots, fill.last_ticks,
            _quantity(state, fill.instrument_id, fill.last_lots), _price(state, fill.instrument_id, fill.last_ticks),
            fill.fee_minor, int(fill.maker), fill.source, fill.at_ns, record.symbol, record.strategy, record.decision,
            record.notional_minor, record.slippage_minor)


def position_row(state: State, key: str) -> Row:
    position = state.positions[key]
    home = state.homes.get(key)
    instrument_id = position.instrument_id
    return (key, position.portfolio, position.account, instrument_id, position.strategy, position.lots,
            _quantity(state, instrument_id, position.lots), position.cost_minor, position.realized_minor,
            position.fees_minor, position.stop_ticks, position.plan.target_ticks,
            _level(state, instrument_id, position.stop_ticks), _level(state, instrument_id, position.plan.target_ticks),
            home.home if home else "NONE", position.initial_risk_minor, position.opened_at_ns, position.bare_since_ns,
            position.bare_total_ns)


def round_trip_row(state: State, number: int, trip: RoundTrip) -> Row:
    record = trip_record(trip, state.instruments[trip.instrument_id])
    return (number, trip.portfolio, trip.instrument_id, trip.strategy, trip.side, trip.lots,
            _quantity(state, trip.instrument_id, trip.lots), trip.opened_at_ns, trip.closed_at_ns, trip.realized_minor,
            trip.fees_minor, trip.initial_risk_minor, trip.exit_reason, record.symbol, record.decision, record.entry_price,
            record.exit_price, record.adverse_fraction, record.favourable_fraction, record.regime)


def equity_rows(state: State, event: EquityMarked | DayRolled) -> list[Row]:
    """What each portfolio that an event tells of is worth, with all that was ever paid into it; the size of what it holds is
    not known where only the day's beginning was recorded."""
    gross = event.gross_minor if isinstance(event, EquityMarked) else {}
    return [(name, state.seq, state.at_ns, equity, state.portfolios[name].adjusted_minor, gross.get(name))
            for name, equity in event.equity_minor.items() if name in state.portfolios]


def portfolio_row(state: State, name: str) -> Row:
    """One portfolio with the cash of its account; `effective_state` is the stricter of its own latch and the global."""
    portfolio = state.portfolios[name]
    settings = portfolio.settings
    account = state.accounts.get(settings.account)
    return (name, settings.account, settings.currency, settings.minor_exponent, account.cash_minor if account else 0,
            portfolio.realized_minor, portfolio.fees_minor, portfolio.adjusted_minor, settings.automation,
            portfolio.trading_state, state.effective_state(name), portfolio.cause, portfolio.latched_by, portfolio.latched_at_ns,
            account.connectivity if account else "")


def alert_row(alert: Alert) -> Row:
    return (alert.alert_id, alert.at_ns, alert.level, alert.code, alert.subject, alert.text, int(alert.acknowledged),
            alert.count)


def proposal_row(proposal: Proposal) -> Row:
    card = proposal.card
    return (proposal.proposal_id, card.portfolio, card.symbol, card.side, _text(card.quantity), proposal.want.origin,
            proposal.want.rationale, proposal.digest, proposal.status, proposal.status_reason, proposal.raised_at_ns,
            proposal.expires_at_ns)


def _price(state: State, instrument_id: str, ticks: int) -> str | None:
    instrument = state.instruments.get(instrument_id)
    return _text(instrument.price(ticks)) if instrument else None


def _level(state: State, instrument_id: str, ticks: int) -> str | None:
    """A price level, None where 0 stands for "not asked"."""
    return _price(state, instrument_id, ticks) if ticks else None


def _quantity(state: State, instrument_id: str, lots: int) -> str | None:
    instrument = state.instruments.get(instrument_id)
    return _text(instrument.quantity(lots)) if instrument else None


def _text(value: Decimal) -> str:
    """A number as people write it, never in scientific notation."""
    return f"{value:f}"
