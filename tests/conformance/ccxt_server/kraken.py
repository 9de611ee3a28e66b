"""A local venue that speaks kraken's spot protocol: signed and numbered REST, executions by websocket (version 2)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from engine.inputs import Refused
from engine.orders import ClosedAs, OrderKind, Side, TimeInForce
from tests.conformance.ccxt_server.backing import API_KEY, COIN, SECRET, Event, Line, LocalVenue, ServedOrder, ServedTrade

PAIR, ALTNAME, SYMBOL = "XXBTZUSD", "XBTUSD", "BTC/USD"
PAGE = 50
KINDS = {"market": OrderKind.MARKET, "limit": OrderKind.LIMIT, "stop-loss": OrderKind.STOP,
         "stop-loss-limit": OrderKind.STOP_LIMIT}
TYPES = {kind: name for name, kind in KINDS.items()}
TOKEN = "token-of-the-local-server"  # noqa: S105
CLOSED = {ClosedAs.CANCELED: "canceled", ClosedAs.EXPIRED: "expired", ClosedAs.REJECTED: "canceled"}


class KrakenError(Exception):
    """An error of the venue, in its words."""


class KrakenVenue(LocalVenue):
    """kraken, for one account and one market."""

    def routes(self) -> None:
        self._nonce = 0
        self.app.router.add_get("/0/public/{what}", self.public)
        self.app.router.add_post("/0/private/{what}", self.private)
        self.app.router.add_get("/v2", self.stream)

    # ---- public ----

    async def public(self, request: web.Request) -> web.Response:
        answers = {"Time": self._time, "Assets": self._assets, "AssetPairs": self._pairs, "Ticker": self._ticker}
        return web.json_response({"error": [], "result": answers[request.match_info["what"]]()})

    def _time(self) -> Any:
        return {"unixtime": self.backing.now_ms() // 1_000, "rfc1123": ""}

    def _assets(self) -> Any:
        return {"XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "display_decimals": 5, "status": "enabled"},
                "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "display_decimals": 2, "status": "enabled"}}

    def _pairs(self) -> Any:
        return {PAIR: {"altname": ALTNAME, "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
                       "aclass_quote": "currency", "quote": "ZUSD", "pair_decimals": 2, "cost_decimals": 5, "lot_decimals": 2,
                       "lot_multiplier": 1, "leverage_buy": [], "leverage_sell": [], "fees": [[0, 0.1]],
                       "fees_maker": [[0, 0.05]], "fee_volume_currency": "ZUSD", "ordermin": "0.02", "costmin": "5",
                       "tick_size": "0.01", "status": "online"}}

    def _ticker(self) -> Any:
        quote = self.backing.quote_now
        if quote is None:
            return {}
        bid, ask = str(COIN.price(quote.bid_ticks)), str(COIN.price(quote.ask_ticks))
        return {PAIR: {"a": [ask, "1", "1.0"], "b": [bid, "1", "1.0"], "c": [bid, "0.1"], "v": ["1", "1"], "p": ["1", "1"],
                       "t": [1, 1], "l": [bid, bid], "h": [ask, ask], "o": bid}}

    # ---- private ----

    async def private(self, request: web.Request) -> web.Response:
        text = await request.text()
        try:
            params = self._verified(request, text)
            answers = {"BalanceEx": self._balances, "AddOrder": self._add, "CancelOrder": self._cancel,
                       "CancelAll": self._cancel_all, "OpenOrders": self._open, "ClosedOrders": self._closed,
                       "QueryOrders": self._query, "TradesHistory": self._trades, "GetWebSocketsToken": self._token}
            return web.json_response({"error": [], "result": answers[request.match_info["what"]](params)})
        except KrakenError as error:
            return web.json_response({"error": [str(error)]})

    def _verified(self, request: web.Request, text: str) -> dict[str, str]:
        if request.headers.get("API-Key") != API_KEY:
            raise KrakenError("EAPI:Invalid key")
        params = dict(parse_qsl(text))
        nonce = params["nonce"]
        digest = hashlib.sha256((nonce + text).encode()).digest()
        signature = hmac.new(base64.b64decode(SECRET), request.path.encode() + digest, hashlib.sha512).digest()
        if base64.b64encode(signature).decode() != request.headers.get("API-Sign"):
            raise KrakenError("EAPI:Invalid signature")
        if int(nonce) <= self._nonce and not self.backing.forgets_numbers:
            raise KrakenError("EAPI:Invalid nonce")
        self.backing.forgets_numbers = False
        self._nonce = int(nonce)
        return params

    def _token(self, _: dict[str, str]) -> Any:
        return {"token": TOKEN, "expires": 900}

    def _balances(self, _: dict[str, str]) -> Any:
        return {"XXBT": {"balance": f"{self.backing.balance('BTC'):.10f}", "hold_trade": "0.0000000000"},
                "ZUSD": {"balance": f"{self.backing.balance('USD'):.8f}", "hold_trade": "0.00000000"}}

    def _add(self, params: dict[str, str]) -> Any:
        wire_id = params.get("cl_ord_id", "")
        hexadecimal = len(wire_id) == 32 and all(each in "0123456789abcdef" for each in wire_id)
        if len(wire_id) > 18 and not hexadecimal:
            raise KrakenError("EGeneral:Invalid arguments:cl_ord_id")
        known = self.backing.by_client(wire_id) if wire_id else None
        if known is not None and known.open:
            raise KrakenError("EOrder:Duplicate cl_ord_id")
        if params.get("oflags") != "fciq":
            raise KrakenError("EGeneral:Invalid arguments:oflags")
        kind = KINDS[params["ordertype"]]
        prices = {"limit": None, "trigger": None} | {
            OrderKind.LIMIT: {"limit": params.get("price")}, OrderKind.STOP: {"trigger": params.get("price")},
            OrderKind.STOP_LIMIT: {"trigger": params.get("price"), "limit": params.get("price2")}}.get(kind, {})
        placed = self.backing.place(
            wire_id, Side(params["type"].upper()), kind, Decimal(params["volume"]),
            limit=Decimal(prices["limit"]) if prices["limit"] else None,
            trigger=Decimal(prices["trigger"]) if prices["trigger"] else None,
            in_force=TimeInForce(params.get("timeinforce", "GTC").lower()))
        if isinstance(placed, Refused):
            raise KrakenError("EOrder:Order minimum not met" if placed.code.startswith("min")
                              else "EOrder:Insufficient funds")
        return {"txid": [order_id(placed)], "descr": {"order": described(params)}}

    def _named(self, params: dict[str, str]) -> ServedOrder | None:
        if "cl_ord_id" in params:
            return self.backing.by_client(params["cl_ord_id"])
        return next((order for order in self.backing.orders.values() if order_id(order) == params.get("txid")), None)

    def _cancel(self, params: dict[str, str]) -> Any:
        order = self._named(params)
        if order is None or not self.backing.cancel(order):
            raise KrakenError("EOrder:Unknown order")
        return {"count": 1}

    def _cancel_all(self, _: dict[str, str]) -> Any:
        orders = self.backing.open_orders()
        for order in orders:
            self.backing.cancel(order)
        return {"count": len(orders)}

    def _filtered(self, orders: list[ServedOrder], params: dict[str, str]) -> dict[str, Any]:
        wire_id = params.get("cl_ord_id")
        return {order_id(order): told(order) for order in orders if wire_id in (None, order.client_id)}

    def _open(self, params: dict[str, str]) -> Any:
        return {"open": self._filtered(self.backing.open_orders(), params)}

    def _closed(self, params: dict[str, str]) -> Any:
        closed = self._filtered([order for order in self.backing.orders.values() if not order.open], params)
        return {"closed": closed, "count": len(closed)}

    def _query(self, params: dict[str, str]) -> Any:
        wanted = params["txid"].split(",")
        found = [order for order in self.backing.orders.values() if order_id(order) in wanted]
        if not found:
            raise KrakenError("EOrder:Invalid order")
        return {order_id(order): told(order) for order in found}

    def _trades(self, params: dict[str, str]) -> Any:
        start_ms, offset = int(params.get("start", 0)) * 1_000, int(params.get("ofs", 0))
        found = [trade for trade in reversed(self.backing.trades) if trade.at_ms > start_ms]
        return {"count": len(found), "trades": {trade_id(trade.number): {
            "ordertxid": order_id(trade.order), "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": PAIR, "time": trade.at_ms / 1_000,
            "type": trade.fill.side.name.lower(), "ordertype": TYPES[trade.order.intent.kind], "price": f"{trade.price:.5f}",
            "cost": f"{trade.price * trade.quantity:.5f}", "fee": f"{trade.fee:.8f}", "vol": f"{trade.quantity:.8f}",
            "margin": "0.00000", "leverage": "0", "misc": "", "maker": trade.fill.maker, "trade_id": trade.number,
        } for trade in found[offset:offset + PAGE]}}

    # ---- stream ----

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_streams:
            return web.Response(status=503)
        socket = await self.accepted(request)
        line = Line(socket)
        line.send({"channel": "status", "type": "update", "data": [{"system": "online", "api_version": "v2"}]})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._subscribe(line, json.loads(message.data))
        for lines in (self.lines, self.market_lines):
            if line in lines:
                lines.remove(line)
        await line.close()
        return socket

    def _subscribe(self, line: Line, asked: dict[str, Any]) -> None:
        if asked.get("method") == "ping" and not self.deaf:
            line.send({"method": "pong", "req_id": asked.get("req_id")})
        if asked.get("method") != "subscribe":
            return
        params = asked["params"]
        if params["channel"] == "executions" and params.get("token") != TOKEN:
            line.send({"error": "EAPI:Invalid session", "method": "subscribe", "req_id": asked["req_id"], "success": False})
            return
        line.send({"method": "subscribe", "req_id": asked["req_id"], "result": {"channel": params["channel"]}, "success": True})
        if params["channel"] != "executions":
            self.market_lines.append(line)
            return
        self.lines.append(line)
        history = [self._executed(trade) for trade in self.backing.trades[-PAGE:]]
        line.send({"channel": "executions", "type": "snapshot", "sequence": 1, "data": history})

    def on_event(self, event: Event) -> None:
        order = event.order
        if event.trade is not None:
            data = [self._executed(event.trade)]
            if not order.open and order.closed_as is None:
                data.append({"exec_type": "filled", "order_status": "filled", **self._named_terms(order)})
        elif event.what == "new":
            data = [{"exec_type": "new", "order_status": "new", "order_qty": float(order.quantity), **self._named_terms(order)}]
        else:
            word = CLOSED[order.closed_as or ClosedAs.CANCELED]
            data = [{"exec_type": word, "order_status": word, "reason": "User requested", **self._named_terms(order)}]
        for line in self.lines:
            line.send({"channel": "executions", "type": "update", "sequence": 2, "data": data})

    def _named_terms(self, order: ServedOrder) -> dict[str, Any]:
        return {"order_id": order_id(order), "cl_ord_id": order.client_id, "symbol": SYMBOL, "cum_qty": float(order.filled),
                "side": order.intent.side.name.lower(), "order_type": TYPES[order.intent.kind],
                "timestamp": iso(order.changed_ms)}

    def _executed(self, trade: ServedTrade) -> dict[str, Any]:
        order = trade.order
        return {"exec_type": "trade", "exec_id": trade_id(trade.number), "trade_id": trade.number,
                "last_qty": float(trade.quantity), "last_price": float(trade.price), "cost": float(trade.price * trade.quantity),
                "liquidity_ind": "m" if trade.fill.maker else "t", "fees": [{"asset": "USD", "qty": float(trade.fee)}],
                "order_status": "partially_filled" if order.open else "filled", **self._named_terms(order),
                "timestamp": iso(trade.at_ms)}

    def on_quote(self) -> None:
        quote = self.backing.quote_now
        for line in self.market_lines if quote is not None else ():
            assert quote is not None
            line.send({"channel": "ticker", "type": "update", "data": [{
                "symbol": SYMBOL, "bid": float(COIN.price(quote.bid_ticks)), "bid_qty": float(COIN.quantity(quote.bid_lots)),
                "ask": float(COIN.price(quote.ask_ticks)), "ask_qty": float(COIN.quantity(quote.ask_lots)),
                "last": float(COIN.price(quote.bid_ticks)), "volume": 1.0, "vwap": 100.0, "low": 1.0, "high": 200.0,
                "change": 0.0, "change_pct": 0.0}]})


def described(params: dict[str, str]) -> str:
    """An order in the venue's words."""
    price, price2 = params.get("price"), params.get("price2")
    how = {"market": "market", "limit": f"limit {price}", "stop-loss": f"stop loss {price}",
           "stop-loss-limit": f"stop loss {price} -> limit {price2}"}[params["ordertype"]]
    return f"{params['type']} {params['volume']} {ALTNAME} @ {how}"


def iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1_000:03d}000Z"


def order_id(order: ServedOrder) -> str:
    return f"O{order.number:05d}-AAAAA-BBBBBB"


def trade_id(number: int) -> str:
    return f"T{number:05d}-CCCCC-DDDDDD"


def told(order: ServedOrder) -> dict[str, Any]:
    intent = order.intent
    limit, trigger = str(COIN.price(intent.limit_ticks)), str(COIN.price(intent.trigger_ticks))
    stop = intent.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
    status = "open" if order.open else CLOSED[order.closed_as] if order.closed_as else "closed"
    return {"refid": None, "userref": 0, "cl_ord_id": order.client_id, "status": status, "opentm": order.placed_ms / 1_000,
            "starttm": 0, "expiretm": 0, "closetm": order.changed_ms / 1_000,
            "descr": {"pair": ALTNAME, "type": intent.side.name.lower(), "ordertype": TYPES[intent.kind], "leverage": "none",
                      "price": trigger if stop else limit, "price2": limit if intent.kind is OrderKind.STOP_LIMIT else "0",
                      "order": "", "close": ""},
            "vol": f"{order.quantity:.8f}", "vol_exec": f"{order.filled:.8f}", "cost": f"{order.cost:.5f}",
            "fee": f"{order.fee:.8f}", "price": f"{order.average:.5f}", "stopprice": "0.00000", "limitprice": "0.00000",
            "misc": "", "oflags": "fciq", "reason": None}
