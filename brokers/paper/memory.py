"""Where the venue remembers: in the process, or in an SQLite file that survives crashes and other writers."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from brokers.paper.records import (
    Changes,
    Holding,
    Mark,
    PaperOptions,
    VenueOrder,
    VenueState,
)
from engine.errors import StoreError
from engine.orders import Fill
from engine.units import Nanoseconds

SCHEMA_VERSION = 1
BUSY_SECONDS = 10.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts(account TEXT PRIMARY KEY, currency TEXT NOT NULL, generation INTEGER NOT NULL,
    cash_minor INTEGER NOT NULL, cursor_ns INTEGER NOT NULL, cursor_items INTEGER NOT NULL, next_seq INTEGER NOT NULL,
    fill_count INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS orders(account TEXT NOT NULL, client_order_id TEXT NOT NULL, seq INTEGER NOT NULL,
    open INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(account, client_order_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_open ON orders(account, seq) WHERE open = 1;
CREATE TABLE IF NOT EXISTS fills(account TEXT NOT NULL, number INTEGER NOT NULL, at_ns INTEGER NOT NULL,
    body BLOB NOT NULL, PRIMARY KEY(account, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS fills_at ON fills(account, at_ns);
CREATE TABLE IF NOT EXISTS holdings(account TEXT NOT NULL, instrument_id TEXT NOT NULL, lots INTEGER NOT NULL,
    entry_value TEXT NOT NULL, PRIMARY KEY(account, instrument_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks(account TEXT NOT NULL, instrument_id TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY(account, instrument_id)) WITHOUT ROWID;
"""


class Memory(Protocol):
    """What the venue needs of its memory. An operation is `begin`, changes, then `commit` or `rollback`."""

    def load(self) -> VenueState: ...

    def begin(self) -> bool:
        """Take the writer's place; True where another process has written since we last looked."""
        ...

    def commit(self, changes: Changes | None) -> None: ...

    def rollback(self) -> None: ...

    def find_order(self, client_order_id: str) -> VenueOrder | None: ...

    def find_venue_order(self, venue_order_id: str) -> VenueOrder | None: ...

    def fills_since(self, since_ns: Nanoseconds) -> tuple[Fill, ...]: ...

    def fills_after(self, number: int) -> tuple[Fill, ...]:
        """The fills after the first `number` of the account, oldest first."""
        ...

    def changed_elsewhere(self) -> bool:
        """Whether another process may have written; a cheap hint that `begin` confirms."""
        ...

    def close(self) -> None: ...


class TransientMemory:
    """Memory that ends with the process; what it holds is still there when another venue object is made on it."""

    def __init__(self, options: PaperOptions) -> None:
        self._state = VenueState(cash_minor=options.initial_cash_minor)
        self._orders: dict[str, VenueOrder] = {}
        self._fills: list[Fill] = []

    def load(self) -> VenueState:
        return self._state

    def begin(self) -> bool:
        return False

    def commit(self, changes: Changes | None) -> None:
        if changes is not None:
            for order in changes.orders:
                self._orders[order.intent.client_order_id] = order
            self._fills.extend(changes.fills)

    def rollback(self) -> None:
        """Nothing to undo: in the process a change cannot fail half way."""

    def find_order(self, client_order_id: str) -> VenueOrder | None:
        return self._orders.get(client_order_id)

    def find_venue_order(self, venue_order_id: str) -> VenueOrder | None:
        return next((order for order in self._orders.values() if order.venue_order_id == venue_order_id), None)

    def fills_since(self, since_ns: Nanoseconds) -> tuple[Fill, ...]:
        return tuple(fill for fill in self._fills if fill.at_ns >= since_ns)

    def fills_after(self, number: int) -> tuple[Fill, ...]:
        return tuple(self._fills[number:])

    def changed_elsewhere(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing to close."""


class SqliteMemory:
    """One account in a venue's file, mode 0600; several accounts and several processes may share the file."""

    def __init__(self, path: Path, account: str, options: PaperOptions) -> None:
        self._path, self._account = path, account
        self._generation = -1
        self._data_version = -1
        self._order_decoder = msgspec.json.Decoder(VenueOrder)
        self._fill_decoder = msgspec.json.Decoder(Fill)
        self._mark_decoder = msgspec.json.Decoder(Mark)
        try:
            self._db = _opened(path)
            self._found(options)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path}: the paper venue's memory cannot be opened ({error}); "
                             "check the folder, or move the file away to start a new account") from error

    def _found(self, options: PaperOptions) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            self._db.execute("ROLLBACK")
            raise StoreError(f"{self._path}: written by a newer version (schema {version}); upgrade quarterdeck")
        for statement in SCHEMA.split(";"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        self._db.execute("INSERT OR IGNORE INTO accounts VALUES(?,?,0,?,0,0,1,0)",
                         (self._account, options.currency, options.initial_cash_minor))
        currency = self._db.execute("SELECT currency FROM accounts WHERE account=?", (self._account,)).fetchone()[0]
        self._db.execute("COMMIT")
        if currency != options.currency:
            raise StoreError(f"{self._path}: account {self._account} is kept in {currency}, not {options.currency}; "
                             "use another account name or another file")

    def load(self) -> VenueState:
        db, account = self._db, self._account
        with self._explained("read"):
            row = db.execute("SELECT generation, cash_minor, cursor_ns, cursor_items, next_seq, fill_count "
                             "FROM accounts WHERE account=?", (account,)).fetchone()
            orders = [self._order_decoder.decode(body) for (body,) in db.execute(
                "SELECT body FROM orders WHERE account=? AND open=1 ORDER BY seq", (account,))]
            holdings = {name: Holding(lots, int(value)) for name, lots, value in db.execute(
                "SELECT instrument_id, lots, entry_value FROM holdings WHERE account=? ORDER BY instrument_id",
                (account,))}
            marks = {name: self._mark_decoder.decode(body) for name, body in db.execute(
                "SELECT instrument_id, body FROM marks WHERE account=? ORDER BY instrument_id", (account,))}
        self._generation = row[0]
        open_orders = {order.intent.client_order_id: order for order in orders}
        return VenueState(cash_minor=row[1], cursor_ns=row[2], cursor_items=row[3], next_seq=row[4], fill_count=row[5],
                          orders=open_orders, holdings=holdings, marks=marks)

    def begin(self) -> bool:
        with self._explained("used"):
            self._db.execute("BEGIN IMMEDIATE")
            self._data_version = self._read_data_version()
            row = self._db.execute("SELECT generation FROM accounts WHERE account=?", (self._account,)).fetchone()
        return bool(row[0] != self._generation)

    def commit(self, changes: Changes | None) -> None:
        if changes is None:
            self.rollback()
            return
        with self._explained("written"):
            self._write(changes)
            self._db.execute("COMMIT")
        self._generation += 1

    def _write(self, changes: Changes) -> None:
        db, account, state = self._db, self._account, changes.state
        encode = msgspec.json.encode
        db.execute("UPDATE accounts SET generation=?, cash_minor=?, cursor_ns=?, cursor_items=?, next_seq=?, "
                   "fill_count=? WHERE account=?", (
                       self._generation + 1, state.cash_minor, state.cursor_ns, state.cursor_items, state.next_seq,
                       state.fill_count, account))
        db.executemany("INSERT OR REPLACE INTO orders VALUES(?,?,?,?,?)", [
            (account, order.intent.client_order_id, order.seq, order.open, encode(order)) for order in changes.orders])
        first = state.fill_count - len(changes.fills) + 1
        db.executemany("INSERT INTO fills VALUES(?,?,?,?)", [
            (account, number, fill.at_ns, encode(fill)) for number, fill in enumerate(changes.fills, first)])
        db.executemany("INSERT OR REPLACE INTO holdings VALUES(?,?,?,?)", [
            (account, instrument_id, state.holdings[instrument_id].lots, str(state.holdings[instrument_id].entry_value))
            for instrument_id in changes.holdings])
        db.executemany("INSERT OR REPLACE INTO marks VALUES(?,?,?)", [
            (account, instrument_id, encode(state.marks[instrument_id])) for instrument_id in changes.marks])

    def rollback(self) -> None:
        with self._explained("used"):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def find_order(self, client_order_id: str) -> VenueOrder | None:
        return self._one_order("client_order_id=?", client_order_id)

    def find_venue_order(self, venue_order_id: str) -> VenueOrder | None:
        return self._one_order("json_extract(body, '$.venue_order_id')=?", venue_order_id)

    def _one_order(self, condition: str, value: str) -> VenueOrder | None:
        with self._explained("read"):
            row = self._db.execute(f"SELECT body FROM orders WHERE account=? AND {condition}",
                                   (self._account, value)).fetchone()
        return self._order_decoder.decode(row[0]) if row else None

    def fills_since(self, since_ns: Nanoseconds) -> tuple[Fill, ...]:
        return self._fills("at_ns>=?", since_ns)

    def fills_after(self, number: int) -> tuple[Fill, ...]:
        return self._fills("number>?", number)

    def _fills(self, condition: str, value: int) -> tuple[Fill, ...]:
        with self._explained("read"):
            rows = self._db.execute(f"SELECT body FROM fills WHERE account=? AND {condition} ORDER BY number",
                                    (self._account, value)).fetchall()
        return tuple(self._fill_decoder.decode(body) for (body,) in rows)

    def changed_elsewhere(self) -> bool:
        with self._explained("read"):
            return self._read_data_version() != self._data_version

    def _read_data_version(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        """Turn SQLite's word into one line that says what, where and what to do."""
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StoreError(f"{self._path}: the paper venue's memory cannot be {verb} ({error}); "
                             "free some space or check the file and its permissions") from error


def _opened(path: Path) -> sqlite3.Connection:
    """The file, made private before SQLite sees it; its companions inherit the mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    path.chmod(0o600)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    return db
