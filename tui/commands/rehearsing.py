"""`rehearse`: incidents played on the paper venue with the real engine, scored, and kept as evidence."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError, UsageError
from engine.golive_words import Incident, RecordRehearsal, Rehearsed
from tui.commands.arming import person
from tui.commands.link import command_id, engine_link
from tui.commands.trading import refusal_line
from tui.formats import MISSING
from tui.printing import numbers, print_json, print_note, print_table, words
from tui.version import VERSION

if TYPE_CHECKING:
    from engine.inputs import Settings


def rehearse(path: Path, names: Sequence[str], *, every: bool, seed: int, record: bool, as_json: bool) -> int:
    """Play the named incidents, or every one, and keep what came of it; 1 where one did not pass."""
    incidents = _chosen(names, every=every)
    settings = _settings(path)
    found = [_played(incident, seed, settings) for incident in incidents]
    told = _recorded(path, found) if record else "not recorded (--no-record)"
    passed = all(one.passed for one in found)
    if as_json:
        print_json({"version": VERSION, "passed": passed, "recorded": record,
                    "incidents": [{"passed": one.passed, **_plain(one)} for one in found]})
    else:
        _show(found)
        print_note(told)
    return 0 if passed else 1


def list_incidents(seed: int, *, as_json: bool) -> int:
    """Every incident, and what happens in it with this seed."""
    from engine.rehearsal.scenes import scene_of

    scenes = [scene_of(incident, seed) for incident in Incident]
    if as_json:
        print_json([{"incident": one.incident, "about": one.about, "seconds": one.seconds} for one in scenes])
        return 0
    print_table((*words("incident", "what happens"), *numbers("market seconds")),
                [[one.incident, one.about, f"{one.seconds:.0f}"] for one in scenes], empty="")
    return 0


def _plain(one: Rehearsed) -> dict[str, object]:
    import msgspec

    plain: dict[str, object] = msgspec.to_builtins(one)
    return plain


def _chosen(names: Sequence[str], *, every: bool) -> tuple[Incident, ...]:
    """The incidents to play; raises `UsageError` where one is not known, or where none is named."""
    if every and not names:
        return tuple(Incident)
    known = ", ".join(Incident)
    if every or not names:
        raise UsageError(f"rehearse: name incidents or say --all; there is: {known}")
    unknown = [name for name in names if name not in set(Incident)]
    if unknown:
        raise UsageError(f"rehearse {unknown[0]}: no such incident; there is: {known}")
    return tuple(dict.fromkeys(Incident(name) for name in names))


def _settings(path: Path) -> "Settings":
    """The deadlines of the home's configuration; its strategies have no part in a rehearsal, and their files are not read."""
    from engine.config import load_config
    from tui.commands.link import existing_home
    from tui.compose_rehearsal import rehearsal_settings

    config = load_config(existing_home(path).config)
    return rehearsal_settings(config.model_copy(update={"strategies": ()}).settings())


def _played(incident: Incident, seed: int, settings: "Settings") -> Rehearsed:
    from tui.compose_rehearsal import rehearse as play

    print(f"{incident} … ", end="", file=sys.stderr, flush=True)
    try:
        found = play(incident, seed, settings)
    except BaseException:
        print(file=sys.stderr)
        raise
    print("passed" if found.passed else "FAILED", file=sys.stderr, flush=True)
    return found


def _recorded(path: Path, found: Sequence[Rehearsed]) -> str:
    """Hand it to the engine of the home; raises `QuarterdeckError` where it is refused."""
    with engine_link(path) as link:
        receipt = link.send_now(RecordRehearsal(command_id(), VERSION, tuple(found), person()))
    if receipt.refusal is not None:
        raise QuarterdeckError(f"not recorded: {refusal_line(receipt.refusal)}")
    return f"{receipt.text}; `quarterdeck golive` says what else real money asks for"


def _show(found: Sequence[Rehearsed]) -> None:
    """A line for each incident, and below it every bound that was not kept."""
    rows = [[one.incident, "passed" if one.passed else "FAILED", _seconds(one.safe_seconds), _seconds(one.flat_seconds),
             f"{one.unprotected_seconds:.1f} s", str(one.drift_lots), str(one.duplicates),
             "; ".join(f"{measure.name}: {measure.bound}" for measure in one.measures if measure.name in ("unprotected", "flat"))]
            for one in found]
    columns = (*words("incident", "verdict"), *numbers("safe again", "flat", "unprotected", "drift", "twice"),
               *words("asked"))
    print_table(columns, rows, empty="nothing was rehearsed")
    for one in found:
        for measure in one.measures:
            if not measure.met:
                print(f"{one.incident}, seed {one.seed}: {measure.name} was {measure.found}; asked: {measure.bound}")


def _seconds(seconds: float | None) -> str:
    return MISSING if seconds is None else f"{seconds:.1f} s"
