"""The shell around the core: journal before effects, a journal that fails, pauses, halts from elsewhere, threads, the end."""

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.broker import PaperBroker
from engine.clocks import SystemClock, VirtualClock
from engine.effects import AskReport, SubmitOrders
from engine.errors import EngineUnreachable, InvariantBroken, JournalUnwritable, QuarterdeckError
from engine.gateway import Gateway
from engine.inputs import (
    ClosePosition,
    FillReported,
    Input,
    Limits,
    NotSent,
    Quote,
    Reconcile,
    ReportFailed,
    SubmitAnswered,
    TradingState,
    Unanswered,
    VenueReport,
    VenueReported,
)
from engine.orders import OrderStatus, Purpose
from engine.parts import EngineParts
from engine.ports import JournalRow
from engine.runner import Engine
from engine.service import Mode, OrderCard, Receipt, Refusal, StopHome
from engine.state import encode_state
from store.memory import MemoryJournal
from tests.unit.engine_desk import ACCOUNT, COIN, COIN_ID, OTHER, Desk, Shell, bought, fold, settings_of

PATIENCE_SECONDS = 60


class BlockingJournal(MemoryJournal):
    """A journal whose disk answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def wait_durable(self) -> None:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        await super().wait_durable()


class FullDisk(MemoryJournal):
    """A journal that cannot be written while `full`; a retry fails as long."""

    full = False

    async def wait_durable(self) -> None:
        if self.full:
            raise JournalUnwritable("no space left")
        await super().wait_durable()

    async def retry(self) -> None:
        await self.wait_durable()


def kinds(rows: Sequence[JournalRow]) -> list[str]:
    return [row.kind for row in rows]


# ---- journal first -------------------------------------------------------------------------------------------------------------


async def test_nothing_reaches_the_venue_before_it_is_on_disk() -> None:
    journal = BlockingJournal()
    desk = Shell(journal=journal)
    async with desk.running():
        await desk.quote(10_000)
        journal.gate.clear()
        sending = asyncio.create_task(desk.engine.send(bought()))
        await desk.until(lambda: journal.waiting)
        for _ in range(50):
            await asyncio.sleep(0)
        assert desk.state.orders, "it is decided"
        assert desk.submitted == []
        assert not sending.done(), "and not answered either"
        assert "OrderIntended" not in kinds(journal.durable)
        journal.gate.set()
        receipt = await sending
        assert receipt.accepted
        await desk.until(lambda: desk.submitted)
        assert "OrderIntended" in kinds(journal.durable)


async def test_an_order_leaves_before_anything_else_that_waits_has_its_turn() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        shell = desk.engine._shell
        await shell.release(shell.loop.take(shell.parts.clock.now_ns(), bought()))
        assert desk.submitted, "on its way as soon as it is on disk"
        await desk.until(lambda: desk.state.positions)


async def test_a_whole_trade_and_its_journal_folds_to_the_same_state() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        assert (await desk.engine.send(bought(target=Decimal(110)))).accepted
        await desk.until(lambda: desk.state.positions)
        await desk.until(lambda: desk.state.homes and next(iter(desk.state.homes.values())).home is StopHome.VENUE)
        await desk.quote(9_500)
        await desk.until(lambda: not desk.state.positions)
        await desk.until(lambda: not desk.state.orders)
    journal = desk.journal
    assert isinstance(journal, MemoryJournal)
    assert encode_state(fold(journal.durable)) == encode_state(desk.state)
    assert desk.engine.defects == 0
    assert [trip.realized_minor for trip in desk.state.round_trips] == [-5_000]


# ---- a journal that fails ------------------------------------------------------------------------------------------------------


async def test_while_the_journal_fails_entries_wait_and_exits_go() -> None:
    journal = FullDisk()
    desk = Shell(journal=journal)
    async with desk.running():
        await desk.quote(10_000)
        await desk.engine.send(bought())
        await desk.until(lambda: any(order.intent.purpose is Purpose.STOP and order.acked
                                     for order in desk.state.orders.values()))
        count = len(desk.submitted)
        journal.full = True
        entry = await desk.engine.send(bought("in", 11))
        assert "NOT RECORDED" in entry.text
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
        assert "the journal cannot be written" in desk.state.trading_cause
        await desk.until(lambda: desk.state.order(entry.order_ids[0]) is not None
                         and desk.state.closed.get(entry.order_ids[0]) is not None)
        assert desk.state.closed[entry.order_ids[0]].status is OrderStatus.DENIED
        assert len(desk.submitted) == count, "the entry never left"
        refused = await desk.engine.send(bought("again", 12))
        assert refused.refusal is not None
        assert refused.refusal.check == "trading state"

        out = await desk.engine.send(ClosePosition("out", "COIN"))
        assert "NOT RECORDED" in out.text
        await desk.until(lambda: not desk.state.positions)
        assert [intent.purpose for intent in desk.submitted[count:]] == [Purpose.EXIT]
        assert "PositionClosed" not in kinds(journal.durable)

        journal.full = False
        await desk.engine._shell.retry_journal()
        assert desk.engine._shell.unwritable == ""
        answered = await desk.engine.send(Reconcile("ask"))
        assert "NOT RECORDED" not in answered.text
        assert desk.state.trading_state is TradingState.HALTED, "a person resumes"
    assert encode_state(fold(journal.durable)) == encode_state(desk.state), "what happened meanwhile is on disk after all"


async def test_a_retry_that_fails_changes_nothing() -> None:
    journal = FullDisk()
    desk = Shell(journal=journal)
    async with desk.running():
        await desk.quote(10_000)
        journal.full = True
        await desk.engine.send(Reconcile("ask"))
        await desk.engine._shell.retry_journal()
        assert desk.engine._shell.unwritable == "no space left"
        journal.full = False
        await desk.engine._shell.retry_journal()
        assert desk.engine._shell.unwritable == ""


async def test_no_checkpoint_is_saved_of_what_is_not_on_disk() -> None:
    saved: list[int] = []
    journal = FullDisk()
    desk = Shell(journal=journal, checkpoint=lambda state: saved.append(state.seq))
    async with desk.running():
        await desk.quote(10_000)
        journal.full = True
        await desk.engine.send(Reconcile("ask"))
    assert saved == []


async def test_the_end_saves_a_checkpoint() -> None:
    saved: list[Any] = []
    desk = Shell(checkpoint=saved.append)
    async with desk.running():
        await desk.quote(10_000)
    assert [state.seq for state in saved] == [desk.state.seq]


# ---- pauses --------------------------------------------------------------------------------------------------------------------


PATIENT = settings_of("main", limits=Limits(stale_quote_seconds=3_600.0))


async def test_after_a_pause_the_venue_is_asked_before_anything_is_done() -> None:
    desk = Shell(settings=PATIENT)
    async with desk.running():
        await desk.quote(10_000)
        desk.clock.advance_to(desk.clock.now_ns() + 11_000_000_000)
        receipt = await desk.engine.send(bought())
        assert receipt.refusal is not None
        assert (receipt.refusal.check, receipt.refusal.value) == ("connection", "reconciling")
        await desk.until(lambda: desk.state.accounts[ACCOUNT].connectivity == "live")
        assert (await desk.engine.send(bought("now"))).accepted


async def test_a_short_wait_is_no_pause() -> None:
    desk = Shell(settings=PATIENT)
    async with desk.running():
        await desk.quote(10_000)
        desk.clock.advance_to(desk.clock.now_ns() + 10_000_000_000)
        assert (await desk.engine.send(bought())).accepted


async def test_prices_from_before_the_pause_are_thrown_away() -> None:
    desk = Shell(settings=PATIENT)
    async with desk.running():
        await desk.quote(10_000)
        desk.clock.advance_to(desk.clock.now_ns() + 11_000_000_000)
        assert desk.feed.sink is not None
        desk.feed.sink(Quote(COIN_ID, 9_000, 9_001, 0, 0, desk.clock.now_ns() - 9_000_000_000))
        await desk.until(lambda: desk.state.accounts[ACCOUNT].connectivity_detail == "" and not desk.engine._shell.venue)
        assert desk.engine.market.marks[COIN_ID].bid_ticks == 10_000


# ---- a halt from elsewhere -----------------------------------------------------------------------------------------------------


async def test_a_halt_of_another_process_is_obeyed_once() -> None:
    causes = [""]
    desk = Shell(halted_elsewhere=lambda: causes[0])
    async with desk.running():
        await desk.quote(10_000)
        causes[0] = "panic by another process"
        for _ in range(3):
            desk.engine._shell.obey_halt()
            await desk.beat()
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
        assert desk.state.trading_cause == "panic by another process"
        assert isinstance(desk.journal, MemoryJournal)
        assert kinds(desk.journal.durable).count("TradingStateChanged") == 1


async def test_a_halt_that_stands_at_the_start_is_obeyed_before_anything_else() -> None:
    desk = Shell(halted_elsewhere=lambda: "panic", startup=(bought("first"),))
    async with desk.running():
        assert desk.state.trading_state is TradingState.HALTED
        assert desk.submitted == []


# ---- the gateway ---------------------------------------------------------------------------------------------------------------


async def test_the_gateway_takes_nothing_but_approvals() -> None:
    desk = Desk()
    desk.do(bought())
    broker = PaperBroker(ACCOUNT, None, None, (COIN, OTHER))
    delivered: list[Input] = []
    gateway = Gateway({ACCOUNT: broker}, VirtualClock(), delivered.append)
    (effect,) = [one for one in desk.effects if isinstance(one, SubmitOrders)]
    fake: Any = type("RiskApproved", (), {"intent": effect.approved[0].intent})()
    with pytest.raises(InvariantBroken):
        await gateway.perform(SubmitOrders(ACCOUNT, (fake,), reduces=False))
    assert delivered == []


class Failing:
    """A venue that raises, or never answers."""

    account = ACCOUNT

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def _fail(self, *_: object) -> Any:
        if self.error is None:
            await asyncio.Event().wait()
        assert self.error is not None
        raise self.error

    submit = cancel = cancel_all = order = report = _fail


@pytest.mark.parametrize("error", [ValueError("what?"), OSError("line"), None])
async def test_whatever_a_venue_does_is_unanswered_and_nothing_worse(error: Exception | None) -> None:
    desk = Desk()
    desk.do(bought())
    desk.do(Reconcile("r"))
    delivered: list[Input] = []
    gateway = Gateway({ACCOUNT: Failing(error)}, VirtualClock(), delivered.append,  # type: ignore[dict-item]
                      call_seconds=0.01, report_seconds=0.01)
    for effect in desk.effects:
        await gateway.perform(effect)
    answers = [one.answer for one in delivered if isinstance(one, SubmitAnswered)]
    assert len(answers) == len(desk.sent)
    assert all(isinstance(answer, Unanswered) for answer in answers)
    assert [type(one) for one in delivered if not isinstance(one, SubmitAnswered)][-1] is ReportFailed


async def test_a_report_may_take_longer_than_an_order() -> None:
    class Slow(Failing):
        """Tells the report once an order would have been given up twice."""

        async def report(self, *_: object) -> VenueReport:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await self.order()
            return VenueReport(ACCOUNT, 0, (), (), (), (), 0)

    delivered: list[Input] = []
    gateway = Gateway({ACCOUNT: Slow(None)}, VirtualClock(), delivered.append, call_seconds=0.01)  # type: ignore[dict-item]
    await gateway.perform(AskReport(ACCOUNT, 0, ()))
    assert [type(one) for one in delivered] == [VenueReported]


async def test_what_is_withheld_is_answered_as_not_sent() -> None:
    desk = Desk()
    desk.do(bought())
    delivered: list[Input] = []
    (effect,) = [one for one in desk.effects if isinstance(one, SubmitOrders)]
    Gateway({}, VirtualClock(), delivered.append).withhold(effect, "why")
    assert delivered == [SubmitAnswered(one.intent.client_order_id, NotSent("why")) for one in effect.approved]


# ---- a defect ------------------------------------------------------------------------------------------------------------------


async def test_a_defect_in_one_decision_halts_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        await desk.engine.send(bought())
        await desk.until(lambda: desk.state.positions)
        broken: Any = FillReported(None)  # type: ignore[arg-type]
        desk.engine._shell.deliver(broken)
        await desk.until(lambda: desk.state.trading_state is TradingState.HALTED)
        assert desk.engine.defects == 1
        await desk.quote(9_500)
        await desk.until(lambda: not desk.state.positions)


# ---- snapshots and reads -------------------------------------------------------------------------------------------------------


async def test_versions_of_snapshots_grow() -> None:
    desk = Shell()
    async with desk.running():
        versions = [desk.engine.latest().version]
        for place in range(5):
            await desk.quote(10_000 + place)
            desk.engine._shell.publish(force=True)
            versions.append(desk.engine.latest().version)
        assert versions == sorted(set(versions))
        assert desk.engine.latest().quotes[0].bid == Decimal("100.04")


async def test_the_stream_of_snapshots_shows_the_newest_and_ends_with_the_engine() -> None:
    desk = Shell()
    seen: list[int] = []

    async def look() -> None:
        async for snapshot in desk.engine.snapshots():
            seen.append(snapshot.version)

    async with desk.running():
        looking = asyncio.create_task(look())
        for place in range(3):
            await desk.quote(10_000 + place)
            desk.engine._shell.publish(force=True)
            await desk.until(lambda: seen and seen[-1] >= desk.engine.latest().version)
    desk.engine._shell.publisher.close()
    await asyncio.wait_for(looking, PATIENCE_SECONDS)
    assert seen == sorted(set(seen))


async def test_what_if_sends_and_records_nothing() -> None:
    desk = Shell()
    async with desk.running():
        await desk.quote(10_000)
        before = desk.state
        card = await desk.engine.what_if(bought())
        assert isinstance(card, OrderCard)
        assert card.passed
        assert isinstance(await desk.engine.what_if(bought(symbol="NONE")), Refusal)
        assert desk.state is before
        assert desk.submitted == []


# ---- threads and the end -------------------------------------------------------------------------------------------------------


def threaded(**parts: Any) -> Engine:
    """An engine for a thread of its own, without a feed."""
    return Engine(EngineParts(
        clock=SystemClock(), journal=MemoryJournal(), engine_id="e", version="test", mode=Mode.PAPER,
        settings=settings_of("main"), brokers=(PaperBroker(ACCOUNT, None, None, (COIN, OTHER)),), **parts))


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.002)


def test_commands_come_from_any_thread_and_are_answered_there() -> None:
    engine = threaded()
    engine.start()
    try:
        receipts: list[Receipt] = []

        def ask(name: str) -> None:
            receipts.append(asyncio.run(engine.send(Reconcile(name))))

        threads = [threading.Thread(target=ask, args=(f"r{place}",)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert sorted(receipt.command_id for receipt in receipts) == ["r0", "r1", "r2", "r3"]
        assert all(receipt.accepted for receipt in receipts)
        assert engine._thread is not None
        assert engine._thread.is_alive()
    finally:
        engine.stop()
    assert engine.join(PATIENCE_SECONDS)
    eventually(lambda: engine._aio is not None and engine._aio.is_closed())
    with pytest.raises(EngineUnreachable):
        asyncio.run(engine.send(Reconcile("late")))


def test_an_engine_that_never_ran_is_unreachable() -> None:
    with pytest.raises(EngineUnreachable):
        asyncio.run(threaded().send(Reconcile("early")))


def test_a_start_that_fails_says_why() -> None:
    class Unreachable(PaperBroker):
        async def connect(self, sink: Any) -> Any:
            raise QuarterdeckError("the venue is gone")

    engine = Engine(EngineParts(clock=SystemClock(), journal=MemoryJournal(), engine_id="e", version="test", mode=Mode.PAPER,
                                settings=settings_of("main"), brokers=(Unreachable(ACCOUNT, None, None, (COIN,)),)))
    with pytest.raises(QuarterdeckError, match="the venue is gone"):
        engine.start()


async def test_a_command_that_still_waits_at_the_end_is_told_that_the_engine_is_gone() -> None:
    """It comes while the feed is being closed: too late to be decided."""
    desk = Shell()
    late: list[asyncio.Task[Receipt]] = []

    async def while_closing() -> None:
        late.append(asyncio.create_task(desk.engine.send(Reconcile("late"))))
        await asyncio.sleep(0)

    desk.feed.closing = while_closing
    async with desk.running():
        pass
    with pytest.raises(EngineUnreachable):
        await asyncio.wait_for(late[0], PATIENCE_SECONDS)


def test_stopping_amid_commands_answers_each_or_says_that_the_engine_is_gone() -> None:
    for place in range(15):
        engine = threaded()
        engine.start()

        async def ask(engine: Engine = engine, place: int = place) -> list[object]:
            asked = [asyncio.create_task(engine.send(Reconcile(f"r{number}"))) for number in range(20)]
            for _ in range(place):
                await asyncio.sleep(0)
            engine.stop()
            return list(await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), PATIENCE_SECONDS))

        answers = asyncio.run(ask())
        assert all(isinstance(answer, Receipt | EngineUnreachable) for answer in answers), answers
        assert engine.join(PATIENCE_SECONDS)
