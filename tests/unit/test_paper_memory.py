"""The paper venue's file: private, durable, shared by processes, honest when it cannot be written."""

import sqlite3
from pathlib import Path

import pytest

from brokers.paper.broker import PaperBroker
from brokers.paper.records import PaperOptions
from engine.errors import StoreError
from engine.inputs import (
    Accepted,
    ConnectionChanged,
    FillReported,
    NotSent,
    OrderReport,
    Quote,
    Unanswered,
    VenueReport,
)
from engine.orders import ClosedAs, OrderKind, Side
from engine.ports import VenueMessage
from tests.conformance.desk import ACCOUNT, COIN, SECOND_NS, START_NS, intent


def broker_on(path: Path, **options: int) -> PaperBroker:
    return PaperBroker(ACCOUNT, path, PaperOptions(**options), [COIN])  # type: ignore[arg-type]


def show(broker: PaperBroker, second: int, bid: int, ask: int) -> None:
    at_ns = START_NS + second * SECOND_NS
    broker.see(Quote(COIN.instrument_id, bid, ask, 0, 0, at_ns), at_ns)


async def test_everything_is_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    broker = broker_on(path)
    show(broker, 1, 9_990, 10_010)
    await broker.submit([intent("m"), intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    show(broker, 2, 9_995, 10_015)
    before = await broker.report(0, ["m", "l"])
    await broker.close()
    again = broker_on(path)
    assert await again.report(0, ["m", "l"]) == before
    assert again.cursor_ns == START_NS + 2 * SECOND_NS
    assert again.mark(COIN.instrument_id) == Quote(COIN.instrument_id, 9_995, 10_015, 0, 0, again.cursor_ns)
    await again.close()
    await again.close()


def test_the_file_is_private(tmp_path: Path) -> None:
    broker = broker_on(tmp_path / "paper.db")
    show(broker, 1, 9_990, 10_010)
    broker.venue.submit([intent("m")])
    files = list(tmp_path.glob("paper.db*"))
    assert len(files) >= 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    broker.venue.close()


async def test_a_trailing_best_survives_with_any_other_change(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    first = broker_on(path)
    show(first, 1, 9_990, 10_010)
    await first.submit([intent("m")])
    await first.submit([intent("t", Side.SELL, kind=OrderKind.TRAILING_STOP, trail_ticks=100, reduce_only=True)])
    show(first, 2, 10_990, 11_010)
    await first.submit([intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    second = broker_on(path)  # the first one crashed
    show(second, 3, 10_890, 10_910)
    report = await second.report(0, [])
    assert isinstance(report, VenueReport)
    assert [(fill.client_order_id, fill.last_ticks) for fill in report.fills] == [("m", 10_010), ("t", 10_890)]


async def test_prices_alone_are_written_only_where_asked(tmp_path: Path) -> None:
    for seconds, committed in ((0, 0), (5, START_NS + 6 * SECOND_NS)):  # the first beat is written at once, then 1 + 5
        path = tmp_path / f"paper{seconds}.db"
        broker = broker_on(path, commit_marks_seconds=seconds)
        for second in range(1, 10):
            show(broker, second, 9_990 + second, 10_010)
        other = broker_on(path)
        assert other.cursor_ns == committed
        mark = other.mark(COIN.instrument_id)
        assert (mark.bid_ticks if mark else None) == (9_996 if seconds else None)


async def test_another_process_is_noticed_and_announced(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    messages: list[VenueMessage] = []
    engine = broker_on(path)
    await engine.connect(messages.append)
    show(engine, 1, 9_990, 10_010)
    await engine.submit([intent("m"), intent("l", kind=OrderKind.LIMIT, limit_ticks=9_000)])
    messages.clear()
    show(engine, 2, 9_890, 9_910)  # newer than what the other one knows

    panic = broker_on(path)
    assert await panic.cancel_all() == 1
    assert isinstance((await panic.submit([intent("flat", Side.SELL, reduce_only=True)]))[0], Accepted)
    assert panic.snapshot_totals().positions == {}
    await panic.close()

    engine.advance(START_NS + 3 * SECOND_NS)
    assert [message.fill.client_order_id for message in messages if isinstance(message, FillReported)] == ["flat"]
    assert [(message.client_order_id, message.closed_as) for message in messages
            if isinstance(message, OrderReport)] == [("l", ClosedAs.CANCELED)]
    assert engine.snapshot_totals().positions == {}
    mark = engine.mark(COIN.instrument_id)
    assert mark is not None
    assert mark.bid_ticks == 9_890
    await engine.close()


async def test_a_stop_that_another_process_cancelled_does_not_fire(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    engine = broker_on(path)
    show(engine, 1, 9_990, 10_010)
    await engine.submit([intent("m")])
    await engine.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500)])
    other = broker_on(path)
    await other.cancel("s", "")
    show(engine, 2, 9_400, 9_420)
    assert engine.snapshot_totals().positions == {COIN.instrument_id: 10}
    report = await other.report(0, [])
    assert isinstance(report, VenueReport)
    assert len(report.fills) == 1


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    messages: list[VenueMessage] = []
    broker = broker_on(path)
    await broker.connect(messages.append)
    show(broker, 1, 9_990, 10_010)
    await broker.submit([intent("m")])
    await broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500)])
    db = broker.venue._memory._db  # type: ignore[attr-defined]
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count={pages}")
    filler = [intent(f"l{n}", kind=OrderKind.LIMIT, limit_ticks=8_000, reason="x" * 4_000) for n in range(40)]
    answers = await broker.submit(filler)
    assert {type(answer) for answer in answers} == {NotSent}
    assert broker.snapshot_totals().open_orders == 1
    db.execute("PRAGMA max_page_count=1000000")
    show(broker, 2, 9_400, 9_420)
    assert broker.snapshot_totals().positions == {}
    await broker.close()


async def test_an_unwritable_memory_is_a_venue_that_is_down(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    messages: list[VenueMessage] = []
    broker = broker_on(path)
    await broker.connect(messages.append)
    show(broker, 1, 9_990, 10_010)
    await broker.submit([intent("m")])
    await broker.submit([intent("s", Side.SELL, kind=OrderKind.STOP, trigger_ticks=9_500)])
    messages.clear()
    broker.venue._memory._db.execute("PRAGMA query_only=1")  # type: ignore[attr-defined]
    show(broker, 2, 9_400, 9_420)
    show(broker, 3, 9_410, 9_430)
    assert [(type(message), message.up) for message in messages
            if isinstance(message, ConnectionChanged)] == [(ConnectionChanged, False)]
    assert isinstance(await broker.cancel_all(), Unanswered)
    assert broker.snapshot_totals().positions == {COIN.instrument_id: 10}
    broker.venue._memory._db.execute("PRAGMA query_only=0")  # type: ignore[attr-defined]
    show(broker, 4, 9_390, 9_410)
    assert [type(message) for message in messages] == [ConnectionChanged, ConnectionChanged, FillReported]
    assert broker.snapshot_totals().positions == {}
    await broker.close()


def test_a_file_of_another_currency_or_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    PaperBroker(ACCOUNT, path, PaperOptions(), [COIN])
    with pytest.raises(StoreError, match="kept in USD, not EUR"):
        PaperBroker(ACCOUNT, path, PaperOptions(currency="EUR"))
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="newer version"):
        PaperBroker(ACCOUNT, path, PaperOptions(), [COIN])


def test_what_is_not_a_database_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        PaperBroker(ACCOUNT, path)
    with pytest.raises(StoreError, match="cannot be opened"):
        PaperBroker(ACCOUNT, tmp_path)


async def test_two_accounts_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "paper.db"
    one = broker_on(path)
    two = PaperBroker("other", path, PaperOptions(initial_cash_minor=5), [COIN])
    show(one, 1, 9_990, 10_010)
    await one.submit([intent("m")])
    assert two.snapshot_totals() == (5, 5, {}, 0)
