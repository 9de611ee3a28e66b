"""Events of alert rules folded into the state, and the index by which a quote finds the rules of its instrument."""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.alert_events import AlertRuleFired, AlertRuleNoted, AlertRuleRemoved, AlertRuleSet, AlertRuleSwitched
from engine.alert_rules import AlertRuleState
from engine.events import Event, Recorded
from engine.state import Changes, State

replace = msgspec.structs.replace


def _set(state: State, event: AlertRuleSet, recorded: Recorded) -> Changes:
    known = AlertRuleState(event.rule, event.instruments, event.by, recorded.at_ns)
    return _put(state, event.rule.rule_id, known)


def _removed(state: State, event: AlertRuleRemoved, _: Recorded) -> Changes:
    return _put(state, event.rule_id, None) if event.rule_id in state.alert_rules else {}


def _switched(state: State, event: AlertRuleSwitched, recorded: Recorded) -> Changes:
    known = state.alert_rules.get(event.rule_id)
    if known is None:
        return {}
    if event.enabled:
        return _put(state, event.rule_id, replace(known, enabled=True, armed=True, sides=(), ended="", set_at_ns=recorded.at_ns))
    return _put(state, event.rule_id, replace(known, enabled=False, ended=event.reason))


def _noted(state: State, event: AlertRuleNoted, _: Recorded) -> Changes:
    known = state.alert_rules.get(event.rule_id)
    return {} if known is None else _put(state, event.rule_id, replace(known, sides=event.sides, armed=event.armed))


def _fired(state: State, event: AlertRuleFired, recorded: Recorded) -> Changes:
    known = state.alert_rules.get(event.rule_id)
    if known is None:
        return {}
    return _put(state, event.rule_id, replace(
        known, sides=event.sides, armed=event.armed, fired_count=known.fired_count + 1, fired_at_ns=recorded.at_ns,
        last_reading=event.reading, enabled=known.rule.repeat, ended="" if known.rule.repeat else "fired"))


def _put(state: State, rule_id: str, after: AlertRuleState | None) -> Changes:
    """A rule put, or taken out, with the index in step; the index changes only where a rule begins or ends to watch."""
    before = state.alert_rules.get(rule_id)
    rules = {**state.alert_rules}
    if after is None:
        rules.pop(rule_id, None)
    else:
        rules[rule_id] = after
    changes: Changes = {"alert_rules": rules}
    if before is not None and after is not None and before.rule is after.rule and before.enabled == after.enabled \
            and before.instruments is after.instruments:
        return changes
    watched = _watched(after)
    index = dict(state.alert_index)
    for instrument_id in dict.fromkeys((*_watched(before), *watched)):
        ids = _with(index.pop(instrument_id, ()), rule_id, present=instrument_id in watched)
        if ids:
            index[instrument_id] = ids
    timed = after is not None and after.enabled and (after.rule.timed or bool(after.rule.lasts_seconds))
    return {**changes, "alert_index": index, "alert_timed": _with(state.alert_timed, rule_id, present=timed)}


def _watched(known: AlertRuleState | None) -> tuple[str, ...]:
    return known.watched_instruments if known is not None and known.enabled else ()


def _with(ids: tuple[str, ...], rule_id: str, *, present: bool) -> tuple[str, ...]:
    if present and rule_id in ids:
        return ids
    others = tuple(kept for kept in ids if kept != rule_id)
    return (*others, rule_id) if present else others


HANDLERS: dict[type[Event], Callable[[State, Any, Recorded], Changes]] = {
    AlertRuleSet: _set, AlertRuleRemoved: _removed, AlertRuleSwitched: _switched, AlertRuleNoted: _noted,
    AlertRuleFired: _fired,
}
