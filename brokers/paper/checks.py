"""What the venue refuses, with a reason a person can read and a code a program can."""

from decimal import Decimal
from typing import NamedTuple

from brokers.paper.ledger import Ledger
from brokers.paper.records import VenueOrder
from engine.inputs import Refused
from engine.instruments import Instrument
from engine.kernel.fills import with_slippage
from engine.orders import OrderIntent, OrderKind, Side
from engine.units import Lots, Minor, Ticks

STOP_KINDS = frozenset({OrderKind.STOP, OrderKind.STOP_LIMIT, OrderKind.TRAILING_STOP})


class Terms(NamedTuple):
    """An intent with what the venue needs to judge it."""

    intent: OrderIntent
    instrument: Instrument
    native_child: bool
    reduce_only: bool


def refusal_of(ledger: Ledger, intent: OrderIntent, *, native_child: bool) -> Refused | None:
    """Why an order is not accepted, or None. Buying power is judged by `unaffordable`, once there is a price."""
    if intent.account != ledger.account:
        return Refused(f"this is account {ledger.account}, not {intent.account}", "account")
    instrument = ledger.instruments.get(intent.instrument_id)
    if instrument is None:
        return Refused(f"{intent.instrument_id} is not listed here", "unknown_instrument")
    if not instrument.tradable:
        return Refused(f"{instrument.symbol} is not tradable now", "not_tradable")
    terms = Terms(intent, instrument, native_child, intent.reduce_only and ledger.options.reduce_only)
    return (_unsupported(ledger, intent) or _bad_prices(terms) or _bad_quantity(ledger, terms)
            or _nothing_to_reduce(ledger, terms) or _not_shortable(ledger, terms))


def _unsupported(ledger: Ledger, intent: OrderIntent) -> Refused | None:
    options = ledger.options
    if intent.kind is OrderKind.TRAILING_STOP and not options.trailing:
        return Refused("trailing stops are not supported here", "unsupported")
    if intent.kind in STOP_KINDS and not options.stop:
        return Refused("stop orders are not supported here", "unsupported")
    return None


def _bad_prices(terms: Terms) -> Refused | None:
    intent, highest = terms.intent, terms.instrument.max_ticks
    if intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT) and not 1 <= intent.limit_ticks <= highest:
        return Refused(f"limit price out of range for {intent.kind}", "price")
    if intent.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT) and not 1 <= intent.trigger_ticks <= highest:
        return Refused(f"trigger price out of range for {intent.kind}", "price")
    if intent.kind is OrderKind.TRAILING_STOP and intent.trail_ticks <= 0 and not 0 < intent.trail_bps < 10_000:
        return Refused("a trailing stop needs a distance in price or basis points", "price")
    return None


def _bad_quantity(ledger: Ledger, terms: Terms) -> Refused | None:
    lots, instrument = terms.intent.order_lots, terms.instrument
    if not 1 <= lots <= instrument.max_lots:
        return Refused(f"quantity must be 1 to {instrument.max_lots} lots", "quantity")
    if terms.native_child or increase_lots(ledger, terms.intent) == 0:
        return None  # what only closes may be as small as the rest it closes
    if lots < instrument.min_lots:
        return Refused(f"smallest quantity is {instrument.quantity(instrument.min_lots)}", "min_lots")
    ticks = reference_ticks(ledger, terms.intent)
    if ticks and instrument.notional_minor(ticks, lots) < instrument.min_notional_minor:
        least = instrument.money(instrument.min_notional_minor)
        return Refused(f"smallest order is {least} {instrument.quote_currency}", "min_notional")
    return None


def _nothing_to_reduce(ledger: Ledger, terms: Terms) -> Refused | None:
    if not terms.reduce_only or terms.native_child:
        return None
    if -terms.intent.side.sign * ledger.lots_held(terms.intent.instrument_id) <= 0:
        return Refused(f"reduce-only: no position in {terms.instrument.symbol} to reduce", "no_position")
    return None


def _not_shortable(ledger: Ledger, terms: Terms) -> Refused | None:
    intent = terms.intent
    if terms.instrument.shortable or terms.native_child or intent.side is Side.BUY:
        return None
    if ledger.lots_held(intent.instrument_id) < intent.order_lots:
        return Refused(f"{terms.instrument.symbol} cannot be sold short", "not_shortable")
    return None


def reference_ticks(ledger: Ledger, intent: OrderIntent) -> Ticks:
    """The price an order is judged by: its own, or the side of the market it would take; 0 where none is known."""
    own = intent.limit_ticks or intent.trigger_ticks
    if own:
        return own
    mark = ledger.state.marks.get(intent.instrument_id)
    if mark is None:
        return 0
    touch = mark.ask_ticks if intent.side is Side.BUY else mark.bid_ticks
    return with_slippage(touch, intent.side.sign, ledger.options.slippage_bps)


def increase_lots(ledger: Ledger, intent: OrderIntent) -> Lots:
    """By how much an order would enlarge the position as it is now."""
    held = ledger.lots_held(intent.instrument_id)
    return max(0, abs(held + intent.side.sign * intent.order_lots) - abs(held))


def unaffordable(ledger: Ledger, order: VenueOrder, ticks: Ticks) -> Refused | None:
    """Whether buying power does not cover an order at `ticks`; what only reduces is never refused."""
    intent = order.intent
    if order.native_child or intent.reduce_only:
        return None
    lots = increase_lots(ledger, intent)
    if not lots:
        return None
    instrument = ledger.instruments[intent.instrument_id]
    need_minor = instrument.notional_minor(ticks, lots) + instrument.fee_minor(ticks, lots, maker=False)
    free_minor = buying_power_minor(ledger, besides=intent.client_order_id)
    if need_minor <= free_minor:
        return None
    return Refused(f"insufficient buying power: needs {instrument.money(need_minor)} {instrument.quote_currency}, "
                   f"free {instrument.money(max(0, free_minor))}", "buying_power")


def buying_power_minor(ledger: Ledger, *, besides: str = "") -> Minor:
    """Equity times leverage, less what is held and what open orders may still add (one of them set aside)."""
    totals = ledger.totals()
    power_minor = int(totals.equity_minor * Decimal(str(ledger.options.leverage)))
    for instrument_id, lots in totals.positions.items():
        instrument = ledger.instruments[instrument_id]
        power_minor -= instrument.notional_minor(ledger.mark_ticks(instrument_id, lots), abs(lots))
    for client_order_id in sorted(ledger.state.orders):
        order = ledger.state.orders[client_order_id]
        if client_order_id == besides or order.native_child or order.intent.reduce_only or not order.priced:
            continue
        rest_lots = min(increase_lots(ledger, order.intent), order.intent.order_lots - order.cum_lots)
        instrument = ledger.instruments[order.intent.instrument_id]
        power_minor -= instrument.notional_minor(reference_ticks(ledger, order.intent), rest_lots)
    return power_minor
