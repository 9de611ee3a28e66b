"""Brakes of a backtest's portfolio, latched by the beat of each moment as `engine.decide.brakes` does; functions that also compile."""

from typing import Any

from engine.backtest.entries import (
    DAY,
    DAY_EQUITY,
    ENTERED_MINOR,
    ENTRIES,
    HIGH_WATER,
    LEVEL_DAY,
    LEVEL_DRAWDOWN,
    LEVEL_STREAK,
    LEVEL_WEEK,
    PAUSED_UNTIL_NS,
    ROLLED,
    STRICTEST,
    WEEK,
    WEEK_EQUITY,
    Limits,
    loss_share,
)
from engine.backtest.holdings import STREAK

NS_PER_DAY = 86_400_000_000_000
EPOCH_MONDAY = 4
HIGH_WATER_PARTS = 1_000
NONE, SMALLER, REDUCING, HALTED = 0, 1, 2, 3


def beat(limits: Limits, life: Any, tally: Any, equity: int, at_ns: int) -> None:
    """A moment begins: days and weeks roll, pauses end and begin, highs are recorded, losses latch brakes."""
    day = at_ns // NS_PER_DAY
    if day != life[DAY] or life[ROLLED] == 0:
        roll(life, equity, day)
    if life[LEVEL_STREAK] != NONE and at_ns >= life[PAUSED_UNTIL_NS]:
        life[LEVEL_STREAK] = NONE
        tally[STREAK] = 0
    if limits.losing_streak > 0 and tally[STREAK] >= limits.losing_streak and life[LEVEL_STREAK] == NONE:
        life[LEVEL_STREAK] = REDUCING
        life[PAUSED_UNTIL_NS] = at_ns + limits.cooldown_ns
    if equity - life[HIGH_WATER] >= max(1, life[HIGH_WATER] // HIGH_WATER_PARTS):
        life[HIGH_WATER] = equity
    latch(limits, life, LEVEL_DAY, limits.day_loss, life[DAY_EQUITY], equity)
    latch(limits, life, LEVEL_WEEK, limits.week_loss, life[WEEK_EQUITY], equity)
    latch(limits, life, LEVEL_DRAWDOWN, limits.drawdown, life[HIGH_WATER], equity)
    life[STRICTEST] = max(max(life[LEVEL_DAY], life[LEVEL_WEEK]), max(life[LEVEL_DRAWDOWN], life[LEVEL_STREAK]))


def roll(life: Any, equity: int, day: int) -> None:
    """A new day's baselines; the brakes of the day, and with a new week those of the week, are over unless they halted."""
    week = (day - EPOCH_MONDAY) // 7
    new_week = week != life[WEEK] or life[ROLLED] == 0
    life[HIGH_WATER] = max(life[HIGH_WATER], equity) if life[ROLLED] != 0 else equity
    life[DAY], life[WEEK], life[DAY_EQUITY], life[ROLLED] = day, week, equity, 1
    life[ENTRIES], life[ENTERED_MINOR] = 0, 0
    if life[LEVEL_DAY] != HALTED:
        life[LEVEL_DAY] = NONE
    if new_week:
        life[WEEK_EQUITY] = equity
        if life[LEVEL_WEEK] != HALTED:
            life[LEVEL_WEEK] = NONE


def latch(limits: Limits, life: Any, brake: int, limit: float, baseline: int, equity: int) -> None:
    """Step a brake down where a loss calls for it; it never steps up by itself."""
    if limit <= 0.0:
        return
    used = loss_share(baseline, equity) / limit
    level = NONE
    if used >= limits.halt_multiple:
        level = HALTED
    elif used >= 1:
        level = REDUCING
    elif limits.small_fraction > 0.0 and used >= limits.small_fraction:
        level = SMALLER
    if level > life[brake]:
        life[brake] = level
