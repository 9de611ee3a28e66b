"""A portfolio's targets on the command line: what stands where, what a rebalancing would do, and doing it."""

import time
from pathlib import Path

from engine.errors import UsageError
from engine.inputs import Rebalance
from engine.orders import Purpose
from engine.service import Snapshot, TargetLineView, TargetsView
from tui.commands.link import POLL_SECONDS, Link, command_id, engine_link, portfolio_meant
from tui.commands.trading import refusal_line
from tui.formats import money, number, percent
from tui.printing import numbers, print_error, print_json, print_table, words

SETTLE_SECONDS = 20.0
FRESH_SECONDS = 15.0
WARM_BARS = 130  # what the weights are usually found from


def rebalance(path: Path, portfolio: str, *, what_if: bool, as_json: bool) -> int:
    """Bring a portfolio back to its targets, or with `what_if` print what that would be; the exit status."""
    with engine_link(path, portfolio, warm_bars=WARM_BARS) as link:
        portfolio = portfolio_meant(link, portfolio)
        if what_if:
            return _show(_view(link, portfolio), as_json=as_json)
        receipt = link.send_now(Rebalance(command_id(), portfolio))
        if not receipt.accepted:
            if as_json:
                print_json({"accepted": False, "receipt": receipt})
            assert receipt.refusal is not None
            print_error(refusal_line(receipt.refusal))
            return 1
        view = _followed(link, portfolio, receipt.command_id, receipt.seq)
    began = view.run_id == receipt.command_id
    if as_json:
        print_json({"accepted": True, "receipt": receipt, "targets": view})
    elif began:
        print(f"{portfolio}: {view.run_text}{'; it goes on while an engine runs' if view.run_at_work else ''}")
    else:
        print(receipt.text)
    failed = began and "not done: " in view.run_text
    return 1 if failed else 0


def _found(snapshot: Snapshot, portfolio: str) -> TargetsView:
    for view in snapshot.targets:
        if view.portfolio == portfolio:
            return view
    known = ", ".join(account.portfolio for account in snapshot.accounts)
    if portfolio not in [account.portfolio for account in snapshot.accounts]:
        raise UsageError(f"there is no portfolio called {portfolio!r}; there is: {known}")
    raise UsageError(f"{portfolio} has no targets; give it a [portfolio.targets] section in the configuration")


def _view(link: Link, portfolio: str) -> TargetsView:
    """The targets once they can be worked out, or after a bounded wait why they cannot."""
    deadline = time.monotonic() + FRESH_SECONDS
    while True:
        view = _found(link.snapshot_now(), portfolio)
        if (not view.refusal and all(line.price is not None for line in view.lines)) or time.monotonic() >= deadline:
            return view
        time.sleep(POLL_SECONDS)


def _followed(link: Link, portfolio: str, run_id: str, seq: int) -> TargetsView:
    """The targets once the run and its orders have come to their end, or after a bounded wait."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        snapshot = link.snapshot_now()
        view = _found(snapshot, portfolio)
        working = view.run_id == run_id and (view.run_at_work or any(
            order.working and order.portfolio == portfolio and order.purpose in (Purpose.ENTRY, Purpose.EXIT)
            for order in snapshot.orders))
        if (snapshot.health.journal_seq >= seq and not working) or time.monotonic() >= deadline:
            return view
        time.sleep(POLL_SECONDS)


def _show(view: TargetsView, *, as_json: bool) -> int:
    if as_json:
        print_json(view)
    if view.refusal:
        print_error(view.refusal)
        return 1
    if not as_json:
        rows = [_row(line, view.money_decimals) for line in view.lines]
        rows.append(["cash", percent(view.cash_target_percent), percent(view.cash_percent),
                     percent(view.cash_percent - view.cash_target_percent, signed=True), "", "", "", ""])
        print_table((*words("symbol"), *numbers("target", "actual", "drift"), *words("order"), *numbers("quantity", "worth"),
                     *words("note")), rows, empty="no targets")
        print(_summary(view))
    return 0


def _row(line: TargetLineView, decimals: int) -> list[str]:
    order = "" if not line.change else "buy" if line.change > 0 else "close"
    drift = percent(line.drift_percent, signed=True) + (" !" if line.drifted else "")
    return [line.symbol, percent(line.target_percent), percent(line.actual_percent), drift, order,
            number(abs(line.change)) if line.change else "", money(line.notional, decimals) if line.change else "", line.note]


def _summary(view: TargetsView) -> str:
    how = f"{view.method.replace('_', ' ')}{f' of {view.returns} returns' if view.returns else ''}"
    base = f"{how} on {money(view.base, view.money_decimals, view.currency)}"
    if not view.due:
        bands = " or ".join(text for text in (
            f"{view.drift_band_percent:g} points" if view.drift_band_percent else "",
            f"{view.relative_band_percent:g}% of the target" if view.relative_band_percent else "") if text)
        return f"{base}: nothing to do; bands are {bands}"
    capped = ", as much as a run may" if view.capped else ""
    return f"{base}: would turn over {percent(view.turnover_percent)}{capped}; nothing was sent"
