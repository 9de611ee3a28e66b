"""One account of the local Alpaca: its rules and its own words, with the paper venue deciding what executes."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from brokers.paper.memory import TransientMemory
from brokers.paper.records import PaperOptions
from brokers.paper.venue import PaperVenue
from engine.inputs import Accepted, Duplicate, FillReported, Quote, Refused
from engine.instruments import AssetClass, Instrument, instrument_id_of
from engine.orders import Fill, OrderIntent, OrderKind, Purpose, Side, TimeInForce
from engine.units import NS_PER_SECOND, steps_exact
from tests.conformance.alpaca_server.groups import ENDED, Group, class_problem, leg_bodies, may_meet
from tests.conformance.alpaca_server.words import SPACE, Answer, asset_id_of, error, stamp, text

ACCOUNT = "served"
ZERO = Decimal(0)
NUMBERS = ("qty", "limit_price", "stop_price", "trail_price", "trail_percent")
CLASS_NAMES = {AssetClass.EQUITY: "us_equity", AssetClass.CRYPTO: "crypto"}
TYPES = {"us_equity": {"market", "limit", "stop", "stop_limit", "trailing_stop"}, "crypto": {"market", "limit", "stop_limit"}}
TIMES = {"us_equity": {"day", "gtc", "ioc", "fok"}, "crypto": {"gtc", "ioc"}}


def share(symbol: str, *, lot_size: str = "1", shortable: bool = False) -> Instrument:
    return Instrument(
        instrument_id=instrument_id_of(symbol, ACCOUNT), symbol=symbol, venue=ACCOUNT, asset_class=AssetClass.EQUITY,
        base_currency=symbol, quote_currency="USD", tick_size=Decimal("0.0001"), lot_size=Decimal(lot_size), minor_exponent=4,
        max_ticks=10 ** 10, max_lots=4 * 10 ** 8, shortable=shortable)


def coin(symbol: str, *, lot_size: str = "0.01", least: int = 2) -> Instrument:
    return Instrument(
        instrument_id=instrument_id_of(symbol, ACCOUNT), symbol=symbol, venue=ACCOUNT, asset_class=AssetClass.CRYPTO,
        base_currency=symbol.partition("/")[0], quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal(lot_size),
        minor_exponent=4, max_ticks=10 ** 9, max_lots=4 * 10 ** 8, min_lots=least, shortable=False)


class ServedAccount:
    """What the endpoints answer; `publish` is handed every event of the account's stream."""

    def __init__(self, instruments: list[Instrument], publish: Callable[[dict[str, Any]], None], at_ns: int,
                 cash_cents: int = 10_000_000) -> None:
        self.instruments = {instrument.symbol: instrument for instrument in instruments}
        options = PaperOptions(initial_cash_minor=cash_cents * 100, bracket=False, oco=True, reduce_only=False)
        self.venue = PaperVenue(ACCOUNT, options, TransientMemory(options), instruments)
        self.venue.advance(at_ns)
        self.orders: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, Group] = {}
        self._at_market: set[str] = set()
        self.activities: list[dict[str, Any]] = []
        self.blocked: set[str] = set()
        self.coin_fee = ZERO
        self.charged: dict[str, Decimal] = {}
        self.real_time = False
        self.may_trade = True
        self._publish = publish

    # ---- the market moves ----

    def quote(self, symbol: str, bid: Decimal, ask: Decimal, quantity: Decimal = ZERO, *, seconds: int = 1) -> Quote:
        """A new quote after `seconds`; without a quantity its size is not known."""
        instrument = self.instruments[symbol]
        lots = int(quantity / instrument.lot_size)
        self.catch_up()
        at_ns = self.venue.cursor_ns + seconds * NS_PER_SECOND
        tick = instrument.tick_size
        quote = Quote(instrument.instrument_id, int(bid / tick), int(ask / tick), lots, lots, at_ns)
        self.venue.see(quote, at_ns)
        self._tell()
        return quote

    def advance(self, seconds: int = 1) -> None:
        self.venue.advance(self.venue.cursor_ns + seconds * NS_PER_SECOND)
        self._tell()

    def catch_up(self) -> None:
        """Go with the clock on the wall, where the test wants that."""
        if self.real_time:
            self.venue.advance(time.time_ns())

    @property
    def now(self) -> str:
        return stamp(self.venue.cursor_ns)

    # ---- orders ----

    def place(self, body: dict[str, Any]) -> Answer:
        """`POST /v2/orders`."""
        if not self.may_trade:
            return error(403, "new orders are rejected by user request", 40310000)
        problem = self._problem(body)
        if problem is not None:
            return problem
        order_class = body.get("order_class", "")
        pair = order_class == "oco"
        lead_body = {**body, "limit_price": body["take_profit"]["limit_price"]} if pair else body
        instrument = self.instruments[body["symbol"]]
        refused = self._to_market(lead_body, body["client_order_id"] if pair else "")
        if refused is not None:
            return refused
        order = self._new_order(lead_body, instrument)
        self.orders[order["id"]] = order
        self._event("new", order)
        if order_class:
            legs = [self._new_order(leg, instrument) for leg in leg_bodies(body)]
            self.orders.update((leg["id"], leg) for leg in legs)
            group = Group(order, legs, self._to_market, self._end, self._event)
            self.groups.update((member["id"], group) for member in group.members)
        accepted = self.groups[order["id"]].nested() if order_class else dict(order)
        self._tell()
        return 200, accepted

    def _to_market(self, body: dict[str, Any], group: str) -> Answer | None:
        """Bring an order to the market; the refusal, if it is one."""
        intent = self._intent(body, self.instruments[body["symbol"]], group)
        if isinstance(intent, tuple):
            return intent
        answer = self.venue.submit([intent])[0]
        if isinstance(answer, Duplicate):
            return error(422, "client_order_id must be unique", 40010001)
        if isinstance(answer, Refused):
            return error(403, answer.reason, 40310000)
        assert isinstance(answer, Accepted)
        self._at_market.add(body["client_order_id"])
        return None

    def _problem(self, body: dict[str, Any]) -> Answer | None:
        numbers = [body[name] for name in NUMBERS if name in body]
        if not all(isinstance(number, str) for number in numbers):
            return error(422, "numbers must be text", 40010001)
        if body.get("symbol") not in self.instruments:
            return error(422, f"asset \"{body.get('symbol')}\" not found", 42210000)
        if len(body.get("client_order_id", "")) > 128:
            return error(422, "client_order_id must be no more than 128 characters", 40010001)
        asset_class = CLASS_NAMES[self.instruments[body["symbol"]].asset_class]
        if body["type"] not in TYPES[asset_class]:
            return error(422, f"invalid order type for {asset_class} order", 40010001)
        if body["time_in_force"] not in TIMES[asset_class]:
            return error(422, f"invalid {asset_class} time_in_force", 42210000)
        if body.get("order_class"):
            problem = class_problem(body, asset_class)
            if problem is not None:
                return problem
        quantity = Decimal(body["qty"])
        if asset_class == "us_equity" and quantity % 1 and body["time_in_force"] != "day":
            return error(422, "fractional orders must be DAY orders", 42210000)
        if self.by_client_id(body["client_order_id"]) is None and any(may_meet(order, body) for order in self.open_orders()):
            return error(403, "potential wash trade detected. use complex orders", 40310000)
        return self._short_of_shares(body, quantity)

    def _short_of_shares(self, body: dict[str, Any], quantity: Decimal) -> Answer | None:
        """What is held for other sells cannot be sold again."""
        instrument = self.instruments[body["symbol"]]
        held = self.held(instrument)
        if body["side"] != "sell" or (instrument.shortable and held <= 0):
            return None
        working = sum((Decimal(order["qty"]) - Decimal(order["filled_qty"]) for order in self.open_orders()
                       if order["symbol"] == body["symbol"] and order["side"] == "sell"), ZERO)
        if quantity <= held - working or self.by_client_id(body["client_order_id"]) is not None:
            return None
        return error(403, f"insufficient qty available for order (requested: {quantity}, available: {held - working})", 40310000)

    def _intent(self, body: dict[str, Any], instrument: Instrument, group: str) -> OrderIntent | Answer:
        prices = {}
        for name in ("limit_price", "stop_price", "trail_price"):
            ticks = steps_exact(Decimal(body.get(name) or "0"), Decimal("0.01"))
            if ticks is None:
                return error(422, f"invalid {name} {body[name]}. sub-penny increment does not fulfill minimum pricing criteria",
                             42210000)
            prices[name] = int(Decimal(body.get(name) or "0") / instrument.tick_size)
        lots = steps_exact(Decimal(body["qty"]), instrument.lot_size)
        if lots is None:
            return error(422, "qty increment is too small", 42210000)
        return OrderIntent(
            client_order_id=body["client_order_id"], portfolio="main", account=ACCOUNT, instrument_id=instrument.instrument_id,
            side=Side(body["side"].upper()), order_lots=lots, kind=OrderKind(body["type"]), purpose=Purpose.ENTRY,
            limit_ticks=prices["limit_price"], trigger_ticks=prices["stop_price"], trail_ticks=prices["trail_price"],
            trail_bps=int(Decimal(body.get("trail_percent") or "0") * 100), time_in_force=TimeInForce(body["time_in_force"]),
            oco_group=group)

    def _new_order(self, body: dict[str, Any], instrument: Instrument) -> dict[str, Any]:
        names = ("client_order_id", "symbol", "side", "type", "time_in_force", "qty")
        return {
            "id": str(uuid.uuid5(SPACE, f"order {body['client_order_id']}")), **{name: body[name] for name in names},
            "created_at": self.now, "updated_at": self.now, "submitted_at": self.now, "filled_at": None, "expired_at": None,
            "canceled_at": None, "failed_at": None, "replaced_at": None, "replaced_by": None, "replaces": None,
            "asset_id": asset_id_of(instrument.symbol), "asset_class": CLASS_NAMES[instrument.asset_class], "notional": None,
            "filled_qty": "0", "filled_avg_price": None, "order_class": body.get("order_class", ""), "order_type": body["type"],
            "limit_price": body.get("limit_price"), "stop_price": body.get("stop_price"), "status": "new",
            "extended_hours": False, "legs": None, "trail_percent": body.get("trail_percent"),
            "trail_price": body.get("trail_price"), "hwm": None, "source": None, "subtag": None}

    def requests_of_class(self) -> list[str]:
        """The order class of each request that named one, oldest first."""
        return [group.lead["order_class"] for order_id, group in self.groups.items() if group.lead["id"] == order_id]

    def open_orders(self) -> list[dict[str, Any]]:
        return [order for order in self.orders.values() if order["status"] in ("new", "partially_filled", "accepted")]

    def by_client_id(self, client_order_id: str) -> dict[str, Any] | None:
        return next((order for order in self.orders.values() if order["client_order_id"] == client_order_id), None)

    def cancel(self, order_id: str) -> Answer:
        """`DELETE /v2/orders/{order_id}`."""
        order = self.orders.get(order_id)
        if order is None:
            return error(404, f"order not found for {order_id}", 40410000)
        if order["status"] in ENDED:
            return error(422, f"order is already in \"{order['status']}\" state", 42210000)
        self._end(order)
        self._tell()
        return 204, None

    def _end(self, order: dict[str, Any]) -> None:
        """Take an order away; one that is held is nowhere but here."""
        if order["client_order_id"] in self._at_market:
            self.venue.cancel(order["client_order_id"], "")
        else:
            self._closed(order, "canceled")

    def replace(self, order_id: str, stop_price: str) -> dict[str, Any]:
        """What somebody's hand on the venue's own screen does to a stop: it ends as replaced, and another one takes its place."""
        old = self.orders[order_id]
        group = self.groups[order_id]
        heir = {**old, "id": str(uuid.uuid5(SPACE, f"heir of {order_id}")), "stop_price": stop_price, "replaces": order_id,
                "client_order_id": str(uuid.uuid5(SPACE, f"client id of the heir of {order_id}"))}
        old.update(status="replaced", replaced_at=self.now, replaced_by=heir["id"], updated_at=self.now)
        self.orders[heir["id"]] = heir
        self.groups[heir["id"]] = group
        group.legs[group.legs.index(old)] = heir
        self.venue.cancel(old["client_order_id"], "")
        self._to_market(heir, group.lead["client_order_id"])
        self._event("replaced", old)
        self._event("held", heir)
        self._tell()
        return heir

    def cancel_all(self) -> Answer:
        """`DELETE /v2/orders`."""
        asked = [{"id": order["id"], "status": 200} for order in self.open_orders()]
        self.venue.cancel_all()
        self._tell()
        return 207, asked

    # ---- what it holds ----

    def held(self, instrument: Instrument) -> Decimal:
        lots = self.venue.totals().positions.get(instrument.instrument_id, 0)
        return lots * instrument.lot_size - self.charged.get(instrument.symbol, ZERO)

    def positions(self) -> list[dict[str, Any]]:
        found = []
        for instrument in self.instruments.values():
            quantity = self.held(instrument)
            if not quantity:
                continue
            average = next(position.average_ticks for position in self.venue.report(0, ()).positions
                           if position.instrument_id == instrument.instrument_id)
            found.append({"asset_id": asset_id_of(instrument.symbol), "symbol": instrument.symbol.replace("/", ""),
                          "asset_class": CLASS_NAMES[instrument.asset_class], "qty": text(quantity),
                          "side": "long" if quantity > 0 else "short",
                          "avg_entry_price": text(Decimal(str(average)) * instrument.tick_size)})
        return found

    def account(self) -> dict[str, Any]:
        return {"id": str(uuid.uuid5(SPACE, "account")), "status": "ACTIVE", "currency": "USD",
                "trading_blocked": not self.may_trade, "account_blocked": False,
                "cash": text(Decimal(self.venue.totals().cash_minor).scaleb(-4))}

    def asset(self, instrument: Instrument) -> dict[str, Any]:
        coin_terms = {} if instrument.asset_class is AssetClass.EQUITY else {
            "min_order_size": text(instrument.quantity(instrument.min_lots)), "min_trade_increment": text(instrument.lot_size),
            "price_increment": text(instrument.tick_size)}
        return {"id": asset_id_of(instrument.symbol), "class": CLASS_NAMES[instrument.asset_class], "symbol": instrument.symbol,
                "exchange": "NASDAQ", "name": instrument.symbol, "status": "active",
                "tradable": instrument.symbol not in self.blocked, "marginable": True, "shortable": instrument.shortable,
                "easy_to_borrow": instrument.shortable, "fractionable": instrument.lot_size < 1, **coin_terms}

    # ---- what happened ----

    def _tell(self) -> None:
        """What the market did, and what follows from it for the orders of the same group."""
        while messages := self.venue.drain():
            for message in messages:
                if isinstance(message, FillReported):
                    self._filled(message.fill)
                elif message.closed_as is not None:
                    order = self.by_client_id(message.client_order_id)
                    assert order is not None
                    if order["status"] not in ENDED:
                        self._closed(order, message.closed_as.value)

    def _closed(self, order: dict[str, Any], word: str) -> None:
        order["status"] = word
        order["updated_at"] = order[f"{word}_at"] = self.now
        self._event(word, order)
        if order["id"] in self.groups:
            self.groups[order["id"]].ended(order)

    def _filled(self, fill: Fill) -> None:
        order = self.by_client_id(fill.client_order_id)
        assert order is not None
        instrument = self.instruments[order["symbol"]]
        quantity, price = instrument.quantity(fill.last_lots), instrument.price(fill.last_ticks)
        if instrument.asset_class is AssetClass.CRYPTO and fill.side is Side.BUY:  # the fee is kept in kind, and nothing says so
            self.charged[instrument.symbol] = self.charged.get(instrument.symbol, ZERO) + quantity * self.coin_fee
        before = Decimal(order["filled_qty"])
        total = before + quantity
        average = (before * Decimal(order["filled_avg_price"] or "0") + quantity * price) / total
        kind = "fill" if total == Decimal(order["qty"]) else "partial_fill"
        status = "filled" if kind == "fill" else "partially_filled"
        order.update(filled_qty=text(total), filled_avg_price=text(average), status=status)
        order["updated_at"] = order["filled_at"] = self.now
        execution_id = str(uuid.uuid5(SPACE, f"execution {order['id']} {total}"))
        moment = datetime.fromtimestamp(fill.at_ns // NS_PER_SECOND, UTC)
        self.activities.append({
            "id": f"{moment:%Y%m%d%H%M%S}000::{uuid.uuid5(SPACE, execution_id)}", "account_id": str(uuid.uuid5(SPACE, "account")),
            "activity_type": "FILL", "transaction_time": stamp(fill.at_ns), "type": kind, "price": text(price),
            "qty": text(quantity), "side": order["side"], "symbol": order["symbol"], "order_id": order["id"],
            "leaves_qty": text(Decimal(order["qty"]) - total), "cum_qty": text(total), "order_status": status})
        self._event(kind, order, execution_id=execution_id, price=text(price), qty=text(quantity),
                    position_qty=text(self.held(instrument)), timestamp=stamp(fill.at_ns))
        if order["id"] in self.groups:
            self.groups[order["id"]].filled(order)

    def _event(self, kind: str, order: dict[str, Any], **more: Any) -> None:
        self._publish({"stream": "trade_updates",
                       "data": {"event": kind, "timestamp": self.now, "order": dict(order), **more}})
