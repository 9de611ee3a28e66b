"""Backups that were read back: databases by SQLite's own backup, the chain proved in the copy; a folder, or one sealed file.

A sealed backup is a compressed tar of that same folder in the age format: `age -d FILE | tar xz` opens it without this program.
"""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import HomeUnusable, StoreError, UsageError
from store.database import cause_of, open_reader
from store.home import Home
from store.read import engine_id
from store.sealing import Seal, Unseal, seal_file, unseal_file
from store.verify import VerifyReport, verify

STRATEGIES = "strategies"
ARCHIVE = "archive"
MANIFEST = "manifest.json"
MOST_TOLD_BYTES = 5_000_000  # as much as a calendar or a graph of ties may be
SEALED = ".tar.gz.age"
BACKUP_NAME = re.compile(r"quarterdeck-(\d{8}T\d{6}Z)(\.tar\.gz\.age)?")
CHUNK_PAGES = 2_000
CHUNK_BYTES = 1 << 20

type Progress = Callable[[str, int, int], None]  # what, how much of it is done, how much there is


class BackupReport(NamedTuple):
    """What was copied where, and what reading the copied journal back found; `path` is a folder, or a sealed file."""

    path: Path
    files: tuple[str, ...]
    journal: VerifyReport

    @property
    def sealed(self) -> bool:
        return self.path.name.endswith(SEALED)


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def stamp_of(at_ns: int) -> str:
    """A time as the name of a backup says it, in UTC to the second."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")


def backup(home: Home, target: Path, at_ns: int, *, seal: Seal | None = None, progress: Progress = no_progress) -> BackupReport:
    """Copy what lasts of a home into a new folder under `target`, also while an engine runs; or into one sealed file.

    It bears the time `at_ns`, and gets its name only once the copy was read back. The plain text of a sealed one only ever
    lies in the home. Raises `StoreError` where something cannot be written or the copied journal is damaged; then no backup
    bears the name.
    """
    folder = target / f"quarterdeck-{stamp_of(at_ns)}"
    named = folder.with_name(folder.name + SEALED) if seal else folder
    half = (home.backups if seal else target) / f"{folder.name}.part"
    if folder.exists() or named.exists():
        raise UsageError(f"{named}: exists already; wait a second, or name another folder")
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        half.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(mode=0o700)
        files = copy_home(home, half, progress)
        progress("proving the copy", 0, 1)
        report = _proved(home, half)
        _write_manifest(half, files, report, at_ns, progress)
        if seal:
            _seal_folder(half, named, seal, progress)
        else:
            half.replace(folder)
        sync(target)
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise StoreError(f"{named}: the backup failed: {_why(error)}; nothing was kept") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return BackupReport(named, files, report._replace(path=named / home.journal.name if not seal else named))


def _proved(home: Home, half: Path) -> VerifyReport:
    report = verify(half / home.journal.name)
    if not report.sound:
        first = report.damaged[0]
        raise StoreError(f"{home.journal}: the copy is damaged at row {first.seq}: {first.what}; "
                         "run `quarterdeck journal verify` and keep your older backups")
    return report


def copy_home(home: Home, target: Path, progress: Progress = no_progress) -> tuple[str, ...]:
    """Copy every lasting file of a home, or of a backup, into a folder, durable; the names that were copied."""
    files: list[str] = []
    for database in databases(home):
        if database.is_file():
            _copy_database(database, target / database.name, progress)
            files.append(database.name)
    if home.journal.name not in files:
        raise HomeUnusable(f"{home.journal}: no journal to copy; start the engine once")
    for path in plain_files(home):
        place = target / path.relative_to(home.path)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(path, place)
        files.append(str(path.relative_to(home.path)))
    for name in files:
        sync(target / name)
    for parent in sorted({(target / name).parent for name in files}):
        sync(parent)
    return tuple(files)


def databases(home: Home) -> tuple[Path, ...]:
    """Every database of a home that lasts, there or not."""
    return home.journal, home.paper, home.path / "research.db"


def plain_files(home: Home) -> list[Path]:
    """The other files that last: the configuration with the calendars and ties beside it, archived journal rows, and the home's
    own strategies, without which a configuration that names them would not start."""
    strategies = home.path / STRATEGIES
    config = [home.config] if home.config.is_file() else []
    archives = sorted(path for path in (home.path / ARCHIVE).glob("journal-*") if path.suffix != ".part")
    told = sorted(path for kind in ("*.csv", "*.ics") for path in home.path.glob(kind)
                  if path.is_file() and path.stat().st_size <= MOST_TOLD_BYTES)
    return [*config, *told, *archives, *sorted(strategies.glob("*.py")), *strategies.glob("tried.json")]


def _copy_database(source: Path, target: Path, progress: Progress) -> None:
    """SQLite's own backup, in steps so that it can be watched; all of them read one moment, however much is written meanwhile."""
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    reader = open_reader(source)
    writer = sqlite3.connect(target, isolation_level=None)
    try:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reader.backup(writer, pages=CHUNK_PAGES, sleep=0,
                      progress=lambda _, left, total: progress(source.name, total - left, total))
        writer.execute("PRAGMA journal_mode=DELETE")  # one file, readable from a read-only medium
    finally:
        writer.close()
        reader.close()


# ---- what a backup says of itself ----------------------------------------------------------------------------------------


def _write_manifest(folder: Path, files: tuple[str, ...], report: VerifyReport, at_ns: int, progress: Progress) -> None:
    sums = {name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name, progress)} for name in files}
    content = {"made_at_ns": at_ns, "engine_id": engine_id(report.path), "rows": report.rows, "first_seq": report.first_seq,
               "last_seq": report.last_seq, "last_hash": report.last_hash, "files": sums}
    path = folder / MANIFEST
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    path.chmod(0o600)
    sync(path)
    sync(folder)


def sha256_of(path: Path, progress: Progress = no_progress) -> str:
    """The sha256 of a file in hex, read piece by piece."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(CHUNK_BYTES):
            digest.update(piece)
            done += len(piece)
            progress(f"checksum of {path.name}", done, total)
    return digest.hexdigest()


def manifest_of(path: Path) -> dict[str, Any]:
    """What a backup says of itself; empty where it says nothing (one of an older program)."""
    file = manifest_beside(path) if path.name.endswith(SEALED) else path / MANIFEST
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return {**found, "rows": int(found["rows"]), "last_seq": int(found["last_seq"]), "files": dict(found["files"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{file}: cannot be read: {error}; verify with another copy") from error


def differences_to(folder: Path, manifest: dict[str, Any], progress: Progress = no_progress) -> Iterator[str]:
    """What in a backup's folder is not what its manifest says, one line a file."""
    for name, told in manifest.get("files", {}).items():
        path = folder / name
        if not path.is_file():
            yield f"{name}: is missing"
        elif sha256_of(path, progress) != told["sha256"]:
            yield f"{name}: is not what was written: its checksum differs"


# ---- sealed in one file --------------------------------------------------------------------------------------------------


def _seal_folder(half: Path, named: Path, seal: Seal, progress: Progress) -> None:
    """Pack the folder, seal the pack, read it back as far as the key allows, and put it under its name with its checksum."""
    pack, part = half.with_name(f"{half.name}.tar.gz"), named.with_name(f"{named.name}.part")
    try:
        part.unlink(missing_ok=True)
        _pack(half, pack, progress)
        progress("sealing", 0, 1)
        seal_file(pack, part, seal)
        if seal.passphrase:
            back = pack.with_name(f"{pack.name}.back")
            try:
                unseal_file(part, back, Unseal(passphrase=seal.passphrase))
                if sha256_of(back) != sha256_of(pack):
                    raise StoreError(f"{named}: what was sealed does not come back the same; nothing was kept")
            finally:
                back.unlink(missing_ok=True)
        manifest = json.loads((half / MANIFEST).read_text(encoding="utf-8"))
        manifest |= {"sealed_sha256": sha256_of(part), "sealed_bytes": part.stat().st_size}
        beside = manifest_beside(named)
        beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        beside.chmod(0o600)
        sync(beside)
        part.replace(named)
    finally:
        pack.unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def manifest_beside(sealed: Path) -> Path:
    """Where the manifest of a sealed backup lies in the clear: it holds names, sizes, checksums and row numbers."""
    return sealed.with_name(f"{sealed.name}.json")


def _pack(folder: Path, pack: Path, progress: Progress) -> None:
    names = sorted(path for path in folder.rglob("*") if path.is_file())
    with os.fdopen(os.open(pack, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file, \
            tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as tar:
        for done, path in enumerate(names):
            progress("packing", done, len(names))
            tar.add(path, arcname=str(path.relative_to(folder)))


def unpack_sealed(sealed: Path, folder: Path, key: Unseal) -> None:
    """Open a sealed backup into an empty folder; raises `KeysUnavailable` where the key does not open it, `StoreError` where what
    it holds is no backup."""
    pack = folder.with_name(f"{folder.name}.tar.gz")
    try:
        unseal_file(sealed, pack, key)
        with tarfile.open(pack) as tar:
            tar.extractall(folder, members=list(_plain_members(tar)), filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise StoreError(f"{sealed}: it opens, but holds no backup: {error}") from error
    except OSError as error:
        raise StoreError(f"{sealed}: cannot be unpacked: {_why(error)}; free some space") from error
    finally:
        pack.unlink(missing_ok=True)


def _plain_members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isfile():
            member.mode = 0o600
            yield member


def sync(path: Path) -> None:
    """Make a file, or a folder's list of names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: Exception) -> str:
    return cause_of(error) if isinstance(error, sqlite3.Error | OSError) else str(error)
