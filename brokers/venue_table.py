"""What each venue does by itself, and what the engine does in its stead: one row a venue, from what the adapters say of
themselves."""

from typing import NamedTuple

from brokers.alpaca.listing import capabilities_of as alpaca_capabilities
from brokers.ccxt_venue.profiles import PROFILES, UNVERIFIED, VenueProfile
from brokers.ccxt_venue.profiles import capabilities_of as exchange_capabilities
from brokers.paper.records import PaperOptions
from engine.inputs import VenueCapabilities
from engine.orders import TimeInForce

FOREVER = "refused for ever"
WHILE_OPEN = "refused while the order is open; looked up before a resend"
ANY_ID = "nothing is known; looked up before a resend"
EVERY = tuple(one.value for one in TimeInForce)
ON_EXCHANGES = ("gtc", "ioc", "fok")


class VenueRow(NamedTuple):
    """One venue. True where it does it by itself; where it does not the engine does. `repeated_id` is what the venue does with
    a client order id that it has seen; `verified` says that it was proven against the venue's own protocol;
    `children_wait` that the exits of a bracket work only once its entry has filled in full."""

    venue: str
    trades: str
    stop: bool
    trailing: bool
    bracket: bool
    oco: bool
    reduce_only: bool
    in_force: tuple[str, ...]
    repeated_id: str
    order_stream: bool
    verified: bool
    note: str = ""
    children_wait: bool = False


def venue_table() -> tuple[VenueRow, ...]:
    """The built-in venue, Alpaca's shares, their fractions and its coins, the verified exchanges, and all others together."""
    alpaca = ("the exits of a bracket work once its entry is filled to the last share, the engine watches until then; an account "
              "that also lists coins or trades fractions sends its exits one by one, after the fill")
    rows = [
        _row("paper", "the simulated market, or a real venue's prices", PaperOptions().capabilities, EVERY, FOREVER),
        _row("alpaca", "whole shares", alpaca_capabilities(coins=False, fractions=False), EVERY, FOREVER, alpaca),
        _row("alpaca", "fractions of shares", alpaca_capabilities(coins=False, fractions=True), ("day",), FOREVER,
             "with fractions = true; such a stop ends with the day and is placed again, the engine watches in between"),
        _row("alpaca", "coins", alpaca_capabilities(coins=True, fractions=False), ("gtc", "ioc"), FOREVER,
             "a stop is sent as a stop-limit with five percent of room; the engine watches beyond it"),
    ]
    rows += [_exchange(f"ccxt:{name}", profile) for name, profile in PROFILES.items()]
    return (*rows, _exchange("ccxt:any other", UNVERIFIED))


def _exchange(venue: str, profile: VenueProfile) -> VenueRow:
    ids = ANY_ID if not profile.verified else FOREVER if profile.unique_ids else WHILE_OPEN
    row = _row(venue, "coins, spot", exchange_capabilities(profile, {}), ON_EXCHANGES, ids, profile.note)
    return row._replace(order_stream=profile.stream, verified=profile.verified)


def _row(venue: str, trades: str, can: VenueCapabilities, in_force: tuple[str, ...], repeated_id: str,
         note: str = "") -> VenueRow:
    return VenueRow(venue, trades, can.stop, can.trailing, can.bracket, can.oco, can.reduce_only, in_force, repeated_id,
                    order_stream=True, verified=True, note=note, children_wait=can.children_wait)
