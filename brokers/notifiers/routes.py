"""A way to tell a person: what it is told of, and when it is quiet."""

from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.effects import Notify
from engine.service import AlertLevel
from engine.units import NS_PER_SECOND, Nanoseconds

RANKS = {level: rank for rank, level in enumerate((AlertLevel.INFO, AlertLevel.WARN, AlertLevel.ERROR, AlertLevel.CRIT))}
CRITICAL = RANKS[AlertLevel.CRIT]
DECISION = "pending:"
TEST = "test:"


class Route(NamedTuple):
    """`quiet_from` and `quiet_until` are minutes of the day in `zone`, equal where it is never quiet. An empty `portfolios`
    means every one."""

    name: str
    level: AlertLevel = AlertLevel.ERROR
    portfolios: tuple[str, ...] = ()
    decisions: bool = True
    step: int = 0
    quiet_from: int = 0
    quiet_until: int = 0
    zone: str = "UTC"

    def wants(self, notice: Notify) -> bool:
        """Whether it is ever told of a notice; one that is about no single portfolio is everybody's business."""
        if notice.alert_id.startswith(TEST):
            return notice.alert_id == f"{TEST}{self.name}"
        if self.portfolios and notice.portfolio and notice.portfolio not in self.portfolios:
            return False
        return RANKS[notice.level] >= RANKS[self.level] or (self.decisions and notice.alert_id.startswith(DECISION))

    def is_quiet(self, at_ns: Nanoseconds) -> bool:
        """Whether its quiet hours hold at that time; they may pass midnight."""
        if self.quiet_from == self.quiet_until:
            return False
        local = datetime.fromtimestamp(at_ns // NS_PER_SECOND, ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.quiet_from < self.quiet_until:
            return self.quiet_from <= minute < self.quiet_until
        return minute >= self.quiet_from or minute < self.quiet_until


def minute_of(text: str) -> int:
    """The minute of the day of `HH:MM`, 0 where it is empty."""
    hour, _, minute = text.partition(":")
    return int(hour or 0) * 60 + int(minute or 0)
