"""Looking over the backups of a home: what there is, what each holds, and whether it is still what was written."""

from pathlib import Path
from typing import NamedTuple

from engine.errors import StoreError, UsageError
from store.backup import SEALED, Progress, differences_to, manifest_of, no_progress, sha256_of
from store.home import Home
from store.restore import opened_backup
from store.retention import SCHEDULED, backups_in
from store.sealing import Unseal
from store.verify import verify


class Listed(NamedTuple):
    """One backup as its name and manifest tell it; rows are 0 where it is from before there were manifests."""

    path: Path
    made_at_ns: int
    scheduled: bool
    sealed: bool
    rows: int
    last_seq: int
    bytes: int
    files: tuple[str, ...]


class Checked(NamedTuple):
    """What looking a backup over found: `problems` empty where all is well; `opened` whether its content itself was read."""

    path: Path
    opened: bool
    rows: int
    problems: tuple[str, ...]


def listed(home: Home) -> list[Listed]:
    """The backups in a home's own folders, newest first."""
    found = [(at, path, scheduled) for folder, scheduled in ((home.backups, False), (home.backups / SCHEDULED, True))
             for at, path in backups_in(folder)]
    return [_listed(path, int(at.timestamp()) * 1_000_000_000, scheduled=scheduled)
            for at, path, scheduled in sorted(found, key=lambda one: one[0], reverse=True)]


def find(home: Home, name: str) -> Path:
    """A backup by its path, also as seen from the home, or by its name in the home's own folders; raises `UsageError`."""
    given = Path(name)
    for path in (given, home.path / name, home.backups / name, home.backups / SCHEDULED / name):
        if path.exists():
            return path
    raise UsageError(f"{name}: no such backup; `quarterdeck backup list` names those of this home")


def checked(home: Home, path: Path, key: Unseal | None, progress: Progress = no_progress) -> Checked:
    """Read a backup back: every file against its checksum, the journal against its chain. A sealed one without a key is only held
    against the checksum of its file. Raises `KeysUnavailable` where the key does not open it."""
    manifest = manifest_of(path)
    problems: list[str] = []
    if path.name.endswith(SEALED):
        expected = manifest.get("sealed_sha256")
        if expected and sha256_of(path, progress) != expected:
            problems.append(f"{path.name}: is not what was written: its checksum differs")
        if key is None or problems:
            return Checked(path, opened=False, rows=int(manifest.get("rows", 0)), problems=tuple(problems))
    with opened_backup(path, home.backups, key or Unseal()) as folder:
        inside = manifest_of(folder.path)
        problems += differences_to(folder.path, inside, progress)
        report = verify(folder.journal)
        problems += [f"journal row {one.seq}: {one.what}" for one in report.damaged]
        if inside and (report.last_seq, report.last_hash) != (inside["last_seq"], inside["last_hash"]):
            problems.append(f"the journal ends at row {report.last_seq}, the manifest says {inside['last_seq']}")
    return Checked(path, opened=True, rows=report.rows, problems=tuple(problems))


def _listed(path: Path, at_ns: int, *, scheduled: bool) -> Listed:
    sealed = path.name.endswith(SEALED)
    try:
        manifest = manifest_of(path)
    except StoreError:
        manifest = {}  # `backup verify` says what is wrong with it
    size = path.stat().st_size if sealed else sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return Listed(path, at_ns, scheduled, sealed, int(manifest.get("rows", 0)), int(manifest.get("last_seq", 0)), size,
                  tuple(manifest.get("files", ())))
