"""What each venue does and how ccxt must be asked for it: one row a venue, and one row for all that nobody verified.

A capability is claimed only where it was proven against the venue's own protocol. What a venue lacks the engine does.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from brokers.ccxt_venue.wire_ids import WireIds
from engine.inputs import VenueCapabilities


class Lookup(Enum):
    """How an order is found by our own id."""

    BY_CLIENT_ID = "fetch_order takes it, with the symbol"
    FILTERED_LISTS = "the lists of open and closed orders take it as a filter"
    LISTS = "the lists are read and searched"


class Paging(Enum):
    """How all fills since a time are read, however many."""

    FROM_ID = "a page begins after the last id"
    OFFSET = "a page begins at an offset from the newest"
    CURSOR = "a page names the next"
    SINCE = "a page begins at the time of the last fill"


class Sweep(Enum):
    """How all open orders are cancelled with the fewest requests."""

    EACH = "one by one"
    SYMBOLS = "a symbol at a time"
    ACCOUNT = "all at once"
    IDS = "a list of ids at a time"


class Burst(NamedTuple):
    """How many of ccxt's tokens a rested account may spend at once, and how many of them reads leave to exits and cancels:
    as many as the dearest read costs, so that none of those ever waits behind one."""

    tokens: int
    reserve: int


class VenueProfile(NamedTuple):
    """How one venue is spoken to. `stop` None leaves native stops to what ccxt says of the venue.

    `unique_ids` says that the venue refuses an id for ever; others only while its order is open. `serial` venues number
    their requests and take them in that order only. `burst` lets a whole report go at once after a pause, which ccxt
    itself forgets. `looks` is how often orders
    are looked at without and beside a stream, in units of the account's `poll_seconds`. `stream` allows orders and fills by
    websocket. `confirms` tells the message by which the venue confirms a subscription, `only_hints` an order of the stream
    that does not say enough and must be asked for. `market_buy` adds to a market order to buy, given its quantity.
    """

    verified: bool = False
    stop: bool | None = None
    unique_ids: bool = False
    lookup: Lookup = Lookup.LISTS
    paging: Paging = Paging.SINCE
    page_limit: int | None = None
    burst: Burst | None = None
    looks: tuple[int, int] = (1, 15)
    sweep: Sweep = Sweep.EACH
    cancels_by_client_id: bool = False
    trades_need_symbol: bool = True
    serial: bool = False
    stream: bool = True
    exact_amounts: bool = False
    client_id_param: str = "clientOrderId"
    wire_ids: WireIds = WireIds(32)
    options: Mapping[str, Any] = {}
    order_params: Mapping[str, Any] = {}
    reads_currencies: bool = True
    corrects_clock: bool = False
    client_id_field: str = ""
    only_hints: Callable[[Any], bool] | None = None
    confirms: Callable[[Any], bool] | None = None
    market_buy: Callable[[str], Mapping[str, Any]] | None = None
    note: str = ""


def _binance_confirms(message: Any) -> bool:
    return "subscriptionId" in (message.get("result") or {}) if isinstance(message.get("result"), dict) else False


def _kraken_confirms(message: Any) -> bool:
    return message.get("method") == "subscribe" and message.get("success") is True


def _coinbase_confirms(message: Any) -> bool:
    return message.get("channel") == "subscriptions" and "user" in str(message.get("events"))


def _kraken_only_hints(order: Any) -> bool:
    """An update without the ordered quantity: ccxt then takes the executed one for it."""
    return "order_qty" not in (order.get("info") or {})


def _coinbase_only_hints(_: Any) -> bool:
    """ccxt takes the executed quantity for the ordered one."""
    return True


def _coinbase_market_buy(quantity: str) -> Mapping[str, Any]:
    """ccxt would turn the quantity into money at a price of its own; the venue takes it as it is."""
    return {"cost": quantity, "order_configuration": {"market_market_ioc": {"base_size": quantity}}}


PROFILES: Final[Mapping[str, VenueProfile]] = {
    "binance": VenueProfile(
        verified=True, stop=True, lookup=Lookup.BY_CLIENT_ID, paging=Paging.FROM_ID, page_limit=1_000, sweep=Sweep.SYMBOLS,
        burst=Burst(200, 20), cancels_by_client_id=True, exact_amounts=True, wire_ids=WireIds(36), reads_currencies=False,
        corrects_clock=True, client_id_field="c", confirms=_binance_confirms,
        options={"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False, "fetchMargins": False, "defaultType": "spot",
                 "newOrderRespType": {"market": "ACK", "limit": "ACK"}},
        note="an id is free again once its order is closed, so a resend is looked up first; OCO wants both orders in one "
             "request, which the engine does not send"),
    "kraken": VenueProfile(
        verified=True, stop=True, lookup=Lookup.FILTERED_LISTS, paging=Paging.OFFSET, page_limit=50, burst=Burst(40, 6),
        looks=(20, 60), sweep=Sweep.ACCOUNT, cancels_by_client_id=True, trades_need_symbol=False, serial=True, exact_amounts=True,
        wire_ids=WireIds(18, hex_beyond=True), order_params={"oflags": "fciq"},
        client_id_field="cl_ord_id", only_hints=_kraken_only_hints, confirms=_kraken_confirms,
        note="fees are always asked in the quote currency; ids longer than 18 characters travel as 32 hex digits; has no "
             "sandbox; native trailing stops are left to the engine; paced for the lowest tier"),
    "coinbase": VenueProfile(
        verified=True, stop=False, unique_ids=True, lookup=Lookup.LISTS, paging=Paging.CURSOR, page_limit=100, sweep=Sweep.IDS,
        burst=Burst(15, 3), trades_need_symbol=False, exact_amounts=True, wire_ids=WireIds(128),
        client_id_param="client_order_id", reads_currencies=False, market_buy=_coinbase_market_buy,
        options={"createMarketBuyOrderRequiresPrice": False, "fetchBalance": "v3PrivateGetBrokerageAccounts"},
        only_hints=_coinbase_only_hints, confirms=_coinbase_confirms,
        note="has stop-limit orders only, which the market can skip, so stops live in the engine; the stream only says that "
             "an order moved, the rest is fetched then"),
}
UNVERIFIED: Final = VenueProfile(
    note="not verified: everything as ccxt says of the venue; a native stop only where it is listed with the other orders")


def profile_of(exchange_id: str) -> VenueProfile:
    return PROFILES.get(exchange_id, UNVERIFIED)


def capabilities_of(profile: VenueProfile, features: Any, *, stop_types: bool = True) -> VenueCapabilities:
    """What the account can do natively. `features` is ccxt's table of the venue's spot orders; `stop_types` says whether
    every market of the account takes stop orders."""
    stop = stops_by_features(features) if profile.stop is None else profile.stop
    return VenueCapabilities(stop=stop and stop_types, bracket=False, oco=False, reduce_only=False, trailing=False,
                             idempotent_ids=profile.unique_ids)


def stops_by_features(features: Any) -> bool:
    """Whether ccxt says that stops rest at the venue and are listed with the other open orders."""
    spot = (features or {}).get("spot") or {}
    create, listed = spot.get("createOrder") or {}, spot.get("fetchOpenOrders") or {}
    return bool(create.get("stopLossPrice") or create.get("triggerPrice")) and not listed.get("trigger")


def stop_param(features: Any) -> str:
    """How ccxt wants a stop's trigger called at this venue."""
    create = ((features or {}).get("spot") or {}).get("createOrder") or {}
    return "stopLossPrice" if create.get("stopLossPrice") else "triggerPrice"
