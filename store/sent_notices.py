"""The record of what was told to whom: JSON lines in the home's logs, the older half set aside once it is long."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from engine.errors import HomeUnusable

SENT_FILE = "notices.jsonl"
LONGEST_BYTES = 1 << 20


def record_sent(folder: Path, line: object) -> None:
    """Append one line; raises `OSError`."""
    path = folder / SENT_FILE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LONGEST_BYTES:
        path.replace(path.with_suffix(".old.jsonl"))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(line) + b"\n")
    finally:
        os.close(descriptor)


def read_sent(folder: Path, count: int) -> Sequence[dict[str, object]]:
    """The newest lines, oldest first; one that a crash cut short is left out. Raises `HomeUnusable`."""
    found: list[dict[str, object]] = []
    path = folder / SENT_FILE
    for one in (path.with_suffix(".old.jsonl"), path):
        try:
            lines = one.read_bytes().splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise HomeUnusable(f"{one}: cannot be read: {error.strerror}; check its permissions") from error
        for line in lines:
            try:
                found.append(msgspec.json.decode(line, type=dict[str, object]))
            except msgspec.DecodeError:
                continue
    return found[-count:]
