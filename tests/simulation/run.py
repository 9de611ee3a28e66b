"""One seed: the run with its faults and crashes, and what must hold at every step and at the end."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

import msgspec

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.apply import apply
from engine.clocks import VirtualClock
from engine.events import Recorded, decode
from engine.inputs import AutomationLevel, Bar, MarketItem, MarketTrade, TradingState
from engine.kernel.exits import NO_EXIT, exit_on_price
from engine.orders import OrderIntent, Purpose
from engine.parts import EngineParts
from engine.positions import exit_state
from engine.protection import IN_FLIGHT, REDUCING_ONCE
from engine.runner import Engine
from engine.service import Mode, StopHome
from engine.state import State, encode_state
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed
from tests.simulation.alerts import fired_too_often
from tests.simulation.candidates import after_crash, unlawful, with_candidate
from tests.simulation.faults import FaultyBroker
from tests.simulation.flows import Payments
from tests.simulation.limit_checks import beyond_limits
from tests.simulation.over_time import overdone
from tests.simulation.research import ScriptedDesk, broken_research
from tests.simulation.row_checks import RowChecks, WatchedJournal
from tests.simulation.targets import aimed, budget_violations, by_hand, done_twice
from tests.simulation.world import (
    ACCOUNT,
    ITEMS,
    ROOMY,
    START_NS,
    STEP_NS,
    Silence,
    WorldTape,
    instruments,
    script,
    settings,
    silences,
)

FAULT_RATE = 0.12
MOST_CRASHES = 4
SKEWS_NS = (0, 0, -200 * NS_PER_SECOND, -40 * NS_PER_SECOND, 40 * NS_PER_SECOND, 200 * NS_PER_SECOND)
LEAVING_SECONDS = 30
CAPABILITIES = (
    PaperOptions(), PaperOptions(), PaperOptions(bracket=False), PaperOptions(bracket=False, oco=False),
    PaperOptions(stop=False, bracket=False, oco=False), PaperOptions(reduce_only=False, bracket=False, oco=False))


class Outcome(NamedTuple):
    """What a seed showed: violations (none is the aim), the faults that struck, and how much happened."""

    seed: int
    violations: tuple[str, ...]
    faults: Counter[str]
    rows: int
    fills: int
    crashes: int


class Simulation:
    """One world, one venue, one journal, and as many engines as there are crashes."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(seed)
        can = self.random.choice(CAPABILITIES)
        if not can.reduce_only and seed % 2:  # stop and target as one pair, on half of those that hold the shares for exits
            can = msgspec.structs.replace(can, oco=True)
        options = msgspec.structs.replace(
            can, seed=seed, slippage_bps=self.random.choice((0, 3)), latency_ms=self.random.choice((0, 0, 1_500, 5_000)),
            fill_share_bps=self.random.choice((10_000, 2_500)))
        self.options = options
        venue = PaperBroker(ACCOUNT, None, options, instruments())
        rate = self.random.choice((0.0, FAULT_RATE, FAULT_RATE, 3 * FAULT_RATE))
        more = Random(seed * 15_485_863 + 3)
        self.broker = FaultyBroker(venue, seed + 1, rate, more.choice(SKEWS_NS) if rate else 0)
        self.broker.on_submit = self._check_submit
        self.broker.on_cancel = self._check_cancel
        self.broker.on_look = self._look
        self.silences = silences(more) if rate else ()
        self.settings = with_candidate(aimed(settings(self.random), Random(seed * 31_337 + 3)), seed, ROOMY)
        self.tape = WorldTape(seed)
        self.research = ScriptedDesk(seed)
        self.payments = Payments(seed, venue.venue)
        self.engine: Engine | None = None
        self.journal = WatchedJournal()
        self.violations: list[str] = []
        self.crashes = 0

    def run(self) -> Outcome:
        crash_after = self._next_crash(0)
        while True:
            try:
                asyncio.run(self._session(crash_after))
            except JournalCrashed:
                self.crashes += 1
                crash_after = self._next_crash(len(self.journal.durable))
                continue
            break
        self._check_end()
        assert self.engine is not None
        faults = self.broker.counts
        if self.options.fill_share_bps < 10_000:
            faults["partial fill"] += sum(1 for order in self.engine.state.closed.values()
                                          if 0 < order.cum_lots < order.intent.order_lots)
        faults["crash"] += self.crashes
        fills = sum(len(day) for day in self.engine.state.fills_seen.values())
        return Outcome(self.seed, tuple(self.violations), faults, len(self.journal.durable), fills, self.crashes)

    def _next_crash(self, rows: int) -> int | None:
        if self.crashes >= MOST_CRASHES or self.random.random() < 0.4:
            return None
        return rows + self.random.randint(1, 60)

    async def _session(self, crash_after: int | None) -> None:
        state = fold(self.journal.durable)
        self.journal = WatchedJournal(rows=self.journal.durable, crash_after=crash_after,
                                      lose_last=self.random.random() < 0.5)
        parts = EngineParts(clock=VirtualClock(), journal=self.journal, engine_id="sim", version="test", mode=Mode.REPLAY,
                            settings=after_crash(self.settings, self.seed, self.crashes), brokers=(self.broker,), state=state,
                            script=script(self.seed, self.settings),
                            tape=_Calming(self.tape, self.broker, self.silences, self.research, self.payments))
        self.engine = Engine(parts)
        self.research.attach(self.engine)
        self.journal.watcher = RowChecks(state, self.engine.market, self.violations)
        await self.engine.run()

    # ---- what must hold ----

    def _check_submit(self, intents: Sequence[OrderIntent]) -> None:
        """At the moment an entry leaves, heat with it counted in full is within its limit."""
        assert self.engine is not None
        state, market = self.engine.state, self.engine.market
        for intent in intents:
            if intent.purpose is Purpose.ENTRY:
                if not self._resent(intent):
                    self.violations += [*beyond_limits(state, market, intent), *budget_violations(state, market, intent)]
                self.violations += unlawful(state, market, intent)
                if state.effective_state("main") is not TradingState.ACTIVE:
                    self.violations.append(f"entry {intent.client_order_id} while {state.effective_state('main')}")
                asks = self.settings.portfolios[0].automation is not AutomationLevel.AUTO_EXECUTE
                if asks and intent.strategy != "manual" and not intent.approved_by and not by_hand(state, intent):
                    self.violations.append(f"{intent.client_order_id} of {intent.strategy} went out without an approval")

    def _check_cancel(self, client_order_id: str) -> None:
        assert self.engine is not None
        assert self.journal.watcher is not None
        self.journal.watcher.cancelled(client_order_id, self.engine.parts.clock.now_ns())

    def _look(self) -> None:
        if self.journal.watcher is not None and self.engine is not None:
            self.journal.watcher.looked(self.engine.parts.clock.now_ns())

    def _resent(self, intent: OrderIntent) -> bool:
        assert self.engine is not None
        order = self.engine.state.order(intent.client_order_id)
        return order is not None and order.sent_at_ns != order.intended_at_ns

    def _check_end(self) -> None:
        assert self.engine is not None
        state = self.engine.state
        if self.engine.defects:
            self.violations.append(f"{self.engine.defects} decisions failed by a defect")
        self.violations += self.broker.conflicts
        self.violations += fired_too_often(self.journal.durable)
        self.violations += done_twice(self.journal.durable)
        self.violations += overdone(self.journal.durable)
        self.violations += broken_research(self.journal.durable, self.settings.portfolios[0].automation)
        totals = self.broker.venue.venue.report(0, ())
        theirs = {position.instrument_id: position.lots for position in totals.positions if position.lots}
        ours = {position.instrument_id: position.lots for position in state.positions.values()}
        if ours != theirs:
            self.violations.append(f"our lots {ours}, the venue's {theirs}")
        if any(drift.settled for drift in state.accounts[ACCOUNT].drifts.values()):
            self.violations.append(f"drift: {state.accounts[ACCOUNT].drifts}")
        self._check_money(state, totals.cash_minor)
        for position in state.positions.values():
            self._check_protected(state, position.key)
        working = [order.client_order_id for order in state.orders.values()
                   if order.intent.purpose is Purpose.ENTRY and not order.external and not order.cancel_requests]
        if working:
            self.violations.append(f"entries still work after the end: {working}")
        told = sum(1 for row in self.journal.durable if row.kind == "AlertRaised"
                   and getattr(decode(row.kind, row.payload), "code", "") == "fill-clash")
        if self.broker.clashes and not told and not self.crashes:
            self.violations.append("a trade was told twice with other numbers, and nobody was alarmed")
        unsettled = [order.client_order_id for order in state.orders.values() if order.status in IN_FLIGHT]
        if unsettled:
            self.violations.append(f"still unknown: {unsettled}")
        if state.flatten is not None and not state.flatten.finished:
            self.violations.append("a flatten never finished")
        if encode_state(fold(self.journal.durable)) != encode_state(state):
            self.violations.append("replaying the journal gives another state")

    def _check_money(self, state: State, venue_cash: int) -> None:
        portfolio, account = state.portfolios["main"], state.accounts[ACCOUNT]
        cost = sum(position.cost_minor for position in state.positions.values())
        if account.cash_minor != portfolio.adjusted_minor + portfolio.realized_minor - portfolio.fees_minor - cost:
            self.violations.append("cash is not the sum of what happened")
        if account.cash_minor != venue_cash:
            self.violations.append(f"our cash {account.cash_minor}, the venue's {venue_cash}")

    def _check_leaving(self, state: State, key: str) -> None:
        """Once it is decided to leave, orders for all of it are at the venue, where a thin market may take them slowly; after a
        long calm only what was decided a moment ago is still on its way there."""
        position = state.positions[key]
        open_ids = {found.client_order_id for found in self.broker.venue.venue.report(0, ()).open_orders}
        leaving = sum(order.leaves_lots for order in state.orders_in("main", position.instrument_id)
                      if order.client_order_id in open_ids and order.intent.purpose in REDUCING_ONCE)
        if leaving >= min(position.exit_lots or abs(position.lots), abs(position.lots)):  # another exit may have taken its share
            return
        decided = [row.at_ns for row in self.journal.durable if row.kind == "ExitWanted"
                   and getattr(decode(row.kind, row.payload), "key", "") == key]
        if state.at_ns - decided[-1] > LEAVING_SECONDS * NS_PER_SECOND:
            self.violations.append(f"{key} was to be left ({position.exit_reason}), attempt {position.exit_attempts}, and is not")

    def _check_protected(self, state: State, key: str) -> None:
        """A position rests behind a stop at the venue, or the engine watches it, or it is on its way out."""
        assert self.engine is not None
        position = state.positions[key]
        home = state.homes.get(key)
        mark = self.engine.market.marks[position.instrument_id]
        last_beat_ns = state.at_ns - STEP_NS  # a hold that ends with the tape is over at a beat that never comes
        hit = exit_on_price(exit_state(position, state.instruments[position.instrument_id]), mark.bid_ticks, mark.ask_ticks,
                            last_beat_ns)
        if hit != NO_EXIT and not position.exit_reason and not position.touched_at_ns:
            self.violations.append(f"{key} is past a level and nothing happens")
        if position.exit_reason:
            self._check_leaving(state, key)
            if not position.exit_lots:
                return
        if home is None or home.home is StopHome.NONE or not position.stop_ticks:
            self.violations.append(f"{key} is not protected: {home}")
        elif home.home is StopHome.PENDING:
            self.violations.append(f"{key}'s stop never arrived")
        if home and home.home is StopHome.VENUE:
            open_ids = {found.client_order_id for found in self.broker.venue.venue.report(0, ()).open_orders}
            stops = [order for order in state.orders_in("main", position.instrument_id) if order.intent.purpose is Purpose.STOP]
            if not any(order.client_order_id in open_ids for order in stops):
                self.violations.append(f"{key} believes in a stop that the venue does not have")


class _Calming:
    """The tape, which hides some of the market from the engine, and ends all new faults when its quiet part begins."""

    def __init__(self, tape: WorldTape, broker: FaultyBroker, silent: Sequence[Silence],
                 research: ScriptedDesk, payments: Payments) -> None:
        self._tape = tape
        self._broker = broker
        self._silent = silent
        self._research = research
        self._payments = payments
        self.instruments = tape.instruments
        self.history = tape.history

    def items(self) -> Iterator[MarketItem]:
        quiet_from = START_NS + ITEMS * STEP_NS
        for place, item in enumerate(self._tape.items()):
            at_ns = item.close_ns if isinstance(item, Bar) else item.at_ns
            self._research.pump(at_ns)
            self._payments.pump(place)
            if at_ns >= quiet_from:
                self._broker.quiet = True
            if any(one.instrument_id == item.instrument_id and one.from_ns <= at_ns < one.to_ns for one in self._silent):
                self._broker.hidden[place] = item
                yield MarketTrade(item.instrument_id, 0, place, 0, at_ns)  # nothing that the engine could take for a price
            else:
                yield item


def fold(rows: Sequence[object]) -> State:
    """The state that a journal adds up to."""
    state = State()
    for row in rows:
        state = apply(state, Recorded(row.seq, row.at_ns, decode(row.kind, row.payload)))  # type: ignore[attr-defined]
    return state


def simulate(seed: int) -> Outcome:
    """Run one seed; the same seed always does the same."""
    return Simulation(seed).run()
