"""An engine that dies at every journal row in turn: each alert rule has fired exactly as often as in a run that lives, with
everything that its actions did, and nothing twice."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.alert_events import AlertRuleFired
from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule
from engine.clocks import VirtualClock
from engine.events import OrderIntended, decode
from engine.inputs import AutomationLevel, Bar, Command, Limits, MarketItem, PlaceOrder, Quote, SetAlertRule
from engine.instruments import Instrument
from engine.orders import Purpose, Side
from engine.parts import EngineParts
from engine.ports import JournalRow
from engine.runner import Engine
from engine.service import Mode
from engine.state import encode_state
from engine.units import NS_PER_SECOND
from store.memory import JournalCrashed, MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, OTHER, START_NS, fold, settings_of

pytestmark = pytest.mark.slow

PRICES = (10_000, 10_020, 10_110, 10_090, 10_210, 10_050, 9_990, 10_130, 10_220, 9_960, 9_900, 9_890, 10_120, 10_300, 10_180)
RULES = (
    AlertRule("level", parse_condition("COIN price > 101 and spread < 50bps")),
    AlertRule("cross", parse_condition("COIN price crosses 100.50"), repeat=True, cooldown_seconds=0),
    AlertRule("again", parse_condition("COIN price > 101"), repeat=True, cooldown_seconds=2, hysteresis_bps=30),
    AlertRule("order", parse_condition("COIN price > 102"), actions=parse_actions("buy 3 OTHER stop 90; notify")),
    AlertRule("tight", parse_condition("COIN price > 102.50 and pnl > 5"), actions=parse_actions("tighten COIN to entry")),
    AlertRule("close", parse_condition("COIN price < 99.50"), actions=parse_actions("close OTHER")),
    AlertRule("halt", parse_condition("COIN move over 3s < -1% or COIN price > 102.90"), actions=parse_actions("reduce")),
)


class Tape:
    """One price a second of both instruments, and a bar every second."""

    def instruments(self) -> tuple[Instrument, ...]:
        return (COIN, OTHER)

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return ()

    def items(self) -> Iterator[MarketItem]:
        for place, price in enumerate(PRICES):
            at_ns = START_NS + place * NS_PER_SECOND
            for instrument_id, bid in ((OTHER.instrument_id, 10_000), (COIN_ID, price)):
                yield Quote(instrument_id, bid, bid + 2, 1_000, 1_000, at_ns)
            yield Bar(COIN_ID, at_ns - NS_PER_SECOND, at_ns, price, price + 5, price - 5, price, 100)


SCRIPT: tuple[tuple[int, Command], ...] = (
    (START_NS + 1, PlaceOrder("entry", "COIN", Side.BUY, quantity=Decimal(10), stop=Decimal(95))),
    *((START_NS + 10 + place, SetAlertRule(f"set-{rule.rule_id}", rule)) for place, rule in enumerate(RULES)))


def _run(journal: MemoryJournal, broker: PaperBroker) -> Engine:
    settings = settings_of("main", automation=AutomationLevel.AUTO_EXECUTE, limits=Limits(max_heat_fraction=0.5))
    engine = Engine(EngineParts(VirtualClock(), journal, "e", "test", Mode.REPLAY, settings, (broker,),
                                state=fold(journal.durable), tape=Tape(), script=SCRIPT))
    asyncio.run(engine.run())
    return engine


def _venue() -> PaperBroker:
    return PaperBroker(ACCOUNT, None, PaperOptions(), (COIN, OTHER))


def _story(rows: Sequence[JournalRow]) -> tuple[Counter[str], Counter[str]]:
    """How often each rule fired, and how many entries each rule's orders made."""
    events = [decode(row.kind, row.payload) for row in rows]
    fired = Counter(event.rule_id for event in events if isinstance(event, AlertRuleFired))
    entries = Counter(event.intent.strategy for event in events
                      if isinstance(event, OrderIntended) and event.intent.purpose is Purpose.ENTRY)
    return fired, entries


def _calm() -> MemoryJournal:
    journal = MemoryJournal()
    _run(journal, _venue())
    return journal


def test_the_undisturbed_run_fires_every_rule() -> None:
    fired, entries = _story(_calm().durable)
    assert set(fired) == {rule.rule_id for rule in RULES}
    assert fired["level"] == fired["order"] == 1
    assert fired["cross"] >= 4
    assert fired["again"] >= 2
    assert entries["alert:order"] == 1


@pytest.mark.parametrize("lose_last", [False, True])
def test_each_fires_exactly_once_whatever_row_the_engine_dies_at(lose_last: bool) -> None:
    calm = _calm()
    wanted = _story(calm.durable)
    for crash_after in range(1, len(calm.durable) + 1):
        venue = _venue()
        journal = MemoryJournal(crash_after=crash_after, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            _run(journal, venue)
        after = MemoryJournal(rows=journal.durable)
        engine = _run(after, venue)
        assert _story(after.durable) == wanted, f"died at row {crash_after}, transaction {'lost' if lose_last else 'kept'}"
        assert encode_state(fold(after.durable)) == encode_state(engine.state)
        assert engine.defects == 0


def test_a_firing_and_its_orders_are_one_transaction() -> None:
    """Where the row of a firing is durable, the rows of what it did are too."""
    calm = _calm()
    rows = calm.durable
    at = next(place for place, row in enumerate(rows) if row.kind == "AlertRuleFired" and b'"order"' in row.payload)
    for lose_last in (False, True):
        journal = MemoryJournal(crash_after=rows[at].seq, lose_last=lose_last)
        with pytest.raises(JournalCrashed):
            _run(journal, _venue())
        fired, entries = _story(journal.durable)
        assert fired["order"] == entries["alert:order"] == (0 if lose_last else 1)
