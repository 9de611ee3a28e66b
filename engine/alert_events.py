"""What the engine records of its alert rules."""

from engine.alert_rules import AlertRule
from engine.event_base import Event


class AlertRuleSet(Event, frozen=True, omit_defaults=True):
    """A rule is watched from now on; `instruments` is what its symbols mean."""

    rule: AlertRule
    instruments: dict[str, str]
    by: str
    command_id: str = ""


class AlertRuleRemoved(Event, frozen=True, omit_defaults=True):
    rule_id: str
    by: str
    command_id: str = ""


class AlertRuleSwitched(Event, frozen=True, omit_defaults=True):
    """A rule was enabled, which readies it anew, or stopped; an expiry stops it too."""

    rule_id: str
    enabled: bool
    reason: str
    by: str
    command_id: str = ""


class AlertRuleNoted(Event, frozen=True, omit_defaults=True):
    """A price came to the other side of a crossing's level, or a rule that had fired is ready again."""

    rule_id: str
    sides: tuple[int, ...]
    armed: bool


class AlertRuleFired(Event, frozen=True, omit_defaults=True):
    """A rule's condition came true; what it does about it follows in the same transaction. `reading` is what it saw."""

    rule_id: str
    reading: str
    sides: tuple[int, ...]
    armed: bool
