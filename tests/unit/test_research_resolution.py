"""How sealed forecasts turn out: windows by the calendar, closes, barriers, splits, and what our prices cannot tell."""

from datetime import UTC, datetime

import msgspec
import pytest

from brokers.sessions import session_bounds
from engine.instruments import ALWAYS_OPEN
from engine.market_items import Bar
from engine.research.decided import Cell, Forecast
from engine.research.resolution import WAIT_NS, Outcome, Window, adjusted, last_session, outcome_of, resolved, window_of
from engine.trading_hours import FAR_FUTURE_NS, NS_PER_DAY, only_always_open
from engine.units import NS_PER_SECOND

CELL = Cell("rule/1", "rule/1", "1", "equity")
HOUR_NS = 3_600 * NS_PER_SECOND


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


@pytest.mark.parametrize(("at", "horizon_days", "closes"), [
    ("2026-11-20 15:00", 1, "2026-11-23 21:00"),  # a Friday morning: Monday is the first day
    ("2026-11-20 22:00", 1, "2026-11-23 21:00"),  # the evening of that day: the same
    ("2026-11-20 13:00", 1, "2026-11-20 21:00"),  # before the open: that very day
    ("2026-11-24 15:00", 2, "2026-11-27 18:00"),  # over Thanksgiving, to the half day after it
    ("2026-11-02 15:00", 20, "2026-12-01 21:00"),
])
def test_the_window_ends_with_the_close_of_a_trading_day(at: str, horizon_days: int, closes: str) -> None:
    assert last_session("XNYS", moment(at), horizon_days, session_bounds).close_ns == moment(closes)


@pytest.mark.parametrize(("at", "horizon_days", "closes"), [
    ("2026-11-20 00:00", 1, "2026-11-21 00:00"), ("2026-11-20 10:00", 1, "2026-11-22 00:00"),
    ("2026-11-20 10:00", 5, "2026-11-26 00:00")])
def test_a_market_that_never_closes_counts_days_of_utc(at: str, horizon_days: int, closes: str) -> None:
    assert last_session(ALWAYS_OPEN, moment(at), horizon_days, session_bounds).close_ns == moment(closes)


def window(side: int = 1, horizon_days: int = 2, **changes: object) -> Window:
    """A forecast made at midnight of day 0 at 10,000 ticks: target 300 bps, stop 200 bps."""
    forecast = Forecast("d1", "main", CELL, at_ns=0, p_raw=0.6, p_cal=0.6, p_win=0.5 if side else None, side=side,
                        horizon_days=horizon_days, cost_bps=10)
    return window_of(msgspec.structs.replace(forecast, **changes), "AAA", ALWAYS_OPEN, 10_000, 300, 200, only_always_open)


def bar(hour: int, close: int, high: int = 0, low: int = 0, hours: int = 24) -> Bar:
    return Bar("AAA", hour * HOUR_NS, (hour + hours) * HOUR_NS, close, high or close, low or close, close, 1)


def told(found: Outcome | None) -> tuple[int | None, int | None, str]:
    assert found is not None
    return found.up, found.won, found.void


def test_a_forecast_is_open_until_its_last_day_has_closed() -> None:
    assert outcome_of(window(), [bar(0, 10_100)]) is None
    assert told(outcome_of(window(), [bar(0, 10_100), bar(24, 10_050)])) == (1, 1, "")


@pytest.mark.parametrize(("close", "up"), [(10_001, 1), (10_000, 0), (9_999, 0)])
def test_equal_is_not_up(close: int, up: int) -> None:
    found = outcome_of(window(), [bar(0, 10_100), bar(24, close)])
    assert found is not None
    assert found.up == up
    assert found.return_bps == pytest.approx(close - 10_000)


@pytest.mark.parametrize(("side", "bars", "won"), [
    (1, [bar(0, 10_100, 10_300, 9_900), bar(24, 9_000)], 1),
    (1, [bar(0, 10_100, 10_299, 9_800), bar(24, 10_900)], 0),
    (1, [bar(0, 10_100, 10_400, 9_700), bar(24, 10_900)], 0),  # both in one bar: the stop
    (1, [bar(0, 10_100, 10_299, 9_801), bar(24, 10_011)], 1),  # neither, and the close pays after costs
    (1, [bar(0, 10_100), bar(24, 10_010)], 0),                 # neither, and the close pays nothing
    (-1, [bar(0, 9_900, 10_199, 9_700), bar(24, 11_000)], 1),
    (-1, [bar(0, 9_900, 10_200, 9_701), bar(24, 9_000)], 0),
    (-1, [bar(0, 9_900), bar(24, 9_989)], 1),
    (0, [bar(0, 9_000), bar(24, 9_989)], None),
])
def test_the_barrier_rule(side: int, bars: list[Bar], won: int | None) -> None:
    assert told(outcome_of(window(side), bars))[1] == won


def test_what_was_traded_before_the_forecast_or_after_its_end_counts_nothing() -> None:
    late = window(at_ns=HOUR_NS, horizon_days=1)
    assert late.ends_ns == 2 * NS_PER_DAY
    wild = [bar(0, 10_100, 12_000, 8_000), bar(24, 10_020)]
    assert told(outcome_of(late, wild)) == (1, 1, "")
    after = [bar(0, 10_100), bar(24, 10_020), bar(48, 20_000, 20_000, 1)]
    assert told(outcome_of(window(), after)) == (1, 1, "")


def test_bars_of_other_instruments_count_nothing() -> None:
    foreign = [bar(hour, 10_900)._replace(instrument_id="BBB") for hour in (0, 24, 48)]
    assert outcome_of(window(), foreign) is None


def test_no_price_on_the_last_day_is_void_and_counted() -> None:
    halted = outcome_of(window(), [bar(0, 10_100), bar(72, 10_400)])
    assert told(halted) == (None, None, "no price on its last day: halted, delisted or not recorded")
    silent = window()
    assert outcome_of(silent, [bar(0, 10_100)], silent.ends_ns + WAIT_NS - 1) is None
    assert "halted" in told(outcome_of(silent, [bar(0, 10_100)], silent.ends_ns + WAIT_NS))[2]


def test_a_thin_market_is_measured_by_its_last_price_of_the_day() -> None:
    thin = [bar(0, 10_100), bar(30, 10_070, hours=1), bar(49, 9_000, hours=1)]
    assert told(outcome_of(window(), thin)) == (1, 1, "")


def test_without_a_calendar_a_forecast_is_void() -> None:
    forecast = Forecast("d1", "main", CELL, at_ns=0, p_raw=0.5, p_cal=0.5, horizon_days=3)
    unknown = window_of(forecast, "AAA", "XNYS", 10_000, 300, 200, only_always_open)
    assert unknown.ends_ns == FAR_FUTURE_NS
    assert "calendar" in told(outcome_of(unknown, [bar(0, 1)], 5))[2]


def test_a_split_and_a_dividend_change_no_outcome() -> None:
    bars = [bar(0, 10_100), bar(24, 2_520)]  # 4 for 1 between the days
    assert told(outcome_of(window(), bars)) == (0, 0, "")
    found = outcome_of(adjusted(window(), 24 * HOUR_NS, 4), bars)
    assert told(found) == (1, 1, "")
    assert found is not None
    assert found.return_bps == pytest.approx(80)
    paid = [bar(0, 10_100), bar(24, 9_950)]  # a dividend of 100: the holder is 50 up
    assert told(outcome_of(adjusted(window(), 24 * HOUR_NS, 10_100 / 10_000), paid))[0] == 1


def test_what_changes_after_the_last_price_changes_nothing() -> None:
    found = outcome_of(adjusted(window(), 47 * HOUR_NS, 4), [bar(0, 10_100), bar(24, 10_080)])
    assert told(found) == (1, 1, "")
    assert found is not None
    assert found.return_bps == pytest.approx(80)


def test_a_resolved_forecast_carries_its_outcome() -> None:
    mine = window()
    found = outcome_of(mine, [bar(0, 10_100), bar(24, 10_050)])
    assert found is not None
    done = resolved(mine.forecast, found)
    assert (done.up, done.won, done.void, done.resolved_at_ns) == (1, 1, "", 2 * NS_PER_DAY)
    assert done.return_bps == pytest.approx(50)
