"""A local Alpaca: the endpoints and the two stream protocols that the adapter uses, with faults on demand."""

import asyncio
import json
from collections import deque
from decimal import Decimal
from typing import Any, NamedTuple

import msgpack
from aiohttp import WSMsgType, web

from engine.instruments import AssetClass, Instrument
from tests.conformance.alpaca_server.account import ServedAccount
from tests.conformance.alpaca_server.words import asset_id_of, error, stamp

KEY = ("PKTESTKEYID", "a-very-secret-secret")


class PlannedFault(NamedTuple):
    """What a request gets instead of its answer; `after` means that it is carried out first.

    `status` 0 hangs until the server ends, -1 closes the connection without a word. `truncated` sends half of the answer,
    `again` what the venue says to the same request a second time."""

    method: str
    path: str
    status: int
    body: str = '{"code": 50010000, "message": "internal server error occurred"}'
    headers: tuple[tuple[str, str], ...] = ()
    after: bool = False
    truncated: bool = False
    again: bool = False


class AlpacaServer:
    """Listens on this machine while it is open."""

    def __init__(self, instruments: list[Instrument], at_ns: int) -> None:
        self.account = ServedAccount(instruments, self._publish, at_ns)
        self.requests: list[tuple[str, str, str]] = []
        self.faults: list[PlannedFault] = []
        self.bars: dict[str, list[dict[str, Any]]] = {}
        self.articles: list[dict[str, Any]] = []
        self.frames_sent = 0
        self.repeat_events = False
        self.hold_events = False
        self.mute_events = False
        self.refuse_streams = False
        self.deaf = False
        self.listeners: list[web.WebSocketResponse] = []
        self.market_listeners: dict[web.WebSocketResponse, dict[str, list[str]]] = {}
        self.url = ""
        self._held: list[dict[str, Any]] = []
        self._outgoing: deque[bytes] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # ---- life ----

    async def open(self, port: int = 0) -> None:
        app = web.Application(middlewares=[self._meddle])
        app.add_routes([
            web.get("/v2/account", self._account), web.get("/v2/clock", self._clock), web.get("/v2/assets", self._assets),
            web.get("/v2/assets/{name:.+}", self._asset), web.get("/v2/positions", self._positions),
            web.get("/v2/account/activities/FILL", self._activities), web.get("/v2/orders", self._orders),
            web.post("/v2/orders", self._place), web.delete("/v2/orders", self._cancel_all),
            web.get("/v2/orders:by_client_order_id", self._by_client_id), web.get("/v2/orders/{order_id}", self._order),
            web.delete("/v2/orders/{order_id}", self._cancel), web.get("/stream", self._stream),
            web.get("/v2/stocks/bars", self._bars), web.get("/v1beta3/crypto/us/bars", self._bars),
            web.get("/v1beta1/news", self._news),
            web.get("/v2/iex", self._market_stream), web.get("/v1beta3/crypto/us", self._market_stream)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        assert self._runner.addresses
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._pump = asyncio.create_task(self._send_frames())

    @property
    def stream_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    async def close(self) -> None:
        self._ending.set()
        if self._pump is not None:
            self._pump.cancel()
        await self.disconnect()
        if self._runner is not None:
            await self._runner.cleanup()

    async def disconnect(self) -> None:
        """Drop every stream."""
        for socket in [*self.listeners, *self.market_listeners]:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.abort()
        self.listeners.clear()
        self.market_listeners.clear()

    def count(self, method: str, path: str) -> int:
        return sum(1 for each in self.requests if each[:2] == (method, path))

    def fail_next(self, method: str, path: str, status: int, **more: Any) -> None:
        """The next such request meets a fault."""
        self.faults.append(PlannedFault(method, path, status, **more))

    # ---- the account's stream ----

    def _publish(self, frame: dict[str, Any]) -> None:
        if self.hold_events:
            self._held.append(frame)
        elif not self.mute_events:
            for _ in range(2 if self.repeat_events else 1):
                self._outgoing.append(json.dumps(frame).encode())
            self._wake.set()

    def release_reversed(self) -> None:
        """Send what was held back, the newest first."""
        self.hold_events = False
        held, self._held = self._held, []
        for frame in reversed(held):
            self._publish(frame)

    async def _send_frames(self) -> None:
        while True:
            while self._outgoing:
                frame = self._outgoing.popleft()
                for socket in list(self.listeners):
                    self.frames_sent += 1
                    await socket.send_bytes(frame)  # the paper venue sends binary frames
            self._wake.clear()
            await self._wake.wait()

    @property
    def quiet(self) -> bool:
        return not self._outgoing

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        if self.refuse_streams:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(autoping=not self.deaf)  # a deaf venue answers no ping
        await socket.prepare(request)
        authorized = False
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            asked = json.loads(message.data)
            if asked["action"] == "authenticate":
                authorized = (asked["data"]["key_id"], asked["data"]["secret_key"]) == KEY
                answer: dict[str, Any] = {"stream": "authorization", "data": {
                    "status": "authorized" if authorized else "unauthorized", "action": "authenticate"}}
                await socket.send_bytes(json.dumps(answer).encode())
            elif asked["action"] == "listen" and authorized:
                self.frames_sent += 0
                await socket.send_bytes(json.dumps({"stream": "listening", "data": asked["data"]}).encode())
                self.listeners.append(socket)
        if socket in self.listeners:
            self.listeners.remove(socket)
        return socket

    # ---- the market's stream ----

    async def _market_stream(self, request: web.Request) -> web.WebSocketResponse:
        if self.refuse_streams:
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse(autoping=not self.deaf)  # a deaf venue answers no ping
        await socket.prepare(request)
        await socket.send_bytes(msgpack.packb([{"T": "success", "msg": "connected"}]))
        async for message in socket:
            asked = msgpack.unpackb(message.data)
            if asked["action"] == "auth":
                good = (asked["key"], asked["secret"]) == KEY
                await socket.send_bytes(msgpack.packb([
                    {"T": "success", "msg": "authenticated"} if good else {"T": "error", "code": 402, "msg": "auth failed"}]))
            elif asked["action"] == "subscribe":
                wanted = {name: asked.get(name, []) for name in ("quotes", "trades", "bars")}
                self.market_listeners[socket] = wanted
                await socket.send_bytes(msgpack.packb([{"T": "subscription", **wanted}]))
        self.market_listeners.pop(socket, None)
        return socket

    async def send_market(self, *messages: dict[str, Any]) -> None:
        """Messages to everybody who asked for their kind and symbol, in one frame."""
        channels = {"q": "quotes", "t": "trades", "b": "bars"}
        for socket, wanted in list(self.market_listeners.items()):
            chosen = [message for message in messages if message.get("S", "") in wanted.get(channels.get(message["T"], ""), ())
                      or message["T"] not in channels]
            await socket.send_bytes(msgpack.packb(chosen))

    # ---- the endpoints ----

    @web.middleware
    async def _meddle(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await handler(request)  # type: ignore[no-any-return] # aiohttp's handlers are not typed
        self.account.catch_up()
        self.requests.append((request.method, request.path, await request.text()))
        if (request.headers.get("APCA-API-KEY-ID"), request.headers.get("APCA-API-SECRET-KEY")) != KEY:
            return _json(error(401, "unauthorized.", 40110000))
        fault = next((each for each in self.faults if (each.method, each.path) == (request.method, request.path)), None)
        if fault is None:
            return await handler(request)  # type: ignore[no-any-return]
        self.faults.remove(fault)
        answer: Any = await handler(request) if fault.after else None
        if fault.again:
            return await handler(request)  # type: ignore[no-any-return]
        if fault.truncated:
            return web.Response(body=answer.body[:len(answer.body) // 2], content_type="application/json")
        if fault.status == 0:
            await self._ending.wait()
        if fault.status <= 0:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=fault.status or 500, text=fault.body, headers=dict(fault.headers))

    async def _account(self, request: web.Request) -> web.Response:
        return _json((200, self.account.account()))

    async def _clock(self, request: web.Request) -> web.Response:
        return _json((200, {"timestamp": self.account.now, "is_open": True, "next_open": self.account.now,
                            "next_close": self.account.now}))

    async def _assets(self, request: web.Request) -> web.Response:
        wanted = request.query.get("asset_class", "us_equity")
        found = [self.account.asset(each) for each in self.account.instruments.values()
                 if (each.asset_class is AssetClass.CRYPTO) == (wanted == "crypto")]
        return _json((200, found))

    async def _asset(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for each in self.account.instruments.values():
            if name in (each.symbol, asset_id_of(each.symbol)):
                return _json((200, self.account.asset(each)))
        return _json(error(404, f"asset not found for {name}", 40410000))

    async def _positions(self, request: web.Request) -> web.Response:
        return _json((200, self.account.positions()))

    async def _activities(self, request: web.Request) -> web.Response:
        after, token = request.query.get("after", ""), request.query.get("page_token")
        found = [each for each in self.account.activities if not after or each["transaction_time"] > after]
        if request.query.get("direction", "desc") == "desc":
            found.reverse()
        start = next((place + 1 for place, each in enumerate(found) if each["id"] == token), 0)
        return _json((200, found[start:start + int(request.query.get("page_size", "100"))]))

    async def _orders(self, request: web.Request) -> web.Response:
        found = self.account.open_orders() if request.query.get("status", "open") == "open" else [*self.account.orders.values()]
        if "symbols" in request.query:
            found = [order for order in found if order["symbol"] in request.query["symbols"].split(",")]
        if request.query.get("nested") == "true":  # what hangs on an order that is not listed is not listed either
            groups = self.account.groups
            found = [groups[each["id"]].nested() if each["id"] in groups else each for each in found
                     if each["id"] not in groups or groups[each["id"]].lead is each]
        if request.query.get("direction", "desc") == "desc":
            found.reverse()
        last = request.query.get("after_order_id")
        start = next((place + 1 for place, each in enumerate(found) if each["id"] == last), 0)
        return _json((200, found[start:start + int(request.query.get("limit", "50"))]))

    async def _place(self, request: web.Request) -> web.Response:
        return _json(self.account.place(await request.json()))

    async def _cancel_all(self, request: web.Request) -> web.Response:
        return _json(self.account.cancel_all())

    async def _cancel(self, request: web.Request) -> web.Response:
        return _json(self.account.cancel(request.match_info["order_id"]))

    async def _order(self, request: web.Request) -> web.Response:
        order = self.account.orders.get(request.match_info["order_id"])
        group = self.account.groups.get(request.match_info["order_id"])
        if request.query.get("nested") == "true" and group is not None and group.lead is order:
            return _json((200, group.nested()))
        return _json((200, order) if order else error(404, "order not found", 40410000))

    async def _by_client_id(self, request: web.Request) -> web.Response:
        order = self.account.by_client_id(request.query["client_order_id"])
        return _json((200, order) if order else error(404, "order not found", 40410000))

    async def _bars(self, request: web.Request) -> web.Response:
        symbol = request.query["symbols"]
        found = list(reversed(self.bars.get(symbol, [])))[:int(request.query["limit"])]
        return _json((200, {"bars": {symbol: found} if found else {}, "next_page_token": None}))


    async def _news(self, request: web.Request) -> web.Response:
        """The newest articles that name one of the symbols asked for."""
        asked = set(filter(None, request.query.get("symbols", "").split(",")))
        found = [one for one in self.articles if not asked or asked & set(one["symbols"])]
        return _json((200, {"news": found[:int(request.query["limit"])], "next_page_token": None}))


def _json(answer: tuple[int, Any]) -> web.Response:
    status, body = answer
    return web.Response(status=status) if body is None else web.json_response(body, status=status)


def quote_message(symbol: str, bid: str, ask: str, at_ns: int) -> dict[str, Any]:
    """A quote as the market's stream sends it."""
    return {"T": "q", "S": symbol, "bp": float(Decimal(bid)), "ap": float(Decimal(ask)), "bs": 3, "as": 2,
            "t": msgpack.Timestamp.from_unix_nano(at_ns)}


def bar_row(open_ns: int, *prices: float, volume: float = 100) -> dict[str, Any]:
    """A bar as the history gives it."""
    return {"t": stamp(open_ns), "o": prices[0], "h": prices[1], "l": prices[2], "c": prices[3], "v": volume, "n": 1, "vw": 1.0}
