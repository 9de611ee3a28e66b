"""Which exchanges there are, told before anything is opened."""

import difflib

from brokers.ccxt_venue.profiles import PROFILES, profile_of
from brokers.ccxt_venue.session import VENUES_OWN, Endpoints, in_sandbox


def exchange_problem(exchange_id: str, *, sandbox: bool, endpoints: Endpoints = VENUES_OWN) -> str:
    """What is wrong with the choice of an exchange and its addresses, in words; empty where nothing is. Loading
    ccxt takes a second."""
    import ccxt.pro

    known: list[str] = list(ccxt.pro.exchanges)
    if exchange_id not in known:
        close = difflib.get_close_matches(exchange_id, known, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        return f"ccxt knows no exchange with streams called {exchange_id!r}{hint}"
    exchange = getattr(ccxt.pro, exchange_id)()
    if sandbox and not exchange.urls.get("test"):
        return (f"{exchange_id} has no sandbox: write sandbox = false, for real money or, named as market.source, for its prices "
                "alone")
    return in_sandbox(exchange, endpoints) if sandbox else ""


def unproven_line(exchange_id: str) -> str:
    """What a person should know before real money goes to an exchange that nobody verified; empty for those that were."""
    if profile_of(exchange_id).verified:
        return ""
    proven = ", ".join(name for name, profile in PROFILES.items() if profile.verified)
    return (f"{exchange_id} was never verified here (those are: {proven}): orders, ids and stops go as ccxt describes it; try it "
            "with the smallest order first and watch its stop at the exchange")
