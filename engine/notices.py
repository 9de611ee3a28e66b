"""What is told to a person away from the screen, and whose portfolio it is about."""

from engine.effects import Notify
from engine.positions import position_key
from engine.service import AlertLevel
from engine.state import Alert, State


def notice_of(state: State, alert: Alert) -> Notify:
    """An alert as a notice."""
    return Notify(alert.level, f"{alert.code} {alert.subject}", alert.text, alert.alert_id, portfolio_of(state, alert.subject),
                  alert.at_ns)


def unacknowledged(state: State) -> tuple[Notify, ...]:
    """The critical alerts that nobody has acknowledged, oldest first: whoever starts an engine anew is told of them again."""
    return tuple(notice_of(state, alert) for alert in state.alerts.values()
                 if alert.level is AlertLevel.CRIT and not alert.acknowledged)


def portfolio_of(state: State, subject: str) -> str:
    """The portfolio that the subject of an alert belongs to: it names one, its account, one of its orders, jobs, rules or
    positions. Empty where it belongs to several or to none: such an alert is everybody's business."""
    first = subject.replace(":", " ").split(" ", maxsplit=1)[0]
    for name in (subject, first):
        if name in state.portfolios:
            return name
        if name in state.accounts:
            return state.accounts[name].portfolio
    order = state.orders.get(subject) or state.closed.get(subject)
    if order is not None:
        return order.intent.portfolio
    job = state.jobs.get(subject)
    if job is not None:
        return job.job.portfolio
    rule = state.alert_rules.get(subject)
    if rule is not None:
        return rule.rule.portfolio
    if subject in state.positions:
        return state.positions[subject].portfolio
    if subject in state.instruments:
        return _holder_of(state, subject)
    return ""


def _holder_of(state: State, instrument_id: str) -> str:
    """The one portfolio that holds an instrument, or else the one that can trade it."""
    holders = [name for name in state.portfolios if position_key(name, instrument_id) in state.positions]
    holders = holders or [account.portfolio for account in state.accounts.values() if instrument_id in account.listed]
    return holders[0] if len(holders) == 1 else ""
