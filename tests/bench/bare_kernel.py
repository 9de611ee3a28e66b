"""Workload W1 written down as tightly as it can be: what a product's backtest is measured against."""

from typing import Any

STOP_RANGES, TARGET_RANGES, RISK, MOST, FEE = 2.0, 3.0, 0.01, 0.95, 5e-4


def bare(opens: Any, highs: Any, lows: Any, closes: Any, equity: Any, cash: float, fast: int, slow: int, stop_ranges: float,
         target_ranges: float) -> tuple[int, float]:
    """EMA cross with a trailing stop and a target: `(trades, final equity)`; the equity of every close goes to `equity`."""
    fast_part, slow_part, range_part = 2.0 / (fast + 1), 2.0 / (slow + 1), 1.0 / 14
    fast_mean = slow_mean = closes[0]
    reach = highs[0] - lows[0]
    units = wanted = distance = best = target = signal_reach = 0.0
    above = waiting = False
    trades = 0
    equity[0] = cash
    for t in range(1, len(closes)):
        if waiting:
            units, waiting = wanted, False
            cash -= units * opens[t] * (1.0 + FEE)
            distance, best, target = stop_ranges * signal_reach, opens[t], opens[t] + target_ranges * signal_reach
        if units > 0.0:
            stop, price = best - distance, 0.0
            if opens[t] <= stop:
                price = opens[t]
            elif lows[t] <= stop:
                price = stop
            elif opens[t] >= target:
                price = opens[t]
            elif highs[t] >= target:
                price = target
            if price > 0.0:
                cash += units * price * (1.0 - FEE)
                units = 0.0
                trades += 1
            elif highs[t] > best:
                best = highs[t]
        fast_mean += fast_part * (closes[t] - fast_mean)
        slow_mean += slow_part * (closes[t] - slow_mean)
        reach += range_part * (max(highs[t] - lows[t], abs(highs[t] - closes[t - 1]), abs(lows[t] - closes[t - 1])) - reach)
        worth = cash + units * closes[t]
        equity[t] = worth
        is_above = fast_mean > slow_mean
        if t >= 100 and units == 0.0 and is_above and not above:
            waiting, signal_reach = True, reach
            wanted = min(RISK * worth / (stop_ranges * reach), MOST * worth / closes[t])
        above = is_above
    return trades, equity[len(closes) - 1]
