"""The composition root of a replay: recorded tapes, a virtual clock, a paper venue and a journal of its own."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from brokers.market.recorded import MergedTape, RecordedTape, open_tape
from brokers.market.tape_days import TapeDays
from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.sessions import session_bounds
from engine.clocks import VirtualClock
from engine.config import Config
from engine.errors import UsageError
from engine.inputs import Bar, MarketItem, PortfolioSettings, Settings
from engine.instruments import Instrument
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.strategies.registry import Strategy
from store.history import StoredHistory
from store.home import Home
from store.journal import SqliteJournal
from tui.commands.script import read_script
from tui.compose import day_number_in, started
from tui.compose_research import research_of
from tui.compose_strategies import misfits
from tui.folding import restored_state
from tui.running_engine import Checkpoints, RunningEngine
from tui.version import VERSION

if TYPE_CHECKING:
    from tui.commands.replaying import Wish

REPLAY_ENGINE_ID = "replay"
START_CASH = Decimal(100_000)
START_COINS = Decimal(10)
COIN_DECIMALS = 8
SECONDS_PER_DAY = 86_400.0
RECORDED_TRADE_SECONDS = 300  # a recorded trade is the price until the next one, also on a thin tape


class ReplayRun(NamedTuple):
    """A started replay; `tape_played` is set once its last item was handed out."""

    running: RunningEngine
    tape_played: threading.Event


class ReplayJournal(SqliteJournal):
    """A journal whose every transaction reaches the file but is not forced through to the disk.

    A killed process loses nothing, so its paper venue never knows more than the journal; a power failure may lose the
    newest rows, which the tape makes again.
    """

    def __init__(self, path: Path, engine_id: str) -> None:
        super().__init__(path, relaxed=True, engine_id=engine_id)

    async def wait_durable(self) -> None:
        await self.retry()


class PlayedTape:
    """A tape that says when it was played to its end."""

    def __init__(self, tape: MergedTape) -> None:
        self._tape = tape
        self.played = threading.Event()

    def instruments(self) -> tuple[Instrument, ...]:
        return self._tape.instruments()

    def items(self) -> Iterator[MarketItem]:
        yield from self._tape.items()
        self.played.set()

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return self._tape.history(instrument_id, limit)


def open_tapes(wish: "Wish") -> list[RecordedTape]:
    """The tapes of a replay, each looked through once; raises `TapeError` for a bad one, `UsageError`."""
    if wish.symbol and len(wish.files) > 1:
        raise UsageError("--symbol names the instrument of one file; replay the files one by one")
    return [open_tape(path, on_bad=wish.on_bad, symbol=wish.symbol) for path in wish.files]


def open_replay(home: Home, config: Config, wish: "Wish", tapes: Sequence[RecordedTape],
                own: Mapping[str, Strategy] | None = None) -> ReplayRun:
    """Start a replay, or go on with it where its journal and its venue stopped; `own` are strategies of a home's own.

    Raises `UsageError` for tapes in several currencies or a bad script, `HomeLocked` where it runs already.
    """
    merged = MergedTape(tapes)
    tape = PlayedTape(merged)
    for one in tapes:
        trading = [each for each in config.strategies if any(one.instrument.is_called(symbol) for symbol in each.symbols)]
        for line in misfits(trading, one.report.bar_seconds, str(one.report.path)) if one.report.kind == "bars" else ():
            raise UsageError(line)
    lock = home.lock()
    try:
        state = restored_state(home)
        journal = ReplayJournal(home.journal, REPLAY_ENGINE_ID)
    except BaseException:
        lock.release()
        raise
    checkpoints = Checkpoints(home)
    try:
        settings = _settings(config, tapes, own)
        script = read_script(wish.script, min(one.report.first_ns for one in tapes)) if wish.script else ()
        clock = VirtualClock()
        bars = TapeDays(merged, clock.now_ns, session_bounds)  # its own reading is not the play
        research = research_of(home, config, lambda: running.engine.state, bars, by_chance=False)
        parts = EngineParts(
            clock=clock, journal=journal, research=research.parts, research_record=research.record,
            engine_id=journal.engine_id, version=VERSION, mode=Mode.REPLAY,
            settings=settings, brokers=(_broker(home, config, settings.portfolios[0], tape, wish.cash),), state=state,
            tape=tape, speed=wish.pace, script=tuple(one for one in script if one[0] >= state.at_ns),
            checkpoint=checkpoints, history=StoredHistory(home.journal), sessions=session_bounds, bar_session=_bar_session(tapes),
            day_number=day_number_in(config.engine.new_day_zone), user_strategies=own or {})
        running = RunningEngine(home, Engine(parts), journal, lock, checkpoints, research.close)
    except BaseException:
        checkpoints.close()
        journal.close()
        lock.release()
        raise
    started(running, running.engine.stop, serve=True)
    return ReplayRun(running, tape.played)


def _bar_session(tapes: Sequence[RecordedTape]) -> Callable[[Instrument], str]:
    """The hours that longer bars of a tape's instrument keep to, found out where they are asked for."""
    known = {tape.instrument.instrument_id: tape for tape in reversed(tapes)}
    return lambda instrument: known[instrument.instrument_id].bar_session


def _settings(config: Config, tapes: Sequence[RecordedTape], own: Mapping[str, Strategy] | None) -> Settings:
    """The configured settings for one portfolio in the tape's currency, whose quotes may be a bar old."""
    instruments = {tape.instrument.quote_currency: tape.instrument for tape in tapes}
    if len(instruments) > 1:
        raise UsageError(f"the tapes are in {' and '.join(sorted(instruments))}; replay those of one currency together")
    (currency, instrument), = instruments.items()
    settings = config.settings(own)
    first = settings.portfolios[0]
    longest_bar_seconds = float(max(tape.report.bar_seconds or RECORDED_TRADE_SECONDS for tape in tapes))
    limits = msgspec.structs.replace(
        first.limits, stale_quote_seconds=max(first.limits.stale_quote_seconds, longest_bar_seconds))
    portfolio = msgspec.structs.replace(
        first, currency=currency, minor_exponent=instrument.minor_exponent, limits=limits, live=False, simulated=False)
    # A recorded market has no stream to lose: one full pass a tape day is enough.
    return msgspec.structs.replace(settings, portfolios=(portfolio,), reconcile_seconds=SECONDS_PER_DAY)


def _broker(home: Home, config: Config, portfolio: PortfolioSettings, tape: PlayedTape,
            cash: Decimal | None) -> PaperBroker:
    account = config.account_named(portfolio.account)
    if cash is None:
        usual = START_COINS if portfolio.minor_exponent >= COIN_DECIMALS else START_CASH
        cash = account.initial_cash if account.currency == portfolio.currency else usual
    options = PaperOptions(
        initial_cash_minor=int(cash.scaleb(portfolio.minor_exponent)), currency=portfolio.currency,
        leverage=account.leverage, slippage_bps=account.slippage_bps, latency_ms=account.latency_ms)
    return PaperBroker(account.name, home.paper, options, tape.instruments())
