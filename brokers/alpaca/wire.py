"""What Alpaca sends, as far as it is used. Numbers are read as exact decimals, whether they come as text or as numbers."""

from datetime import datetime
from decimal import Decimal

import msgspec

from engine.units import NS_PER_SECOND, Nanoseconds

NANOSECOND_DIGITS = 9


class WireError(msgspec.Struct):
    """The body of a refusal."""

    message: str = ""
    code: int | str = ""


class WireClock(msgspec.Struct):
    timestamp: str


class WireAccount(msgspec.Struct):
    cash: Decimal
    currency: str = "USD"
    status: str = ""
    id: str = ""
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False


class WireAsset(msgspec.Struct):
    """One line of the list of assets; the three increments are given for coins alone."""

    id: str
    symbol: str
    asset_class: str = msgspec.field(name="class")
    status: str = "active"
    tradable: bool = False
    shortable: bool = False
    easy_to_borrow: bool = False
    borrow_status: str = ""
    fractionable: bool = False
    min_order_size: Decimal | None = None
    min_trade_increment: Decimal | None = None
    price_increment: Decimal | None = None


class WireOrder(msgspec.Struct):
    """One order; `qty` is missing where it was ordered by value, `symbol` where its legs have one each. `legs`
    are the orders that went out with it, told where the question asks to nest them."""

    id: str
    client_order_id: str
    status: str
    symbol: str | None = None
    asset_id: str | None = None
    side: str | None = None
    type: str | None = None
    qty: Decimal | None = None
    filled_qty: Decimal | None = None
    filled_avg_price: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    created_at: str | None = None
    updated_at: str | None = None
    order_class: str | None = None
    replaces: str | None = None
    legs: "list[WireOrder] | None" = None


class WirePosition(msgspec.Struct):
    """One holding; `symbol` of a coin comes without its slash, so `asset_id` says which it is."""

    asset_id: str
    symbol: str
    qty: Decimal
    side: str
    avg_entry_price: Decimal


class WireActivity(msgspec.Struct):
    """One execution in the account's history."""

    id: str
    order_id: str
    symbol: str
    side: str
    price: Decimal
    qty: Decimal
    cum_qty: Decimal
    transaction_time: str


class WireCancel(msgspec.Struct):
    """One order of those that a cancel-all asked for."""

    id: str
    status: int


class WireTradeUpdate(msgspec.Struct):
    """One event of the account's stream; `order` is the order as the event left it."""

    event: str
    order: WireOrder
    timestamp: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None


class WireFrame(msgspec.Struct):
    """A frame of the account's stream; what `data` holds depends on `stream`."""

    stream: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class WireListening(msgspec.Struct):
    streams: list[str] = []


class WireBar(msgspec.Struct):
    """One bar of the history."""

    t: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741 - the venue's name
    c: Decimal
    v: Decimal


class WireBars(msgspec.Struct):
    bars: dict[str, list[WireBar]] | None = None


def nanoseconds_of(text: str) -> Nanoseconds:
    """An RFC 3339 time in nanoseconds; raises `ValueError` for anything else."""
    head, point, tail = text.partition(".")
    digits = ""
    if point:
        zone_at = next((place for place, sign in enumerate(tail) if not sign.isdigit()), len(tail))
        digits, head = tail[:zone_at], head + tail[zone_at:]
    moment = datetime.fromisoformat(head)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    fraction_ns = int(digits[:NANOSECOND_DIGITS].ljust(NANOSECOND_DIGITS, "0")) if digits else 0
    return int(moment.timestamp()) * NS_PER_SECOND + fraction_ns
