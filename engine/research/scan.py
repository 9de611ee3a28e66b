"""The market scan: which of a portfolio's instruments deserve a run, found by code alone, each with its reasons.

Every reason adds to a score between 0 and about 10: a move beyond the usual, volume beyond the usual, another regime than at the
last look, events that name it, a position that grows old, and time since it was last looked into. Ties go by symbol.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from engine.research.rule_analyst import Daily
from engine.units import NS_PER_SECOND, Nanoseconds

USUAL_DAYS = 60
LEAST_DAYS = 21
VOLUME_DAYS = 20
MOST_FOR_A_MOVE = 4.0
MOST_FOR_VOLUME = 2.0
FOR_A_REGIME = 1.5
FOR_AN_EVENT = 1.0
MOST_FOR_EVENTS = 3.0
MOST_FOR_AGE = 2.0
MOST_FOR_A_WAIT = 1.0
NEVER_LOOKED = 1.5
HORIZONS_OLD = 1.0  # a position is old once it is held for as long as a forecast looks ahead
DAY_NS = 86_400 * NS_PER_SECOND


class Candidate(NamedTuple):
    """What is known of one instrument. `daily` are closed days, oldest first, `volumes` theirs; `mark` is the price now, 0 where
    there is none; `regime` now and at the last look, `events` how many timely notes name it; `held_since_ns` 0 where nothing is
    held; `looked_ns` 0 where it was never looked into."""

    symbol: str
    daily: Daily
    mark: float
    volumes: Sequence[float] = ()
    regime: str = ""
    last_regime: str = ""
    events: int = 0
    held_since_ns: Nanoseconds = 0
    looked_ns: Nanoseconds = 0


class Ranked(NamedTuple):
    """An instrument with its score and why it has it, the weightiest reason first."""

    symbol: str
    score: float
    reasons: tuple[str, ...]


def ranked(candidates: Sequence[Candidate], now_ns: Nanoseconds, horizon_days: int) -> tuple[Ranked, ...]:
    """All of them, those first that deserve a run most. One without a price now is left out: nothing could be measured."""
    found = [_scored(one, now_ns, horizon_days) for one in candidates if one.mark > 0]
    return tuple(sorted(found, key=lambda one: (-one.score, one.symbol)))


def affordable(cycle_micro_usd: int, left_micro_usd: int, most: int) -> int:
    """How many instruments a run may look into: at most so many, and no more than what is left of the day pays for in full."""
    return most if cycle_micro_usd <= 0 else max(0, min(most, left_micro_usd // cycle_micro_usd))


def _scored(one: Candidate, now_ns: Nanoseconds, horizon_days: int) -> Ranked:
    parts = [part for part in (_move(one), _volume(one), _regime(one), _events(one), _age(one, now_ns, horizon_days),
                               _wait(one, now_ns)) if part is not None]
    parts.sort(key=lambda part: -part[0])
    return Ranked(one.symbol, round(sum(score for score, _ in parts), 6), tuple(reason for _, reason in parts))


def _move(one: Candidate) -> tuple[float, str] | None:
    """How far the price is from the last close, in usual daily moves."""
    closes = one.daily.closes[-USUAL_DAYS - 1:]
    if len(closes) < LEAST_DAYS or closes[-1] <= 0:
        return None
    returns = [after / before - 1 for before, after in pairwise(closes) if before > 0]
    usual = sqrt(sum(change * change for change in returns) / len(returns)) if returns else 0.0
    change = one.mark / closes[-1] - 1
    if usual <= 0 or abs(change) < usual:
        return None
    times = abs(change) / usual
    return min(MOST_FOR_A_MOVE, times), f"moved {100 * change:+.1f} %, {times:.1f} times the usual day"


def _volume(one: Candidate) -> tuple[float, str] | None:
    """The volume of the last day against that of the days before it."""
    before = one.volumes[-VOLUME_DAYS - 1:-1]
    usual = sum(before) / len(before) if len(before) == VOLUME_DAYS else 0.0
    if usual <= 0 or one.volumes[-1] < 1.5 * usual:
        return None
    times = one.volumes[-1] / usual
    return min(MOST_FOR_VOLUME, times / 2), f"volume {times:.1f} times the usual"


def _regime(one: Candidate) -> tuple[float, str] | None:
    if not one.regime or not one.last_regime or one.regime == one.last_regime:
        return None
    return FOR_A_REGIME, f"regime now {one.regime}, was {one.last_regime}"


def _events(one: Candidate) -> tuple[float, str] | None:
    if one.events <= 0:
        return None
    return min(MOST_FOR_EVENTS, FOR_AN_EVENT * one.events), f"{one.events} {'event' if one.events == 1 else 'events'}"


def _age(one: Candidate, now_ns: Nanoseconds, horizon_days: int) -> tuple[float, str] | None:
    """A position counts the more the longer it is held beyond the horizon of a forecast."""
    days = (now_ns - one.held_since_ns) / DAY_NS if one.held_since_ns else 0.0
    if days < HORIZONS_OLD * horizon_days:
        return None
    return min(MOST_FOR_AGE, days / max(1, horizon_days)), f"held for {days:.0f} days"


def _wait(one: Candidate, now_ns: Nanoseconds) -> tuple[float, str] | None:
    """So that what is quiet has its turn too."""
    if not one.looked_ns:
        return NEVER_LOOKED, "not looked into yet"
    days = (now_ns - one.looked_ns) / DAY_NS
    return None if days <= 0 else (min(MOST_FOR_A_WAIT, days / 5), f"last looked into {days:.1f} days ago")
