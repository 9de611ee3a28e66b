"""`python -m tests.bench.startup`: from the command to the first paint and to a ready headless engine, and idle memory.

Aims, bytecode present: first paint at most 1.5 s, headless ready at most 0.5 s; idle at most 120 MiB with the screen and 80 MiB
headless. Printed beside the time of a bare `python -c pass`, the least that any command takes here. The screen runs in a
pseudo-terminal of 120x35; painted is when the panic key is on it.
"""

import fcntl
import os
import pty
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

ROUNDS = 5
IDLE_SECONDS = 5.0
PATIENCE_SECONDS = 30.0


def environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"QUARTERDECK_HOME": str(home), "TERM": "xterm-256color"}


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1_024


def first_paint(home: Path, *arguments: str, idle: bool, painted: bytes = b"HALT") -> tuple[float, float]:
    """Seconds to the first painted screen, and MiB once idle."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-m", "tui.cli", *arguments], environment(home))  # noqa: S606 - the program itself
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 35, 120, 0, 0))
    seen = b""
    while painted not in seen and time.monotonic() - began < PATIENCE_SECONDS:
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 65_536)
    seconds = time.monotonic() - began
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
    return seconds, memory


def headless_ready(home: Path, *, idle: bool) -> tuple[float, float]:
    """Seconds until the headless engine says that it is ready, and MiB once idle."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "tui.cli", "run", "--headless"], env=environment(home),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    seconds = time.monotonic() - began
    if idle:
        time.sleep(IDLE_SECONDS)
    memory = resident_mib(process.pid)
    process.kill()
    process.wait()
    return seconds, memory


def bare_python() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.monotonic() - began


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="quarterdeck-startup-") as folder:
        home = Path(folder) / "home"
        least = median(bare_python() for _ in range(ROUNDS))
        print(f"bare python                  {least:6.3f} s")
        for name, measure in (("first paint", first_paint), ("headless ready", headless_ready)):
            first, _ = measure(home, idle=False)
            seconds = [measure(home, idle=False)[0] for _ in range(ROUNDS)]
            _, memory = measure(home, idle=True)
            print(f"{name:28} {median(seconds):6.3f} s (median of {ROUNDS}, worst {max(seconds):.3f}, on a new home {first:.3f}; "
                  f"{median(seconds) / least:.0f}x bare)   idle {memory:.0f} MiB")


if __name__ == "__main__":
    main()
