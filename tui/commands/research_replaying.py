"""Recorded runs on the command line: replayed with no model asked, written to a file, taken from one."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import UsageError
from tui.printing import numbers, print_error, print_json, print_table, words

if TYPE_CHECKING:
    from engine.research.replay import Replayed
    from store.research_archive import ResearchArchive
    from store.research_recording import RunRecording


def replay(path: Path, named: str, symbols: tuple[str, ...], *, as_json: bool) -> int:
    """Replay a run of the archive, or of a file, or those symbols of it; 1 where anything came out otherwise than it was
    recorded."""
    recording = _recording(path, named)
    found = asyncio.run(_replayed(recording))
    if symbols:
        wanted = {symbol.upper() for symbol in symbols}
        found = [one for one in found if one.symbol.upper() in wanted]
        if not found:
            raise UsageError(f'run {recording.run_id} did not look at {", ".join(symbols)}')
    same = all(one.is_same for one in found)
    if as_json:
        print_json({"run_id": recording.run_id, "identical": same, "instruments": [_facts(one) for one in found]})
        return int(not same)
    cells = [[one.symbol, decided.analyst, decided.stance.value, _percent(one, index), decided.code or "-",
              "yes" if one.is_same else "NO"] for one in found for index, decided in enumerate(one.decided)]
    print_table((*words("symbol", "analyst", "stance"), *numbers("p up"), *words("code", "identical")), cells,
                empty="the run looked at nothing")
    if same:
        print(f"run {recording.run_id}: identical, no model was asked")
    for one in found:
        if not one.is_same:
            print_error(f"run {recording.run_id}: {one.symbol}: {_difference(one)}")
    return int(not same)


def export_run(path: Path, run_id: str, target: Path) -> int:
    """Write a run with all that a replay needs into one file; no key is in it."""
    from store.research_recording import export_runs

    archive = _archive(path)
    try:
        rows = export_runs(archive, [run_id], target)
    finally:
        archive.close()
    print(f"{target}: run {run_id}, {rows} rows; `quarterdeck research run --replay {target}` replays it")
    return 0


def import_runs(path: Path, source: Path) -> int:
    """Take the runs of a file into the archive; what lies there already stays."""
    from store.research_archive import ARCHIVE_FILE, ResearchArchive
    from store.research_recording import import_file
    from tui.commands.link import existing_home

    archive = ResearchArchive(existing_home(path).path / ARCHIVE_FILE)
    try:
        heading = import_file(archive, source)
    finally:
        archive.close()
    print(f"{source}: {', '.join(heading.runs)} taken in; `quarterdeck research run --replay {heading.runs[0]}` replays it")
    return 0


def _recording(path: Path, named: str) -> "RunRecording":
    """A file where one of that name is there, else a run of the archive."""
    from store.research_recording import recording_in, recording_of

    file = Path(named).expanduser()
    if file.is_file():
        return recording_in(file)
    archive = _archive(path)
    try:
        return recording_of(archive, named)
    finally:
        archive.close()


def _archive(path: Path) -> "ResearchArchive":
    from store.research_archive import ARCHIVE_FILE, ResearchArchive
    from tui.commands.link import existing_home

    return ResearchArchive(existing_home(path).path / ARCHIVE_FILE, read_only=True)


async def _replayed(recording: "RunRecording") -> "list[Replayed]":
    from engine.research.replay import replayed

    return [await replayed(one.body, one.digest, recording) for one in recording.asked]


def _facts(one: "Replayed") -> dict[str, object]:
    return {"symbol": one.symbol, "identical": one.is_same, "digest": one.digest, "recorded": one.recorded, "misses": one.misses,
            "decisions": one.decided}


def _percent(one: "Replayed", index: int) -> str:
    worth = one.decided[index].worth
    return "-" if worth is None else f"{100 * worth.p_cal:.1f} %"


def _difference(one: "Replayed") -> str:
    if one.misses:
        return f"NOT_RECORDED: {one.misses} calls are not in the recording; none was made"
    if not one.recorded:
        return "the recorded run never ended, so there is nothing to hold it against"
    return "came out otherwise than it was recorded; was it recorded by another version of the program?"
