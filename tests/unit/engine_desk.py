"""Two desks for the engine's tests: `Desk` decides inputs on the bare core, `Shell` runs the whole engine in the test's own
event loop on the paper venue, with a journal in memory and a clock that moves by hand.

Prices are chosen so that one tick of one lot of COIN is one cent: 100.00 is 10,000 ticks, and money can be checked by eye.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.apply import apply
from engine.clocks import VirtualClock
from engine.decide import decide
from engine.effects import Answer, Effect, SendCancel, SubmitOrders
from engine.events import AlertRaised, Event, Recorded, decode, encode
from engine.inputs import (
    Accepted,
    AutomationLevel,
    Bar,
    Command,
    ConnectionChanged,
    EngineStarted,
    FillReported,
    Input,
    Limits,
    MarketItem,
    MarketTrade,
    OrderMissing,
    OrderReport,
    PlaceOrder,
    PortfolioSettings,
    Quote,
    Refused,
    Settings,
    SubmitAnswered,
    TimeAdvanced,
    VenueCapabilities,
    VenuePosition,
    VenueReport,
    VenueReported,
)
from engine.instruments import AssetClass, Instrument
from engine.live_drive import LiveDrive
from engine.market import MarketView
from engine.orders import ClosedAs, Fill, Order, OrderIntent, Purpose, Side
from engine.parts import EngineParts
from engine.ports import Journal, JournalRow
from engine.positions import Position
from engine.runner import Engine
from engine.service import Mode, Receipt, StopHome
from engine.state import State
from engine.turn import Decision, Stamped, Turn
from engine.units import NS_PER_SECOND
from store.memory import MemoryJournal

ACCOUNT = "acct"
START_NS = 1_717_243_200 * NS_PER_SECOND
CASH_MINOR = 10_000_000
NATIVE = VenueCapabilities(stop=True, bracket=True, oco=True, reduce_only=True)
NO_BRACKETS = VenueCapabilities(stop=True, bracket=False, oco=True, reduce_only=True)
PLAIN = VenueCapabilities(stop=True, bracket=False, oco=False, reduce_only=False)
USUAL = Limits()
BLANK = State()
NO_STOPS = VenueCapabilities(stop=False, bracket=False, oco=False, reduce_only=True)
PATIENCE_SECONDS = 60.0


def coin(symbol: str = "COIN", **fields: Any) -> Instrument:
    """An instrument of which one tick of one lot is one minor unit, without fees unless they are asked for."""
    return Instrument(
        f"{symbol}@paper", symbol, "paper", AssetClass.CRYPTO, symbol, "USD", Decimal("0.01"), Decimal(1), 2,
        10_000_000, 1_000_000, **fields)


COIN = coin()
OTHER = coin("OTHER")
COIN_ID = COIN.instrument_id


def settings_of(*portfolios: str, automation: AutomationLevel = AutomationLevel.SUGGEST_ONLY, limits: Limits = USUAL,
                **more: Any) -> Settings:
    """Settings of some portfolios, each with an account of its own: `main` has `acct`, another one `acct-NAME`."""
    return Settings(tuple(PortfolioSettings(name, account_of(name), "USD", 2, automation, limits) for name in portfolios), **more)


def account_of(portfolio: str) -> str:
    return ACCOUNT if portfolio == "main" else f"{ACCOUNT}-{portfolio}"


def bought(command_id: str = "c", quantity: int | None = 10, stop: str | None = "95", **more: Any) -> PlaceOrder:
    """A market buy of COIN with a stop."""
    more.setdefault("side", Side.BUY)
    return PlaceOrder(command_id, more.pop("symbol", "COIN"), quantity=None if quantity is None else Decimal(quantity),
                      stop=None if stop is None else Decimal(stop), **more)


class Desk:
    """The core alone: every input is decided and folded at once; the test itself is the venue."""

    def __init__(self, *, can: VenueCapabilities = NATIVE, settings: Settings | None = None, live: bool = True,
                 instruments: Sequence[Instrument] = (COIN, OTHER), state: State | None = None, **limits: Any) -> None:
        self.settings = settings or settings_of("main", limits=Limits(**{"max_heat_fraction": 0.5, **limits}))
        self.can = can
        self.instruments = tuple(instruments)
        self.market = MarketView()
        self.state = state or State()
        self.at_ns = max(START_NS, self.state.at_ns)
        self.rows: list[Recorded] = []
        self.effects: list[Effect] = []
        self._fills = 0
        if live:
            self.start()
            self.quote(10_000)

    def start(self) -> None:
        """The engine comes up and every venue gives its first report."""
        capabilities = {one.account: self.can for one in self.settings.portfolios}
        self.take(EngineStarted("e", "test", self.settings, self.instruments, capabilities))
        for account in capabilities:
            self.take(ConnectionChanged(account, up=True))
            self.take(VenueReported(self.report(account=account)))

    # ---- inputs ----

    def take(self, taken: Input) -> Decision:
        """Decide one input and fold it."""
        if isinstance(taken, Quote | MarketTrade | Bar) and not self.market.see(taken, self.at_ns):
            return Decision(self.state, (), ())
        decision = decide(self.state, Stamped(self.at_ns, taken, self.market))
        self.rows += decision.events
        self.effects += decision.effects
        self.state = decision.state
        return decision

    def do(self, command: Command) -> Receipt:
        """Give a command; its receipt."""
        answers = [one.receipt for one in self.take(command).effects if isinstance(one, Answer)]
        assert len(answers) == 1, "a command is answered exactly once"
        assert answers[0].command_id == command.command_id
        return answers[0]

    def quote(self, bid: int, ask: int | None = None, instrument_id: str = COIN_ID) -> Decision:
        return self.take(Quote(instrument_id, bid, bid if ask is None else ask, 0, 0, self.at_ns))

    def later(self, seconds: float) -> None:
        """Time passes, unnoticed."""
        self.at_ns += round(seconds * NS_PER_SECOND)

    def beat(self, seconds: float = 1.0) -> Decision:
        """Time passes, and the clock beats."""
        self.later(seconds)
        return self.take(TimeAdvanced())

    # ---- the venue's words ----

    def accept(self, *client_order_ids: str) -> None:
        """The venue takes these orders, or all that it has not answered yet."""
        waiting = [key for key, order in self.state.orders.items() if not order.acked]
        for client_order_id in client_order_ids or waiting:
            self.take(SubmitAnswered(client_order_id, Accepted(f"v-{client_order_id}")))

    def refuse(self, client_order_id: str, reason: str = "no") -> None:
        self.take(SubmitAnswered(client_order_id, Refused(reason)))

    def fill_of(self, client_order_id: str, lots: int, ticks: int = 10_000, **more: Any) -> Fill:
        """A fill of a known order, of trade ids that count up."""
        order = self.state.order(client_order_id)
        self._fills += 1
        given = {"account": order.intent.account if order else ACCOUNT, "side": order.intent.side if order else Side.BUY,
                 "instrument_id": order.intent.instrument_id if order else COIN_ID, "fee_minor": 0, "at_ns": self.at_ns,
                 "trade_id": f"t{self._fills}", **more}
        return Fill(client_order_id=client_order_id, last_lots=lots, last_ticks=ticks, **given)

    def fill(self, client_order_id: str, lots: int, ticks: int = 10_000, **more: Any) -> Decision:
        return self.take(FillReported(self.fill_of(client_order_id, lots, ticks, **more)))

    def order_report(self, order: Order, closed_as: ClosedAs | None = None, **more: Any) -> OrderReport:
        """What the venue would say of one of our orders."""
        intent = order.intent
        given = {"venue_order_id": order.venue_order_id or f"v-{intent.client_order_id}", "cum_lots": order.cum_lots, **more}
        return OrderReport(
            account=intent.account, instrument_id=intent.instrument_id, client_order_id=intent.client_order_id,
            order_lots=intent.order_lots, closed_as=closed_as, at_ns=self.at_ns, side=intent.side, kind=intent.kind,
            limit_ticks=intent.limit_ticks, trigger_ticks=intent.trigger_ticks, **given)

    def closed(self, client_order_id: str, closed_as: ClosedAs = ClosedAs.CANCELED, reason: str = "") -> Decision:
        """The venue's closing word on one order."""
        return self.take(self.order_report(self.order(client_order_id), closed_as, reason=reason))

    def confirm_cancels(self) -> None:
        """The venue grants every cancel that was asked."""
        for order in list(self.state.orders.values()):
            if len(order.cancel_requests) > len(order.cancel_answers):
                self.closed(order.client_order_id)

    def report(self, *, account: str = ACCOUNT, fills: tuple[Fill, ...] = (),
               looked_up: tuple[OrderReport | OrderMissing, ...] = (), open_orders: tuple[OrderReport, ...] | None = None,
               positions: dict[str, int] | None = None, cash_minor: int | None = None) -> VenueReport:
        """A complete report that agrees with us wherever nothing else is said."""
        known = self.state.accounts[account]
        ours = {one.instrument_id: one.lots for one in self.state.positions.values() if one.account == account}
        if open_orders is None:
            open_orders = tuple(self.order_report(order) for order in self.state.orders.values()
                                if order.intent.account == account and order.acked)
        held = ours if positions is None else positions
        return VenueReport(
            account=account, venue_time_ns=self.at_ns, fills=fills, open_orders=open_orders, looked_up=looked_up,
            positions=tuple(VenuePosition(key, lots) for key, lots in held.items()),
            cash_minor=cash_minor if cash_minor is not None else known.cash_minor if known.funded else CASH_MINOR)

    def reported(self, **fields: Any) -> Decision:
        return self.take(VenueReported(self.report(**fields)))

    # ---- what came of it ----

    @property
    def events(self) -> list[Event]:
        return [row.event for row in self.rows]

    def of(self, kind: type[Event]) -> list[Any]:
        """The events of one kind, oldest first."""
        return [event for event in self.events if type(event) is kind]

    @property
    def sent(self) -> list[OrderIntent]:
        """Every intent that went to the gateway, oldest first."""
        return [one.intent for effect in self.effects if isinstance(effect, SubmitOrders) for one in effect.approved]

    @property
    def cancels(self) -> list[str]:
        return [effect.client_order_id for effect in self.effects if isinstance(effect, SendCancel)]

    def forget(self) -> None:
        """Look only at what happens from here on."""
        self.rows, self.effects = [], []

    def order(self, client_order_id: str) -> Order:
        order = self.state.order(client_order_id)
        assert order is not None
        return order

    def open(self, purpose: Purpose) -> list[Order]:
        """Orders of a purpose that may still execute."""
        return [order for order in self.state.orders.values() if order.intent.purpose is purpose]

    @property
    def position(self) -> Position | None:
        return self.state.position("main", COIN_ID)

    @property
    def held(self) -> Position:
        assert self.position is not None
        return self.position

    def turn(self) -> Turn:
        """A decision in the making, for what has no input of its own."""
        return Turn(self.state, self.market, self.at_ns)

    def enter(self, command_id: str = "c", lots: int = 10, stop: str | None = "95", *, at_ticks: int = 10_000,
              accept: bool = True, **more: Any) -> str:
        """A market entry that the venue takes and fills in full; its order id."""
        receipt = self.do(bought(command_id, lots, stop, **more))
        assert receipt.accepted, receipt.refusal
        entry = receipt.order_ids[0]
        self.accept(*receipt.order_ids)
        self.fill(entry, lots, at_ticks)
        if accept:
            self.accept()
        return entry

    def changed(self, **fields: Any) -> None:
        """Set fields of the state by hand, for what no short way leads to."""
        self.state = msgspec.structs.replace(self.state, **fields)


def rows_of(desk: Desk) -> list[JournalRow]:
    """What a desk has recorded, as journal rows."""
    rows = []
    for recorded in desk.rows:
        kind, version, payload = encode(recorded.event)
        rows.append(JournalRow(recorded.seq, recorded.at_ns, kind, version, payload))
    return rows


def fold(rows: Sequence[JournalRow]) -> State:
    """The state that journal rows add up to."""
    state = State()
    for row in rows:
        state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
    return state


# ---- the whole engine in the test's own loop ---------------------------------------------------------------------------------


class HandFeed:
    """A feed that shows what the test shows it."""

    def __init__(self) -> None:
        self.sink: Callable[[MarketItem], None] | None = None
        self.closing: Callable[[], Any] | None = None
        self._over = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        self.sink = sink
        await self._over.wait()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    async def close(self) -> None:
        self._over.set()
        if self.closing is not None:
            await self.closing()


def home_of(desk: Desk) -> StopHome:
    return desk.state.homes[f"main|{COIN_ID}"].home


def stop_ticks(desk: Desk) -> list[int]:
    """The levels of all stops that may still execute."""
    return [order.intent.trigger_ticks for order in desk.open(Purpose.STOP)]


def the_stop(desk: Desk) -> str:
    (stop,) = desk.open(Purpose.STOP)
    return stop.client_order_id


def alerts(desk: Desk, code: str) -> list[str]:
    return [alert.text for alert in desk.of(AlertRaised) if alert.code == code]


async def _no_beats(_drive: LiveDrive) -> None:
    """The clock beats where a test says so."""


class Shell:
    """A running engine: paper venue, hand-moved clock, hand-fed prices, and beats by hand, so that its journal does not depend on
    how long a test takes; `beats_alone` has the clock beat by real seconds."""

    beats_alone = False

    def __init__(self, *, journal: Journal | None = None, settings: Settings | None = None, state: State = BLANK,
                 broker: PaperBroker | None = None, options: PaperOptions | None = None, feed: HandFeed | None = None,
                 **parts: Any) -> None:
        self.clock = VirtualClock(max(START_NS, state.at_ns))
        self.feed = feed or HandFeed()
        self.journal = journal or MemoryJournal()
        self.broker = broker or PaperBroker(ACCOUNT, None, options, (COIN, OTHER))
        self.submitted: list[OrderIntent] = []
        self._watch_submissions()
        self.engine = Engine(EngineParts(
            clock=self.clock, journal=self.journal, engine_id="e", version="test", mode=Mode.PAPER,
            settings=settings or settings_of("main"), brokers=(self.broker,), state=state, feed=self.feed, **parts))

    def _watch_submissions(self) -> None:
        submit = self.broker.submit

        async def watched(intents: Sequence[OrderIntent]) -> Any:
            self.submitted += intents
            return await submit(intents)

        self.broker.submit = watched  # type: ignore[method-assign]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Shell"]:
        """The engine runs, live and priced, until the block is left."""
        with pytest.MonkeyPatch.context() as patch:
            if not self.beats_alone:
                patch.setattr(LiveDrive, "_beats", _no_beats)
            task = asyncio.create_task(self.engine.run())
            try:
                await self.until(lambda: self.feed.sink is not None and self.engine.ready.is_set(), task)
                yield self
            finally:
                self.engine.stop()
                await task

    async def until(self, condition: Callable[[], object], task: "asyncio.Task[None] | None" = None) -> None:
        """Let the engine work until something is so; a deadline, far beyond what it takes, ends a wait in vain."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if condition():
                return
            if task is not None and task.done():
                task.result()
            await asyncio.sleep(0)
        raise AssertionError("it did not happen")

    async def quote(self, bid: int, ask: int | None = None, *, instrument_id: str = COIN_ID, seconds: float = 0.1) -> None:
        """Time passes and a price is seen."""
        self.clock.advance_to(self.clock.now_ns() + round(seconds * NS_PER_SECOND))
        assert self.feed.sink is not None
        taken = self.engine._shell.loop.inputs_taken
        self.feed.sink(Quote(instrument_id, bid, bid if ask is None else ask, 0, 0, self.clock.now_ns()))
        await self.until(lambda: self.engine._shell.loop.inputs_taken > taken and not self.engine._shell.market)

    async def beat(self, seconds: float = 1.0) -> None:
        """Time passes and the clock beats, without waiting for a real second."""
        self.clock.advance_to(self.clock.now_ns() + round(seconds * NS_PER_SECOND))
        self.broker.advance(self.clock.now_ns())
        taken = self.engine._shell.loop.inputs_taken
        self.engine._shell.deliver(TimeAdvanced())
        await self.until(lambda: self.engine._shell.loop.inputs_taken > taken and not self.engine._shell.venue)

    @property
    def state(self) -> State:
        return self.engine.state
