"""Our intents in ccxt's words, and the venue's orders in ours."""

from decimal import Decimal
from typing import Any, Final, NamedTuple

from brokers.ccxt_venue.numbers import exact, exact_or_zero, ns_of, plain
from brokers.ccxt_venue.profiles import VenueProfile
from engine.inputs import OrderReport, Refused, VenueCapabilities
from engine.instruments import Instrument
from engine.orders import ClosedAs, OrderIntent, OrderKind, Purpose, Side, TimeInForce
from engine.units import steps_down, steps_nearest

STOPS: Final = frozenset({OrderKind.STOP, OrderKind.STOP_LIMIT})
AT_ONCE: Final = frozenset({"IOC", "FOK"})
CLOSING_WORDS: Final = {"canceled": ClosedAs.CANCELED, "expired": ClosedAs.EXPIRED, "rejected": ClosedAs.REJECTED}


class OrderRequest(NamedTuple):
    """The arguments of ccxt's `create_order`."""

    symbol: str
    type: str
    side: str
    quantity: Any
    price: Any
    params: dict[str, Any]


def refusal_of(intent: OrderIntent, instrument: Instrument | None, can: VenueCapabilities, account: str) -> Refused | None:
    """Why an order is not even sent, with the numbers; None where the venue may judge."""
    if intent.account != account:
        return Refused(f"this is account {account}, not {intent.account}", "account")
    if instrument is None:
        return Refused(f"{intent.instrument_id} is not listed here", "unknown_instrument")
    if intent.kind is OrderKind.TRAILING_STOP or (intent.kind in STOPS and not can.stop):
        return Refused(f"{intent.kind.value} orders are not supported here; the engine watches the level", "unsupported")
    if intent.time_in_force is TimeInForce.DAY:
        return Refused("there are no day orders here; the market never closes: use gtc", "unsupported")
    return _bad_terms(intent, instrument)


def _bad_terms(intent: OrderIntent, instrument: Instrument) -> Refused | None:
    if not instrument.tradable and intent.purpose is Purpose.ENTRY:  # read when connecting: it may be over, and an exit must out
        return Refused(f"{instrument.symbol} is not tradable now", "not_tradable")
    if not 1 <= intent.order_lots <= instrument.max_lots:
        return Refused(f"{instrument.symbol} takes at most {instrument.quantity(instrument.max_lots)} an order", "quantity")
    if intent.order_lots < instrument.min_lots:
        return Refused(f"{instrument.quantity(intent.order_lots)} {instrument.base_currency} is below the smallest order of "
                       f"{instrument.quantity(instrument.min_lots)}", "min_lots")
    limited = intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
    if limited and not 1 <= intent.limit_ticks <= instrument.max_ticks:
        return Refused(f"limit price out of range for {instrument.symbol}", "price")
    if intent.kind in STOPS and not 1 <= intent.trigger_ticks <= instrument.max_ticks:
        return Refused(f"trigger price out of range for {instrument.symbol}", "price")
    ticks = intent.limit_ticks or intent.trigger_ticks
    if ticks and instrument.notional_minor(ticks, intent.order_lots) < instrument.min_notional_minor:
        return Refused(f"worth {instrument.money(instrument.notional_minor(ticks, intent.order_lots))} "
                       f"{instrument.quote_currency}; the smallest order is "
                       f"{instrument.money(instrument.min_notional_minor)}", "min_notional")
    return None


def request_of(intent: OrderIntent, instrument: Instrument, wire_id: str, profile: VenueProfile,
               trigger_param: str) -> OrderRequest:
    """The order for `create_order`; verified venues get decimals as text, others the floats that ccxt expects."""
    number: Any = plain if profile.exact_amounts else float
    params: dict[str, Any] = {**profile.order_params, profile.client_id_param: wire_id}
    limited = intent.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
    if intent.kind in STOPS:
        params[trigger_param] = number(instrument.price(intent.trigger_ticks))
    if limited and intent.time_in_force in (TimeInForce.IOC, TimeInForce.FOK):
        params["timeInForce"] = intent.time_in_force.name
    quantity = instrument.quantity(intent.order_lots)
    if intent.kind is OrderKind.MARKET and intent.side is Side.BUY and profile.market_buy is not None:
        params.update(profile.market_buy(plain(quantity)))
    return OrderRequest(instrument.symbol, "limit" if limited else "market", intent.side.name.lower(), number(quantity),
                        number(instrument.price(intent.limit_ticks)) if limited else None, params)


def report_of(account: str, instrument: Instrument, order: Any, client_order_id: str,
              intent: OrderIntent | None = None) -> OrderReport:
    """What the venue says of one order, in our terms; what ccxt leaves out is taken from the venue's own fields."""
    info = order.get("info") or {}
    quantity = _quantity(order, info)
    if quantity is None and intent is not None:
        quantity = instrument.quantity(intent.order_lots)
    filled = exact(order.get("filled"))
    if filled is None:  # not told; a 0 is: some venues call "closed" what ended at once without a fill
        filled = exact_or_zero(info.get("cum_qty"))
        if order.get("status") == "closed" and quantity is not None and not filled:
            filled = quantity
    order_lots = steps_down(quantity or filled, instrument.lot_size)
    cum_lots = steps_down(filled, instrument.lot_size)
    average = exact(order.get("average"))
    return OrderReport(
        account=account, instrument_id=instrument.instrument_id, client_order_id=client_order_id,
        venue_order_id=str(order.get("id") or ""), order_lots=order_lots, cum_lots=cum_lots,
        closed_as=closed_as(order, info, intent, order_lots, cum_lots),
        at_ns=ns_of(order.get("lastUpdateTimestamp") or order.get("lastTradeTimestamp") or order.get("timestamp")),
        reason=_reason(info), average_ticks=float(average / instrument.tick_size) if average and cum_lots else 0.0,
        fees_minor=_fees_minor(order, instrument), side=Side.SELL if order.get("side") == "sell" else Side.BUY,
        kind=intent.kind if intent else _kind(order),
        limit_ticks=intent.limit_ticks if intent else _ticks(order.get("price"), instrument),
        trigger_ticks=intent.trigger_ticks if intent else _ticks(_trigger(order), instrument))


def closed_as(order: Any, info: Any, intent: OrderIntent | None, order_lots: int, cum_lots: int) -> ClosedAs | None:
    """The closing word, None while the order works and once it is filled. What ends at once by its own terms is canceled,
    whatever the venue calls it."""
    status = order.get("status")
    if cum_lots >= order_lots > 0:
        return None
    if status == "closed":
        return ClosedAs.CANCELED  # done and not filled to the end
    word = CLOSING_WORDS.get(status or "")
    in_force = order.get("timeInForce") or info.get("timeInForce") or (intent.time_in_force.name if intent else "")
    if word is ClosedAs.EXPIRED and (in_force in AT_ONCE or (intent is not None and intent.kind is OrderKind.MARKET)):
        return ClosedAs.CANCELED
    return word


def _quantity(order: Any, info: Any) -> Decimal | None:
    found = exact(order.get("amount"))
    if found is None and isinstance(info.get("order_configuration"), dict):
        terms = next(iter(info["order_configuration"].values()), None) or {}
        found = exact(terms.get("base_size"))
    return found


def _reason(info: Any) -> str:
    for field in ("reason", "reject_reason", "cancel_message", "r"):
        text = info.get(field)
        if isinstance(text, str) and text and text not in ("NONE", "REJECT_REASON_UNSPECIFIED"):
            return " ".join(text.split())[:200]
    return ""


def _fees_minor(order: Any, instrument: Instrument) -> int:
    fee = order.get("fee") or {}
    cost = exact(fee.get("cost")) if fee.get("currency") == instrument.quote_currency else None
    return int(cost.scaleb(instrument.minor_exponent).to_integral_value()) if cost else 0


def _trigger(order: Any) -> Any:
    return order.get("triggerPrice") or order.get("stopLossPrice") or order.get("takeProfitPrice")


def _kind(order: Any) -> OrderKind:
    limited = "limit" in str(order.get("type") or "limit")
    if exact(_trigger(order)):
        return OrderKind.STOP_LIMIT if limited else OrderKind.STOP
    return OrderKind.LIMIT if limited else OrderKind.MARKET


def _ticks(price: Any, instrument: Instrument) -> int:
    value = exact(price)
    return steps_nearest(value, instrument.tick_size) if value else 0
