"""The running engine: its thread, and the `Service` that every surface talks to, from any thread."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from engine.decide.entries import previewed
from engine.errors import EngineUnreachable, QuarterdeckError, UsageError
from engine.inputs import Bar, Command, PlaceOrder
from engine.live_drive import LiveDrive
from engine.market import MarketView
from engine.parts import EngineParts
from engine.pulses import Pulses
from engine.service import OrderCard, PerformanceQuery, PerformanceView, Receipt, Refusal, ResearchPage, ResearchQuery, Snapshot
from engine.shell import STOPPED, Shell, log_failure
from engine.state import State
from engine.tape_drive import TapeDrive


class Engine:
    """One run of the engine: live on a feed, or in lockstep on a tape."""

    def __init__(self, parts: EngineParts) -> None:
        self.parts = parts
        self.finished = threading.Event()
        self.ready = threading.Event()
        self.failure: str | None = None
        self._cause: QuarterdeckError | None = None
        self._shell = Shell(parts)
        self._aio: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: dict[concurrent.futures.Future[Any], None] = {}

    # ---- life ------------------------------------------------------------------------------------------------------------

    def start(self, *, wait_seconds: float = 30.0, first: Callable[[], None] | None = None) -> None:
        """Start the engine's thread and wait until it is ready; raises the reason where it could not start.

        With `first` the past of prices waits until that is done, a second at most: Python computes in one thread at a time, and
        beside the inventing or reading of bars for every instrument each step of it would wait for its turn.
        """
        if first is not None and not self.parts.ready_when_warm:
            self._shell.served.clear()
        self._thread = threading.Thread(target=self._run_thread, name="engine", daemon=True)
        self._thread.start()
        self.ready.wait(wait_seconds)
        if self.failure is not None:
            raise self._cause or QuarterdeckError(self.failure)
        if first is not None:
            first()
            self._ask_for_the_past()

    def _ask_for_the_past(self) -> None:
        if self._aio is not None:
            with contextlib.suppress(RuntimeError):  # the engine has ended already
                self._aio.call_soon_threadsafe(self._shell.served.set)

    def stop(self) -> None:
        """Ask for a clean end; positions keep the protection that rests at the venue."""
        self._shell.stopping = True
        if self._aio is not None and not self._aio.is_closed():
            self._aio.call_soon_threadsafe(self._shell.nudge)

    def join(self, seconds: float | None = None) -> bool:
        return self.finished.wait(seconds)

    def _run_thread(self) -> None:
        try:
            asyncio.run(self.run())
        except QuarterdeckError as error:
            self.failure, self._cause = str(error), error
        except Exception as error:  # noqa: BLE001 - told to the person in one line; the log has the rest
            self.failure = f"the engine stopped: {type(error).__name__}: {error}"
            log_failure(error)
        finally:
            self.finished.set()
            self.ready.set()
            for call in list(self._calls):
                call.cancel()
            self._shell.publisher.close()

    async def run(self) -> None:
        """Run to the end of the tape, or until `stop`; in the caller's event loop."""
        self._aio = asyncio.get_running_loop()
        shell, tape = self._shell, self.parts.tape
        shell.wake = asyncio.Event()
        drive = LiveDrive(shell) if tape is None else TapeDrive(shell, tape)
        try:
            await drive.run(self.ready.set)
        finally:
            await shell.close()

    # ---- Service ---------------------------------------------------------------------------------------------------------

    def latest(self) -> Snapshot:
        return self._shell.publisher.latest

    def snapshots(self) -> AsyncIterator[Snapshot]:
        """Snapshots as they are published; ends when the engine does."""
        return self._shell.publisher.snapshots()

    async def send(self, command: Command) -> Receipt:
        """Hand a command in and wait for its receipt; raises `EngineUnreachable` where the engine has stopped."""
        return await self._in_engine(self._shell.send(command))

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return await self._in_engine(self._what_if(order))

    async def _what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return previewed(self._shell.loop.state, self._shell.loop.market, self.parts.clock.now_ns(), order)

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return await self._in_engine(self._bars(instrument_id, limit))

    async def _bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self._shell.loop.market.bars(instrument_id, limit)

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        """A report, made beside the engine's loop: a stop does not wait for it."""
        return await asyncio.to_thread(self._performance, query)

    def _performance(self, query: PerformanceQuery) -> PerformanceView:
        from engine.analytics.report import performance

        if self.parts.history is None:
            raise UsageError("this engine keeps no history to report on")
        return performance(self.parts.history.track(query), self.parts.day_number, period=query.period, trips=query.trips)

    async def research(self, query: ResearchQuery) -> ResearchPage:
        """From the record, beside the engine's loop."""
        if self.parts.research_record is None:
            raise UsageError("this engine keeps no record of research")
        return await asyncio.to_thread(self.parts.research_record.page, query)

    async def _in_engine[T](self, work: Coroutine[Any, Any, T]) -> T:
        if self._aio is None or self._shell.closed or self.finished.is_set() or self._aio.is_closed():
            work.close()
            raise EngineUnreachable(self.failure or "the engine is not running")
        if asyncio.get_running_loop() is self._aio:
            return await work
        try:
            call = asyncio.run_coroutine_threadsafe(work, self._aio)
        except RuntimeError:  # the loop was closed this very moment
            work.close()
            raise EngineUnreachable(STOPPED) from None
        return await self._answer_to(call, work)

    async def _answer_to[T](self, call: concurrent.futures.Future[T], work: Coroutine[Any, Any, T]) -> T:
        """A call's answer; one that the end of the engine's loop overtook is told so, never left waiting."""
        self._calls[call] = None
        try:
            if self.finished.is_set():
                call.cancel()
            return await asyncio.wrap_future(call)
        except asyncio.CancelledError:
            asking = asyncio.current_task()
            if call.cancelled() and asking is not None and not asking.cancelling():
                work.close()
                raise EngineUnreachable(STOPPED) from None
            raise
        finally:
            self._calls.pop(call, None)

    @property
    def state(self) -> State:
        """The state as of now; for the composition root's reports and for tests."""
        return self._shell.loop.state

    @property
    def pulses(self) -> Pulses:
        """Where workers beside the engine show that they work."""
        return self._shell.pulses

    @property
    def defects(self) -> int:
        """How many inputs were dropped because deciding on them failed; 0 is the only right number."""
        return self._shell.loop.defects

    @property
    def market(self) -> MarketView:
        return self._shell.loop.market
