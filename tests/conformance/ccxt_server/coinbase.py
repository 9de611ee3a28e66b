"""A local venue that speaks coinbase's advanced trade protocol: REST and streams signed by a key of elliptic curves."""

import base64
import json
from decimal import Decimal
from functools import cache
from typing import Any

from aiohttp import WSMsgType, web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from engine.inputs import Refused
from engine.orders import ClosedAs, OrderKind, Side, TimeInForce
from tests.conformance.ccxt_server.backing import COIN, Event, Line, LocalVenue, ServedOrder, ServedTrade
from tests.conformance.ccxt_server.kraken import iso

PRODUCT = "BTC-USD"
KEY_NAME = "organizations/11111111-2222/apiKeys/33333333-4444"
IN_FORCE = {TimeInForce.GTC: "GOOD_UNTIL_CANCELLED", TimeInForce.IOC: "IMMEDIATE_OR_CANCEL", TimeInForce.FOK: "FILL_OR_KILL"}
CONFIGURATIONS = {"market_market_ioc": (OrderKind.MARKET, TimeInForce.GTC), "limit_limit_gtc": (OrderKind.LIMIT, TimeInForce.GTC),
                  "sor_limit_ioc": (OrderKind.LIMIT, TimeInForce.IOC), "limit_limit_fok": (OrderKind.LIMIT, TimeInForce.FOK)}


@cache
def private_key() -> ec.EllipticCurvePrivateKey:
    """The key of the local server's only client, the same in every process."""
    return ec.derive_private_key(20_240_601, ec.SECP256R1())


@cache
def secret() -> str:
    return private_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                       serialization.NoEncryption()).decode()


def key_source() -> tuple[str, str, str | None]:
    return KEY_NAME, secret(), None


class CoinbaseVenue(LocalVenue):
    """coinbase, for one account and one market."""

    def routes(self) -> None:
        self.configurations: dict[int, dict[str, Any]] = {}
        router, base = self.app.router, "/api/v3/brokerage"
        router.add_get("/v2/time", self.time)
        router.add_get(f"{base}/market/products", self.products)
        router.add_get(f"{base}/transaction_summary", self.signed(self.fees))
        router.add_get(f"{base}/accounts", self.signed(self.accounts))
        router.add_post(f"{base}/orders", self.signed(self.new_order))
        router.add_post(f"{base}/orders/batch_cancel", self.signed(self.batch_cancel))
        router.add_get(f"{base}/orders/historical/batch", self.signed(self.list_orders))
        router.add_get(f"{base}/orders/historical/fills", self.signed(self.fills))
        router.add_get(f"{base}/orders/historical/{{id}}", self.signed(self.one_order))
        router.add_get("/", self.stream)

    # ---- public ----

    async def time(self, _: web.Request) -> web.Response:
        return web.json_response({"data": {"iso": iso(self.backing.now_ms()), "epoch": self.backing.now_ms() // 1_000}})

    async def products(self, request: web.Request) -> web.Response:
        if request.query.get("product_type") == "FUTURE":
            return web.json_response({"products": []})
        quote = self.backing.quote_now
        bid = str(COIN.price(quote.bid_ticks)) if quote else "0"
        return web.json_response({"products": [{
            "product_id": PRODUCT, "price": bid, "base_increment": "0.01", "quote_increment": "0.01", "price_increment": "0.01",
            "base_min_size": "0.02", "base_max_size": "100000", "quote_min_size": "5", "quote_max_size": "50000000",
            "base_currency_id": "BTC", "quote_currency_id": "USD", "product_type": "SPOT", "trading_disabled": False,
            "status": "online", "alias_to": []}]})

    # ---- private ----

    def signed(self, handler: Any) -> Any:
        async def checked(request: web.Request) -> web.Response:
            if not verified(request.headers.get("Authorization", "").removeprefix("Bearer ")):
                return web.json_response({"error": "unauthorized", "message": "invalid token"}, status=401)
            params = dict(request.query) if request.method == "GET" else json.loads(await request.text())
            return web.json_response(handler({**params, **request.match_info}))

        return checked

    def fees(self, _: dict[str, Any]) -> Any:
        return {"fee_tier": {"pricing_tier": "", "taker_fee_rate": "0.001", "maker_fee_rate": "0.0005"}}

    def accounts(self, _: dict[str, Any]) -> Any:
        return {"has_next": False, "cursor": "", "accounts": [{
            "uuid": currency, "currency": currency, "type": kind, "ready": True,
            "available_balance": {"value": f"{self.backing.balance(currency):.16f}", "currency": currency},
            "hold": {"value": "0", "currency": currency}}
            for currency, kind in (("BTC", "ACCOUNT_TYPE_CRYPTO"), ("USD", "ACCOUNT_TYPE_FIAT"))]}

    def new_order(self, params: dict[str, Any]) -> Any:
        client_id = params["client_order_id"]
        known = self.backing.by_client(client_id)
        if known is None:
            ((name, terms),) = params["order_configuration"].items()
            kind, in_force = CONFIGURATIONS[name]
            if "base_size" not in terms:
                return failed("UNSUPPORTED_ORDER_CONFIGURATION", "a market order in money is not served here")
            placed = self.backing.place(client_id, Side(params["side"]), kind, Decimal(terms["base_size"]), in_force=in_force,
                                        limit=Decimal(terms["limit_price"]) if "limit_price" in terms else None)
            if isinstance(placed, Refused):
                return failed("INSUFFICIENT_FUND", "Insufficient balance in source account")
            known = placed
            self.configurations[known.number] = params["order_configuration"]
        return {"success": True, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": order_id(known), "success_response": {
            "order_id": order_id(known), "product_id": PRODUCT, "side": params["side"], "client_order_id": client_id},
            "order_configuration": params["order_configuration"]}

    def batch_cancel(self, params: dict[str, Any]) -> Any:
        results = []
        for wanted in params["order_ids"]:
            order = self._by_id(wanted)
            done = order is not None and self.backing.cancel(order)
            reason = "UNKNOWN_CANCEL_FAILURE_REASON" if done else "UNKNOWN_CANCEL_ORDER"
            results.append({"success": done, "failure_reason": reason, "order_id": wanted})
        return {"results": results}

    def _by_id(self, wanted: str) -> ServedOrder | None:
        return next((order for order in self.backing.orders.values() if order_id(order) == wanted), None)

    def list_orders(self, params: dict[str, Any]) -> Any:
        found = [order for order in reversed(list(self.backing.orders.values()))
                 if params.get("order_status") in (None, status_of(order))]
        page, cursor = paged(found, params)
        return {"orders": [self.told(order) for order in page], "has_next": bool(cursor), "cursor": cursor}

    def one_order(self, params: dict[str, Any]) -> Any:
        order = self._by_id(params["id"])
        if order is None:
            return {"error": "unknown", "message": "order with this orderID was not found"}
        return {"order": self.told(order)}

    def fills(self, params: dict[str, Any]) -> Any:
        start = params.get("start_sequence_timestamp", "")
        found = [trade for trade in reversed(self.backing.trades) if iso(trade.at_ms)[:23] >= start[:23]]
        page, cursor = paged(found, params)
        return {"fills": [self._told_fill(trade) for trade in page], "cursor": cursor}

    def _told_fill(self, trade: ServedTrade) -> dict[str, Any]:
        return {"entry_id": trade_id(trade.number), "trade_id": trade_id(trade.number), "order_id": order_id(trade.order),
                "trade_time": iso(trade.at_ms), "trade_type": "FILL", "price": str(trade.price), "size": str(trade.quantity),
                "commission": str(trade.fee), "product_id": PRODUCT, "sequence_timestamp": iso(trade.at_ms),
                "liquidity_indicator": "MAKER" if trade.fill.maker else "TAKER", "size_in_quote": False,
                "side": trade.fill.side.name}

    def told(self, order: ServedOrder) -> dict[str, Any]:
        intent = order.intent
        return {"order_id": order_id(order), "product_id": PRODUCT, "client_order_id": order.client_id,
                "order_configuration": self.configurations.get(order.number, {}), "side": intent.side.name,
                "status": status_of(order), "time_in_force": IN_FORCE[intent.time_in_force],
                "created_time": iso(order.placed_ms), "filled_size": str(order.filled), "filled_value": str(order.cost),
                "average_filled_price": str(order.average), "total_fees": str(order.fee), "number_of_fills": "0",
                "order_type": "MARKET" if intent.kind is OrderKind.MARKET else "LIMIT", "product_type": "SPOT",
                "reject_reason": "REJECT_REASON_UNSPECIFIED", "cancel_message": "", "settled": not order.open}

    # ---- stream ----

    async def stream(self, request: web.Request) -> web.StreamResponse:
        if self.refuses_streams:
            return web.Response(status=503)
        socket = await self.accepted(request)
        line = Line(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self._subscribe(line, json.loads(message.data))
        for lines in (self.lines, self.market_lines):
            if line in lines:
                lines.remove(line)
        await line.close()
        return socket

    def _subscribe(self, line: Line, asked: dict[str, Any]) -> None:
        if asked["channel"] == "user":
            if not verified(asked.get("jwt", "")):
                line.send({"type": "error", "message": "authentication failure"})
                return
            self.lines.append(line)
        else:
            self.market_lines.append(line)
        line.send({"channel": "subscriptions", "sequence_num": 0, "events": [{"subscriptions": {asked["channel"]: [PRODUCT]}}]})

    def on_event(self, event: Event) -> None:
        order = event.order
        message = {"channel": "user", "timestamp": iso(order.changed_ms), "events": [{"type": "update", "orders": [{
            "order_id": order_id(order), "client_order_id": order.client_id, "cumulative_quantity": str(order.filled),
            "leaves_quantity": str(order.quantity - order.filled), "avg_price": str(order.average), "total_fees": str(order.fee),
            "status": status_of(order), "product_id": PRODUCT, "creation_time": iso(order.placed_ms),
            "order_side": order.intent.side.name, "order_type": "Limit"}]}]}
        for line in self.lines:
            line.send(message)

    def on_quote(self) -> None:
        quote = self.backing.quote_now
        for line in self.market_lines if quote is not None else ():
            assert quote is not None
            line.send({"channel": "ticker", "timestamp": iso(self.backing.now_ms()), "events": [{"type": "update", "tickers": [{
                "type": "ticker", "product_id": PRODUCT, "price": str(COIN.price(quote.bid_ticks)),
                "best_bid": str(COIN.price(quote.bid_ticks)), "best_bid_quantity": str(COIN.quantity(quote.bid_lots)),
                "best_ask": str(COIN.price(quote.ask_ticks)), "best_ask_quantity": str(COIN.quantity(quote.ask_lots))}]}]})


def failed(code: str, text: str) -> dict[str, Any]:
    return {"success": False, "failure_reason": "UNKNOWN_FAILURE_REASON", "order_id": "", "error_response": {
        "error": code, "message": text, "error_details": "", "preview_failure_reason": f"PREVIEW_{code}"}}


def paged[T](found: list[T], params: dict[str, Any]) -> tuple[list[T], str]:
    """A page, and the name of the next where there is one."""
    first, limit = int(params.get("cursor") or 0), int(params.get("limit") or 100)
    return found[first:first + limit], str(first + limit) if first + limit < len(found) else ""


def verified(token: str) -> bool:
    """Whether a token was signed with our client's key."""
    try:
        head, body, signature = token.split(".")
        raw = decoded(signature)
        pair = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        private_key().public_key().verify(pair, f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
        return bool(json.loads(decoded(body))["sub"] == KEY_NAME)
    except (ValueError, InvalidSignature):
        return False


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def status_of(order: ServedOrder) -> str:
    if order.cum_lots >= order.intent.order_lots:
        return "FILLED"
    return {None: "OPEN", ClosedAs.EXPIRED: "EXPIRED", ClosedAs.REJECTED: "FAILED"}.get(order.closed_as, "CANCELLED")


def order_id(order: ServedOrder) -> str:
    return f"00000000-0000-4000-8000-{order.number:012d}"


def trade_id(number: int) -> str:
    return f"99999999-0000-4000-8000-{number:012d}"
