"""`health`: what is well with the running engine and what is not, as the engine and its watchers see it."""

import time
from pathlib import Path

from engine.errors import EngineUnreachable
from engine.health import engines_now_ns, health_lines, verdict_of
from engine.health_words import HealthLine, Verdict
from tui.commands.link import connect, existing_home
from tui.printing import print_json, print_table, words


def health(path: Path, *, as_json: bool) -> int:
    """Every finding, one a line; 1 where something fails. Raises `EngineUnreachable` where no engine runs or answers."""
    lines = running_health(path)
    verdict = verdict_of(lines)
    if as_json:
        print_json({"verdict": verdict, "lines": lines})
    else:
        print_table(words("", "what", "found", "what to do"),
                    [[line.verdict.value, line.subject, line.found, line.remedy] for line in lines], empty="")
    return 1 if verdict is Verdict.FAIL else 0


def running_health(path: Path) -> tuple[HealthLine, ...]:
    """The health of the engine that holds a home; raises `EngineUnreachable`."""
    home = existing_home(path)
    if home.holder_pid() is None:
        raise EngineUnreachable("no engine runs here; `quarterdeck run --headless` starts one")
    client = connect(home)
    try:
        snapshot = client.snapshot_now()
        return health_lines(snapshot, engines_now_ns(snapshot, time.time_ns()))
    finally:
        client.close()
