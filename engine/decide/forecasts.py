"""Open forecasts against closed bars: the first touch of target or stop is recorded, and at the end of the window the outcome.

A bar of an instrument without open forecasts costs a lookup. What closed while no engine ran comes back as daily bars. A price
far from the mark may be a split: nothing is concluded from it before those bars, which are adjusted for splits, have told."""

from bisect import bisect_right
from collections.abc import Sequence
from math import prod
from operator import attrgetter

import msgspec

from engine.effects import RecallDays
from engine.inputs import Bar, DaysRecalled
from engine.instruments import AssetClass
from engine.research.resolution import WAIT_NS, outcome_of, touch
from engine.research_events import ForecastAdjusted, ForecastResolved, ForecastTouched
from engine.research_state import OpenForecast
from engine.turn import Turn

KEPT_BARS = 2_000
SUSPECT_FRACTION = 0.35
SUSPECT_SHARE_FRACTION = 0.18  # shares are split 5 for 4 too, which takes a fifth; coins move so far by themselves
BESIDE_FRACTION = 0.03
NEXT_DAY_FRACTION = 0.08
SPLITS = (*range(2, 31), 1.5, 4 / 3, 1.25, *(1 / share for share in range(2, 31)), 2 / 3, 0.75, 0.8)


def bar_closed(turn: Turn, bar: Bar) -> None:
    """Hold a bar against the forecasts of its instrument."""
    is_asked = False
    for decision_id in turn.state.research.index.get(bar.instrument_id, ()):
        known = turn.state.research.open[decision_id]
        if _is_far(known, bar):
            if not is_asked:
                turn.effects.append(RecallDays((bar.instrument_id,)))
            is_asked = True
            continue
        _look(turn, decision_id, known, (bar,))
        if bar.close_ns >= known.window.ends_ns:
            bars = turn.market.bars(bar.instrument_id, KEPT_BARS)
            told = [one for one in (bars if bars and bars[-1] == bar else [*bars, bar]) if not _is_far(known, one)]
            _resolve(turn, decision_id, told, or_void=False)


def beat(turn: Turn) -> None:
    """Windows that have ended without a bar that told how: the past is asked for."""
    research = turn.state.research
    if turn.at_ns < research.next_end_ns:
        return
    waiting = dict.fromkeys(known.window.instrument_id for known in research.open.values() if known.window.ends_ns <= turn.at_ns)
    if waiting:
        turn.effects.append(RecallDays(tuple(waiting)))


def started(turn: Turn) -> None:
    """After a restart every open forecast is looked at by the days that passed meanwhile."""
    if turn.state.research.index:
        turn.effects.append(RecallDays(tuple(turn.state.research.index)))


def recalled(turn: Turn, past: DaysRecalled) -> None:
    """Daily bars, some of them from while no engine ran. That our prices cannot tell is said once a later day is known without
    the last one of the window, or when it is given up."""
    live = turn.market.bars(past.instrument_id, KEPT_BARS)
    last_ns = past.bars[-1].close_ns if past.bars else 0
    bars = [*past.bars, *(bar for bar in live if bar.open_ns >= last_ns)]
    for decision_id in turn.state.research.index.get(past.instrument_id, ()):
        ratio = _split_ratio(turn.state.research.open[decision_id], past.bars)
        if ratio:
            turn.emit(ForecastAdjusted(decision_id, ratio))
        known = turn.state.research.open[decision_id]
        _look(turn, decision_id, known, past.bars)
        ends_ns = known.window.ends_ns
        _resolve(turn, decision_id, bars,
                 or_void=turn.at_ns >= ends_ns + WAIT_NS or any(bar.open_ns >= ends_ns for bar in past.bars))


def _look(turn: Turn, decision_id: str, known: OpenForecast, bars: Sequence[Bar]) -> None:
    window = known.window
    if known.won is not None or not window.forecast.side or window.forecast.p_win is None:
        return
    ref = _ref_ticks(known)
    for bar in bars:
        if bar.open_ns >= window.ends_ns:
            return
        won = touch(window, ref, bar)
        if won is not None:
            turn.emit(ForecastTouched(decision_id, won))
            return


def _is_far(known: OpenForecast, bar: Bar) -> bool:
    """Whether a bar lies so far from the mark that it may be told in other shares: of before a split, or of after one that is
    not known yet."""
    most = SUSPECT_SHARE_FRACTION if known.window.forecast.cell.asset_class == AssetClass.EQUITY.value else SUSPECT_FRACTION
    return abs(bar.close_ticks - _ref_ticks(known)) > most * _ref_ticks(known)


def _ref_ticks(known: OpenForecast) -> float:
    """The mark of a forecast in shares of now."""
    return known.window.ref_ticks / prod(one.ratio for one in known.window.adjustments)


def _split_ratio(known: OpenForecast, days: Sequence[Bar]) -> float:
    """New shares for one old, where the day on which a forecast was made (or the last before it) and the next, told again in
    shares of now, do not hold its mark but hold it after a split; 0 where nothing is strange. One day alone may be told without
    the hours in which the mark was made: a jump after the close is no split."""
    at_ns, ref = known.window.forecast.at_ns, _ref_ticks(known)
    place = bisect_right(days, at_ns, key=attrgetter("open_ns"))
    if not 0 < place < len(days):
        return 0.0
    made, after = days[place - 1], days[place]
    if _holds(made, ref, BESIDE_FRACTION) or _holds(after, ref, BESIDE_FRACTION):
        return 0.0
    middle = (made.low_ticks + made.high_ticks) / 2
    return min((float(ratio) for ratio in SPLITS
                if _holds(made, ref / ratio, BESIDE_FRACTION) and _holds(after, ref / ratio, NEXT_DAY_FRACTION)),
               key=lambda ratio: abs(ref / ratio - middle), default=0.0)


def _holds(bar: Bar, ticks: float, beside: float) -> bool:
    return bar.low_ticks * (1 - beside) <= ticks <= bar.high_ticks * (1 + beside)


def _resolve(turn: Turn, decision_id: str, bars: Sequence[Bar], *, or_void: bool) -> None:
    """Record the outcome, if there is one; that our prices cannot tell is said only once the past has been asked."""
    known = turn.state.research.open.get(decision_id)
    if known is None:
        return
    outcome = outcome_of(known.window, bars, turn.at_ns)
    if outcome is None or (outcome.void and not or_void):
        return
    if known.won is not None and not outcome.void:
        outcome = msgspec.structs.replace(outcome, won=known.won)
    turn.emit(ForecastResolved(decision_id, outcome))
