"""Roles and locks at the control socket of a real engine: what each connection may send, and how it is unlocked."""

import asyncio
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyotp
import pytest

from brokers.notifiers.desk import NotifyDesk, SentNotice
from brokers.notifiers.outbox import Outbox, Terms
from brokers.notifiers.routes import Route
from engine.access import TryCode
from engine.config import check_config
from engine.effects import Notify
from engine.errors import EngineUnreachable, QuarterdeckError
from engine.inputs import (
    AcceptDrift,
    Approve,
    ArmAccount,
    CancelOrder,
    ClosePosition,
    Command,
    Flatten,
    PlaceOrder,
    SetLimit,
    SetProtection,
    SetTradingState,
    TradingState,
)
from engine.orders import Side
from engine.service import AlertLevel, Receipt, Snapshot
from store.home import Home, open_home
from store.keys import Key, KeyringStore
from tests.unit.venue_homes import memory_keyring
from tui.access import Gatekeeper, GuardedService, Session
from tui.access_codes import APPROVALS, PIN, TOTP, AccessSecrets, hashed_pin
from tui.access_rules import asks_for_code
from tui.compose import open_engine
from tui.compose_notify import how_to_approve
from tui.control_client import ControlClient
from tui.running_engine import RunningEngine

pytestmark = pytest.mark.slow

CODE = "heron-47-lamp"
WRONG = "lamp-74-heron"
SECRET = pyotp.random_base32()
CONFIG = """[market]
always_open = true
[health]
port = 0
[access]
unlock = "{unlock}"
unlocked_seconds = {seconds}
[[portfolio]]
name = "main"
account = "paper"
automation = "suggest_only"
"""


class Guarded:
    """A running engine whose socket asks for codes."""

    def __init__(self, home: Home, unlock: str, seconds: int) -> None:
        config = check_config(CONFIG.format(unlock=unlock, seconds=seconds), "config.toml").config
        assert config is not None
        self.home = home
        self.running: RunningEngine = open_engine(home, config)
        self.clients: list[ControlClient] = []

    def client(self, *, read_only: bool = False) -> ControlClient:
        self.clients.append(ControlClient(self.home.socket, "0.1.0", read_only=read_only))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.running.close()

    def kinds(self) -> list[str]:
        """What was journaled, by kind, of access and refusals."""
        return [kind for kind, count in self.running.engine.latest().health.events.items() for _ in range(count)]

    def proposal(self) -> str:
        """A pending trade, and wait until it is shown."""
        order = PlaceOrder(f"w{time.time_ns()}", "BTC/USD", Side.BUY, quantity=Decimal("0.01"), stop=Decimal(1000), propose=True)
        receipt = asyncio.run(self.running.engine.send(order))
        assert receipt.proposal_id, receipt
        until(lambda: any(one.proposal_id == receipt.proposal_id for one in self.running.engine.latest().proposals))
        return receipt.proposal_id


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[..., Guarded]]:
    opened: list[Guarded] = []
    with memory_keyring():
        home = open_home(tmp_path / "h")
        store = KeyringStore(home.path)
        for name, secret in ((PIN, hashed_pin(CODE)), (TOTP, SECRET), (APPROVALS, "signs-the-codes")):
            store.write(name, Key(name, secret))

        def begin(unlock: str = "remote", seconds: int = 900) -> Guarded:
            opened.append(Guarded(home, unlock, seconds))
            until(lambda: any(one.symbol == "BTC/USD" and one.bid for one in opened[-1].running.engine.latest().quotes))
            return opened[-1]

        yield begin
        for one in opened:
            one.close()


def refusal(receipt: Receipt) -> str:
    assert not receipt.accepted and receipt.refusal is not None
    return f"{receipt.refusal.check}: {receipt.refusal.message}"


def resume(number: int = 1) -> SetTradingState:
    return SetTradingState(f"r{number}", TradingState.ACTIVE)


def test_one_that_looks_on_sends_nothing_and_the_others_go_on(guarded: Callable[..., Guarded]) -> None:
    engine = guarded("nobody")
    onlooker, other = engine.client(read_only=True), engine.client()
    assert onlooker.access().read_only and not other.access().read_only
    for command in (SetTradingState("h", TradingState.HALTED), Flatten("f"), ClosePosition("c", "BTC/USD"),
                    PlaceOrder("p", "BTC/USD", Side.BUY, quantity=Decimal("0.01"), stop=Decimal(1000))):
        assert refusal(onlooker.send_now(command)).startswith("read only: this connection is READ ONLY")
    assert refusal(onlooker.unlock_now(CODE)).startswith("read only")
    assert refusal(onlooker.approve_by_code_now("p1", "A", "1")).startswith("read only")
    with pytest.raises(QuarterdeckError, match="READ ONLY"):
        onlooker.stop_engine()
    with pytest.raises(QuarterdeckError, match="READ ONLY"):
        onlooker.reload_access_now()
    assert onlooker.snapshot_now().accounts and asyncio.run(onlooker.bars("BTC/USD@paper", 3)) is not None
    assert onlooker._call("hello", {"protocol": 1, "version": "0.1.0"})  # a second greeting gives nothing back
    assert refusal(onlooker.send_now(Flatten("f"))).startswith("read only")
    assert engine.running.engine.latest().accounts[0].trading_state is TradingState.ACTIVE
    assert other.send_now(SetTradingState("h2", TradingState.HALTED)).accepted


def test_what_loosens_waits_for_a_code_and_what_makes_safer_never_does(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    client = engine.client()
    assert client.access().locks and client.access().ways == ("pin", "totp")
    assert client.send_now(SetTradingState("h", TradingState.HALTED)).accepted
    assert refusal(client.send_now(resume())).startswith("access: this is locked; unlock with pin or totp")
    assert refusal(client.send_now(SetLimit("l", "main", "max_positions", "3"))).startswith("access")
    assert client.unlock_now(CODE).accepted and client.access().unlocked_seconds > 800
    assert client.send_now(resume()).accepted, "the very command that was refused is new to the engine"
    assert refusal(engine.client().send_now(resume(2))).startswith("access"), "another connection stays locked"
    asyncio.run(client.lock())
    assert refusal(client.send_now(resume(3))).startswith("access")


def test_an_unlocked_connection_stays_so_for_its_time_alone() -> None:
    now = [100.0]
    gate = Gatekeeper(Answering(), unlock="remote", unlocked_seconds=60, read_secrets=lambda: AccessSecrets(pin=hashed_pin(CODE)),
                      now_seconds=lambda: now[0])
    session = Session(gate, "test", remote=True)
    assert asyncio.run(session.unlock(CODE)).accepted
    now[0] += 59
    assert session.refusal_of(resume()) is None
    now[0] += 1.5
    assert session.refusal_of(resume()) is not None


def test_wrong_codes_are_slowed_for_every_connection_and_told(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    client = engine.client()
    assert "that code is wrong; the next try counts in 1 s" in refusal(client.unlock_now(WRONG))
    assert "try again in 1 s" in refusal(engine.client().unlock_now(CODE)), "the wait is the engine's, not the connection's"
    until(lambda: client.unlock_now(CODE).accepted)
    until(lambda: any(one.code == "access" for one in client.snapshot_now().alerts))
    (alert,) = [one for one in client.snapshot_now().alerts if one.code == "access"]
    assert "a client (process" in alert.text and "acts" in alert.text
    until(lambda: {"AccessDenied", "AccessGranted"} <= set(engine.kinds()))
    journal = engine.home.journal.read_bytes() + engine.home.journal.with_name(engine.home.journal.name + "-wal").read_bytes()
    assert b"AccessDenied" in journal
    assert CODE.encode() not in journal and WRONG.encode() not in journal and SECRET.encode() not in journal


def test_an_authenticators_code_opens_once_over_a_restart(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    code = pyotp.TOTP(SECRET).now()
    assert engine.client().unlock_now(code).accepted
    assert "used before" in refusal(engine.client().unlock_now(code))
    engine.close()
    again = guarded().client()
    until(lambda: "used before" in refusal(again.unlock_now(code)))


def test_a_try_is_no_command(guarded: Callable[..., Guarded]) -> None:
    forged = guarded().client().send_now(TryCode("t", "pin", matched=True, step=0, what="acts"))
    assert refusal(forged).startswith("access: a code is tried by unlocking")


def test_a_notices_code_and_an_authenticators_approve_exactly_that_card(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    client, proposal_id = engine.client(), engine.proposal()
    gate = engine.running.gate
    shown = next(one for one in gate.service.latest().proposals if one.proposal_id == proposal_id)
    code = gate.approval_code(shown)
    assert len(code) == 19 and code != gate.approval_code(msgspec.structs.replace(shown, digest="another"))
    assert code != gate.approval_code(msgspec.structs.replace(shown, expires_at_ns=shown.expires_at_ns + 10**9))
    assert refusal(client.send_now(Approve("a", proposal_id, shown.digest))).startswith("access")
    totp = pyotp.TOTP(SECRET).now()
    assert "wrong" in refusal(client.approve_by_code_now(proposal_id, "AAAA-BBBB-CCCC-DDDD", totp))
    until(lambda: client.approve_by_code_now(proposal_id, code.lower().replace("-", " "), totp).accepted)
    assert not client.approve_by_code_now(proposal_id, code, totp).accepted, "it is of use once"
    assert client.access().unlocked_seconds == 0, "it opens that card alone"
    until(lambda: any(one.proposal_id == proposal_id and one.status == "APPROVED" for one in client.snapshot_now().proposals))


def test_an_authenticators_code_that_was_used_approves_nothing(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    client, proposal_id = engine.client(), engine.proposal()
    totp = pyotp.TOTP(SECRET).now()
    assert client.unlock_now(totp).accepted
    shown = next(one for one in engine.running.gate.service.latest().proposals if one.proposal_id == proposal_id)
    assert "used before" in refusal(client.approve_by_code_now(proposal_id, engine.running.gate.approval_code(shown), totp))


def test_a_notice_tells_how_to_approve_and_the_code_is_written_down_nowhere(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    gate, proposal_id = engine.running.gate, engine.proposal()
    notice = Notify(AlertLevel.INFO, f"pending {proposal_id}", "waits for an answer", f"pending:{proposal_id}")
    shown = next(one for one in gate.service.latest().proposals if one.proposal_id == proposal_id)
    code = gate.approval_code(shown)
    assert how_to_approve(gate, notice) == f"\nquarterdeck approve {proposal_id} --code {code} --totp ......"
    assert how_to_approve(gate, notice._replace(alert_id="halted:everything")) == ""
    assert how_to_approve(Gatekeeper(gate.service), notice) == "", "nothing is set up there"
    heard: list[str] = []
    records: list[SentNotice] = []

    def sending(address: str, level: AlertLevel, title: str, text: str) -> str:
        heard.append(text)
        return ""

    desk = NotifyDesk(Outbox([Route("phone")], Terms()), {"phone": "json://x"}, "PAPER", records.append, sending, lambda: None)
    desk.start(tuple, lambda _: None, lambda one: how_to_approve(gate, one))
    desk.notify(notice)
    until(lambda: records)
    desk.close(5)
    assert code in heard[0] and code not in "".join(map(str, records[0]))


def test_without_a_code_set_up_nothing_is_unlocked_and_panic_works(guarded: Callable[..., Guarded]) -> None:
    engine = guarded()
    store = KeyringStore(engine.home.path)
    for name in (PIN, TOTP, APPROVALS):
        store.delete(name)
    client = engine.client()
    assert client.reload_access_now().ways == ()
    assert "there is no code yet" in refusal(client.send_now(resume()))
    assert "there is no code yet" in refusal(client.unlock_now(CODE))
    assert "needs an authenticator" in refusal(client.approve_by_code_now(engine.proposal(), "A", "1"))
    assert client.send_now(Flatten("f")).accepted
    assert "AccessDenied" not in engine.kinds()


def test_an_older_engine_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(EngineUnreachable):
        ControlClient(tmp_path / "nothing.sock", "0.1.0", read_only=True)


class Answering:
    """A service that takes every try at its word."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        from tests.tui.views import snapshot as a_snapshot

        self.newest = snapshot or a_snapshot()
        self.sent: list[Command] = []

    def latest(self) -> Snapshot:
        return self.newest

    def snapshots(self) -> Any: ...

    async def send(self, command: Command) -> Receipt:
        self.sent.append(command)
        return Receipt(command.command_id, accepted=not isinstance(command, TryCode) or command.matched, seq=1)

    async def what_if(self, order: PlaceOrder) -> Any: ...

    async def bars(self, instrument_id: str, limit: int) -> Any: ...

    async def performance(self, query: Any) -> Any: ...

    async def research(self, query: Any) -> Any: ...


BUY = PlaceOrder("p", "BTC/USD", Side.BUY, quantity=Decimal(1))


@pytest.mark.parametrize(("command", "on_paper", "with_real_money"), [
    (BUY, False, True), (SetProtection("s", "BTC/USD"), False, True), (AcceptDrift("a", "paper", "X"), False, True),
    (resume(), True, True), (SetLimit("l", "main", "x", "1"), True, True), (ArmAccount("m", "paper", "d"), True, True),
    (Approve("a", "p", "d"), True, True), (SetTradingState("h", TradingState.HALTED), False, False),
    (SetTradingState("h", TradingState.REDUCING), False, False), (Flatten("f"), False, False),
    (ClosePosition("c", "BTC/USD"), False, False), (CancelOrder("c", "o"), False, False),
])
def test_which_acts_ask(command: Command, on_paper: bool, with_real_money: bool) -> None:
    paper = Answering().newest
    live = msgspec.structs.replace(paper, accounts=tuple(msgspec.structs.replace(one, live=True) for one in paper.accounts))
    assert (asks_for_code(command, paper), asks_for_code(command, live)) == (on_paper, with_real_money)


def test_the_screen_of_the_engine_itself_asks_where_everybody_has_to() -> None:
    service = Answering()
    for unlock, asks in (("nobody", False), ("remote", False), ("everybody", True)):
        gate = Gatekeeper(service, unlock=unlock, read_secrets=lambda: AccessSecrets(pin=hashed_pin(CODE)))
        own = GuardedService(service, Session(gate, "the workstation", remote=False))
        assert asyncio.run(own.send(resume())).accepted is not asks
        assert own.access().guarded is asks
        if asks:
            assert not asyncio.run(own.unlock("wrong!")).accepted and asyncio.run(own.unlock(CODE)).accepted
            assert asyncio.run(own.send(resume())).accepted
            asyncio.run(own.lock())
            assert not asyncio.run(own.send(resume())).accepted


@pytest.mark.parametrize(("unlock", "guarded_screen"), [("nobody", False), ("remote", False), ("everybody", True)])
def test_the_workstation_stands_behind_the_gate_where_everybody_unlocks(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unlock: str, guarded_screen: bool) -> None:
    from tui.commands import running

    shown: list[tuple[Any, Any]] = []
    monkeypatch.setattr(running, "require_terminal", lambda instead: None)
    monkeypatch.setattr(running, "show_screen", lambda service, *_, gate=None, **__: shown.append((service, gate)))
    (tmp_path / "h").mkdir(mode=0o700)
    (tmp_path / "h" / "config.toml").write_text(CONFIG.format(unlock=unlock, seconds=60))
    with memory_keyring():
        assert running.workstation(tmp_path / "h") == 0
    ((service, gate),) = shown
    assert isinstance(service, GuardedService) is guarded_screen and (gate is service) is guarded_screen
