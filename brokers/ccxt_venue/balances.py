"""An account's balances as cash and positions."""

from decimal import ROUND_FLOOR, Decimal
from typing import Any

from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import exact, exact_or_zero
from engine.inputs import VenuePosition
from engine.units import steps_down


def balances_of(balance: Any) -> dict[str, Decimal]:
    """The totals of an account, by currency; free and used where the venue gives no total."""
    totals = balance.get("total") or {}
    found: dict[str, Decimal] = {}
    for currency, total in totals.items():
        value = exact(total)
        if value is None:
            parts = balance.get(currency) or {}
            value = exact_or_zero(parts.get("free")) + exact_or_zero(parts.get("used"))
        found[currency] = value
    return found


def positions_of(listing: Listing, balances: dict[str, Decimal]) -> tuple[VenuePosition, ...]:
    """Whole lots of each base currency; what is less than a lot is dust and no position."""
    found = [(each.instrument_id, steps_down(balances.get(each.base_currency, Decimal(0)), each.lot_size))
             for each in listing.all()]
    return tuple(VenuePosition(instrument_id, lots) for instrument_id, lots in found if lots > 0)


def cash_minor_of(listing: Listing, balances: dict[str, Decimal], minor_exponent: int) -> int:
    """The balance of the quote currency, rounded down."""
    cash = balances.get(listing.quote_currency, Decimal(0))
    return int(cash.scaleb(minor_exponent).to_integral_value(ROUND_FLOOR))
