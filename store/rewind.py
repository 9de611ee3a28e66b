"""Restoring to a point: a backup's journal cut at a row or a time, its tables made anew, and what the venue will still know.

The cut is made in a copy, and proved, before the home is touched. The engine then starts halted: the venue is ahead of the
journal, which takes over from it in the first reconciliation, and a person releases it.
"""

import shutil
import sqlite3
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from engine.errors import JournalDamaged, StoreError, UsageError
from engine.state import State
from store.archive import cut_after, state_at
from store.archive_files import ArchiveRecord, archives_of
from store.backup import copy_home, stamp_of
from store.database import cause_of, open_reader, unreadable
from store.home import Home, open_home
from store.restore import RestoreReport, require_sound, restore
from store.verify import verify
from store.views import rebuild_views


class Point(NamedTuple):
    """Where to go back to: a row, or the newest row that is not after a time; the other one is 0."""

    seq: int = 0
    at_ns: int = 0


class VenueOrder(NamedTuple):
    """An order that may be open at a venue when the restored engine first looks; `known` where its journal still has it."""

    client_order_id: str
    account: str
    symbol: str
    side: str
    quantity: str
    purpose: str
    known: bool


class Rewound(NamedTuple):
    """What was restored up to which row; `cut` and `cut_file` tell of the rows after it, None where there were none."""

    restored: RestoreReport
    seq: int
    at_ns: int
    cut: ArchiveRecord | None
    cut_file: Path | None
    orders: tuple[VenueOrder, ...]


class Plan(NamedTuple):
    """What going back to a point would mean: the row, how many rows after it, and the orders at venues."""

    seq: int
    at_ns: int
    rows_after: int
    orders: tuple[VenueOrder, ...]


def planned(source: Home, point: Point) -> Plan:
    """What a restore of a backup to a point would do; raises `UsageError` where its journal has no such point."""
    require_sound(source)
    seq, at_ns, rows_after = _row_of(source.journal, point)
    return Plan(seq, at_ns, rows_after, _orders(state_at(source.journal, seq), state_at(source.journal)))


def restore_to(source: Home, home_path: Path, plan: Plan, at_ns: int, *, replace: bool = False) -> Rewound:
    """Put a backup into a home as of a planned point, halted. Refusals and errors are those of `restore`."""
    home = open_home(home_path)
    work = Path(mkdtemp(prefix=".rewound-", dir=home.backups))
    try:
        copy_home(source, work)
        cut, name = None, f"cut-{stamp_of(at_ns)}-after-{plan.seq}.csv.gz"
        if plan.rows_after:
            cut = cut_after(work / home.journal.name, plan.seq, work / "cut" / name)
        rebuild_views(work / home.journal.name)
        report = verify(work / home.journal.name)
        if not report.sound or report.last_seq != plan.seq:
            raise JournalDamaged(f"{source.journal}: cut at row {plan.seq} it does not prove; nothing was restored")
        cause = f"restored to row {plan.seq}: compare with the venue, then resume"
        restored = restore(work, home_path, replace=replace, halt_cause=cause, at_ns=at_ns)
        cut_file = home.backups / name if cut else None
        if cut_file is not None:
            (work / "cut" / name).replace(cut_file)
        return Rewound(restored, plan.seq, plan.at_ns, cut, cut_file, plan.orders)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{home.path}: the restore failed: {cause_of(error)}; free some space and try again") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _row_of(journal: Path, point: Point) -> tuple[int, int, int]:
    """Number and time of the point's row, and how many rows come after it."""
    archives = archives_of(journal)
    connection = open_reader(journal)
    try:
        where, value = ("seq", point.seq) if point.seq else ("at_ns", point.at_ns)
        found = connection.execute(f"SELECT seq, at_ns FROM journal WHERE {where} <= ? ORDER BY seq DESC LIMIT 1",
                                   (value,)).fetchone()
        first = connection.execute("SELECT seq, at_ns FROM journal ORDER BY seq LIMIT 1").fetchone()
        if found is None or (point.seq and found[0] != point.seq):
            older = "; older ones are archived" if archives else ""
            raise UsageError(f"{journal}: has no row {point.seq or 'from before that time'}; it begins at row "
                             f"{first[0] if first else 'none'}{older}")
        (after,) = connection.execute("SELECT count(*) FROM journal WHERE seq > ?", (found[0],)).fetchone()
    except sqlite3.Error as error:
        raise unreadable(journal, error) from error
    finally:
        connection.close()
    return int(found[0]), int(found[1]), int(after)


def _orders(before: State, after: State) -> tuple[VenueOrder, ...]:
    """What was open at venues as of the backup: the venue may know it still, whether or not the cut journal does."""
    told: list[VenueOrder] = []
    for client_order_id, order in after.orders.items():
        intent = order.intent
        instrument = after.instruments.get(intent.instrument_id)
        quantity = f"{instrument.quantity(order.leaves_lots):f}" if instrument else str(order.leaves_lots)
        known = client_order_id in before.orders or client_order_id in before.closed
        told.append(VenueOrder(client_order_id, intent.account, instrument.symbol if instrument else intent.instrument_id,
                               intent.side.name, quantity, str(intent.purpose.value), known))
    return tuple(told)
