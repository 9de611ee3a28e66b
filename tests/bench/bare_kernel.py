"""Workload W1 written down as tightly as it can be: what a product's backtest is measured against."""

from typing import Any

import numpy as np

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


def bare_portfolio(opens: Any, highs: Any, lows: Any, closes: Any, equity: Any, cash: float, most_positions: int,
                   day_loss: float) -> tuple[int, float, int]:
    """The same on all rows in one account, at each moment first the bars and then the signals, each position at most its equal
    part of `MOST`: `(trades, final equity, refused entries)`. A day is 1,440 bars."""
    rows, count = closes.shape
    state = np.zeros((rows, 10))
    fast, slow, reach, units, best, distance, target, wanted, signal_reach, above = range(10)
    for s in range(rows):
        state[s, fast] = state[s, slow] = closes[s, 0]
        state[s, reach] = highs[s, 0] - lows[s, 0]
    equity[0] = day_worth = worth = cash
    trades = refused = 0
    for t in range(1, count):
        if t % 1440 == 0:
            day_worth = worth
        worth, held = cash, 0
        for s in range(rows):
            one = state[s]
            if one[wanted] > 0.0:
                one[units], one[wanted] = one[wanted], 0.0
                cash -= one[units] * opens[s, t] * (1.0 + FEE)
                one[distance], one[best] = STOP_RANGES * one[signal_reach], opens[s, t]
                one[target] = opens[s, t] + TARGET_RANGES * one[signal_reach]
            if one[units] > 0.0:
                stop, price = one[best] - one[distance], 0.0
                if opens[s, t] <= stop:
                    price = opens[s, t]
                elif lows[s, t] <= stop:
                    price = stop
                elif opens[s, t] >= one[target]:
                    price = opens[s, t]
                elif highs[s, t] >= one[target]:
                    price = one[target]
                if price > 0.0:
                    cash += one[units] * price * (1.0 - FEE)
                    one[units] = 0.0
                    trades += 1
                elif highs[s, t] > one[best]:
                    one[best] = highs[s, t]
        worth = cash
        for s in range(rows):
            if state[s, units] > 0.0:
                worth += state[s, units] * closes[s, t]
                held += 1
        equity[t] = worth
        for s in range(rows):
            one, close, before = state[s], closes[s, t], closes[s, t - 1]
            one[fast] += 2.0 / 21 * (close - one[fast])
            one[slow] += 2.0 / 51 * (close - one[slow])
            span = max(highs[s, t] - lows[s, t], abs(highs[s, t] - before), abs(lows[s, t] - before))
            one[reach] += 1.0 / 14 * (span - one[reach])
            is_above = 1.0 if one[fast] > one[slow] else 0.0
            if t >= 100 and one[units] == 0.0 and is_above > one[above]:
                if held >= most_positions or day_worth - worth >= day_loss * day_worth:
                    refused += 1
                else:
                    held += 1
                    one[signal_reach] = one[reach]
                    one[wanted] = min(RISK * worth / (STOP_RANGES * one[reach]), MOST / rows * worth / close)
            one[above] = is_above
    return trades, worth, refused
