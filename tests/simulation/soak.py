"""A simulated month at high speed: `python -m tests.simulation.soak --days 31`.

The engine's own shell and live drive, its journal and its paper venue on disk, strategies, alert rules, notices and a schedule
whose backups are real; on a clock that goes ten seconds a step. Meanwhile the process is killed at any row, the laptop sleeps,
the disk is full, the line and the venue misbehave (tests.simulation.faults), prices fall silent. November 2026 has the end of
summer time in New York, Thanksgiving and the half day after it.

Held against it: the oracle of tests.simulation.schedule_year for every job, the venue for what is held and guarded, the
journal's own proof and its replay, the process's memory day by day.
"""

import argparse
import asyncio
import gc
import logging
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.sessions import session_bounds
from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.clocks import VirtualClock
from engine.inputs import (
    AcceptDrift,
    AutomationLevel,
    Bar,
    ClosePosition,
    Command,
    Limits,
    PlaceOrder,
    Quote,
    SetAlertRule,
    SettleOrder,
    SetTradingState,
    TimeAdvanced,
    TradingState,
)
from engine.live_drive import LiveDrive
from engine.orders import OrderStatus, Purpose, Side
from engine.parts import EngineParts
from engine.schedule_words import JobKind
from engine.service import Mode, StopHome
from engine.shell import Shell
from engine.state import State, encode_state
from engine.strategies.registry import built_in, params_of
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND, Nanoseconds
from store.home import open_home
from store.memory import JournalCrashed
from store.read import journal_rows
from store.retention import Keep, scheduled_backup
from store.verify import verify
from tests.simulation.faults import FaultyBroker
from tests.simulation.run import fold
from tests.simulation.schedule_year import JOBS, expected, instant, unaccounted
from tests.simulation.soak_world import BAR_NS, Prices, SoakJournal, Told
from tests.unit.engine_desk import ACCOUNT, COIN, OTHER, settings_of
from tui.compose import day_number_in
from tui.folding import restored_state

START_NS = instant(2026, 10, 31)
STEP_NS = 10 * NS_PER_SECOND
QUOTE_NS = 30 * NS_PER_SECOND
MINUTE_NS, HOUR_NS, DAY_NS = 60 * NS_PER_SECOND, 3_600 * NS_PER_SECOND, 86_400 * NS_PER_SECOND
QUIET_NS = 2 * HOUR_NS
CALM_NS = 10 * MINUTE_NS
FAULT_RATE = 0.02
PATIENCE_LOOKS = 6
MOST_GROWTH_MIB = 6.0
LIMITS = Limits(max_order_notional_fraction=0.3, max_position_fraction=0.5, max_heat_fraction=0.2, stale_quote_seconds=90.0,
                max_risk_per_order_fraction=0.0, max_bucket_fraction=0.0, max_sector_fraction=0.0,
                max_daily_notional_fraction=0.0)


class Figures(NamedTuple):
    """What a soak came to; `rss_mib` is day by day, `bare_seconds` the longest that nothing guarded a position while an engine
    ran, `notice_ms` how long notices took to their service (median and 99%)."""

    days: float
    violations: tuple[str, ...]
    faults: Counter[str]
    rows: int
    runs: Counter[str]
    fills: int
    rss_mib: tuple[float, ...]
    bare_seconds: float
    notices: int
    notice_ms: tuple[float, float]
    seconds: float


class Soak:
    """One run of so many days."""

    def __init__(self, days: float, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.random, self.home, self._say = Random(seed), open_home(folder), say
        self.end_ns = START_NS + round(days * DAY_NS)
        self.clock = VirtualClock(START_NS)
        self.prices = Prices(Random(seed + 1))
        self.told = Told()
        self.broker = FaultyBroker(self._paper(), seed + 2, FAULT_RATE)
        self.faults: Counter[str] = Counter()
        self.violations: list[str] = []
        self.attended: dict[str, set[int]] = {job.job_id: set() for job in JOBS}
        self.down: list[tuple[int, int]] = []
        self.rss_mib: list[float] = []
        self.longest_bare_ns = 0
        self._bare_since: dict[str, int] = {}
        self._full_until = self._silent_until = self._disturbed_until = 0
        self._suspicions: Counter[str] = Counter()
        self._ids = count(1)
        self._due = {job.job_id: deque(at for at in expected()[job.job_id] if at > START_NS) for job in JOBS}
        strategy = built_in("ema_cross")
        given = {"fast_bars": 3, "slow_bars": 8, "warmup_bars": 10, "risk_bps": 30, "shorts": 1}
        params = dict(params_of(strategy, given)._asdict())
        self.settings = settings_of(
            "main", automation=AutomationLevel.AUTO_EXECUTE, limits=LIMITS, jobs=JOBS, new_day_zone="America/New_York",
            strategies=(StrategySettings("cross", "ema_cross", "main", ("COIN", "OTHER"), params, warmup_bars=10),))
        self.journal: SoakJournal
        self.shell: Shell
        self.drive: LiveDrive

    def _paper(self) -> PaperBroker:
        return PaperBroker(ACCOUNT, self.home.paper, PaperOptions(bracket=False, oco=False), (COIN, OTHER))

    @property
    def state(self) -> State:
        return self.shell.loop.state

    # ---- lives ----

    async def _come_up(self) -> None:
        """A new process on what the disk holds."""
        self.journal = SoakJournal(self.home.journal)
        self.shell = Shell(EngineParts(
            clock=self.clock, journal=self.journal, engine_id="soak", version="soak", mode=Mode.PAPER, settings=self.settings,
            brokers=(self.broker,), state=restored_state(self.home), notifier=self.told, sessions=session_bounds,
            day_number=day_number_in("America/New_York"), keeps_schedule=True,
            job_runners={JobKind.BACKUP: lambda _: scheduled_backup(self.home, Keep(3), self.clock.now_ns())}))
        self.shell.wake = asyncio.Event()
        self.drive = LiveDrive(self.shell)
        for bars in self.prices.bars.values():
            self.shell.loop.warm(list(bars))
        await self.shell.connect(self.clock.now_ns())
        await self._settle()

    async def _crash(self) -> None:
        """Killed; off for a while; the venue and the line go on without us."""
        now_ns = self.clock.now_ns()
        self.faults["killed, row lost" if self.journal.loses else "killed, row kept"] += 1
        for task in list(self.shell._tasks):
            task.cancel()
        self.journal.kill()
        self.broker.venue.venue._memory.close()
        self._full_until = 0
        up_ns = now_ns + self.random.choice((20, 60, 600, 3_600, 9 * 3_600)) * NS_PER_SECOND
        self.down.append((now_ns, up_ns))
        self.broker.venue = self._paper()
        self.broker._late.clear()
        self._bare_since.clear()
        self._pass_time(up_ns)
        await self._come_up()

    def _pass_time(self, until_ns: Nanoseconds) -> None:
        """Nobody looks: the market goes on at the venue."""
        at_ns = self.clock.now_ns()
        while at_ns + STEP_NS <= until_ns:
            at_ns += STEP_NS
            if at_ns % QUOTE_NS == 0:
                for quote in self.prices.quotes(at_ns):
                    self.broker.see(quote, at_ns)
            if at_ns % BAR_NS == 0:
                self.prices.closed_bars(at_ns)
        self.clock.advance_to(until_ns - until_ns % STEP_NS)
        self._disturbed_until = self.clock.now_ns() + CALM_NS
        for due in self._due.values():
            while due and due[0] <= self.clock.now_ns():
                due.popleft()

    # ---- steps ----

    async def run(self) -> Figures:
        """Live through it, come to rest, and look at what is left."""
        began = time.perf_counter()
        await self._come_up()
        await self._ask(*self._rules())
        day = 0
        while self.clock.now_ns() < self.end_ns:
            try:
                await self._step()
            except JournalCrashed:
                await self._crash()
            if (self.clock.now_ns() - START_NS) // DAY_NS > day:
                day = (self.clock.now_ns() - START_NS) // DAY_NS
                await self._morning(day)
        await self._come_to_rest()
        self._check()
        self.told.desk.close(5.0)
        latencies = sorted(self.told.latencies) or [0.0]
        rows = list(journal_rows(self.home.journal, 1))
        runs = Counter(str(msgspec.json.decode(row.payload)["job_id"]) for row in rows if row.kind == "JobStarted")
        fills = sum(row.kind == "OrderFilled" for row in rows)
        self.journal.close()
        return Figures(
            (self.end_ns - START_NS) / DAY_NS, tuple(self.violations), self.faults + self.broker.counts, len(rows), runs, fills,
            tuple(self.rss_mib), self.longest_bare_ns / NS_PER_SECOND, len(latencies),
            (1_000 * latencies[len(latencies) // 2], 1_000 * latencies[len(latencies) * 99 // 100]), time.perf_counter() - began)

    async def _step(self) -> None:
        now_ns = self.clock.now_ns() + STEP_NS
        self.clock.advance_to(now_ns)
        self.journal.full = now_ns < self._full_until
        attended = not self.journal.full
        self._show_prices(now_ns)
        await self.drive._before_beat()
        self.shell.deliver(TimeAdvanced())
        await self._settle()
        self._note_jobs(now_ns, attended=attended)
        self._note_bare(now_ns)
        if now_ns % (10 * MINUTE_NS) == 0:
            self._look(now_ns)
        if now_ns % (20 * MINUTE_NS) == 0:
            await self._person()
        if not self.broker.quiet:
            self._roll(now_ns)

    def _show_prices(self, now_ns: Nanoseconds) -> None:
        silent = now_ns < self._silent_until
        items: list[Quote | Bar] = []
        if now_ns % QUOTE_NS == 0:
            items += self.prices.quotes(now_ns)
        if now_ns % BAR_NS == 0:
            items += self.prices.closed_bars(now_ns)
        for item in items:
            if silent:
                self.broker.see(item, now_ns)
            else:
                self.drive._take_price(item)

    async def _settle(self) -> None:
        """Until nothing waits and no job or call is under way."""
        await self.drive._drain()
        while self.shell._tasks or self.shell.venue or self.shell.commands:
            if self.shell._tasks:
                await asyncio.wait(tuple(self.shell._tasks), timeout=60)
            await self.drive._drain()

    async def _ask(self, *commands: Command) -> None:
        for command in commands:
            self.shell.commands.append(command)
        await self._settle()

    def _roll(self, now_ns: Nanoseconds) -> None:
        """What may happen next: about three disturbances a day."""
        roll = self.random.random()
        if roll < 0.00010:
            self.journal.fatal_seq, self.journal.loses = self.state.seq + self.random.randint(1, 40), self.random.random() < 0.5
        elif roll < 0.00018:
            self.faults["sleep"] += 1
            self._pass_time(now_ns + self.random.choice((60, 600, 7_200, 30_000)) * NS_PER_SECOND)
        elif roll < 0.00026 and not self.journal.full:
            self.faults["full disk"] += 1
            self._full_until = now_ns + self.random.randint(2, 40) * MINUTE_NS
            self._disturbed_until = self._full_until + CALM_NS
        elif roll < 0.00034:
            self.faults["silent feed"] += 1
            self._silent_until = now_ns + self.random.randint(2, 30) * MINUTE_NS
            self._disturbed_until = max(self._disturbed_until, self._silent_until + CALM_NS)

    # ---- a person ----

    def _rules(self) -> list[Command]:
        texts = (("COIN move over 15m > 2%", "notify"), ("drawdown > 0.5%", "notify"), ("connection is down", "notify"))
        return [SetAlertRule(f"rule-{place}", AlertRule(f"rule-{place}", parse_condition(condition), actions=parse_actions(do),
                                                        repeat=True, cooldown_seconds=3_600))
                for place, (condition, do) in enumerate(texts)]

    async def _person(self) -> None:
        """Somebody trades now and then, and settles what waits for a person."""
        state, random = self.state, self.random
        commands: list[Command] = [AcceptDrift(self._id(), account.account, key) for account in state.accounts.values()
                                   for key, drift in account.drifts.items() if drift.settled]
        commands += [SettleOrder(self._id(), order.client_order_id, order.leaves_lots == 0, "looked at the venue")
                     for order in state.orders.values() if order.status is OrderStatus.DISPUTED]
        if state.effective_state("main") is not TradingState.ACTIVE and not self.journal.full:
            commands.append(SetTradingState(self._id(), TradingState.ACTIVE))
        instrument = random.choice((COIN, OTHER))
        ticks, side = self.prices.price(instrument.instrument_id), random.choice((Side.BUY, Side.SELL))
        if random.random() < 0.25:
            away = round(ticks * random.uniform(0.01, 0.03)) * side.sign
            lots = round(300_000 / ticks)
            commands.append(PlaceOrder(self._id(), instrument.symbol, side, quantity=Decimal(lots),
                                       stop=instrument.price(ticks - away), target=instrument.price(ticks + 2 * away)))
        elif random.random() < 0.1:
            commands.append(ClosePosition(self._id(), instrument.symbol))
        if not self.broker.quiet:
            await self._ask(*commands)

    def _id(self) -> str:
        return f"p{next(self._ids)}-{self.clock.now_ns()}"

    # ---- what must hold ----

    def _note_jobs(self, now_ns: Nanoseconds, *, attended: bool) -> None:
        """A time that came while the engine was there must be a run for that very time."""
        for job_id, due in self._due.items():
            while due and due[0] <= now_ns:
                due_ns = due.popleft()
                if attended and now_ns - due_ns < STEP_NS and not self.journal.fatal_seq:
                    self.attended[job_id].add(due_ns)

    def _note_bare(self, now_ns: Nanoseconds) -> None:
        for key, home in self.state.homes.items():
            if home.home is StopHome.NONE and key in self.state.positions:
                since_ns = self._bare_since.setdefault(key, now_ns)
                self.longest_bare_ns = max(self.longest_bare_ns, now_ns - since_ns)
            else:
                self._bare_since.pop(key, None)

    def _look(self, now_ns: Nanoseconds) -> None:
        """In calm times ours is the venue's and everything is guarded; one look may fall between two messages, several not."""
        if now_ns < self._disturbed_until:
            self._suspicions.clear()
            return
        theirs = {key: lots for key, lots in self.broker.venue.snapshot_totals().positions.items() if lots}
        ours = {one.instrument_id: one.lots for one in self.state.positions.values()}
        found = [f"ours {ours}, the venue's {theirs}"] if ours != theirs else []
        found += [f"{key} is not guarded" for key, one in self.state.positions.items()
                  if not one.exit_reason and ((home := self.state.homes.get(key)) is None or home.home is StopHome.NONE)]
        resting = {one.client_order_id for one in self.broker.venue.venue.report(now_ns, ()).open_orders}
        found += [f"{one.key} is not guarded: its stop is not at the venue" for one in self.state.positions.values()
                  if self.state.homes[one.key].home is StopHome.VENUE and not one.exit_reason
                  and not any(order.client_order_id in resting for order in self.state.orders_in("main", one.instrument_id)
                              if order.intent.purpose is Purpose.STOP)]
        for kind in ("ours", "guarded"):
            here = [text for text in found if kind in text]
            self._suspicions[kind] = self._suspicions[kind] + 1 if here else 0
            if self._suspicions[kind] == PATIENCE_LOOKS:
                self.violations.append(f"for an hour: {here[0]} at {now_ns}")

    async def _morning(self, day: int) -> None:
        gc.collect()
        self.rss_mib.append(rss_mib())
        self._say(f"day {day}: {self.state.seq} rows, {sum(self.faults.values())} disturbances, {self.rss_mib[-1]:.0f} MiB")

    async def _come_to_rest(self) -> None:
        self.broker.quiet, self._full_until, self._silent_until, self.journal.fatal_seq = True, 0, 0, 0
        until_ns = self.clock.now_ns() + QUIET_NS
        while self.clock.now_ns() < until_ns:
            await self._step()

    def _check(self) -> None:
        state, wrong = self.state, self.violations
        if self.shell.loop.defects:
            wrong.append(f"{self.shell.loop.defects} decisions failed by a defect")
        wrong += self.broker.conflicts
        totals = self.broker.venue.snapshot_totals()
        ours = {one.instrument_id: one.lots for one in state.positions.values()}
        if ours != {key: lots for key, lots in totals.positions.items() if lots}:
            wrong.append(f"at the end ours {ours}, the venue's {totals.positions}")
        if state.accounts[ACCOUNT].cash_minor != totals.cash_minor:
            wrong.append(f"at the end our cash {state.accounts[ACCOUNT].cash_minor}, the venue's {totals.cash_minor}")
        wrong += [f"{key} is not guarded at the end" for key in state.positions
                  if state.homes[key].home not in (StopHome.VENUE, StopHome.ENGINE)]
        report = verify(self.home.journal)
        if not report.sound:
            wrong.append(f"the journal is damaged: {report.damaged[0]}")
        rows = list(journal_rows(self.home.journal, 1))
        if encode_state(fold(rows)) != encode_state(state):
            wrong.append("replaying the journal gives another state")
        for job in JOBS:
            next_due_ns = state.jobs[job.job_id].next_due_ns
            wanted = [at_ns for at_ns in expected()[job.job_id] if START_NS < at_ns < next_due_ns]
            wrong += unaccounted(job, rows, wanted, self.attended[job.job_id], self.down)
        grown = grown_mib(self.rss_mib)
        if grown > MOST_GROWTH_MIB:
            wrong.append(f"memory grew by {grown:.1f} MiB over the last third")


def rss_mib() -> float:
    """The memory of this process that is really there."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4_096 / 1_048_576


def grown_mib(rss: Sequence[float]) -> float:
    """Growth over the last third, once a week has filled everything that is kept for a bounded time."""
    return rss[-1] - rss[len(rss) * 2 // 3] if len(rss) > 10 else 0.0


def soak(days: float, seed: int, folder: Path, say: Callable[[str], None] = lambda _: None) -> Figures:
    """Run one soak in a folder; the same seed does the same."""
    logging.disable(logging.CRITICAL)
    try:
        return asyncio.run(Soak(days, seed, folder, say).run())
    finally:
        logging.disable(logging.NOTSET)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=31)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quarterdeck-soak-") as folder:
        found = soak(options.days, options.seed, Path(folder), lambda line: print(line, flush=True))
    print(f"{found.days:g} days in {found.seconds:.0f} s: {found.rows} rows, {found.fills} fills, runs {dict(found.runs)}")
    print(f"disturbed by {dict(found.faults)}")
    print(f"memory {found.rss_mib[0] if found.rss_mib else 0:.0f} to {found.rss_mib[-1] if found.rss_mib else 0:.0f} MiB, "
          f"{grown_mib(found.rss_mib):+.1f} MiB over the last third; longest unguarded {found.bare_seconds:.0f} s; "
          f"{found.notices} notices, {found.notice_ms[0]:.1f} ms to get there (99%: {found.notice_ms[1]:.1f})")
    for line in found.violations:
        print(f"VIOLATION {line}")
    return 1 if found.violations else 0


if __name__ == "__main__":
    sys.exit(main())
