"""An engine that dies at every journal row of two rebalancings in turn: the next one ends with the same positions, each order
of a run went out once, and nothing was bought or sold twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
from msgspec.structs import replace

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.clocks import VirtualClock
from engine.events import OrderIntended, decode
from engine.inputs import AutomationLevel, Bar, Command, MarketItem, Quote, Rebalance, Settings
from engine.instruments import Instrument
from engine.orders import Purpose
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.state import State, encode_state
from engine.target_events import RebalanceEnded
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed, MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, OTHER, START_NS, fold, settings_of
from tests.unit.test_engine_construction import HALVES, ROOMY

pytestmark = pytest.mark.slow

PRICES = (*[10_000] * 6, 11_000, *[12_500] * 20)


class Tape:
    """One price a second of both instruments; COIN rises after the first run."""

    def instruments(self) -> tuple[Instrument, ...]:
        return (COIN, OTHER)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        for place, price in enumerate(PRICES):
            for instrument_id, bid in ((OTHER.instrument_id, 10_000), (COIN_ID, price)):
                yield Quote(instrument_id, bid, bid + 2, 1_000, 1_000, START_NS + place * NS_PER_SECOND)


SCRIPT: tuple[tuple[int, Command], ...] = (
    (START_NS + NS_PER_SECOND + 1, Rebalance("r1")), (START_NS + 8 * NS_PER_SECOND + 1, Rebalance("r2")))


def settings() -> Settings:
    plain = settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=ROOMY)
    return replace(plain, portfolios=(replace(plain.portfolios[0], targets=HALVES),))


def run(journal: MemoryJournal, broker: PaperBroker) -> Engine:
    engine = Engine(EngineParts(VirtualClock(), journal, "e", "test", Mode.REPLAY, settings(), (broker,),
                                state=fold(journal.durable), tape=Tape(), script=SCRIPT))
    asyncio.run(engine.run())
    return engine


def venue() -> PaperBroker:
    return PaperBroker(ACCOUNT, None, PaperOptions(), (COIN, OTHER))


def held(state: State) -> dict[str, int]:
    return {position.instrument_id: position.lots for position in state.positions.values()}


def sent(journal: MemoryJournal) -> Counter[str]:
    """How often an order of each kind went out for each instrument."""
    events = [decode(row.kind, row.payload) for row in journal.durable]
    return Counter(f"{event.intent.purpose} {event.intent.instrument_id}" for event in events
                   if isinstance(event, OrderIntended) and event.intent.purpose in (Purpose.ENTRY, Purpose.EXIT))


def outcomes(journal: MemoryJournal) -> list[str]:
    events = [decode(row.kind, row.payload) for row in journal.durable]
    return [event.outcome for event in events if isinstance(event, RebalanceEnded)]


def test_the_undisturbed_runs_buy_first_and_then_move_from_one_to_the_other() -> None:
    journal = MemoryJournal()
    engine = run(journal, venue())
    assert outcomes(journal) == ["bought COIN, OTHER", "reduced COIN; bought OTHER"]
    assert sent(journal) == {f"entry {COIN_ID}": 1, "entry OTHER@paper": 2, f"exit {COIN_ID}": 1}
    assert all(engine.state.homes[key].home == "VENUE" for key in engine.state.positions)


@pytest.mark.parametrize("lose_last", [False, True])
def test_it_ends_the_same_whatever_row_the_engine_dies_at(lose_last: bool) -> None:
    calm = MemoryJournal()
    wanted = held(run(calm, venue()).state)
    for crash_after in range(1, len(calm.durable) + 1):
        broker = venue()
        journal = MemoryJournal(crash_after=crash_after, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            run(journal, broker)
        after = MemoryJournal(rows=journal.durable)
        engine = run(after, broker)
        told = f"died at row {crash_after}, transaction {'lost' if lose_last else 'kept'}"
        assert held(engine.state) == wanted, told
        assert sent(after) == sent(calm), told
        assert outcomes(after) == outcomes(calm), told
        assert encode_state(fold(after.durable)) == encode_state(engine.state)
        assert engine.defects == 0
