"""What the engine stands on fails by silence: a disk that hangs, a feed that dies, a venue that never answers a question."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from engine import live_drive, shell
from engine.clocks import VirtualClock
from engine.effects import AskOrder
from engine.events import AlertRaised, decode
from engine.gateway import ASK_SPACING_NS, Gateway
from engine.inputs import Bar, ClosePosition, MarketItem, Reconcile, TradingState, Unanswered
from engine.orders import OrderStatus, Purpose
from engine.runner import Engine
from store.memory import MemoryJournal
from tests.unit.engine_desk import ACCOUNT, PATIENCE_SECONDS, START_NS, HandFeed, Shell, bought, fold


class HangingDisk(MemoryJournal):
    """A journal that neither writes nor fails while `hung`: whoever waits, waits."""

    def __init__(self) -> None:
        super().__init__()
        self.running = asyncio.Event()
        self.running.set()
        self.waiting = 0

    async def wait_durable(self) -> None:
        self.waiting += 1
        try:
            await self.running.wait()
        finally:
            self.waiting -= 1
        await super().wait_durable()

    async def retry(self) -> None:
        await self.wait_durable()


async def test_a_disk_that_hangs_halts_entries_and_keeps_no_exit_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "JOURNAL_SECONDS", 0.05)
    journal = HangingDisk()
    desk = Shell(journal=journal)
    async with desk.running():
        await desk.quote(10_000)
        await desk.engine.send(bought())
        await desk.until(lambda: any(order.intent.purpose is Purpose.STOP and order.acked
                                     for order in desk.state.orders.values()))
        count = len(desk.submitted)
        journal.running.clear()
        entry = await desk.engine.send(bought("in", 11))
        assert "NOT RECORDED" in entry.text
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
        assert desk.state.trading_cause == "the journal cannot be written: the disk has not answered for 0.05 s"
        assert "halted:everything" in desk.state.alerts, "loudly"
        await desk.until(lambda: entry.order_ids[0] in desk.state.closed)
        assert desk.state.closed[entry.order_ids[0]].status is OrderStatus.DENIED
        assert len(desk.submitted) == count, "the entry never left"

        out = await desk.engine.send(ClosePosition("out", "COIN"))
        assert "NOT RECORDED" in out.text
        await desk.until(lambda: not desk.state.positions)
        assert [intent.purpose for intent in desk.submitted[count:]] == [Purpose.EXIT]

        for _ in range(3):
            desk.engine._shell.retry_journal_aside()
            await desk.quote(10_000)
        assert journal.waiting == 1, "one try at a time, and everything else goes on"
        journal.running.set()
        await desk.until(lambda: desk.engine._shell.unwritable == "")
        assert "NOT RECORDED" not in (await desk.engine.send(Reconcile("ask"))).text
        assert desk.state.trading_state is TradingState.HALTED, "a person resumes"
    assert fold(journal.durable) == desk.state, "what happened meanwhile is on disk after all"


class DyingFeed(HandFeed):
    """A feed whose first runs end: by an exception, or by themselves."""

    def __init__(self, *ends: Exception | None) -> None:
        super().__init__()
        self._ends = list(ends)

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        if not self._ends:
            await super().run(sink)
            return
        end = self._ends.pop(0)
        if end is not None:
            raise end


async def test_a_feed_that_dies_is_an_alert_until_prices_are_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_drive, "BEAT_SECONDS", 0.001)
    desk = Shell(feed=DyingFeed(ConnectionError("gone"), None))
    async with desk.running():
        await desk.quote(10_000)
        journal = desk.journal
        assert isinstance(journal, MemoryJournal)
        await desk.until(lambda: desk.state.alerts.get("feed:market data") is not None
                         and desk.state.alerts["feed:market data"].text == "prices are back")
        told = [event.text for event in (decode(row.kind, row.payload) for row in journal.durable)
                if isinstance(event, AlertRaised) and event.code == "feed"]
    assert [text.partition(";")[0] for text in told] == [
        "no prices: ConnectionError", "no prices: it ended by itself", "prices are back"]


# ---- the past is asked for once the engine is served, or soon after that hangs -------------------------------------------------


class PastFeed(HandFeed):
    """A feed that notes whether its history was asked for."""

    asked = False

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        self.asked = True
        return super().history(instrument_id, limit)


@pytest.fixture
def past() -> PastFeed:
    return PastFeed()


@pytest.fixture
def starting(past: PastFeed) -> Iterator[Engine]:
    engine = Shell(feed=past, ready_when_warm=False).engine
    yield engine
    engine.stop()
    engine.join(PATIENCE_SECONDS)


def test_the_past_waits_for_what_is_done_first_and_prices_do_not(starting: Engine, past: PastFeed) -> None:
    def first() -> None:
        awaited(lambda: past.sink is not None)
        assert starting.ready.is_set()
        assert not past.asked

    starting.start(first=first)
    awaited(lambda: past.asked)


def test_the_past_does_not_wait_for_what_hangs(starting: Engine, past: PastFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "LONGEST_HOLD_SECONDS", 0.01)
    starting.start(first=lambda: awaited(lambda: past.asked))


def awaited(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.001)


class Deaf:
    """A venue that answers no question."""

    account = ACCOUNT

    async def order(self, client_order_id: str) -> Unanswered:
        return Unanswered("timeout")


async def test_questions_that_are_never_answered_are_forgotten() -> None:
    clock = VirtualClock(START_NS)
    gateway = Gateway({ACCOUNT: Deaf()}, clock, lambda _: None)  # type: ignore[dict-item]
    for number in range(50):
        await gateway.perform(AskOrder(ACCOUNT, f"o{number}"))
    assert len(gateway._asked_at_ns) == 50
    clock.advance_to(START_NS + ASK_SPACING_NS)
    await gateway.perform(AskOrder(ACCOUNT, "o7"))
    assert list(gateway._asked_at_ns) == ["o7"]
