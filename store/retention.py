"""Which backups stay: the newest of each of so many days, weeks and months; and the schedule's own backups, kept so."""

import re
import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from store.backup import BACKUP_NAME, backup, manifest_beside
from store.home import Home
from store.sealing import Seal

SCHEDULED = "scheduled"
LEFTOVER = re.compile(r"(quarterdeck-\d{8}T\d{6}Z(\.tar\.gz\.age)?\.part(\..*)?|\.(opened|rewound|restoring)-.*)")
LEFTOVER_SECONDS = 86_400


class Keep(NamedTuple):
    """For how many days, weeks and months that have a backup one is kept."""

    daily: int
    weekly: int = 0
    monthly: int = 0


def made_at(path: Path) -> datetime | None:
    """When a backup was made, by its name; None for everything that does not bear a backup's name."""
    found = BACKUP_NAME.fullmatch(path.name)
    try:
        return datetime.strptime(found.group(1), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if found else None
    except ValueError:
        return None


def backups_in(folder: Path) -> list[tuple[datetime, Path]]:
    """The backups that lie in a folder, newest first; nothing else there is looked at."""
    if not folder.is_dir():
        return []
    found = [(at, path) for path in folder.iterdir() if (at := made_at(path)) is not None]
    return sorted(found, reverse=True)


def surplus(found: Sequence[tuple[datetime, Path]], keep: Keep) -> list[Path]:
    """Of backups, newest first, those that no rule keeps. The newest of all is always kept."""
    kept = {path for _, path in found[:1]}
    rules: tuple[tuple[int, Callable[[datetime], tuple[int, ...]]], ...] = (
        (keep.daily, lambda at: (at.year, at.month, at.day)),
        (keep.weekly, lambda at: tuple(at.isocalendar()[:2])),
        (keep.monthly, lambda at: (at.year, at.month)))
    for count, period_of in rules:
        seen: set[tuple[int, ...]] = set()
        for at, path in found:
            if period_of(at) not in seen and len(seen) < count:
                seen.add(period_of(at))
                kept.add(path)
    return [path for _, path in found if path not in kept]


def prune(folder: Path, keep: Keep, just_made: Path | None = None) -> tuple[str, ...]:
    """Remove the backups of a folder that no rule keeps, never `just_made`, which was proved a moment ago: it is the newest
    verified one, whatever the clock said when older ones were named. The names that were removed."""
    removed: list[str] = []
    for path in surplus(backups_in(folder), keep):
        if path == just_made:
            continue
        if path.is_dir() and not path.is_symlink():
            leaving = path.with_name(f"{path.name}.part")  # a removal that is cut short leaves nothing that looks like a backup
            path.replace(leaving)
            shutil.rmtree(leaving, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
            manifest_beside(path).unlink(missing_ok=True)
        removed.append(path.name)
    return tuple(removed)


def sweep(home: Home, now_seconds: float) -> tuple[str, ...]:
    """Remove what backups and restores that were killed left behind, once it is a day old: it may hold what was to be sealed."""
    removed: list[str] = []
    for folder in (home.backups, home.backups / SCHEDULED):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not LEFTOVER.fullmatch(path.name) or now_seconds - path.lstat().st_mtime < LEFTOVER_SECONDS:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed.append(path.name)
    return tuple(removed)


def scheduled_backup(home: Home, keep: Keep, at_ns: int, recipient: str = "") -> str:
    """A backup in the folder of the schedule's own, where older ones then leave; what was done, in one line."""
    folder = home.backups / SCHEDULED
    report = backup(home, folder, at_ns, seal=Seal(recipient=recipient) if recipient else None)
    removed = prune(folder, keep, report.path)
    sweep(home, time.time())
    told = f", {len(removed)} older removed" if removed else ""
    return f"{report.path.name}: {report.journal.rows} journal rows verified{told}"
