"""Trading days and hours: the tables against the library they were drawn from, and against the exchanges' own announcements."""

import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from brokers.calendars import library
from brokers.sessions import bounds_of_day, is_open, known_session, regular_hours, session_bounds
from engine.trading_hours import SessionBounds
from engine.units import NS_PER_SECOND

EPOCH = date(1970, 1, 1)


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def on(day: str, session: str = "XNYS") -> SessionBounds | None:
    return bounds_of_day(session, (date.fromisoformat(day) - EPOCH).days)


@pytest.mark.slow
@pytest.mark.parametrize("exchange", library.TABLED)
def test_a_table_says_what_the_library_says(exchange: str) -> None:
    table = library.table_of(exchange)
    assert table is not None
    assert library.drawn(exchange, table.first, table.last) == table, \
        "the library has changed: draw the tables anew with `python -m brokers.calendars.library`"


@pytest.mark.parametrize("exchange", library.TABLED)
def test_a_day_of_a_table_is_that_day_of_the_library(exchange: str) -> None:
    found = {day: bounds for number in range((date(2025, 1, 1) - EPOCH).days, (date(2026, 12, 31) - EPOCH).days + 1)
             if (bounds := bounds_of_day(exchange, number)) is not None
             for day in [date.fromordinal(EPOCH.toordinal() + number)]}
    assert found == library.sessions_of_year(exchange, 2025) | library.sessions_of_year(exchange, 2026)


def test_half_days_and_holidays_of_new_york() -> None:
    # nyse.com, "Holidays & Trading Hours": Thanksgiving is shut, the day after and Christmas Eve close at 13:00
    assert on("2026-11-26") is None
    assert on("2026-11-27") == (ns("2026-11-27T14:30"), ns("2026-11-27T18:00"))
    assert on("2026-12-24") == (ns("2026-12-24T14:30"), ns("2026-12-24T18:00"))
    assert on("2025-01-09") is None  # the day of mourning, which no rule foresees


def test_new_york_moves_with_its_clocks_and_not_with_europes() -> None:
    assert on("2026-03-06") == (ns("2026-03-06T14:30"), ns("2026-03-06T21:00"))
    assert on("2026-03-09") == (ns("2026-03-09T13:30"), ns("2026-03-09T20:00"))
    assert on("2026-03-09", "XLON") == (ns("2026-03-09T08:00"), ns("2026-03-09T16:30"))
    assert on("2026-03-30", "XLON") == (ns("2026-03-30T07:00"), ns("2026-03-30T15:30"))
    assert on("2026-11-02") == (ns("2026-11-02T14:30"), ns("2026-11-02T21:00"))


def test_tokyo_opens_before_the_day_of_utc_that_it_is_called_after() -> None:
    assert on("2026-01-05", "XTKS") == (ns("2026-01-05T00:00"), ns("2026-01-05T06:30"))


def test_the_next_session_is_found_over_a_long_weekend() -> None:
    assert session_bounds("XNYS", ns("2026-07-02T20:00")).open_ns == ns("2026-07-06T13:30")
    assert session_bounds("XNYS", ns("2026-07-02T19:59:59")).open_ns == ns("2026-07-02T13:30")
    assert not is_open("XNYS", ns("2026-07-02T20:00"))


def test_nasdaq_has_the_hours_of_new_york_and_coins_always_trade() -> None:
    assert on("2026-11-27", "XNAS") == on("2026-11-27")
    assert is_open("24/7", ns("2026-12-25T03:00"))
    assert session_bounds("24/7", ns("2026-12-25T03:00")) == (ns("2026-12-25T00:00"), ns("2026-12-26T00:00"))


def test_what_no_table_has_is_asked_of_the_library() -> None:
    assert on("2001-09-12", "XLON") == (ns("2001-09-12T07:00"), ns("2001-09-12T15:30"))
    assert on("2026-05-01", "XETR") is None  # Labour Day
    assert on("2026-05-04", "XETR") == (ns("2026-05-04T07:00"), ns("2026-05-04T15:30"))
    assert known_session("XETR") and known_session("24/7") and not known_session("MOON")


def test_usual_hours_do_not_ask_whether_there_was_a_session() -> None:
    assert regular_hours("XNYS", date(2026, 11, 26)) == (ns("2026-11-26T14:30"), ns("2026-11-26T21:00"))


@pytest.mark.slow
def test_an_engine_starts_without_the_library(tmp_path: Path) -> None:
    code = ("import sys, tui.cli\n"
            f"assert tui.cli.run(['--home', {str(tmp_path / 'h')!r}, 'schedule', 'run', 'risk-monitor:main']) == 0\n"
            "print('loaded:', [name for name in ('exchange_calendars', 'pandas') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "loaded: []"
