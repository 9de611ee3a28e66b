"""The composition root of backtests: tapes as columns, and the engine on the paper venue over the very same bars."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from brokers.market.recorded import SHARES_SESSION, RecordedTape
from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from brokers.sessions import session_bounds
from engine.analytics.records import decided_ticks
from engine.backtest.actions import Split, restated
from engine.backtest.holdings import ENTERED, RULE_LEFT
from engine.backtest.longer_bars import bars_of_trades, refuse_misfits, sessions_over
from engine.backtest.results import TESTED, BacktestResult, TestedFill
from engine.backtest.run import Series, Setup
from engine.clocks import VirtualClock
from engine.errors import TapeError
from engine.events import OrderFilled, OrderIntended, WantRefused, decode
from engine.inputs import AutomationLevel, Bar, MarketItem, MarketTrade, PortfolioSettings, Quote, Settings
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.kernel.exits import HOLD_OVER, STOP_HIT, TARGET_HIT
from engine.kernel.wants import BarColumns
from engine.orders import OrderIntent, Purpose
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.strategies.registry import Strategy, params_of
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND, Nanoseconds
from store.memory import MemoryJournal
from tui.formats import plural

LEAST_BARS = 2
MINUTE_NS = 60 * NS_PER_SECOND
VENUE_ROOM = 1.0  # buying power is the portfolio's limit here; the venue's own, which counts slippage, stays out of the way
SAME_MOMENT_NS = NS_PER_SECOND // 1_000
EXIT_CODES = {Purpose.STOP: STOP_HIT, Purpose.TARGET: TARGET_HIT, Purpose.ENTRY: ENTERED}


def series_of(tape: RecordedTape, bar_ns: Nanoseconds = 0) -> Series:
    """A recorded tape as columns, for a rule on bars of another length where one is given: market trades become bars of a minute,
    or of that length where it is no number of minutes. Raises `TapeError` for market trades without one, for bars that do not
    fit, and for too few."""
    import numpy

    if tape.report.kind != "bars" and not bar_ns:
        raise TapeError(f"{tape.report.path}: a backtest runs on bars, this file holds market trades; make bars of them with "
                        "--bar 5m, or replay the file")
    rows = numpy.array([_as_bar(item) for item in tape.items() if isinstance(item, Bar | MarketTrade)], numpy.int64)
    rows = rows.reshape(-1, len(BarColumns._fields))
    columns: list[Any] = [numpy.ascontiguousarray(rows[:, field]) for field in range(len(BarColumns._fields))]
    bars = BarColumns(*columns)
    try:
        if bar_ns:
            refuse_misfits(bars, bar_ns)
        if tape.report.kind != "bars":
            bars = bars_of_trades(bars, bar_ns if bar_ns % MINUTE_NS else MINUTE_NS)
    except TapeError as error:
        raise TapeError(f"{tape.report.path}: {error}") from None
    if len(bars.closes) < LEAST_BARS:
        few = plural(len(bars.closes), "bar")
        raise TapeError(f"{tape.report.path}: {few} is too few to test anything on; name a longer file")
    session = tape.bar_session if bar_ns else ALWAYS_OPEN
    return Series(tape.instrument, bars, () if session == ALWAYS_OPEN else sessions_over(session, bars, session_bounds))


def _as_bar(item: Bar | MarketTrade) -> tuple[int, ...]:
    """The columns of a bar; a market trade is one that opens and closes at one moment."""
    if isinstance(item, Bar):
        return item[1:]
    price = item.price_ticks
    return (item.at_ns, item.at_ns, price, price, price, price, item.lots)


def restated_series(tape: RecordedTape, splits: Sequence[Split], bar_ns: Nanoseconds = 0) -> Series:
    """A recorded tape as columns in units that its splits leave alone."""
    found = series_of(tape, bar_ns)
    instrument, bars = restated(found.instrument, found.bars, splits)
    return found._replace(instrument=instrument, bars=bars)


class SeriesTape:
    """Bars as the tape drive wants them: at each moment first the bars that close, then the quotes that open."""

    def __init__(self, series: Sequence[Series], spread_bps: int) -> None:
        self._series = tuple(series)
        self._spread_bps = spread_bps

    def instruments(self) -> tuple[Instrument, ...]:
        return tuple(one.instrument for one in self._series)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:  # noqa: ARG002 - a tape's own form
        return ()

    def items(self) -> Iterator[MarketItem]:
        found: list[tuple[Nanoseconds, bool, int, MarketItem]] = []
        for number, one in enumerate(self._series):
            for row in zip(*(_plain(column) for column in one.bars), strict=True):
                bar = Bar(one.instrument.instrument_id, *row)
                spread = max(1, bar.open_ticks * self._spread_bps // 10_000) if self._spread_bps else 0
                bid = bar.open_ticks - spread // 2
                found.append((bar.open_ns, True, number, Quote(bar.instrument_id, bid, bid + spread, 0, 0, bar.open_ns)))
                found.append((bar.close_ns, False, number, bar))
        found.sort(key=lambda item: item[:3])
        return (item[3] for item in found)


def _plain(column: Any) -> list[int]:
    return [int(value) for value in column]


class EngineRun(NamedTuple):
    """What the engine made of the tape: its fills, and its refusals by the check that refused."""

    fills: list[TestedFill]
    refused: dict[str, int]


def engine_run(series: Sequence[Series], strategy: Strategy, params: dict[str, Any], setup: Setup) -> EngineRun:
    """Run the engine itself over the bars, on the paper venue, with a journal in memory."""
    instruments = [one.instrument for one in series]
    first = instruments[0]
    chosen = params_of(strategy, params)
    limits = msgspec.structs.replace(setup.limits, stale_quote_seconds=31 * 86_400.0, orders_per_minute=10_000,
                                     duplicate_seconds=0.0, max_repeated_executions=0)
    portfolio = PortfolioSettings(TESTED, TESTED, first.quote_currency, first.minor_exponent, AutomationLevel.AUTO_EXECUTE,
                                  limits)
    running = StrategySettings(strategy.name, strategy.name, TESTED, tuple(one.instrument_id for one in instruments),
                               chosen._asdict(), warmup_bars=strategy.warmup(chosen), capital_fraction=setup.capital_fraction,
                               capital_fixed=setup.capital_fixed, heat_budget_fraction=setup.heat_budget_fraction,
                               bar_ns=setup.bar_ns)
    settings = Settings(
        (portfolio,), reconcile_seconds=86_400.0, trail_step_fraction=setup.trail_step_fraction,
        gap_allowance_bps=setup.gap_allowance_bps, sectors=dict(setup.sectors), buckets=dict(setup.buckets),
        strategies=(running,), regimes=setup.regimes)
    options = PaperOptions(
        initial_cash_minor=setup.cash_minor, currency=first.quote_currency, leverage=setup.limits.max_leverage + VENUE_ROOM,
        slippage_bps=setup.slippage_bps, fill_share_bps=setup.fill_share_bps, touch_fills=setup.touch_fills)
    broker = PaperBroker(TESTED, None, options, tuple(instruments))
    journal = MemoryJournal()
    sessions = {one.instrument.instrument_id: SHARES_SESSION if one.sessions and one.instrument.session == ALWAYS_OPEN
                else one.instrument.session for one in series}
    engine = Engine(EngineParts(
        VirtualClock(), journal, TESTED, TESTED, Mode.REPLAY, settings, (broker,),
        tape=SeriesTape(series, setup.spread_bps), user_strategies={strategy.name: strategy}, sessions=session_bounds,
        bar_session=lambda one: sessions[one.instrument_id]))
    asyncio.run(engine.run())
    return _told(journal)


def _told(journal: MemoryJournal) -> EngineRun:
    """Fills with the reason of their orders, and refusals, from the journal."""
    intents: dict[str, OrderIntent] = {}
    fills: list[TestedFill] = []
    refused: dict[str, int] = {}
    for row in journal.durable:
        event = decode(row.kind, row.payload)
        if isinstance(event, OrderIntended):
            intents[event.intent.client_order_id] = event.intent
        elif isinstance(event, OrderFilled):
            fill = event.fill
            intent = intents[fill.client_order_id]
            fills.append(TestedFill(fill.instrument_id, fill.at_ns, fill.side.sign, fill.last_lots, fill.last_ticks,
                                    fill.fee_minor, fill.maker, exit_code(intent), decided_ticks(intent)))
        elif isinstance(event, WantRefused):
            refused[event.check] = refused.get(event.check, 0) + 1
    return EngineRun(fills, refused)


def exit_code(intent: OrderIntent) -> int:
    """Why an order of the engine was sent, by the codes of a backtest's fills."""
    known = EXIT_CODES.get(intent.purpose)
    if known is not None:
        return known
    if intent.reason.startswith("closed by"):
        return RULE_LEFT
    if "maximum time" in intent.reason:
        return HOLD_OVER
    return TARGET_HIT if "target" in intent.reason else STOP_HIT


def first_difference(tested: BacktestResult, run: EngineRun) -> str:
    """Where the backtest's fills and the engine's part, in one line; empty where they are the same."""
    ours, theirs = tested.fill_rows(), run.fills
    by_id = {one.instrument_id: one for one in tested.instruments}
    for number, (one, other) in enumerate(itertools.zip_longest(ours, theirs), 1):
        if one is None or other is None:
            known = one or other
            assert known is not None
            who = "the engine" if one is None else "the backtest"
            return f"fill {number}: only {who} has it: {_fill_text(known, by_id[known.instrument_id])}"
        if abs(one.at_ns - other.at_ns) > SAME_MOMENT_NS or _terms(one) != _terms(other):
            return (f"fill {number}: backtest {_fill_text(one, by_id[one.instrument_id])}; "
                    f"engine {_fill_text(other, by_id[other.instrument_id])}")
    if dict(sorted(tested.refused.items())) != dict(sorted(run.refused.items())):
        return f"the fills are the same; refusals: backtest {tested.refused}, engine {run.refused}"
    return ""


def _terms(fill: TestedFill) -> TestedFill:
    """What must be equal beside the time. The price decided on is no part of what was traded."""
    return fill._replace(at_ns=0, decided_ticks=0)


REASONS = {ENTERED: "entry", STOP_HIT: "stop", TARGET_HIT: "target", HOLD_OVER: "maximum time", RULE_LEFT: "rule"}


def _fill_text(fill: TestedFill, instrument: Instrument) -> str:
    import time

    when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(fill.at_ns // NS_PER_SECOND))
    side = "buy" if fill.sign > 0 else "sell"
    maker = " maker" if fill.maker else ""
    return (f"{when} {side} {instrument.quantity(fill.lots)} {instrument.symbol} at {instrument.price(fill.ticks)} "
            f"fee {instrument.money(fill.fee_minor)}{maker} ({REASONS[fill.code]})")


def cache_folder() -> Path:
    """Where compiled passes are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("quarterdeck")) / "compiled"
