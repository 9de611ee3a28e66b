"""Arming an account with real money: the limits are shown, the account's name is typed, and the time is bounded."""

import getpass
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from engine.errors import QuarterdeckError, UsageError
from engine.inputs import ArmAccount, DisarmAccount, Limits
from engine.service import AccountView, GoLiveGate, Receipt
from tui.commands.link import command_id, engine_link
from tui.commands.trading import refusal_line
from tui.formats import plain
from tui.printing import print_error, print_json, print_note

LONGEST_HOURS = 168.0


def arm(path: Path, account: str, hours: float, confirm_name: str, despite: str, *, as_json: bool) -> int:
    """Let an account open positions for a time; asks for its name typed out, or takes `confirm_name` where no one sits. Gates
    that are not met are shown, and it takes a reason to go on: `despite`, or one that is typed.

    Raises `UsageError` where nobody can be asked, `QuarterdeckError` where the name is not the account's, or no reason is given.
    """
    _require_confirmable(account, confirm_name)
    if not 0 < hours <= LONGEST_HOURS:
        raise UsageError(f"--hours {hours:g}: an account is armed for more than nothing and at most {LONGEST_HOURS:g} hours")
    outside = _outside_gates(path, account)
    with engine_link(path) as link:
        snapshot = link.snapshot_now()
        view = live_account(snapshot.accounts, account)
        _tell_unproven(path, account)
        own = next((one.gates for one in snapshot.golive if one.portfolio == view.portfolio), ())
        unmet = [gate for gate in (*own, *outside) if not gate.met]
        reason = _reason_despite(unmet, despite, may_ask=not confirm_name)
        if not confirm_name:
            _show_limits(view, hours)
            _require_typed(account)
        receipt = link.send_now(ArmAccount(command_id(), account, view.limits_digest, hours, person(), reason,
                                           tuple(gate.name for gate in unmet)))
    return _told(receipt, as_json=as_json)


def _outside_gates(path: Path, account: str) -> list[GoLiveGate]:
    """The gates around the engine, looked at before one is opened for this: a short one would hold the home."""
    import time

    from engine.config import load_config
    from tui.commands.gates import outside_gates
    from tui.commands.link import existing_home

    home = existing_home(path)
    config = load_config(home.config)
    live = {one.name for one in config.account if one.live}
    portfolio = next((one.name for one in config.portfolio if one.account == account and account in live), None)
    return [] if portfolio is None else outside_gates(home, portfolio, time.time_ns())


def _reason_despite(unmet: Sequence[GoLiveGate], despite: str, *, may_ask: bool) -> str:
    """Why to arm although gates are not met, empty where all are; raises `QuarterdeckError` where nobody says why."""
    if not unmet:
        return ""
    names = ", ".join(gate.name for gate in unmet)
    if despite:
        print_note(f"gates that are not met: {names}")
        return despite
    if not may_ask:
        raise QuarterdeckError(f"arm: {len(unmet)} gates are not met: {names}; `quarterdeck golive` says what to do, "
                               "--despite-gates REASON arms all the same")
    print("real money asks for more than there is:", file=sys.stderr)
    for gate in unmet:
        print(f"  {gate.name}: {plain(gate.found)}; needed: {gate.needed}; {gate.remedy}", file=sys.stderr)
    print("why arm all the same? (it is kept; nothing leaves it): ", end="", file=sys.stderr, flush=True)
    reason = sys.stdin.readline().strip()
    if not reason:
        raise QuarterdeckError("arm: no reason was given; nothing was armed")
    return reason


def disarm(path: Path, account: str, *, as_json: bool) -> int:
    """End an arming at once; protection and exits stay."""
    with engine_link(path) as link:
        receipt = link.send_now(DisarmAccount(command_id(), account, by=person()))
    return _told(receipt, as_json=as_json)


def live_account(accounts: Iterable[AccountView], account: str) -> AccountView:
    """The account of that name; raises `UsageError` where there is none, or where it holds no real money."""
    known = list(accounts)
    found = next((view for view in known if view.account == account), None)
    if found is None:
        names = ", ".join(view.account for view in known) or "none"
        raise UsageError(f"no portfolio trades an account called {account!r}; there is: {names}")
    if not found.live:
        raise UsageError(f"{account} holds no real money: it trades without being armed")
    return found


def limit_lines(limits: Limits) -> list[tuple[str, str]]:
    """The limits in force, by name; those that do not bind are left out."""
    values = msgspec.to_builtins(limits)
    return [(name, str(value)) for name, value in values.items() if value is False or value]


def _tell_unproven(path: Path, account: str) -> None:
    """Say where real money is about to go to an exchange that nobody verified."""
    from brokers.ccxt_venue.exchanges import unproven_line
    from engine.config import load_config
    from tui.commands.link import existing_home

    exchange = load_config(existing_home(path).config).account_named(account).exchange
    if exchange and (line := unproven_line(exchange)):
        print_note(line)


def _require_confirmable(account: str, confirm_name: str) -> None:
    if confirm_name and confirm_name != account:
        raise UsageError(f"--confirm-name {confirm_name}: is not the name of the account to arm, {account}")
    if not confirm_name and not sys.stdin.isatty():
        raise UsageError(f"arm: there is no terminal to ask on; --confirm-name {account} says that it is meant")


def _show_limits(view: AccountView, hours: float) -> None:
    print(f"{view.account} holds REAL MONEY: {view.equity:,} {view.currency}. For {hours:g} hours portfolio {view.portfolio} "
          "opens positions there under these limits:", file=sys.stderr)
    for name, value in limit_lines(view.limits):
        print(f"  {name} = {value}", file=sys.stderr)


def _require_typed(account: str) -> None:
    print("type the account's name to arm it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != account:
        raise QuarterdeckError("arm: that is not the account's name; nothing was armed")


def _told(receipt: Receipt, *, as_json: bool) -> int:
    if as_json:
        print_json(receipt)
    if receipt.refusal is not None:
        print_error(refusal_line(receipt.refusal))
        return 1
    if not as_json:
        print(receipt.text)
    return 0


def person() -> str:
    """Who sits at the keyboard, as far as the system tells."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "user"
