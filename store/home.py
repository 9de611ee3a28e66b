"""The home folder: where everything that lasts lies, checked before it is used, held by one engine at a time."""

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from filelock import FileLock, Timeout

from engine.errors import HomeLocked, HomeUnusable
from store.migrations import header_version, require_known

MIN_FREE_BYTES = 16 << 20
SHARED_FOLDER = Path("/tmp")  # noqa: S108 - the one place that a login, a service, cron and sudo of one user have in common
MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 108 on Linux and 104 on macOS, the closing zero included


class HomeLock:
    """A lock that is held until `release`, or until the process ends, however it ends. `left_by` is the process that held it last
    and never gave it up; 0 where that one did, as it should."""

    def __init__(self, lock: FileLock, holder_file: Path, left_by: int = 0) -> None:
        self._lock = lock
        self._holder_file = holder_file
        self.left_by = left_by
        self._inode = Path(lock.lock_file).stat().st_ino

    def keep(self) -> None:
        """Make the lock look used: what sweeps temporary folders removes files that nobody touched for some days, and whoever
        comes then would lock a new one. Raises `OSError` where it is gone, or another engine's lies in its place."""
        if Path(self._lock.lock_file).stat().st_ino != self._inode:
            raise FileNotFoundError(errno.ENOENT, "another engine's lies in its place", self._lock.lock_file)
        os.utime(self._lock.lock_file)

    def release(self) -> None:
        """Give the lock up; a second call does nothing."""
        if self._lock.is_locked:
            self._holder_file.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.release()


class Home(NamedTuple):
    """The paths of one home folder; `open_home` makes one."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def journal(self) -> Path:
        return self.path / "journal.db"

    @property
    def paper(self) -> Path:
        return self.path / "paper.db"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def themes(self) -> Path:
        return self.path / "themes"

    @property
    def backups(self) -> Path:
        return self.path / "backups"

    @property
    def snapshots(self) -> Path:
        return self.path / "snapshots"

    @property
    def halt_flag(self) -> Path:
        return self.path / "halt.flag"

    @property
    def socket(self) -> Path:
        """The control socket: in the home, or, where that path is too long for a socket, in a private runtime folder
        under a name that only depends on the home."""
        plain = self.path / "engine.sock"
        if len(os.fsencode(plain)) <= MAX_SOCKET_PATH_BYTES:
            return plain
        digest = hashlib.sha256(os.fsencode(os.path.realpath(self.path))).hexdigest()[:16]
        return runtime_folder() / f"{digest}.sock"

    @property
    def unfinished(self) -> Path:
        """There while a restore moves files into the home, and after one that was killed in that."""
        return self.path / "restore.unfinished"

    def lock(self, *, restoring: bool = False) -> HomeLock:
        """Hold this home for one engine; raises `HomeLocked` with the holder's process id, `HomeUnusable` where a restore was cut
        short, whose rest no engine can make sense of."""
        held = _hold(self.path / "engine.lock", f"{self.path}: another engine", "use `quarterdeck attach`, or end it first")
        if self.unfinished.exists() and not restoring:
            held.release()
            raise HomeUnusable(f"{self.path}: a restore was cut short; give it again: `quarterdeck restore BACKUP --replace`")
        return held

    def holder_pid(self) -> int | None:
        """The process id of the engine that holds this home, None where none does; takes nothing, changes nothing. Also where
        the disk takes no writes any more, which an engine outlives."""
        try:
            lock = os.open(self.path / "engine.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return _read_pid(self.path / "engine.lock.pid") or 0
        finally:
            os.close(lock)
        return None


def default_home_path(environ: Mapping[str, str]) -> Path:
    """Where the home lies: `QUARTERDECK_HOME`, or the platform's data folder."""
    if given := environ.get("QUARTERDECK_HOME"):
        return Path(given).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("quarterdeck", appauthor=False)


def open_home(path: Path, *, for_writing: bool = True, min_free_bytes: int = MIN_FREE_BYTES) -> Home:
    """Check a home folder, create it with mode 0700 where it is missing, and give its paths.

    Raises `HomeUnusable` where it is no folder, read-only, full, or of a newer program. Without `for_writing` it must
    exist and only its version is checked: for queries, and for a panic on a full disk.
    """
    path = Path(os.path.abspath(path))
    home = Home(path)
    if path.exists() and not path.is_dir():
        raise HomeUnusable(f"{path}: is not a folder; move it away, or set QUARTERDECK_HOME to another place")
    if not for_writing:
        if not path.is_dir():
            raise HomeUnusable(f"{path}: no such home; run `quarterdeck init`, or set QUARTERDECK_HOME")
    else:
        _make_folders(home)
        _probe(path, min_free_bytes)
    try:
        require_known(home.journal, header_version(home.journal))
    except OSError as error:
        raise HomeUnusable(f"{home.journal}: cannot be read: {error.strerror}; check its owner and mode") from error
    return home


def lock_account(account: str) -> tuple[HomeLock, ...]:
    """Hold one venue account for one engine of this user, whatever its home; raises `HomeLocked`.

    In the private runtime folder, and in the one that does not depend on the environment: a login has `XDG_RUNTIME_DIR`, a
    service of the system, cron and sudo have none, and both may start an engine.
    """
    name = f"account-{hashlib.sha256(account.encode()).hexdigest()[:16]}.lock"
    held: list[HomeLock] = []
    try:
        for folder in dict.fromkeys((_private_under(SHARED_FOLDER), runtime_folder())):
            held.append(_hold(folder / name, f"account {account}: another engine", "one engine trades an account; end it first"))
    except BaseException:
        for lock in held:
            lock.release()
        raise
    return tuple(held)


def runtime_folder() -> Path:
    """A private folder, mode 0700, for sockets and locks that do not belong to one home; raises `HomeUnusable`.

    `XDG_RUNTIME_DIR` where the platform has it, else a folder of this user's under the system's temporary folder, which
    is refused where somebody else owns it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    return _private(Path(base) / "quarterdeck") if base else _private_under(Path(tempfile.gettempdir()))


def _private_under(everybodys: Path) -> Path:
    return _private(everybodys / f"quarterdeck-{os.getuid()}")


def _private(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise HomeUnusable(f"{folder}: cannot be created: {error.strerror}; set XDG_RUNTIME_DIR") from error
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise HomeUnusable(f"{folder}: is not private to this user; remove it, or set XDG_RUNTIME_DIR")
    return folder


def _make_folders(home: Home) -> None:
    try:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (home.logs, home.themes, home.backups, home.snapshots):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise HomeUnusable(f"{home.path}: cannot be created or written: {error.strerror}; "
                           "check its permissions, or set QUARTERDECK_HOME") from error


def _probe(path: Path, min_free_bytes: int) -> None:
    """Prove by writing that the folder takes writes; permissions alone do not tell of a read-only or full disk."""
    free = shutil.disk_usage(path).free
    if free < min_free_bytes:
        raise HomeUnusable(f"{path}: the disk is full: {free >> 20} MiB free, {min_free_bytes >> 20} MiB needed; "
                           "free some space")
    try:
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(4096))
            file.flush()
    except OSError as error:
        raise HomeUnusable(f"{path}: cannot be written: {error.strerror}; "
                           "check its permissions and free space, or set QUARTERDECK_HOME") from error


def _hold(lock_file: Path, who: str, remedy: str) -> HomeLock:
    holder_file = lock_file.with_name(lock_file.name + ".pid")
    # A look by `holder_pid` may hold the lock for an instant: wait that long before calling it taken.
    lock = FileLock(lock_file, timeout=0.3, poll_interval=0.02, mode=0o600, is_singleton=False)
    try:
        lock.acquire()
    except Timeout:
        pid = _read_pid(holder_file)
        raise HomeLocked(f"{who} (process {pid or 'unknown'}) holds it; {remedy}") from None
    except OSError as error:
        raise HomeUnusable(f"{lock_file}: cannot be locked: {error.strerror}; check its permissions") from error
    left_by = _read_pid(holder_file) or 0
    try:
        holder_file.write_text(f"{os.getpid()}\n")
        return HomeLock(lock, holder_file, left_by)
    except OSError as error:
        lock.release()
        raise HomeUnusable(f"{holder_file}: cannot be written: {error.strerror}; check the disk") from error


def _read_pid(holder_file: Path) -> int | None:
    try:
        return int(holder_file.read_text())
    except (OSError, ValueError):
        return None
