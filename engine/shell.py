"""What both drives of the engine share: the inbox, the journal before the effects, the effects before the answers."""

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import msgspec

from engine.desk import Desk
from engine.effects import Answer, Effect, PerformJob, PerformResearch, RecallDays, SubmitOrders
from engine.errors import EngineUnreachable, JournalUnwritable
from engine.gateway import Gateway
from engine.inputs import (
    Command,
    ConnectionChanged,
    EngineStarted,
    Input,
    MarketItem,
    Quote,
    ResearchEnded,
    SetTradingState,
    TradingState,
)
from engine.instruments import Instrument
from engine.job_runner import JobRunner
from engine.loop import Loop
from engine.market import MarketView
from engine.parts import EngineParts
from engine.ports import MarketObserver, VenueMessage
from engine.publisher import Publisher
from engine.pulses import Pulses
from engine.research_desk import RESEARCH_EFFECTS, ResearchDesk, ResearchEffect, Surroundings
from engine.research_look import Look, candidates, look_at
from engine.service import HealthView, Receipt, Snapshot
from engine.state import State
from engine.units import Nanoseconds
from engine.views import snapshot

CHECKPOINT_ROWS = 5_000
LOGGED_DEFECTS = 20
LONGEST_BACKLOG = 20_000
JOURNAL_SECONDS = 5.0
JOURNAL_LOOKS = 5
WARM_BARS = 500
LONGEST_HOLD_SECONDS = 1.0
STOPPED = "the engine has stopped"
UNWRITABLE = "the journal cannot be written"
_log = logging.getLogger("quarterdeck.engine")


def log_failure(error: Exception) -> None:
    """Everything about a failure, for the log; a person gets one line elsewhere."""
    _log.error("engine failed", exc_info=error)


class Shell:
    """The state's owner and its surroundings, within one event loop. What waits: commands, the venue's words, prices."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self.loop = Loop(parts.state, MarketView(parts.day_number, parts.sessions), parts.journal, self._on_defect,
                         Desk(parts.settings.strategies if parts.runs_strategies else (), parts.user_strategies,
                              parts.bar_session))
        self.observers = tuple(broker for broker in parts.brokers if isinstance(broker, MarketObserver))
        self.commands: deque[Command] = deque()
        self.venue: deque[Input] = deque()
        self.market: deque[MarketItem] = deque()
        self.wake: asyncio.Event | None = None
        self.served = asyncio.Event()  # what the past of prices waits for: nothing, unless something is to be done first
        self.served.set()
        self.stopping = False
        self.closed = False
        self.unwritable = ""
        self.tape_position = ""
        self.pulses = parts.pulses or Pulses()
        self._gateway = Gateway({broker.account: broker for broker in parts.brokers}, parts.clock, self.deliver, parts.notifier)
        self._jobs = JobRunner(parts.job_runners, self.deliver)
        self._research = ResearchDesk(parts.research, Surroundings(
            self._look, self._candidates, self._state, parts.clock.now_ns, self.deliver))
        self._waiting: dict[str, list[asyncio.Future[Receipt]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: set[asyncio.Task[None]] = set()
        self._commit_ms = 0.0
        self._started_at = time.monotonic()
        self._rate = (self._started_at, 0, 0.0)
        self._committed_seq = parts.state.seq
        self._checkpoint_seq = parts.state.seq
        self._halt_obeyed = ""
        self._retrying: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.publisher = Publisher(snapshot(parts.state, self.loop.market, parts.state.at_ns, version=0, mode=parts.mode,
                                            health=self._health()))

    # ---- the inbox -------------------------------------------------------------------------------------------------------

    def deliver(self, answer: Input) -> None:
        """Take the venue's word; in this event loop only."""
        self.venue.append(answer)
        self.nudge()

    def take_market(self, item: MarketItem) -> None:
        """Take a price; in this event loop only. A backlog shrinks to each instrument's newest quote: an old one is no price."""
        self.market.append(item)
        if len(self.market) > LONGEST_BACKLOG:
            newest = {waiting.instrument_id: waiting for waiting in self.market if isinstance(waiting, Quote)}
            self.market = deque(newest.values())
        self.nudge()

    async def send(self, command: Command) -> Receipt:
        """Take a command and wait until what it caused is durable; raises `EngineUnreachable` where none is taken any more."""
        if self.closed:
            raise EngineUnreachable(STOPPED)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(command.command_id, []).append(future)
        self.commands.append(command)
        self.nudge()
        return await future

    def nudge(self) -> None:
        if self.wake is not None:
            self.wake.set()

    def _on_defect(self, taken: Input, error: Exception) -> None:
        """A decision failed: told in the log, and unless it was a command nothing new is opened until a person has looked."""
        if self.loop.defects <= LOGGED_DEFECTS:
            log_failure(error)
        if not hasattr(taken, "command_id") and self.loop.state.trading_state is not TradingState.HALTED:
            cause = f"a defect in the engine: {type(error).__name__} on {type(taken).__name__}"
            self.commands.append(SetTradingState(f"defect-{self.loop.state.seq}", TradingState.HALTED, "", cause, "engine"))

    # ---- life ----

    def _hear(self, message: VenueMessage) -> None:
        self.deliver(message)

    async def connect(self, at_ns: Nanoseconds) -> None:
        """Stream first, then the start, then the first reconciliation."""
        listings = {broker.account: await broker.connect(self._hear) for broker in self.parts.brokers}
        instruments = {one.instrument_id: one for listing in listings.values() for one in listing}
        listed = {account: tuple(one.instrument_id for one in listing) for account, listing in listings.items()}
        capabilities = {broker.account: broker.capabilities for broker in self.parts.brokers}
        started = EngineStarted(self.parts.engine_id, self.parts.version, self.parts.settings,
                                tuple(instruments.values()), capabilities, listed, self.parts.keeps_schedule)
        await self.process([(at_ns, started)])
        for broker in self.parts.brokers:
            await self.process([(at_ns, ConnectionChanged(broker.account, up=True))])
        self.commands.extend(self.parts.startup)
        self.obey_halt()

    async def until_served(self) -> None:
        """Wait until the past may be asked for, but no longer than a second: whatever hangs elsewhere, stops trail."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_HOLD_SECONDS):
                await self.served.wait()

    def obey_halt(self) -> None:
        self._obey(self.parts.halted_elsewhere() if self.parts.halted_elsewhere is not None else "")

    def obey_halt_aside(self) -> None:
        """The same while everything else goes on: a disk that does not answer must not hold up the watch of stops."""
        if self.parts.halted_elsewhere is not None and (self._looking is None or self._looking.done()):
            self._looking = self.spawn(self._look_for_halt(self.parts.halted_elsewhere))

    async def _look_for_halt(self, look: Callable[[], str]) -> None:
        try:
            self._obey(await asyncio.to_thread(look))
        except Exception as error:  # noqa: BLE001 - the next beat looks again
            log_failure(error)
        self.nudge()

    def _obey(self, cause: str) -> None:
        known, self._halt_obeyed = self._halt_obeyed, cause
        if cause and cause != known:
            command_id = f"halt-{self.parts.engine_id}-{self.loop.state.seq}"
            self.commands.appendleft(SetTradingState(command_id, TradingState.HALTED, "", cause, "panic"))

    async def close(self) -> None:
        """End every call that is under way, let the venues go, save the state, and tell whoever still waits."""
        self._research.close()
        for task in list(self._tasks):
            task.cancel()
        for broker in self.parts.brokers:
            await broker.close()
        if self.parts.checkpoint is not None and not self.unwritable and self.loop.state.seq > self._checkpoint_seq:
            self.parts.checkpoint(self.loop.state)
        self.publish(force=True)
        self.closed = True
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(EngineUnreachable(STOPPED))

    # ---- journal first, then effects, then answers -----------------------------------------------------------------------

    async def process(self, inputs: Iterable[tuple[Nanoseconds, Input]]) -> None:
        effects: list[Effect] = []
        for at_ns, taken in inputs:
            effects.extend(self.loop.take(at_ns, taken))
        await self.release(effects)

    async def release(self, effects: Sequence[Effect]) -> None:
        """Make durable what was appended, then let its effects happen."""
        if not effects and not self._has_new_rows():
            return
        try:
            began = time.perf_counter()
            await self._make_durable()
            self._commit_ms = 1_000 * (time.perf_counter() - began)
            self.pulses.beat("journal")
        except JournalUnwritable as error:
            self._degrade(error)
        self._committed_seq = self.loop.state.seq
        for effect in effects:
            if isinstance(effect, Answer):
                self._answer(effect.receipt)
            elif isinstance(effect, PerformJob):
                self._perform_job(effect)
            elif isinstance(effect, RESEARCH_EFFECTS):
                await self._do_research(effect)
            elif isinstance(effect, SubmitOrders) and self.unwritable and not effect.reduces:
                self._gateway.withhold(effect, UNWRITABLE)
            elif self.parts.tape is not None:
                await self._gateway.perform(effect)
            else:
                self._calls.add(call := self.spawn(self._gateway.perform(effect), at_once=True))
                call.add_done_callback(self._calls.discard)
        self._maybe_checkpoint()

    async def _make_durable(self) -> None:
        """Wait for the disk, but not for ever: one that says nothing is as good as one that fails. Until a retry has gone
        through nobody waits for it again, since every stop would wait too."""
        if self.unwritable:
            raise JournalUnwritable(self.unwritable)
        for _ in range(JOURNAL_LOOKS):  # so that a process that was stopped meanwhile does not take its own pause for the disk's
            try:
                async with asyncio.timeout(JOURNAL_SECONDS / JOURNAL_LOOKS):
                    await self.parts.journal.wait_durable()
            except TimeoutError:
                continue
            return
        raise JournalUnwritable(f"the disk has not answered for {JOURNAL_SECONDS:g} s")

    def _perform_job(self, effect: PerformJob) -> None:
        if self.unwritable:
            self._jobs.withhold(effect, UNWRITABLE)
        else:
            self.spawn(self._jobs.perform(effect))

    async def _do_research(self, effect: ResearchEffect) -> None:
        """Hand it to the desk; only a tape, whose time stands still, waits until it is done."""
        if isinstance(effect, PerformResearch) and self.unwritable:
            self.deliver(ResearchEnded(effect.run.run_id, UNWRITABLE))
            return
        if isinstance(effect, RecallDays) and not self.served.is_set():
            self.spawn(self._recall_once_served(effect))
            return
        done = self._research.begin(effect)
        if self.parts.tape is not None:
            await done

    async def _recall_once_served(self, effect: RecallDays) -> None:
        await self.until_served()
        self._research.begin(effect)

    async def _look(self, portfolio: str, instrument_id: str) -> Look | None:
        state = self.loop.state
        return look_at(state, self.loop.market, self.parts.clock.now_ns(), portfolio, state.instruments[instrument_id])

    async def _candidates(self, portfolio: str) -> tuple[Instrument, ...]:
        return candidates(self.loop.state, self.loop.market, self.parts.clock.now_ns(), portfolio)

    async def _state(self) -> State:
        return self.loop.state

    def _has_new_rows(self) -> bool:
        return self.loop.state.seq != self._committed_seq

    def _degrade(self, error: JournalUnwritable) -> None:
        """Nothing new may open; what only reduces may still go, loudly, and the halt is latched once it can be written."""
        if self.unwritable:
            return
        self.unwritable = str(error)
        self.commands.append(SetTradingState(f"journal-{self.loop.state.seq}", TradingState.HALTED, "",
                                              f"{UNWRITABLE}: {error}", "engine"))
        self.nudge()

    def retry_journal_aside(self) -> None:
        """Try the journal again while everything else goes on; one try at a time, since a disk that hangs answers none."""
        if self.unwritable and (self._retrying is None or self._retrying.done()):
            self._retrying = self.spawn(self.retry_journal())

    async def retry_journal(self) -> None:
        try:
            await self.parts.journal.retry()
        except JournalUnwritable as error:
            self.unwritable = str(error)
            return
        self.unwritable = ""

    def _answer(self, receipt: Receipt) -> None:
        if self.unwritable and receipt.accepted:
            receipt = msgspec.structs.replace(receipt, text=f"{receipt.text} (NOT RECORDED: {self.unwritable})")
        for future in self._waiting.pop(receipt.command_id, ()):
            if not future.done():
                future.set_result(receipt)

    def _maybe_checkpoint(self) -> None:
        seq = self.loop.state.seq
        if self.parts.checkpoint is None or self.unwritable or seq - self._checkpoint_seq < CHECKPOINT_ROWS:
            return
        self._checkpoint_seq = seq
        self.parts.checkpoint(self.loop.state)

    def spawn(self, work: Coroutine[Any, Any, None], *, at_once: bool = False) -> asyncio.Task[None]:
        """Run something beside the rest; `at_once` begins it before this returns, ahead of whatever else waits in the event
        loop, so that an order is on its way before the next price is looked at."""
        task = asyncio.Task(work, loop=asyncio.get_running_loop(), eager_start=at_once)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish_calls(self, seconds: float) -> None:
        """Wait for the calls to venues that are under way, at most so long."""
        if self._calls:
            await asyncio.wait(tuple(self._calls), timeout=seconds)

    # ---- snapshots -------------------------------------------------------------------------------------------------------

    def publish(self, *, force: bool = False) -> None:
        """Hand out a snapshot of now, at most ten a second; one that cannot be made costs the picture, not the engine."""
        try:
            self.publisher.publish(self._snapshot, force=force)
        except Exception as error:  # noqa: BLE001 - stops are watched whether or not somebody can look
            log_failure(error)

    def _snapshot(self, version: int) -> Snapshot:
        now = time.monotonic()
        since, taken, _ = self._rate
        if now - since >= 1:
            self._rate = (now, self.loop.inputs_taken, (self.loop.inputs_taken - taken) / (now - since))
        return snapshot(self.loop.state, self.loop.market, self.parts.clock.now_ns(), version=version, mode=self.parts.mode,
                        health=self._health(), research=self._research.live())

    def _health(self) -> HealthView:
        speed = self.parts.speed
        queues = {"commands": len(self.commands), "venue": len(self.venue), "market": len(self.market), "calls": len(self._calls)}
        return HealthView(
            journal_seq=self.loop.state.seq, journal_lag_ms=self._commit_ms,
            inputs_per_second=self._rate[2],
            queue_depth=len(self.commands) + len(self.venue) + len(self.market), queues=self.pulses.queues | queues,
            workers=self.pulses.views(), counts=self.pulses.counts.copy(), events=self.loop.recorded.copy(),
            defects=self.loop.defects, unwritable=self.unwritable,
            uptime_seconds=time.monotonic() - self._started_at,
            replay_position=self.tape_position,
            replay_speed="" if self.parts.tape is None else "max" if math.isinf(speed) else f"{speed:g}x")
