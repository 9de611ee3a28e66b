"""What stands behind every local crypto venue: the paper venue matches, this keeps ids, balances, fees and faults."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from brokers.paper.memory import TransientMemory
from brokers.paper.records import PaperOptions
from brokers.paper.venue import PaperVenue
from engine.inputs import Accepted, CancelRefused, FillReported, Quote, Refused
from engine.instruments import AssetClass, Instrument
from engine.orders import ClosedAs, Fill, OrderIntent, OrderKind, Purpose, Side, TimeInForce

ACCOUNT = "server"
API_KEY = "test-key-0123456789"
SECRET = "dGVzdC1zZWNyZXQtMDEyMzQ1Njc4OQ=="  # noqa: S105 - of the local server, in base64 as kraken wants it
CASH_MINOR = 10 ** 13
COIN = Instrument(
    instrument_id="BTC/USD@server", symbol="BTC/USD", venue="server", asset_class=AssetClass.CRYPTO, base_currency="BTC",
    quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.01"), minor_exponent=8, max_ticks=10 ** 6,
    max_lots=10 ** 7, min_lots=2, min_notional_minor=5 * 10 ** 8, taker_fee_ppm=1_000, maker_fee_ppm=500)
CENT_OF_SATOSHI = Decimal("0.00000001")


@dataclass
class ServedOrder:
    """An order with the ids of both sides."""

    number: int
    client_id: str
    intent: OrderIntent
    placed_ms: int
    venue_text: str = ""
    changed_ms: int = 0
    cum_lots: int = 0
    cum_value: int = 0
    closed_as: ClosedAs | None = None
    fee: Decimal = Decimal(0)
    foreign: bool = False

    @property
    def open(self) -> bool:
        return self.closed_as is None and self.cum_lots < self.intent.order_lots

    @property
    def quantity(self) -> Decimal:
        return COIN.quantity(self.intent.order_lots)

    @property
    def filled(self) -> Decimal:
        return COIN.quantity(self.cum_lots)

    @property
    def cost(self) -> Decimal:
        return self.cum_value * COIN.tick_size * COIN.lot_size

    @property
    def average(self) -> Decimal:
        return COIN.tick_size * self.cum_value / self.cum_lots if self.cum_lots else Decimal(0)


@dataclass
class ServedTrade:
    number: int
    order: ServedOrder
    fill: Fill
    fee: Decimal
    fee_currency: str

    @property
    def at_ms(self) -> int:
        return self.fill.at_ns // 1_000_000

    @property
    def quantity(self) -> Decimal:
        return COIN.quantity(self.fill.last_lots)

    @property
    def price(self) -> Decimal:
        return COIN.price(self.fill.last_ticks)


class Event(NamedTuple):
    """What a stream tells: an order that is new, traded or closed."""

    what: str
    order: ServedOrder
    trade: ServedTrade | None = None


class Fault(NamedTuple):
    """What goes wrong with the next request that matches: before the venue acts, or after it did (`acts`). Half of its answer
    may come through (`truncated`), or what it answers to the same request a second time (`again`)."""

    method: str
    path: str
    status: int = 0
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    acts: bool = False
    hangs: bool = False
    truncated: bool = False
    again: bool = False


@dataclass
class Backing:
    """One account at one local venue. `fee_currency` is where fees are taken from; `skew_ms` how fast its clock goes."""

    fee_currency: str = "USD"
    skew_ms: int = 0
    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: deque[Fault] = field(default_factory=deque)
    orders: dict[int, ServedOrder] = field(default_factory=dict)
    trades: list[ServedTrade] = field(default_factory=list)
    deposits: dict[str, Decimal] = field(default_factory=dict)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    forgets_numbers: bool = False

    def __post_init__(self) -> None:
        options = PaperOptions(initial_cash_minor=CASH_MINOR, reduce_only=False, bracket=False, oco=False, trailing=False)
        in_quote = self.fee_currency == "USD"
        listed = COIN if in_quote else msgspec.structs.replace(COIN, taker_fee_ppm=0, maker_fee_ppm=0)
        self.venue = PaperVenue(ACCOUNT, options, TransientMemory(options), [listed])
        self._last_ns = 0
        self.quote_now: Quote | None = None
        self._stopped = asyncio.Event()

    # ---- time and market ----

    def now_ms(self) -> int:
        """The venue's clock."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    def _now_ns(self) -> int:
        self._last_ns = max(self._last_ns + 1_000_000, self.now_ms() * 1_000_000)
        return self._last_ns

    def quote(self, bid_ticks: int, ask_ticks: int, lots: int = 0) -> None:
        """The market moves."""
        at_ns = self._now_ns()
        self.quote_now = Quote(COIN.instrument_id, bid_ticks, ask_ticks, lots, lots, at_ns)
        self.venue.see(self.quote_now, at_ns)
        self._digest()

    # ---- orders ----

    def place(self, client_id: str, side: Side, kind: OrderKind, quantity: Decimal, *, limit: Decimal | None = None,
              trigger: Decimal | None = None, in_force: TimeInForce = TimeInForce.GTC,
              foreign: bool = False) -> ServedOrder | Refused:
        """Take an order, or say why not; executions that follow at once are told after it."""
        self.venue.advance(self._now_ns())
        if side is Side.SELL and quantity > self.balance("BTC"):
            return Refused("insufficient balance", "funds")
        number = 1_000 + len(self.orders)
        intent = OrderIntent(
            client_order_id=str(number), portfolio="main", account=ACCOUNT, instrument_id=COIN.instrument_id, side=side,
            order_lots=int(quantity / COIN.lot_size), kind=kind, purpose=Purpose.ENTRY, time_in_force=in_force,
            limit_ticks=int(limit / COIN.tick_size) if limit else 0,
            trigger_ticks=int(trigger / COIN.tick_size) if trigger else 0)
        order = ServedOrder(number, client_id, intent, self._last_ns // 1_000_000, foreign=foreign)
        order.changed_ms = order.placed_ms
        self.orders[number] = order
        answer = self.venue.submit([intent])[0]
        if not isinstance(answer, Accepted):
            del self.orders[number]
            return answer if isinstance(answer, Refused) else Refused(str(answer), "other")
        order.venue_text = answer.venue_order_id
        self._tell(Event("new", order))
        self._digest()
        return order

    def cancel(self, order: ServedOrder) -> bool:
        """Cancel one order; False where it is closed."""
        self.venue.advance(self._now_ns())
        answer = self.venue.cancel(str(order.number), "")
        self._digest()
        return not isinstance(answer, CancelRefused)

    def open_orders(self) -> list[ServedOrder]:
        return [order for order in self.orders.values() if order.open]

    def by_client(self, client_id: str) -> ServedOrder | None:
        """The newest order with that id."""
        return next((order for order in reversed(list(self.orders.values())) if order.client_id == client_id), None)

    # ---- balances ----

    def balance(self, currency: str) -> Decimal:
        """What the account holds of a currency, paid fees and deposits counted."""
        totals = self.venue.totals()
        held = {"USD": COIN.money(totals.cash_minor),
                "BTC": COIN.quantity(totals.positions.get(COIN.instrument_id, 0)), "BNB": Decimal(10)}
        paid = Decimal(0)
        for trade in self.trades:
            if trade.fee_currency == currency and currency != "USD":
                paid += trade.fee
        return held.get(currency, Decimal(0)) + self.deposits.get(currency, Decimal(0)) - paid

    # ---- what the venue's matching says ----

    def _digest(self) -> None:
        for message in self.venue.drain():
            if isinstance(message, FillReported):
                self._executed(message.fill)
            elif message.closed_as is not None:
                order = self.orders[int(message.client_order_id)]
                order.closed_as, order.changed_ms = message.closed_as, message.at_ns // 1_000_000
                self._tell(Event("closed", order))

    def _executed(self, fill: Fill) -> None:
        order = self.orders[int(fill.client_order_id)]
        fee, currency = self._fee(fill)
        trade = ServedTrade(len(self.trades) + 1, order, fill, fee, currency)
        self.trades.append(trade)
        order.cum_lots += fill.last_lots
        order.cum_value += fill.last_lots * fill.last_ticks
        order.changed_ms = trade.at_ms
        order.fee += fee
        self._tell(Event("trade", order, trade))

    def _fee(self, fill: Fill) -> tuple[Decimal, str]:
        rate = Decimal(COIN.maker_fee_ppm if fill.maker else COIN.taker_fee_ppm) / 1_000_000
        quantity, price = COIN.quantity(fill.last_lots), COIN.price(fill.last_ticks)
        if self.fee_currency == "USD" or (self.fee_currency == "BTC" and fill.side is Side.SELL):
            return COIN.money(fill.fee_minor), "USD"
        if self.fee_currency == "BTC":
            return (quantity * rate).quantize(CENT_OF_SATOSHI, ROUND_DOWN), "BTC"
        return (quantity * price * rate / 500).quantize(CENT_OF_SATOSHI, ROUND_DOWN), self.fee_currency

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for listener in list(self.listeners):
            listener(event)

    # ---- faults ----

    def fail(self, method: str, path: str, **more: Any) -> None:
        """The next request that matches goes wrong."""
        self.faults.append(Fault(method, path, **more))

    def calls(self, method: str, path: str) -> int:
        """How many requests of a kind came in."""
        return sum(1 for each in self.requests if each[0] == method and each[1].endswith(path))

    @web.middleware
    async def middleware(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Count requests and let the ordered ones fail."""
        self.requests.append((request.method, request.path))
        fault = next((each for each in self.faults if each.method == request.method and request.path.endswith(each.path)), None)
        if fault is None:
            return await handler(request)  # type: ignore[no-any-return]
        self.faults.remove(fault)
        answer: Any = await handler(request) if fault.acts else None
        if fault.again:
            self.forgets_numbers = True
            return await handler(request)  # type: ignore[no-any-return]
        if fault.truncated:
            return web.Response(body=answer.body[:len(answer.body) // 2], content_type="application/json")
        if fault.hangs:
            await self._stopped.wait()
        if fault.status:
            return web.Response(status=fault.status, text=fault.body, headers=dict(fault.headers))
        if request.transport is not None:
            request.transport.close()
        return web.Response()

    def stop(self) -> None:
        """Let hanging requests go."""
        self._stopped.set()


class Line:
    """One websocket of a client: messages leave in order; they can be held back, repeated and turned around."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.socket = socket
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._held: list[Any] | None = None
        self._writer = asyncio.create_task(self._write())

    def send(self, message: Any) -> None:
        if self._held is not None:
            self._held.append(message)
        else:
            self._queue.put_nowait(message)

    def hold(self) -> None:
        self._held = []

    def release(self, arrange: Callable[[list[Any]], list[Any]] = list) -> None:
        held, self._held = self._held or [], None
        for message in arrange(held):
            self._queue.put_nowait(message)

    async def _write(self) -> None:
        while True:
            message = await self._queue.get()
            if not self.socket.closed:
                await self.socket.send_json(message)

    async def close(self) -> None:
        self._writer.cancel()
        await self.socket.close()


class LocalVenue:
    """An HTTP server on the loopback; a venue's module adds the routes."""

    def __init__(self, backing: Backing) -> None:
        self.backing = backing
        self.lines: list[Line] = []
        self.market_lines: list[Line] = []
        self.refuses_streams = False
        self.deaf = False
        self.app = web.Application(middlewares=[backing.middleware])
        self.routes()
        backing.listeners.append(self.on_event)
        self._runner: web.AppRunner | None = None
        self.port = 0

    def routes(self) -> None:
        raise NotImplementedError

    def on_event(self, event: Event) -> None:
        raise NotImplementedError

    def on_quote(self) -> None:
        """The market moved: tell the market streams."""

    async def accepted(self, request: web.Request) -> web.WebSocketResponse:
        """A websocket; a deaf venue's answers no ping."""
        socket = web.WebSocketResponse(autoping=not self.deaf)
        await socket.prepare(request)
        return socket

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stream_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._runner = web.AppRunner(self.app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self.backing.stop()
        await self.drop_streams()
        if self._runner is not None:
            await self._runner.cleanup()

    async def drop_streams(self) -> None:
        """Every websocket is cut."""
        lines = [*self.lines, *self.market_lines]
        self.lines, self.market_lines = [], []
        for line in lines:
            await line.close()
