"""The control socket: both ends for real, over a Unix socket, in front of a small service that holds snapshots."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from engine.errors import EngineUnreachable, HomeLocked, JournalUnwritable, StoreError, UsageError
from engine.inputs import (
    AutomationLevel,
    Bar,
    Command,
    Connectivity,
    Flatten,
    Limits,
    PlaceOrder,
    SetTradingState,
    TradingState,
    TrailSpec,
)
from engine.orders import Side
from engine.service import (
    AccountView,
    CalibrationView,
    FigureView,
    HealthView,
    Mode,
    OrderCard,
    PerformanceQuery,
    PerformanceView,
    Receipt,
    Refusal,
    ResearchPage,
    ResearchQuery,
    ResearchQueryKind,
    Snapshot,
)
from tui.control import MAX_CONNECTIONS, ControlServer
from tui.control_client import ControlClient
from tui.control_protocol import MAX_REQUEST_BYTES, PROTOCOL, Hello

HELLO = Hello(protocol=PROTOCOL, version="0.1.0", engine_id="e1", mode=Mode.PAPER, pid=os.getpid())
HEALTH = HealthView(1, 0.0, 0.0, 0, 0.0, "", "")
DEADLINE_SECONDS = 60.0


def snapshot_at(version: int) -> Snapshot:
    return Snapshot(version=version, at_ns=version, mode=Mode.PAPER, engine_id="e1", accounts=(), positions=(),
                    orders=(), fills=(), proposals=(), alerts=(), quotes=(), flatten=None, health=HEALTH)


class HeldService:
    """A service whose snapshots the test publishes; it keeps the commands it was sent."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.failure: Exception | None = None
        self.never = False
        self._snapshot = snapshot_at(1)

    def publish(self, version: int) -> None:
        self._snapshot = snapshot_at(version)

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def latest(self) -> Snapshot:
        return self._snapshot

    async def snapshots(self) -> AsyncIterator[Snapshot]:
        seen = 0
        while True:
            if self._snapshot.version > seen:
                seen = self._snapshot.version
                yield self._snapshot
            await asyncio.sleep(0.005)

    async def send(self, command: Command) -> Receipt:
        if self.never:
            await asyncio.Event().wait()
        if self.failure is not None:
            raise self.failure
        self.commands.append(command)
        return Receipt(command_id=command.command_id, accepted=True, seq=7)

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return Refusal("size", "0.25", "0.5", f"{order.symbol} is too large")

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        if query.portfolio == "nowhere":
            raise UsageError("--portfolio nowhere: no such portfolio")
        figures = (FigureView("sharpe", "Sharpe", "ratio", None, "needs at least two days"),)
        return PerformanceView(query.portfolio, "USD", 2, query.from_ns, query.to_ns, 3, 252, query.period, figures)

    async def research(self, query: ResearchQuery) -> ResearchPage:
        if query.portfolio == "nowhere":
            raise UsageError("--portfolio nowhere: no such portfolio")
        return ResearchPage(calibration=CalibrationView((), (), (), query.limit))

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return [Bar(instrument_id, 0, 60, 1, 3, 1, 2, limit)]


@pytest.fixture
def service() -> HeldService:
    return HeldService()


@pytest.fixture
def stops() -> list[str]:
    return []


@pytest.fixture
def server(service: HeldService, stops: list[str], tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "engine.sock"
    server = ControlServer(service, path, HELLO, lambda: stops.append("stop"))
    server.start()
    yield path
    server.close()


@pytest.fixture
def client(server: Path) -> Iterator[ControlClient]:
    client = ControlClient(server, "0.1.0", call_seconds=DEADLINE_SECONDS)
    yield client
    client.close()


def raw_exchange(path: Path, line: bytes) -> dict[str, object]:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(DEADLINE_SECONDS)
        plain.connect(str(path))
        plain.sendall(line)
        answer: dict[str, object] = json.loads(plain.makefile("rb").readline())
        return answer


def test_socket_is_only_for_its_owner(server: Path) -> None:
    assert stat.S_IMODE(server.stat().st_mode) == 0o600


def test_a_report_crosses_the_socket(client: ControlClient) -> None:
    report = asyncio.run(client.performance(PerformanceQuery("main", 5, 9, "week")))
    assert (report.name, report.from_ns, report.period) == ("main", 5, "week")
    figure = report.figure("sharpe")
    assert figure is not None
    assert (figure.value, figure.why) == (None, "needs at least two days")
    with pytest.raises(UsageError, match="no such portfolio"):
        asyncio.run(client.performance(PerformanceQuery("nowhere")))


def test_the_record_of_research_crosses_the_socket(client: ControlClient) -> None:
    page = asyncio.run(client.research(ResearchQuery(ResearchQueryKind.CALIBRATION, "main", limit=7)))
    assert page.calibration is not None
    assert page.calibration.computed_at_ns == 7
    with pytest.raises(UsageError, match="no such portfolio"):
        client.research_now(ResearchQuery(ResearchQueryKind.DECISIONS, "nowhere"))


def test_commands_arrive_whole(client: ControlClient, service: HeldService) -> None:
    order = PlaceOrder("c1", "BTC/USD", Side.BUY, quantity=Decimal("0.10"), stop=Decimal("60000.5"),
                       trail=TrailSpec(percent=Decimal(2)), max_hold_seconds=7200)
    halt = SetTradingState("c2", TradingState.HALTED, cause="test")
    assert client.send_now(order) == Receipt("c1", accepted=True, seq=7)
    client.send_now(halt)
    assert asyncio.run(client.send(Flatten("c3"))).command_id == "c3"
    assert service.commands == [order, halt, Flatten("c3")]


def test_reads(client: ControlClient) -> None:
    assert client.snapshot_now() == snapshot_at(1)
    assert client.latest() == snapshot_at(1)
    assert client.what_if_now(PlaceOrder("c", "X", Side.BUY)) == Refusal("size", "0.25", "0.5", "X is too large")
    assert list(asyncio.run(client.bars("X@paper", 3))) == [Bar("X@paper", 0, 60, 1, 3, 1, 2, 3)]
    client.ping(DEADLINE_SECONDS)


def test_an_account_whose_equity_is_gone_still_arrives(client: ControlClient, service: HeldService) -> None:
    broke = AccountView(
        "main", "paper", "USD", 2, Decimal(0), Decimal(-1), Decimal(0), float("-inf"), Decimal(0), Decimal(0),
        Decimal(0), float("inf"), 6.0, float("nan"), Decimal(0), TradingState.ACTIVE, "", AutomationLevel.SUGGEST_ONLY,
        Connectivity.LIVE, (), Limits())
    service.show(msgspec.structs.replace(snapshot_at(5), accounts=(broke,)))
    (account,) = client.snapshot_now().accounts
    assert (account.heat_percent, account.day_pnl_percent) == (1e9, -1e9)
    assert abs(account.gross_exposure_percent) == 1e9


def test_subscribers_get_newer_snapshots_only(client: ControlClient, service: HeldService) -> None:
    async def watch() -> list[int]:
        versions: list[int] = []
        async for snapshot in client.snapshots():
            versions.append(snapshot.version)
            if snapshot.version == 30:
                return versions
            service.publish(min(30, snapshot.version + 3))
        raise AssertionError("the iterator ended")

    versions = asyncio.run(asyncio.wait_for(watch(), DEADLINE_SECONDS))
    assert versions == sorted(set(versions))
    assert client.latest().version == 30


def test_a_second_watcher_of_the_same_client_starts_with_what_is_known(client: ControlClient) -> None:
    async def first() -> int:
        async for snapshot in client.snapshots():
            return snapshot.version
        return 0

    async def both() -> tuple[int, int]:
        return await first(), await first()

    assert asyncio.run(asyncio.wait_for(both(), DEADLINE_SECONDS)) == (1, 1)


def test_engine_failures_keep_their_class(client: ControlClient, service: HeldService) -> None:
    service.failure = JournalUnwritable("journal.db: the disk is full; free some space")
    with pytest.raises(JournalUnwritable, match="the disk is full"):
        client.send_now(Flatten("c"))


def test_a_defect_in_a_call_leaves_the_socket_up(client: ControlClient, service: HeldService) -> None:
    service.failure = ZeroDivisionError("boom")
    with pytest.raises(Exception, match="ZeroDivisionError: boom"):
        client.send_now(Flatten("c"))
    client.ping(DEADLINE_SECONDS)


def test_an_answer_that_never_comes_is_unreachable(client: ControlClient, service: HeldService) -> None:
    service.never = True
    with pytest.raises(EngineUnreachable, match="did not answer send in"):
        client.send_now(Flatten("c"), 0.05)
    client.ping(DEADLINE_SECONDS)


def test_stop_is_passed_on(client: ControlClient, stops: list[str]) -> None:
    client.stop_engine()
    assert stops == ["stop"]


def test_an_end_with_clients_there_leaves_no_trace_in_the_log(
        service: HeldService, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "engine.sock"
    serving = ControlServer(service, path, HELLO, lambda: None)
    serving.start()
    client = ControlClient(path, "test")
    client.ping(DEADLINE_SECONDS)
    serving.close()
    client.close()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


def test_losing_the_engine_ends_every_wait(service: HeldService, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    server = ControlServer(service, path, HELLO, lambda: None)
    server.start()
    client = ControlClient(path, "0.1.0")
    service.never = True

    async def watch() -> None:
        async for _ in client.snapshots():
            threading.Thread(target=server.close).start()

    with pytest.raises(EngineUnreachable):
        asyncio.run(asyncio.wait_for(watch(), DEADLINE_SECONDS))
    with pytest.raises(EngineUnreachable):
        client.send_now(Flatten("c"))
    client.close()
    with pytest.raises(EngineUnreachable, match="no engine answers"):
        ControlClient(path, "0.1.0")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json\n", -32700),
        (b"[1]\n", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}\n', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"dance"}\n', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"send","params":{"type":"Nonsense"}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"bars","params":{"instrument_id":"X","limit":0}}\n', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":99,"version":"9"}}\n', -32600),
        (b"x" * (MAX_REQUEST_BYTES + 10) + b"\n", -32600),
    ],
)
def test_bad_requests_get_errors(server: Path, line: bytes, code: int) -> None:
    error = raw_exchange(server, line)["error"]
    assert isinstance(error, dict)
    assert error["code"] == code, error


def test_another_protocol_is_unreachable_with_the_reason(service: HeldService, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    server = ControlServer(service, path, HELLO, lambda: None)
    server.start()
    answer = raw_exchange(path, b'{"jsonrpc":"2.0","id":1,"method":"hello","params":{"protocol":99,"version":"9"}}\n')
    server.close()
    assert "use the same version of both" in json.dumps(answer)


def test_too_many_connections_are_turned_away(server: Path) -> None:
    held = []
    try:
        for _ in range(MAX_CONNECTIONS):
            held.append(ControlClient(server, "0.1.0"))
        with pytest.raises(EngineUnreachable, match="too many connections"):
            ControlClient(server, "0.1.0")
    finally:
        for client in held:
            client.close()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        try:
            ControlClient(server, "0.1.0").close()
            return
        except EngineUnreachable:
            continue
    raise AssertionError("closed connections still count")


def test_a_live_socket_is_not_taken_over(server: Path, service: HeldService) -> None:
    with pytest.raises(HomeLocked, match="another process answers"):
        ControlServer(service, server, HELLO, lambda: None).start()


def test_the_socket_of_a_dead_process_is_replaced(service: HeldService, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    code = f"import socket, os; s = socket.socket(socket.AF_UNIX); s.bind({str(path)!r}); s.listen(); os._exit(9)"
    subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert path.exists()
    server = ControlServer(service, path, HELLO, lambda: None)
    server.start()
    ControlClient(path, "0.1.0").close()
    server.close()
    assert not path.exists()


def test_a_file_that_is_no_socket_is_left_alone(service: HeldService, tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    path.write_text("notes")
    with pytest.raises(StoreError, match="not a socket"):
        ControlServer(service, path, HELLO, lambda: None).start()
    assert path.read_text() == "notes"


def test_a_process_that_takes_no_calls_is_unreachable(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(path))
        hung.listen(4)  # connects like a stopped process: the kernel accepts, nobody answers
        with pytest.raises(EngineUnreachable, match="did not answer hello"):
            ControlClient(path, "0.1.0", connect_seconds=0.05)
