"""Alert rules as a person sees them."""

from engine.alert_rules import AlertRuleState
from engine.alert_text import actions_text, condition_text
from engine.market import MarketView
from engine.service import AlertRuleStatus, AlertRuleView
from engine.state import State


def rule_views(state: State, market: MarketView) -> tuple[AlertRuleView, ...]:
    """Every rule, in the order in which they were set; a view is made anew only where its rule changed."""
    kept = market.alert_memo.rule_views
    for rule_id in [rule_id for rule_id in kept if rule_id not in state.alert_rules]:
        del kept[rule_id]
    for rule_id, known in state.alert_rules.items():
        if rule_id not in kept or kept[rule_id][0] is not known:
            kept[rule_id] = (known, _view(known))
    return tuple(kept[rule_id][1] for rule_id in state.alert_rules)


def _view(known: AlertRuleState) -> AlertRuleView:
    rule = known.rule
    return AlertRuleView(
        rule_id=rule.rule_id, portfolio=rule.portfolio, condition=condition_text(rule.condition),
        actions=actions_text(rule.actions), scopes=", ".join(rule.scopes), status=_status(known), repeat=rule.repeat,
        hysteresis_bps=rule.hysteresis_bps, cooldown_seconds=rule.cooldown_seconds, lasts_seconds=rule.lasts_seconds,
        expires_at_ns=known.expires_at_ns, fired_count=known.fired_count, fired_at_ns=known.fired_at_ns,
        last_reading=known.last_reading, ended=known.ended, note=rule.note, set_by=known.set_by, set_at_ns=known.set_at_ns)


def _status(known: AlertRuleState) -> AlertRuleStatus:
    if known.enabled:
        return AlertRuleStatus.WATCHING if known.armed else AlertRuleStatus.WAITING
    ends = {"fired": AlertRuleStatus.FIRED, "expired": AlertRuleStatus.EXPIRED}
    return ends.get(known.ended, AlertRuleStatus.DISABLED)
