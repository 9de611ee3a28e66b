"""What a report is made from is the same of the backtest and of the engine over the same bars: worth at each close, round trips
with their regimes, MAE and MFE; and so are the figures."""

import asyncio
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.analytics.measures import Figure, by_days, growth, sharpe
from engine.analytics.records import EquityCurve, TripRecord, trip_record
from engine.backtest.run import Series, Setup, backtest
from engine.backtest.tracks import track_of
from engine.clocks import VirtualClock
from engine.events import DayRolled, EquityMarked, decode
from engine.inputs import AutomationLevel, PortfolioSettings, Settings
from engine.market import NS_PER_DAY
from engine.parts import EngineParts
from engine.regimes import RegimeSettings
from engine.runner import Engine
from engine.service import Mode
from engine.strategies.registry import built_in, params_of
from engine.strategy_state import StrategySettings
from engine.tolerance import Limits
from store.memory import MemoryJournal
from tests.parity.tapes import series
from tui.compose_backtest import SeriesTape

CASH = 10_000_000
LOOSE = Limits(
    max_order_notional_fraction=0.5, max_position_fraction=0.9, max_heat_fraction=0.5, max_risk_per_order_fraction=0.0,
    max_day_loss_fraction=0.0, max_week_loss_fraction=0.0, max_drawdown_fraction=0.0, max_losing_streak=0,
    max_daily_notional_fraction=0.0, max_orders_per_day=0, max_repeated_executions=0)
PARAMS: dict[str, Any] = {"fast_bars": 4, "slow_bars": 9, "warmup_bars": 12, "shorts": 1, "stop_atr": 1.5, "target_atr": 2.0}
REGIMES = RegimeSettings(trend_bars=6, volatility_bars=6, usual_bars=12, size_in_range=0.5)


class Ran(NamedTuple):
    """What the engine recorded: its worth over time, and the round trips that ended."""

    curve: EquityCurve
    trips: list[TripRecord]


def engine_ran(tapes: list[Series], setup: Setup) -> Ran:
    """The engine over the bars, on the paper venue."""
    strategy = built_in("ema_cross")
    chosen = params_of(strategy, PARAMS)
    limits = replace(setup.limits, stale_quote_seconds=31 * 86_400.0, orders_per_minute=10_000, duplicate_seconds=0.0)
    instruments = tuple(one.instrument for one in tapes)
    running = StrategySettings(strategy.name, strategy.name, "main", tuple(one.instrument_id for one in instruments),
                               chosen._asdict(), warmup_bars=strategy.warmup(chosen))
    settings = Settings((PortfolioSettings("main", "main", "USD", 2, AutomationLevel.AUTO_EXECUTE, limits),),
                        reconcile_seconds=86_400.0, trail_step_fraction=setup.trail_step_fraction, strategies=(running,),
                        regimes=setup.regimes)
    broker = PaperBroker("main", None, PaperOptions(
        initial_cash_minor=setup.cash_minor, currency="USD", leverage=setup.limits.max_leverage + 1,
        slippage_bps=setup.slippage_bps, fill_share_bps=setup.fill_share_bps), instruments)
    journal = MemoryJournal()
    engine = Engine(EngineParts(VirtualClock(), journal, "main", "test", Mode.REPLAY, settings, (broker,),
                                tape=SeriesTape(tapes, setup.spread_bps), user_strategies={strategy.name: strategy}))
    asyncio.run(engine.run())
    by_id = {one.instrument_id: one for one in instruments}
    points: dict[int, tuple[int, int]] = {}
    for row in journal.durable:
        event = decode(row.kind, row.payload)
        if isinstance(event, EquityMarked | DayRolled) and "main" in event.equity_minor:
            gross = event.gross_minor["main"] if isinstance(event, EquityMarked) else 0
            points[row.at_ns] = (event.equity_minor["main"], gross)
    worth = [one[0] for one in points.values()]
    return Ran(EquityCurve(list(points), worth, [0] * len(worth), [one[1] for one in points.values()]),
               [trip_record(trip, by_id[trip.instrument_id]) for trip in engine.state.round_trips])


def sharpe_of(curve: EquityCurve) -> Figure:
    days = by_days(curve, growth(curve), lambda at_ns: at_ns // NS_PER_DAY)
    return sharpe(days.returns, days.per_year)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "kind"), [
    (1, {"minutes": 1_440}), (1, {"minutes": 390, "gap": 0.2, "night": 1}), (2, {"minutes": 60, "night": 17, "gap": 0.1})])
def test_backtest_and_engine_tell_the_same(count: int, kind: dict[str, float], compiled_passes: Path) -> None:
    tapes = [series(f"S{number}", 40 + number, 400, **kind) for number in range(count)]
    setup = Setup(CASH, LOOSE, spread_bps=4, slippage_bps=3, regimes=REGIMES)
    tested = track_of(backtest(tapes, built_in("ema_cross"), PARAMS, setup, compiled_passes), tapes, regimes=REGIMES)
    ran = engine_ran(tapes, setup)
    assert len(tested.trips) > 10
    worth = dict(zip(ran.curve.at_ns, ran.curve.equity_minor, strict=True))
    held = [(at_ns, equity) for at_ns, equity, gross in zip(*tested.curve[:2], tested.curve.gross_minor, strict=True) if gross]
    assert len(held) > 50
    last = count - 1  # the bars of a moment are some nanoseconds apart
    known = [(at_ns, equity, worth[at_ns + last]) for at_ns, equity in held if at_ns + last in worth]
    assert len(known) > 0.9 * len(held), "each close of bars as long as these is recorded"
    assert all(equity == recorded for _, equity, recorded in known), "by the prices of that close"
    told = [trip.regime for trip in tested.trips[-len(ran.trips):]]
    assert [trip.regime for trip in ran.trips] == told
    assert len(set(told)) > 2
    for one, other in zip(ran.trips, tested.trips[-len(ran.trips):], strict=True):
        assert (one.exit_reason, one.decision, one.strategy, one.net_minor, one.initial_risk_minor) == (
            other.exit_reason, other.decision, other.strategy, other.net_minor, other.initial_risk_minor)
        assert (one.adverse_fraction, one.favourable_fraction) == (other.adverse_fraction, other.favourable_fraction)
    theirs, ours = sharpe_of(ran.curve), sharpe_of(tested.curve)
    assert theirs.value == pytest.approx(ours.value, rel=0.05), "the engine also looks at the opens"
