"""The composition root of a rehearsal: the engine with its loop, gateway and journal on a paper venue that a scene breaks,
in a temporary home of its own, on a clock that goes as fast as it can."""

import asyncio
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.paper.rehearsed import RehearsedBroker
from engine.apply import apply
from engine.clocks import VirtualClock
from engine.errors import JournalUnwritable, QuarterdeckError
from engine.events import Recorded, decode
from engine.golive_words import Incident, Rehearsed
from engine.inputs import AutomationLevel, Connectivity, Limits, PortfolioSettings, Settings
from engine.parts import EngineParts
from engine.ports import JournalRow
from engine.rehearsal.scenes import ACCOUNT, CASH_MINOR, PORTFOLIO, START_NS, Breakage, Scene, instruments, scene_of
from engine.rehearsal.scoring import Aftermath, score
from engine.rehearsal.stopwatch import Stopwatch
from engine.rehearsal.tape import SceneTape, venue_items
from engine.runner import Engine
from engine.service import Mode, StopHome
from engine.settings import CurrencySettings
from engine.state import State, encode_state
from engine.units import NS_PER_SECOND, Nanoseconds
from store.home import Home, open_home
from store.read import journal_rows
from store.verify import verify
from tui.compose_replay import ReplayJournal
from tui.folding import restored_state
from tui.version import VERSION

CHILD_SECONDS = 60.0
STOPWATCH_FILE = "stopwatch.json"


class RehearsedJournal(ReplayJournal):
    """A journal whose disk is full while the scene says so: what waits then is kept in memory, and written once there is room."""

    def __init__(self, path: Path, is_full: Callable[[], bool]) -> None:
        super().__init__(path, "rehearsal")
        self._is_full = is_full
        self._held: list[Sequence[JournalRow]] = []

    def append(self, rows: Sequence[JournalRow]) -> None:
        if self._is_full() or self._held:
            self._held.append(rows)
        else:
            super().append(rows)

    async def wait_durable(self) -> None:
        await self.retry()

    async def retry(self) -> None:
        if self._is_full():
            raise JournalUnwritable(f"{self.path}: database or disk is full")
        held, self._held = self._held, []
        for rows in held:
            super().append(rows)
        await super().retry()


def rehearsal_settings(configured: Settings) -> Settings:
    """The home's own deadlines, on a portfolio that is the rehearsal's."""
    portfolio = PortfolioSettings(PORTFOLIO, ACCOUNT, "USD", 2, AutomationLevel.AUTO_EXECUTE, Limits())
    return msgspec.structs.replace(configured, portfolios=(portfolio,), jobs=(), strategies=(), sectors={}, buckets={},
                                   currency=CurrencySettings())


def rehearse(incident: Incident, seed: int, settings: Settings) -> Rehearsed:
    """Play one incident and score it; nothing of the home is touched. Raises `QuarterdeckError` where it cannot be played."""
    scene = scene_of(incident, seed)
    with tempfile.TemporaryDirectory(prefix="quarterdeck-rehearsal-") as folder, _quiet():
        home = open_home(Path(folder))
        watch = Stopwatch()
        if any(fault.breakage is Breakage.PROCESS for fault in scene.faults):
            watch = _until_killed(home, scene, settings)
        return score(scene, watch, _play(home, scene, settings, watch))


@contextmanager
def _quiet() -> Iterator[None]:
    """What the engine logs of a broken disk or line is meant, and no news."""
    log = logging.getLogger("quarterdeck")
    before = log.disabled, log.propagate, logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        log.disabled, log.propagate = before[:2]
        logging.disable(before[2])


# ---- one life of the engine ----------------------------------------------------------------------------------------------------


def _play(home: Home, scene: Scene, settings: Settings, watch: Stopwatch,
          kill: Callable[[Stopwatch], None] | None = None) -> Aftermath:
    """Run the engine from where the home stands to the end of the scene."""
    state, tape = restored_state(home), SceneTape(scene)
    paper = PaperBroker(ACCOUNT, home.paper, _options(scene), instruments())
    broker = RehearsedBroker(paper, scene, tape.hidden, watch, kill)
    journal = RehearsedJournal(home.journal, broker.disk_full)
    try:
        engine = Engine(EngineParts(
            clock=VirtualClock(), journal=journal, engine_id=journal.engine_id, version=VERSION, mode=Mode.REPLAY,
            settings=settings, brokers=(broker,), state=state, tape=tape,
            script=tuple((START_NS + round(second * NS_PER_SECOND), command) for second, command in scene.script)))
        broker.guards = lambda instrument_id: could_leave(engine, instrument_id)
        asyncio.run(engine.run())
    finally:
        journal.close()
    totals = paper.snapshot_totals()
    return _aftermath(home, engine, dict(totals.positions), totals.cash_minor)


def _options(scene: Scene) -> PaperOptions:
    """A venue without brackets, where a stop is an order of its own: what leaves the most to the engine."""
    return PaperOptions(seed=scene.seed, initial_cash_minor=CASH_MINOR, bracket=False, oco=False, stop=scene.stops_at_venue)


def could_leave(engine: Engine, instrument_id: str) -> bool:
    """Whether the engine itself watches an instrument and could act: it knows a fresh price, and the venue answers."""
    state, market = engine.state, engine.market
    position = state.position(PORTFOLIO, instrument_id)
    mark = market.marks.get(instrument_id)
    if position is None or mark is None or state.accounts[ACCOUNT].connectivity is not Connectivity.LIVE:
        return False
    home = state.homes.get(position.key)
    fresh_ns = state.portfolios[PORTFOLIO].settings.limits.stale_quote_seconds * NS_PER_SECOND
    watching = bool(position.exit_reason) or (home is not None and home.home is StopHome.ENGINE)
    return watching and engine.parts.clock.now_ns() - mark.at_ns <= fresh_ns


def _aftermath(home: Home, engine: Engine, venue_lots: dict[str, int], venue_cash_minor: int) -> Aftermath:
    """What is left, with the journal read back from the disk."""
    rows = list(journal_rows(home.journal, 1))
    events = tuple(decode(row.kind, row.payload) for row in rows)
    state = State()
    for row, event in zip(rows, events, strict=True):
        state = apply(state, Recorded(row.seq, row.at_ns, event))
    report = verify(home.journal)
    problem = "" if report.sound else f"row {report.damaged[0].seq}: {report.damaged[0].what}"
    if not problem and encode_state(state) != encode_state(engine.state):
        problem = "replaying it gives another state"
    return Aftermath(engine.state, venue_lots, venue_cash_minor, events, problem, engine.defects)


# ---- a real kill ---------------------------------------------------------------------------------------------------------------


def _until_killed(home: Home, scene: Scene, settings: Settings) -> Stopwatch:
    """Play a scene in a process of its own until it is killed there, then let the market go on without an engine.

    Raises `QuarterdeckError` where that process ends in any other way.
    """
    from multiprocessing import get_context

    child = get_context("spawn").Process(
        target=_play_to_the_kill, args=(str(home.path), scene.incident.value, scene.seed, msgspec.json.encode(settings)))
    child.start()
    child.join(CHILD_SECONDS)
    if child.exitcode != -signal.SIGKILL:
        child.kill()
        child.join()
        raise QuarterdeckError(f"rehearse {scene.incident}: the process was to be killed, it ended with {child.exitcode}")
    watch = msgspec.json.decode((home.path / STOPWATCH_FILE).read_bytes(), type=Stopwatch)
    _without_engine(home, scene, watch)
    return watch


def _play_to_the_kill(home_path: str, incident: str, seed: int, settings: bytes) -> None:
    """The life that is killed; it leaves its stopwatch behind, and nothing else but what a killed engine leaves."""
    home = open_home(Path(home_path))

    def kill(watch: Stopwatch) -> None:
        (home.path / STOPWATCH_FILE).write_bytes(msgspec.json.encode(watch))
        os.kill(os.getpid(), signal.SIGKILL)

    with _quiet():
        _play(home, scene_of(Incident(incident), seed), msgspec.json.decode(settings, type=Settings), Stopwatch(), kill)


def _without_engine(home: Home, scene: Scene, watch: Stopwatch) -> None:
    """The venue trades on for as long as no engine runs; the stopwatch goes on."""
    paper = PaperBroker(ACCOUNT, home.paper, _options(scene), instruments())
    broker = RehearsedBroker(paper, scene, {}, watch)
    from_ns: Nanoseconds = watch.seen.at_ns if watch.seen is not None else paper.cursor_ns
    down = max(fault.seconds for fault in scene.faults if fault.breakage is Breakage.PROCESS)
    watch.able_ns = from_ns + round(down * NS_PER_SECOND)
    for item in venue_items(scene):
        if from_ns < item.at_ns < watch.able_ns:
            broker.see(item, item.at_ns)
    asyncio.run(broker.close())
