"""Brakes of a backtest's portfolio, latched by the beat of each moment as `engine.decide.brakes` does."""

from typing import Any

from engine.backtest.entries import Limits, loss_share
from engine.backtest.holdings import (
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
    STREAK,
    STRICTEST,
    WEEK,
    WEEK_EQUITY,
)

NS_PER_DAY = 86_400_000_000_000
EPOCH_MONDAY = 4
HIGH_WATER_PARTS = 1_000
NONE, SMALLER, REDUCING, HALTED = 0, 1, 2, 3


def beat(w: Any, limits: Limits, equity: int, at_ns: int) -> None:
    """A moment begins: days and weeks roll, pauses end and begin, highs are recorded, losses latch brakes."""
    day = at_ns // NS_PER_DAY
    if day != w[DAY] or w[ROLLED] == 0:
        roll(w, equity, day)
    if w[LEVEL_STREAK] != NONE and at_ns >= w[PAUSED_UNTIL_NS]:
        w[LEVEL_STREAK] = NONE
        w[STREAK] = 0
    if limits.losing_streak > 0 and w[STREAK] >= limits.losing_streak and w[LEVEL_STREAK] == NONE:
        w[LEVEL_STREAK] = REDUCING
        w[PAUSED_UNTIL_NS] = at_ns + limits.cooldown_ns
    if equity - w[HIGH_WATER] >= max(1, w[HIGH_WATER] // HIGH_WATER_PARTS):
        w[HIGH_WATER] = equity
    latch(w, limits, LEVEL_DAY, limits.day_loss, w[DAY_EQUITY], equity)
    latch(w, limits, LEVEL_WEEK, limits.week_loss, w[WEEK_EQUITY], equity)
    latch(w, limits, LEVEL_DRAWDOWN, limits.drawdown, w[HIGH_WATER], equity)
    w[STRICTEST] = max(max(w[LEVEL_DAY], w[LEVEL_WEEK]), max(w[LEVEL_DRAWDOWN], w[LEVEL_STREAK]))


def roll(w: Any, equity: int, day: int) -> None:
    """A new day's baselines; the brakes of the day, and with a new week those of the week, are over unless they halted."""
    week = (day - EPOCH_MONDAY) // 7
    new_week = week != w[WEEK] or w[ROLLED] == 0
    w[HIGH_WATER] = max(w[HIGH_WATER], equity) if w[ROLLED] != 0 else equity
    w[DAY], w[WEEK], w[DAY_EQUITY], w[ROLLED] = day, week, equity, 1
    w[ENTRIES], w[ENTERED_MINOR] = 0, 0
    if w[LEVEL_DAY] != HALTED:
        w[LEVEL_DAY] = NONE
    if new_week:
        w[WEEK_EQUITY] = equity
        if w[LEVEL_WEEK] != HALTED:
            w[LEVEL_WEEK] = NONE


def latch(w: Any, limits: Limits, brake: int, limit: float, baseline: int, equity: int) -> None:
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
    w[brake] = max(w[brake], level)
