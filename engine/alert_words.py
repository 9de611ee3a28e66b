"""What is told of alerts and their rules: part of the vocabulary of `engine.service`, which offers these names."""

from enum import StrEnum

import msgspec


class AlertLevel(StrEnum):
    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"
    CRIT = "CRIT"


class AlertView(msgspec.Struct, frozen=True):
    """One alert or message. `text` may hold words from outside: always rendered as plain text."""

    alert_id: str
    at_ns: int
    level: AlertLevel
    code: str
    subject: str
    text: str
    acknowledged: bool
    count: int


class AlertReading(msgspec.Struct, frozen=True):
    """One comparison of an alert rule as it is now: its text, what was read, and whether it holds; None where not known."""

    term: str
    value: str
    holds: bool | None


class AlertRuleStatus(StrEnum):
    """WATCHING is ready to fire, WAITING has fired and waits until its condition is over; the others look at nothing."""

    WATCHING = "WATCHING"
    WAITING = "WAITING"
    FIRED = "FIRED"
    EXPIRED = "EXPIRED"
    DISABLED = "DISABLED"


class AlertRuleView(msgspec.Struct, frozen=True):
    """One alert rule, its condition and actions as text in the one form in which they can be typed back."""

    rule_id: str
    portfolio: str
    condition: str
    actions: str
    scopes: str
    status: AlertRuleStatus
    repeat: bool
    hysteresis_bps: int
    cooldown_seconds: int
    lasts_seconds: int
    expires_at_ns: int
    fired_count: int
    fired_at_ns: int
    last_reading: str
    ended: str
    note: str
    set_by: str
    set_at_ns: int
