"""Commands that only look: what the screen shows, as tables or as JSON."""

from pathlib import Path

from engine.errors import UsageError
from engine.service import AccountView, OrderView, PositionView, ProposalStatus, ProposalView, Snapshot, TotalView
from tui.commands.link import Looked, look
from tui.formats import age, duration, moment, money, multiple, number, percent
from tui.printing import numbers, print_facts, print_json, print_note, print_table, words

NOTHING_RECORDED = "nothing is recorded in this home yet; `quarterdeck` starts the workstation"


def snapshot_for(path: Path) -> Snapshot | None:
    """The snapshot for a table; says on standard error where no engine runs."""
    looked = look(path)
    if looked.snapshot is None:
        print_note(NOTHING_RECORDED)
    elif looked.pid is None:
        print_note(f"no engine runs; this is what was known at {moment(looked.snapshot.at_ns)} UTC")
    return looked.snapshot


def status(path: Path, *, as_json: bool) -> None:
    """One page: who runs, what state, what is held, what waits."""
    looked = look(path)
    if as_json:
        print_json(_status_facts(looked))
        return
    if looked.snapshot is None:
        print(NOTHING_RECORDED)
        return
    print_facts(_status_lines(looked, looked.snapshot))


def _status_facts(looked: Looked) -> dict[str, object]:
    snapshot = looked.snapshot
    facts: dict[str, object] = {"running": looked.pid is not None, "pid": looked.pid}
    if snapshot is None:
        return facts
    return facts | {
        "mode": snapshot.mode, "engine_id": snapshot.engine_id, "at_ns": snapshot.at_ns, "accounts": snapshot.accounts,
        "positions": len(snapshot.positions), "unprotected": _unprotected(snapshot),
        "working_orders": len(_working(snapshot)), "pending_decisions": len(_pending(snapshot)),
        "unacknowledged_alerts": _unacknowledged(snapshot), "total": snapshot.total, "flatten": snapshot.flatten,
        "health": snapshot.health,
    }


def _status_lines(looked: Looked, snapshot: Snapshot) -> list[tuple[str, str]]:
    running = f"running, process {looked.pid}, up {duration(snapshot.health.uptime_seconds)}"
    stopped = f"not running; as of {moment(snapshot.at_ns)} UTC{_without_prices(snapshot)}"
    lines = [("mode", snapshot.mode.value), ("engine", running if looked.pid is not None else stopped)]
    for account in snapshot.accounts:
        lines.append((f"portfolio {account.portfolio}", _account_line(account, live=looked.pid is not None)))
    if snapshot.total is not None:
        lines.append(("all together", _total_line(snapshot.total)))
    lines += [
        ("positions", f"{len(snapshot.positions)}, {_unprotected(snapshot)} unprotected"),
        ("orders", f"{len(_working(snapshot))} working"),
        ("decisions", f"{len(_pending(snapshot))} pending"),
        ("alerts", f"{_unacknowledged(snapshot)} not acknowledged"),
        ("journal", f"row {snapshot.health.journal_seq}"),
    ]
    if snapshot.flatten is not None and not snapshot.flatten.finished:
        lines.append(("flatten", f"in progress: {snapshot.flatten.detail}"))
    return lines


def _without_prices(snapshot: Snapshot) -> str:
    """What equity and the day's result rest on where nobody knows a price; empty where nothing is held."""
    return ", what is held counted at its cost" if any(position.mark is None for position in snapshot.positions) else ""


def _account_line(account: AccountView, *, live: bool) -> str:
    cause = f" ({account.trading_state_cause})" if account.trading_state_cause else ""
    drift = f", drift in {', '.join(account.drift)}" if account.drift else ""
    missed = [f"{one.symbol} (ours {number(one.ours)}, stream {number(one.stream)})"
              for one in account.drift_meter if one.stream != one.ours]
    drift += f", not told by the stream: {', '.join(missed)}" if missed else ""
    venue = f", venue {account.connectivity.value}" if live else ""
    armed = f", real money {armed_words(account)}" if account.live else ""
    return (f"{account.trading_state.value}{cause}, {account.automation.value}, "
            f"equity {money(account.equity, account.money_decimals, account.currency)}, "
            f"day {money(account.day_pnl, account.money_decimals, signed=True)} "
            f"({percent(account.day_pnl_percent, signed=True)}), "
            f"heat {percent(account.heat_percent)} of {percent(account.heat_limit_percent)}{venue}{armed}{drift}")


def _total_line(total: TotalView) -> str:
    """What all portfolios are worth and risk in one currency, by which rates, and whom no rate was known for."""
    told = f"equity {money(total.equity, total.money_decimals, total.currency)}, heat {percent(total.heat_percent)}"
    told += f" of {percent(total.heat_limit_percent)}" if total.heat_limit_percent else ""
    told += f", exposure {percent(total.gross_percent)}"
    told += f" of {percent(total.gross_limit_percent)}" if total.gross_limit_percent else ""
    for rate in total.rates:
        by = f"by {rate.source}, {rate.age_seconds:.0f} s old" if rate.age_seconds is not None else "pegged"
        told += f"; {rate.currency} at {number(rate.rate.normalize())} {rate.into} ({by})"
    stale = [f"{rate.currency}/{rate.into}" for rate in total.rates if f"{rate.currency}/{rate.into}" in total.stale]
    told += f"; STALE RATE {', '.join(stale)}" if stale else ""
    return told + (f"; NO RATE for {', '.join(total.left_out)}, left out" if total.left_out else "")


def armed_words(view: AccountView) -> str:
    """Whether real money is armed, and until when."""
    if not view.live:
        return ""
    return f"ARMED until {moment(view.armed_until_ns)} UTC by {view.armed_by}" if view.armed_until_ns else "NOT ARMED"


def _unprotected(snapshot: Snapshot) -> int:
    return sum(position.unprotected_now for position in snapshot.positions)


def _working(snapshot: Snapshot) -> list[OrderView]:
    return [order for order in snapshot.orders if order.working]


def _pending(snapshot: Snapshot) -> list[ProposalView]:
    return [proposal for proposal in snapshot.proposals if proposal.status is ProposalStatus.PENDING]


def _unacknowledged(snapshot: Snapshot) -> int:
    return sum(not alert.acknowledged for alert in snapshot.alerts)


def positions(path: Path, *, as_json: bool) -> None:
    """Open positions with their profit and their protection."""
    snapshot = snapshot_for(path)
    found = snapshot.positions if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("portfolio", "symbol", "side"), *numbers("quantity", "entry", "mark", "p&l", "p&l %", "R", "stop",
                                                               "target"), *words("stop at"), *numbers("bare", "age"))
    print_table(columns, [_position_row(position) for position in found], empty="no open positions")


def _position_row(position: PositionView) -> list[str]:
    decimals = position.price_decimals
    return [
        position.portfolio, position.symbol, position.side, number(position.quantity, position.quantity_decimals),
        number(position.entry, decimals), number(position.mark, decimals), number(position.pnl, signed=True),
        percent(position.pnl_percent, signed=True), multiple(position.r_multiple), number(position.stop, decimals),
        number(position.target, decimals), position.stop_home.value, duration(position.unprotected_seconds),
        age(position.age_seconds),
    ]


def orders(path: Path, *, everything: bool, as_json: bool) -> None:
    """Working orders, or with `everything` the lately closed ones too."""
    snapshot = snapshot_for(path)
    found = [order for order in snapshot.orders if everything or order.working] if snapshot else []
    if as_json:
        print_json(found)
        return
    columns = (*words("id", "portfolio", "symbol", "side", "purpose", "type"),
               *numbers("quantity", "filled", "limit", "trigger", "average"), *words("status"), *numbers("age"),
               *words("reason"))
    rows = [[order.client_order_id, order.portfolio, order.symbol, order.side.value, order.purpose.value,
             order.style or order.kind.value, number(order.quantity), number(order.filled), number(order.limit),
             number(order.trigger), number(order.average), order.status.value, age(order.age_seconds),
             order.reason] for order in found]
    print_table(columns, rows, empty="no orders" if everything else "no working orders")


def fills(path: Path, *, as_json: bool) -> None:
    """The newest executions."""
    snapshot = snapshot_for(path)
    found = snapshot.fills if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("time (UTC)", "portfolio", "symbol", "side"), *numbers("quantity", "price", "fee"),
               *words("purpose", "order"))
    rows = [[moment(fill.at_ns), fill.portfolio, fill.symbol, fill.side.value, number(fill.quantity),
             number(fill.price), f"{number(fill.fee)} {fill.currency}", fill.purpose.value,
             fill.client_order_id] for fill in found]
    print_table(columns, rows, empty="no fills")


def decisions(path: Path, *, everything: bool, as_json: bool) -> None:
    """Pending trades, or with `everything` the settled ones too."""
    snapshot = snapshot_for(path)
    found = (list(snapshot.proposals) if everything else _pending(snapshot)) if snapshot else []
    if as_json:
        print_json(found)
        return
    columns = (*words("id", "symbol", "side"),
               *numbers("quantity", "limit", "stop", "worst loss", "heat after", "left"),
               *words("status", "origin", "digest"))
    rows = [[one.proposal_id, one.card.symbol, one.card.side.value, number(one.card.quantity), number(one.card.limit),
             number(one.card.stop), number(one.card.worst_loss), percent(one.card.heat_after_percent),
             duration(one.seconds_left) if one.status is ProposalStatus.PENDING else "", one.status.value, one.origin,
             one.digest] for one in found]
    print_table(columns, rows, empty="no decisions" if everything else "no pending decisions")


def alerts(path: Path, *, as_json: bool) -> None:
    """Alerts and messages, newest last."""
    snapshot = snapshot_for(path)
    found = sorted(snapshot.alerts, key=lambda alert: alert.at_ns) if snapshot else []
    if as_json:
        print_json(found)
        return
    columns = (*words("id", "time (UTC)", "level", "code", "subject", "text"), *numbers("count"), *words("seen"))
    rows = [[alert.alert_id, moment(alert.at_ns), alert.level.value, alert.code, alert.subject, alert.text,
             str(alert.count), "yes" if alert.acknowledged else "no"] for alert in found]
    print_table(columns, rows, empty="no alerts")


def protection(path: Path, *, as_json: bool) -> None:
    """The protection ledger: for each position where its stop lives, and how long it was bare."""
    snapshot = snapshot_for(path)
    found = snapshot.positions if snapshot else ()
    if as_json:
        print_json([_ledger_facts(position) for position in found])
        return
    columns = (*words("portfolio", "symbol", "side"), *numbers("quantity", "stop", "distance", "target"),
               *words("trail"), *numbers("breakeven at", "hold left"), *words("stop at"), *numbers("bare"),
               *words("protected", "detail"))
    rows = [[one.portfolio, one.symbol, one.side, number(one.quantity, one.quantity_decimals),
             number(one.stop, one.price_decimals), percent(one.stop_distance_percent),
             number(one.target, one.price_decimals), one.trail or "-", number(one.breakeven_at, one.price_decimals),
             duration(one.max_hold_left_seconds), one.stop_home.value, duration(one.unprotected_seconds),
             "NO" if one.unprotected_now else "yes", one.stop_home_detail] for one in found]
    print_table(columns, rows, empty="no open positions")


def _ledger_facts(position: PositionView) -> dict[str, object]:
    names = ("portfolio", "symbol", "side", "quantity", "stop", "stop_distance_percent", "target", "trail",
             "breakeven_at", "max_hold_left_seconds", "stop_home", "stop_home_detail", "unprotected_seconds",
             "unprotected_now")
    return {name: getattr(position, name) for name in names}


def proposal(snapshot: Snapshot, proposal_id: str) -> ProposalView:
    """The proposal of that id; raises `UsageError` where there is none."""
    for one in snapshot.proposals:
        if one.proposal_id == proposal_id:
            return one
    known = ", ".join(one.proposal_id for one in _pending(snapshot)) or "none is pending"
    raise UsageError(f"{proposal_id}: no such decision; pending: {known}")
