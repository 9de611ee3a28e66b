"""A local venue that speaks binance's spot protocol: REST with signatures, the user data stream, book tickers."""

import hashlib
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import WSMsgType, web

from engine.inputs import Refused
from engine.orders import ClosedAs, OrderKind, Side, TimeInForce
from tests.conformance.ccxt_server.backing import API_KEY, COIN, SECRET, Event, Line, LocalVenue, ServedOrder, ServedTrade

MARKET = "BTCUSD"
WINDOW_MS = 10_000
KINDS = {"MARKET": OrderKind.MARKET, "LIMIT": OrderKind.LIMIT, "STOP_LOSS": OrderKind.STOP,
         "STOP_LOSS_LIMIT": OrderKind.STOP_LIMIT}
TYPES = {kind: name for name, kind in KINDS.items()}
STATUS = {ClosedAs.CANCELED: "CANCELED", ClosedAs.EXPIRED: "EXPIRED", ClosedAs.REJECTED: "REJECTED"}


class BinanceError(Exception):
    """An error of the venue, with its code."""

    def __init__(self, code: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.status = code, status

    def response(self) -> web.Response:
        return web.json_response({"code": self.code, "msg": str(self)}, status=self.status)


class BinanceVenue(LocalVenue):
    """binance, for one account and one market."""

    orders_a_page = 500
    market_status = "TRADING"
    may_trade = True
    delisted: frozenset[str] = frozenset()
    may_withdraw = False

    def routes(self) -> None:
        router = self.app.router
        router.add_get("/api/v3/time", self.time)
        router.add_get("/api/v3/exchangeInfo", self.exchange_info)
        router.add_get("/api/v3/ticker/24hr", self.day_tickers)
        router.add_get("/api/v3/ticker/bookTicker", self.book_tickers)
        router.add_get("/api/v3/klines", self.klines)
        router.add_get("/api/v3/account", self.signed(self.account))
        router.add_post("/api/v3/order", self.signed(self.new_order))
        router.add_get("/api/v3/order", self.signed(self.query_order))
        router.add_delete("/api/v3/order", self.signed(self.cancel_order))
        router.add_get("/api/v3/openOrders", self.signed(self.open_orders))
        router.add_delete("/api/v3/openOrders", self.signed(self.cancel_open_orders))
        router.add_get("/api/v3/allOrders", self.signed(self.all_orders))
        router.add_get("/api/v3/myTrades", self.signed(self.my_trades))
        router.add_get("/sapi/v1/account/apiRestrictions", self.signed(self.key_rights))
        router.add_get("/ws-api/v3", self.user_stream)
        router.add_get("/ws/{number}", self.market_stream)

    # ---- public ----

    async def time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.backing.now_ms()})

    async def exchange_info(self, _: web.Request) -> web.Response:
        def market(base: str, quote: str) -> dict[str, Any]:
            return {
                "symbol": base + quote, "status": self.market_status, "baseAsset": base, "baseAssetPrecision": 8,
                "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
                "isSpotTradingAllowed": True, "isMarginTradingAllowed": False,
                "orderTypes": [*KINDS, "TAKE_PROFIT", "TAKE_PROFIT_LIMIT", "LIMIT_MAKER"], "permissions": ["SPOT"],
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "10000.00000000",
                     "tickSize": "0.01000000"},
                    {"filterType": "LOT_SIZE", "minQty": "0.02000000", "maxQty": "100000.00000000", "stepSize": "0.01000000"},
                    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True,
                     "maxNotional": "9000000.00000000", "avgPriceMins": 5}]}

        return web.json_response({"timezone": "UTC", "serverTime": self.backing.now_ms(), "rateLimits": [],
                                  "symbols": [market(base, "USD") for base in ("BTC", "BNB") if base not in self.delisted]})

    def _tops(self) -> list[dict[str, str]]:
        quote = self.backing.quote_now
        tops = [{"symbol": "BNBUSD", "bidPrice": "500.00000000", "bidQty": "1", "askPrice": "501.0000000", "askQty": "1",
                 "lastPrice": "500.50000000"}]
        if quote is not None:
            tops.append({"symbol": MARKET, "bidPrice": str(COIN.price(quote.bid_ticks)), "bidQty": "1.0",
                         "askPrice": str(COIN.price(quote.ask_ticks)), "askQty": "2.0",
                         "lastPrice": str(COIN.price(quote.bid_ticks))})
        return tops

    async def day_tickers(self, request: web.Request) -> web.Response:
        one = request.query.get("symbol")
        wanted = json.loads(request.query.get("symbols", "[]")) or ([one] if one else [])
        found = [top for top in self._tops() if not wanted or top["symbol"] in wanted]
        return web.json_response(found[0] if one and found else found)

    async def book_tickers(self, _: web.Request) -> web.Response:
        return web.json_response(self._tops())

    async def klines(self, request: web.Request) -> web.Response:
        """One bar a minute, half an hour or a day, up to now; the last one is not over."""
        length = {"1m": 60_000, "30m": 1_800_000, "1d": 86_400_000}[request.query["interval"]]
        last = self.backing.now_ms() // length * length
        count = int(request.query.get("limit", "500"))
        rows = [[last - length * back, "100.00", "101.00", "99.00", "100.50", "3.00", last - length * back + length - 1, "300.0",
                 9, "1.0", "100.0", "0"] for back in reversed(range(count))]
        return web.json_response(rows)

    # ---- private ----

    def signed(self, handler: Any) -> Any:
        """Check key, signature and time, then answer; errors in the venue's form."""

        async def checked(request: web.Request) -> web.Response:
            text = request.query_string or (await request.text())
            try:
                params = self._verified(request, text)
                return web.json_response(handler(params))
            except BinanceError as error:
                return error.response()

        return checked

    def _verified(self, request: web.Request, text: str) -> dict[str, str]:
        if request.headers.get("X-MBX-APIKEY") != API_KEY:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        payload, _, signature = text.rpartition("&signature=")
        if hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest() != signature:
            raise BinanceError(-1022, "Signature for this request is not valid.")
        params = dict(parse_qsl(payload))
        if abs(int(params["timestamp"]) - self.backing.now_ms()) > WINDOW_MS:
            raise BinanceError(-1021, "Timestamp for this request is outside of the recvWindow.")
        if params.get("symbol") not in (None, MARKET):
            raise BinanceError(-1121, "Invalid symbol.")
        return params

    def key_rights(self, _: dict[str, str]) -> Any:
        return {"ipRestrict": True, "enableReading": True, "enableWithdrawals": self.may_withdraw,
                "enableSpotAndMarginTrading": self.may_trade}

    def account(self, _: dict[str, str]) -> Any:
        return {"canTrade": True, "accountType": "SPOT", "updateTime": self.backing.now_ms(), "balances": [
            {"asset": asset, "free": f"{self.backing.balance(asset):.8f}", "locked": "0.00000000"}
            for asset in ("BTC", "USD", "BNB")]}

    def new_order(self, params: dict[str, str]) -> Any:
        if not self.may_trade:
            raise BinanceError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        quantity = Decimal(params["quantity"])
        client_id = params["newClientOrderId"]
        known = self.backing.by_client(client_id)
        if known is not None and known.open:
            raise BinanceError(-2010, "Duplicate order sent.")
        if quantity < Decimal("0.02") or quantity % COIN.lot_size:
            raise BinanceError(-1013, "Filter failure: LOT_SIZE")
        kind = KINDS[params["type"]]
        side = Side(params["side"])
        trigger = Decimal(params["stopPrice"]) if "stopPrice" in params else None
        if trigger is not None:
            self._refuse_passed(side, trigger)
        in_force = TimeInForce(params.get("timeInForce", "GTC").lower())
        placed = self.backing.place(client_id, side, kind, quantity, trigger=trigger, in_force=in_force,
                                    limit=Decimal(params["price"]) if "price" in params else None)
        if isinstance(placed, Refused):
            if placed.code in ("funds", "buying_power", "not_shortable"):
                raise BinanceError(-2010, "Account has insufficient balance for requested action.")
            raise BinanceError(-1013, f"Filter failure: {placed.code}")
        return {"symbol": MARKET, "orderId": placed.number, "orderListId": -1, "clientOrderId": client_id,
                "transactTime": placed.placed_ms}

    def _refuse_passed(self, side: Side, trigger: Decimal) -> None:
        quote = self.backing.quote_now
        if quote is None:
            return
        passed = (trigger >= COIN.price(quote.bid_ticks) if side is Side.SELL else trigger <= COIN.price(quote.ask_ticks))
        if passed:
            raise BinanceError(-2010, "Stop price would trigger immediately.")

    def _find(self, params: dict[str, str], code: int, text: str) -> ServedOrder:
        if "origClientOrderId" in params:
            order = self.backing.by_client(params["origClientOrderId"])
        else:
            order = self.backing.orders.get(int(params.get("orderId") or 0))
        if order is None:
            raise BinanceError(code, text)
        return order

    def query_order(self, params: dict[str, str]) -> Any:
        return self.told(self._find(params, -2013, "Order does not exist."))

    def cancel_order(self, params: dict[str, str]) -> Any:
        order = self._find(params, -2011, "Unknown order sent.")
        if not self.backing.cancel(order):
            raise BinanceError(-2011, "Unknown order sent.")
        return {**self.told(order), "origClientOrderId": order.client_id, "clientOrderId": f"cancel{order.number}"}

    def open_orders(self, params: dict[str, str]) -> Any:
        return [self.told(order) for order in self.backing.open_orders()]

    def all_orders(self, params: dict[str, str]) -> Any:
        since_ms, limit = int(params.get("startTime", 0)), int(params.get("limit", "500"))
        found = [self.told(order) for order in self.backing.orders.values() if order.placed_ms >= since_ms]
        return found[:min(limit, self.orders_a_page)]

    def cancel_open_orders(self, params: dict[str, str]) -> Any:
        orders = self.backing.open_orders()
        if not orders:
            raise BinanceError(-2011, "Unknown order sent.")
        for order in orders:
            self.backing.cancel(order)
        return [self.told(order) for order in orders]

    def my_trades(self, params: dict[str, str]) -> Any:
        found = self.backing.trades
        if "fromId" in params:
            found = [trade for trade in found if trade.number >= int(params["fromId"])]
        elif "startTime" in params:
            found = [trade for trade in found if trade.at_ms >= int(params["startTime"])]
        limit = int(params.get("limit", "500"))
        found = found[:limit] if "fromId" in params or "startTime" in params else found[-limit:]
        return [{"symbol": MARKET, "id": trade.number, "orderId": trade.order.number, "orderListId": -1,
                 "price": f"{trade.price:.8f}", "qty": f"{trade.quantity:.8f}",
                 "quoteQty": f"{trade.price * trade.quantity:.8f}", "commission": f"{trade.fee:.8f}",
                 "commissionAsset": trade.fee_currency, "time": trade.at_ms, "isBuyer": trade.fill.side is Side.BUY,
                 "isMaker": trade.fill.maker, "isBestMatch": True} for trade in found]

    def told(self, order: ServedOrder) -> dict[str, Any]:
        intent = order.intent
        return {"symbol": MARKET, "orderId": order.number, "orderListId": -1, "clientOrderId": order.client_id,
                "price": f"{COIN.price(intent.limit_ticks):.8f}", "origQty": f"{order.quantity:.8f}",
                "executedQty": f"{order.filled:.8f}", "cummulativeQuoteQty": f"{order.cost:.8f}", "status": status_of(order),
                "timeInForce": intent.time_in_force.name, "type": TYPES[intent.kind], "side": intent.side.name,
                "stopPrice": f"{COIN.price(intent.trigger_ticks):.8f}", "time": order.placed_ms, "updateTime": order.changed_ms,
                "isWorking": True, "origQuoteOrderQty": "0.00000000"}

    # ---- streams ----

    async def user_stream(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_streams:
            return web.Response(status=503)
        socket = await self.accepted(request)
        line = Line(socket)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            payload = "&".join(f"{name}={asked['params'][name]}" for name in sorted(asked["params"]) if name != "signature")
            signature = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
            if signature != asked["params"]["signature"]:
                line.send({"id": asked["id"], "status": 400, "error": {"code": -1022, "msg": "Signature is not valid."}})
                continue
            self.lines.append(line)
            line.send({"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}})
        if line in self.lines:
            self.lines.remove(line)
        await line.close()
        return socket

    def on_event(self, event: Event) -> None:
        what = {"new": "NEW", "trade": "TRADE", "closed": ""}[event.what] or status_of(event.order)
        message = {"subscriptionId": 0, "event": self._execution_report(event.order, what, event.trade)}
        for line in self.lines:
            line.send(message)

    def _execution_report(self, order: ServedOrder, what: str, trade: ServedTrade | None) -> dict[str, Any]:
        intent = order.intent
        canceled = what == "CANCELED"
        return {"e": "executionReport", "E": order.changed_ms, "s": MARKET,
                "c": f"cancel{order.number}" if canceled else order.client_id, "C": order.client_id if canceled else "",
                "S": intent.side.name, "o": TYPES[intent.kind], "f": intent.time_in_force.name, "q": f"{order.quantity:.8f}",
                "p": f"{COIN.price(intent.limit_ticks):.8f}", "P": f"{COIN.price(intent.trigger_ticks):.8f}", "g": -1,
                "x": what, "X": "NEW" if what == "NEW" else status_of(order), "r": "NONE", "i": order.number,
                "l": f"{trade.quantity:.8f}" if trade else "0", "z": f"{order.filled:.8f}" if what != "NEW" else "0",
                "L": f"{trade.price:.8f}" if trade else "0", "n": f"{trade.fee:.8f}" if trade else "0",
                "N": trade.fee_currency if trade else None, "T": trade.at_ms if trade else order.changed_ms,
                "t": trade.number if trade else -1, "w": order.open, "m": bool(trade and trade.fill.maker),
                "O": order.placed_ms, "Z": f"{order.cost:.8f}", "Y": "0", "Q": "0"}

    async def market_stream(self, request: web.Request) -> web.StreamResponse:
        socket = await self.accepted(request)
        line = Line(socket)
        self.market_lines.append(line)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                asked = json.loads(message.data)
                line.send({"result": None, "id": asked["id"]})
        if line in self.market_lines:
            self.market_lines.remove(line)
        await line.close()
        return socket

    def on_quote(self) -> None:
        quote = self.backing.quote_now
        for line in self.market_lines if quote is not None else ():
            assert quote is not None
            line.send({"u": quote.at_ns, "s": MARKET, "b": str(COIN.price(quote.bid_ticks)),
                       "B": str(COIN.quantity(quote.bid_lots)), "a": str(COIN.price(quote.ask_ticks)),
                       "A": str(COIN.quantity(quote.ask_lots))})

    def on_print(self, price: str, quantity: str, *, buyer_is_maker: bool) -> None:
        """Somebody else traded."""
        now = self.backing.now_ms()
        for line in self.market_lines:
            line.send({"e": "trade", "E": now, "s": MARKET, "t": now, "p": price, "q": quantity, "T": now,
                       "m": buyer_is_maker, "M": True})


def status_of(order: ServedOrder) -> str:
    if order.cum_lots >= order.intent.order_lots:
        return "FILLED"
    if order.closed_as is not None:
        at_once = order.intent.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
        return "EXPIRED" if at_once else STATUS[order.closed_as]
    return "PARTIALLY_FILLED" if order.cum_lots else "NEW"
