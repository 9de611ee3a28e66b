"""Alert rules on the command line: set, listed, switched, tried out."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from engine.alert_language import parse_actions, parse_condition
from engine.alert_rules import AlertRule, NotifyAction, problem_of
from engine.alert_text import condition_text
from engine.errors import UsageError
from engine.inputs import Command, EnableAlertRule, ReadAlertRule, RemoveAlertRule, SetAlertRule
from engine.service import AlertReading, AlertRuleView
from tui.commands.link import command_id, engine_link, portfolio_meant
from tui.commands.parsing import percent_of, seconds_of
from tui.commands.queries import snapshot_for
from tui.commands.trading import told_receipt
from tui.formats import moment
from tui.printing import numbers, print_json, print_table, words

BPS_A_PERCENT = 100


def rule_of(condition: str, do: Sequence[str], *, rule_id: str, portfolio: str, repeat: bool, hysteresis: str, cooldown: str,
            expires: str | None, note: str) -> AlertRule:
    """The rule that the words mean; raises `UsageError` with the option, or the column of a condition."""
    actions = tuple(action for text in do for action in parse_actions(text)) or (NotifyAction(),)
    rule = AlertRule(
        rule_id, parse_condition(condition), portfolio, actions, repeat, hysteresis_bps=_hysteresis_bps(hysteresis),
        cooldown_seconds=0 if cooldown in ("0", "0s") else seconds_of(cooldown, "--cooldown"),
        lasts_seconds=seconds_of(expires, "--expires") if expires is not None else 0, note=note)
    problem = problem_of(rule)
    if problem:
        raise UsageError(f"alert: {problem}")
    return rule


def _hysteresis_bps(text: str) -> int:
    share = Decimal(0) if text in ("0", "0%") else percent_of(text, "--hysteresis") * BPS_A_PERCENT
    if share != int(share):
        raise UsageError(f"--hysteresis {text}: must be a whole number of hundredths of a percent")
    return int(share)


def add(path: Path, rule: AlertRule, *, as_json: bool) -> int:
    """Set a rule and print it in its one form."""
    with engine_link(path) as link:
        meant = replace(rule, portfolio=portfolio_meant(link, rule.portfolio))
        receipt = link.send_now(SetAlertRule(command_id(), meant))
    return told_receipt(receipt, as_json=as_json)


def remove(path: Path, rule_id: str, *, as_json: bool) -> int:
    """Forget a rule."""
    return _sent(path, RemoveAlertRule(command_id(), rule_id), as_json=as_json)


def switch(path: Path, rule_id: str, *, enabled: bool, as_json: bool) -> int:
    """Watch a rule anew, or stop it."""
    return _sent(path, EnableAlertRule(command_id(), rule_id, enabled), as_json=as_json)


def _sent(path: Path, command: Command, *, as_json: bool) -> int:
    with engine_link(path) as link:
        receipt = link.send_now(command)
    return told_receipt(receipt, as_json=as_json)


def list_rules(path: Path, *, as_json: bool) -> None:
    """Every rule with its state."""
    snapshot = snapshot_for(path)
    found = snapshot.alert_rules if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("id", "status", "portfolio", "condition", "do"), *numbers("fired"),
               *words("last (UTC)", "it read", "until (UTC)"))
    print_table(columns, [_row(rule) for rule in found], empty="no alert rules; `quarterdeck alert add CONDITION` sets one")


def _row(rule: AlertRuleView) -> list[str]:
    status = f"{rule.status.value}, repeats" if rule.repeat else rule.status.value
    return [rule.rule_id, status, rule.portfolio, rule.condition, rule.actions, str(rule.fired_count),
            moment(rule.fired_at_ns) if rule.fired_at_ns else "-", rule.last_reading or "-",
            moment(rule.expires_at_ns) if rule.expires_at_ns else "-"]


def read(path: Path, condition: str, portfolio: str, *, as_json: bool) -> int:
    """What each part of a condition, or of a rule named by its id, reads now."""
    with engine_link(path) as link:
        known = {rule.rule_id: rule for rule in link.snapshot_now().alert_rules}.get(condition)
        parsed = parse_condition(known.condition if known else condition)
        rule = AlertRule(known.rule_id if known else "", parsed, known.portfolio if known else portfolio_meant(link, portfolio))
        receipt = link.send_now(ReadAlertRule(command_id(), rule))
    if as_json or not receipt.accepted:
        return told_receipt(receipt, as_json=as_json)
    print_table(words("condition", "reads", "holds"), [_reading_row(reading) for reading in receipt.readings],
                empty=condition_text(parsed))
    print(receipt.text)
    return 0


def _reading_row(reading: AlertReading) -> list[str]:
    holds = {True: "yes", False: "no", None: "not known"}[reading.holds]
    return [reading.term, reading.value, holds]
