"""Commands that trade: orders and protection by hand, closing, cancelling, pending decisions."""

import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from engine.errors import EngineUnreachable, UsageError, VenueUnreachable
from engine.inputs import (
    AcknowledgeAlert,
    Approve,
    CancelOrder,
    ClosePosition,
    Command,
    Decline,
    Halve,
    PlaceOrder,
    SetProtection,
    SettleOrder,
)
from engine.orders import OrderKind, OrderStatus, Purpose
from engine.service import OrderCard, OrderView, PositionView, ProposalView, Receipt, Refusal, Snapshot, StopHome
from tui.commands.link import POLL_SECONDS, Link, command_id, connect, engine_link, existing_home, portfolio_meant
from tui.commands.queries import proposal
from tui.formats import number, percent, plain
from tui.printing import print_error, print_facts, print_json, print_table, words

SETTLE_SECONDS = 10.0
UNBOUNDED = "no bound"
SHOWN_SECONDS = 1.0
PRINTED_WIDTH = 110
BAD_ENDS = frozenset({OrderStatus.REJECTED, OrderStatus.DENIED, OrderStatus.DISPUTED})
NOT_DONE = {
    OrderStatus.INITIALIZED: "it has not been sent yet",
    OrderStatus.PENDING_NEW: "the venue has not answered yet; do not send it again",
    OrderStatus.UNKNOWN: "the venue did not answer, so it may be live and counts in full; do not send it again",
    OrderStatus.PENDING_CANCEL: "the venue has not confirmed the cancel, so it may still fill",
}
NEEDS_ENGINE = ("no engine runs, and an order over time needs one until it is done: start `quarterdeck` or `quarterdeck run "
                "--headless`, then send it again; nothing was sent")
GONE = frozenset({OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.DENIED})
IN_FLIGHT = frozenset(NOT_DONE)


def place(path: Path, order: PlaceOrder, *, what_if: bool, as_json: bool) -> int:
    """Send an order, or with `what_if` print its checks and its effect; the exit status. Raises `EngineUnreachable` for an order
    over time where no engine runs: one that ends with the command would send its first slice and leave the rest."""
    if order.over is not None and not what_if and existing_home(path).holder_pid() is None:
        raise EngineUnreachable(NEEDS_ENGINE)
    with engine_link(path, order.portfolio) as link:
        order = replace(order, portfolio=portfolio_meant(link, order.portfolio))
        if what_if:
            return _show_what_if(link.what_if_now(order), as_json=as_json)
        receipt = link.send_now(order)
        return _report(link, receipt, as_json=as_json)


def order_kind(limit: Decimal | None, trigger: Decimal | None) -> OrderKind:
    """The kind of entry that its prices ask for."""
    if trigger is not None:
        return OrderKind.STOP_LIMIT if limit is not None else OrderKind.STOP
    return OrderKind.LIMIT if limit is not None else OrderKind.MARKET


def close(path: Path, symbol: str, portfolio: str, quantity: Decimal | None, *, as_json: bool) -> int:
    """Close a position or part of it at market, and say what is left once the exit has come to its end."""
    with engine_link(path, portfolio) as link:
        portfolio = portfolio_meant(link, portfolio)
        held = _held(link.snapshot_now(), symbol, portfolio)
        receipt = link.send_now(ClosePosition(command_id(), symbol, portfolio, quantity))
        if not receipt.accepted:
            return _report(link, receipt, as_json=as_json)
        left = _left_after_exit(link, symbol, portfolio, held)
    if as_json:
        print_json({"accepted": True, "receipt": receipt, "quantity_left": left})
    elif left != held:
        print(f"{symbol}: {'flat' if not left else f'{number(left)} left'}")
    if abs(left) <= abs(held) - (abs(held) if quantity is None else quantity):
        return 0
    print_error(f"{symbol}: {number(left)} of {number(held)} is still held after {SETTLE_SECONDS:g} s; the exit is tried until "
                "it is done while an engine runs, `quarterdeck positions` shows it")
    return 1


def _held(snapshot: Snapshot, symbol: str, portfolio: str) -> Decimal:
    return sum((position.quantity for position in snapshot.positions
                if position.symbol == symbol and position.portfolio == portfolio), Decimal(0))


def _left_after_exit(link: Link, symbol: str, portfolio: str, held: Decimal) -> Decimal:
    """The quantity still held once no exit order works any more, or after a bounded wait."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        snapshot = link.snapshot_now()
        left = _held(snapshot, symbol, portfolio)
        working = any(order.working and order.purpose is Purpose.EXIT and order.symbol == symbol
                      and order.portfolio == portfolio for order in snapshot.orders)
        if (left != held and not working) or time.monotonic() >= deadline:
            return left
        time.sleep(POLL_SECONDS)


def protect(path: Path, change: SetProtection, *, as_json: bool) -> int:
    """Change a position's exit plan."""
    with engine_link(path, change.portfolio) as link:
        change = replace(change, portfolio=portfolio_meant(link, change.portfolio))
        return _report(link, link.send_now(change), as_json=as_json)


def cancel(path: Path, client_order_id: str, *, as_json: bool) -> int:
    """Cancel one order, and say whether it is gone."""
    with engine_link(path) as link:
        receipt = link.send_now(CancelOrder(command_id(), client_order_id))
        return _report(link, receipt, as_json=as_json, why_not=_still_there)


def settle(path: Path, client_order_id: str, as_what: str, why: str, *, as_json: bool) -> int:
    """Say what became of a disputed order."""
    if as_what not in ("filled", "canceled"):
        raise UsageError(f"--as {as_what}: give filled or canceled")
    return _sent(path, SettleOrder(command_id(), client_order_id, as_what == "filled", why), as_json=as_json)


def acknowledge(path: Path, alert_id: str, *, as_json: bool) -> int:
    """Mark an alert as seen."""
    return _sent(path, AcknowledgeAlert(command_id(), alert_id), as_json=as_json)


def approve(path: Path, proposal_id: str, digest: str, *, yes: bool, as_json: bool) -> int:
    """Approve a pending trade exactly as its card says; without a digest the card is printed, on a terminal asked. The marks on
    texts behind a decision of research count as read only where somebody said yes to what showed them. Raises `EngineUnreachable`
    for one over time where no engine runs."""
    flags_read: tuple[str, ...] = ()
    goes_on = existing_home(path).holder_pid() is not None
    with engine_link(path) as link:
        if not goes_on and any(one.proposal_id == proposal_id and one.card.over for one in link.snapshot_now().proposals):
            raise EngineUnreachable(NEEDS_ENGINE)
        if not digest:
            shown = _shown_proposal(link, proposal_id)
            digest = shown.digest
            if not as_json:
                _print_research(link, shown)
                print_card(shown.card)
            if not yes and sys.stdin.isatty():
                if not _agreed(f"approve {proposal_id} exactly as shown?"):
                    print_error(f"{proposal_id}: not approved; nothing was sent")
                    return 1
                flags_read = shown.decision.flags if shown.decision is not None and not as_json else ()
        return _report(link, link.send_now(Approve(command_id(), proposal_id, digest, flags_read=flags_read)), as_json=as_json)


def _print_research(link: Link, shown: ProposalView) -> None:
    """What research says for and against it, with every mark in full; nothing for an order by hand."""
    if shown.decision is None:
        return
    from tui.screens.research_card_lines import around, research_card_lines

    names = {"card_marks": "", "card_details": f"`decisions {shown.decision.decision_id}`"}
    for flag in shown.decision.flags:
        print(f"marked text: {plain(flag)}")
    for line in research_card_lines(shown, shown.decision, around(link.snapshot_now(), shown, names), (), PRINTED_WIDTH):
        print("".join(text for text, _ in line))
    if shown.blocked:
        print(f"it cannot be approved now: {plain(shown.blocked)}")


def approve_by_code(path: Path, proposal_id: str, code: str, totp: str, *, as_json: bool) -> int:
    """Approve a pending trade of the running engine by the code of its notice and an authenticator's."""
    if not code:
        raise UsageError("approve: --totp goes with --code, the code of the notice")
    if not totp:
        from tui.key_access import hidden

        if not sys.stdin.isatty():
            raise UsageError("approve: --code goes with --totp where there is no terminal to ask on")
        totp = hidden("the authenticator's code: ").strip()
    client = connect(existing_home(path))
    try:
        return _report(client, client.approve_by_code_now(proposal_id, code, totp), as_json=as_json)
    finally:
        client.close()


def _shown_proposal(link: Link, proposal_id: str) -> ProposalView:
    """The proposal as a snapshot shows it, which may be a moment younger than the proposal; raises `UsageError`."""
    deadline = time.monotonic() + SHOWN_SECONDS
    while True:
        try:
            return proposal(link.snapshot_now(), proposal_id)
        except UsageError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(POLL_SECONDS)


def decline(path: Path, proposal_id: str, reason: str, *, as_json: bool) -> int:
    """Decline a pending trade."""
    return _sent(path, Decline(command_id(), proposal_id, reason), as_json=as_json)


def halve(path: Path, proposal_id: str, digest: str, *, as_json: bool) -> int:
    """Put half of a pending trade in its place, and name the new one."""
    with engine_link(path) as link:
        shown = digest or _shown_proposal(link, proposal_id).digest
        return _report(link, link.send_now(Halve(command_id(), proposal_id, shown)), as_json=as_json)


def _sent(path: Path, command: Command, *, as_json: bool) -> int:
    with engine_link(path) as link:
        return _report(link, link.send_now(command), as_json=as_json)


def _agreed(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _show_what_if(answer: OrderCard | Refusal, *, as_json: bool) -> int:
    if isinstance(answer, Refusal):
        if as_json:
            print_json({"passed": False, "refusal": answer})
        print_error(refusal_line(answer))
        return _status_of(answer)
    if as_json:
        print_json({"passed": answer.passed, "card": answer})
    else:
        print_card(answer)
    return 0 if answer.passed else 1


def print_card(card: OrderCard) -> None:
    """An order card: terms, worst case, heat and exposure before and after, and every check."""
    kind = card.kind.value.replace("_", "-")
    levels = [("limit", card.limit), ("trigger", card.trigger), ("stop", card.stop), ("target", card.target),
              ("price now", card.reference)]
    facts = [("order", f"{card.side.value} {number(card.quantity)} {card.symbol} {kind}, portfolio {card.portfolio}")]
    facts += [("over", card.over)] if card.over else []
    facts += [(name, number(level)) for name, level in levels if level is not None]
    if card.trail:
        facts.append(("trail", card.trail))
    loss = "not bounded: no stop" if card.worst_loss is None else f"{number(card.worst_loss)} {card.currency}"
    facts += [
        ("notional", f"{number(card.notional)} {card.currency}, {percent(card.equity_share_percent)} of equity"),
        ("fee", f"{number(card.fee_estimate)} {card.currency}"),
        ("worst loss", loss),
        ("heat", f"{percent(card.heat_before_percent)} -> {percent(card.heat_after_percent)}"),
        ("with correlation", f"{percent(card.correlated_heat_before_percent)} -> {percent(card.correlated_heat_after_percent)}"),
        ("exposure", f"{percent(card.exposure_before_percent)} -> {percent(card.exposure_after_percent)}"),
    ]
    if card.reward_to_risk is not None:
        facts.append(("reward to risk", f"{card.reward_to_risk:.2f}"))
    facts += clamp_facts(card)
    print_facts(facts)
    rows = [["ok" if check.passed else "REFUSED", check.name, check.value, check.limit, check.message]
            for check in card.checks]
    print_table(words("verdict", "check", "value", "limit", "why"), rows, empty="no checks apply")


def clamp_facts(card: OrderCard) -> list[tuple[str, str]]:
    """What each limit took off the size, one line each."""
    return [("cut", f"{one.limit}, {one.allowed}: {number(one.before) if one.before else UNBOUNDED} -> {number(one.after)}")
            for one in card.clamps]


def told_receipt(receipt: Receipt, *, as_json: bool) -> int:
    """Print the receipt of a command that sends no order; the exit status."""
    if as_json:
        print_json({"accepted": receipt.accepted, "receipt": receipt})
    if not receipt.accepted:
        print_error(refusal_line(receipt.refusal) if receipt.refusal else f"refused: {receipt.text}")
        return 1
    if not as_json:
        print(receipt.text)
    return 0


def refusal_line(refusal: Refusal) -> str:
    """A refusal as one line: the check, what was found, what is allowed."""
    held = f" ({refusal.value or '-'} against {refusal.limit or '-'})" if refusal.value or refusal.limit else ""
    return f"refused by {refusal.check}{held}: {refusal.message}"


def _not_done(order: OrderView) -> str:
    """Why an order did not come to its good end, in one line; empty where it did. What nobody has confirmed is not done."""
    name = f"{order.client_order_id}: {order.status.value}"
    if order.status in BAD_ENDS:
        return f"{name}: {order.reason or 'the venue gave no reason'}"
    if order.status in NOT_DONE:
        return f"{name}: {NOT_DONE[order.status]}; `quarterdeck orders --all` tells what becomes of it"
    return ""


def _still_there(order: OrderView) -> str:
    """Why a cancel did not come to its good end, in one line; empty where the order is gone."""
    if order.status in GONE:
        return ""
    if order.status in NOT_DONE:
        return _not_done(order)
    return f"{order.client_order_id}: {order.status.value}: {'too late' if not order.working else 'the venue refused the cancel'}"


def _report(link: Link, receipt: Receipt, *, as_json: bool, why_not: Callable[[OrderView], str] = _not_done) -> int:
    """Print what a command led to once its orders have left flight; 0 done, 1 refused or, by `why_not`, not done."""
    orders = _settled_orders(link, receipt) if receipt.accepted else []
    if as_json:
        print_json({"accepted": receipt.accepted, "receipt": receipt, "orders": orders})
    if receipt.refusal is not None or not receipt.accepted:
        print_error(refusal_line(receipt.refusal) if receipt.refusal else f"refused: {receipt.text}")
        return _status_of(receipt.refusal)
    if not as_json:
        _print_outcome(receipt, orders)
        _print_protection(link.snapshot_now(), orders)
    lines = [line for order in orders if (line := why_not(order))]
    for line in lines:
        print_error(line)
    return 1 if lines else 0


def _status_of(refusal: Refusal | None) -> int:
    """The exit status of a refusal: a venue that is out of reach has not refused anything."""
    return VenueUnreachable.exit_status if refusal is not None and refusal.check == "connection" else 1


def _print_outcome(receipt: Receipt, orders: list[OrderView]) -> None:
    if receipt.proposal_id:
        print(f"pending decision {receipt.proposal_id}: `quarterdeck approve {receipt.proposal_id}` sends it")
    for order in orders:
        at = f" at {number(order.average)}" if order.average is not None else ""
        done = f", {number(order.filled)} of {number(order.quantity)} filled{at}" if order.filled else ""
        name = f"{order.side.value} {number(order.quantity)} {order.symbol} {order.kind.value.replace('_', '-')}"
        print(f"{order.client_order_id}  {order.purpose.value}: {name}  {order.status.value}{done}")
    if receipt.text or not (orders or receipt.proposal_id):
        print(receipt.text or "done")


def _print_protection(snapshot: Snapshot, orders: list[OrderView]) -> None:
    """Where the stop of each position that the orders touched lives now; a trailing stop may have moved already."""
    for position in _touched(snapshot, orders):
        stop = f"stop {number(position.stop, position.price_decimals)}" if position.stop is not None else "no stop"
        bare = "" if position.stop_home is not StopHome.NONE else ": NOT PROTECTED"
        held = f"{position.symbol} {position.side} {number(position.quantity)}"
        print(f"{held}: {stop}, held by {position.stop_home.value}{bare}")


def _touched(snapshot: Snapshot, orders: list[OrderView]) -> list[PositionView]:
    keys = {(order.portfolio, order.instrument_id) for order in orders}
    return [position for position in snapshot.positions if (position.portfolio, position.instrument_id) in keys]


def _settled_orders(link: Link, receipt: Receipt) -> list[OrderView]:
    """The receipt's orders once no answer is awaited and no stop is on its way, or as they are after a bounded wait."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        snapshot = link.snapshot_now()
        orders = [order for order in snapshot.orders if order.client_order_id in receipt.order_ids]
        early = snapshot.health.journal_seq < receipt.seq
        flying = early or len(orders) < len(receipt.order_ids) or any(order.status in IN_FLIGHT for order in orders)
        if not (flying or _stop_pending(snapshot, orders)) or time.monotonic() >= deadline:
            return orders
        time.sleep(POLL_SECONDS)


def _stop_pending(snapshot: Snapshot, orders: list[OrderView]) -> bool:
    return any(position.stop_home is StopHome.PENDING for position in _touched(snapshot, orders))


def require_something(change: SetProtection) -> None:
    """Raise `UsageError` where a change of protection names nothing."""
    named = (change.stop, change.target, change.trail, change.breakeven_at, change.max_hold_seconds)
    if all(part is None for part in named) and not change.clear:
        raise UsageError(f"{change.symbol}: nothing to change; give --stop, --take-profit, --trail, --breakeven, "
                         "--max-hold or --clear")
