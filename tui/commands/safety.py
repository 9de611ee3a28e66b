"""Halting, flattening, resuming: the commands that must work when the rest does not.

`panic` has two stages. The halt happens at once; flattening asks on a terminal, or needs `--yes`. It goes through the
running engine, else straight at the venue where that engine hangs, else through a short engine of its own. It ends with
0 only where the venue itself reported no order and no position.
"""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import EngineUnreachable, QuarterdeckError, StoreError, UsageError
from engine.inputs import Flatten, SetTradingState, TradingState
from engine.service import FlattenView, Receipt
from tui.commands.link import POLL_SECONDS, Link, command_id, connect, engine_link, existing_home
from tui.commands.trading import refusal_line
from tui.formats import number
from tui.printing import numbers, print_error, print_json, print_note, print_table, words

if TYPE_CHECKING:
    from store.home import Home

HUNG_SECONDS = 3.0
STALL_SECONDS = 15.0
CONFIRMATION = "flatten"
HALT_CAUSE = "panic"
BY = "panic command"


class _Refused(QuarterdeckError):
    """The engine works and said no: nothing is gained by going around it."""


class _EngineHung(Exception):
    """The home's lock is held, but its engine does not answer; never leaves this module."""


def set_state(path: Path, state: TradingState, portfolio: str, cause: str, *, yes: bool, as_json: bool) -> int:
    """Halt, reduce or resume a portfolio, or everything where `portfolio` is empty."""
    if state is TradingState.ACTIVE:
        _require_agreement(yes, f"resume trading{f' of {portfolio}' if portfolio else ''}?", "resume")
    command = SetTradingState(command_id(), state, portfolio, cause)
    try:
        with engine_link(path) as link:
            receipt = link.send_now(command, HUNG_SECONDS if state is TradingState.HALTED else None)
    except (EngineUnreachable, StoreError):
        if state is TradingState.HALTED:
            _raise_flag(existing_home(path), cause or "halt command", "halt command")
            print_note("the halt flag is raised: every engine of this home halts as soon as it runs")
        raise
    if as_json:
        print_json(receipt)
    if receipt.refusal is not None:
        print_error(refusal_line(receipt.refusal))
        return 1
    if not as_json:
        print(f"{portfolio or 'all portfolios'}: {state.value}")
    return 0


def panic(path: Path, portfolio: str, *, yes: bool, as_json: bool) -> int:
    """Both stages of panic; the exit status is 0 only where the venue itself said that nothing is left."""
    home = existing_home(path)
    agreed = yes
    if home.holder_pid() is not None:
        try:
            return _panic_through_engine(home, portfolio, yes=agreed, as_json=as_json)
        except _EngineHung as hung:
            print_note(f"{hung}; going straight at the venue")
    if home.holder_pid() is not None:
        return _panic_at_venue(home, portfolio, yes=agreed, as_json=as_json)
    return _panic_alone(home, portfolio, yes=agreed, as_json=as_json)


def _panic_through_engine(home: "Home", portfolio: str, *, yes: bool, as_json: bool) -> int:
    """Both stages by the running engine; raises `_EngineHung` where it stops answering."""
    try:
        client = connect(home, HUNG_SECONDS)
    except EngineUnreachable as error:
        raise _EngineHung(str(error)) from error
    try:
        return _both_stages(client, portfolio, yes=yes, as_json=as_json)
    except EngineUnreachable as error:
        raise _EngineHung(str(error)) from error
    finally:
        client.close()


def _panic_at_venue(home: "Home", portfolio: str, *, yes: bool, as_json: bool) -> int:
    """The running engine hangs: raise the flag that it obeys when it wakes, then flatten the venue without it."""
    from tui.compose import emergency_engine

    _try_to_raise_flag(home)
    if not _flatten_agreed(yes):
        return 1
    with emergency_engine(home) as link:
        return _flatten(link, portfolio, as_json=as_json)


def _panic_alone(home: "Home", portfolio: str, *, yes: bool, as_json: bool) -> int:
    """No engine runs: a short one halts and flattens, fully journaled; where that cannot run, without a journal."""
    from tui.compose import emergency_engine, short_engine

    try:
        with short_engine(home) as link:
            return _both_stages(link, portfolio, yes=yes, as_json=as_json)
    except _Refused:
        raise
    except Exception as error:  # noqa: BLE001 - whatever broke on our side, the venue can still be flattened
        print_note(f"{str(error) or type(error).__name__}; going straight at the venue, without a journal")
    _try_to_raise_flag(home)
    if not _flatten_agreed(yes):
        return 1
    with emergency_engine(home) as link:
        return _flatten(link, portfolio, as_json=as_json)


def _both_stages(link: Link, portfolio: str, *, yes: bool, as_json: bool) -> int:
    halt = SetTradingState(command_id(), TradingState.HALTED, portfolio, HALT_CAUSE, by=BY)
    _require_accepted(link.send_now(halt, HUNG_SECONDS))
    if not as_json:
        print(f"{portfolio or 'all portfolios'}: HALTED, entries are blocked and being cancelled, stops stay")
    if not _flatten_agreed(yes):
        return 1
    return _flatten(link, portfolio, as_json=as_json)


def _flatten(link: Link, portfolio: str, *, as_json: bool) -> int:
    receipt = link.send_now(Flatten(command_id(), portfolio, by=BY))
    _require_accepted(receipt)
    report = _follow(link, receipt.seq)
    if as_json:
        print_json(report)
    else:
        _print_report(report)
    if report.finished and report.flat and not report.open_orders_left:
        return 0
    print_error(f"NOT FLAT: {report.detail or 'positions or orders are left at the venue'}; press on or call the venue")
    return 1


def _follow(link: Link, accepted_seq: int) -> FlattenView:
    """The flatten's report once it is finished, of the one that was at work when ours was accepted: the engine ends it by
    its own deadline.

    Raises `EngineUnreachable` where the engine answers but its snapshots stand still.
    """
    newest_version, deadline = -1, 0.0
    while True:
        snapshot = link.snapshot_now()
        view = snapshot.flatten
        if view is not None and view.finished and snapshot.health.journal_seq >= accepted_seq:
            return view
        if snapshot.version != newest_version:
            newest_version, deadline = snapshot.version, time.monotonic() + STALL_SECONDS
        elif time.monotonic() >= deadline:
            raise EngineUnreachable(f"flattening: the engine stood still for {STALL_SECONDS:g} s; it may hang")
        time.sleep(POLL_SECONDS)


def _print_report(report: FlattenView) -> None:
    rows = [[line.account, line.instrument_id, number_of_lots(line.lots_at_start), number_of_lots(line.lots_left),
             "not flat" if line.seconds_to_flat is None else f"{line.seconds_to_flat:.1f} s", line.detail]
            for line in report.lines]
    columns = (*words("account", "instrument"), *numbers("lots at start", "lots left", "time to flat"),
               *words("detail"))
    print_table(columns, rows, empty="no positions were open")
    state = "FLAT: the venue reports no order and no position" if report.flat else "NOT FLAT"
    print(f"{state}; {report.open_orders_left} open orders left")


def number_of_lots(lots: int) -> str:
    """A signed count of lots."""
    from decimal import Decimal

    return number(Decimal(lots), 0)


def _require_accepted(receipt: Receipt) -> None:
    if receipt.refusal is not None:
        raise _Refused(refusal_line(receipt.refusal))


def _raise_flag(home: "Home", cause: str, by: str) -> None:
    from store.halt_flag import raise_halt

    raise_halt(home, cause, by, time.time_ns())


def _try_to_raise_flag(home: "Home") -> None:
    """Raise the flag that the home's engine obeys; a disk that does not take it must not keep the panic from the venue."""
    try:
        _raise_flag(home, HALT_CAUSE, BY)
    except (StoreError, OSError) as error:
        print_note(f"{error}; going on to the venue all the same")
    else:
        print_note("the halt flag is raised: an engine of this home halts when it wakes")


def _flatten_agreed(yes: bool) -> bool:
    """Whether to go on to the second stage; says why not."""
    if yes:
        return True
    if not sys.stdin.isatty():
        print_error("halted only: flattening needs --yes where there is no terminal to ask; what is held stays open")
        return False
    print(f"close every position at market now? type {CONFIRMATION} to do it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() == CONFIRMATION:
        return True
    print_error("halted only: what is held stays open, and so do its stops")
    return False


def _require_agreement(yes: bool, question: str, verb: str) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{verb}: needs --yes where there is no terminal to ask on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise QuarterdeckError(f"{verb}: not confirmed; nothing was changed")
