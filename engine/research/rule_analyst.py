"""The analyst without a model, `rule/1`: how often the close was higher after days like this one.

Days are alike by the tercile of their 20-day change and by the third of their 20-day volatility, among all days of the same
instrument up to now. It is deterministic, and what a model has to beat.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import fsum, sqrt
from typing import NamedTuple

from engine.research.opinions import Opinion, Stance

RULE_ANALYST = "rule/1"
RULE_PROMPT_VERSION = "rule/1"
BADGE = "RULES, NO MODEL"
LOOK_BACK_DAYS = 20
LEAST_DAYS = 60
LEAST_LEAN = 0.03
FEW_APART = 20
BPS = 10_000
TERCILES = ("lower", "middle", "upper")
BANDS = ("calm", "usual", "wild")
LEAST_DISTANCE_BPS, MOST_DISTANCE_BPS = 20, 5_000


class Daily(NamedTuple):
    """Closed daily bars of an instrument, oldest first, adjusted for splits; highs and lows may be the closes."""

    closes: Sequence[float]
    highs: Sequence[float] = ()
    lows: Sequence[float] = ()


class Alike(NamedTuple):
    """How days like the last one went on: how many, how many were higher after the horizon, how often a long and a short won."""

    days: int
    ups: int
    long_wins: int
    short_wins: int
    tercile: int
    band: int
    change: float
    distance_bps: int

    @property
    def p_up(self) -> float:
        """Laplace's rule of succession."""
        return smoothed(self.ups, self.days)


class Situation(NamedTuple):
    """What the rule has to know beside prices: the sign of what is held, whether selling short is possible, and the costs."""

    held: int = 0
    shortable: bool = True
    cost_bps: float = 0.0


def smoothed(count: int, of: int) -> float:
    """Laplace's rule of succession: (count + 1) / (of + 2)."""
    return (count + 1) / (of + 2)


def rule_opinion(symbol: str, daily: Daily, horizon_days: int, situation: Situation | None = None,
                 evidence: tuple[str, ...] = ()) -> Opinion:
    """The rule's opinion; flat at 0.5 with under 60 days to look at, and flat unless it leans by at least 0.03."""
    known = situation or Situation()
    if len(daily.closes) < max(LEAST_DAYS, 2 * LOOK_BACK_DAYS + horizon_days):
        return Opinion(symbol, Stance.FLAT, 0.5, None, horizon_days, LEAST_DISTANCE_BPS, LEAST_DISTANCE_BPS,
                       f"{len(daily.closes)} daily closes are too few to count days like this one.",
                       f"At least {LEAST_DAYS} are asked for.", evidence)
    alike = alike_days(daily, horizon_days, known.cost_bps)
    stance = _stance(alike.p_up, known)
    wins = {Stance.LONG: alike.long_wins, Stance.SHORT: alike.short_wins}
    p_win = smoothed(wins[stance], alike.days) if stance in wins else None
    return Opinion(symbol, stance, alike.p_up, p_win, horizon_days, alike.distance_bps, alike.distance_bps,
                   _thesis(alike, horizon_days), _against(alike, horizon_days), evidence)


def _stance(p_up: float, known: Situation) -> Stance:
    lean = 0 if abs(p_up - 0.5) < LEAST_LEAN else 1 if p_up > 0.5 else -1
    if lean and lean == -known.held:
        return Stance.EXIT
    if lean < 0 and not known.shortable:
        return Stance.FLAT
    return {1: Stance.LONG, -1: Stance.SHORT, 0: Stance.FLAT}[lean]


def alike_days(daily: Daily, horizon_days: int, cost_bps: float = 0.0) -> Alike:
    """The days like the last one. Target and stop lie one deviation of the horizon away, on both sides."""
    closes = daily.closes
    changes = [closes[day] / closes[day - LOOK_BACK_DAYS] - 1 for day in range(LOOK_BACK_DAYS, len(closes))]
    swings = _volatilities(closes)
    tercile_at, band_at = _thirds(changes), _thirds(swings)
    tercile, band = _third_of(changes[-1], tercile_at), _third_of(swings[-1], band_at)
    distance = _distance_bps(swings[-1], horizon_days)
    days = ups = longs = shorts = 0
    for place in range(len(changes) - horizon_days):
        if _third_of(changes[place], tercile_at) != tercile or _third_of(swings[place], band_at) != band:
            continue
        day = place + LOOK_BACK_DAYS
        own = _distance_bps(swings[place], horizon_days)
        days += 1
        ups += closes[day + horizon_days] > closes[day]
        longs += won_after(daily, day, horizon_days, 1, own, cost_bps)
        shorts += won_after(daily, day, horizon_days, -1, own, cost_bps)
    return Alike(days, ups, longs, shorts, tercile, band, changes[-1], distance)


def won_after(daily: Daily, day: int, horizon_days: int, side: int, distance_bps: int, cost_bps: float) -> int:
    """Whether a position begun at the close of `day` would have won: the rule of `resolution`, on daily bars."""
    start = daily.closes[day]
    highs, lows = daily.highs or daily.closes, daily.lows or daily.closes
    for later in range(day + 1, day + horizon_days + 1):
        best, worst = (highs[later], lows[later]) if side > 0 else (lows[later], highs[later])
        if side * (worst / start - 1) * BPS <= -distance_bps:
            return 0
        if side * (best / start - 1) * BPS >= distance_bps:
            return 1
    return int(side * (daily.closes[day + horizon_days] / start - 1) * BPS - cost_bps > 0)


def _volatilities(closes: Sequence[float]) -> list[float]:
    """The standard deviation of the last 20 daily returns, from the 20th day on."""
    returns = [after / before - 1 for before, after in pairwise(closes)]
    found = []
    for end in range(LOOK_BACK_DAYS, len(returns) + 1):
        seen = returns[end - LOOK_BACK_DAYS:end]
        mean = fsum(seen) / LOOK_BACK_DAYS
        found.append(sqrt(fsum((one - mean) ** 2 for one in seen) / LOOK_BACK_DAYS))
    return found


def _thirds(values: Sequence[float]) -> tuple[float, float]:
    ranked = sorted(values)
    return ranked[len(ranked) // 3], ranked[2 * len(ranked) // 3]


def _third_of(value: float, bounds: tuple[float, float]) -> int:
    return (value >= bounds[0]) + (value >= bounds[1])


def _distance_bps(daily_deviation: float, horizon_days: int) -> int:
    wanted = round(BPS * daily_deviation * sqrt(horizon_days))
    return min(MOST_DISTANCE_BPS, max(LEAST_DISTANCE_BPS, wanted))


def _thesis(alike: Alike, horizon_days: int) -> str:
    like = f"{100 * alike.change:+.1f} % in {LOOK_BACK_DAYS} days ({TERCILES[alike.tercile]} third), {BANDS[alike.band]} market"
    return f"{like}: after {alike.ups} of {alike.days} such days the close was higher {horizon_days} trading days later."


def _against(alike: Alike, horizon_days: int) -> str:
    apart = max(1, alike.days // horizon_days)
    if apart < FEW_APART:
        return f"Only {alike.days} such days, which overlap and count for about {apart}: this can well be chance."
    return f"Days overlap: they count for about {apart}. Nothing but prices was looked at, and the past may not go on."
