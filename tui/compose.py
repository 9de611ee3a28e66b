"""The composition root: the only place that sees brokers, store and engine together.

`open_engine` is the engine of a home, on paper, at real venues (tui.compose_venues) or both; `short_engine` the same for
one command; `emergency_engine` goes straight at the venues where the home's own engine hangs.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from brokers.market.simulated import DEFAULT_TWELVE, SimulatedFeed, SimulatedMarket
from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.patient import PatientBroker
from brokers.sessions import known_session, session_bounds
from engine.clocks import SystemClock
from engine.config import Config, load_config
from engine.config_accounts import SIMULATED, AccountConfig
from engine.errors import ConfigError, StoreError, VenueUnreachable
from engine.inputs import Bar, Connectivity, SetTradingState, TradingState, Unanswered
from engine.instruments import Instrument
from engine.market import NS_PER_DAY
from engine.parts import EngineParts
from engine.ports import Broker, DailyBars
from engine.runner import Engine
from engine.schedule_words import Job, JobKind
from engine.state import State
from engine.units import NS_PER_SECOND, Nanoseconds
from store.halt_flag import clear_halt, read_halt
from store.history import StoredHistory
from store.home import Home
from store.journal import SqliteJournal
from store.lost_rows import note_lost_rows
from store.memory import MemoryJournal
from store.research_archive import ARCHIVE_FILE
from store.research_record import StoredResearch
from store.views import StateViews, rebuild_views, views_current
from tui.commands.link import command_id, meant_of
from tui.compose_access import gatekeeper_of
from tui.compose_notify import Notices, notices_of
from tui.compose_research import HomeResearch, research_of
from tui.compose_strategies import runnable_strategies
from tui.compose_venues import RealVenues, merged_feed, note_held, real_venues, require_same_money
from tui.folding import restored_state
from tui.running_engine import STOP_SECONDS, Checkpoints, EngineLink, RunningEngine, obey_flag
from tui.version import VERSION

READY_SECONDS = 10.0
POLL_SECONDS = 0.05
MARKS_SECONDS = 5
WARM_BARS = 60  # a minute bar of the simulated market takes about a millisecond to invent, for each instrument
HEADLESS_WARM_BARS = 30
HALF_HOURS_A_BAR = 4  # a day of sixty hours, or weeks of a share's, takes two seconds, beside the engine's loop
LONGEST_WAIT_FOR_SCREEN_SECONDS = 1.0
COMMAND_WARM_BARS = 16  # what the average true range needs
LONGEST_CATCH_UP_NS = 30 * NS_PER_DAY
_log = logging.getLogger("quarterdeck.compose")


EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_number_in(zone_name: str) -> Callable[[Nanoseconds], int]:
    """A function from a time to the number of its day in a zone, 1970-01-01 being day 0; remembers the day it found last."""
    if zone_name == "UTC":
        return lambda at_ns: at_ns // NS_PER_DAY
    zone = ZoneInfo(zone_name)
    hours: dict[int, int] = {}

    def day_number(at_ns: Nanoseconds) -> int:
        quarter = at_ns // (900 * NS_PER_SECOND)  # zones change on quarter hours
        known = hours.get(quarter)
        if known is None:
            hours.clear()
            known = hours[quarter] = datetime.fromtimestamp(quarter * 900, zone).toordinal() - EPOCH_ORDINAL
        return known

    return day_number


# ---- the parts of an engine -------------------------------------------------------------------------------------


def paper_broker(account: AccountConfig, memory: Path | None, instruments: Sequence[Instrument]) -> PaperBroker:
    """The paper venue of one configured account."""
    return PaperBroker(account.name, memory, paper_options(account), instruments)


def paper_options(account: AccountConfig) -> PaperOptions:
    """What the configuration says of a paper account."""
    return PaperOptions(
        initial_cash_minor=account.initial_cash_minor, currency=account.currency, leverage=account.leverage,
        slippage_bps=account.slippage_bps, latency_ms=account.latency_ms, commit_marks_seconds=MARKS_SECONDS)


def simulated_market(config: Config) -> SimulatedMarket:
    """The built-in market of a configuration."""
    return SimulatedMarket(config.market.seed, always_open=config.market.always_open)


def paper_brokers(home: Home, config: Config, market: SimulatedMarket) -> tuple[PaperBroker, ...]:
    """A paper venue for each portfolio's account that trades on the simulated market, on the home's memory."""
    accounts = [config.account_named(portfolio.account) for portfolio in config.portfolio]
    return tuple(paper_broker(account, home.paper, market.instruments()) for account in accounts
                 if account.kind == "paper" and config.market.source == SIMULATED)


def catch_up(broker: PaperBroker, config: Config, until_ns: Nanoseconds) -> None:
    """Show a paper venue what the market did while no engine ran, as far as orders rest there that it could touch."""
    since_ns = max(broker.cursor_ns, until_ns - LONGEST_CATCH_UP_NS)
    if not broker.cursor_ns or since_ns >= until_ns:
        return
    report = asyncio.run(broker.report(until_ns, ()))
    resting = set() if isinstance(report, Unanswered) else {order.instrument_id for order in report.open_orders}
    listed = [one for one in DEFAULT_TWELVE if one.instrument.instrument_id in resting]
    if not listed:
        return
    market = SimulatedMarket(config.market.seed, listed, always_open=config.market.always_open)
    for item in market.catch_up(since_ns, until_ns):
        broker.see(item, item.close_ns if isinstance(item, Bar) else item.at_ns)


class WarmingFeed(SimulatedFeed):
    """The simulated feed with as much history as a start should wait for, none of it before a screen is `painted`, where
    one is being painted, or a second is over: inventing it would take the processor from that."""

    warm_bars = WARM_BARS
    painted: threading.Event | None = None

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self._await_turn()
        return super().history(instrument_id, min(limit, self.warm_bars))

    def daily_bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self._await_turn()
        return super().daily_bars(instrument_id, limit)

    def half_hours(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self._await_turn()
        return super().half_hours(instrument_id, min(limit, HALF_HOURS_A_BAR * self.warm_bars))

    def _await_turn(self) -> None:
        painted = self.painted
        if painted is not None:
            painted.wait(LONGEST_WAIT_FOR_SCREEN_SECONDS)
            self.painted = None


def engine_parts(home: Home, config: Config, real: RealVenues, journal: SqliteJournal | MemoryJournal, state: State,
                 warm_bars: int, painted: threading.Event | None = None) -> EngineParts:
    """An engine on the home's paper venue, on real ones, or on both, with the market data of all of them."""
    market, clock = simulated_market(config), SystemClock(not_before_ns=state.at_ns)
    papers = paper_brokers(home, config, market)
    for broker in papers:
        catch_up(broker, config, clock.now_ns())
    simulated = WarmingFeed(market, clock.now_ns, config.market.quotes_per_second)
    simulated.warm_bars, simulated.painted = warm_bars, painted
    feed = merged_feed(real, simulated if papers else None)
    brokers = (*real.brokers, *papers)
    return EngineParts(
        clock=clock, journal=journal, engine_id=journal.engine_id, version=VERSION, mode=real.mode,
        settings=config.settings(), brokers=brokers, state=state, feed=feed,
        day_number=day_number_in(config.engine.new_day_zone), sessions=session_bounds)


def open_engine(home: Home, config: Config, *, on_stop: Callable[[], None] | None = None,
                serve: bool = True, warm_bars: int = WARM_BARS, painted: threading.Event | None = None,
                on_ready: Callable[[RunningEngine], None] = lambda _: None) -> RunningEngine:
    """Start the engine of a home: locks, journal, keys, venues, control socket; the past of prices once `on_ready` has told it.
    Where a screen is about to be painted, `painted` is set once it is.

    A raised halt flag is obeyed before anything else, and raised where the journal lost rows; a strategy that cannot run is off.
    Raises `HomeLocked`, `JournalDamaged`, `HomeUnusable`, and for real venues `ConfigError` and `KeysUnavailable`.
    """
    own = runnable_strategies(home.path, config)
    lock = home.lock()
    try:
        real = real_venues(home, config, paper_options)
    except BaseException:
        lock.release()
        raise
    try:
        note_lost_rows(home, time.time_ns())
        state = restored_state(home)
        require_same_money(state, config.settings())
        note_held(state, real)
        journal = _live_journal(home, state)
    except BaseException:
        real.release()
        lock.release()
        raise
    flag = read_halt(home)
    research: HomeResearch | None = None
    halted = (SetTradingState(command_id(), TradingState.HALTED, "", flag.cause, flag.by),) if flag else ()
    checkpoints = Checkpoints(home)
    try:
        require_known_calendars(config.jobs())
        notices = notices_of(home, config, real.mode.value) if serve else Notices()
        parts = engine_parts(home, config, real, journal, state, warm_bars, painted)
        feed: object = parts.feed
        research = research_of(home, config, lambda: running.engine.state, feed if isinstance(feed, DailyBars) else None,
                               parts.clock.now_ns,
                               send=lambda command: running.link.send_now(command))  # noqa: PLW0108 - there is none yet
        parts = parts._replace(
            research=research.parts, research_record=research.record,
            settings=config.settings(*own), user_strategies=own.rules, runs_strategies=serve,
            keeps_schedule=serve, notifier=notices.desk, job_runners=job_runners(home, config, research.record),
            startup=halted, ready_when_warm=not serve, checkpoint=checkpoints, halted_elsewhere=lambda: raised_cause(home),
            history=StoredHistory(home.journal))
        running = RunningEngine(home, Engine(parts), journal, lock, checkpoints, released(real, research), notices)
        running.keep_accounts = real.keep
        if serve:
            running.gate = gatekeeper_of(home, config, running.engine)
    except BaseException:
        checkpoints.close()
        journal.close()
        released(real, research)()
        lock.release()
        raise
    started(running, on_stop or running.engine.stop, serve=serve, on_ready=on_ready)
    if serve and research.news is not None:
        research.news.desk.start()
    return running


def released(real: RealVenues, research: HomeResearch | None) -> Callable[[], None]:
    """Gives back what an engine held beside its home."""
    def release() -> None:
        if research is not None:
            research.close()
        real.release()

    return release


def job_runners(home: Home, config: Config, record: StoredResearch | None = None) -> dict[JobKind, Callable[[Job], str]]:
    """What does the jobs that the core cannot do."""
    copies = config.backup

    def back_up(_: Job) -> str:
        """Once a copy holds them, old texts of research may go."""
        from store.research_pruning import prune_research
        from store.retention import Keep, scheduled_backup

        keep = Keep(copies.keep_daily, copies.keep_weekly, copies.keep_monthly)
        told = scheduled_backup(home, keep, time.time_ns(), copies.recipient)
        try:
            pruned = None if record is None else prune_research(home.path / ARCHIVE_FILE, config.research.keep_days,
                                                                record.needed, time.time_ns())
        except StoreError as error:
            raise StoreError(f"{told}; then {error}") from error
        return f"{told}; {pruned.text}" if pruned is not None else told

    return {JobKind.BACKUP: back_up}


def require_known_calendars(jobs: Sequence[Job]) -> None:
    """Raise `ConfigError` where a job goes by a calendar that nobody has."""
    for job in jobs:
        if not known_session(job.calendar):
            raise ConfigError(f'job "{job.job_id}": calendar = "{job.calendar}": no exchange of that code is known; '
                              'such as "XNYS", "XLON", "XTKS"')


def started(running: RunningEngine, on_stop: Callable[[], None], *, serve: bool,
            on_ready: Callable[[RunningEngine], None] = lambda _: None) -> None:
    """Start a composed engine; what cannot start is closed again."""
    def served() -> None:
        running.serve(on_stop)
        on_ready(running)

    try:
        running.engine.start(first=served if serve else None)
    except BaseException:
        running.close()
        raise


def raised_cause(home: Home) -> str:
    """Why the halt flag of a home is raised, empty while it is down."""
    flag = read_halt(home)
    return flag.cause or "the halt flag is raised" if flag is not None else ""


def _live_journal(home: Home, state: State) -> SqliteJournal:
    """The home's journal with the views that follow it."""
    if state.seq and not views_current(home.journal):
        rebuild_views(home.journal)
    return SqliteJournal(home.journal, _journal_failed, projector=StateViews(state))


def _journal_failed(error: Exception) -> None:
    _log.error("the journal cannot be written: %s", error)


@contextmanager
def short_engine(home: Home, portfolio: str | None = None, warm_bars: int = 0) -> Iterator[EngineLink]:
    """An engine for one command: on the home, fully journaled, ended with the block. What it has to say goes to the home's log,
    since a command says one line. Raises `VenueUnreachable` where the account of `portfolio` cannot be opened, of the one that is
    meant where it is empty."""
    from tui.logs import quiet_log

    config = load_config(home.config)
    with quiet_log(home.logs), open_engine(home, config, serve=False,
                                            warm_bars=max(warm_bars, COMMAND_WARM_BARS)) as running:
        _require_open(running, config, portfolio)
        flag = read_halt(home)
        if flag is not None:
            obey_flag(running.link, flag.cause, flag.by)
            clear_halt(home)
        _await_market(running.link)
        yield running.link


def _require_open(running: RunningEngine, config: Config, portfolio: str | None) -> None:
    """Raise why the account of a portfolio could not be opened, if it could not."""
    meant = None if portfolio is None else meant_of([one.name for one in config.portfolio], portfolio)
    account = next((one.account for one in config.portfolio if one.name == meant), "")
    for broker in running.engine.parts.brokers:
        failure = _failure_of(broker)
        if broker.account == account and failure is not None:
            raise failure


def _failure_of(broker: Broker) -> VenueUnreachable | None:
    return broker.failure if isinstance(broker, PatientBroker) else None


@contextmanager
def emergency_engine(home: Home) -> Iterator[EngineLink]:
    """An engine straight at the home's venues, with a journal in memory and an id of its own; it takes no lock.

    For a panic while the home's engine hangs or its journal is broken: that engine finds out from the venue later.
    """
    config = _config_in_need(home)
    real = real_venues(home, config, paper_options, locked=False)
    engine_id = f"x{time.time_ns() // 1_000_000:x}"
    engine = Engine(engine_parts(home, config, real, MemoryJournal(engine_id=engine_id), State(), COMMAND_WARM_BARS)._replace(
        runs_strategies=False))
    link = EngineLink(engine)
    try:
        engine.start()
        _await_market(link)
        yield link
    finally:
        engine.stop()
        engine.join(STOP_SECONDS)


def _config_in_need(home: Home) -> Config:
    """The configuration for a panic: where it is broken the paper venue alone, unless it names a real one, since nobody could
    then say that nothing is left there. Raises `ConfigError`."""
    try:
        return load_config(home.config)
    except ConfigError as error:
        text = home.config.read_text(encoding="utf-8", errors="replace") if home.config.is_file() else ""
        if any(venue in text for venue in ('"alpaca"', "'alpaca'", "ccxt:")):
            raise ConfigError(f"{error}; it names a real venue, which cannot be reached so: correct the file, or close there by "
                              "hand") from error
        _log.warning("the configuration is not used: %s", error)
        return Config()


def _await_market(link: EngineLink) -> None:
    """Return once every venue that could be opened is reconciled and every open market priced, or after a bounded wait."""
    shut = {broker.account for broker in link.engine.parts.brokers if _failure_of(broker) is not None}
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and not link.engine.finished.is_set():
        view = link.snapshot_now()
        reconciled = all(account.connectivity is Connectivity.LIVE or account.account in shut for account in view.accounts)
        priced = all(quote.bid is not None or not quote.session_open for quote in view.quotes)
        if view.accounts and reconciled and priced:
            return
        time.sleep(POLL_SECONDS)
