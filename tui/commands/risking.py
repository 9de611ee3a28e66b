"""Commands about risk: heat line by line, what an order would do to it, limits with their use and source, and changing one."""

from pathlib import Path

from msgspec.structs import replace

from engine.inputs import PlaceOrder, SetLimit
from engine.service import AccountView, BrakeLevel, BrakeView, BudgetView, OrderCard, PositionView, Refusal, RiskView, Snapshot
from tui.commands.link import command_id, engine_link, portfolio_meant
from tui.commands.queries import snapshot_for
from tui.commands.trading import clamp_facts, refusal_line
from tui.formats import MISSING, moment, money, number, percent
from tui.printing import numbers, print_error, print_facts, print_json, print_table, words


def heat(path: Path, *, as_json: bool) -> None:
    """What may be lost if every stop is hit: line by line, by bucket, and per portfolio against its limit."""
    snapshot = snapshot_for(path)
    if as_json:
        print_json(_heat_facts(snapshot))
        return
    risks = snapshot.risks if snapshot else ()
    rows = [row for view in risks for row in _heat_rows(view)]
    columns = (*words("portfolio", "what"), *numbers("stop", "to the stop", "gap", "fee", "at risk", "of equity"),
               *words("bucket"))
    print_table(columns, rows, empty="no portfolios")
    for view in risks:
        together = percent(view.correlated_heat_percent)
        how = _correlation_words(view)
        print(f"{view.portfolio}: heat {percent(view.heat_percent)} of {percent(view.heat_limit_percent)}, "
              f"{together} with correlation ({how})")


def _correlation_words(view: RiskView) -> str:
    if len(view.lines) < 2:
        return "there is nothing to go together with"
    if not view.correlation_returns:
        return "not enough bars in common: taken as moving together"
    return f"{view.correlation_returns} returns, shrunk by {view.correlation_shrinkage:.2f}"


def _heat_rows(view: RiskView) -> list[list[str]]:
    rows = [[view.portfolio, f"{line.symbol} {line.side} {line.status}", number(line.stop), number(line.distance),
             number(line.gap), number(line.fee), number(line.risk), percent(line.risk_percent), line.bucket]
            for line in view.lines]
    rows += [[view.portfolio, f"bucket {share.name}", "", "", "", "", "", percent(share.heat_percent), share.name]
             for share in view.shares if share.kind == "bucket"]
    return [*rows, [view.portfolio, f"all, limit {percent(view.heat_limit_percent)}", "", "", "", "", "",
                    percent(view.heat_percent), ""]]


def _heat_facts(snapshot: Snapshot | None) -> dict[str, object]:
    accounts: tuple[AccountView, ...] = snapshot.accounts if snapshot else ()
    held: tuple[PositionView, ...] = snapshot.positions if snapshot else ()
    return {
        "portfolios": [{"portfolio": one.portfolio, "heat_percent": one.heat_percent, "equity": one.equity,
                        "heat_limit_percent": one.heat_limit_percent, "currency": one.currency} for one in accounts],
        "positions": [{"portfolio": one.portfolio, "symbol": one.symbol, "open_risk": one.open_risk,
                       "open_risk_percent": one.open_risk_percent, "stop": one.stop} for one in held],
        "risks": [{"portfolio": one.portfolio, "heat_percent": one.heat_percent, "lines": one.lines,
                   "correlated_heat_percent": one.correlated_heat_percent, "correlation_returns": one.correlation_returns,
                   "correlation_shrinkage": one.correlation_shrinkage, "shares": one.shares}
                  for one in (snapshot.risks if snapshot else ())]}


def heat_what_if(path: Path, order: PlaceOrder, *, as_json: bool) -> int:
    """Heat before and after an order that is not sent; 1 where one of its checks fails."""
    with engine_link(path) as link:
        answer = link.what_if_now(replace(order, portfolio=portfolio_meant(link, order.portfolio)))
    if isinstance(answer, Refusal):
        if as_json:
            print_json({"passed": False, "refusal": answer})
        print_error(refusal_line(answer))
        return 1
    if as_json:
        print_json({"passed": answer.passed, "card": answer})
        return 0 if answer.passed else 1
    print_facts(_impact(answer))
    for check in answer.checks:
        if not check.passed:
            print_error(f"refused by {check.name}: {check.message}")
    return 0 if answer.passed else 1


def _impact(card: OrderCard) -> list[tuple[str, str]]:
    def change(before: float, after: float) -> str:
        return f"{percent(before)} -> {percent(after)}"

    return [
        ("order", f"{card.side.value} {number(card.quantity)} {card.symbol}, portfolio {card.portfolio}"),
        ("at risk", MISSING if card.worst_loss is None else f"{number(card.worst_loss)} {card.currency}"),
        ("heat", change(card.heat_before_percent, card.heat_after_percent)),
        (f"heat of {card.bucket}", change(card.bucket_heat_before_percent, card.bucket_heat_after_percent)),
        ("with correlation", change(card.correlated_heat_before_percent, card.correlated_heat_after_percent)),
        ("exposure", change(card.exposure_before_percent, card.exposure_after_percent)),
        *clamp_facts(card),
    ]


# ---- limits --------------------------------------------------------------------------------------------------------------------


def risk(path: Path, *, as_json: bool) -> None:
    """Each portfolio's limits, what of them is used, where they come from, and the brakes."""
    snapshot = snapshot_for(path)
    accounts = snapshot.accounts if snapshot else ()
    views = {view.portfolio: view for view in snapshot.risks} if snapshot else {}
    if as_json:
        print_json([{"portfolio": one.portfolio, "trading_state": one.trading_state,
                     "trading_state_cause": one.trading_state_cause, "heat_percent": one.heat_percent,
                     "gross_exposure_percent": one.gross_exposure_percent, "buying_power": one.buying_power,
                     "limits": one.limits, "risk": views.get(one.portfolio)} for one in accounts])
        return
    rows = [[view.portfolio, limit.name, limit.value, limit.used,
             "" if limit.used_fraction is None else percent(100 * limit.used_fraction, 0), limit.source]
            for view in views.values() for limit in view.limits]
    print_table((*words("portfolio", "limit"), *numbers("allowed", "used", "part"), *words("from")), rows, empty="no portfolios")
    for view in views.values():
        print_facts(_risk_facts(view))
        if view.budgets:
            print_table((*words("strategy"), *numbers("at work", "capital", "part", "heat", "heat budget"), *words("capital is")),
                        [_budget_row(view, budget) for budget in view.budgets], empty="")
        brakes = [_brake_row(view, brake) for brake in view.brakes]
        print_table((*words("brake", "level", "cause"), *numbers("measured from"), *words("since (UTC)", "ends", "released by")),
                    brakes, empty="no brake was ever on")


def _risk_facts(view: RiskView) -> list[tuple[str, str]]:
    high = MISSING if view.high_water is None else money(view.high_water, view.money_decimals, view.currency)
    return [
        (f"portfolio {view.portfolio}", f"{view.tolerance}, equity {money(view.equity, view.money_decimals, view.currency)}"),
        ("highest equity", high), ("losing streak", str(view.losing_streak)),
        ("exposure", f"gross {percent(view.gross_percent)}, net {percent(view.net_percent, signed=True)}"),
        ("order size", f"{percent(view.size_percent, 0)} of the usual"),
        *_tail_facts(view),
    ]


def _tail_facts(view: RiskView) -> list[tuple[str, str]]:
    """A bad day, historical and normal, with its horizon and confidence."""
    tail = view.tail
    if tail is None:
        return []
    full = f"; {percent(tail.in_full_percent)} in full for want of bars" if tail.in_full_percent else ""
    of_what = f"{tail.horizon_days:g} day, {tail.confidence_percent:g} %, {tail.returns} returns{full}"
    var = f"{percent(tail.historical_var_percent)} historical, {percent(tail.normal_var_percent)} normal"
    shortfall = f"{percent(tail.historical_shortfall_percent)} historical, {percent(tail.normal_shortfall_percent)} normal"
    return [("value at risk", f"{var} ({of_what})"), ("expected shortfall", shortfall)]


def _budget_row(view: RiskView, budget: BudgetView) -> list[str]:
    kind = "all of the portfolio's" if budget.capital is None else "a part of the equity" if budget.compounds else "fixed"
    return [budget.strategy, money(budget.work, view.money_decimals),
            MISSING if budget.capital is None else money(budget.capital, view.money_decimals), percent(budget.used_percent, 0),
            percent(budget.heat_percent),
            MISSING if budget.heat_limit_percent is None else percent(budget.heat_limit_percent), kind]


def _brake_row(view: RiskView, brake: BrakeView) -> list[str]:
    released = brake.level is BrakeLevel.NONE
    by_a_person = brake.level in (BrakeLevel.HALTED, BrakeLevel.STOPPED)
    return [brake.name, "released" if released else brake.level.value, brake.cause,
            money(brake.baseline, view.money_decimals), moment(brake.at_ns),
            moment(brake.until_ns) if brake.until_ns else "by a person" if by_a_person else "",
            f"{brake.released_by}, {moment(brake.released_at_ns)}: {brake.release_cause}" if released else ""]


def set_limit(path: Path, portfolio: str, limit: str, value: str, *, as_json: bool) -> int:
    """Change one limit; the exit status."""
    with engine_link(path) as link:
        receipt = link.send_now(SetLimit(command_id(), portfolio_meant(link, portfolio), limit, value))
    if as_json:
        print_json(receipt)
    if receipt.refusal is not None:
        print_error(refusal_line(receipt.refusal))
        return 1
    if not as_json:
        print(receipt.text)
    return 0
