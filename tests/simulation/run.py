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
from engine.heat import bucket_heat, bucket_of, correlated_heat, heat_lines, sector_of
from engine.inputs import AutomationLevel, Bar, Limits, MarketItem, TradingState
from engine.kernel.exits import NO_EXIT, exit_on_price
from engine.limits import exposure_of
from engine.market import MarketView
from engine.orders import OrderIntent, Purpose
from engine.parts import EngineParts
from engine.positions import exit_state
from engine.protection import IN_FLIGHT
from engine.runner import Engine
from engine.service import Mode, StopHome
from engine.state import State, encode_state
from engine.valuation import equity_minor, fraction, heat_minor
from store.memory import JournalCrashed, MemoryJournal
from tests.simulation.alerts import fired_too_often
from tests.simulation.faults import FaultyBroker
from tests.simulation.world import ACCOUNT, ITEMS, START_NS, STEP_NS, WorldTape, instruments, script, settings

FAULT_RATE = 0.12
MOST_CRASHES = 4
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
        options = msgspec.structs.replace(
            can, seed=seed, slippage_bps=self.random.choice((0, 3)), latency_ms=self.random.choice((0, 0, 1_500, 5_000)),
            fill_share_bps=self.random.choice((10_000, 2_500)))
        self.options = options
        venue = PaperBroker(ACCOUNT, None, options, instruments())
        self.broker = FaultyBroker(venue, seed + 1, self.random.choice((0.0, FAULT_RATE, FAULT_RATE, 3 * FAULT_RATE)))
        self.broker.on_submit = self._check_submit
        self.settings = settings(self.random)
        self.tape = WorldTape(seed)
        self.engine: Engine | None = None
        self.journal = MemoryJournal()
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
        self.journal = MemoryJournal(rows=self.journal.durable, crash_after=crash_after,
                                     lose_last=self.random.random() < 0.5)
        parts = EngineParts(clock=VirtualClock(), journal=self.journal, engine_id="sim", version="test", mode=Mode.REPLAY,
                            settings=self.settings, brokers=(self.broker,), state=state, tape=_Calming(self.tape, self.broker),
                            script=script(self.seed))
        self.engine = Engine(parts)
        await self.engine.run()

    # ---- what must hold ----

    def _check_submit(self, intents: Sequence[OrderIntent]) -> None:
        """At the moment an entry leaves, heat with it counted in full is within its limit."""
        assert self.engine is not None
        state, market = self.engine.state, self.engine.market
        for intent in intents:
            if intent.purpose is Purpose.ENTRY:
                equity = equity_minor(state, market, "main")
                heat = fraction(heat_minor(state, market, "main"), equity)
                limits = state.portfolios["main"].settings.limits
                if heat > limits.max_heat_fraction + 1e-9 and not self._resent(intent):
                    self.violations.append(f"heat {heat:.4f} at {intent.client_order_id}")
                if not self._resent(intent):
                    self._check_limits(state, market, intent, limits, equity)
                if state.effective_state("main") is not TradingState.ACTIVE:
                    self.violations.append(f"entry {intent.client_order_id} while {state.effective_state('main')}")
                if intent.strategy != "manual" and self.settings.portfolios[0].automation is not AutomationLevel.AUTO_EXECUTE:
                    self.violations.append(f"{intent.client_order_id} of {intent.strategy} went out without an approval")

    def _check_limits(self, state: State, market: MarketView, intent: OrderIntent, limits: Limits, equity: int) -> None:
        """The book with the entry in it is within every limit on what is held and risked."""
        instrument = state.instruments[intent.instrument_id]
        work = exposure_of(state, market, "main", instrument)
        lines = heat_lines(state, market, "main")
        held = {
            "gross": (work.gross_minor, limits.max_gross_fraction), "net": (abs(work.net_minor), limits.max_net_fraction),
            "asset class": (work.class_minor, limits.max_asset_class_fraction),
            "bucket": (work.bucket_minor, limits.max_bucket_fraction),
            "bucket heat": (bucket_heat(lines)[bucket_of(state.settings, instrument)], limits.max_bucket_heat_fraction),
            "correlated heat": (correlated_heat(market, lines).minor() - 2, limits.max_correlated_heat_fraction)}
        if sector_of(state.settings, instrument):
            held["sector"] = (work.sector_minor, limits.max_sector_fraction)
        for name, (minor, limit) in held.items():
            if limit and fraction(minor, equity) > limit + 1e-9:
                self.violations.append(f"{name} {fraction(minor, equity):.4f} at {intent.client_order_id}")
        if limits.max_orders_per_day and state.portfolios["main"].day_entry_count > limits.max_orders_per_day:
            self.violations.append(f"too many entries a day at {intent.client_order_id}")

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

    def _check_protected(self, state: State, key: str) -> None:
        """A position rests behind a stop at the venue, or the engine watches it, or it is on its way out."""
        assert self.engine is not None
        position = state.positions[key]
        home = state.homes.get(key)
        mark = self.engine.market.marks[position.instrument_id]
        hit = exit_on_price(exit_state(position, state.instruments[position.instrument_id]), mark.bid_ticks, mark.ask_ticks,
                            state.at_ns)
        if hit != NO_EXIT and not position.exit_reason and not position.touched_at_ns:
            self.violations.append(f"{key} is past a level and nothing happens")
        if position.exit_reason:
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
    """The tape, which ends all new faults when its quiet part begins."""

    def __init__(self, tape: WorldTape, broker: FaultyBroker) -> None:
        self._tape = tape
        self._broker = broker
        self.instruments = tape.instruments
        self.history = tape.history

    def items(self) -> Iterator[MarketItem]:
        quiet_from = START_NS + ITEMS * STEP_NS
        for item in self._tape.items():
            if (item.close_ns if isinstance(item, Bar) else item.at_ns) >= quiet_from:
                self._broker.quiet = True
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
