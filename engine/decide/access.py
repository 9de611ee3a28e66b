"""A code was tried: it opens something once, unless too many were wrong a moment ago. The clock is the engine's, and a restart
changes nothing of it."""

from engine.access import A_WAIT, LONGEST_WAIT_SECONDS, TryCode, wait_ns
from engine.access_events import AccessDenied, AccessGranted
from engine.effects import Answer
from engine.service import AlertLevel, Receipt, Refusal
from engine.turn import Turn
from engine.units import NS_PER_SECOND

LOUD_AFTER = 3
CHECK = "access"


def try_code(turn: Turn, command: TryCode) -> None:
    """Grant what a right code opens. While the wait for an earlier wrong one lasts nothing is compared or recorded, so that
    trying fast neither finds a code nor fills the disk."""
    known = turn.state.access
    if turn.at_ns < known.retry_at_ns:
        seconds = -(-(known.retry_at_ns - turn.at_ns) // NS_PER_SECOND)
        turn.effects.append(Answer(Receipt(command.command_id, accepted=False, seq=turn.state.seq, refusal=Refusal(
            CHECK, A_WAIT, f"{seconds} s", f"the last code was wrong: try again in {seconds} s"))))
        return
    used = command.matched and 0 < command.step <= known.used_step
    if command.matched and not used:
        turn.emit(AccessGranted(command.by, command.way, command.what, command.step, command.command_id))
        turn.accept(command.command_id, f"unlocked: {command.what}")
        return
    _deny(turn, command, "that code was used before" if used else "that code is wrong")


def _deny(turn: Turn, command: TryCode, reason: str) -> None:
    failures = turn.state.access.failures + 1
    wait = wait_ns(failures)
    turn.emit(AccessDenied(command.by, command.what, reason, failures, turn.at_ns + wait, command.command_id))
    level = AlertLevel.ERROR if failures >= LOUD_AFTER else AlertLevel.WARN
    turn.alert(level, "access", "denied", f"{reason}: {command.by} wanted {command.what}; {failures} in a row, "
               f"the next try counts in {wait // NS_PER_SECOND} s (at most {LONGEST_WAIT_SECONDS} s)")
    turn.effects.append(Answer(Receipt(command.command_id, accepted=False, seq=turn.state.seq, refusal=Refusal(
        CHECK, "a right code", f"{failures} wrong", f"{reason}; the next try counts in {wait // NS_PER_SECOND} s"))))
