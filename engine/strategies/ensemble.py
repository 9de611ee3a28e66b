"""Ensemble: four signals vote with weights, and the position follows their score.

The voters are the crossing of two exponential means, the sign of the past return, the last break of Donchian's channel, and,
against the others, the distance from the mean in standard deviations. Source: Hurst, Ooi and Pedersen, A Century of Evidence
on Trend-Following Investing (2017), on combining horizons; Bates and Granger, The Combination of Forecasts (1969), on why a
weighted mean of weak forecasts beats each. The score lies in -1 to 1.
"""

from collections.abc import Callable
from typing import NamedTuple

from engine.kernel.indicators import atr_grow, deviation_at, ema_step, highest_at, lowest_at, mean_at, true_range
from engine.kernel.wants import BY_RISK, ENTER, LEAVE, BarColumns, Held, RuleWant, leave_all, no_want
from engine.strategies.registry import Bound


class Params(NamedTuple):
    """Weights of the votes, and each voter's own numbers; in from a score of `enter_score`, out at `leave_score` or less."""

    cross_weight: float = 1.0
    momentum_weight: float = 1.0
    breakout_weight: float = 1.0
    reversion_weight: float = 0.5
    fast_bars: int = 20
    slow_bars: int = 60
    lookback_bars: int = 60
    channel_bars: int = 40
    mean_bars: int = 20
    width: float = 2.0
    enter_score: float = 0.6
    leave_score: float = 0.0
    atr_bars: int = 14
    stop_atr: float = 3.0
    risk_bps: int = 100
    shorts: int = 0


BOUNDS = {
    "cross_weight": Bound(0.0, 100.0), "momentum_weight": Bound(0.0, 100.0), "breakout_weight": Bound(0.0, 100.0),
    "reversion_weight": Bound(0.0, 100.0), "fast_bars": Bound(1, 1_000), "slow_bars": Bound(2, 1_900),
    "lookback_bars": Bound(2, 1_900), "channel_bars": Bound(2, 1_900), "mean_bars": Bound(2, 1_900), "width": Bound(0.1, 10.0),
    "enter_score": Bound(0.01, 1.0), "leave_score": Bound(-1.0, 1.0), "atr_bars": Bound(1, 1_000), "stop_atr": Bound(0.1, 50.0),
    "risk_bps": Bound(1, 1_000), "shorts": Bound(0, 1),
}
KEPT: tuple[str, ...] = ()


class Memory(NamedTuple):
    """`broke` is the side of the channel that was broken last; the other votes are of this bar."""

    fast: float = 0.0
    slow: float = 0.0
    atr_seen: int = 0
    atr: float = 0.0
    broke: int = 0
    momentum: int = 0
    reversion: int = 0
    score: float = 0.0


def rule(p: Params, m: Memory, bars: BarColumns, place: int, seen: int, held: Held) -> tuple[Memory, RuleWant]:
    """The votes after one more bar, and what their score asks for."""
    after = _voted(p, m, bars, place, seen)
    if seen <= warmup(p):
        return after, no_want()
    if (held.lots > 0 and after.score <= p.leave_score) or (held.lots < 0 and after.score >= -p.leave_score):
        return after, leave_all()
    if held.lots != 0 or held.waiting != 0:
        return after, no_want()
    sign = 1 if after.score >= p.enter_score else -1 if after.score <= -p.enter_score and p.shorts else 0
    if sign == 0:
        return after, no_want()
    return after, RuleWant(ENTER, sign, BY_RISK, p.risk_bps, 0, 0, max(1, round(p.stop_atr * after.atr)), 0)


def _voted(p: Params, m: Memory, bars: BarColumns, place: int, seen: int) -> Memory:
    close = bars.closes[place]
    previous = bars.closes[place - 1] if seen > 1 else close
    atr_seen, atr = atr_grow(m.atr_seen, m.atr, p.atr_bars, true_range(bars.highs[place], bars.lows[place], previous))
    fast = ema_step(m.fast, p.fast_bars, close) if seen > 1 else float(close)
    slow = ema_step(m.slow, p.slow_bars, close) if seen > 1 else float(close)
    broke = m.broke
    if seen > p.channel_bars:
        if close > highest_at(bars.highs, place - 1, p.channel_bars):
            broke = 1
        elif close < lowest_at(bars.lows, place - 1, p.channel_bars):
            broke = -1
    momentum = 0
    if seen > p.lookback_bars:
        older = bars.closes[place - p.lookback_bars]
        momentum = 1 if close > older else -1 if close < older else 0
    reversion = _reversion_vote(p, bars, place) if seen >= p.mean_bars else 0
    cross = 1 if fast > slow else -1 if fast < slow else 0
    total = p.cross_weight + p.momentum_weight + p.breakout_weight + p.reversion_weight
    score = (p.cross_weight * cross + p.momentum_weight * momentum + p.breakout_weight * broke
             + p.reversion_weight * reversion) / total
    return Memory(fast, slow, atr_seen, atr, broke, momentum, reversion, score)


def _reversion_vote(p: Params, bars: BarColumns, place: int) -> int:
    reach = bars.closes[place] - mean_at(bars.closes, place, p.mean_bars)
    far = p.width * deviation_at(bars.closes, place, p.mean_bars)
    return -1 if reach > far else 1 if reach < -far else 0


def warmup(p: Params) -> int:
    return max(p.slow_bars, p.lookback_bars, p.channel_bars, p.mean_bars, p.atr_bars)


def problem(p: Params) -> str:
    if p.cross_weight + p.momentum_weight + p.breakout_weight + p.reversion_weight <= 0.0:
        return "all weights are 0: nobody votes"
    if p.leave_score >= p.enter_score:
        return f"leave_score = {p.leave_score}: must be below enter_score = {p.enter_score}"
    return "" if p.fast_bars < p.slow_bars else f"fast_bars = {p.fast_bars}: must be below slow_bars = {p.slow_bars}"


def explain(_: Params, m: Memory, want: RuleWant, price: Callable[[float], str]) -> str:
    """The votes and their score, in words."""
    cross = 1 if m.fast > m.slow else -1 if m.fast < m.slow else 0
    votes = f"cross {cross:+d}, momentum {m.momentum:+d}, breakout {m.broke:+d}, reversion {m.reversion:+d}: score {m.score:+.2f}"
    return f"{votes}: leave" if want.act == LEAVE else f"{votes}; trail {price(want.trail_ticks)}"
