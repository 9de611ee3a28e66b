"""Confirmed rows that are gone: a damaged write-ahead log, whose rest SQLite passes over in silence, or a journal that ends
before one of its own snapshots.

Whoever went on as if nothing were missing would give out ids a second time, and not know of orders.
"""

import logging
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from engine.errors import StoreError
from store.database import cause_of
from store.halt_flag import raise_halt
from store.home import Home
from store.read import is_blank, stored_head
from store.snapshots import sound_after
from store.wal import unread_frames

BY = "journal"
_log = logging.getLogger("quarterdeck.home")


def note_lost_rows(home: Home, at_ns: int) -> str:
    """Look for lost rows before a journal is written again; the cause, empty where none are lost. Where some are, the damaged
    files are copied aside, the halt flag is raised so that the engine starts halted, and the journal gets a new name, as after a
    restore. The caller holds the home's lock. Raises `StoreError`."""
    there = home.journal.is_file() and not is_blank(home.journal)
    newest = stored_head(home.journal).seq if there else 0
    beyond = sound_after(home.snapshots, newest)
    found = [*(unread_frames(home.journal).damaged if there else ()),
             *(f"a snapshot knows of row {seq}" for seq, _ in beyond[:1])]
    if not found:
        return ""
    from store.restore import rename_journal  # what copies and restores is loaded where it is needed: no start waits for it

    cause = f"rows of the journal after {newest} are lost ({'; '.join(found)}): compare with the venue, then resume"
    raise_halt(home, cause, BY, at_ns)
    _copy_aside(home, [path for _, path in beyond], at_ns)
    if there:
        try:
            rename_journal(home.journal)
        except sqlite3.Error as error:
            raise StoreError(f"{home.journal}: cannot be named anew: {cause_of(error)}; check the disk") from error
    for _, path in beyond:
        path.unlink(missing_ok=True)
    _log.error("%s", cause)
    return cause


def _copy_aside(home: Home, snapshots: Sequence[Path], at_ns: int) -> None:
    """What is left of the evidence goes with the next write; a full disk does not keep the engine from starting."""
    import shutil

    from store.backup import stamp_of

    aside = home.backups / f"damaged-{stamp_of(at_ns)}"
    try:
        aside.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in (home.journal, home.journal.with_name(f"{home.journal.name}-wal"), *snapshots):
            if path.is_file():
                shutil.copy2(path, aside / path.name)
    except OSError as error:
        _log.warning("%s: the damaged files cannot be copied there: %s", aside, error)
