"""Tables that mirror the journal, for questions in SQL while no engine runs; made anew from the journal at will.

The projector folds the rows with the engine's own `apply` and writes what changed, in the transaction of the rows
themselves: so the tables say what the engine's state said, and never another thing than the journal beside them.
"""

import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from engine.apply import apply
from engine.errors import JournalDamaged
from engine.events import VERSIONS, DayRolled, EquityMarked, Recorded, decode
from engine.ports import JournalRow
from engine.state import State
from store import research_rows, view_rows
from store.database import open_reader, open_writer, unreadable
from store.migrations import migrate
from store.read import journal_rows
from store.upcasters import Upcasters

VIEWS_VERSION = 3
CHUNK_ROWS = 100  # fewer than the closed orders and fills that a state keeps, so that none is missed between two looks


class StateViews:
    """A projector for `SqliteJournal`: keeps the views in step, from the state at the journal's newest row on."""

    def __init__(self, state: State) -> None:
        """`state` is the one the journal's rows add up to; the empty one for an empty journal."""
        self._state = state
        self._before = state

    def __call__(self, connection: sqlite3.Connection, rows: Sequence[JournalRow]) -> None:
        """Fold `rows` into the tables; raises where the tables do not stand at the row before them."""
        base = state = self._base(connection)
        for first in range(0, len(rows), CHUNK_ROWS):
            state = _project(connection, state, rows[first:first + CHUNK_ROWS])
        connection.execute("UPDATE views SET seq = ?", (state.seq,))
        self._before, self._state = base, state

    def _base(self, connection: sqlite3.Connection) -> State:
        """The state at which the tables stand: the newest, or the one before it where its transaction was undone."""
        found = _standing(connection)
        for state in (self._state, self._before):
            if found is None and state.seq == 0:
                _create(connection)
                return state
            if found == (VIEWS_VERSION, state.seq):
                return state
        raise JournalDamaged(f"the views stand at row {found[1] if found else 0}, not at row {self._state.seq}")


def views_current(path: Path) -> bool:
    """Whether the views of a journal are of this version and stand at its newest row; false where they must be rebuilt."""
    connection = open_reader(path)
    try:
        return stands(connection)
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()


def rebuild_views(path: Path, upcasters: Upcasters | None = None) -> State:
    """Make every view anew from row 1, in one transaction, and give the state that the rows add up to.

    The caller holds the home's lock. Raises `JournalDamaged` where a row is not what was written; the old views stay.
    """
    connection = open_writer(path)
    try:
        migrate(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        _create(connection)
        state = State()
        rows = (upcasters or Upcasters(VERSIONS)).rows(journal_rows(path))
        for chunk in _chunks(rows):
            state = _project(connection, state, chunk)
        connection.execute("UPDATE views SET seq = ?", (state.seq,))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise unreadable(path, error) from error
    finally:
        connection.close()  # an open transaction is undone with it
    return state


class FoldedViews:
    """The views of a journal that has none of its own (a replay's), in memory; `catch_up` folds what has come since."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self.connection.close)
        self._state = State()
        _create(self.connection)

    def catch_up(self, path: Path) -> None:
        """Fold the rows that are new; raises `JournalDamaged` at one that is not what was written."""
        for chunk in _chunks(Upcasters(VERSIONS).rows(journal_rows(path, self._state.seq + 1))):
            self._state = _project(self.connection, self._state, chunk)


def stands(connection: sqlite3.Connection) -> bool:
    """Whether the views on a connection are of this version and stand at its journal's newest row."""
    newest = connection.execute("SELECT coalesce(max(seq), 0) FROM journal").fetchone()[0]
    found = _standing(connection)
    return found == (VIEWS_VERSION, newest) or (found is None and newest == 0)


def _standing(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Version and newest row of the views, None where there are none."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'views'").fetchone() is None:
        return None
    version, seq = connection.execute("SELECT version, seq FROM views").fetchone()
    return int(version), int(seq)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE IF EXISTS views")
    connection.execute("CREATE TABLE views(version INTEGER NOT NULL, seq INTEGER NOT NULL) STRICT")
    connection.execute("INSERT INTO views VALUES(?, 0)", (VIEWS_VERSION,))
    for table in (*view_rows.TABLES, *research_rows.TABLES):
        connection.execute(f"DROP TABLE IF EXISTS {table.name}")
        connection.execute(table.create_statement)


def _chunks(rows: Iterator[JournalRow]) -> Iterator[list[JournalRow]]:
    chunk: list[JournalRow] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _project(connection: sqlite3.Connection, before: State, rows: Sequence[JournalRow]) -> State:
    """Fold a chunk of rows and write the entries that it changed."""
    state = before
    for row in rows:
        last = state
        event = decode(row.kind, row.payload)
        state = apply(last, Recorded(row.seq, row.at_ns, event))
        research_rows.follow(connection, last, state, event)
        if isinstance(event, EquityMarked | DayRolled):
            view_rows.EQUITY.put(connection, view_rows.equity_rows(state, event))
        if state.recent_fills is not last.recent_fills:
            view_rows.FILLS.put(connection, [view_rows.fill_row(state, state.recent_fills[-1])])
        if trips := state.round_trip_count - last.round_trip_count:
            view_rows.ROUND_TRIPS.put(connection, [
                view_rows.round_trip_row(state, state.round_trip_count - trips + offset, trip)
                for offset, trip in enumerate(state.round_trips[-trips:], start=1)])
    _put_orders(connection, before, state)
    _put_positions(connection, before, state)
    if _money_changed(before, state):
        view_rows.PORTFOLIOS.put(connection, [view_rows.portfolio_row(state, name) for name in state.portfolios])
    view_rows.ALERTS.put(connection, [view_rows.alert_row(alert) for _, alert in _changed(before.alerts, state.alerts)])
    view_rows.PROPOSALS.put(connection, [view_rows.proposal_row(proposal)
                                         for _, proposal in _changed(before.proposals, state.proposals)])
    return state


def _money_changed(before: State, state: State) -> bool:
    return (state.portfolios is not before.portfolios or state.accounts is not before.accounts
            or state.trading_state is not before.trading_state)


def _put_orders(connection: sqlite3.Connection, before: State, state: State) -> None:
    for old, new in ((before.orders, state.orders), (before.closed, state.closed)):
        view_rows.ORDERS.put(connection, [view_rows.order_row(state, order) for _, order in _changed(old, new)])


def _put_positions(connection: sqlite3.Connection, before: State, state: State) -> None:
    keys = dict.fromkeys(key for key, _ in _changed(before.positions, state.positions))
    keys |= dict.fromkeys(key for key, _ in _changed(before.homes, state.homes) if key in state.positions)
    view_rows.POSITIONS.put(connection, [view_rows.position_row(state, key) for key in keys])
    if state.positions is not before.positions:
        view_rows.POSITIONS.remove(connection, [key for key in before.positions if key not in state.positions])


def _changed[V](before: Mapping[str, V], after: Mapping[str, V]) -> Iterator[tuple[str, V]]:
    """Entries that are new or another object than before; nothing is compared where the mapping itself is the same."""
    if after is before:
        return
    for key, value in after.items():
        if before.get(key) is not value:
            yield key, value
