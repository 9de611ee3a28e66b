"""The exchange_calendars library, behind the one adapter that knows its traps.

It takes pandas and 1.4 s to import, so what a start needs is drawn from it beforehand, into the tables of this folder:
`python -m brokers.calendars.library` writes them, and a test holds them against the library that is installed. At run time
the library is asked only for exchanges and years that no table has.
"""

from datetime import UTC, date, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import ConfigError
from engine.trading_hours import SessionBounds
from engine.units import NS_PER_SECOND, Nanoseconds

FOLDER = Path(__file__).parent
TABLED = {"XNYS": (date(1990, 1, 1), date(2035, 12, 31)), "XLON": (date(2010, 1, 1), date(2035, 12, 31)),
          "XTKS": (date(2024, 11, 5), date(2035, 12, 31))}


class CalendarTable(msgspec.Struct, frozen=True):
    """The sessions of an exchange from `first` to `last`: Monday to Friday from `opens` to `closes` in `zone`, except on the
    days that are `closed` and on those with `hours` of their own. A break at midday is not told."""

    exchange: str
    zone: str
    first: date
    last: date
    opens: time
    closes: time
    closed: tuple[date, ...]
    hours: dict[date, tuple[time, time]]


@lru_cache(maxsize=16)
def table_of(exchange: str) -> CalendarTable | None:
    """The table of an exchange, None where there is none."""
    if exchange not in TABLED:
        return None
    return msgspec.json.decode((FOLDER / f"{exchange}.json").read_bytes(), type=CalendarTable)


def drawn(exchange: str, first: date, last: date) -> CalendarTable:
    """The table of an exchange as the installed library has it."""
    calendar = _calendar(exchange, first, last)
    opens, closes = calendar.open_times[-1][1], calendar.close_times[-1][1]
    closed = set(_weekdays(first, last))
    hours: dict[date, tuple[time, time]] = {}
    for label, opened, shut in zip(calendar.sessions, calendar.opens, calendar.closes, strict=True):
        day = label.date()
        own = (opened.tz_convert(calendar.tz).time(), shut.tz_convert(calendar.tz).time())
        if own != (opens, closes) or day not in closed:
            hours[day] = own
        closed.discard(day)
    return CalendarTable(exchange, str(calendar.tz), first, last, opens, closes, tuple(sorted(closed)), hours)


@lru_cache(maxsize=64)
def sessions_of_year(exchange: str, year: int) -> dict[date, SessionBounds]:
    """Every session of a year by its day, asked of the library; raises `ConfigError` where it has none."""
    calendar = _calendar(exchange, date(year, 1, 1), date(year, 12, 31))
    return {label.date(): SessionBounds(_whole_ns(opened), _whole_ns(shut))
            for label, opened, shut in zip(calendar.sessions, calendar.opens, calendar.closes, strict=True)}


@lru_cache(maxsize=16)
def is_known(exchange: str) -> bool:
    """Whether the library has a calendar of that code."""
    import exchange_calendars

    return exchange in exchange_calendars.get_calendar_names(include_aliases=False)


def _calendar(exchange: str, first: date, last: date) -> Any:
    """The library's calendar; without both ends it would stop a year ahead of today."""
    import exchange_calendars

    try:
        return exchange_calendars.get_calendar(exchange, start=str(first), end=str(last))
    except (ValueError, exchange_calendars.errors.CalendarError) as error:
        raise ConfigError(f"{exchange}: no trading calendar from {first} to {last}: {error}") from error


def _whole_ns(moment: Any) -> Nanoseconds:
    return int(moment.tz_convert(UTC).timestamp()) * NS_PER_SECOND


def _weekdays(first: date, last: date) -> list[date]:
    days = (date.fromordinal(day) for day in range(first.toordinal(), last.toordinal() + 1))
    return [day for day in days if day.weekday() < 5]


def write_tables() -> None:
    """Draw every table anew."""
    for exchange, (first, last) in TABLED.items():
        (FOLDER / f"{exchange}.json").write_bytes(msgspec.json.format(msgspec.json.encode(drawn(exchange, first, last)), indent=0)
                                                  + b"\n")


if __name__ == "__main__":
    write_tables()
