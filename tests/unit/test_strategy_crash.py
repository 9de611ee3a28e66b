"""An engine that dies at one journal row after the other: its strategies want the same after the same bars, with the same memory,
and trade the same as in a run that lives; nothing twice."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.clocks import VirtualClock
from engine.events import OrderFilled, OrderIntended, decode
from engine.inputs import AutomationLevel, Bar, Limits, MarketItem, Quote
from engine.instruments import Instrument
from engine.orders import Purpose
from engine.parts import EngineParts
from engine.ports import JournalRow
from engine.runner import Engine
from engine.service import Mode
from engine.state import State, encode_state
from engine.strategies.registry import built_in, params_of
from engine.strategy_events import StrategyActed
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed, MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, OTHER, START_NS, fold, settings_of

pytestmark = pytest.mark.slow

BARS = 36
BAR_NS = 60 * NS_PER_SECOND


def strategy(name: str, rule: str, symbols: tuple[str, ...], bar_ns: int = 0, **params: float) -> StrategySettings:
    known = built_in(rule)
    return StrategySettings(name, rule, "main", symbols, params_of(known, params)._asdict(), bar_ns=bar_ns)


STRATEGIES = {
    "ema_cross": (strategy("trend", "ema_cross", ("COIN", "OTHER"), fast_bars=2, slow_bars=4, warmup_bars=4, leave_on_cross=1,
                           stop_atr=3),),
    "grid and dca": (strategy("steps", "grid", ("COIN",), levels=3, step_bps=60, part_bps=300, pause_bars=2, recentre_steps=1),
                     strategy("saver", "dca", ("OTHER",), interval_seconds=300, mean_bars=3, dip_weight=50, stop_bps=400)),
    "pairs": (strategy("pair", "pairs", ("COIN", "OTHER"), mean_bars=8, enter_width=0.8, leave_width=0.2, stop_width=3,
                       stop_bps=150),),
    "rebalance": (strategy("basket", "rebalance", ("COIN", "OTHER"), method=2, interval_seconds=240, lookback_bars=5,
                           total_bps=3_000, band_bps=10, stop_bps=3_000),),
    "longer bars": (strategy("trend", "ema_cross", ("COIN",), 2 * BAR_NS, fast_bars=1, slow_bars=2, warmup_bars=2, shorts=1,
                             leave_on_cross=1, stop_atr=3),
                    strategy("saver", "dca", ("OTHER",), 3 * BAR_NS, interval_seconds=180, mean_bars=2, stop_bps=400)),
    "a basket on longer bars": (strategy("pair", "pairs", ("COIN", "OTHER"), 2 * BAR_NS, mean_bars=3, enter_width=0.25,
                                         leave_width=0.1, stop_width=3, stop_bps=150),),
}


class Tape:
    """An opening quote and a bar a minute of both instruments; bars that close at a moment come before quotes that open. Where it
    has gaps, the second misses every fifth bar, so that some longer bars are told late."""

    def __init__(self, *, gaps: bool) -> None:
        self._gaps = gaps

    def instruments(self) -> tuple[Instrument, ...]:
        return (COIN, OTHER)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        rng = random.Random(4)
        prices = [10_000, 8_000]
        for place in range(BARS):
            open_ns = START_NS + place * BAR_NS
            traded = (COIN,) if self._gaps and place % 5 == 3 else (COIN, OTHER)
            for instrument, price in zip(traded, prices, strict=False):
                yield Quote(instrument.instrument_id, price - 1, price + 1, 0, 0, open_ns)
            opened, prices = prices, [round(price * (1 + rng.gauss(0, 0.006))) for price in prices]
            for instrument, start, end in zip(traded, opened, prices, strict=False):
                reach = rng.randint(0, 30)
                yield Bar(instrument.instrument_id, open_ns, open_ns + BAR_NS, start, max(start, end) + reach,
                          min(start, end) - reach, end, 1_000_000)


def run(journal: MemoryJournal, broker: PaperBroker, strategies: tuple[StrategySettings, ...]) -> Engine:
    limits = Limits(max_heat_fraction=0.9, max_position_fraction=1.0, max_order_notional_fraction=1.0, stale_quote_seconds=120.0)
    settings = settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=limits, strategies=strategies,
                           reconcile_seconds=86_400.0)
    engine = Engine(EngineParts(VirtualClock(), journal, "e", "test", Mode.REPLAY, settings, (broker,),
                                state=fold(journal.durable), tape=Tape(gaps=any(one.bar_ns for one in strategies))))
    asyncio.run(engine.run())
    return engine


def venue() -> PaperBroker:
    return PaperBroker(ACCOUNT, None, PaperOptions(), (COIN, OTHER))


def story(rows: Sequence[JournalRow]) -> tuple[list[Any], list[Any]]:
    """What was wanted after which bar, and what was traded when."""
    events = [decode(row.kind, row.payload) for row in rows]
    wanted = [event for event in events if isinstance(event, StrategyActed)]
    fills = [(event.fill.at_ns, event.fill.instrument_id, event.fill.side, event.fill.last_lots, event.fill.last_ticks)
             for event in events if isinstance(event, OrderFilled)]
    return wanted, fills


@pytest.mark.parametrize("lose_last", [False, True])
@pytest.mark.parametrize("named", STRATEGIES)
def test_it_goes_on_exactly_whatever_row_it_dies_at(named: str, lose_last: bool) -> None:
    calm = MemoryJournal()
    run(calm, venue(), STRATEGIES[named])
    wanted = story(calm.durable)
    assert len(wanted[0]) >= 8
    assert len(wanted[1]) >= 8
    for crash_after in range(1 + lose_last, len(calm.durable) + 1, 2):  # every other row
        broker = venue()
        journal = MemoryJournal(crash_after=crash_after, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            run(journal, broker, STRATEGIES[named])
        after = MemoryJournal(rows=journal.durable)
        engine = run(after, broker, STRATEGIES[named])
        assert story(after.durable) == wanted, f"died at row {crash_after}, transaction {'lost' if lose_last else 'kept'}"
        assert encode_state(fold(after.durable)) == encode_state(engine.state)
        assert engine.defects == 0


def off(strategies: tuple[StrategySettings, ...]) -> tuple[StrategySettings, ...]:
    """As the configuration gives them while their files cannot be read."""
    return tuple(replace(one, params={}, warmup_bars=0, problem="strategies/mine.py:3: invalid syntax") for one in strategies)


@pytest.mark.parametrize("named", ["ema_cross", "grid and dca", "a basket on longer bars"])
def test_with_its_file_broken_over_a_crash_it_enters_nothing_forgets_nothing_and_goes_on(named: str) -> None:
    calm = MemoryJournal()
    run(calm, venue(), STRATEGIES[named])
    acted_after = 0
    for crash_after in range(5, len(calm.durable), 9):
        broker = venue()
        journal = MemoryJournal(crash_after=crash_after)
        with pytest.raises(JournalCrashed):
            run(journal, broker, STRATEGIES[named])
        before = fold(journal.durable)
        broken = MemoryJournal(rows=journal.durable, crash_after=crash_after + 25)
        with contextlib.suppress(JournalCrashed):  # or it comes to the end of the tape
            run(broken, broker, off(STRATEGIES[named]))
        meanwhile = [decode(row.kind, row.payload) for row in broken.durable[len(journal.durable):]]
        assert not [one for one in meanwhile if isinstance(one, StrategyActed)]
        assert not [one for one in meanwhile if isinstance(one, OrderIntended) and one.intent.purpose is Purpose.ENTRY]
        between = fold(broken.durable)
        assert kept(between) == kept(before), "what it must know is as it was"
        for key, position in between.positions.items():
            was = before.positions.get(key)
            if was is not None:
                assert position.plan == was.plan
                assert (position.stop_ticks - was.stop_ticks) * position.sign >= 0, "a trailing stop goes on, no other moves"
        after = MemoryJournal(rows=broken.durable)
        engine = run(after, broker, STRATEGIES[named])
        acted = [(one.strategy, one.instrument_id, one.close_ns) for one in story(after.durable)[0]]
        assert len(acted) == len(set(acted)), "no bar is acted on twice"
        acted_after += len(acted) > len(story(broken.durable)[0])
        assert encode_state(fold(after.durable)) == encode_state(engine.state)
        assert engine.defects == 0
    assert acted_after, "mended, it goes on"


def kept(state: State) -> dict[str, dict[str, tuple[int, dict[str, Any]]]]:
    """What each strategy acted on last, and what a start cannot find out from history."""
    return {name: {at: (place.acted_ns, place.memory) for at, place in known.places.items()}
            for name, known in state.strategies.items()}
