"""Recordings of runs: what a replay answers from, out of the archive or out of one file that can be handed on.

The file is gzipped JSON lines: a heading, then the rows of the archive. No key is in it, because none is ever in a request.
"""

import gzip
import zlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.errors import StoreError, UsageError
from engine.research.models import Answered, Unavailable
from store.research_archive import Kept, KeptAsked, KeptCall, KeptSnapshot, ResearchArchive

FORMAT = 1
MOST_BYTES = 1 << 30
_rows = msgspec.json.Decoder(KeptCall | KeptSnapshot | KeptAsked)


class Heading(msgspec.Struct, frozen=True):
    """The first line of a recording's file."""

    quarterdeck_recording: int
    runs: tuple[str, ...]


class RunRecording:
    """The rows of one run: what it was asked, and every call by its request and occurrence."""

    def __init__(self, run_id: str, rows: Iterable[Kept]) -> None:
        mine = [row for row in rows if not isinstance(row, KeptSnapshot) and row.run_id == run_id]
        self.run_id = run_id
        self.asked = tuple(row for row in mine if isinstance(row, KeptAsked))
        self._calls = {(row.call_hash, row.occurrence): row for row in mine if isinstance(row, KeptCall)}

    def recorded(self, call_hash: str, occurrence: int) -> Answered | Unavailable | None:
        found = self._calls.get((call_hash, occurrence))
        return None if found is None else found.answer


def recording_of(archive: ResearchArchive, run_id: str) -> RunRecording:
    """A run of the archive; raises `UsageError` where it holds none of that name, `StoreError` where its texts were removed."""
    asked = archive.asked(run_id)
    if not asked and (removed_ns := archive.removed_at_ns(run_id)):
        raise StoreError(f"NOT_RECORDED: run {run_id}: its texts were removed on {day_of(removed_ns)} for their age "
                         "([research] keep_days); a backup of before holds them")
    if not asked:
        raise UsageError(f'{archive.path}: holds no run "{run_id}"; `quarterdeck decisions` names the runs')
    return RunRecording(run_id, (*asked, *archive.calls(run_id)))


def day_of(at_ns: int) -> str:
    """The day of UTC, such as 2026-11-20."""
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).date().isoformat()


def export_runs(archive: ResearchArchive, runs: Sequence[str], target: Path) -> int:
    """Write runs into one file, which must not be there yet; how many rows it holds. Raises `UsageError`, `StoreError`."""
    rows: list[Kept] = []
    for run_id in runs:
        recording_of(archive, run_id)
        rows += [*archive.asked(run_id), *archive.calls(run_id), *archive.snapshots_of(run_id)]
    try:
        with target.open("xb") as plain, gzip.GzipFile(filename="", mode="wb", fileobj=plain, mtime=0) as file:
            for row in (Heading(FORMAT, tuple(runs)), *rows):
                file.write(msgspec.json.encode(row) + b"\n")
    except FileExistsError as error:
        raise UsageError(f"{target}: exists already; name another file") from error
    except OSError as error:
        raise StoreError(f"{target}: the recording cannot be written: {error.strerror or error}") from error
    return len(rows)


def read_file(path: Path) -> tuple[Heading, tuple[Kept, ...]]:
    """The rows of an exported file; raises `StoreError` with the line that is none of ours."""
    number = 0
    try:
        with gzip.open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise StoreError(f"{path}: is larger than a recording may be, {MOST_BYTES >> 20} MiB; export fewer runs")
        lines = content.splitlines()
        heading = msgspec.json.decode(lines[0] if lines else b"", type=Heading)
        if heading.quarterdeck_recording > FORMAT:
            raise StoreError(f"{path}: was written by a newer program; install the newer quarterdeck")
        rows: list[Kept] = []
        for line in lines[1:]:
            number += 1
            rows.append(_rows.decode(line))
    except (OSError, EOFError, zlib.error) as error:
        raise StoreError(f"{path}: cannot be read as a recording: {getattr(error, 'strerror', None) or error}") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}:{number + 1}: not a row of a recording ({error})") from error
    return heading, tuple(rows)


def recording_in(path: Path, run_id: str = "") -> RunRecording:
    """A run of an exported file, the only one where none is named; raises `UsageError`, `StoreError`."""
    heading, rows = read_file(path)
    if not run_id and len(heading.runs) != 1:
        raise UsageError(f"{path}: holds {len(heading.runs)} runs ({', '.join(heading.runs)}); name one")
    found = RunRecording(run_id or heading.runs[0], rows)
    if not found.asked:
        raise UsageError(f'{path}: holds no run "{found.run_id}"; it holds {", ".join(heading.runs)}')
    return found


def import_file(archive: ResearchArchive, path: Path) -> Heading:
    """Put the runs of a file into the archive; what lies there already stays. Raises `StoreError`."""
    heading, rows = read_file(path)
    archive.keep(rows)
    return heading
