"""Reading the venue to the end: every page, every list, or an exception; half an answer is never one."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from brokers.ccxt_venue.answers import is_a
from brokers.ccxt_venue.fills import Execution, execution_of, in_order
from brokers.ccxt_venue.known_orders import KnownOrder, KnownOrders
from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import NS_PER_MS
from brokers.ccxt_venue.profiles import Lookup, Paging
from brokers.ccxt_venue.session import Session
from engine.errors import VenueUnreachable
from engine.units import Nanoseconds

log = logging.getLogger("quarterdeck.ccxt")

MAX_PAGES = 1_000
LOOKBACK_MS = 3 * 86_400_000
ORDERS_A_PAGE = 100
IDS_A_REQUEST = 20


class Queries:
    """Questions to one account's venue; they raise what ccxt raises."""

    def __init__(self, session: Session, listing: Listing, known: KnownOrders) -> None:
        self._session, self._listing, self._known = session, listing, known
        self.page_limit = session.profile.page_limit
        self._taken_down: set[str] = set()

    # ---- orders ----

    async def open_orders(self, symbols: Iterable[str] | None = None) -> list[Any]:
        """Every open order of the account, or of some symbols; foreign ones and, where the venue tells them together, those
        of unlisted symbols too."""
        if symbols is None and symbol_required(self._session.exchange.features):
            symbols = list(self._listing.instruments)
        if symbols is None or not self._session.profile.trades_need_symbol:
            found = await self._order_pages("fetch_open_orders", None, None)
            wanted = None if symbols is None else set(symbols)
            return [order for order in found if wanted is None or order.get("symbol") in wanted]
        return [order for symbol in symbols for order in await self._order_pages("fetch_open_orders", symbol, None)]

    async def order_by_client(self, client_order_id: str, *, not_open: bool = False) -> Any | None:
        """One order by our id, open or closed; None where a complete search did not find it. `not_open` says that the list of
        open orders was just read without it."""
        wire_id = self._session.profile.wire_ids.outward(client_order_id)
        if wire_id is None:
            return None
        known = self._known.by_client(client_order_id)
        lookup = self._session.profile.lookup
        if lookup is Lookup.BY_CLIENT_ID:
            return await self._by_client_id(wire_id, known)
        if lookup is Lookup.FILTERED_LISTS:
            return await self._in_filtered_lists(wire_id, known, not_open=not_open)
        return await self._in_lists(wire_id, known)

    async def order_by_venue(self, venue_order_id: str, symbol: str | None) -> Any | None:
        """One order by the venue's id; None where the venue does not know it."""
        try:
            return await self._session.call(self._session.exchange.fetch_order, venue_order_id, symbol)
        except Exception as error:
            if is_a(error, "OrderNotFound"):
                return None
            raise

    async def orders_by_venue(self, venue_order_ids: Sequence[str]) -> dict[str, Any]:
        """Many orders by the venue's ids with few requests, where the venue allows it; what it does not know is left out."""
        if not hasattr(self._session.exchange, "fetch_orders_by_ids"):
            return {}
        found: dict[str, Any] = {}
        for first in range(0, len(venue_order_ids), IDS_A_REQUEST):
            page = await self._session.call(self._session.exchange.fetch_orders_by_ids,
                                            list(venue_order_ids[first:first + IDS_A_REQUEST]))
            found.update({str(order.get("id")): order for order in page})
        return found

    async def _by_client_id(self, wire_id: str, known: KnownOrder | None) -> Any | None:
        exchange = self._session.exchange
        for symbol in [known.symbol] if known else list(self._listing.instruments):
            try:
                return await self._session.call(exchange.fetch_order, "", symbol, {"clientOrderId": wire_id})
            except Exception as error:
                if not is_a(error, "OrderNotFound", "BadSymbol"):
                    raise
        return None

    async def _in_filtered_lists(self, wire_id: str, known: KnownOrder | None, *, not_open: bool) -> Any | None:
        """By the venue's id where it is known, since that is cheaper; otherwise among the open orders first: one that closes
        in between is found in the second list."""
        if known is not None and known.venue_order_id:
            return await self.order_by_venue(known.venue_order_id, known.symbol)
        exchange = self._session.exchange
        for method in (exchange.fetch_open_orders, exchange.fetch_closed_orders)[not_open:]:
            found = await self._session.call(method, None, None, None, {"clientOrderId": wire_id})
            for order in found:
                if raw_client_id(order) in (wire_id, ""):
                    return order
        return None

    async def _in_lists(self, wire_id: str, known: KnownOrder | None) -> Any | None:
        if known is not None and known.venue_order_id:
            found = await self.order_by_venue(known.venue_order_id, known.symbol)
            if found is not None:
                return found
        since_ms = time.time_ns() // NS_PER_MS - LOOKBACK_MS
        symbols: Sequence[str | None] = [known.symbol] if known else [None]
        if known is None and self._session.profile.trades_need_symbol:
            symbols = list(self._listing.instruments)
        for method in self._list_methods():
            for symbol in symbols:
                orders = await self._order_pages(method, symbol, None if method == "fetch_open_orders" else since_ms)
                for order in orders:
                    if raw_client_id(order) == wire_id:
                        return order
        return None

    def _list_methods(self) -> list[str]:
        has = self._session.exchange.has
        methods = ["fetch_open_orders"]
        if has.get("fetchOrders") is True:
            return [*methods, "fetch_orders"]
        methods += ["fetch_closed_orders"] if has.get("fetchClosedOrders") else []
        methods += ["fetch_canceled_orders"] if has.get("fetchCanceledOrders") else []
        return methods

    async def _order_pages(self, method: str, symbol: str | None, since_ms: int | None) -> list[Any]:
        """A list of orders to its end: by the venue's names for the pages, or from the time of the last one on."""
        exchange = self._session.exchange
        named = self._session.profile.paging is Paging.CURSOR
        limit = (self.page_limit or ORDERS_A_PAGE) if named else None
        found: dict[str, Any] = {}
        cursor = ""
        for _ in range(MAX_PAGES):
            params = {"cursor": cursor} if cursor else {}
            page = await self._session.call(getattr(exchange, method), symbol, since_ms, limit, params)
            fresh = {str(order.get("id")): order for order in page if str(order.get("id")) not in found}
            found.update(fresh)
            following = cursor_of(page)
            if named and following and following != cursor:
                cursor = following
            elif named or since_ms is None or not fresh:
                return list(found.values())
            else:
                since_ms = max(int(order.get("timestamp") or since_ms) for order in page)
        raise VenueUnreachable(f"{self._session.exchange_id}: a list of orders does not end")

    # ---- fills ----

    async def executions(self, since_ns: Nanoseconds, symbols: Iterable[str] | None = None) -> list[Execution]:
        """Every execution of the listed symbols since a time, oldest first, each once."""
        wanted = list(self._listing.instruments if symbols is None else symbols)
        if not wanted:
            return []
        found: list[Execution] = []
        for symbol in wanted if self._session.profile.trades_need_symbol else [None]:
            for trade in await self._trades_of(symbol, since_ns // NS_PER_MS):
                execution = execution_of(trade)
                if execution is None and trade.get("symbol") in (None, "", *wanted):
                    raise VenueUnreachable(f"{self._session.exchange_id}: an execution could not be read")
                if execution is not None and execution.symbol in wanted and execution.at_ns >= since_ns:
                    found.append(execution)
        return in_order(found)

    async def _trades_of(self, symbol: str | None, since_ms: int) -> list[Any]:
        """All pages; none of a market that the venue has taken down meanwhile, which must not cost the report of all others."""
        try:
            return await self._trade_pages(symbol, since_ms)
        except Exception as error:
            if symbol is None or not is_a(error, "BadSymbol"):
                raise
            if symbol not in self._taken_down:
                log.warning("%s knows %s no more; its fills are not told", self._session.exchange_id, symbol)
            self._taken_down.add(symbol)
            return []

    async def _trade_pages(self, symbol: str | None, since_ms: int) -> list[Any]:
        found: dict[str, Any] = {}
        page: list[Any] = []
        cursor = ""
        for number in range(MAX_PAGES):
            since, params = self._page_request(number, since_ms, page, len(found), cursor)
            page = await self._session.call(self._session.exchange.fetch_my_trades, symbol, since, self.page_limit, params)
            fresh = {str(trade.get("id")): trade for trade in page if str(trade.get("id")) not in found}
            found.update(fresh)
            following = cursor_of(page)
            if self._session.profile.paging is Paging.CURSOR:
                if not following or following == cursor:
                    return list(found.values())
                cursor = following
            elif not fresh or (self.page_limit is not None and len(page) < self.page_limit):
                return list(found.values())
        raise VenueUnreachable(f"{self._session.exchange_id}: the list of fills does not end")

    def _page_request(self, number: int, since_ms: int, page: list[Any], count: int,
                      cursor: str) -> tuple[int | None, dict[str, Any]]:
        """Where a page begins: a time in milliseconds, and the venue's own way to go on."""
        match self._session.profile.paging:
            case Paging.FROM_ID if number:
                return None, {"fromId": max(int(trade["id"]) for trade in page) + 1}
            case Paging.FROM_ID:
                return (since_ms, {}) if since_ms else (None, {"fromId": 0})
            case Paging.OFFSET:  # the venue counts in seconds and leaves the first one out
                start_ms = max(0, since_ms // 1_000 - 1) * 1_000
                return start_ms or None, {"ofs": count} if number else {}
            case Paging.CURSOR:
                return since_ms or None, {"cursor": cursor} if cursor else {}
            case _:
                newest = max((int(trade["timestamp"] or 0) for trade in page), default=since_ms)
                return newest or None, {}


def symbol_required(features: Any) -> bool:
    """Whether ccxt says that open orders are told symbol by symbol only."""
    listed = ((features or {}).get("spot") or {}).get("fetchOpenOrders") or {}
    return bool(listed.get("symbolRequired"))


def raw_client_id(order: Any) -> str:
    """The id that whoever placed an order gave it, as the venue has it."""
    info = order.get("info") or {}
    return str(info.get("cl_ord_id") or order.get("clientOrderId") or "")


def cursor_of(page: Iterable[Any]) -> str:
    """The name of the next page, which ccxt leaves in one of the entries."""
    for entry in page:
        info = entry.get("info")
        if isinstance(info, dict) and info.get("cursor"):
            return str(info["cursor"])
    return ""
