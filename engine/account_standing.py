"""What a venue lets an account do: nothing new where it is barred, and nothing that might have no way out today."""

from engine.instruments import ALWAYS_OPEN
from engine.limits import check
from engine.market import MarketView
from engine.orders import OrderIntent
from engine.service import CheckView
from engine.state import State
from engine.units import Nanoseconds, seconds_to_ns

REPORTS_MISSED = 2


def account_checks(state: State, market: MarketView, at_ns: Nanoseconds, intent: OrderIntent) -> list[CheckView]:
    """Whether the venue lets the account open a position, and would let it be closed; each is told only where it does not."""
    account = state.account_of(intent.portfolio)
    instrument = state.instruments[intent.instrument_id]
    checks = []
    if account.barred:
        checks.append(check("account", passed=False, limit="may trade", value="barred",
                            message=f"{account.account}: {account.barred}; nothing new can be opened until the venue lifts that"))
    since_ns = account.close_refused_at_ns
    if since_ns and instrument.session != ALWAYS_OPEN and since_ns >= market.session_bounds(instrument.session, at_ns).open_ns:
        checks.append(check("way out", passed=False, limit="may be closed", value="refused",
                            message=f"{account.account}: the venue refused today to close what was opened today "
                            f"({account.close_refused_why}); a stop of {instrument.symbol} might not work until tomorrow"))
    return checks


def unreported(state: State, account: str, at_ns: Nanoseconds) -> bool:
    """Whether the last complete report of an account is so old that two in a row are missing."""
    return at_ns - state.accounts[account].reconciled_at_ns >= REPORTS_MISSED * seconds_to_ns(state.settings.reconcile_seconds)
