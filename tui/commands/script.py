"""Scripts of timed commands for a replay: one JSON object a line, with the time and the command.

    {"at": "2024-03-01T14:30:00Z", "command": {"type": "PlaceOrder", "symbol": "AAPL", "side": "BUY", "quantity": "10"}}

`at` is an ISO time (UTC where it names no zone), a span after the tape's first item such as "+90m", or nanoseconds.
Empty lines and lines that begin with # are left out. A command without `command_id` is named by its line.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.errors import UsageError
from engine.inputs import Command
from engine.units import NS_PER_SECOND
from tui.commands.parsing import seconds_of
from tui.control_protocol import command_decoder

type TimedCommand = tuple[int, Command]


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    at: str | int
    command: dict[str, object]


_decoder = msgspec.json.Decoder(_Line)


def read_script(path: Path, tape_start_ns: int) -> tuple[TimedCommand, ...]:
    """The commands of a script by time, those of the same time in the order of the file.

    Raises `UsageError` naming file and line where something in it is not understood.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the script cannot be read: {error}") from error
    timed = [_timed(line, f"{path}:{number}", number, tape_start_ns)
             for number, line in enumerate(lines, start=1) if line.strip() and not line.lstrip().startswith("#")]
    return tuple(sorted(timed, key=lambda one: one[0]))


def _timed(line: str, where: str, number: int, tape_start_ns: int) -> TimedCommand:
    try:
        read = _decoder.decode(line.encode())
        read.command.setdefault("command_id", f"script-{number}")
        command = command_decoder.decode(msgspec.json.encode(read.command))
    except msgspec.DecodeError as error:
        raise UsageError(f"{where}: {error}") from error
    return _time_ns(read.at, where, tape_start_ns), command


def _time_ns(at: str | int, where: str, tape_start_ns: int) -> int:
    if isinstance(at, int):
        return at
    if at.startswith("+"):
        return tape_start_ns + seconds_of(at[1:], f"{where}: at") * NS_PER_SECOND
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(f'{where}: at = "{at}": must be an ISO time, a span such as "+90m", or nanoseconds') from None
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    whole = aware.replace(microsecond=0)
    return int(whole.timestamp()) * NS_PER_SECOND + aware.microsecond * 1_000
