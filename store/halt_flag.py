"""The durable halt flag: a file that stops every engine of a home, raised without an engine and without a database."""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.errors import HomeUnusable
from store.home import Home


class Halt(NamedTuple):
    """A raised flag: why, by whom, when. `at_ns` is 0 where the file's content could not be read."""

    cause: str
    by: str
    at_ns: int


def raise_halt(home: Home, cause: str, by: str, at_ns: int) -> None:
    """Raise the flag, on disk before this returns; an earlier flag stays, with its first cause.

    On a full disk the flag is raised without its content, for an empty file takes no room. Raises `HomeUnusable`.
    """
    if read_halt(home) is not None:
        return
    content = json.dumps({"cause": cause, "by": by, "at_ns": at_ns}) + "\n"
    half = home.halt_flag.with_name(f"halt.flag.{os.getpid()}")
    try:
        try:
            _write_synced(half, content.encode())
            half.replace(home.halt_flag)
        except OSError:
            with suppress(OSError):
                half.unlink()
            _write_synced(home.halt_flag, b"")
        sync_folder(home.path)
    except OSError as error:
        raise HomeUnusable(f"{home.halt_flag}: cannot be raised: {error.strerror}; "
                           "check the disk, and halt the engine itself") from error


def read_halt(home: Home) -> Halt | None:
    """The flag, None where it is down. A flag that is there but cannot be read counts as raised."""
    try:
        found = json.loads(home.halt_flag.read_bytes())
        return Halt(str(found["cause"]), str(found["by"]), int(found["at_ns"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Halt("the halt flag is there but cannot be read", "unknown", 0)


def clear_halt(home: Home) -> bool:
    """Take the flag down, durably; whether there was one. Raises `HomeUnusable`."""
    try:
        home.halt_flag.unlink()
        sync_folder(home.path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise HomeUnusable(f"{home.halt_flag}: cannot be taken down: {error.strerror}; remove the file") from error
    return True


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_synced(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        if os.write(descriptor, content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
