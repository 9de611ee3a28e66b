"""`python -m tests.bench.attach`: what looking in on a running engine costs.

From the command to the first screen with the engine's numbers on it, beside the start of a bare interpreter; from connecting to
the first snapshot, beside one exchange of a byte over such a socket; and what pushing ten snapshots a second costs the engine's
process and each client with 50 positions, 60 quotes and 50 orders, for one to eight clients, beside merely moving those bytes.
Aims: first screen at most 1.5 s, first snapshot at most 50 ms, at most 1 % of a core for the engine and each further client.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from engine.errors import EngineUnreachable
from engine.inputs import PlaceOrder
from engine.service import Mode, Receipt, Refusal, Snapshot
from tests.bench.startup import environment, first_paint
from tests.tui.views import order, position, quote, snapshot
from tui.control import ControlServer
from tui.control_client import ControlClient
from tui.control_protocol import PROTOCOL, Hello, snapshot_line

ROUNDS = 5
CONNECTS = 50
STREAM_SECONDS = 5.0
SNAPSHOT_SECONDS = 0.1
CLIENTS = (1, 2, 4, 8)
PATIENCE_SECONDS = 30.0
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


class Ticking:
    """A service whose 50 positions have another mark ten times a second."""

    def __init__(self) -> None:
        self.newest = full_snapshot(1)

    def latest(self) -> Snapshot:
        return self.newest

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        seen = 0
        while True:
            if self.newest.version != seen:
                seen = self.newest.version
                yield self.newest
            await asyncio.sleep(SNAPSHOT_SECONDS / 10)

    async def send(self, command: Any) -> Receipt:
        return Receipt(command.command_id, accepted=True, seq=1)

    async def what_if(self, wanted: PlaceOrder) -> Refusal:
        return Refusal("", "", "", wanted.symbol)

    async def bars(self, instrument_id: str, limit: int) -> list[Any]:
        return [instrument_id, limit][:0]

    async def performance(self, query: Any) -> Any:
        return query

    async def research(self, query: Any) -> Any:
        return query


def full_snapshot(version: int) -> Snapshot:
    mark = Decimal(19_000 + version % 100) / 100
    return snapshot(version, positions=tuple(position(f"SYM{number}", mark=mark) for number in range(50)),
                    quotes=tuple(quote(f"SYM{number}", last=str(mark)) for number in range(60)),
                    orders=tuple(order(f"QD-1-{number}") for number in range(50)))


def serve(path: Path) -> None:
    """The process whose cost is measured: the control socket and a new snapshot ten times a second."""
    service = Ticking()
    server = ControlServer(service, path, Hello(PROTOCOL, "0.1.0", "e1", Mode.PAPER, os.getpid()), lambda: None)
    made = [full_snapshot(number) for number in range(1, 101)]
    server.start()
    number = 0
    while True:
        number += 1
        service.newest = msgspec.structs.replace(made[number % 100], version=number + 1)
        time.sleep(SNAPSHOT_SECONDS)


def watch(path: Path) -> None:
    """A client without a screen: takes and decodes every snapshot."""
    client = ControlClient(path, "0.1.0")

    async def take() -> None:
        async for _ in client.snapshots():
            pass

    asyncio.run(take())


def begun(what: str, path: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "tests.bench.attach", what, str(path)])


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            ControlClient(path, "0.1.0").close()
        except EngineUnreachable:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{path}: nobody answers")


def first_screen(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / "config.toml").write_text("[market]\nalways_open = true\n[health]\nport = 0\n", encoding="utf-8")
    engine = subprocess.Popen([sys.executable, "-m", "tui.cli", "run", "--headless"], env=environment(home),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(home / "engine.sock")
        bare = []
        for _ in range(ROUNDS):
            began = time.monotonic()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            bare.append(time.monotonic() - began)
        seconds = median(first_paint(home, "attach", idle=False, painted=b"journal")[0] for _ in range(ROUNDS))
        print(f"attach, command to first screen     {seconds:6.2f} s   {seconds / median(bare):6.1f} x a bare interpreter")
        first_snapshot(home / "engine.sock", "a real engine")
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(PATIENCE_SECONDS)


def first_snapshot(path: Path, of_what: str) -> None:
    took = []
    for _ in range(CONNECTS):
        began = time.perf_counter()
        client = ControlClient(path, "0.1.0")

        async def first(client: ControlClient = client) -> None:
            async for _ in client.snapshots():
                return

        asyncio.run(first())
        took.append(time.perf_counter() - began)
        client.close()
    milliseconds = 1_000 * median(took)
    ratio = milliseconds / 1_000 / byte_seconds()
    print(f"connect to first snapshot           {milliseconds:6.2f} ms  {ratio:6.0f} x a byte and back ({of_what})")


def byte_seconds() -> float:
    """One byte to another thread over a pair of sockets, and one back."""
    near, far = socket.socketpair()

    def echo() -> None:
        while got := far.recv(1):
            far.sendall(got)

    threading.Thread(target=echo, daemon=True).start()
    began = time.perf_counter()
    for _ in range(1_000):
        near.sendall(b"x")
        near.recv(1)
    seconds = (time.perf_counter() - began) / 1_000
    near.close()
    return seconds


def bytes_cpu_fraction(size: int) -> float:
    """The share of a core that writing and reading so many bytes ten times a second takes, and nothing else."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    payload, began = b"x" * size, time.process_time()
    for _ in range(200):
        sent = 0
        while sent < size:
            sent += near.send(payload[sent:sent + 65_536])
            far.recv(1 << 20)
    return (time.process_time() - began) / 200 / SNAPSHOT_SECONDS


def streams(folder: Path) -> None:
    path = folder / "stream.sock"
    size = len(snapshot_line(full_snapshot(1)))
    least = bytes_cpu_fraction(size)
    print(f"one snapshot of 50 positions        {size / 1_024:6.1f} KiB, {size / SNAPSHOT_SECONDS / 1_024:.0f} KiB/s a client; "
          f"moving the bytes alone takes {100 * least:.2f} % of a core")
    server = begun("serve", path)
    clients: list[subprocess.Popen[bytes]] = []
    try:
        wait_for(path)
        print(f"clients {0:2}   engine's process {100 * busy(server.pid):5.2f} % of a core")
        for wanted in CLIENTS:
            clients += [begun("watch", path) for _ in range(wanted - len(clients))]
            time.sleep(2)
            began = [cpu_seconds(one.pid) for one in clients]
            engine = busy(server.pid)
            each = median(cpu_seconds(one.pid) - before for one, before in zip(clients, began, strict=True)) / STREAM_SECONDS
            share = engine / wanted
            print(f"clients {wanted:2}   engine's process {100 * engine:5.2f} % of a core, {100 * share:5.2f} % a client "
                  f"({share / least:4.1f} x the bytes)   a client {100 * each:5.2f} %")
    finally:
        for one in (*clients, server):
            one.kill()
            one.wait()


def busy(pid: int) -> float:
    began = cpu_seconds(pid)
    time.sleep(STREAM_SECONDS)
    return (cpu_seconds(pid) - began) / STREAM_SECONDS


def main() -> None:
    if len(sys.argv) == 3:
        {"serve": serve, "watch": watch}[sys.argv[1]](Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        first_screen(Path(folder))
        streams(Path(folder))


if __name__ == "__main__":
    main()
