"""Putting a backup back: proved first, what was there moved aside, under a new name for the venue's sake."""

import errno
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from engine.errors import StoreError, UsageError
from store.backup import (
    ARCHIVE,
    MANIFEST,
    copy_home,
    databases,
    differences_to,
    manifest_of,
    plain_files,
    sync,
    unpack_sealed,
)
from store.database import cause_of
from store.halt_flag import raise_halt
from store.home import Home, open_home
from store.migrations import header_version, require_known
from store.sealing import Unseal, is_sealed
from store.verify import verify


class RestoreReport(NamedTuple):
    """What was restored, where the former content went (None where there was none), and the journal's new name."""

    home: Path
    files: tuple[str, ...]
    moved_aside: Path | None
    engine_id: str


@contextmanager
def opened_backup(source: Path, work: Path, key: Unseal = Unseal()) -> Iterator[Home]:  # noqa: B008 - an empty key
    """A backup as a folder that can be read: itself, or, where it is sealed, unpacked into a private folder under `work` that
    is removed with the block. Raises `KeysUnavailable`, `StoreError`."""
    if not is_sealed(source):
        yield Home(source)
        return
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=".opened-", dir=work))
    try:
        unpack_sealed(source, folder, key)
        yield Home(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_sound(source: Home) -> None:
    """Raise `StoreError` where a file of a backup is not what was written, or its journal is damaged or of a newer program. What
    was archived may have been taken elsewhere."""
    report = verify(source.journal)
    if not report.sound:
        first = report.damaged[0]
        raise StoreError(f"{source.journal}: damaged at row {first.seq}: {first.what}; restore another backup")
    told = manifest_of(source.path)
    kept = {name: one for name, one in told.get("files", {}).items() if (source.path / name).exists() or ARCHIVE not in name}
    for problem in differences_to(source.path, {**told, "files": kept}):
        raise StoreError(f"{source.path}: {problem}; restore another backup, or remove {MANIFEST} there to take it as it is")
    require_known(source.journal, header_version(source.journal))


def restore(folder: Path, home_path: Path, *, replace: bool = False, halt_cause: str = "", at_ns: int = 0) -> RestoreReport:
    """Put a backup's folder into a home. A home with a journal is refused unless `replace`, which moves its files aside. With a
    `halt_cause` the halt flag is raised (`at_ns`) before anything else, so that the next engine starts halted.

    Everything is copied beside first, and moved into place then: where there is no room the home stays as it was. Killed while
    it moves, the home is marked, and no engine starts on it until the restore was given again.

    The restored journal gets a new engine id, because the venue has seen ids that this older journal does not know of
    and would give out again. Raises `HomeLocked` where an engine runs, `StoreError` where the backup is damaged.
    """
    source = Home(folder)
    require_sound(source)
    home = open_home(home_path)
    with home.lock(restoring=True):
        taken = [path for path in _lasting(home) if path.exists()]
        if taken and not replace:
            raise UsageError(f"{home.path}: holds {taken[0].name} already; restore elsewhere, or say to replace it")
        if halt_cause:
            raise_halt(home, halt_cause, "restore", at_ns)
        work = _work_folder(home)
        try:
            files = copy_home(source, work)
            renamed = rename_journal(work / home.journal.name)
            home.unfinished.touch(mode=0o600)
            sync(home.path)
            aside = _move_aside(home, taken)
            _put_in_place(home, work, files)
            home.unfinished.unlink()
            sync(home.path)
            return RestoreReport(home.path, files, aside, renamed)
        except (OSError, sqlite3.Error) as error:
            begun = home.unfinished.exists()
            left = "what was there lies in its folder aside; give the restore again" if begun else "nothing was changed"
            raise StoreError(f"{home.path}: the restore failed: {cause_of(error)}; {left}") from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _work_folder(home: Home) -> Path:
    try:
        return Path(mkdtemp(prefix=".restoring-", dir=home.backups))
    except OSError as error:
        raise StoreError(f"{home.path}: the restore failed: {cause_of(error)}; nothing was changed") from error


def _put_in_place(home: Home, work: Path, files: Sequence[str]) -> None:
    """Move what was copied to where it belongs, mostly on the same disk, so that no room is needed and little can go wrong; the
    journal last."""
    for name in sorted(files, key=lambda one: one == home.journal.name):
        place = home.path / name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        _move(work / name, place)
        sync(place.parent)


def _move(path: Path, place: Path) -> None:
    """Put a file in another place, also where that is on another disk, as backups may be."""
    try:
        path.replace(place)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(path, place)
        sync(place)
        path.unlink()


def _lasting(home: Home) -> list[Path]:
    """Every file whose content a restore replaces, the databases' logs and the snapshots included."""
    logged = [database.with_name(database.name + suffix) for database in databases(home) for suffix in ("", "-wal", "-shm")]
    return [*logged, *plain_files(home), *sorted(home.snapshots.glob("*.snapshot"))]


def _move_aside(home: Home, taken: list[Path]) -> Path | None:
    if not taken:
        return None
    number = 1
    while (aside := home.backups / f"replaced-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for path in taken:
        _move(path, aside / path.name)
    return aside


def rename_journal(journal: Path) -> str:
    """Give a journal a new engine id, since the venue has seen ids that it does not know of; raises `sqlite3.Error`."""
    engine_id = secrets.token_hex(4)
    connection = sqlite3.connect(journal, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("INSERT OR REPLACE INTO meta VALUES('engine_id', ?)", (engine_id,))
    finally:
        connection.close()
    return engine_id
