"""Where research is done: in a thread and an event loop of its own, on frozen looks at state and market. The engine hands over a
run and never waits for it; what a run comes to goes back as inputs. On a tape, whose time stands still meanwhile, it is awaited.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from engine.effects import EndResearch, PerformLearning, PerformResearch, RecallDays
from engine.errors import QuarterdeckError, StoreError, VenueUnreachable
from engine.inputs import DaysRecalled, Input, LearningEnded, ResearchDecided, ResearchEnded
from engine.instruments import Instrument
from engine.ports import DailyBars, LearningRecord
from engine.research.acted import costs_since
from engine.research.calling import Caller, LiveCaller
from engine.research.decided import Decided
from engine.research.events import NoteReading
from engine.research.models import CallStore
from engine.research.parameters import SLIPPAGE, parameters_of
from engine.research.snapshot import build
from engine.research.task import Asked, PipelineTask
from engine.research.threads import thread_id_of
from engine.research_look import Look, asked_instruments, watched
from engine.research_state import ResearchRun
from engine.research_views import MICRO_USD, NOBODY, Live
from engine.research_words import RoleProgress, RunView
from engine.research_world import ResearchWorld, WorldAsk
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds
from engine.want import listed_in

SLACK_SECONDS = 30.0
SCAN_SECONDS = 180.0
CLOSE_SECONDS = 5.0
LEAVE_SECONDS = 1.0
NOTHING_DUE = "nothing to look into: no market open with a price, or all decided on less than again_hours ago"
RECALLED_DAYS = 60
RECALL_SPACING_NS = 600 * NS_PER_SECOND
_log = logging.getLogger("quarterdeck.research")

type ResearchEffect = PerformResearch | EndResearch | PerformLearning | RecallDays
RESEARCH_EFFECTS = (PerformResearch, EndResearch, PerformLearning, RecallDays)


class ResearchParts(NamedTuple):
    """What research is done with; the composition root puts it together. `caller` is where calls to models go, `replayed` gives
    the one of a recording; `badge` and `host` tell who answers. With `by_chance` false a run's salt follows from its id, so that
    a tape gives the same calls again. `paid_day` names the day whose money is spent, "" for that of the state: on a tape models
    are paid on our day, however many of its own go by."""

    world: ResearchWorld
    caller: Caller
    store: CallStore
    record: LearningRecord
    bars: DailyBars | None = None
    replayed: Callable[[str], Caller] | None = None
    badge: str = ""
    host: str = ""
    by_chance: bool = True
    paid_day: Callable[[], str] = lambda: ""


class Surroundings(NamedTuple):
    """How the desk reaches the engine: everything but the time is asked and delivered in the engine's event loop."""

    look: Callable[[str, str], Coroutine[Any, Any, Look | None]]
    candidates: Callable[[str], Coroutine[Any, Any, tuple[Instrument, ...]]]
    state: Callable[[], Coroutine[Any, Any, State]]
    now_ns: Callable[[], Nanoseconds]
    deliver: Callable[[Input], None]


class ResearchDesk:
    """Performs the effects of research; one for an engine."""

    def __init__(self, parts: ResearchParts | None, around: Surroundings) -> None:
        self._parts = parts
        self._around = around
        self._engine_loop: asyncio.AbstractEventLoop | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._left: set[str] = set()
        self._runs: dict[str, RunView] = {}
        self._closing: asyncio.Task[None] | None = None
        self._reasons: dict[str, str] = {}
        self._recalled_ns: dict[str, Nanoseconds] = {}

    # ---- the engine's side -----------------------------------------------------------------------------------------------

    def begin(self, effect: ResearchEffect) -> "asyncio.Future[None]":
        """Hand an effect over, from the engine's event loop; what comes of it is delivered. The future is done when it is."""
        self._engine_loop = asyncio.get_running_loop()
        if self._parts is None:
            self._decline(effect)
            return _done(self._engine_loop)
        if isinstance(effect, EndResearch):
            self._in_desk(lambda: self._cancel(effect.run_id))
            return _done(self._engine_loop)
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._perform(effect, self._parts), self._started()))

    def live(self) -> Live:
        """What is shown of the desk beside the state."""
        parts = self._parts
        if parts is None:
            return NOBODY
        if not isinstance(parts.caller, LiveCaller):
            return Live(parts.badge, parts.host, 0, dict(self._runs))
        purse = parts.caller.purse
        breaker = parts.caller.breaker.open_until_ns
        return Live(parts.badge, parts.host, breaker, dict(self._runs), purse.day, purse.paid_micro_usd)

    def close(self) -> None:
        """Leave everything that is under way; its end is told at the next start."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        self._in_desk(lambda: self._stop(loop))
        thread.join(CLOSE_SECONDS)

    def _decline(self, effect: ResearchEffect) -> None:
        if isinstance(effect, PerformResearch):
            self._around.deliver(ResearchEnded(effect.run.run_id, "this engine cannot do research"))

    def _started(self) -> asyncio.AbstractEventLoop:
        """The desk's own event loop, begun with its first work."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run_until_stopped, args=(self._loop,), name="research", daemon=True)
            self._thread.start()
        return self._loop

    def _in_desk(self, act: Callable[[], None]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act)

    def _cancel(self, run_id: str) -> None:
        """End a run, also one that was handed over a moment ago and has not begun."""
        task = self._tasks.get(run_id)
        if task is not None:
            task.cancel()
        else:
            self._left.add(run_id)

    def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        ending: list[asyncio.Task[None]] = list(asyncio.all_tasks(loop))
        for task in ending:
            task.cancel()
        if self._parts is not None and isinstance(self._parts.caller, LiveCaller):
            ending.append(loop.create_task(self._parts.caller.close()))
        self._closing = loop.create_task(_stop_after(loop, ending))

    # ---- the desk's side -------------------------------------------------------------------------------------------------

    async def _perform(self, effect: PerformResearch | PerformLearning | RecallDays, parts: ResearchParts) -> None:
        """Do one thing to its end; whatever goes wrong is an end as well."""
        match effect:
            case PerformResearch(run):
                if run.run_id in self._left:
                    self._left.discard(run.run_id)
                    return
                task = self._tasks[run.run_id] = asyncio.ensure_future(self._run(run, parts))
                try:
                    await asyncio.wait([task])
                finally:
                    task.cancel()
                    self._tasks.pop(run.run_id, None)
            case PerformLearning(run_id):
                await self._learn(run_id, parts)
            case RecallDays(instrument_ids):
                await self._know_spent(parts)
                await self._recall(instrument_ids, parts)

    async def _know_spent(self, parts: ResearchParts) -> None:
        """After a start, what was spent on this day is shown before the next run begins."""
        if not isinstance(parts.caller, LiveCaller) or parts.caller.purse.day:
            return
        state = await self._engine(self._around.state())
        try:
            self._begin_day(parts.caller, state, parts.paid_day())
        except StoreError as error:
            _log.warning("research: what was spent today is not known: %s", error)

    async def _run(self, run: ResearchRun, parts: ResearchParts) -> None:
        cost, failure, done = 0, "", 0
        state = await self._engine(self._around.state())
        chosen = asked_instruments(state, run)
        seconds = 0.0
        try:
            chosen = chosen or await self._scanned_in_time(run, state, parts)
            seconds = SLACK_SECONDS + len(chosen) * state.settings.research.deadlines.cycle_seconds
            async with asyncio.timeout(seconds):
                for number, instrument in enumerate(chosen, start=1):
                    self._show(run, chosen, done, instrument, (), cost)
                    decided = await self._decide(run, number, instrument, chosen, cost, parts)
                    cost += sum(one.cost_micro_usd for one in decided)
                    done += bool(decided)
                    self._deliver(ResearchDecided(run.run_id, decided))
        except TimeoutError:
            failure = f"not done within {seconds:g} s: {done} of {len(chosen)} looked at"
        except QuarterdeckError as error:
            failure = str(error)
        except Exception as error:  # noqa: BLE001 - research that fails must not take the engine with it
            _log.error("a research run failed", exc_info=error)
            failure = f"{type(error).__name__}: {error}"
        finally:
            self._runs.pop(run.portfolio, None)
            cost = max(cost, self._paid(run, parts))
        text = f"{done} of {len(chosen)} looked at" if chosen or failure else NOTHING_DUE
        self._deliver(ResearchEnded(run.run_id, failure, text, cost))

    async def _scanned_in_time(self, run: ResearchRun, state: State, parts: ResearchParts) -> tuple[Instrument, ...]:
        try:
            async with asyncio.timeout(SCAN_SECONDS):
                return await self._scanned(run, state, parts)
        except TimeoutError as error:
            raise VenueUnreachable(f"the scan was not done within {SCAN_SECONDS:g} s: a feed does not answer") from error

    async def _scanned(self, run: ResearchRun, state: State, parts: ResearchParts) -> tuple[Instrument, ...]:
        """What a run without named symbols looks into, by a scan in code; the reasons are shown while it runs."""
        from engine.research_scanning import due, most_of, scan

        looks: list[Look] = []
        for instrument in await self._engine(self._around.candidates(run.portfolio)):
            look = await self._engine(self._around.look(run.portfolio, instrument.instrument_id))
            if look is not None:
                looks.append(look)
        found = await asyncio.to_thread(lambda: scan(due(looks, run, parts.world), run.portfolio, parts.world))
        best = found[:most_of(state, parts.caller)]
        self._reasons = {instrument.instrument_id: "; ".join(ranked.reasons) for instrument, ranked in best}
        return tuple(instrument for instrument, _ in best)

    async def _decide(self, run: ResearchRun, number: int, instrument: Instrument, chosen: Sequence[Instrument], cost: int,
                      parts: ResearchParts) -> tuple[Decided, ...]:
        """The decisions on one instrument; none where it has no price."""
        from engine.research.pipeline import run_pipeline

        look = await self._engine(self._around.look(run.portfolio, instrument.instrument_id))
        if look is None:
            return ()
        asked = await asyncio.to_thread(self._ask, run, number, look, parts)
        roles: dict[str, RoleProgress] = {}

        def told(progress: RoleProgress) -> None:
            roles[progress.role] = progress
            self._show(run, chosen, number - 1, instrument, tuple(roles.values()), cost)

        caller = parts.replayed(run.replay) if run.replay and parts.replayed is not None else parts.caller
        self._begin_day(caller, look.state, parts.paid_day())
        noted: list[NoteReading] = []
        decided = await run_pipeline(PipelineTask(asked, caller, parts.store, told, noted.extend))
        if noted and not run.replay:
            await asyncio.to_thread(parts.world.keep_readings, noted, self._around.now_ns())
        return tuple(msgspec.structs.replace(one, atr_bps=one.atr_bps or asked.atr_bps) for one in decided)

    @staticmethod
    def _paid(run: ResearchRun, parts: ResearchParts) -> int:
        """What the purse paid for a run, also for calls that no decision tells of: those of a cycle that broke off, and those
        that came too late."""
        return parts.caller.purse.close_run(run.run_id) if isinstance(parts.caller, LiveCaller) else 0

    @staticmethod
    def _begin_day(caller: Caller, state: State, paid_day: str) -> None:
        """Tell the purse what the journal knows to be spent today, by all portfolios; of our day it knows nothing on a tape."""
        if not isinstance(caller, LiveCaller):
            return
        if paid_day:
            caller.purse.begin_day(paid_day)
        else:
            caller.purse.begin_day(str(state.day), state.research.spent_micro_usd(state.day))

    def _ask(self, run: ResearchRun, number: int, look: Look, parts: ResearchParts) -> Asked:
        """Everything that the result depends on. Blocks: files and feeds are asked."""
        state, instrument, portfolio = look.state, look.instrument, run.portfolio
        chosen = state.portfolios[portfolio].settings.research
        gathered = parts.world.gather_rows(WorldAsk(
            state, portfolio, instrument.instrument_id, look.at_ns,
            tuple(one.instrument_id for one in watched(state, portfolio)), tuple(state.research.decisions.values()),
            state.settings.sectors))
        salt = secrets.token_hex(16) if parts.by_chance else hashlib.sha256(f"{run.run_id} {number}".encode()).hexdigest()[:32]
        snapshot = build(portfolio, instrument.symbol, look.at_ns, look.mark, (*look.rows, *gathered.rows))
        return Asked(
            run.run_id, number, run.cause, thread_id_of(portfolio), instrument.instrument_id, instrument.asset_class.value,
            snapshot, tuple(one.symbol for one in listed_in(state, portfolio)), gathered.daily,
            run.horizon_days or chosen.horizon_days, chosen.aggressiveness, look.cost_bps, salt, look.held,
            instrument.shortable, gathered.atr_bps, look.room, state.research.maps, gathered.regime,
            state.settings.research, parameters_of(state.research.parameters))

    def _show(self, run: ResearchRun, chosen: Sequence[Instrument], done: int, instrument: Instrument,
              roles: tuple[RoleProgress, ...], cost: int) -> None:
        symbols = tuple(one.symbol for one in chosen)
        self._runs[run.portfolio] = RunView(run.run_id, run.cause.value, instrument.symbol, symbols, done, run.begun_at_ns, 0,
                                            roles, Decimal(cost) / MICRO_USD,
                                            run.note or self._reasons.get(instrument.instrument_id, ""))

    async def _learn(self, run_id: str, parts: ResearchParts) -> None:
        from engine.research.learning import learn

        state = await self._engine(self._around.state())
        try:
            found = await asyncio.to_thread(parts.record.forecasts)
            await asyncio.to_thread(parts.world.remember, found.resolved)
            level = max((one.settings.research.aggressiveness for one in state.portfolios.values()), default=0)
            results = costs_since(found.results, state.research.applied_ns.get(SLIPPAGE, 0))
            learned = await asyncio.to_thread(learn, found.forecasts, state.research.maps, self._around.now_ns(),
                                              parameters_of(state.research.parameters), level, results, found.codes)
        except Exception as error:  # noqa: BLE001 - what is in use stays in use
            _log.error("learning failed", exc_info=error)
            failure = f"{type(error).__name__}: {error}"
            self._deliver(LearningEnded(run_id, 0, state.research.learned, state.research.maps, failure))
            return
        self._deliver(LearningEnded(run_id, found.through_seq, learned.view, learned.maps))

    async def _recall(self, instrument_ids: Sequence[str], parts: ResearchParts) -> None:
        """Daily bars of each, but of none more often than every ten minutes."""
        now_ns = self._around.now_ns()
        for instrument_id in instrument_ids:
            if now_ns - self._recalled_ns.get(instrument_id, -RECALL_SPACING_NS) < RECALL_SPACING_NS:
                continue
            self._recalled_ns[instrument_id] = now_ns
            bars: Sequence[Any] = ()
            if parts.bars is not None:
                try:
                    bars = await asyncio.to_thread(parts.bars.daily_bars, instrument_id, RECALLED_DAYS)
                except Exception as error:  # noqa: BLE001 - it is asked again
                    _log.warning("research: no daily bars of %s (%s)", instrument_id, type(error).__name__)
            self._deliver(DaysRecalled(instrument_id, tuple(bars)))

    async def _engine[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Have something looked up in the engine's event loop."""
        assert self._engine_loop is not None
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._engine_loop))

    def _deliver(self, told: Input) -> None:
        assert self._engine_loop is not None
        if not self._engine_loop.is_closed():
            self._engine_loop.call_soon_threadsafe(self._around.deliver, told)


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    """What the desk's thread does; a loop that is not closed would keep its sockets."""
    try:
        loop.run_forever()
    finally:
        loop.close()


async def _stop_after(loop: asyncio.AbstractEventLoop, ending: Iterable["asyncio.Task[None]"]) -> None:
    """Stop the loop once everything has ended, or does not end in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await asyncio.gather(*ending, return_exceptions=True)
    loop.stop()


def _done(loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
    future: asyncio.Future[None] = loop.create_future()
    future.set_result(None)
    return future
