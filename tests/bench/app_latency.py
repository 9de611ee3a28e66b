"""Key press to repaint while 500 quotes a second over 50 instruments arrive; first paint; memory at rest.

The app runs as it does for a person: in a pseudo-terminal, in a process of its own. The harness presses a cursor key,
reads what comes back and stops the clock at the first byte of the repaint that shows the cursor elsewhere. Aimed at: p50
below 16 ms and p99 below 100 ms under load, first paint below 1.5 s.

    uv run python -m tests.bench.app_latency
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from pathlib import Path

KEYS = 120
INSTRUMENTS = 50
QUOTES_PER_SECOND = 500
CURSOR = "▌".encode()
ROOT = Path(__file__).resolve().parents[2]


def child(quotes_per_second: int) -> None:
    """The app on a service that publishes as the engine does: ten snapshots a second, some quotes newer in each."""
    import asyncio
    from decimal import Decimal

    import msgspec

    from tests.tui.scripted_service import ScriptedService
    from tests.tui.views import NOW_NS, position, quote, snapshot
    from tui.app import QuarterdeckApp
    from tui.widgets.background import start

    quotes = [quote(f"SYM{index:02}", "100.00") for index in range(INSTRUMENTS)]
    held = [position(f"SYM{index:02}") for index in range(20)]

    class Busy(ScriptedService):
        async def churn(self) -> None:
            version, at = 1, 0
            while True:
                await asyncio.sleep(0.1)
                version += 1
                for _ in range(quotes_per_second // 10):
                    at += 1
                    index = at % INSTRUMENTS
                    last = Decimal(10_000 + (at * 7 + index) % 400) / 100
                    quotes[index] = msgspec.structs.replace(quotes[index], last=last, bid=last, ask=last)
                    if index < len(held):
                        held[index] = msgspec.structs.replace(held[index], mark=last, pnl=(last - 100) * 120)
                self.publish(snapshot(version, at_ns=NOW_NS + version * 100_000_000, quotes=tuple(quotes),
                                      positions=tuple(held)))

    class BenchApp(QuarterdeckApp):
        def on_ready(self) -> None:
            if quotes_per_second:
                start(self, service.churn)

    service = Busy(snapshot(quotes=tuple(quotes), positions=tuple(held)))
    BenchApp(service).run()


def measure(quotes_per_second: int) -> tuple[float, list[float], float, float]:
    """First paint in seconds, latencies in milliseconds, resident memory in MiB, processor share of the child."""
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execv(sys.executable, [  # noqa: S606 - our own program
            sys.executable, "-m", "tests.bench.app_latency", "child", str(quotes_per_second)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 35, 120, 0, 0))
    seen = b""
    while b"Positions 20" not in seen or b"SYM00" not in seen:
        seen += read(terminal, 10.0)
    first_paint = time.perf_counter() - started
    settle(terminal, 1.5)
    used_before, wall_before = processor_seconds(pid), time.perf_counter()
    latencies = [press(terminal, index) for index in range(KEYS)]
    share = (processor_seconds(pid) - used_before) / (time.perf_counter() - wall_before)
    memory = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return first_paint, latencies, memory, share


def press(terminal: int, index: int) -> float:
    """Press down or up and wait for the cursor bar to be drawn; milliseconds."""
    settle(terminal, 0.02 + index % 7 * 0.013)
    key = b"\x1b[B" if index % 30 < 15 else b"\x1b[A"
    started = time.perf_counter()
    os.write(terminal, key)
    seen = b""
    while CURSOR not in seen and time.perf_counter() - started < 5:
        seen += read(terminal, 1.0)
    return (time.perf_counter() - started) * 1000


def settle(terminal: int, seconds: float) -> None:
    """Read and drop what comes for a while."""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        read(terminal, left)


def read(terminal: int, seconds: float) -> bytes:
    ready, _, _ = select.select([terminal], [], [], seconds)
    return os.read(terminal, 65_536) if ready else b""


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the table."""
    print(f"{'load':24}{'first paint':>12}{'p50':>9}{'p95':>9}{'p99':>9}{'max':>9}{'memory':>11}{'processor':>11}")
    for load in (0, QUOTES_PER_SECOND, 5_000):
        first_paint, latencies, memory, share = measure(load)
        ordered = sorted(latencies)
        p95, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] for part in (0.95, 0.99))
        p50 = statistics.median(ordered)
        print(f"{f'{load} quotes/s, {INSTRUMENTS} instr.':24}{first_paint:>10.2f} s{p50:>6.1f} ms"
              f"{p95:>6.1f} ms{p99:>6.1f} ms{ordered[-1]:>6.1f} ms{memory:>7.0f} MiB{share:>10.0%}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]))
    else:
        main()
