"""`python -m tests.bench.startup`: from the command to the first paint and to a ready headless engine, idle memory, short words.

Aims, bytecode present: first paint at most 1.5 s, headless ready at most 0.5 s; idle at most 120 MiB with the screen and 80 MiB
headless; `--version` within 60 ms, other short commands within 0.25 s. Printed beside the time of a bare `python -c pass`, the
least that any command takes here. Seconds of the processor are those of all threads until then: they say more than the clock
where others are at work too. The screen runs in a pseudo-terminal of 120x35; painted is when the panic key is on it.
"""

import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROUNDS = 5
IDLE_SECONDS = 5.0
PATIENCE_SECONDS = 30.0


SHORT_COMMANDS = (("--version",), ("--help",), ("status",), ("positions",))
NS_PER_SECOND = 1e9


class Start(NamedTuple):
    """Seconds by the clock and of the processor, and MiB once idle (0 where nobody waited for that)."""

    seconds: float
    processor_seconds: float
    memory_mib: float = 0.0


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"QUARTERDECK_HOME": str(home), "TERM": "xterm-256color"}


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1_024


def processor_seconds(pid: int) -> float:
    """What all threads of a process have computed so far."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in tasks) / NS_PER_SECOND


def first_paint(home: Path, *arguments: str, idle: bool, painted: bytes = b"HALT") -> Start:
    """From the command to the first painted screen."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "tui.cli", *arguments], environment(home))  # noqa: S606 - the program itself
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 35, 120, 0, 0))
    seen = b""
    while painted not in seen and time.monotonic() - began < PATIENCE_SECONDS:
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65_536)
    seconds, computed = time.monotonic() - began, processor_seconds(pid)
    memory = 0.0
    if idle:
        until = time.monotonic() + IDLE_SECONDS
        while time.monotonic() < until:
            if select.select([terminal], [], [], 0.1)[0]:
                os.read(terminal, 65_536)
        memory = resident_mib(pid)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return Start(seconds, computed, memory)


def headless_ready(home: Path, *, idle: bool) -> Start:
    """Until the headless engine says that it is ready."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tui.cli", "run", "--headless"], env=environment(home),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    seconds, computed = time.monotonic() - began, processor_seconds(process.pid)
    if idle:
        time.sleep(IDLE_SECONDS)
    memory = resident_mib(process.pid)
    process.kill()
    process.wait()
    return Start(seconds, computed, memory)


def whole(home: Path, *arguments: str) -> Start:
    """A process from its beginning to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, env=environment(home), stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    seconds, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Start(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def told(name: str, starts: list[Start], least: float, rest: str = "") -> str:
    seconds = [one.seconds for one in starts]
    return (f"{name:28} {median(seconds):6.3f} s (median of {len(starts)}, worst {max(seconds):.3f}{rest}; "
            f"{median(seconds) / least:.0f}x bare; processor {median(one.processor_seconds for one in starts):.3f} s)")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="quarterdeck-startup-") as folder:
        home = Path(folder) / "home"
        bare = [whole(home, "-c", "pass") for _ in range(ROUNDS)]
        least = median(one.seconds for one in bare)
        print(told("bare python", bare, least))
        for name, measure in (("first paint", first_paint), ("headless ready", headless_ready)):
            first = measure(home, idle=False)
            starts = [measure(home, idle=False) for _ in range(ROUNDS)]
            print(told(name, starts, least, f", on a new home {first.seconds:.3f}"),
                  f"  idle {measure(home, idle=True).memory_mib:.0f} MiB")
        for command in SHORT_COMMANDS:
            print(told(" ".join(command), [whole(home, "-m", "tui.cli", *command) for _ in range(ROUNDS)], least))


if __name__ == "__main__":
    main()
