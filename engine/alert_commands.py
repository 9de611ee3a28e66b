"""What a person can have done with alert rules."""

import msgspec

from engine.alert_rules import AlertRule


class SetAlertRule(msgspec.Struct, frozen=True, tag=True):
    """Watch for a condition; a rule of the same id is replaced, and starts anew."""

    command_id: str
    rule: AlertRule
    by: str = "user"


class RemoveAlertRule(msgspec.Struct, frozen=True, tag=True):
    command_id: str
    rule_id: str
    by: str = "user"


class EnableAlertRule(msgspec.Struct, frozen=True, tag=True):
    """Let a rule watch again, as if it had just been set; or, with `enabled` false, stop it without losing it."""

    command_id: str
    rule_id: str
    enabled: bool = True
    by: str = "user"


class ReadAlertRule(msgspec.Struct, frozen=True, tag=True):
    """What a rule would read now; nothing is recorded, nothing fires."""

    command_id: str
    rule: AlertRule
    by: str = "user"
