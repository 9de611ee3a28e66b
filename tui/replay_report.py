"""What a replay came to: money, fills, round trips, protection, and the hash that two equal replays share."""

from decimal import Decimal

import msgspec

from engine.apply import apply
from engine.events import VERSIONS, OrderFilled, Recorded, WantRefused, decode
from engine.inputs import TradingState
from engine.service import AccountView, PositionView, Snapshot
from engine.state import State
from engine.views import money
from store.home import Home
from store.read import journal_rows, stored_head
from store.upcasters import Upcasters


class PortfolioReport(msgspec.Struct, frozen=True):
    """One portfolio at the end; realized is after fees."""

    portfolio: str
    currency: str
    money_decimals: int
    trading_state: TradingState
    start_cash: Decimal
    cash: Decimal
    equity: Decimal
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    return_percent: float


class ReplayReport(msgspec.Struct, frozen=True):
    """A whole replay. `journal_hash` covers everything that was recorded."""

    home: str
    ended_at_ns: int
    portfolios: tuple[PortfolioReport, ...]
    fills: int
    round_trips: int
    winners: int
    losers: int
    win_rate_percent: float | None
    refused: int
    alerts: int
    longest_unprotected_seconds: float
    positions: tuple[PositionView, ...]
    journal_rows: int
    journal_hash: str


class _Counted(msgspec.Struct):
    fills: int = 0
    refused: int = 0
    winners: int = 0
    losers: int = 0
    longest_bare_ns: int = 0


def replay_report(home: Home, last: Snapshot) -> ReplayReport:
    """The report of a replay whose engine showed `last` at its end; the rest is counted from the journal."""
    counted, state = _Counted(), State()
    for row in Upcasters(VERSIONS).rows(journal_rows(home.journal)):
        event = decode(row.kind, row.payload)
        before, state = state, apply(state, Recorded(row.seq, row.at_ns, event))
        counted.fills += isinstance(event, OrderFilled)
        counted.refused += isinstance(event, WantRefused)
        _count_round_trips(counted, before, state)
        _count_bare(counted, before, row.at_ns)
    head = stored_head(home.journal)
    decided = counted.winners + counted.losers
    return ReplayReport(
        home=str(home.path), ended_at_ns=last.at_ns,
        portfolios=tuple(_portfolio(state, account) for account in last.accounts),
        fills=counted.fills, round_trips=state.round_trip_count, winners=counted.winners, losers=counted.losers,
        win_rate_percent=100 * counted.winners / decided if decided else None, refused=counted.refused,
        alerts=sum(alert.count for alert in last.alerts), longest_unprotected_seconds=counted.longest_bare_ns / 1e9,
        positions=last.positions, journal_rows=head.seq, journal_hash=head.hash.hex())


def _count_round_trips(counted: _Counted, before: State, state: State) -> None:
    new = state.round_trip_count - before.round_trip_count
    for trip in state.round_trips[-new:] if new else ():
        won = trip.realized_minor - trip.fees_minor > 0
        counted.winners += won
        counted.losers += not won


def _count_bare(counted: _Counted, state: State, at_ns: int) -> None:
    for position in state.positions.values():
        now_bare_ns = at_ns - position.bare_since_ns if position.bare_since_ns else 0
        counted.longest_bare_ns = max(counted.longest_bare_ns, position.bare_total_ns + now_bare_ns)


def _portfolio(state: State, account: AccountView) -> PortfolioReport:
    known = state.portfolios[account.portfolio]
    start_cash = money(account.money_decimals, known.adjusted_minor)
    gained = account.equity - start_cash
    return PortfolioReport(
        portfolio=account.portfolio, currency=account.currency, money_decimals=account.money_decimals,
        trading_state=account.trading_state, start_cash=start_cash, cash=account.cash, equity=account.equity,
        realized=account.realized_pnl, unrealized=account.unrealized_pnl, fees=account.fees,
        return_percent=float(100 * gained / start_cash) if start_cash else 0.0)
