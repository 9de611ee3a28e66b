"""How a sealed forecast turned out, told by our own bars.

The window of a forecast ends at the close of the h-th trading day after the one it was made in; made while the market is closed,
the next session is its first day. Markets that never close count days of UTC. Prices before a split or a dividend are brought to
today's, so that holders' results are compared, not numbers.
"""

from collections.abc import Sequence
from math import prod

import msgspec

from engine.market_items import Bar
from engine.research.decided import Forecast
from engine.trading_hours import FAR_FUTURE_NS, NS_PER_DAY, SessionBounds, SessionLookup
from engine.units import Nanoseconds

BPS = 10_000
WAIT_NS = 3 * NS_PER_DAY


class Adjustment(msgspec.Struct, frozen=True):
    """From `at_ns` on one share of before is `ratio` shares: a split 4 for 1 is 4, a dividend `close / (close - dividend)`."""

    at_ns: Nanoseconds
    ratio: float


class Window(msgspec.Struct, frozen=True, omit_defaults=True):
    """An open forecast with what it is measured by. `ref_ticks` is the mark it was made at, `last_open_ns` and `ends_ns` are the
    bounds of its last session; distances in bps of the mark."""

    forecast: Forecast
    instrument_id: str
    ref_ticks: float
    last_open_ns: Nanoseconds
    ends_ns: Nanoseconds
    target_bps: int = 0
    stop_bps: int = 0
    adjustments: tuple[Adjustment, ...] = ()


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """`up` is 1 where the close lies above the mark, 0 where it is equal or below; `won` 1 where the target came before the stop
    (or neither, and the close pays after costs), None without a side. With `void` our prices cannot tell."""

    resolved_at_ns: Nanoseconds
    up: int | None = None
    won: int | None = None
    return_bps: float | None = None
    void: str = ""


def last_session(session: str, at_ns: Nanoseconds, horizon_days: int, lookup: SessionLookup) -> SessionBounds:
    """The session with which the window of a forecast made at `at_ns` ends."""
    bounds = lookup(session, at_ns)
    days = horizon_days + 1 if bounds.open_ns < at_ns else horizon_days
    for _ in range(days - 1):
        if bounds.open_ns >= FAR_FUTURE_NS:
            break
        bounds = lookup(session, bounds.close_ns)
    return bounds


def window_of(forecast: Forecast, instrument_id: str, session: str, ref_ticks: float, target_bps: int, stop_bps: int,
              lookup: SessionLookup) -> Window:
    """The window of a forecast; its `horizon_days`, `side` and `cost_bps` have to be there."""
    bounds = last_session(session, forecast.at_ns, forecast.horizon_days, lookup)
    return Window(forecast, instrument_id, ref_ticks, bounds.open_ns, bounds.close_ns, target_bps, stop_bps)


def adjusted(window: Window, at_ns: Nanoseconds, ratio: float) -> Window:
    """The window after a split or a dividend while it is open."""
    return msgspec.structs.replace(window, adjustments=(*window.adjustments, Adjustment(at_ns, ratio)))


def outcome_of(window: Window, bars: Sequence[Bar], now_ns: Nanoseconds = 0) -> Outcome | None:
    """The outcome by the closed bars of the instrument (of any length, oldest first); None while it is open.

    It is told once a bar closes at or after the end of the window, or three days (`now_ns`) after it without one. The close is
    that of the last bar that began before the end; where the last session has none the forecast is void. Barriers are looked for
    in bars that began after the forecast; a bar that reached both counts as the stop.
    """
    if window.ends_ns >= FAR_FUTURE_NS:
        return Outcome(now_ns or window.forecast.at_ns, void="no calendar: the hours of its market are not known")
    own = [bar for bar in bars if bar.instrument_id == window.instrument_id and bar.close_ns > window.forecast.at_ns]
    ended_ns = next((bar.close_ns for bar in own if bar.close_ns >= window.ends_ns), 0)
    if not ended_ns and now_ns < window.ends_ns + WAIT_NS:
        return None
    inside = [bar for bar in own if bar.open_ns < window.ends_ns]
    told_ns = ended_ns or now_ns
    if not inside or inside[-1].close_ns <= window.last_open_ns:
        return Outcome(told_ns, void="no price on its last day: halted, delisted or not recorded")
    if window.ref_ticks <= 0:
        return Outcome(told_ns, void="no mark to measure it by")
    ref = window.ref_ticks / _ratio(window, window.forecast.at_ns)
    change_bps = BPS * (inside[-1].close_ticks / _ratio(window, inside[-1].open_ns) / ref - 1)
    return Outcome(told_ns, int(change_bps > 0), _won(window, ref, inside, change_bps), change_bps)


def _ratio(window: Window, at_ns: Nanoseconds) -> float:
    """By what a price of that moment is divided to stand beside today's."""
    return prod(one.ratio for one in window.adjustments if one.at_ns > at_ns)


def _won(window: Window, ref: float, inside: Sequence[Bar], change_bps: float) -> int | None:
    side = window.forecast.side
    if not side or window.forecast.p_win is None:
        return None
    for bar in inside:
        touched = touch(window, ref, bar)
        if touched is not None:
            return touched
    return int(side * change_bps - window.forecast.cost_bps > 0)


def touch(window: Window, ref: float, bar: Bar) -> int | None:
    """Whether a bar that began after the forecast reached the target (1) or the stop (0, also where it reached both)."""
    if bar.open_ns < window.forecast.at_ns:
        return None
    side, ratio = window.forecast.side, _ratio(window, bar.open_ns)
    best, worst = (bar.high_ticks, bar.low_ticks) if side > 0 else (bar.low_ticks, bar.high_ticks)
    if side * (worst / ratio - ref * (1 - side * window.stop_bps / BPS)) <= 0:
        return 0
    return 1 if side * (best / ratio - ref * (1 + side * window.target_bps / BPS)) >= 0 else None


def resolved(forecast: Forecast, outcome: Outcome) -> Forecast:
    """The forecast with its outcome."""
    return msgspec.structs.replace(forecast, up=outcome.up, won=outcome.won, return_bps=outcome.return_bps, void=outcome.void,
                                   resolved_at_ns=outcome.resolved_at_ns)
