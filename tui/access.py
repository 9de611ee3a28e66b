"""What stands between whoever looks in and the engine: a role and a lock for each connection or screen.

A session that only looks on sends nothing at all. One that has to be unlocked sends what reduces and what makes safer, panic
first of all; for the rest it needs a PIN or an authenticator's code, which is compared here and counted by the engine.
"""

import asyncio
import math
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

from engine.access import A_WAIT, TryCode, wait_ns
from engine.inputs import Approve, Bar, Command, PlaceOrder
from engine.service import (
    AccessView,
    OrderCard,
    PerformanceQuery,
    PerformanceView,
    ProposalStatus,
    ProposalView,
    Receipt,
    Refusal,
    ResearchPage,
    ResearchQuery,
    Service,
    Snapshot,
)
from engine.units import NS_PER_SECOND
from tui.access_codes import AccessSecrets, Compared, approval_code, compared, same_approval_code, totp_step
from tui.access_rules import asks_for_code, real_money

CHECK = "access"
READ_ONLY = "this connection is READ ONLY: it can look, not act"
SET_UP = "`quarterdeck access set-pin` or `set-totp` sets one up"
ACTS = "acts"
COMPARED_AT_ONCE = 4
RELOAD_SECONDS = 0.2


class Gatekeeper:
    """Compares codes for all sessions of one engine. `read_secrets` asks the key store; `now_ns` is the engine's clock."""

    def __init__(self, service: Service, *, unlock: str = "nobody", unlocked_seconds: int = 900, idle_seconds: int = 0,
                 read_secrets: Callable[[], AccessSecrets] = AccessSecrets, now_ns: Callable[[], int] = time.time_ns,
                 now_seconds: Callable[[], float] = time.monotonic) -> None:
        self.service = service
        self.unlock = unlock
        self.unlocked_seconds = unlocked_seconds
        self.idle_seconds = idle_seconds
        self.now_seconds = now_seconds
        self._read_secrets = read_secrets
        self._now_ns = now_ns
        self._secrets = read_secrets()
        self._one = threading.Lock()
        self._comparing = 0
        self._wrong = 0
        self._next_seconds = 0.0
        self._reloading = threading.Lock()

    def reload(self) -> None:
        """Ask the key store again: a PIN was set or forgotten. One after the other and not too fast, whoever wishes it; for a
        thread that may wait."""
        with self._reloading:
            self._secrets = self._read_secrets()
            time.sleep(RELOAD_SECONDS)

    @property
    def ways(self) -> tuple[str, ...]:
        return self._secrets.ways

    @property
    def approves_by_code(self) -> bool:
        """Whether approving from outside is set up."""
        return bool(self._secrets.totp and self._secrets.approvals)

    def approval_code(self, proposal: ProposalView) -> str:
        """The code that approves exactly this card, empty where approving from outside is not set up."""
        if not self.approves_by_code:
            return ""
        return approval_code(self._secrets.approvals, proposal.proposal_id, proposal.digest, proposal.expires_at_ns)

    async def try_code(self, code: str, what: str, by: str) -> Receipt:
        """Whether a code opens something, by the engine's word; raises `EngineUnreachable`."""
        if not self.ways:
            return self.refused("a PIN or an authenticator", "none is set up", f"there is no code yet: {SET_UP}")
        return await self._try(lambda: compared(self._secrets, code, self._now_ns() // NS_PER_SECOND), what, by)

    async def try_approval(self, proposal: ProposalView, code: str, totp: str, by: str) -> Receipt:
        """Whether a notice's code and an authenticator's together approve a pending trade."""
        expected, secret = self.approval_code(proposal), self._secrets.totp
        if not expected:
            return self.refused("an authenticator", "none is set up", "approving by a notice's code needs an authenticator: "
                                "`quarterdeck access set-totp` sets one up")

        def both() -> Compared:
            step = totp_step(secret, totp, self._now_ns() // NS_PER_SECOND)
            return Compared("totp", matched=same_approval_code(expected, code) and step > 0, step=step)

        return await self._try(both, f"approve {proposal.proposal_id}", by)

    async def _try(self, compare: Callable[[], Compared], what: str, by: str) -> Receipt:
        left = self._next_seconds - self.now_seconds()
        if left > 0:  # the engine would refuse it; comparing costs a tenth of a second of a core, and is left out as well
            return self.refused(A_WAIT, f"{math.ceil(left)} s", f"the last code was wrong: try again in {math.ceil(left)} s")
        if self._comparing >= COMPARED_AT_ONCE:
            return self.refused("one at a time", "too many tries", "too many codes are being tried; try again in a moment")
        self._comparing += 1
        try:
            found = await asyncio.to_thread(self._alone, compare)
        finally:
            self._comparing -= 1
        receipt = await self.service.send(
            TryCode(f"code-{os.urandom(8).hex()}", found.way, found.matched, found.step, what, by))
        self._count(receipt)
        return receipt

    def _count(self, receipt: Receipt) -> None:
        """Keep the engine's wait here too, as far as this process saw it begin."""
        if receipt.accepted:
            self._wrong, self._next_seconds = 0, 0.0
        elif receipt.refusal is not None and receipt.refusal.limit != A_WAIT:
            self._wrong += 1
            self._next_seconds = self.now_seconds() + wait_ns(self._wrong) / NS_PER_SECOND

    def _alone(self, compare: Callable[[], Compared]) -> Compared:
        with self._one:  # each takes memory and a tenth of a second of a core
            return compare()

    def refused(self, limit: str, value: str, message: str, command_id: str = "", check: str = CHECK) -> Receipt:
        """A refusal of the gate itself; the engine never hears of it."""
        return Receipt(command_id, accepted=False, seq=self.service.latest().health.journal_seq,
                       refusal=Refusal(check, limit, value, message))


class Session:
    """One connection or screen: its role, and whether it is unlocked. `remote` where it came over the control socket."""

    def __init__(self, gate: Gatekeeper, by: str, *, remote: bool) -> None:
        self._gate = gate
        self.by = by
        self.read_only = False
        self._guarded = gate.unlock == "everybody" or (remote and gate.unlock == "remote")
        self._unlocked_until = 0.0

    def access(self) -> AccessView:
        if self.read_only:
            return AccessView(read_only=True)
        if not self._guarded:
            return AccessView()
        return AccessView(guarded=True, ways=self._gate.ways, unlocked_seconds=self._unlocked_left(),
                          idle_seconds=self._gate.idle_seconds)

    def _unlocked_left(self) -> float:
        return max(0.0, self._unlocked_until - self._gate.now_seconds())

    def refusal_of(self, command: Command) -> Receipt | None:
        """Why a command may not go to the engine from here, None where it may."""
        kind = type(command).__name__
        if isinstance(command, TryCode):
            return self._gate.refused("what a person asks for", kind, "a code is tried by unlocking, not by a command",
                                      command.command_id)
        return self._refused(kind, command.command_id, asks=asks_for_code(command, self._gate.service.latest()))

    def refusal_of_stop(self) -> Receipt | None:
        """Why the engine may not be ended from here, None where it may."""
        return self._refused("stop", "", asks=real_money(self._gate.service.latest()))

    def _refused(self, kind: str, command_id: str, *, asks: bool) -> Receipt | None:
        if self.read_only:
            return self._gate.refused("to look", kind, READ_ONLY, command_id, check="read only")
        if not (self._guarded and asks) or self._unlocked_left() > 0:
            return None
        how = "unlock with " + " or ".join(self._gate.ways) if self._gate.ways else f"there is no code yet: {SET_UP}"
        return self._gate.refused("unlocked", "locked", f"this is locked; {how}", command_id)

    async def unlock(self, code: str) -> Receipt:
        """Open for a time with a code; raises `EngineUnreachable`."""
        if self.read_only:
            return self._gate.refused("to look", "unlock", READ_ONLY, check="read only")
        receipt = await self._gate.try_code(code, ACTS, self.by)
        if receipt.accepted:
            self._unlocked_until = self._gate.now_seconds() + self._gate.unlocked_seconds
        return receipt

    async def lock(self) -> None:
        self._unlocked_until = 0.0

    async def approve(self, proposal_id: str, code: str, totp: str) -> Receipt:
        """Approve one pending trade by a notice's code and an authenticator's; nothing else is opened by them."""
        if self.read_only:
            return self._gate.refused("to look", "approve", READ_ONLY, check="read only")
        proposal = next((one for one in self._gate.service.latest().proposals if one.proposal_id == proposal_id), None)
        if proposal is None or proposal.status is not ProposalStatus.PENDING:
            return self._gate.refused("PENDING", proposal.status.value if proposal else "unknown",
                                      f"{proposal_id} is not pending; it cannot be approved", check="pending")
        tried = await self._gate.try_approval(proposal, code, totp, self.by)
        if not tried.accepted:
            return tried
        command = Approve(f"approve-{os.urandom(8).hex()}", proposal_id, proposal.digest, f"{self.by}, by code")
        return await self._gate.service.send(command)


class GuardedService:
    """A `Service` behind a session: for a screen in the engine's own process."""

    def __init__(self, service: Service, session: Session) -> None:
        self._service = service
        self._session = session

    def latest(self) -> Snapshot:
        return self._service.latest()

    def snapshots(self) -> AsyncIterator[Snapshot]:
        return self._service.snapshots()

    async def send(self, command: Command) -> Receipt:
        return self._session.refusal_of(command) or await self._service.send(command)

    async def what_if(self, order: PlaceOrder) -> OrderCard | Refusal:
        return await self._service.what_if(order)

    async def bars(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        return await self._service.bars(instrument_id, limit)

    async def performance(self, query: PerformanceQuery) -> PerformanceView:
        return await self._service.performance(query)

    async def research(self, query: ResearchQuery) -> ResearchPage:
        return await self._service.research(query)

    def access(self) -> AccessView:
        return self._session.access()

    async def unlock(self, code: str) -> Receipt:
        return await self._session.unlock(code)

    async def lock(self) -> None:
        await self._session.lock()


class OpenGate:
    """A gate that stands open: a screen on an engine of its own that asks nobody for a code."""

    def access(self) -> AccessView:
        return AccessView()

    async def unlock(self, code: str) -> Receipt:
        del code
        return Receipt("", accepted=True, seq=0, text="nothing is locked")

    async def lock(self) -> None:
        """There is nothing to lock."""
