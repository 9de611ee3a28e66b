"""An engine that dies at every journal row while orders over time work: no slice goes out twice, never more than was asked is
bought or left, and what was bought stands behind a stop."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.clocks import VirtualClock
from engine.events import OrderFilled, OrderIntended, decode
from engine.inputs import Bar, Command, Limits, MarketItem, PlaceOrder, Quote
from engine.instruments import Instrument
from engine.orders import Purpose, Side
from engine.parent_events import ParentSliced
from engine.parents import OverTime
from engine.parts import EngineParts
from engine.runner import Engine
from engine.service import Mode
from engine.state import encode_state
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed, MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, START_NS, fold, settings_of

pytestmark = pytest.mark.slow

SECONDS = 330
BOUGHT, LEFT = 31, 17


class Tape:
    """A quiet market, one price a second."""

    def instruments(self) -> tuple[Instrument, ...]:
        return (COIN,)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        for place in range(SECONDS):
            yield Quote(COIN_ID, 10_000, 10_002, 7, 7, START_NS + place * NS_PER_SECOND)


def at(second: float) -> int:
    return START_NS + round(second * NS_PER_SECOND) + 1


SCRIPT: tuple[tuple[int, Command], ...] = (
    (at(2), PlaceOrder("in", "COIN", Side.BUY, quantity=Decimal(BOUGHT), stop=Decimal(95), over=OverTime(120))),
    (at(150), PlaceOrder("out", "COIN", Side.SELL, quantity=Decimal(LEFT), over=OverTime(120))))


def run(journal: MemoryJournal, broker: PaperBroker) -> Engine:
    settings = settings_of("main", limits=Limits(max_heat_fraction=0.5))
    engine = Engine(EngineParts(VirtualClock(), journal, "e", "test", Mode.REPLAY, settings, (broker,),
                                state=fold(journal.durable), tape=Tape(), script=SCRIPT))
    asyncio.run(engine.run())
    return engine


def venue(fill_share_bps: int) -> PaperBroker:
    return PaperBroker(ACCOUNT, None, PaperOptions(fill_share_bps=fill_share_bps, latency_ms=700), (COIN,))


def told(journal: MemoryJournal) -> tuple[int, int, int]:
    """Lots bought, lots left by exits, and the most times that one slice came."""
    purposes: dict[str, Purpose] = {}
    lots: Counter[Purpose] = Counter()
    slices: Counter[tuple[str, int]] = Counter()
    for event in (decode(row.kind, row.payload) for row in journal.durable):
        if isinstance(event, OrderIntended):
            purposes[event.intent.client_order_id] = event.intent.purpose
        elif isinstance(event, OrderFilled):
            lots[purposes[event.fill.client_order_id]] += event.fill.last_lots
        elif isinstance(event, ParentSliced):
            slices[event.parent_id, event.place] += 1
    return lots[Purpose.ENTRY], lots[Purpose.EXIT], max(slices.values())


@pytest.mark.parametrize(("lose_last", "fill_share_bps"), [(False, 10_000), (True, 10_000), (True, 3_000)])
def test_nothing_is_doubled_whatever_row_the_engine_dies_at(lose_last: bool, fill_share_bps: int) -> None:
    calm = MemoryJournal()
    run(calm, venue(fill_share_bps))
    assert told(calm) == (BOUGHT, LEFT, 1)
    for crash_after in range(1, len(calm.durable) + 1):
        broker = venue(fill_share_bps)
        journal = MemoryJournal(crash_after=crash_after, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            run(journal, broker)
        after = MemoryJournal(rows=journal.durable)
        engine = run(after, broker)
        place = f"died at row {crash_after}, transaction {'lost' if lose_last else 'kept'}"
        assert told(after) == (BOUGHT, LEFT, 1), place
        position = engine.state.position("main", COIN_ID)
        assert position is not None and position.lots == BOUGHT - LEFT, place
        stops = [order.leaves_lots for order in engine.state.orders.values() if order.intent.purpose is Purpose.STOP]
        assert len(stops) == 1 and stops[0] >= position.lots, f"{place}: one that can only reduce may be for more"
        assert [parent.ended_as for parent in engine.state.parents.values()] == ["done", "done"], place
        assert encode_state(fold(after.durable)) == encode_state(engine.state), place
        assert engine.defects == 0
