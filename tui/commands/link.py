"""How a command reaches an engine: by the socket of the one that holds the home, or by a short one of its own.

Queries without a running engine fold the journal, so that they show what the last engine knew. Where the running one asks for a
PIN or an authenticator's code, a command asks the person on its terminal, once.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from engine.errors import EngineUnreachable, UsageError
from engine.inputs import Command, PlaceOrder
from engine.orders import Purpose
from engine.service import AlertRuleStatus, OrderCard, PositionView, Receipt, Refusal, Snapshot, StopHome
from tui.printing import print_note
from tui.version import VERSION

if TYPE_CHECKING:
    from store.home import Home
    from tui.control_client import ControlClient

SOCKET_SECONDS = 3.0
POLL_SECONDS = 0.05
USUAL_PORTFOLIO = "main"
LOCKED = "access"  # the check that refuses what a locked connection sends


class Link(Protocol):
    """An engine as a command sees it: calls that wait for their answer."""

    def snapshot_now(self) -> Snapshot: ...

    def send_now(self, command: Command, seconds: float | None = None) -> Receipt: ...

    def what_if_now(self, order: PlaceOrder) -> OrderCard | Refusal: ...


class Looked(NamedTuple):
    """What a query found: the snapshot, and the process id of the engine that gave it (None where it was folded)."""

    snapshot: Snapshot | None
    pid: int | None


class UnlockingLink:
    """A connection to an engine that asks for a code: what it refuses for want of one is sent again after the person gave it."""

    def __init__(self, client: "ControlClient") -> None:
        self._client = client

    def snapshot_now(self) -> Snapshot:
        return self._client.snapshot_now()

    def what_if_now(self, order: PlaceOrder) -> OrderCard | Refusal:
        return self._client.what_if_now(order)

    def send_now(self, command: Command, seconds: float | None = None) -> Receipt:
        from tui.key_access import hidden

        receipt = self._client.send_now(command, seconds)
        access = self._client.access()
        if receipt.refusal is None or receipt.refusal.check != LOCKED or not access.locks:
            return receipt
        opened = self._client.unlock_now(hidden(f"this is locked; {' or '.join(access.ways)} code: ").strip())
        return self._client.send_now(command, seconds) if opened.accepted else opened


def command_id() -> str:
    """A new id for a command, so that the engine can tell a repetition from a new wish."""
    return f"cli-{os.urandom(8).hex()}"


def existing_home(path: Path) -> "Home":
    """The home for a query: nothing is created; raises `HomeUnusable`."""
    from store.home import open_home

    return open_home(path, for_writing=False)


def connect(home: "Home", seconds: float = SOCKET_SECONDS, *, read_only: bool = False) -> "ControlClient":
    """A client of the engine that holds the home, which may still be starting; raises `EngineUnreachable`."""
    from tui.control_client import ControlClient

    deadline = time.monotonic() + seconds
    while True:
        try:
            left = max(POLL_SECONDS, deadline - time.monotonic())
            return ControlClient(home.socket, VERSION, connect_seconds=left, read_only=read_only)
        except EngineUnreachable as error:
            pid = home.holder_pid()
            if time.monotonic() + POLL_SECONDS >= deadline or pid is None:
                held = f"; process {pid} holds the home: `quarterdeck panic` works without its help" if pid else ""
                raise EngineUnreachable(f"{error}{held}") from error
            time.sleep(POLL_SECONDS)

def running_counts(home: "Home", prefix: str) -> dict[str, int]:
    """What the running engine counted under names that begin so, without that; nothing where none runs."""
    if home.holder_pid() is None:
        return {}
    client = connect(home)
    try:
        counts = client.snapshot_now().health.counts
    finally:
        client.close()
    return {name.removeprefix(prefix): count for name, count in counts.items() if name.startswith(prefix)}


def look(path: Path) -> Looked:
    """The newest snapshot for a query: of the running engine, else what the journal adds up to."""
    home = existing_home(path)
    pid = home.holder_pid()
    if pid is not None:
        client = connect(home)
        try:
            return Looked(client.snapshot_now(), client.hello.pid)
        finally:
            client.close()
    from tui.folding import folded_snapshot

    return Looked(folded_snapshot(home), None)


@contextmanager
def engine_link(path: Path, portfolio: str | None = None, warm_bars: int = 0) -> Iterator[Link]:
    """An engine to give commands to: the running one, else a short one that ends with the block. Raises `VenueUnreachable`
    where that one cannot open the account of `portfolio`, the one that is meant where it is empty; of none where it is None.
    `warm_bars` is how much history it should know at least."""
    from store.home import Home, open_home

    home = Home(path.absolute())
    if home.holder_pid() is not None:  # asked first: an engine closes and halts also on a disk that takes no writes
        client = connect(home)
        try:
            yield UnlockingLink(client) if client.access().guarded and sys.stdin.isatty() else client
        finally:
            client.close()
        return
    from tui.compose import short_engine

    home = open_home(path)
    with short_engine(home, portfolio, warm_bars) as link:
        yield link
    unwatched = _unwatched_words(home)
    if unwatched:
        print_note(f"no engine runs now, so nobody looks at {unwatched}; `quarterdeck` or `quarterdeck run --headless` does")


def portfolio_meant(link: Link, named: str) -> str:
    """The portfolio that a command is about: the one named, else the only one there is, else "main". Raises `UsageError` where
    that leaves it open."""
    return meant_of([account.portfolio for account in link.snapshot_now().accounts], named)


def meant_of(known: Sequence[str], named: str) -> str:
    """The same of those that are known."""
    if named or not known:
        return named
    if len(known) > 1 and USUAL_PORTFOLIO not in known:
        raise UsageError(f"there are several portfolios: {', '.join(known)}; name one with --portfolio")
    return known[0] if len(known) == 1 else USUAL_PORTFOLIO


def _unwatched_words(home: "Home") -> str:
    """What rests nowhere but in an engine, and so waits while none runs; empty where everything is at the venue."""
    from tui.folding import folded_snapshot

    snapshot = None if home.holder_pid() is not None else folded_snapshot(home)
    if snapshot is None:
        return ""
    targets = {(order.portfolio, order.instrument_id) for order in snapshot.orders
               if order.working and order.purpose is Purpose.TARGET}
    found = [f"{position.symbol}: {', '.join(parts)}" for position in snapshot.positions
             if (parts := _engine_held(position, at_target=(position.portfolio, position.instrument_id) in targets))]
    rules = sum(rule.status in (AlertRuleStatus.WATCHING, AlertRuleStatus.WAITING) for rule in snapshot.alert_rules)
    found += [f"{rules} alert rule{'s' if rules > 1 else ''}"] if rules else []
    return "; ".join(found)


def _engine_held(position: PositionView, *, at_target: bool) -> list[str]:
    """Those parts of a position's exits that only an engine carries out; whether a target works at the venue is given."""
    held = {"stop": position.stop is not None and position.stop_home is not StopHome.VENUE, "trail": bool(position.trail),
            "target": position.target is not None and not at_target,
            "breakeven": position.breakeven_at is not None, "longest hold": position.max_hold_left_seconds is not None}
    return [name for name, only_here in held.items() if only_here]
