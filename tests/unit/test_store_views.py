"""The views say what the engine's state says, kept in step or made anew."""

import asyncio
import resource
import sqlite3
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import JournalDamaged, JournalUnwritable
from engine.events import (
    AlertAcknowledged,
    AlertRaised,
    CancelRequested,
    CashAdjusted,
    Event,
    InstrumentListed,
    OrderAcked,
    OrderClosed,
    OrderFilled,
    OrderIntended,
    ProtectionChanged,
    SessionStarted,
    TradingStateChanged,
    encode,
)
from engine.inputs import PortfolioSettings, Settings, TradingState, VenueCapabilities
from engine.instruments import AssetClass, Instrument
from engine.orders import ClosedAs, Fill, OrderIntent, OrderKind, Purpose, Side
from engine.ports import JournalRow
from engine.positions import ExitPlan
from engine.service import AlertLevel, StopHome
from engine.state import State
from store import view_rows
from store.journal import SqliteJournal
from store.views import StateViews, rebuild_views, views_current

BTC = Instrument(
    instrument_id="BTC/USD@paper", symbol="BTC/USD", venue="paper", asset_class=AssetClass.CRYPTO, base_currency="BTC",
    quote_currency="USD", tick_size=Decimal("0.01"), lot_size=Decimal("0.0001"), minor_exponent=2, max_ticks=10**9,
    max_lots=10**8)


def intent(number: int, side: Side, purpose: Purpose, lots: int) -> OrderIntent:
    return OrderIntent(client_order_id=f"o{number}", portfolio="main", account="paper", instrument_id=BTC.instrument_id,
                       side=side, order_lots=lots, kind=OrderKind.LIMIT, purpose=purpose, limit_ticks=5_000_000,
                       plan=ExitPlan(stop_ticks=4_900_000, target_ticks=5_200_000))


def fill(number: int, side: Side, lots: int, ticks: int) -> OrderFilled:
    return OrderFilled(Fill("paper", BTC.instrument_id, f"t{number}", f"o{number}", side, lots, ticks, 12, 1_000 + number),
                       "main")


def as_rows(events: Sequence[Event], first: int = 1) -> list[JournalRow]:
    rows = []
    for seq, event in enumerate(events, start=first):
        kind, version, payload = encode(event)
        rows.append(JournalRow(seq, seq * 1_000, kind, version, payload))
    return rows


START: list[Event] = [
    SessionStarted("e1", "0.1", Settings(portfolios=(PortfolioSettings("main", "paper", "USD", 2),)),
                   {"paper": VenueCapabilities()}),
    InstrumentListed(BTC),
    CashAdjusted("paper", 10_000_000, "deposit"),
]
ENTRY: list[Event] = [
    OrderIntended(intent(1, Side.BUY, Purpose.ENTRY, 500)),
    OrderAcked("o1", "v1"),
    fill(1, Side.BUY, 500, 4_999_000),
    ProtectionChanged(f"main|{BTC.instrument_id}", StopHome.VENUE, bare=False),
    AlertRaised("a1", AlertLevel.WARN, "stale", "BTC/USD", "the quote is 12 s old"),
    AlertAcknowledged("a1", "user"),
    OrderIntended(intent(2, Side.BUY, Purpose.ENTRY, 100)),
    CancelRequested("o2", "r1", "user asked"),
    OrderClosed("o2", ClosedAs.CANCELED, "user asked"),
]
EXIT: list[Event] = [
    OrderIntended(intent(3, Side.SELL, Purpose.EXIT, 500)),
    fill(3, Side.SELL, 500, 5_100_000),
    TradingStateChanged("", TradingState.HALTED, "panic", "user"),
]


def write(path: Path, batches: Sequence[Sequence[JournalRow]], state: State | None = None) -> SqliteJournal:
    journal = SqliteJournal(path, projector=StateViews(state or State()), inline=True)
    for batch in batches:
        journal.append(batch)
        asyncio.run(journal.wait_durable())
    return journal


def read(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: read(path, f"SELECT * FROM {table.name}") for table in view_rows.TABLES}


def test_the_tables_show_what_happened(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = write(path, [as_rows(START + ENTRY)])
    assert journal.view_failure == ""
    journal.close()
    assert read(path, "SELECT client_order_id, status, quantity, filled, limit_price FROM orders") == [
        ("o1", "FILLED", "0.0500", "0.0500", "50000.00"), ("o2", "CANCELED", "0.0100", "0.0000", "50000.00")]
    assert read(path, "SELECT trade_id, price, quantity, fee_minor, purpose FROM fills") == [
        ("t1", "49990.00", "0.0500", 12, "entry")]
    assert read(path, "SELECT portfolio, quantity, cost_minor, stop_price, target_price, stop_home FROM positions") == [
        ("main", "0.0500", 249_950, "49000.00", "52000.00", "VENUE")]
    assert read(path, "SELECT cash_minor, effective_state FROM portfolios") == [(10_000_000 - 249_950 - 12, "ACTIVE")]
    assert read(path, "SELECT alert_id, level, acknowledged FROM alerts") == [("a1", "WARN", 1)]


def test_a_closed_position_leaves_the_table_and_becomes_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write(path, [as_rows(START), as_rows(ENTRY, 4), as_rows(EXIT, 13)]).close()
    assert read(path, "SELECT * FROM positions") == []
    assert read(path, "SELECT number, quantity, realized_minor, fees_minor FROM round_trips") == [(1, "0.0500", 5_050, 24)]
    assert read(path, "SELECT trading_state, effective_state FROM portfolios") == [("ACTIVE", "HALTED")]


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_kept_in_step_and_made_anew_are_the_same(tmp_path: Path, size: int) -> None:
    path = tmp_path / "journal.db"
    rows = as_rows(START + ENTRY + EXIT)
    journal = write(path, [rows[at:at + size] for at in range(0, len(rows), size)])
    journal.close()
    kept = everything(path)
    assert views_current(path)
    state = rebuild_views(path)
    assert everything(path) == kept
    assert state.seq == len(rows)
    assert views_current(path)


def test_views_go_on_from_a_restored_state(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write(path, [as_rows(START + ENTRY)]).close()
    journal = write(path, [as_rows(EXIT, 13)], rebuild_views(path))
    assert journal.view_failure == ""
    journal.close()
    kept = everything(path)
    rebuild_views(path)
    assert everything(path) == kept


def test_views_that_stand_elsewhere_are_left_alone_and_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write(path, [as_rows(START + ENTRY)]).close()
    before = everything(path)
    journal = write(path, [as_rows(EXIT, 13)])
    assert "the views stand at row 12, not at row 0" in journal.view_failure
    assert journal.head().seq == 15
    journal.close()
    assert everything(path) == before
    assert not views_current(path)
    rebuild_views(path)
    assert views_current(path)


def test_a_failed_commit_does_not_count_a_row_twice(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def run() -> None:
        journal = SqliteJournal(path, projector=StateViews(State()))
        journal.append(as_rows(START))
        await journal.wait_durable()
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, hard))
        try:
            journal.append(as_rows(ENTRY, 4))
            with pytest.raises(JournalUnwritable):
                await journal.wait_durable()
            journal.append(as_rows(EXIT, 13))
            with pytest.raises(JournalUnwritable):
                await journal.retry()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await journal.retry()
        assert journal.view_failure == ""
        journal.close()

    asyncio.run(run())
    kept = everything(path)
    assert rebuild_views(path).seq == 15
    assert everything(path) == kept


def test_an_old_journal_without_views_asks_for_a_rebuild(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, inline=True)
    assert views_current(path)
    journal.append(as_rows(START))
    asyncio.run(journal.wait_durable())
    journal.close()
    assert not views_current(path)


def test_a_damaged_row_leaves_the_old_views(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    write(path, [as_rows(START + ENTRY)]).close()
    before = everything(path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP TRIGGER journal_no_update")
    connection.execute("UPDATE journal SET at_ns = 7 WHERE seq = 9")
    connection.close()
    with pytest.raises(JournalDamaged, match="row 9"):
        rebuild_views(path)
    assert everything(path) == before


def test_hundreds_of_closed_orders_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    events: list[Event] = list(START)
    for number in range(10, 710):
        events += [OrderIntended(intent(number, Side.BUY, Purpose.ENTRY, 1)), fill(number, Side.BUY, 1, 5_000_000)]
    write(path, [as_rows(events)]).close()
    assert read(path, "SELECT count(*) FROM orders WHERE status = 'FILLED'") == [(700,)]
    assert read(path, "SELECT count(*) FROM fills") == [(700,)]
