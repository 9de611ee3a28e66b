"""The engine's shell: its own thread, its inbox, and the order of things (journal first, then effects, then answers).

One class drives both kinds of time. With a feed it runs on the system clock and effects are performed side by side; with a
tape it runs in lockstep on a virtual clock: every effect is finished before the next item is looked at, so that a replay
is the same every time.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from engine.clocks import VirtualClock
from engine.effects import Answer, Effect, SubmitOrders
from engine.errors import EngineUnreachable, JournalUnwritable, QuarterdeckError
from engine.gateway import Gateway
from engine.inputs import (
    Bar,
    Command,
    ConnectionChanged,
    EngineStarted,
    Input,
    MarketItem,
    PlaceOrder,
    Settings,
    SetTradingState,
    TapeEnded,
    TimeAdvanced,
    TradingState,
)
from engine.loop import Loop
from engine.market import NS_PER_DAY, MarketView
from engine.ports import Broker, Clock, Journal, MarketFeed, MarketObserver, Notifier, Tape, VenueMessage
from engine.service import HealthView, Mode, OrderCard, Receipt, Refusal, Snapshot
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds
from engine.views import snapshot
from engine.want import assess

BEAT_SECONDS = 1.0
BATCH = 256
SNAPSHOT_SECONDS = 0.1
CHECKPOINT_ROWS = 5_000
WARM_BARS = 500
SLEEP_NS = 10 * NS_PER_SECOND
LOGGED_DEFECTS = 20
UNWRITABLE = "the journal cannot be written"


class EngineParts(NamedTuple):
    """What a run is made of; the composition root puts it together.

    `speed` paces a tape: 1 is as it was recorded, `math.inf` as fast as it goes. `script` holds timed commands for a tape.
    With `ready_when_warm` false the engine is ready before the feed's history has come. `checkpoint` is handed the state
    now and then, once it is durable, to save it as a snapshot.
    `halted_elsewhere` says why another process halted this home, or nothing; it is asked every second.
    """

    clock: Clock
    journal: Journal
    engine_id: str
    version: str
    mode: Mode
    settings: Settings
    brokers: tuple[Broker, ...]
    state: State = State()
    feed: MarketFeed | None = None
    ready_when_warm: bool = True
    tape: Tape | None = None
    speed: float = math.inf
    script: tuple[tuple[Nanoseconds, Command], ...] = ()
    startup: tuple[Command, ...] = ()
    notifier: Notifier | None = None
    checkpoint: Callable[[State], None] | None = None
    halted_elsewhere: Callable[[], str] | None = None
    day_number: Callable[[Nanoseconds], int] = lambda at_ns: at_ns // NS_PER_DAY


class Engine:
    """The running engine, and the `Service` that every surface talks to; any thread may call it."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self.finished = threading.Event()
        self.ready = threading.Event()
        self.failure: str | None = None
        self._loop = Loop(parts.state, MarketView(parts.day_number), parts.journal, self._on_defect)
        self._brokers = {broker.account: broker for broker in parts.brokers}
        self._observers = tuple(broker for broker in parts.brokers if isinstance(broker, MarketObserver))
        self._gateway = Gateway(self._brokers, parts.clock, self._deliver, parts.notifier)
        self._commands: deque[Command] = deque()
        self._venue: deque[Input] = deque()
        self._market: deque[MarketItem] = deque()
        self._waiting: dict[str, list[asyncio.Future[Receipt]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._aio: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._stopping = False
        self._unwritable = ""
        self._subscribers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._published_at = 0.0
        self._commit_ms = 0.0
        self._started_at = time.monotonic()
        self._rate = (self._started_at, 0, 0.0)
        self._committed_seq = parts.state.seq
        self._checkpoint_seq = parts.state.seq
        self._tape_position = ""
        self._tape_ended = False
        self._drained_ns: Nanoseconds = 0
        self._halt_obeyed = ""
        self._beat_ns: Nanoseconds = 0
        self._anchor: tuple[float, Nanoseconds] = (0.0, 0)
        self._thread: threading.Thread | None = None
        self._latest = snapshot(parts.state, self._loop.market, 0, version=0, mode=parts.mode, health=self._health())

    # ---- life ------------------------------------------------------------------------------------------------------------

    def start(self, *, wait_seconds: float = 30.0) -> None:
        """Start the engine's thread and wait until it is ready; raises the reason where it could not start."""
        self._thread = threading.Thread(target=self._run_thread, name="engine", daemon=True)
        self._thread.start()
        self.ready.wait(wait_seconds)
        if self.failure is not None:
            raise QuarterdeckError(self.failure)

    def stop(self) -> None:
        """Ask for a clean end; positions keep the protection that rests at the venue."""
        self._stopping = True
        self._nudge()

    def join(self, seconds: float | None = None) -> bool:
        return self.finished.wait(seconds)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self.run())
        except QuarterdeckError as error:
            self.failure = str(error)
        except Exception as error:  # noqa: BLE001 - told to the person in one line; the log has the rest
            self.failure = f"the engine stopped: {type(error).__name__}: {error}"
            self._log_failure(error)
        finally:
            self.finished.set()
            self.ready.set()
            self._wake_subscribers()

    def _on_defect(self, taken: Input, error: Exception) -> None:
        """A decision failed: told in the log, and unless it was a command nothing new is opened until a person has looked."""
        if self._loop.defects <= LOGGED_DEFECTS:
            self._log_failure(error)
        if not hasattr(taken, "command_id") and self._loop.state.trading_state is not TradingState.HALTED:
            cause = f"a defect in the engine: {type(error).__name__} on {type(taken).__name__}"
            self._commands.append(SetTradingState(f"defect-{self._loop.state.seq}", TradingState.HALTED, "", cause, "engine"))

    def _log_failure(self, error: Exception) -> None:
        import logging

        logging.getLogger("quarterdeck.engine").error("engine failed", exc_info=error)

    async def run(self) -> None:
        """Run to the end of the tape, or until `stop`; in the caller's event loop."""
        self._aio = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        try:
            if self.parts.tape is not None:
                await self._run_tape(self.parts.tape)
            else:
                await self._run_live()
        finally:
            await self._close()

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for broker in self.parts.brokers:
            await broker.close()
        if self.parts.checkpoint is not None and not self._unwritable and self._loop.state.seq > self._checkpoint_seq:
            self.parts.checkpoint(self._loop.state)
        self._publish(force=True)
        for waiting in self._waiting.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(EngineUnreachable("the engine has stopped"))

    # ---- starting --------------------------------------------------------------------------------------------------------

    async def _connect(self, at_ns: Nanoseconds) -> None:
        """Stream first, then the start, then the first reconciliation."""
        listings = {broker.account: await broker.connect(self._on_venue_message) for broker in self.parts.brokers}
        instruments = {one.instrument_id: one for listing in listings.values() for one in listing}
        listed = {account: tuple(one.instrument_id for one in listing) for account, listing in listings.items()}
        capabilities = {broker.account: broker.capabilities for broker in self.parts.brokers}
        started = EngineStarted(self.parts.engine_id, self.parts.version, self.parts.settings,
                                tuple(instruments.values()), capabilities, listed)
        await self._process([(at_ns, started)])
        for broker in self.parts.brokers:
            await self._process([(at_ns, ConnectionChanged(broker.account, up=True))])
        self._commands.extend(self.parts.startup)
        self._obey_halt()

    def _on_venue_message(self, message: VenueMessage) -> None:
        self._deliver(message)

    def _deliver(self, answer: Input) -> None:
        self._venue.append(answer)
        if self._wake is not None:
            self._wake.set()

    # ---- the live drive --------------------------------------------------------------------------------------------------

    async def _run_live(self) -> None:
        feed = self.parts.feed
        await self._connect(self.parts.clock.now_ns())
        await self._drain()
        if feed is not None:
            warming = self._warm_from(feed)
            if self.parts.ready_when_warm:
                await warming
            else:
                self._spawn(warming)
            self._spawn(self._feed(feed))
        self._spawn(self._beats())
        self._publish(force=True)
        self.ready.set()
        assert self._wake is not None
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            await self._drain()
            self._publish()
        if feed is not None:
            await feed.close()

    async def _warm_from(self, feed: MarketFeed) -> None:
        """Bars from before the start, fetched beside the engine's loop: a stop does not wait for a chart."""
        for instrument_id in list(self._loop.state.instruments):
            try:
                bars = await asyncio.to_thread(feed.history, instrument_id, WARM_BARS)
            except Exception as error:  # noqa: BLE001 - without history there is no ATR yet, and that says so itself
                self._log_failure(error)
                continue
            self._loop.market.warm(list(bars))

    async def _feed(self, feed: MarketFeed) -> None:
        try:
            await feed.run(self._on_market)
        except Exception as error:  # noqa: BLE001 - a feed that dies leaves stale quotes, which block entries by themselves
            self._log_failure(error)

    def _on_market(self, item: MarketItem) -> None:
        self._market.append(item)
        if self._wake is not None:
            self._wake.set()

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            for observer in self._observers:
                observer.advance(self.parts.clock.now_ns())
            if self._unwritable:
                await self._retry_journal()
            self._obey_halt()
            self._deliver(TimeAdvanced())

    async def _drain(self) -> None:
        """Everything that waits, commands before the venue's words, the venue's before prices, in batches."""
        self._notice_sleep()
        while self._commands or self._venue or self._market:
            await self._process(self._batch())

    def _notice_sleep(self) -> None:
        """After a pause (a laptop that slept, a stopped process) nothing is acted on before the venue has been asked and a
        halt that another process raised meanwhile is obeyed."""
        now_ns = self.parts.clock.now_ns()
        slept = self._drained_ns and now_ns - self._drained_ns > SLEEP_NS
        self._drained_ns = now_ns
        if not slept:
            return
        self._market.clear()
        for broker in self.parts.brokers:
            self._venue.appendleft(ConnectionChanged(broker.account, up=True, detail="the process was paused"))
        self._obey_halt()

    def _obey_halt(self) -> None:
        cause = self.parts.halted_elsewhere() if self.parts.halted_elsewhere is not None else ""
        if cause and cause != self._halt_obeyed:
            self._halt_obeyed = cause
            command_id = f"halt-{self.parts.engine_id}-{self._loop.state.seq}"
            self._commands.appendleft(SetTradingState(command_id, TradingState.HALTED, "", cause, "panic"))

    def _batch(self) -> Iterable[tuple[Nanoseconds, Input]]:
        taken = 0
        while taken < BATCH:
            if self._commands:
                taking: Input = self._commands.popleft()
            elif self._venue:
                taking = self._venue.popleft()
            elif self._market:
                item = self._market.popleft()
                for observer in self._observers:
                    observer.see(item, self.parts.clock.now_ns())
                taking = item
            else:
                return
            taken += 1
            yield self.parts.clock.now_ns(), taking

    # ---- the lockstep drive ------------------------------------------------------------------------------------------------

    async def _run_tape(self, tape: Tape) -> None:
        clock = self.parts.clock
        assert isinstance(clock, VirtualClock)
        for instrument in tape.instruments():
            self._loop.market.warm(list(tape.history(instrument.instrument_id, WARM_BARS)))
        resume_ns = max([self._loop.state.at_ns, *(observer.cursor_ns for observer in self._observers)])
        script = deque(self.parts.script)
        connected = False
        stamp = 0
        for item in tape.items():
            stamp = max(_item_time(item), stamp + 1)
            if stamp < resume_ns:
                self._warm(item, stamp)
                continue
            if not connected:
                clock.advance_to(resume_ns or stamp)
                await self._connect_in_lockstep()
                connected = True
            await self._pace(stamp)
            if self._stopping:
                return
            await self._run_script(script, stamp)
            clock.advance_to(stamp)
            await self._see_in_lockstep(item, stamp)
        if not connected:
            clock.advance_to(resume_ns)
            await self._connect_in_lockstep()
        await self._run_script(script, 1 << 62)
        await self._settle([(clock.now_ns(), TapeEnded())])
        self._tape_ended = True
        self._tape_position = "the tape has ended"
        self._publish(force=True)
        if not math.isinf(self.parts.speed):
            await self._serve_after_tape()

    def _warm(self, item: MarketItem, stamp: Nanoseconds) -> None:
        """An item from before the point of resumption: seen, not acted on; the venue itself ignores what it knows."""
        for observer in self._observers:
            observer.see(item, stamp)
        self._loop.market.see(item, stamp)

    async def _connect_in_lockstep(self) -> None:
        self._anchor = (time.monotonic(), self.parts.clock.now_ns())
        await self._connect(self.parts.clock.now_ns())
        await self._settle([])
        self._publish(force=True)
        self.ready.set()

    async def _see_in_lockstep(self, item: MarketItem, stamp: Nanoseconds) -> None:
        for observer in self._observers:
            observer.see(item, stamp)
        if self._venue:
            await self._settle([])
        if self._needs_beat(stamp):
            await self._settle([(stamp, TimeAdvanced())])
        effects = self._loop.take(stamp, item)
        if effects or self._venue or self._commands:
            await self._release(effects)
            await self._settle([])
        self._publish()
        if self._loop.inputs_taken % BATCH == 0:
            await asyncio.sleep(0)
            await self._settle([])

    def _needs_beat(self, stamp: Nanoseconds) -> bool:
        """A beat a second of the tape's time."""
        if stamp - self._beat_ns < NS_PER_SECOND:
            return False
        self._beat_ns = stamp
        return True

    async def _run_script(self, script: deque[tuple[Nanoseconds, Command]], before_ns: Nanoseconds) -> None:
        """Timed commands whose time has come; one that already took effect before a restart is known by its id."""
        clock = self.parts.clock
        assert isinstance(clock, VirtualClock)
        while script and script[0][0] < before_ns:
            at_ns, command = script.popleft()
            clock.advance_to(at_ns)
            await self._settle([(clock.now_ns(), command)])

    async def _settle(self, inputs: list[tuple[Nanoseconds, Input]]) -> None:
        """Process inputs and everything that follows from them, until nothing is left to say."""
        pending = deque(inputs)
        while pending or self._venue or self._commands:
            if pending:
                one = pending.popleft()
            else:
                waiting = self._venue or self._commands
                one = (self.parts.clock.now_ns(), waiting.popleft())
            await self._process([one])

    async def _pace(self, stamp: Nanoseconds) -> None:
        """Wait until an item is due; commands are taken meanwhile, at the tape's time."""
        if math.isinf(self.parts.speed):
            return
        clock = self.parts.clock
        assert isinstance(clock, VirtualClock)
        assert self._wake is not None
        while not self._stopping:
            started, origin_ns = self._anchor
            due = started + (stamp - origin_ns) / NS_PER_SECOND / self.parts.speed
            wait_seconds = due - time.monotonic()
            if wait_seconds <= 0:
                return
            elapsed_ns = int((time.monotonic() - started) * self.parts.speed * NS_PER_SECOND)
            clock.advance_to(min(stamp - 1, origin_ns + elapsed_ns))
            await self._settle([])
            self._publish()
            self._wake.clear()
            if not self._commands and not self._venue:
                await _wait_for(self._wake, min(wait_seconds, SNAPSHOT_SECONDS))

    async def _serve_after_tape(self) -> None:
        """The tape has ended and a person is watching: commands still work, at the last prices, until they leave."""
        assert self._wake is not None
        while not self._stopping:
            await self._settle([])
            self._publish()
            self._wake.clear()
            if not self._commands and not self._venue:
                await _wait_for(self._wake, 1.0)

    # ---- journal first, then effects, then answers ---------------------------------------------------------------------------

    async def _process(self, inputs: Iterable[tuple[Nanoseconds, Input]]) -> None:
        effects: list[Effect] = []
        for at_ns, taken in inputs:
            effects.extend(self._loop.take(at_ns, taken))
        await self._release(effects)

    async def _release(self, effects: Sequence[Effect]) -> None:
        """Make durable what was appended, then let its effects happen."""
        if not effects and not self._has_new_rows():
            return
        try:
            began = time.perf_counter()
            await self.parts.journal.wait_durable()
            self._commit_ms = 1_000 * (time.perf_counter() - began)
        except JournalUnwritable as error:
            self._degrade(error)
        self._committed_seq = self._loop.state.seq
        for effect in effects:
            if isinstance(effect, Answer):
                self._answer(effect.receipt)
            elif isinstance(effect, SubmitOrders) and self._unwritable and not effect.reduces:
                self._gateway.withhold(effect, UNWRITABLE)
            elif self.parts.tape is not None:
                await self._gateway.perform(effect)
            else:
                self._spawn(self._gateway.perform(effect))
        self._maybe_checkpoint()

    def _has_new_rows(self) -> bool:
        return self._loop.state.seq != self._committed_seq

    def _degrade(self, error: JournalUnwritable) -> None:
        """Nothing new may open; what only reduces may still go, loudly, and the halt is latched once it can be written."""
        if self._unwritable:
            return
        self._unwritable = str(error)
        self._commands.append(SetTradingState(f"journal-{self._loop.state.seq}", TradingState.HALTED, "",
                                              f"{UNWRITABLE}: {error}", "engine"))
        self._nudge()

    async def _retry_journal(self) -> None:
        try:
            await self.parts.journal.retry()
        except JournalUnwritable as error:
            self._unwritable = str(error)
            return
        self._unwritable = ""

    def _answer(self, receipt: Receipt) -> None:
        if self._unwritable and receipt.accepted:
            receipt = msgspec.structs.replace(receipt, text=f"{receipt.text} (NOT RECORDED: {self._unwritable})")
        for future in self._waiting.pop(receipt.command_id, ()):
            if not future.done():
                future.set_result(receipt)

    def _maybe_checkpoint(self) -> None:
        seq = self._loop.state.seq
        if self.parts.checkpoint is None or self._unwritable or seq - self._checkpoint_seq < CHECKPOINT_ROWS:
            return
        self._checkpoint_seq = seq
        self.parts.checkpoint(self._loop.state)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- snapshots -------------------------------------------------------------------------------------------------------------

    def _publish(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._published_at < SNAPSHOT_SECONDS:
            return
        self._published_at = now
        since, taken, _ = self._rate
        if now - since >= 1:
            self._rate = (now, self._loop.inputs_taken, (self._loop.inputs_taken - taken) / (now - since))
        if self.parts.tape is not None and not self._tape_ended:
            self._tape_position = time.strftime("%Y-%m-%d %H:%M", time.gmtime(self.parts.clock.now_ns() / NS_PER_SECOND))
        self._latest = snapshot(self._loop.state, self._loop.market, self.parts.clock.now_ns(),
                                version=self._latest.version + 1, mode=self.parts.mode, health=self._health())
        self._wake_subscribers()

    def _health(self) -> HealthView:
        speed = self.parts.speed
        return HealthView(
            journal_seq=self._loop.state.seq, journal_lag_ms=self._commit_ms,
            inputs_per_second=self._rate[2],
            queue_depth=len(self._commands) + len(self._venue) + len(self._market),
            uptime_seconds=time.monotonic() - self._started_at,
            replay_position=self._tape_position,
            replay_speed="" if self.parts.tape is None else "max" if math.isinf(speed) else f"{speed:g}x")

    def _wake_subscribers(self) -> None:
        for loop, event in list(self._subscribers):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    # ---- Service ---------------------------------------------------------------------------------------------------------------

    def latest(self) -> Snapshot:
        return self._latest

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        """Snapshots as they are published; ends when the engine does."""
        event = asyncio.Event()
        subscription = (asyncio.get_running_loop(), event)
        self._subscribers.append(subscription)
        try:
            version = -1
            while True:
                event.clear()
                newest = self._latest
                if newest.version != version:
                    version = newest.version
                    yield newest
                elif self.finished.is_set():
                    return
                else:
                    await event.wait()
        finally:
            self._subscribers.remove(subscription)

    async def send(self, command: Command) -> Receipt:
        """Hand a command in and wait for its receipt; raises `EngineUnreachable` where the engine has stopped."""
        return await self._in_engine(self._send(command))

    async def _send(self, command: Command) -> Receipt:
        assert self._aio is not None
        future: asyncio.Future[Receipt] = self._aio.create_future()
        self._waiting.setdefault(command.command_id, []).append(future)
        self._commands.append(command)
        if self._wake is not None:
            self._wake.set()
        return await future

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return await self._in_engine(self._what_if(order))

    async def _what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        found = assess(self._loop.state, self._loop.market, self.parts.clock.now_ns(), order)
        return found if isinstance(found, Refusal) else found.card

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return await self._in_engine(self._bars(instrument_id, limit))

    async def _bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self._loop.market.bars(instrument_id, limit)

    async def _in_engine[T](self, work: Coroutine[Any, Any, T]) -> T:
        if self._aio is None or self.finished.is_set() or self._aio.is_closed():
            work.close()
            raise EngineUnreachable(self.failure or "the engine is not running")
        if asyncio.get_running_loop() is self._aio:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._aio))

    def _nudge(self) -> None:
        if self._aio is not None and self._wake is not None and not self._aio.is_closed():
            self._aio.call_soon_threadsafe(self._wake.set)

    @property
    def state(self) -> State:
        """The state as of now; for the composition root's reports and for tests."""
        return self._loop.state

    @property
    def defects(self) -> int:
        """How many inputs were dropped because deciding on them failed; 0 is the only right number."""
        return self._loop.defects

    @property
    def market(self) -> MarketView:
        return self._loop.market


def _item_time(item: MarketItem) -> Nanoseconds:
    return item.close_ns if isinstance(item, Bar) else item.at_ns


async def _wait_for(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return

