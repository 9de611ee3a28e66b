"""Checksummed snapshots of the state, so that a start reads the newest one and the journal's tail, not all of it.

Each snapshot is one file named by its journal row, written beside, synced and renamed. A snapshot is only a shortcut:
one that is damaged, of another format, or that does not belong to this journal is passed over with a warning.
"""

import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.errors import StoreError
from store.halt_flag import sync_folder

KEPT = 3

_MAGIC = b"QDSNAP1\n"
_HEAD = struct.Struct(">8sIq32s32s")  # magic, format version, seq, chain hash, checksum


class Snapshot(NamedTuple):
    """A state as it was after journal row `seq`, whose hash was `chain_hash`; `blob` is for the engine to read."""

    seq: int
    chain_hash: bytes
    format_version: int
    blob: bytes


class Loaded(NamedTuple):
    """The newest usable snapshot, None where there is none, and why newer ones were passed over."""

    snapshot: Snapshot | None
    warnings: tuple[str, ...]


def save(folder: Path, seq: int, chain_hash: bytes, format_version: int, blob: bytes) -> Path:
    """Write a snapshot, durable before this returns, and keep the newest three. Raises `StoreError`.

    Reads no journal and may run in any thread; a failure costs only time at the next start.
    """
    target = folder / f"{seq:020}.snapshot"
    half = target.with_suffix(".part")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _write_synced(half, _pack(seq, chain_hash, format_version, blob))
        half.replace(target)
        sync_folder(folder)
        for old in _newest_first(folder)[KEPT:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        with suppress(OSError):
            half.unlink()
        raise StoreError(f"{target}: the snapshot cannot be written: {error.strerror}; "
                         "the next start reads more of the journal") from error
    return target


def load_latest(folder: Path, format_version: int, chain_hash_of: Callable[[int], bytes | None]) -> Loaded:
    """The newest snapshot of `format_version` whose checksum holds and whose hash is that of its journal row.

    `chain_hash_of` gives the journal's hash at a row, as `store.read.chain_hash` does.
    """
    warnings: list[str] = []
    for path in _newest_first(folder):
        found = _read(path)
        if isinstance(found, str):
            warnings.append(f"{path.name}: {found}")
        elif found.format_version != format_version:
            warnings.append(f"{path.name}: format {found.format_version}, this program reads {format_version}")
        elif chain_hash_of(found.seq) != found.chain_hash:
            warnings.append(f"{path.name}: is not of this journal: row {found.seq} is missing or has another hash")
        else:
            return Loaded(found, tuple(warnings))
    return Loaded(None, tuple(warnings))


def sound_after(folder: Path, seq: int) -> Sequence[tuple[int, Path]]:
    """The snapshots whose checksum holds and that are of a later row than `seq`, newest first, each with its row."""
    later = [path for path in _newest_first(folder) if path.stem.isdecimal() and int(path.stem) > seq]
    return [(found.seq, path) for path in later if isinstance(found := _read(path), Snapshot) and found.seq > seq]


def _newest_first(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("*.snapshot"), reverse=True)


def _pack(seq: int, chain_hash: bytes, format_version: int, blob: bytes) -> bytes:
    checksum = _checksum(seq, chain_hash, format_version, blob)
    return _HEAD.pack(_MAGIC, format_version, seq, chain_hash, checksum) + blob


def _read(path: Path) -> Snapshot | str:
    """A snapshot file's content, or what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if len(content) < _HEAD.size or not content.startswith(_MAGIC):
        return "is not a whole snapshot"
    _, format_version, seq, chain_hash, checksum = _HEAD.unpack_from(content)
    blob = content[_HEAD.size:]
    if _checksum(seq, chain_hash, format_version, blob) != checksum:
        return "does not match its checksum"
    return Snapshot(seq, chain_hash, format_version, blob)


def _checksum(seq: int, chain_hash: bytes, format_version: int, blob: bytes) -> bytes:
    return hashlib.sha256(_HEAD.pack(_MAGIC, format_version, seq, chain_hash, bytes(32)) + blob).digest()


def _write_synced(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
