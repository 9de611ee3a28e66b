"""Orders and executions in both languages: an intent as a request, an order of the venue as a report, an execution as a fill.

Prices and quantities go as exact decimal text. How our terms become the venue's:

| ours | shares | coins |
|---|---|---|
| market, limit, stop-limit | the same | the same |
| stop | the same | a stop-limit whose limit lies 5 % beyond the trigger: coins have no plain stop orders there |
| trailing stop | the same | refused |
| DAY | the same | refused: coins know GTC and IOC alone |
| GTC | the same; DAY where the quantity has a fraction of a share, so a stop has to be renewed for each session | the same |
| IOC, FOK | the same; refused with a fraction of a share | IOC the same, FOK refused |
| an entry with its exits, a stop with a target | one request, `order_classes` | refused |
"""

from decimal import Decimal
from typing import NamedTuple

from brokers.alpaca.answers import readable
from brokers.alpaca.listing import Listing
from brokers.alpaca.wire import WireActivity, WireOrder, WireTradeUpdate, nanoseconds_of
from engine.inputs import OrderReport, Refused
from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.orders import ClosedAs, Fill, FillSource, OrderIntent, OrderKind, Side, TimeInForce
from engine.units import Lots, Nanoseconds, Ticks, steps_down, steps_nearest, steps_up

COIN_STOP_COLLAR_PARTS = 20
BPS_IN_PERCENT = 100
LONGEST_ID = 128

CLOSING_STATUSES = {"canceled": ClosedAs.CANCELED, "expired": ClosedAs.EXPIRED, "rejected": ClosedAs.REJECTED,
                    "replaced": ClosedAs.CANCELED}
"""The venue's closing words. Any other status, one that is not known here too, leaves an order open until a closing word."""

KINDS = {kind.value: kind for kind in OrderKind}


# ---- what we send ----------------------------------------------------------------------------------------------------------


def order_request(intent: OrderIntent, instrument: Instrument) -> dict[str, str] | Refused:
    """The body of the request for an order; or why the venue would not take it."""
    if intent.parent_id:
        return Refused("an exit that waits for its entry goes out together with it", "unsupported")
    if not 0 < len(intent.client_order_id) <= LONGEST_ID:
        return Refused(f"a client order id has 1 to {LONGEST_ID} characters", "client_order_id")
    quantity = instrument.quantity(intent.order_lots)
    coin = instrument.asset_class is AssetClass.CRYPTO
    ticks = intent.limit_ticks or intent.trigger_ticks
    worth_minor = instrument.notional_minor(ticks, intent.order_lots)
    if ticks and worth_minor < instrument.min_notional_minor and (coin or quantity % 1):
        return Refused(f"worth {instrument.money(worth_minor)} {instrument.quote_currency}; the smallest order is "
                       f"{instrument.money(instrument.min_notional_minor)}", "min_notional")
    time_in_force = _coin_time_in_force(intent) if coin else _share_time_in_force(intent, quantity)
    if isinstance(time_in_force, Refused):
        return time_in_force
    prices = _coin_prices(intent, instrument) if coin else _share_prices(intent, instrument)
    if isinstance(prices, Refused):
        return prices
    return {"symbol": instrument.symbol, "qty": plain(quantity), "side": intent.side.value.lower(),
            "time_in_force": time_in_force.value, "client_order_id": intent.client_order_id, **prices}


def _coin_time_in_force(intent: OrderIntent) -> TimeInForce | Refused:
    if intent.time_in_force in (TimeInForce.GTC, TimeInForce.IOC):
        return intent.time_in_force
    return Refused(f"{intent.time_in_force} is not possible for coins at this venue; use gtc or ioc", "unsupported")


def _share_time_in_force(intent: OrderIntent, quantity: Decimal) -> TimeInForce | Refused:
    if quantity == quantity.to_integral_value():
        return intent.time_in_force
    if intent.kind is OrderKind.TRAILING_STOP:
        return Refused("a trailing stop is not possible for a fraction of a share at this venue", "unsupported")
    if intent.time_in_force in (TimeInForce.DAY, TimeInForce.GTC):
        return TimeInForce.DAY
    return Refused(f"{intent.time_in_force} is not possible for a fraction of a share at this venue; use day", "unsupported")


def _share_prices(intent: OrderIntent, instrument: Instrument) -> dict[str, str] | Refused:
    prices = {"type": intent.kind.value}
    if intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT):
        prices["limit_price"] = plain(instrument.price(intent.limit_ticks))
    if intent.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT):
        prices["stop_price"] = plain(instrument.price(intent.trigger_ticks))
    if intent.kind is OrderKind.TRAILING_STOP:
        if intent.trail_ticks > 0:
            prices["trail_price"] = plain(instrument.price(intent.trail_ticks))
        elif intent.trail_bps > 0:
            prices["trail_percent"] = plain(Decimal(intent.trail_bps) / BPS_IN_PERCENT)
        else:
            return Refused("a trailing stop needs a distance in price or basis points", "price")
    return prices


def _coin_prices(intent: OrderIntent, instrument: Instrument) -> dict[str, str] | Refused:
    if intent.kind is OrderKind.TRAILING_STOP:
        return Refused("trailing stops are not possible for coins at this venue", "unsupported")
    if intent.kind is not OrderKind.STOP:
        return _share_prices(intent, instrument)
    reach = intent.trigger_ticks // COIN_STOP_COLLAR_PARTS
    limit_ticks = max(1, intent.trigger_ticks + intent.side.sign * reach)
    return {"type": OrderKind.STOP_LIMIT.value, "stop_price": plain(instrument.price(intent.trigger_ticks)),
            "limit_price": plain(instrument.price(limit_ticks))}


def plain(number: Decimal) -> str:
    """A number without an exponent and without zeros at its end."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


# ---- what the venue says of an order -----------------------------------------------------------------------------------------


class Sender(NamedTuple):
    """Whose messages these are: our name of the account, the venue's name in instrument ids, and what is listed."""

    account: str
    venue: str
    listing: Listing


def order_report(order: WireOrder, sender: Sender, at_ns: Nanoseconds) -> OrderReport:
    """The venue's word on one order; `at_ns` counts where the order has no time of its own. Raises `ValueError`."""
    instrument = sender.listing.named(order.asset_id, order.symbol)
    closed_as = CLOSING_STATUSES.get(order.status)
    cum_lots = _lots(order.filled_qty, instrument)
    order_lots = _lots(order.qty, instrument)
    if order.qty is None:  # ordered by value: how many there will be is not known while it is open
        order_lots = cum_lots if closed_as or order.status == "filled" else cum_lots + 1
    said_at = order.updated_at or order.created_at
    return OrderReport(
        account=sender.account, venue_order_id=order.id, client_order_id=order.client_order_id,
        instrument_id=instrument.instrument_id if instrument else instrument_id_of(order.symbol or "legs", sender.venue),
        order_lots=order_lots, cum_lots=cum_lots, closed_as=closed_as, at_ns=nanoseconds_of(said_at) if said_at else at_ns,
        reason=f"the venue says {readable(order.status)}" if closed_as else "",
        average_ticks=float(order.filled_avg_price / instrument.tick_size) if order.filled_avg_price and instrument else 0.0,
        side=Side.SELL if order.side == "sell" else Side.BUY, kind=KINDS.get(order.type or "", OrderKind.MARKET),
        limit_ticks=_ticks(order.limit_price, instrument), trigger_ticks=_ticks(order.stop_price, instrument))


def _lots(quantity: Decimal | None, instrument: Instrument | None) -> Lots:
    return steps_down(quantity or Decimal(0), instrument.lot_size if instrument else Decimal(1))


def _ticks(price: Decimal | None, instrument: Instrument | None) -> Ticks:
    return steps_nearest(price, instrument.tick_size) if price and instrument else 0


# ---- executions --------------------------------------------------------------------------------------------------------------


class Execution(NamedTuple):
    """One execution as stream and history both tell it. `cum_qty` is the order's total after it."""

    order_id: str
    client_order_id: str
    buy: bool
    quantity: Decimal
    price: Decimal
    cum_qty: Decimal
    at_ns: Nanoseconds

    @property
    def trade_id(self) -> str:
        """The order and its total after this execution: what the stream and the history name alike. Each has an id of its
        own for an execution besides, but nothing says that the two are the same."""
        return f"{self.order_id}:{plain(self.cum_qty)}"


def execution_of_update(update: WireTradeUpdate) -> Execution | None:
    """The execution that a stream event reports, if it reports one. Raises `ValueError` for a malformed time."""
    if update.event not in ("fill", "partial_fill") or not update.qty or update.price is None:
        return None
    order = update.order
    cum_qty = order.filled_qty if order.filled_qty is not None else update.qty
    said_at = update.timestamp or order.updated_at or ""
    return Execution(order.id, order.client_order_id, order.side != "sell", update.qty, update.price, cum_qty,
                     nanoseconds_of(said_at))


def execution_of_activity(activity: WireActivity, client_order_id: str) -> Execution:
    """The execution of a line of the account's history. Raises `ValueError` for a malformed time."""
    return Execution(activity.order_id, client_order_id, not activity.side.startswith("sell"), activity.qty, activity.price,
                     activity.cum_qty, nanoseconds_of(activity.transaction_time))


def fill_of(execution: Execution, account: str, instrument: Instrument, source: FillSource, *, kept_lots: Lots = 0,
            sale_rate: Decimal = Decimal(0)) -> Fill | None:
    """An execution as a fill; None where it did not complete a lot. `kept_lots` is what the venue kept of bought coins,
    `sale_rate` the part of the proceeds of sold ones.

    Lots are counted from the order's total, so that parts of lots add up. A price between two ticks is booked at the better
    tick and the difference as a fee, so that cash agrees to the cent. The venue tells no fee with an execution; the
    regulatory fees on sales of shares come at the end of the day and show in cash."""
    before = execution.cum_qty - execution.quantity
    lots = steps_down(execution.cum_qty, instrument.lot_size) - steps_down(before, instrument.lot_size)
    if lots <= 0:
        return None
    rounded = steps_down if execution.buy else steps_up
    ticks = max(1, rounded(execution.price, instrument.tick_size))
    beside_tick = abs(execution.price - instrument.price(ticks)) * instrument.quantity(lots)
    charged = beside_tick + execution.price * instrument.quantity(lots) * sale_rate
    fee_minor = steps_up(charged.scaleb(instrument.minor_exponent), Decimal(1))
    return Fill(
        account=account, instrument_id=instrument.instrument_id, trade_id=execution.trade_id,
        client_order_id=execution.client_order_id, side=Side.BUY if execution.buy else Side.SELL, last_lots=lots,
        last_ticks=ticks, fee_minor=fee_minor + instrument.signed_notional_minor(ticks, kept_lots), at_ns=execution.at_ns,
        venue_order_id=execution.order_id, source=source, base_fee_lots=kept_lots)
