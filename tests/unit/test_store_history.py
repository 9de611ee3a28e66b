"""Tracks out of the store: kept by the running engine, or folded from a journal that has no views; the same either way."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.analytics.records import Track
from engine.analytics.report import performance
from engine.errors import UsageError
from engine.inputs import ClosePosition, EngineStopping, SetTradingState, TradingState
from engine.market import NS_PER_DAY
from engine.performance_words import PerformanceQuery
from engine.ports import JournalRow
from engine.state import State
from engine.units import NS_PER_SECOND
from store.database import open_writer
from store.history import StoredHistory
from store.journal import SqliteJournal
from store.views import StateViews, views_current
from tests.unit.engine_desk import Desk, Shell, bought, rows_of, settings_of, the_stop


def write(path: Path, rows: Sequence[JournalRow], *, views: bool) -> Path:
    journal = SqliteJournal(path, projector=StateViews(State()) if views else None, inline=True)
    for row in rows:
        journal.append([row])
        asyncio.run(journal.wait_durable())
    journal.close()
    return path


def traded_day(desk: Desk) -> None:
    """A round trip that wins 20.00, then a position of ten that gains 10.00, with a deposit in between."""
    desk.beat()
    entry = desk.enter("a", 10, "95", at_ticks=10_010)
    assert desk.order(entry).intent.decision_ticks == 10_000
    desk.quote(10_300)
    desk.beat(400)
    desk.fill(the_stop(desk), 10, 10_210)
    desk.reported(cash_minor=desk.state.accounts["acct"].cash_minor + 70_000)
    desk.quote(10_300)
    desk.enter("b", 10, "95", at_ticks=10_300)
    desk.later(60)
    desk.quote(10_400)
    desk.take(EngineStopping())


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    traded_day(desk)
    return desk


@pytest.mark.parametrize("views", [True, False])
def test_a_track_tells_what_was_recorded(tmp_path: Path, desk: Desk, views: bool) -> None:
    path = write(tmp_path / "journal.db", rows_of(desk), views=views)
    assert views_current(path) == views
    track = StoredHistory(path).track(PerformanceQuery("main"))
    assert (track.name, track.currency, track.minor_exponent) == ("main", "USD", 2)
    (trip,) = track.trips
    assert (trip.symbol, trip.quantity, trip.net_minor) == ("COIN", 10.0, 2_000)
    assert (trip.entry_price, trip.exit_price) == (100.10, 102.10)
    assert (trip.strategy, trip.decision) == ("manual", "manual")
    assert trip.favourable_fraction == pytest.approx(10_300 / 10_010 - 1)
    assert [fill.slippage_minor for fill in track.fills] == [100, -7_100, 0]
    assert [fill.sign for fill in track.fills] == [1, -1, 1]
    assert list(track.curve.equity_minor) == [10_000_000, 10_072_000, 10_073_000], "valued where the money came"
    assert list(track.curve.flow_minor) == [0, 70_000, 0]
    assert list(track.curve.gross_minor) == [0, 0, 104_000]


def test_a_report_of_the_store_balances(tmp_path: Path, desk: Desk) -> None:
    path = write(tmp_path / "journal.db", rows_of(desk), views=True)
    view = performance(StoredHistory(path).track(PerformanceQuery()), lambda at_ns: at_ns // NS_PER_DAY)
    told = {figure.key: figure.value for figure in view.figures}
    assert (told["profit"], told["paid_in"], told["equity"]) == (30.0, 700.0, 100_730.0)
    assert told["return"] == pytest.approx(100 * (1.0002 * 10_073_000 / 10_072_000 - 1), rel=1e-6)


def test_a_folded_history_goes_on_where_it_stood(tmp_path: Path, desk: Desk) -> None:
    rows = rows_of(desk)
    path = write(tmp_path / "journal.db", rows[:-3], views=False)
    history = StoredHistory(path)
    first = history.track(PerformanceQuery())
    journal = SqliteJournal(path, inline=True)
    journal.append(rows[-3:])
    asyncio.run(journal.wait_durable())
    journal.close()
    assert history.track(PerformanceQuery()) == StoredHistory(path).track(PerformanceQuery())
    assert len(history.track(PerformanceQuery()).curve.at_ns) > len(first.curve.at_ns)


def test_views_of_an_older_program_are_not_believed(tmp_path: Path, desk: Desk) -> None:
    path = write(tmp_path / "journal.db", rows_of(desk), views=True)
    good = StoredHistory(path).track(PerformanceQuery())
    connection = open_writer(path)
    connection.execute("UPDATE views SET version = 1")
    connection.execute("DROP TABLE equity")
    connection.close()
    assert StoredHistory(path).track(PerformanceQuery()) == good


def test_a_span_begins_with_what_was_known_before_it(tmp_path: Path, desk: Desk) -> None:
    path = write(tmp_path / "journal.db", rows_of(desk), views=True)
    whole = StoredHistory(path).track(PerformanceQuery())
    from_ns = whole.curve.at_ns[1] + NS_PER_SECOND
    late = StoredHistory(path).track(PerformanceQuery("main", from_ns))
    assert list(late.curve.at_ns) == [from_ns + 1, whole.curve.at_ns[2]]
    assert list(late.curve.equity_minor) == list(whole.curve.equity_minor[1:])
    assert list(late.curve.flow_minor) == [0, 0], "it came before the span"
    early = StoredHistory(path).track(PerformanceQuery("main", 0, whole.curve.at_ns[1]))
    assert list(early.curve.equity_minor) == [10_000_000]
    assert early.trips == ()


def test_several_portfolios_are_added_up_and_one_that_joins_is_no_profit(tmp_path: Path) -> None:
    desk = Desk(settings=settings_of("main", "side"))
    desk.beat()
    desk.enter("a", 10, "95")
    desk.quote(10_500)
    desk.beat(400)
    path = write(tmp_path / "journal.db", rows_of(desk), views=True)
    history = StoredHistory(path)
    both, main = history.track(PerformanceQuery()), history.track(PerformanceQuery("main"))
    assert both.name == "all portfolios"
    assert list(both.curve.equity_minor) == [20_000_000, 20_005_000]
    assert list(main.curve.equity_minor) == [10_000_000, 10_005_000]
    assert list(both.curve.flow_minor) == [0, 0]


def test_what_cannot_be_reported_says_so(tmp_path: Path, desk: Desk) -> None:
    path = write(tmp_path / "journal.db", rows_of(desk), views=True)
    with pytest.raises(UsageError, match="no such portfolio; known are main"):
        StoredHistory(path).track(PerformanceQuery("other"))
    empty = write(tmp_path / "empty.db", [], views=True)
    with pytest.raises(UsageError, match="nothing is recorded"):
        StoredHistory(empty).track(PerformanceQuery())


def test_a_track_is_a_plain_record(tmp_path: Path, desk: Desk) -> None:
    track = StoredHistory(write(tmp_path / "journal.db", rows_of(desk), views=True)).track(PerformanceQuery())
    assert isinstance(track, Track)
    assert all(isinstance(trip.quantity, float) for trip in track.trips)


async def test_a_running_engine_reports_on_itself(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = SqliteJournal(path, projector=StateViews(State()))
    shell = Shell(journal=journal, history=StoredHistory(path))
    async with shell.running():
        await shell.quote(10_000)
        await shell.beat()
        assert (await shell.engine.send(bought(quantity=10, stop="90"))).accepted
        await shell.until(lambda: shell.state.positions)
        await shell.quote(10_500)
        assert (await shell.engine.send(ClosePosition("x", "COIN", "main"))).accepted
        await shell.until(lambda: not shell.state.positions)
        await shell.beat()
        await shell.until(lambda: shell.state.marked_trips == 1)
        await shell.engine.send(SetTradingState("y", TradingState.HALTED, cause="its row comes after the mark"))
        view = await shell.engine.performance(PerformanceQuery("main"))
        with pytest.raises(UsageError, match="no such portfolio"):
            await shell.engine.performance(PerformanceQuery("other"))
    journal.close()
    (trip,) = view.trips
    assert (trip.symbol, trip.decision) == ("COIN", "manual")
    profit = view.figure("profit")
    assert profit is not None
    assert profit.value == pytest.approx(float(trip.net))
    assert float(trip.net) == pytest.approx(50.0)


async def test_an_engine_without_a_history_says_so() -> None:
    shell = Shell()
    async with shell.running():
        with pytest.raises(UsageError, match="keeps no history"):
            await shell.engine.performance(PerformanceQuery("main"))
