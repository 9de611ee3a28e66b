"""Rehearsals are kept as evidence; one that failed is an alert."""

import math

from engine.golive_events import RehearsalRecorded
from engine.golive_words import RecordRehearsal, Rehearsed
from engine.service import AlertLevel, Refusal
from engine.turn import Turn

CODE = "rehearsal"


def record(turn: Turn, command: RecordRehearsal) -> None:
    """Keep what was rehearsed, the newest of each incident; refused where it is none."""
    refusal = _unusable(command.found)
    if refusal is not None:
        turn.refuse(command.command_id, "record a rehearsal", refusal)
        return
    turn.emit(RehearsalRecorded(command.version, command.found, command.by, command.command_id))
    for one in command.found:
        if not one.passed:
            missed = "; ".join(f"{measure.name} {measure.found}, asked {measure.bound}" for measure in one.measures
                               if not measure.met)
            turn.alert(AlertLevel.ERROR, CODE, one.incident, f"the rehearsal of {one.incident} FAILED: {missed}")
    passed = sum(one.passed for one in command.found)
    turn.accept(command.command_id, f"{passed} of {len(command.found)} rehearsals passed and are recorded")


def _unusable(found: tuple[Rehearsed, ...]) -> Refusal | None:
    if not found or any(not one.measures for one in found):
        return Refusal("rehearsal", "incidents with measures", "none", "that is no rehearsal: nothing was measured")
    if not all(math.isfinite(one.unprotected_seconds) and one.unprotected_seconds >= 0 for one in found):
        return Refusal("rehearsal", "finite seconds, none below 0", "others", "that is no rehearsal: its seconds cannot be")
    return None
