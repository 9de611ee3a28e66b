"""When an analyst has become worse than it was, or agrees with everything: alarms that lower the automation level."""

from collections.abc import Sequence

from engine.research.block_bootstrap import Dated, interval_95, quantile, resampled
from engine.research.decided import Forecast
from engine.research.scores import Scored, base_rates, mean, skill
from engine.trading_hours import NS_PER_DAY

RECENT = 100
MOST_LEAN = 0.05


def alarm_of(resolved: Sequence[Forecast], block_days: int) -> str:
    """The alarms of a cell in words, "" where there is none. `resolved` are in the order in which they were made."""
    sealed = [Scored(one.p_cal, one.up, one.at_ns, one.resolved_at_ns) for one in resolved if one.up is not None]
    stated = [Scored(one.p_raw, one.up, one.at_ns, one.resolved_at_ns) for one in resolved if one.up is not None]
    return "; ".join(word for word in (degraded(sealed, block_days), agreeing(stated, block_days)) if word)


def degraded(rows: Sequence[Scored], block_days: int) -> str:
    """Whether the skill of the last 100 lies below the 95 % band in which 100 forecasts of before would lie."""
    if len(rows) < 2 * RECENT:
        return ""
    days = [row.at_ns // NS_PER_DAY for row in rows]
    losses = [(row.p - row.y) ** 2 for row in rows]
    known = [(rate - row.y) ** 2 for rate, row in zip(base_rates(rows), rows, strict=True)]
    now = skill(mean(losses[-RECENT:]), mean(known[-RECENT:]))
    band = resampled(Dated(days[:-RECENT], losses[:-RECENT], known[:-RECENT]), block_days, most_forecasts=RECENT)
    if now is None or band is None:
        return ""
    least = 1 - quantile(band, 0.975)
    if now >= least:
        return ""
    return f"degraded: skill of the last {RECENT} is {100 * now:+.1f} %, at least {100 * least:+.1f} % was expected"


def agreeing(rows: Sequence[Scored], block_days: int) -> str:
    """Whether the mean probability and the share that came true differ by more than 0.05, and by more than chance explains."""
    lean = mean([row.p - row.y for row in rows])
    if lean is None or len(rows) < RECENT or abs(lean) <= MOST_LEAN:
        return ""
    days = [row.at_ns // NS_PER_DAY for row in rows]
    drawn = resampled(Dated(days, [row.p - row.y for row in rows], [1.0] * len(rows)), block_days)
    if drawn is None:
        return ""
    low, high = interval_95(drawn)
    if low <= 0 <= high:
        return ""
    said, came_true = mean([row.p for row in rows]) or 0.0, mean([row.y for row in rows]) or 0.0
    return f"leaning: says {100 * said:.1f} % in the mean, {100 * came_true:.1f} % came true"
