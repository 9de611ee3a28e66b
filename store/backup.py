"""Backups that were read back: the databases by SQLite's own backup, the chain proved in the copy."""

import os
import re
import secrets
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from engine.errors import HomeUnusable, StoreError, UsageError
from store.database import cause_of, open_reader
from store.home import Home, open_home
from store.migrations import header_version, require_known
from store.verify import VerifyReport, verify

STRATEGIES = "strategies"
SCHEDULED = "scheduled"
BACKUP_NAME = re.compile(r"quarterdeck-\d{8}T\d{6}Z")


class BackupReport(NamedTuple):
    """What was copied where, and what reading the copied journal back found."""

    folder: Path
    files: tuple[str, ...]
    journal: VerifyReport


class RestoreReport(NamedTuple):
    """What was restored, where the former content went (None where there was none), and the journal's new name."""

    home: Path
    files: tuple[str, ...]
    moved_aside: Path | None
    engine_id: str


def backup(home: Home, target: Path, at_ns: int) -> BackupReport:
    """Copy a home's databases, configuration and strategies into a new folder under `target`, also while an engine runs.

    The folder bears the time `at_ns` and gets its name only once the copy was read back. Raises `StoreError` where
    something cannot be written or the copied journal is damaged; then no backup bears the name.
    """
    stamp = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = target / f"quarterdeck-{stamp}"
    half = folder.with_name(folder.name + ".part")
    if folder.exists():
        raise UsageError(f"{folder}: exists already; wait a second, or name another folder")
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        files = _copy_home(home, half)
        report = verify(half / home.journal.name)
        if not report.sound:
            first = report.damaged[0]
            raise StoreError(f"{home.journal}: the copy is damaged at row {first.seq}: {first.what}; "
                             "run `quarterdeck journal verify` and keep your older backups")
        half.replace(folder)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{folder}: the backup failed: {cause_of(error)}; nothing was kept") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return BackupReport(folder, files, report._replace(path=folder / home.journal.name))


def scheduled_backup(home: Home, kept: int, at_ns: int) -> str:
    """A backup in the folder of the schedule's own, where the newest `kept` stay; what was done, in one line."""
    folder = home.backups / SCHEDULED
    report = backup(home, folder, at_ns)
    old = sorted(found for found in folder.iterdir() if BACKUP_NAME.fullmatch(found.name))[:-kept]
    for found in old:
        shutil.rmtree(found, ignore_errors=True)
    removed = f", {len(old)} older removed" if old else ""
    return f"{report.folder.name}: {report.journal.rows} journal rows verified{removed}"


def restore(folder: Path, home_path: Path, *, replace: bool = False) -> RestoreReport:
    """Put a backup into a home. A home with a journal is refused unless `replace`, which moves its files aside.

    The restored journal gets a new engine id, because the venue has seen ids that this older journal does not know of
    and would give out again. Raises `HomeLocked` where an engine runs, `StoreError` where the backup is damaged.
    """
    source = Home(folder)
    report = verify(source.journal)
    if not report.sound:
        first = report.damaged[0]
        raise StoreError(f"{source.journal}: damaged at row {first.seq}: {first.what}; restore another backup")
    require_known(source.journal, header_version(source.journal))
    home = open_home(home_path)
    with home.lock():
        taken = [path for path in _lasting(home) if path.exists()]
        if taken and not replace:
            raise UsageError(f"{home.path}: holds {taken[0].name} already; restore elsewhere, or say to replace it")
        try:
            aside = _move_aside(home, taken)
            files = _copy_home(source, home.path)
            return RestoreReport(home.path, files, aside, _rename(home.journal))
        except (OSError, sqlite3.Error) as error:
            raise StoreError(f"{home.path}: the restore failed: {cause_of(error)}; "
                             "what was there lies in its folder aside") from error


def _copy_home(home: Home, target: Path) -> tuple[str, ...]:
    files: list[str] = []
    for database in (home.journal, home.paper):
        if database.is_file():
            _copy_database(database, target / database.name)
            files.append(database.name)
    if home.journal.name not in files:
        raise HomeUnusable(f"{home.journal}: no journal to copy; start the engine once")
    if home.config.is_file():
        shutil.copy2(home.config, target / home.config.name)
        files.append(home.config.name)
    files += _copy_strategies(home, target)
    for name in files:
        _sync(target / name)
    _sync(target)
    return tuple(files)


def _copy_strategies(home: Home, target: Path) -> list[str]:
    """The strategies of the home's own: without them the configuration that names them would not start."""
    files: list[str] = []
    for path in _strategies(home):
        name = path.relative_to(home.path)
        (target / name.parent).mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(path, target / name)
        files.append(str(name))
    return files


def _strategies(home: Home) -> list[Path]:
    folder = home.path / STRATEGIES
    return [*sorted(folder.glob("*.py")), *folder.glob("tried.json")]


def _copy_database(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    reader = open_reader(source)
    writer = sqlite3.connect(target, isolation_level=None)
    try:
        reader.backup(writer)
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, readable from a read-only medium
    finally:
        writer.close()
        reader.close()


def _lasting(home: Home) -> list[Path]:
    """Every file whose content a restore replaces, the databases' logs and the snapshots included."""
    databases = [database.with_name(database.name + suffix) for database in (home.journal, home.paper)
                 for suffix in ("", "-wal", "-shm")]
    return [*databases, home.config, *_strategies(home), *sorted(home.snapshots.glob("*.snapshot"))]


def _move_aside(home: Home, taken: list[Path]) -> Path | None:
    if not taken:
        return None
    number = 1
    while (aside := home.backups / f"replaced-{number}").exists():
        number += 1
    aside.mkdir(mode=0o700)
    for path in taken:
        path.replace(aside / path.name)
    return aside


def _rename(journal: Path) -> str:
    """Give the restored journal a new engine id."""
    engine_id = secrets.token_hex(4)
    connection = sqlite3.connect(journal, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("INSERT OR REPLACE INTO meta VALUES('engine_id', ?)", (engine_id,))
    finally:
        connection.close()
    return engine_id


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
