"""An engine that dies at every journal row of a candidate's way up and down: each step is taken once, in the same order, and
the round trips of its stage are counted once."""

import asyncio
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.candidates import Evidence, EvidenceKind, LifecycleSettings, PromoteCandidate, RecordEvidence, Stage, digest_of
from engine.clocks import VirtualClock
from engine.events import decode
from engine.inputs import AutomationLevel, Bar, Command, MarketItem, PlaceOrder, Quote
from engine.instruments import Instrument
from engine.lifecycle_events import CandidateDemoted, CandidatePromoted, EvidenceRecorded
from engine.orders import Side
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.state import encode_state
from engine.strategies.registry import built_in, params_of
from engine.strategy_state import StrategySettings
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed, MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, START_NS, fold, settings_of
from tests.unit.test_engine_construction import ROOMY

pytestmark = pytest.mark.slow

PRICES = (*[10_000] * 8, *[9_900] * 3, *[10_000] * 4, *[9_900] * 6)
STRATEGY = StrategySettings("s", "ema_cross", "main", ("COIN",), params_of(built_in("ema_cross"), {})._asdict())
DIGEST = digest_of(STRATEGY)


class Tape:
    """One price a second: two falls, each below the stop of an entry before it."""

    def instruments(self) -> tuple[Instrument, ...]:
        return (COIN,)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        for place, bid in enumerate(PRICES):
            yield Quote(COIN_ID, bid, bid + 2, 1_000, 1_000, START_NS + place * NS_PER_SECOND)


def at(second: float) -> int:
    return START_NS + round(second * NS_PER_SECOND) + 1


def entry(command_id: str) -> PlaceOrder:
    return PlaceOrder(command_id, "COIN", Side.BUY, quantity=Decimal(10), stop=Decimal("99.50"), origin="s")


BACKTEST = Evidence(EvidenceKind.BACKTEST, DIGEST, days=400.0, round_trips=200, drawdown_fraction=0.1, return_fraction=0.2,
                    symbols=("COIN",), bar_ns=60 * NS_PER_SECOND)
SCRIPT: tuple[tuple[int, Command], ...] = (
    (at(1), RecordEvidence("e1", "s", BACKTEST)),
    (at(1.2), RecordEvidence("e2", "s", Evidence(EvidenceKind.PARITY, DIGEST, same=True))),
    (at(2), PromoteCandidate("p1", "s", Stage.BACKTEST, DIGEST, "ada")),
    (at(3), PromoteCandidate("p2", "s", Stage.PAPER, DIGEST, "ada")),
    (at(5), entry("o1")), (at(12), entry("o2")))


def run(journal: MemoryJournal, broker: PaperBroker) -> Engine:
    settings = settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=ROOMY, strategies=(STRATEGY,),
                           lifecycle=LifecycleSettings(demote_losing_streak=2))
    engine = Engine(EngineParts(VirtualClock(), journal, "e", "test", Mode.REPLAY, settings, (broker,),
                                state=fold(journal.durable), tape=Tape(), script=SCRIPT))
    asyncio.run(engine.run())
    return engine


def venue() -> PaperBroker:
    return PaperBroker(ACCOUNT, None, PaperOptions(), (COIN,))


def steps(journal: MemoryJournal) -> list[tuple[Any, ...]]:
    """Evidence and steps in the order in which they were recorded."""
    found: list[tuple[Any, ...]] = []
    for event in (decode(row.kind, row.payload) for row in journal.durable):
        if isinstance(event, EvidenceRecorded):
            found.append(("evidence", event.evidence.kind))
        elif isinstance(event, CandidatePromoted):
            found.append(("up", event.stage, event.by, len(event.evidence)))
        elif isinstance(event, CandidateDemoted):
            found.append(("down", event.stage, event.by, event.reason))
    return found


def test_the_undisturbed_way_goes_up_by_a_person_and_down_by_a_bound() -> None:
    journal = MemoryJournal()
    engine = run(journal, venue())
    assert steps(journal) == [
        ("evidence", EvidenceKind.BACKTEST), ("evidence", EvidenceKind.PARITY), ("up", Stage.BACKTEST, "ada", 2),
        ("up", Stage.PAPER, "ada", 2),
        ("down", Stage.BACKTEST, "engine", "2 losing round trips in a row, the bound is 2")]
    assert engine.state.round_trip_count == 2


@pytest.mark.parametrize("lose_last", [False, True])
def test_each_step_is_taken_once_whatever_row_the_engine_dies_at(lose_last: bool) -> None:
    calm = MemoryJournal()
    last = run(calm, venue()).state.candidates["s"]
    for crash_after in range(1, len(calm.durable) + 1):
        broker = venue()
        journal = MemoryJournal(crash_after=crash_after, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            run(journal, broker)
        after = MemoryJournal(rows=journal.durable)
        engine = run(after, broker)
        told = f"died at row {crash_after}, transaction {'lost' if lose_last else 'kept'}"
        assert steps(after) == steps(calm), told
        known = engine.state.candidates["s"]
        assert (known.stage, known.digest, known.results) == (last.stage, last.digest, last.results), told
        assert engine.state.round_trip_count == 2, told
        assert encode_state(fold(after.durable)) == encode_state(engine.state), told
        assert engine.defects == 0
