"""One trading day, the same at every venue: entries, partial fills, a trail, a disconnect, lost answers, a crash, a gap, panic.

A `Site` is a venue that a test holds in its hand with the real engine and the real adapter at it. `trading_day` plays the day.
Prices are dollars near 100; `pieces` are the venue's handy quantity: one share, or a tenth of a coin.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from typing import NamedTuple

from engine.apply import apply
from engine.events import OrderFilled, ProtectionChanged, Recorded, decode
from engine.inputs import (
    Connectivity,
    Flatten,
    Limits,
    PlaceOrder,
    PortfolioSettings,
    Settings,
    TimeAdvanced,
    TrailSpec,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import Order, OrderKind, OrderStatus, Purpose, Side
from engine.parts import EngineParts
from engine.ports import Broker, Clock, Journal, JournalRow, MarketFeed
from engine.positions import Position
from engine.runner import Engine
from engine.service import Mode, Receipt, StopHome
from engine.state import State
from engine.units import NS_PER_SECOND, Lots
from store.memory import JournalCrashed, MemoryJournal
from tests.conformance.desk import ACCOUNT

DEADLINE_SECONDS = 60.0
BEAT_EVERY_SECONDS = 0.05
# A fill while nobody was there to see it is covered once it is seen; until then only the older stop stands.
NOBODY_THERE = ("disconnect with a missed fill", "crash after the venue took it")
BY_HAND = "by hand"
RETRY_SOON = (("Retry-After", "1"),)
LIMITS = Limits(collar_bps=2_000, duplicate_seconds=0, orders_per_minute=1_000)


class MortalJournal(MemoryJournal):
    """A journal whose process can be ended by hand: the next transaction is lost and nothing follows it."""

    def end_process(self) -> None:
        self._crash_after, self._lose_last = 0, True


def fold(rows: Iterable[JournalRow]) -> State:
    """The state that journal rows add up to."""
    state = State()
    for row in rows:
        state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))
    return state


def settings_of(minor_exponent: int) -> Settings:
    """The day's settings; what a person would wait half a minute for settles at once."""
    portfolio = PortfolioSettings("main", ACCOUNT, "USD", minor_exponent, limits=LIMITS)
    return Settings((portfolio,), settle_seconds=0.5, query_after_seconds=0.2)


def is_live(state: State) -> bool:
    account = state.accounts.get(ACCOUNT)
    return account is not None and account.connectivity is Connectivity.LIVE


def want(command_id: str, symbol: str, quantity: Decimal, stop: str, *, limit: str | None = None,
         trail: str | None = None, target: str | None = None) -> PlaceOrder:
    """A protected entry, at market unless a limit is named."""
    return PlaceOrder(
        command_id, symbol, Side.BUY, quantity=quantity, stop=Decimal(stop),
        kind=OrderKind.LIMIT if limit else OrderKind.MARKET, limit=Decimal(limit) if limit else None,
        trail=TrailSpec(price=Decimal(trail)) if trail else None, target=Decimal(target) if target else None)


class Site(ABC):
    """One venue with one market, and the engine of the moment. `stops_rest` where stop orders rest at the venue,
    `exits_go_along` where those of an entry go out in its request."""

    name: str
    symbol: str
    instrument_id: str
    piece: Decimal
    lots_a_piece: Lots
    minor_exponent: int
    stops_rest = True
    exits_go_along = False

    def __init__(self) -> None:
        self.journal: Journal = MortalJournal()
        self.broker: Broker
        self.engine: Engine | None = None
        self.task: asyncio.Task[None] | None = None
        self.phase = ""
        self.uncovered: dict[str, float] = {}
        self._looked_at = time.monotonic()
        self.began: list[tuple[int, str]] = []
        self._commands = 0

    # ---- the venue's side ----

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    async def close(self) -> None: ...

    @abstractmethod
    def parts(self) -> tuple[Broker, MarketFeed, Clock]:
        """A new adapter, as a new process would make it."""

    @abstractmethod
    async def market(self, bid: Decimal, ask: Decimal, pieces: int) -> None:
        """The market moves at the venue; sizes of 0 are not known."""

    @abstractmethod
    async def show(self, bid: Decimal, ask: Decimal) -> None:
        """The feed tells the newest quote, to whoever listens."""

    @abstractmethod
    def venue_lots(self) -> Lots:
        """What the venue itself says that the account holds."""

    @abstractmethod
    def open_stops(self) -> Lots:
        """How many lots the stops cover that rest at the venue."""

    @abstractmethod
    def taken_ids(self) -> list[str]:
        """Our id of each order that the venue took, oldest first, repeated where it took one twice."""

    @abstractmethod
    def open_ids(self) -> list[str]:
        """Our id of each order that is open at the venue."""

    @abstractmethod
    def sendings(self) -> int:
        """How often an order was sent to the venue, whatever became of it."""

    @abstractmethod
    def lose_next_answer(self, *, arrives: bool) -> None:
        """The next order's answer is lost: before the order arrived, or after the venue acted on it."""

    @abstractmethod
    def mute(self) -> None:
        """The account's stream tells nothing, and does not know it."""

    @abstractmethod
    def unmute(self) -> None: ...

    @abstractmethod
    async def go_dark(self) -> None:
        """The venue cannot be reached; it lives on."""

    @abstractmethod
    async def come_back(self) -> None: ...

    @abstractmethod
    def place_by_hand(self) -> None:
        """Somebody places a resting buy past the engine."""

    # ---- the engine's side ----

    async def start(self) -> None:
        """A process begins on what its journal holds."""
        rows = list(self.journal.rows())  # type: ignore[attr-defined] # every journal of a test can be read
        if isinstance(self.journal, MemoryJournal):
            self.journal = MortalJournal(rows=rows)
        self.broker, feed, clock = self.parts()
        self.engine = Engine(EngineParts(
            clock=clock, journal=self.journal, engine_id="a1b2c3d4e", version="test", mode=Mode.PAPER,
            settings=settings_of(self.minor_exponent), brokers=(self.broker,), feed=feed, state=fold(rows)))
        self.task = asyncio.create_task(self.engine.run())
        await self.until(lambda: self.live, "the first reconciliation")

    async def stop(self) -> None:
        if self.engine is not None and self.task is not None and not self.task.done():
            self.engine.stop()
            await asyncio.wait_for(self.task, DEADLINE_SECONDS)

    async def crash(self) -> None:
        """Wait for the end of a process that was told to end; what it had not written down is gone."""
        assert self.task is not None
        with suppress(JournalCrashed):
            await asyncio.wait_for(asyncio.shield(self.task), DEADLINE_SECONDS)
        self.engine = None

    @property
    def running(self) -> Engine:
        assert self.engine is not None
        return self.engine

    @property
    def state(self) -> State:
        return self.running.state

    @property
    def live(self) -> bool:
        return is_live(self.state)

    @property
    def instrument(self) -> Instrument:
        return self.state.instruments[self.instrument_id]

    @property
    def position(self) -> Position | None:
        return self.state.position("main", self.instrument_id)

    @property
    def our_lots(self) -> Lots:
        return self.position.lots if self.position is not None else 0

    @property
    def home(self) -> StopHome | None:
        found = self.state.homes.get(self.position.key) if self.position is not None else None
        return found.home if found else None

    @property
    def stop_home(self) -> StopHome:
        """Where a stop belongs here."""
        return StopHome.VENUE if self.stops_rest else StopHome.ENGINE

    def lots(self, pieces: int) -> Lots:
        return pieces * self.lots_a_piece

    def ticks(self, price: str) -> int:
        return int(Decimal(price) / self.instrument.tick_size)

    def open_exits(self) -> list[Order]:
        """Our exits that the venue has confirmed and that have not ended."""
        return [order for order in self.state.orders.values() if order.status is OrderStatus.NEW
                and order.intent.purpose in (Purpose.STOP, Purpose.TARGET)]

    # ---- time, prices, words ----

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Let everybody work until something is so, a bounded time; the clock beats faster than a real one."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        beaten = time.monotonic()
        while not condition():
            self._look()
            now = time.monotonic()
            assert now < deadline, f"{self.name}, {self.phase}: it did not happen: {what}"
            if self.task is not None and self.task.done() and self.engine is not None:
                self.task.result()
                raise AssertionError("the engine ended")
            if self.engine is not None and now - beaten > BEAT_EVERY_SECONDS and self.engine.ready.is_set():
                beaten = now
                self.beat()
            await asyncio.sleep(0.001)
        self._look()

    def beat(self) -> None:
        self.running._shell.deliver(TimeAdvanced())

    def _look(self) -> None:
        """Nothing that we know of is ever without protection; what nobody covers at the venue itself is measured."""
        now = time.monotonic()
        passed, self._looked_at = now - self._looked_at, now
        if self.engine is not None and self.position is not None and self.phase not in NOBODY_THERE:
            assert not self.position.bare_since_ns, f"{self.name}, {self.phase}: bare, its stop is {self.home}"
        watching = self.engine is not None and self.live and self.our_lots == self.venue_lots()
        if self.venue_lots() > self.open_stops() and not watching:
            self.uncovered[self.phase] = self.uncovered.get(self.phase, 0.0) + passed

    async def quote(self, bid: str, ask: str, pieces: int = 0) -> None:
        """The market moves, for the venue and for the engine."""
        await self.market(Decimal(bid), Decimal(ask), pieces)
        wanted = (self.ticks(bid), self.ticks(ask))

        def seen() -> bool:
            mark = self.running.market.marks.get(self.instrument_id)
            return mark is not None and (mark.bid_ticks, mark.ask_ticks) == wanted

        deadline = time.monotonic() + DEADLINE_SECONDS
        while not seen():
            assert time.monotonic() < deadline, f"{self.name}, {self.phase}: the feed did not tell {bid}/{ask}"
            await self.show(Decimal(bid), Decimal(ask))
            shown_until = time.monotonic() + BEAT_EVERY_SECONDS
            await self.until(lambda: seen() or time.monotonic() > shown_until, "a quote")  # noqa: B023

    async def buy(self, pieces: int, stop: str, *, limit: str | None = None, trail: str | None = None,
                  target: str | None = None) -> Receipt:
        """A protected entry; its receipt, which must be a good one."""
        self._commands += 1
        receipt = await self.running.send(
            want(f"c{self._commands}", self.symbol, pieces * self.piece, stop, limit=limit, trail=trail, target=target))
        assert receipt.accepted, receipt
        return receipt

    async def agree(self, pieces: int) -> None:
        """We hold what the venue holds, its stop covers all of it, and a complete report says so too."""
        lots = self.lots(pieces)
        await self.until(lambda: self.our_lots == self.venue_lots() == lots, f"{lots} lots, ours and the venue's")
        if lots:
            await self.until(lambda: self.home is self.stop_home and self.open_stops() == (lots if self.stops_rest else 0),
                             "a stop for all of it")
        report = await self.broker.report(0, ())
        assert isinstance(report, VenueReport), report
        theirs = sum(each.lots for each in report.positions if each.instrument_id == self.instrument_id)
        assert theirs == self.our_lots == lots
        await self.until(lambda: self.state.accounts[ACCOUNT].drifts == {}, "no difference left")


class Loss(NamedTuple):
    """What becomes of a request: whether the venue acts on it, and what comes back instead of its answer. With `status` 0 the
    line is cut; `hangs` leaves it open without a word, `truncated` sends half of the answer, `again` is what the venue says
    to the same request a second time."""

    arrives: bool
    status: int = 0
    hangs: bool = False
    truncated: bool = False
    again: bool = False


class ServedSite(Site):
    """A site whose venue is a server, which processes can come and go at. `answer_seconds` is how long an answer may take."""

    answer_seconds = 10.0

    @abstractmethod
    async def serve(self) -> None:
        """The venue alone, without an engine."""

    @property
    @abstractmethod
    def url(self) -> str: ...

    @classmethod
    @abstractmethod
    def parts_at(cls, url: str, answer_seconds: float) -> tuple[Broker, MarketFeed, Clock]:
        """The adapter at a venue that is served there, by this process or another one."""

    @abstractmethod
    def disturb_next(self, loss: Loss) -> None:
        """The answer to the next order is lost in this way."""

    def lose_next_answer(self, *, arrives: bool) -> None:
        self.disturb_next(Loss(arrives))


# ---- the day -------------------------------------------------------------------------------------------------------------


async def trading_day(site: Site) -> list[str]:
    """Play the day at a site that is open and started; the lines of its report."""
    for phase in (entry_by_market, entry_by_limit_in_parts, trail_that_moves, disconnect_with_a_missed_fill,
                  answer_lost_after_the_fill, crash_after_the_venue_took_it, gap_through_the_stop, panic):
        site.phase = phase.__name__.replace("_", " ")
        site.began.append((site.state.seq, site.phase))
        await phase(site)
    assert_nothing_doubled(site)
    return day_report(site)


async def entry_by_market(site: Site) -> None:
    await site.quote("99.90", "100.10")
    await site.buy(10, "95", trail="5", target="130")
    await site.agree(10)


async def entry_by_limit_in_parts(site: Site) -> None:
    resting = len(site.open_ids())
    await site.buy(10, "94", limit="99.50")
    await site.until(lambda: len(site.open_ids()) > resting, "the limit at rest")
    await site.quote("99.30", "99.40", 4)
    await site.agree(14)
    await site.quote("99.20", "99.30", 50)
    await site.agree(20)


async def trail_that_moves(site: Site) -> None:
    for bid, ask in (("101.00", "101.10"), ("102.50", "102.60"), ("104.00", "104.10")):
        await site.quote(bid, ask)
    await site.until(lambda: site.position is not None and site.position.stop_ticks == site.ticks("99"), "the trail")
    await site.agree(20)
    await site.quote("103.50", "103.60")  # a price that falls does not move it back
    assert site.position is not None
    assert site.position.stop_ticks == site.ticks("99")


async def disconnect_with_a_missed_fill(site: Site) -> None:
    resting = len(site.open_ids())
    await site.buy(5, "98", limit="103.00")
    await site.until(lambda: len(site.open_ids()) > resting, "the limit at rest")
    await site.go_dark()
    await site.until(lambda: not site.live, "the loss of the venue")
    await site.market(Decimal("102.80"), Decimal("102.90"), 50)
    assert (site.venue_lots(), site.our_lots) == (site.lots(25), site.lots(20))
    await site.come_back()
    await site.quote("102.80", "102.90")
    await site.until(lambda: site.live, "the venue again")
    await site.agree(25)


async def answer_lost_after_the_fill(site: Site) -> None:
    site.mute()
    site.lose_next_answer(arrives=True)
    await site.buy(5, "98")
    await site.until(lambda: site.our_lots == site.lots(30), "the order, found by its id")
    site.unmute()
    await site.agree(30)


async def crash_after_the_venue_took_it(site: Site) -> None:
    """The intent is on disk, the venue's answer is not: the process is gone before it could be written."""
    await site.buy(5, "98")
    assert isinstance(site.journal, MortalJournal)
    site.journal.end_process()
    await site.crash()
    assert site.venue_lots() == site.lots(35)
    await site.start()
    await site.quote("102.70", "102.80")
    await site.agree(35)


async def gap_through_the_stop(site: Site) -> None:
    await site.quote("90.00", "90.10")
    await site.agree(0)
    assert site.state.round_trips
    assert site.open_ids() == []


async def panic(site: Site) -> None:
    await site.buy(8, "85")
    await site.agree(8)
    site.place_by_hand()
    await site.running.send(Flatten("flat"))
    await site.until(lambda: (found := site.state.flatten) is not None and found.finished, "flat")
    assert site.state.flatten is not None
    assert site.state.flatten.flat_accounts == {ACCOUNT: True}
    assert (site.venue_lots(), site.our_lots, site.open_ids()) == (0, 0, [])


# ---- what the day showed -------------------------------------------------------------------------------------------------


def assert_nothing_doubled(site: Site, *, entries_lost: int = 0) -> None:
    """The venue took each of our orders once, nothing that we do not know, and executed none beyond its size."""
    taken = site.taken_ids()
    assert len(taken) == len(set(taken)), taken
    orders = [site.state.order(client_order_id) for client_order_id in taken]
    assert None not in orders, "the venue took an order that the journal does not know"
    entries = [order for order in orders if order is not None and order.intent.purpose is Purpose.ENTRY]
    assert len(entries) == site._commands - entries_lost
    assert all(order is not None and order.cum_lots <= order.intent.order_lots and not order.overfill_lots for order in orders)


def day_report(site: Site) -> list[str]:
    """Where each position's stop lived and for how long nothing guarded it, from the journal; then what the venue saw."""
    seconds: dict[tuple[int, str], float] = {}
    number, held, since_ns, where = 0, 0, 0, ""
    for row in site.journal.rows():  # type: ignore[attr-defined] # every journal of a test can be read
        if where:
            seconds[number, where] = seconds.get((number, where), 0.0) + (row.at_ns - since_ns) / NS_PER_SECOND
        since_ns, event = row.at_ns, decode(row.kind, row.payload)
        if isinstance(event, OrderFilled):
            opened = not held
            held += event.fill.side.sign * event.fill.last_lots
            number += opened
            where = "" if not held else "opening" if opened else where
        elif isinstance(event, ProtectionChanged) and held:
            where = "unprotected" if event.bare else str(event.home)
            phase = next(name for seq, name in reversed(site.began) if seq < row.seq)
            assert not event.bare or phase in NOBODY_THERE, (phase, event)
    lines = []
    for each in range(1, number + 1):
        places = ", ".join(f"{place} {value:.3f} s" for (owner, place), value in seconds.items()
                           if owner == each and place != "unprotected")
        lines.append(f"{site.name:8} position {each}: unprotected {seconds.get((each, 'unprotected'), 0.0):.3f} s ({places})")
    lines += [f"{site.name:8} more held at the venue than its stops cover and than the engine knows, in {phase!r}: {value:.3f} s"
              for phase, value in site.uncovered.items()]
    return lines
